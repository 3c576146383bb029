#ifndef TIDINGS_TESTS_ALLOW_CASES_H
#define TIDINGS_TESTS_ALLOW_CASES_H

#include "api/api.h"
#include "wire/generated/add_offsets_to_txn.h"
#include "wire/generated/add_partitions_to_txn.h"
#include "wire/generated/alter_configs.h"
#include "wire/generated/alter_partition_reassignments.h"
#include "wire/generated/alter_user_scram_credentials.h"
#include "wire/generated/consumer_group_describe.h"
#include "wire/generated/consumer_group_heartbeat.h"
#include "wire/generated/create_acls.h"
#include "wire/generated/create_partitions.h"
#include "wire/generated/create_topics.h"
#include "wire/generated/delete_acls.h"
#include "wire/generated/delete_groups.h"
#include "wire/generated/delete_records.h"
#include "wire/generated/delete_topics.h"
#include "wire/generated/describe_acls.h"
#include "wire/generated/describe_client_quotas.h"
#include "wire/generated/describe_cluster.h"
#include "wire/generated/describe_configs.h"
#include "wire/generated/describe_groups.h"
#include "wire/generated/describe_log_dirs.h"
#include "wire/generated/describe_producers.h"
#include "wire/generated/describe_topic_partitions.h"
#include "wire/generated/describe_transactions.h"
#include "wire/generated/describe_user_scram_credentials.h"
#include "wire/generated/elect_leaders.h"
#include "wire/generated/end_txn.h"
#include "wire/generated/fetch.h"
#include "wire/generated/find_coordinator.h"
#include "wire/generated/heartbeat.h"
#include "wire/generated/incremental_alter_configs.h"
#include "wire/generated/init_producer_id.h"
#include "wire/generated/join_group.h"
#include "wire/generated/leave_group.h"
#include "wire/generated/list_config_resources.h"
#include "wire/generated/list_groups.h"
#include "wire/generated/list_offsets.h"
#include "wire/generated/list_partition_reassignments.h"
#include "wire/generated/list_transactions.h"
#include "wire/generated/metadata.h"
#include "wire/generated/offset_commit.h"
#include "wire/generated/offset_delete.h"
#include "wire/generated/offset_fetch.h"
#include "wire/generated/offset_for_leader_epoch.h"
#include "wire/generated/produce.h"
#include "wire/generated/sync_group.h"
#include "wire/generated/txn_offset_commit.h"
#include "wire/generated/write_txn_markers.h"

/* For each thing that an API asks, a request that makes it ask. */

#define TOPIC       "topic-a"
#define NEW_TOPIC   "topic-b"
#define OTHER_TOPIC "topic-c"
#define GROUP       "group-a"
#define NEW_GROUP   "group-b"
#define ID          "id-a"
#define CLUSTER     "kafka-cluster"

union any_request {
    struct produce_request produce;
    struct fetch_request fetch;
    struct list_offsets_request list_offsets;
    struct metadata_request metadata;
    struct offset_commit_request offset_commit;
    struct offset_fetch_request offset_fetch;
    struct find_coordinator_request find_coordinator;
    struct join_group_request join_group;
    struct heartbeat_request heartbeat;
    struct leave_group_request leave_group;
    struct sync_group_request sync_group;
    struct describe_groups_request describe_groups;
    struct list_groups_request list_groups;
    struct create_topics_request create_topics;
    struct delete_topics_request delete_topics;
    struct delete_records_request delete_records;
    struct init_producer_id_request init_producer_id;
    struct offset_for_leader_epoch_request offset_for_leader_epoch;
    struct add_partitions_to_txn_request add_partitions_to_txn;
    struct add_offsets_to_txn_request add_offsets_to_txn;
    struct end_txn_request end_txn;
    struct write_txn_markers_request write_txn_markers;
    struct txn_offset_commit_request txn_offset_commit;
    struct describe_configs_request describe_configs;
    struct alter_configs_request alter_configs;
    struct describe_log_dirs_request describe_log_dirs;
    struct create_partitions_request create_partitions;
    struct delete_groups_request delete_groups;
    struct incremental_alter_configs_request incremental_alter_configs;
    struct offset_delete_request offset_delete;
    struct describe_cluster_request describe_cluster;
    struct describe_producers_request describe_producers;
    struct describe_transactions_request describe_transactions;
    struct list_transactions_request list_transactions;
    struct consumer_group_heartbeat_request consumer_group_heartbeat;
    struct consumer_group_describe_request consumer_group_describe;
    struct describe_topic_partitions_request describe_topic_partitions;
    struct describe_acls_request describe_acls;
    struct create_acls_request create_acls;
    struct delete_acls_request delete_acls;
    struct elect_leaders_request elect_leaders;
    struct alter_partition_reassignments_request alter_partition_reassignments;
    struct list_partition_reassignments_request list_partition_reassignments;
    struct describe_client_quotas_request describe_client_quotas;
    struct alter_user_scram_credentials_request alter_user_scram_credentials;
    struct describe_user_scram_credentials_request describe_user_scram_credentials;
    struct list_config_resources_request list_config_resources;
};

struct ask_case {
    int16_t key;
    int16_t version;
    void (*fill)(union any_request *request);
    struct api_permission what; /* is refused */
    const char *name;           /* of the resource that it is asked about */
    int16_t code;               /* in the answer; 0: less is shown, or another permission will do */
    struct api_permission also; /* refused as well */
    int16_t first, before;      /* versions whose requests ask so; before 0: up to the highest */
};

enum { TOPIC_CODE = 29, GROUP_CODE = 30, CLUSTER_CODE = 31, ID_CODE = 53 };
#define P(operation, kind)                                                                         \
    {                                                                                              \
        API_##operation, API_##kind                                                                \
    }

extern const struct ask_case ask_cases[];
extern const unsigned ask_cases_count;

/* The id of TOPIC, for versions that name topics so. */
void ask_cases_topic_id(struct wire_uuid id);

/* What requests name from now on, of as many letters as TOPIC, GROUP and ID. */
void ask_cases_name(const char *topic, const char *group, const char *id);

#endif
