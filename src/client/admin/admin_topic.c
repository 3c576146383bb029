#include "client/admin/admin_request.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* --- what there is --- */

void admin_topics_deinit(struct admin_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        free(topics->items[i].name);
        vec_deinit(&topics->items[i].partitions);
    }
    vec_deinit(topics);
}

static int by_name(const void *a, const void *b)
{
    const struct admin_topic *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void take_metadata(const struct rd_kafka_metadata *metadata, struct admin_topics *topics)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *from = &metadata->topics[i];
        struct admin_topic *to = vec_add(topics);
        to->name = mem_strdup(from->topic);
        to->is_internal = strncmp(from->topic, "__", 2) == 0;
        for (int j = 0; j < from->partition_cnt; j++) {
            const struct rd_kafka_metadata_partition *at = &from->partitions[j];
            vec_push(&to->partitions, (struct admin_partition){
                                          .id = at->id,
                                          .leader = at->leader,
                                          .preferred = at->replica_cnt > 0 ? at->replicas[0] : -1,
                                          .replica_count = at->replica_cnt,
                                          .in_sync_count = at->isr_cnt});
        }
    }
    if (topics->count > 1) {
        qsort(topics->items, topics->count, sizeof *topics->items, by_name);
    }
}

/* One look; topic NULL: all. *topic_code: what the bus says of the one topic. */
static rd_kafka_resp_err_t look(struct connection *connection, const char *topic,
                                struct admin_topics *topics, rd_kafka_resp_err_t *topic_code)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle =
        topic != NULL ? rd_kafka_topic_new(connection->rk, topic, NULL) : NULL;
    if (topic != NULL && handle == NULL) {
        return rd_kafka_last_error();
    }
    rd_kafka_resp_err_t code = kafka_ask_metadata(connection, topic == NULL, handle, &metadata);
    if (handle != NULL) {
        rd_kafka_topic_destroy(handle);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return code;
    }
    *topic_code = topic == NULL              ? RD_KAFKA_RESP_ERR_NO_ERROR
                  : metadata->topic_cnt == 0 ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                                             : metadata->topics[0].err;
    if (*topic_code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_metadata(metadata, topics);
    }
    rd_kafka_metadata_destroy(metadata);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

enum client_status admin_topics(struct connection *connection, struct admin_topics *topics,
                                struct client_error *error)
{
    rd_kafka_resp_err_t unused;
    *topics = (struct admin_topics){0};
    return connection_fail(connection, error, look(connection, NULL, topics, &unused), NULL);
}

enum client_status admin_topic(struct connection *connection, const char *topic,
                               bool may_be_created, struct admin_topics *topics,
                               struct client_error *error)
{
    enum { RETRY_MS = 100, SETTLE_MS = 1500 };
    int64_t start_ms = clock_mono_ms(clock_system());
    *topics = (struct admin_topics){0};
    for (;;) {
        rd_kafka_resp_err_t topic_code;
        rd_kafka_resp_err_t code = look(connection, topic, topics, &topic_code);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return connection_fail(connection, error, code, NULL);
        }
        /* A topic that the bus creates on this very request has no leader for a moment. */
        bool is_settling =
            topic_code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
            (may_be_created && topic_code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        if (!is_settling || clock_mono_ms(clock_system()) - start_ms > SETTLE_MS) {
            if (client_status_of(topic_code) == CLIENT_NOT_FOUND) {
                client_fail_code(error, topic_code, "there is no such topic");
                return CLIENT_NOT_FOUND;
            }
            return connection_fail(connection, error, topic_code, NULL);
        }
        rd_kafka_poll(connection->rk, RETRY_MS);
    }
}

/* --- creating, deleting, growing --- */

static void take_results(const rd_kafka_topic_result_t **results, size_t count,
                         struct admin_outcomes *outcomes)
{
    for (size_t i = 0; i < count; i++) {
        admin_note(outcomes, rd_kafka_topic_result_name(results[i]),
                   rd_kafka_topic_result_error(results[i]),
                   rd_kafka_topic_result_error_string(results[i]));
    }
}

static enum client_status new_topic(const struct admin_new_topic *from, rd_kafka_NewTopic_t **topic,
                                    struct client_error *error)
{
    char text[256];
    *topic = rd_kafka_NewTopic_new(from->name, from->partition_count, -1, text, sizeof text);
    if (*topic == NULL) {
        return client_fail(error, CLIENT_INVALID, NULL, "%s", text);
    }
    for (size_t i = 0; i < from->setting_count; i++) {
        rd_kafka_NewTopic_set_config(*topic, from->settings[i].name, from->settings[i].value);
    }
    return CLIENT_OK;
}

enum client_status admin_create_topics(struct connection *connection,
                                       const struct admin_new_topic *topics, size_t count,
                                       struct admin_outcomes *outcomes, struct client_error *error)
{
    rd_kafka_NewTopic_t **made = mem_new_array(rd_kafka_NewTopic_t *, count + 1);
    enum client_status status = CLIENT_OK;
    size_t made_count = 0;
    *outcomes = (struct admin_outcomes){0};
    while (status == CLIENT_OK && made_count < count) {
        status = new_topic(&topics[made_count], &made[made_count], error);
        made_count += status == CLIENT_OK;
    }
    if (status == CLIENT_OK) {
        struct admin_request request =
            admin_request_begin(connection, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_CreateTopics(connection->rk, made, count, request.options, request.queue);
        status = admin_request_wait(&request, error);
        if (status == CLIENT_OK) {
            size_t result_count;
            const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
                rd_kafka_event_CreateTopics_result(request.event), &result_count);
            take_results(results, result_count, outcomes);
        }
        admin_request_end(&request);
    }
    rd_kafka_NewTopic_destroy_array(made, made_count);
    free(made);
    return status;
}

enum client_status admin_delete_topics(struct connection *connection, const char *const *names,
                                       size_t count, struct admin_outcomes *outcomes,
                                       struct client_error *error)
{
    rd_kafka_DeleteTopic_t **topics = mem_new_array(rd_kafka_DeleteTopic_t *, count + 1);
    *outcomes = (struct admin_outcomes){0};
    for (size_t i = 0; i < count; i++) {
        topics[i] = rd_kafka_DeleteTopic_new(names[i]);
    }
    struct admin_request request = admin_request_begin(connection, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_DeleteTopics(connection->rk, topics, count, request.options, request.queue);
    enum client_status status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        size_t result_count;
        const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(
            rd_kafka_event_DeleteTopics_result(request.event), &result_count);
        take_results(results, result_count, outcomes);
    }
    admin_request_end(&request);
    rd_kafka_DeleteTopic_destroy_array(topics, count);
    free(topics);
    return status;
}

enum client_status admin_add_partitions(struct connection *connection, const char *topic,
                                        int32_t count, struct client_error *error)
{
    char text[256];
    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(topic, (size_t)count, text, sizeof text);
    if (wanted == NULL) {
        return client_fail(error, CLIENT_INVALID, NULL, "%s", text);
    }
    struct admin_request request =
        admin_request_begin(connection, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
    rd_kafka_CreatePartitions(connection->rk, &wanted, 1, request.options, request.queue);
    enum client_status status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        size_t result_count;
        const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(request.event), &result_count);
        status = client_fail_code(error, rd_kafka_topic_result_error(results[0]),
                                  rd_kafka_topic_result_error_string(results[0]));
    }
    admin_request_end(&request);
    rd_kafka_NewPartitions_destroy(wanted);
    return status;
}

/* --- settings --- */

void admin_topic_settings_deinit(struct admin_topic_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].name);
        free(settings->items[i].value);
    }
    vec_deinit(settings);
}

static void take_settings(const rd_kafka_ConfigResource_t *resource,
                          struct admin_topic_settings *settings)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        struct admin_topic_setting *setting = vec_add(settings);
        setting->name = mem_strdup(rd_kafka_ConfigEntry_name(entries[i]));
        setting->value = mem_strdup(rd_kafka_ConfigEntry_value(entries[i]));
        setting->is_own =
            rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
    }
}

enum client_status admin_topic_settings(struct connection *connection, const char *topic,
                                        struct admin_topic_settings *settings,
                                        struct client_error *error)
{
    *settings = (struct admin_topic_settings){0};
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    struct admin_request request =
        admin_request_begin(connection, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(connection->rk, &asked, 1, request.options, request.queue);
    enum client_status status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        size_t count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(request.event), &count);
        status = client_fail_code(error, rd_kafka_ConfigResource_error(resources[0]),
                                  rd_kafka_ConfigResource_error_string(resources[0]));
        if (status == CLIENT_OK) {
            take_settings(resources[0], settings);
        }
    }
    admin_request_end(&request);
    rd_kafka_ConfigResource_destroy(asked);
    return status;
}

enum client_status admin_replace_topic_settings(struct connection *connection, const char *topic,
                                                const struct admin_setting *settings, size_t count,
                                                struct client_error *error)
{
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_ConfigResource_set_config(wanted, settings[i].name, settings[i].value);
    }
    struct admin_request request = admin_request_begin(connection, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
    rd_kafka_AlterConfigs(connection->rk, &wanted, 1, request.options, request.queue);
    enum client_status status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        size_t resource_count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_AlterConfigs_result_resources(
            rd_kafka_event_AlterConfigs_result(request.event), &resource_count);
        status = client_fail_code(error, rd_kafka_ConfigResource_error(resources[0]),
                                  rd_kafka_ConfigResource_error_string(resources[0]));
    }
    admin_request_end(&request);
    rd_kafka_ConfigResource_destroy(wanted);
    return status;
}
