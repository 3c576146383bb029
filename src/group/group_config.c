#include "group/group_config.h"

enum {
    GROUP_MAX_SIZE = 10000,
    GROUP_MAX_COUNT = 1000000,
    GROUP_MAX_OFFSETS = 100000,
    GROUP_MAX_BYTES = 128 << 20,
    GROUP_MAX_MEMBER_BYTES = 1 << 20
};

void group_config_init(struct group_config *config)
{
    *config = (struct group_config){
        .initial_rebalance_delay_ms = 0,
        .min_session_timeout_ms = 6000,
        .max_session_timeout_ms = 30 * 60 * 1000,
        .max_size = GROUP_MAX_SIZE,
        .max_groups = GROUP_MAX_COUNT,
        .max_offsets = GROUP_MAX_OFFSETS,
        .max_bytes = GROUP_MAX_BYTES,
        .max_member_bytes = GROUP_MAX_MEMBER_BYTES,
        .offset_metadata_max_bytes = 4096,
        .offsets_retention_ms = (int64_t)7 * 24 * 60 * 60 * 1000,
        .offsets_retention_check_interval_ms = 10 * 60 * 1000,
        .consumer_session_timeout_ms = 45000,
        .consumer_heartbeat_interval_ms = 5000,
        .consumer_min_session_timeout_ms = 1,
        .consumer_max_session_timeout_ms = INT32_MAX,
        .consumer_min_heartbeat_interval_ms = 1,
        .consumer_max_heartbeat_interval_ms = INT32_MAX,
        .consumer_max_size = GROUP_MAX_SIZE,
        .consumer_enabled = true,
        .consumer_upgrade = true,
        .consumer_downgrade = true,
        .consumer_assignors = {ASSIGNOR_UNIFORM, ASSIGNOR_RANGE},
        .consumer_assignor_count = 2,
    };
}
