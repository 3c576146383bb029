/* Admin calls: each sends one request and waits for its one result. */
#include "client.h"

#include <stdio.h>
#include <string.h>

/* Takes the next event off the queue. Its own error, or NULL for none in time, is a failure. */
static int wait_event(struct client *client, rd_kafka_queue_t *queue, const char *what,
                      rd_kafka_event_t **event)
{
    *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (!*event)
        return client_fail(client, "%s: no answer", what);
    if (rd_kafka_event_error(*event))
        return client_fail_code(client, rd_kafka_event_error(*event), what);
    return 0;
}

static int end_event(rd_kafka_queue_t *queue, rd_kafka_event_t *event, int result)
{
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return result;
}

static int topic_result(struct client *client, const rd_kafka_topic_result_t **topics,
                        const char *what)
{
    rd_kafka_resp_err_t error = rd_kafka_topic_result_error(topics[0]);
    return error ? client_fail_code(client, error, what) : 0;
}

int admin_create_topic(struct client *client, const char *topic, int partition_count,
                       const char *const *config, size_t config_count)
{
    char why[256];
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partition_count, 1, why, sizeof why);
    if (!wanted)
        return client_fail(client, "%s", why);
    for (size_t at = 0; at < config_count; at++)
        rd_kafka_NewTopic_set_config(wanted, config[2 * at], config[2 * at + 1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_CreateTopics(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "create topic", &event);
    if (result == 0) {
        size_t count;
        result = topic_result(
            client,
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count),
            "create topic");
    }
    return end_event(queue, event, result);
}

int admin_delete_topic(struct client *client, const char *topic)
{
    rd_kafka_DeleteTopic_t *wanted = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_DeleteTopics(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_DeleteTopic_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "delete topic", &event);
    if (result == 0) {
        size_t count;
        result = topic_result(
            client,
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count),
            "delete topic");
    }
    return end_event(queue, event, result);
}

int admin_add_partitions(struct client *client, const char *topic, int partition_count)
{
    char why[256];
    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(topic, (size_t)partition_count, why, sizeof why);
    if (!wanted)
        return client_fail(client, "%s", why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_CreatePartitions(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_NewPartitions_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "create partitions", &event);
    if (result == 0) {
        size_t count;
        result = topic_result(client,
                              rd_kafka_CreatePartitions_result_topics(
                                  rd_kafka_event_CreatePartitions_result(event), &count),
                              "create partitions");
    }
    return end_event(queue, event, result);
}

static int find_config(struct client *client, const rd_kafka_ConfigResource_t *resource,
                       const char *key, char *value, size_t value_size_bytes)
{
    rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(resource);
    if (error)
        return client_fail_code(client, error, "describe configs");
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t at = 0; at < count; at++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[at]), key) == 0) {
            const char *found = rd_kafka_ConfigEntry_value(entries[at]);
            snprintf(value, value_size_bytes, "%s", found ? found : "(null)");
            return 0;
        }
    }
    return client_fail(client, "no %s among the settings", key);
}

int admin_get_config(struct client *client, const char *topic, const char *key, char *value,
                     size_t value_size_bytes)
{
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_DescribeConfigs(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "describe configs", &event);
    if (result == 0) {
        size_t count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &count);
        result = find_config(client, resources[0], key, value, value_size_bytes);
    }
    return end_event(queue, event, result);
}

int admin_set_config(struct client *client, const char *topic, const char *key, const char *value)
{
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_ConfigResource_set_config(wanted, key, value);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_AlterConfigs(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "alter configs", &event);
    if (result == 0) {
        size_t count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_AlterConfigs_result_resources(
            rd_kafka_event_AlterConfigs_result(event), &count);
        rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(resources[0]);
        if (error)
            result = client_fail_code(client, error, "alter configs");
    }
    return end_event(queue, event, result);
}

int admin_delete_records(struct client *client, const char *topic, int partition, int64_t before)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_DeleteRecords(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "delete records", &event);
    if (result == 0) {
        const rd_kafka_topic_partition_list_t *done =
            rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
        if (done->elems[0].err)
            result = client_fail_code(client, done->elems[0].err, "delete records");
    }
    return end_event(queue, event, result);
}

int admin_delete_group(struct client *client, const char *group)
{
    rd_kafka_DeleteGroup_t *wanted = rd_kafka_DeleteGroup_new(group);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_DeleteGroups(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_DeleteGroup_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "delete group", &event);
    if (result == 0) {
        size_t count;
        const rd_kafka_group_result_t **groups =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
        const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
        if (error)
            result = client_fail_code(client, rd_kafka_error_code(error), "delete group");
    }
    return end_event(queue, event, result);
}

int admin_group_state(struct client *client, const char *group, const char **state)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    const char *groups[] = {group};
    rd_kafka_DescribeConsumerGroups(client->admin, groups, 1, NULL, queue);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "describe group", &event);
    if (result == 0) {
        size_t count;
        const rd_kafka_ConsumerGroupDescription_t **found =
            rd_kafka_DescribeConsumerGroups_result_groups(
                rd_kafka_event_DescribeConsumerGroups_result(event), &count);
        const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(found[0]);
        if (error)
            result = client_fail_code(client, rd_kafka_error_code(error), "describe group");
        else
            *state = rd_kafka_consumer_group_state_name(
                rd_kafka_ConsumerGroupDescription_state(found[0]));
    }
    return end_event(queue, event, result);
}

int admin_group_offset(struct client *client, const char *group, const char *topic, int partition,
                       int64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_ListConsumerGroupOffsets_t *wanted =
        rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_ListConsumerGroupOffsets(client->admin, &wanted, 1, NULL, queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "group offsets", &event);
    if (result == 0) {
        size_t count;
        const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
        const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
        if (error)
            result = client_fail_code(client, rd_kafka_error_code(error), "group offsets");
        else
            *offset = rd_kafka_group_result_partitions(groups[0])->elems[0].offset;
    }
    return end_event(queue, event, result);
}

int admin_group_listed(struct client *client, const char *group, bool *listed)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->admin);
    rd_kafka_ListConsumerGroups(client->admin, NULL, queue);
    rd_kafka_event_t *event;
    int result = wait_event(client, queue, "list groups", &event);
    *listed = false;
    if (result == 0) {
        size_t count;
        const rd_kafka_ConsumerGroupListing_t **found = rd_kafka_ListConsumerGroups_result_valid(
            rd_kafka_event_ListConsumerGroups_result(event), &count);
        for (size_t at = 0; at < count; at++)
            *listed |= strcmp(rd_kafka_ConsumerGroupListing_group_id(found[at]), group) == 0;
    }
    return end_event(queue, event, result);
}

int admin_topic_listed(struct client *client, const char *topic, int *partition_count)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client->admin, 1, NULL, &metadata, WAIT_MS);
    if (error)
        return client_fail_code(client, error, "metadata");
    *partition_count = 0;
    for (int at = 0; at < metadata->topic_cnt; at++) {
        if (strcmp(metadata->topics[at].topic, topic) == 0)
            *partition_count = metadata->topics[at].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    return 0;
}
