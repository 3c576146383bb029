#include "api/handlers.h"
#include "wire/api_key.h"

/*
 * Version ranges are chosen for the clients that exist (docs/protocol.md). Produce begins at 0
 * because librdkafka stops compressing when it does not; versions below 3 are refused by message
 * format, not by version.
 */
const struct api_entry api_table[] = {
    {API_KEY_PRODUCE, 0, 12, 0, handle_produce},
    {API_KEY_FETCH, 4, 16, 0, handle_fetch},
    {API_KEY_LIST_OFFSETS, 1, 8, 0, handle_list_offsets},
    {API_KEY_METADATA, 0, 12, API_WITH_ADDRESS, handle_metadata},
    {API_KEY_OFFSET_COMMIT, 2, 9, 0, handle_offset_commit},
    {API_KEY_OFFSET_FETCH, 1, 9, 0, handle_offset_fetch},
    {API_KEY_FIND_COORDINATOR, 0, 5, API_WITH_ADDRESS, handle_find_coordinator},
    {API_KEY_JOIN_GROUP, 0, 9, 0, handle_join_group},
    {API_KEY_HEARTBEAT, 0, 4, 0, handle_heartbeat},
    {API_KEY_LEAVE_GROUP, 0, 5, 0, handle_leave_group},
    {API_KEY_SYNC_GROUP, 0, 5, 0, handle_sync_group},
    {API_KEY_DESCRIBE_GROUPS, 0, 5, 0, handle_describe_groups},
    {API_KEY_LIST_GROUPS, 0, 5, 0, handle_list_groups},
    {API_KEY_SASL_HANDSHAKE, 0, 1, 0, handle_sasl_handshake},
    {API_KEY_API_VERSIONS, 0, 4, 0, handle_api_versions},
    {API_KEY_CREATE_TOPICS, 0, 7, API_ON_WORKER, handle_create_topics},
    {API_KEY_DELETE_TOPICS, 0, 6, API_ON_WORKER, handle_delete_topics},
    {API_KEY_DELETE_RECORDS, 0, 2, API_ON_WORKER, handle_delete_records},
    {API_KEY_INIT_PRODUCER_ID, 0, 5, API_ON_WORKER, handle_init_producer_id},
    {API_KEY_OFFSET_FOR_LEADER_EPOCH, 2, 4, 0, handle_offset_for_leader_epoch},
    {API_KEY_ADD_PARTITIONS_TO_TXN, 0, 5, 0, handle_add_partitions_to_txn},
    {API_KEY_ADD_OFFSETS_TO_TXN, 0, 4, 0, handle_add_offsets_to_txn},
    {API_KEY_END_TXN, 0, 5, 0, handle_end_txn},
    {API_KEY_WRITE_TXN_MARKERS, 0, 1, 0, handle_write_txn_markers},
    {API_KEY_TXN_OFFSET_COMMIT, 0, 5, 0, handle_txn_offset_commit},
    {API_KEY_DESCRIBE_ACLS, 0, 3, 0, handle_describe_acls},
    {API_KEY_CREATE_ACLS, 0, 3, 0, handle_create_acls},
    {API_KEY_DELETE_ACLS, 0, 3, 0, handle_delete_acls},
    {API_KEY_DESCRIBE_CONFIGS, 0, 4, 0, handle_describe_configs},
    {API_KEY_ALTER_CONFIGS, 0, 2, API_ON_WORKER, handle_alter_configs},
    {API_KEY_DESCRIBE_LOG_DIRS, 0, 4, API_ON_WORKER, handle_describe_log_dirs},
    {API_KEY_CREATE_PARTITIONS, 0, 3, API_ON_WORKER, handle_create_partitions},
    {API_KEY_DELETE_GROUPS, 0, 2, 0, handle_delete_groups},
    {API_KEY_ELECT_LEADERS, 0, 2, 0, handle_elect_leaders},
    {API_KEY_INCREMENTAL_ALTER_CONFIGS, 0, 1, API_ON_WORKER, handle_incremental_alter_configs},
    {API_KEY_ALTER_PARTITION_REASSIGNMENTS, 0, 0, 0, handle_alter_partition_reassignments},
    {API_KEY_LIST_PARTITION_REASSIGNMENTS, 0, 0, 0, handle_list_partition_reassignments},
    {API_KEY_OFFSET_DELETE, 0, 0, 0, handle_offset_delete},
    {API_KEY_DESCRIBE_CLIENT_QUOTAS, 0, 1, 0, handle_describe_client_quotas},
    {API_KEY_DESCRIBE_USER_SCRAM_CREDENTIALS, 0, 0, 0, handle_describe_user_scram_credentials},
    {API_KEY_DESCRIBE_CLUSTER, 0, 1, API_WITH_ADDRESS, handle_describe_cluster},
    {API_KEY_DESCRIBE_PRODUCERS, 0, 0, API_ON_WORKER, handle_describe_producers},
    {API_KEY_DESCRIBE_TRANSACTIONS, 0, 0, 0, handle_describe_transactions},
    {API_KEY_LIST_TRANSACTIONS, 0, 1, 0, handle_list_transactions},
    {API_KEY_CONSUMER_GROUP_HEARTBEAT, 0, 1, 0, handle_consumer_group_heartbeat},
    {API_KEY_CONSUMER_GROUP_DESCRIBE, 0, 1, 0, handle_consumer_group_describe},
    {API_KEY_LIST_CONFIG_RESOURCES, 0, 1, 0, handle_list_config_resources},
    {API_KEY_DESCRIBE_TOPIC_PARTITIONS, 0, 0, 0, handle_describe_topic_partitions},
};

const int api_table_count = sizeof api_table / sizeof api_table[0];
