#ifndef TIDINGS_API_HANDLERS_H
#define TIDINGS_API_HANDLERS_H

#include "api/api.h"

/* The handlers of api_table[], one file each (groups: group_*.c). All are of type api_handler. */
api_handler handle_add_offsets_to_txn;
api_handler handle_add_partitions_to_txn;
api_handler handle_alter_configs;
api_handler handle_alter_partition_reassignments;
api_handler handle_alter_user_scram_credentials;
api_handler handle_api_versions;
api_handler handle_consumer_group_describe;
api_handler handle_consumer_group_heartbeat;
api_handler handle_create_acls;
api_handler handle_create_partitions;
api_handler handle_create_topics;
api_handler handle_delete_acls;
api_handler handle_delete_groups;
api_handler handle_delete_records;
api_handler handle_delete_topics;
api_handler handle_describe_acls;
api_handler handle_describe_client_quotas;
api_handler handle_describe_cluster;
api_handler handle_describe_configs;
api_handler handle_describe_groups;
api_handler handle_describe_log_dirs;
api_handler handle_describe_producers;
api_handler handle_describe_topic_partitions;
api_handler handle_describe_transactions;
api_handler handle_describe_user_scram_credentials;
api_handler handle_elect_leaders;
api_handler handle_end_txn;
api_handler handle_fetch;
api_handler handle_find_coordinator;
api_handler handle_heartbeat;
api_handler handle_incremental_alter_configs;
api_handler handle_init_producer_id;
api_handler handle_join_group;
api_handler handle_leave_group;
api_handler handle_list_config_resources;
api_handler handle_list_groups;
api_handler handle_list_offsets;
api_handler handle_list_partition_reassignments;
api_handler handle_list_transactions;
api_handler handle_metadata;
api_handler handle_offset_commit;
api_handler handle_offset_delete;
api_handler handle_offset_fetch;
api_handler handle_offset_for_leader_epoch;
api_handler handle_produce;
api_handler handle_sasl_authenticate;
api_handler handle_sasl_handshake;
/* Of a frame that is a token, without a header (SaslHandshake version 0). */
api_handler handle_sasl_raw_token;
api_handler handle_sync_group;
api_handler handle_txn_offset_commit;
api_handler handle_write_txn_markers;

#endif
