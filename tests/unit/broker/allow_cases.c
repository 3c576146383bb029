#include "allow_cases.h"

static struct slice topic_name = {(const uint8_t *)TOPIC, sizeof TOPIC - 1};
static struct slice group_name = {(const uint8_t *)GROUP, sizeof GROUP - 1};
static struct slice id_name = {(const uint8_t *)ID, sizeof ID - 1};
static struct wire_uuid topic_id;
static int32_t partition_0[1];

void ask_cases_topic_id(struct wire_uuid id)
{
    topic_id = id;
}

void ask_cases_name(const char *topic, const char *group, const char *id)
{
    topic_name = slice_str(topic);
    group_name = slice_str(group);
    id_name = slice_str(id);
}

/* FILL(api) { ...fields of request->api... } */
#define FILL(api)                                                                                  \
    static void fill_##api##_fields(struct api##_request *out);                                    \
    static void fill_##api(union any_request *request)                                             \
    {                                                                                              \
        api##_request_init(&request->api);                                                         \
        fill_##api##_fields(&request->api);                                                        \
    }                                                                                              \
    static void fill_##api##_fields(struct api##_request *out)

FILL(produce)
{
    static struct produce_request_partition partition;
    static struct produce_request_topic topic = {.partition_data = &partition,
                                                 .partition_data_count = 1};
    static uint8_t nothing;
    partition.records.bytes = slice_of(&nothing, 0);
    topic.name = topic_name;
    out->transactional_id = id_name;
    out->acks = -1;
    out->timeout_ms = 1000;
    out->topic_data = &topic;
    out->topic_data_count = 1;
}

FILL(fetch)
{
    static struct fetch_request_partition partition;
    static struct fetch_request_topic topic = {.partitions = &partition, .partitions_count = 1};
    fetch_request_partition_init(&partition);
    partition.partition_max_bytes = 1000;
    topic.topic = topic_name;
    topic.topic_id = topic_id;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(list_offsets)
{
    static struct list_offsets_request_partition partition;
    static struct list_offsets_request_topic topic = {.partitions = &partition,
                                                      .partitions_count = 1};
    list_offsets_request_partition_init(&partition);
    partition.timestamp = -2;
    topic.name = topic_name;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(metadata)
{
    static struct metadata_request_topic topics[2];
    for (int i = 0; i < 2; i++) {
        metadata_request_topic_init(&topics[i]);
    }
    topics[0].name = topic_name;
    topics[1].name = slice_str(NEW_TOPIC);
    out->topics = topics;
    out->topics_count = 2;
    out->allow_auto_topic_creation = false;
}

static void fill_metadata_there(union any_request *request)
{
    fill_metadata(request);
    request->metadata.topics_count = 1;
}

static void fill_metadata_operations(union any_request *request)
{
    fill_metadata(request);
    request->metadata.include_cluster_authorized_operations = true;
}

static void fill_metadata_creating(union any_request *request)
{
    fill_metadata(request);
    request->metadata.allow_auto_topic_creation = true;
}

FILL(offset_commit)
{
    static struct offset_commit_request_partition partition;
    static struct offset_commit_request_topic topic = {.partitions = &partition,
                                                       .partitions_count = 1};
    offset_commit_request_partition_init(&partition);
    topic.name = topic_name;
    out->group_id = group_name;
    out->generation_id_or_member_epoch = -1;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(offset_fetch)
{
    static struct offset_fetch_request_group group;
    offset_fetch_request_group_init(&group);
    group.group_id = group_name;
    group.topics_count = -1;
    out->groups = &group;
    out->groups_count = 1;
    out->group_id = group_name; /* before version 8 */
    out->topics_count = -1;
}

static void fill_offset_fetch_some(union any_request *request)
{
    static struct offset_fetch_request_group_topic topic = {.partition_indexes = partition_0,
                                                            .partition_indexes_count = 1};
    static struct offset_fetch_request_topic before = {.partition_indexes = partition_0,
                                                       .partition_indexes_count = 1};
    topic.name = before.name = topic_name;
    fill_offset_fetch(request);
    request->offset_fetch.topics = &before;
    request->offset_fetch.topics_count = 1;
    request->offset_fetch.groups[0].topics = &topic;
    request->offset_fetch.groups[0].topics_count = 1;
}

FILL(find_coordinator)
{
    out->key = group_name;
}

static void fill_find_coordinators(union any_request *request)
{
    find_coordinator_request_init(&request->find_coordinator);
    request->find_coordinator.coordinator_keys = &group_name;
    request->find_coordinator.coordinator_keys_count = 1;
}

static void fill_find_coordinator_id(union any_request *request)
{
    find_coordinator_request_init(&request->find_coordinator);
    request->find_coordinator.key_type = 1;
    request->find_coordinator.key = id_name; /* before version 4 */
    request->find_coordinator.coordinator_keys = &id_name;
    request->find_coordinator.coordinator_keys_count = 1;
}

FILL(join_group)
{
    out->group_id = group_name;
    out->protocol_type = slice_str("consumer");
}

FILL(heartbeat)
{
    out->group_id = group_name;
}

FILL(leave_group)
{
    out->group_id = group_name;
}

FILL(sync_group)
{
    out->group_id = group_name;
    out->protocol_type = out->protocol_name = slice_str("consumer");
}

FILL(describe_groups)
{
    out->groups = &group_name;
    out->groups_count = 1;
}

FILL(list_groups)
{
    out->states_filter_count = out->types_filter_count = 0;
}

FILL(create_topics)
{
    static struct create_topics_request_topic topic;
    create_topics_request_topic_init(&topic);
    topic.name = slice_str(OTHER_TOPIC);
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    out->topics = &topic;
    out->topics_count = 1;
    out->validate_only = true;
}

FILL(delete_topics)
{
    static struct slice name = {(const uint8_t *)"topic-z", 7};
    static struct delete_topics_request_topic topic; /* from version 6 on */
    topic.name = name;
    out->topic_names = &name;
    out->topic_names_count = 1;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(delete_records)
{
    static struct delete_records_request_partition partition;
    static struct delete_records_request_topic topic = {.partitions = &partition,
                                                        .partitions_count = 1};
    topic.name = topic_name;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(init_producer_id)
{
    out->transactional_id = (struct slice){0};
    out->producer_id = out->producer_epoch = -1;
}

static void fill_init_transactional(union any_request *request)
{
    fill_init_producer_id(request);
    request->init_producer_id.transactional_id = id_name;
    request->init_producer_id.transaction_timeout_ms = 60000;
}

FILL(offset_for_leader_epoch)
{
    static struct offset_for_leader_epoch_request_partition partition;
    static struct offset_for_leader_epoch_request_topic topic = {.partitions = &partition,
                                                                 .partitions_count = 1};
    offset_for_leader_epoch_request_partition_init(&partition);
    topic.topic = topic_name;
    out->topics = &topic;
    out->topics_count = 1;
}

static struct add_partitions_to_txn_request_topic added = {.partitions = partition_0,
                                                           .partitions_count = 1};

FILL(add_partitions_to_txn)
{
    added.name = topic_name;
    out->v3_and_below_transactional_id = id_name;
    out->v3_and_below_topics = &added;
    out->v3_and_below_topics_count = 1;
}

static void fill_add_partitions_many(union any_request *request)
{
    static struct add_partitions_to_txn_request_transaction transaction = {.topics = &added,
                                                                           .topics_count = 1};
    added.name = topic_name;
    transaction.transactional_id = id_name;
    add_partitions_to_txn_request_init(&request->add_partitions_to_txn);
    request->add_partitions_to_txn.transactions = &transaction;
    request->add_partitions_to_txn.transactions_count = 1;
}

FILL(add_offsets_to_txn)
{
    out->transactional_id = id_name;
    out->group_id = group_name;
}

FILL(end_txn)
{
    out->transactional_id = id_name;
}

FILL(write_txn_markers)
{
    static struct write_txn_markers_request_topic topic = {.partition_indexes = partition_0,
                                                           .partition_indexes_count = 1};
    static struct write_txn_markers_request_marker marker = {
        .producer_id = 999999, .topics = &topic, .topics_count = 1};
    topic.name = topic_name;
    out->markers = &marker;
    out->markers_count = 1;
}

FILL(txn_offset_commit)
{
    static struct txn_offset_commit_request_partition partition;
    static struct txn_offset_commit_request_topic topic = {.partitions = &partition,
                                                           .partitions_count = 1};
    txn_offset_commit_request_partition_init(&partition);
    topic.name = topic_name;
    topic.topic_id = topic_id;
    out->transactional_id = id_name;
    out->group_id = group_name;
    out->generation_id_or_member_epoch = -1;
    out->topics = &topic;
    out->topics_count = 1;
}

enum { ON_TOPIC = 2, ON_BROKER = 4, ON_GROUP = 32 };

static struct slice name_of_type(int8_t type)
{
    return type == ON_TOPIC ? topic_name : type == ON_GROUP ? group_name : slice_str("1");
}

static void describe_configs_of(union any_request *request, int8_t type)
{
    static struct describe_configs_request_resource resource;
    static struct slice no_setting = {(const uint8_t *)"none", 4};
    describe_configs_request_resource_init(&resource);
    resource.resource_type = type;
    resource.resource_name = name_of_type(type);
    resource.configuration_keys = &no_setting;
    resource.configuration_keys_count = 1;
    describe_configs_request_init(&request->describe_configs);
    request->describe_configs.resources = &resource;
    request->describe_configs.resources_count = 1;
}

static void alter_configs_of(union any_request *request, int8_t type)
{
    static struct alter_configs_request_resource resource;
    alter_configs_request_resource_init(&resource);
    resource.resource_type = type;
    resource.resource_name = name_of_type(type);
    alter_configs_request_init(&request->alter_configs);
    request->alter_configs.resources = &resource;
    request->alter_configs.resources_count = 1;
    request->alter_configs.validate_only = true;
}

static void alter_more_of(union any_request *request, int8_t type)
{
    static struct incremental_alter_configs_request_resource resource;
    incremental_alter_configs_request_resource_init(&resource);
    resource.resource_type = type;
    resource.resource_name = name_of_type(type);
    incremental_alter_configs_request_init(&request->incremental_alter_configs);
    request->incremental_alter_configs.resources = &resource;
    request->incremental_alter_configs.resources_count = 1;
    request->incremental_alter_configs.validate_only = true;
}

#define OF_TYPES(function)                                                                         \
    static void function##_topic(union any_request *request)                                       \
    {                                                                                              \
        function##_of(request, ON_TOPIC);                                                          \
    }                                                                                              \
    static void function##_broker(union any_request *request)                                      \
    {                                                                                              \
        function##_of(request, ON_BROKER);                                                         \
    }                                                                                              \
    static void function##_group(union any_request *request)                                       \
    {                                                                                              \
        function##_of(request, ON_GROUP);                                                          \
    }
OF_TYPES(describe_configs)
OF_TYPES(alter_configs)
OF_TYPES(alter_more)

FILL(describe_log_dirs)
{
    out->topics_count = -1;
}

FILL(create_partitions)
{
    static struct create_partitions_request_topic topic;
    create_partitions_request_topic_init(&topic);
    topic.name = topic_name;
    topic.count = 2;
    topic.assignments_count = -1;
    out->topics = &topic;
    out->topics_count = 1;
    out->validate_only = true;
}

FILL(delete_groups)
{
    static struct slice name = {(const uint8_t *)"group-z", 7};
    out->groups_names = &name;
    out->groups_names_count = 1;
}

FILL(offset_delete)
{
    static struct offset_delete_request_partition partition = {7};
    static struct offset_delete_request_topic topic = {.partitions = &partition,
                                                       .partitions_count = 1};
    topic.name = topic_name;
    out->group_id = group_name;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(describe_cluster)
{
    out->include_cluster_authorized_operations = true;
    out->endpoint_type = 1;
}

FILL(describe_producers)
{
    static struct describe_producers_request_topic topic = {.partition_indexes = partition_0,
                                                            .partition_indexes_count = 1};
    topic.name = topic_name;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(describe_transactions)
{
    out->transactional_ids = &id_name;
    out->transactional_ids_count = 1;
}

FILL(list_transactions)
{
    out->duration_filter = -1;
}

FILL(consumer_group_heartbeat)
{
    out->group_id = slice_str(NEW_GROUP);
    out->member_id = slice_str("member");
    out->rebalance_timeout_ms = 60000;
    out->subscribed_topic_names = &topic_name;
    out->subscribed_topic_names_count = 1;
    out->topic_partitions_count = 0;
}

FILL(consumer_group_describe)
{
    static struct slice name = {(const uint8_t *)NEW_GROUP, sizeof NEW_GROUP - 1};
    out->group_ids = &name;
    out->group_ids_count = 1;
}

FILL(describe_topic_partitions)
{
    static struct describe_topic_partitions_request_topic topic;
    topic.name = topic_name;
    out->topics = &topic;
    out->topics_count = 1;
}

FILL(describe_acls)
{
    out->resource_type_filter = 1;
}

FILL(create_acls)
{
    static struct create_acls_request_creation creation;
    create_acls_request_creation_init(&creation);
    out->creations = &creation;
    out->creations_count = 1;
}

FILL(delete_acls)
{
    static struct delete_acls_request_filter filter;
    delete_acls_request_filter_init(&filter);
    out->filters = &filter;
    out->filters_count = 1;
}

FILL(elect_leaders)
{
    out->topic_partitions_count = -1;
}

FILL(alter_partition_reassignments)
{
    out->topics_count = 0;
}

FILL(list_partition_reassignments)
{
    out->topics_count = -1;
}

FILL(describe_client_quotas)
{
    out->components_count = 0;
}

FILL(describe_user_scram_credentials)
{
    out->users_count = 0;
}

FILL(alter_user_scram_credentials)
{
    static struct alter_user_scram_credentials_request_deletion one;
    one.name = slice_str("secret");
    one.mechanism = 1;
    out->deletions = &one;
    out->deletions_count = 1;
    out->upsertions_count = 0;
}

FILL(list_config_resources)
{
    out->resource_types_count = 0;
}

const struct ask_case ask_cases[] = {
    {0, 9, fill_produce, P(WRITE, TRANSACTIONAL_ID), ID, ID_CODE, {0}, .first = 3},
    {0, 9, fill_produce, P(WRITE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {1, 12, fill_fetch, P(READ, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {2, 7, fill_list_offsets, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {3, 9, fill_metadata, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}, .first = 4},
    {3, 1, fill_metadata_there, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}}, /* makes none */
    {3,
     9,
     fill_metadata_operations,
     P(DESCRIBE, CLUSTER),
     CLUSTER,
     0,
     {0},
     .first = 8,
     .before = 11},
    {3, 9, fill_metadata_creating, P(CREATE, TOPIC), NEW_TOPIC, TOPIC_CODE, P(CREATE, CLUSTER)},
    /* makes the topic: the last */
    {3, 9, fill_metadata_creating, P(CREATE, CLUSTER), CLUSTER, 0, {0}, .first = 9, .before = 10},
    {8, 8, fill_offset_commit, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {8, 8, fill_offset_commit, P(READ, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {9, 8, fill_offset_fetch, P(DESCRIBE, GROUP), GROUP, GROUP_CODE, {0}, .first = 2},
    {9, 8, fill_offset_fetch_some, P(DESCRIBE, GROUP), GROUP, GROUP_CODE, {0}},
    {9, 8, fill_offset_fetch, P(DESCRIBE, TOPIC), TOPIC, 0, {0}, .first = 2},
    {9, 8, fill_offset_fetch_some, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {10, 3, fill_find_coordinator, P(DESCRIBE, GROUP), GROUP, GROUP_CODE, {0}, .before = 4},
    {10, 4, fill_find_coordinators, P(DESCRIBE, GROUP), GROUP, GROUP_CODE, {0}, .first = 4},
    {10, 4, fill_find_coordinator_id, P(DESCRIBE, TRANSACTIONAL_ID), ID, ID_CODE, {0}, .first = 1},
    {11, 5, fill_join_group, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {12, 3, fill_heartbeat, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {13, 3, fill_leave_group, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {14, 5, fill_sync_group, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {15, 5, fill_describe_groups, P(DESCRIBE, GROUP), GROUP, GROUP_CODE, {0}},
    {16, 4, fill_list_groups, P(DESCRIBE, CLUSTER), CLUSTER, 0, {0}},
    {16, 4, fill_list_groups, P(DESCRIBE, GROUP), GROUP, 0, P(DESCRIBE, CLUSTER)},
    {19, 4, fill_create_topics, P(CREATE, CLUSTER), CLUSTER, 0, {0}, .first = 1}, /* only tries */
    {19, 4, fill_create_topics, P(CREATE, TOPIC), OTHER_TOPIC, TOPIC_CODE, P(CREATE, CLUSTER)},
    {19, 7, fill_create_topics, P(DESCRIBE_CONFIGS, TOPIC), OTHER_TOPIC, 0, {0}, .first = 5},
    {20, 5, fill_delete_topics, P(DESCRIBE, TOPIC), "topic-z", TOPIC_CODE, {0}},
    {20, 5, fill_delete_topics, P(DELETE, TOPIC), "topic-z", TOPIC_CODE, {0}},
    {21, 2, fill_delete_records, P(DELETE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {22, 4, fill_init_transactional, P(WRITE, TRANSACTIONAL_ID), ID, ID_CODE, {0}},
    {22, 4, fill_init_producer_id, P(IDEMPOTENT_WRITE, CLUSTER), CLUSTER, 0, {0}},
    {22, 4, fill_init_producer_id, P(WRITE, TOPIC), "*any*", CLUSTER_CODE,
     P(IDEMPOTENT_WRITE, CLUSTER)},
    {23, 4, fill_offset_for_leader_epoch, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {24, 3, fill_add_partitions_to_txn, P(WRITE, TRANSACTIONAL_ID), ID, ID_CODE, {0}, .before = 4},
    {24, 3, fill_add_partitions_to_txn, P(WRITE, TOPIC), TOPIC, TOPIC_CODE, {0}, .before = 4},
    {24,
     4,
     fill_add_partitions_many,
     P(CLUSTER_ACTION, CLUSTER),
     CLUSTER,
     CLUSTER_CODE,
     {0},
     .first = 4},
    {25, 3, fill_add_offsets_to_txn, P(WRITE, TRANSACTIONAL_ID), ID, ID_CODE, {0}},
    {25, 3, fill_add_offsets_to_txn, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {26, 3, fill_end_txn, P(WRITE, TRANSACTIONAL_ID), ID, ID_CODE, {0}},
    {27, 1, fill_write_txn_markers, P(ALTER, CLUSTER), CLUSTER, 0, {0}},
    {27, 1, fill_write_txn_markers, P(CLUSTER_ACTION, CLUSTER), CLUSTER, CLUSTER_CODE,
     P(ALTER, CLUSTER)},
    {28, 3, fill_txn_offset_commit, P(WRITE, TRANSACTIONAL_ID), ID, ID_CODE, {0}},
    {28, 3, fill_txn_offset_commit, P(READ, GROUP), GROUP, GROUP_CODE, {0}},
    {28, 3, fill_txn_offset_commit, P(READ, TOPIC), TOPIC, 0, {0}}, /* not in a transaction */
    {32, 4, describe_configs_topic, P(DESCRIBE_CONFIGS, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {32, 4, describe_configs_broker, P(DESCRIBE_CONFIGS, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {32, 4, describe_configs_group, P(DESCRIBE_CONFIGS, GROUP), GROUP, GROUP_CODE, {0}},
    {33, 2, alter_configs_topic, P(ALTER_CONFIGS, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {33, 2, alter_configs_broker, P(ALTER_CONFIGS, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {33, 2, alter_configs_group, P(ALTER_CONFIGS, GROUP), GROUP, GROUP_CODE, {0}},
    {35, 4, fill_describe_log_dirs, P(DESCRIBE, CLUSTER), CLUSTER, CLUSTER_CODE, {0}, .first = 3},
    {35, 2, fill_describe_log_dirs, P(DESCRIBE, CLUSTER), CLUSTER, 0, {0}, .before = 3}, /* none */
    {37, 3, fill_create_partitions, P(ALTER, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {42, 2, fill_delete_groups, P(DELETE, GROUP), "group-z", GROUP_CODE, {0}},
    {44, 1, alter_more_topic, P(ALTER_CONFIGS, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {44, 1, alter_more_broker, P(ALTER_CONFIGS, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {44, 1, alter_more_group, P(ALTER_CONFIGS, GROUP), GROUP, GROUP_CODE, {0}},
    {47, 0, fill_offset_delete, P(DELETE, GROUP), GROUP, GROUP_CODE, {0}},
    {47, 0, fill_offset_delete, P(READ, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {60, 1, fill_describe_cluster, P(DESCRIBE, CLUSTER), CLUSTER, 0, {0}},
    {61, 0, fill_describe_producers, P(READ, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {65, 0, fill_describe_transactions, P(DESCRIBE, TRANSACTIONAL_ID), ID, ID_CODE, {0}},
    {65, 0, fill_describe_transactions, P(DESCRIBE, TOPIC), TOPIC, 0, {0}},
    {66, 1, fill_list_transactions, P(DESCRIBE, TRANSACTIONAL_ID), ID, 0, {0}},
    {68, 0, fill_consumer_group_heartbeat, P(READ, GROUP), NEW_GROUP, GROUP_CODE, {0}},
    {68, 0, fill_consumer_group_heartbeat, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {69, 0, fill_consumer_group_describe, P(DESCRIBE, GROUP), NEW_GROUP, GROUP_CODE, {0}},
    {69, 0, fill_consumer_group_describe, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}},
    {29, 2, fill_describe_acls, P(DESCRIBE, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {30, 2, fill_create_acls, P(ALTER, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {31, 2, fill_delete_acls, P(ALTER, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {43, 2, fill_elect_leaders, P(ALTER, CLUSTER), CLUSTER, CLUSTER_CODE, {0}, .first = 1},
    {43, 0, fill_elect_leaders, P(ALTER, CLUSTER), CLUSTER, 0, {0}, .before = 1}, /* has no code */
    {45, 0, fill_alter_partition_reassignments, P(ALTER, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {46, 0, fill_list_partition_reassignments, P(DESCRIBE, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {48, 1, fill_describe_client_quotas, P(DESCRIBE_CONFIGS, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {50, 0, fill_describe_user_scram_credentials, P(DESCRIBE, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {51, 0, fill_alter_user_scram_credentials, P(ALTER, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {74, 1, fill_list_config_resources, P(DESCRIBE_CONFIGS, CLUSTER), CLUSTER, CLUSTER_CODE, {0}},
    {75, 0, fill_describe_topic_partitions, P(DESCRIBE, TOPIC), TOPIC, TOPIC_CODE, {0}},
};

const unsigned ask_cases_count = sizeof ask_cases / sizeof ask_cases[0];
