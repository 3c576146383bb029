#include "group/consumer_config.h"

static const struct setting rows[] = {
    {"consumer.heartbeat.interval.ms", SETTING_INT,
     SETTING_FIELD(struct consumer_config, heartbeat_interval_ms), "5000", 1, INT32_MAX,
     .broker_name = "group.consumer.heartbeat.interval.ms",
     .help = "How often members of this group send heartbeats."},
    {"consumer.session.timeout.ms", SETTING_INT,
     SETTING_FIELD(struct consumer_config, session_timeout_ms), "45000", 1, INT32_MAX,
     .broker_name = "group.consumer.session.timeout.ms",
     .help = "A member of this group that is silent for longer is taken out."},
};

static const struct settings_table table = {
    .what = "group",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};

const struct settings_table *consumer_settings(void)
{
    return &table;
}

static enum err check_bounds(const char *name, int64_t value, int32_t least, int32_t most,
                             struct reason *reason)
{
    return value >= least && value <= most
               ? ERR_NONE
               : reason_fail(reason, ERR_CONFIG,
                             "consumer.%s=%lld is not within group.consumer.min.%s=%d and "
                             "group.consumer.max.%s=%d",
                             name, (long long)value, name, (int)least, name, (int)most);
}

enum err consumer_config_build(const struct group_config *server, const struct overrides *own,
                               struct consumer_config *out, struct reason *reason)
{
    *out = (struct consumer_config){
        .session_timeout_ms = server->consumer_session_timeout_ms,
        .heartbeat_interval_ms = server->consumer_heartbeat_interval_ms,
    };
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < own->count; i++) {
        err = settings_set(&table, out, slice_str(own->items[i].name),
                           slice_str(own->items[i].value), reason);
    }
    if (err == ERR_NONE) {
        err = check_bounds("session.timeout.ms", out->session_timeout_ms,
                           server->consumer_min_session_timeout_ms,
                           server->consumer_max_session_timeout_ms, reason);
    }
    if (err == ERR_NONE) {
        err = check_bounds("heartbeat.interval.ms", out->heartbeat_interval_ms,
                           server->consumer_min_heartbeat_interval_ms,
                           server->consumer_max_heartbeat_interval_ms, reason);
    }
    if (err == ERR_NONE && out->heartbeat_interval_ms >= out->session_timeout_ms) {
        err =
            reason_fail(reason, ERR_CONFIG,
                        "consumer.heartbeat.interval.ms=%lld must be below "
                        "consumer.session.timeout.ms=%lld",
                        (long long)out->heartbeat_interval_ms, (long long)out->session_timeout_ms);
    }
    return err;
}
