#include "api/handlers.h"
#include "wire/api_key.h"

/*
 * Version ranges are chosen for the clients that exist (docs/protocol.md). Produce begins at 0
 * because librdkafka stops compressing when it does not; versions below 3 are refused by message
 * format, not by version.
 */
#define API(key, lowest, highest, flags, handle, ...)                                              \
    {                                                                                              \
        API_KEY_##key, lowest, highest, flags, handle,                                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define ASK(operation, kind)                                                                       \
    {                                                                                              \
        API_##operation, API_##kind                                                                \
    }
#define NOTHING ASK(NO_OPERATION, NO_KIND)

const struct api_entry api_table[] = {
    API(PRODUCE, 0, 12, API_ON_REACTOR, handle_produce, ASK(WRITE, TRANSACTIONAL_ID),
        ASK(WRITE, TOPIC)),
    API(FETCH, 4, 16, API_ON_REACTOR, handle_fetch, ASK(READ, TOPIC)),
    API(LIST_OFFSETS, 1, 8, API_MAY_PARK, handle_list_offsets, ASK(DESCRIBE, TOPIC)),
    API(METADATA, 0, 12, API_WITH_ADDRESS | API_MAY_PARK, handle_metadata, ASK(DESCRIBE, TOPIC),
        ASK(CREATE, CLUSTER), ASK(CREATE, TOPIC), ASK(DESCRIBE, CLUSTER)),
    API(OFFSET_COMMIT, 2, 9, 0, handle_offset_commit, ASK(READ, GROUP), ASK(READ, TOPIC)),
    API(OFFSET_FETCH, 1, 9, 0, handle_offset_fetch, ASK(DESCRIBE, GROUP), ASK(DESCRIBE, TOPIC)),
    API(FIND_COORDINATOR, 0, 5, API_WITH_ADDRESS, handle_find_coordinator, ASK(DESCRIBE, GROUP),
        ASK(DESCRIBE, TRANSACTIONAL_ID)),
    API(JOIN_GROUP, 0, 9, 0, handle_join_group, ASK(READ, GROUP)),
    API(HEARTBEAT, 0, 4, 0, handle_heartbeat, ASK(READ, GROUP)),
    API(LEAVE_GROUP, 0, 5, 0, handle_leave_group, ASK(READ, GROUP)),
    API(SYNC_GROUP, 0, 5, 0, handle_sync_group, ASK(READ, GROUP)),
    API(DESCRIBE_GROUPS, 0, 5, API_ON_WORKER | API_SLOW, handle_describe_groups,
        ASK(DESCRIBE, GROUP)),
    API(LIST_GROUPS, 0, 5, API_ON_WORKER | API_SLOW, handle_list_groups, ASK(DESCRIBE, CLUSTER),
        ASK(DESCRIBE, GROUP)),
    API(SASL_HANDSHAKE, 0, 1, 0, handle_sasl_handshake, NOTHING),
    API(API_VERSIONS, 0, 5, 0, handle_api_versions, NOTHING),
    API(CREATE_TOPICS, 0, 7, API_ON_WORKER, handle_create_topics, ASK(CREATE, CLUSTER),
        ASK(CREATE, TOPIC), ASK(DESCRIBE_CONFIGS, TOPIC)),
    API(DELETE_TOPICS, 0, 6, API_ON_WORKER, handle_delete_topics, ASK(DESCRIBE, TOPIC),
        ASK(DELETE, TOPIC)),
    API(DELETE_RECORDS, 0, 2, API_ON_WORKER, handle_delete_records, ASK(DELETE, TOPIC)),
    API(INIT_PRODUCER_ID, 0, 5, API_ON_WORKER, handle_init_producer_id,
        ASK(WRITE, TRANSACTIONAL_ID), ASK(IDEMPOTENT_WRITE, CLUSTER), ASK(WRITE, TOPIC)),
    API(OFFSET_FOR_LEADER_EPOCH, 2, 4, API_MAY_PARK, handle_offset_for_leader_epoch,
        ASK(DESCRIBE, TOPIC)),
    API(ADD_PARTITIONS_TO_TXN, 0, 5, API_MAY_PARK, handle_add_partitions_to_txn,
        ASK(WRITE, TRANSACTIONAL_ID), ASK(WRITE, TOPIC), ASK(CLUSTER_ACTION, CLUSTER)),
    API(ADD_OFFSETS_TO_TXN, 0, 4, API_MAY_PARK, handle_add_offsets_to_txn,
        ASK(WRITE, TRANSACTIONAL_ID), ASK(READ, GROUP)),
    API(END_TXN, 0, 5, API_MAY_PARK, handle_end_txn, ASK(WRITE, TRANSACTIONAL_ID)),
    API(WRITE_TXN_MARKERS, 0, 1, API_ON_WORKER | API_SLOW, handle_write_txn_markers,
        ASK(ALTER, CLUSTER), ASK(CLUSTER_ACTION, CLUSTER)),
    API(TXN_OFFSET_COMMIT, 0, 6, API_MAY_PARK, handle_txn_offset_commit,
        ASK(WRITE, TRANSACTIONAL_ID), ASK(READ, GROUP), ASK(READ, TOPIC)),
    API(DESCRIBE_ACLS, 0, 3, API_ON_WORKER | API_SLOW, handle_describe_acls,
        ASK(DESCRIBE, CLUSTER)),
    API(CREATE_ACLS, 0, 3, API_ON_WORKER, handle_create_acls, ASK(ALTER, CLUSTER)),
    API(DELETE_ACLS, 0, 3, API_ON_WORKER, handle_delete_acls, ASK(ALTER, CLUSTER)),
    API(DESCRIBE_CONFIGS, 0, 4, API_ON_WORKER | API_SLOW, handle_describe_configs,
        ASK(DESCRIBE_CONFIGS, TOPIC), ASK(DESCRIBE_CONFIGS, CLUSTER), ASK(DESCRIBE_CONFIGS, GROUP)),
    API(ALTER_CONFIGS, 0, 2, API_ON_WORKER, handle_alter_configs, ASK(ALTER_CONFIGS, TOPIC),
        ASK(ALTER_CONFIGS, CLUSTER), ASK(ALTER_CONFIGS, GROUP)),
    API(DESCRIBE_LOG_DIRS, 0, 4, API_ON_WORKER | API_SLOW, handle_describe_log_dirs,
        ASK(DESCRIBE, CLUSTER)),
    API(SASL_AUTHENTICATE, 0, 2, 0, handle_sasl_authenticate, NOTHING),
    API(CREATE_PARTITIONS, 0, 3, API_ON_WORKER, handle_create_partitions, ASK(ALTER, TOPIC)),
    API(DELETE_GROUPS, 0, 2, API_ON_WORKER | API_SLOW, handle_delete_groups, ASK(DELETE, GROUP)),
    API(ELECT_LEADERS, 0, 2, 0, handle_elect_leaders, ASK(ALTER, CLUSTER)),
    API(INCREMENTAL_ALTER_CONFIGS, 0, 1, API_ON_WORKER, handle_incremental_alter_configs,
        ASK(ALTER_CONFIGS, TOPIC), ASK(ALTER_CONFIGS, CLUSTER), ASK(ALTER_CONFIGS, GROUP)),
    API(ALTER_PARTITION_REASSIGNMENTS, 0, 0, 0, handle_alter_partition_reassignments,
        ASK(ALTER, CLUSTER)),
    API(LIST_PARTITION_REASSIGNMENTS, 0, 0, 0, handle_list_partition_reassignments,
        ASK(DESCRIBE, CLUSTER)),
    API(OFFSET_DELETE, 0, 0, API_ON_WORKER | API_SLOW, handle_offset_delete, ASK(DELETE, GROUP),
        ASK(READ, TOPIC)),
    API(DESCRIBE_CLIENT_QUOTAS, 0, 1, 0, handle_describe_client_quotas,
        ASK(DESCRIBE_CONFIGS, CLUSTER)),
    API(DESCRIBE_USER_SCRAM_CREDENTIALS, 0, 0, API_ON_WORKER | API_SLOW,
        handle_describe_user_scram_credentials, ASK(DESCRIBE, CLUSTER)),
    API(ALTER_USER_SCRAM_CREDENTIALS, 0, 0, API_ON_WORKER, handle_alter_user_scram_credentials,
        ASK(ALTER, CLUSTER)),
    API(DESCRIBE_CLUSTER, 0, 1, API_WITH_ADDRESS, handle_describe_cluster, ASK(DESCRIBE, CLUSTER)),
    API(DESCRIBE_PRODUCERS, 0, 0, API_ON_WORKER | API_SLOW, handle_describe_producers,
        ASK(READ, TOPIC)),
    API(DESCRIBE_TRANSACTIONS, 0, 0, API_ON_WORKER | API_SLOW, handle_describe_transactions,
        ASK(DESCRIBE, TRANSACTIONAL_ID), ASK(DESCRIBE, TOPIC)),
    API(LIST_TRANSACTIONS, 0, 1, API_ON_WORKER | API_SLOW, handle_list_transactions,
        ASK(DESCRIBE, TRANSACTIONAL_ID)),
    API(CONSUMER_GROUP_HEARTBEAT, 0, 1, API_MAY_PARK, handle_consumer_group_heartbeat,
        ASK(READ, GROUP), ASK(DESCRIBE, TOPIC)),
    API(CONSUMER_GROUP_DESCRIBE, 0, 1, API_ON_WORKER | API_SLOW, handle_consumer_group_describe,
        ASK(DESCRIBE, GROUP), ASK(DESCRIBE, TOPIC)),
    API(LIST_CONFIG_RESOURCES, 0, 1, API_ON_WORKER | API_SLOW, handle_list_config_resources,
        ASK(DESCRIBE_CONFIGS, CLUSTER)),
    API(DESCRIBE_TOPIC_PARTITIONS, 0, 0, API_ON_WORKER | API_SLOW, handle_describe_topic_partitions,
        ASK(DESCRIBE, TOPIC)),
};

const int api_table_count = sizeof api_table / sizeof api_table[0];
