#include "wire/generated/describe_log_dirs.h"

#include "api/handlers.h"

#include <string.h>
#include <sys/statvfs.h>

static void add_partition(struct describe_log_dirs_response_topic *out, const struct topic *topic,
                          int32_t index)
{
    const struct partition *partition = topic_partition(topic, index);
    if (partition == NULL || log_is_offline(partition->log)) {
        return; /* only logs that are open are listed, as in Kafka */
    }
    struct describe_log_dirs_response_partition *answer = &out->partitions[out->partitions_count++];
    describe_log_dirs_response_partition_init(answer);
    answer->partition_index = index;
    answer->partition_size = log_size_bytes(partition->log);
}

static void add_whole_topic(struct api_request *request,
                            struct describe_log_dirs_response_result *result,
                            const struct topic *topic)
{
    struct describe_log_dirs_response_topic *out = &result->topics[result->topics_count++];
    int32_t count = topic_partition_count(topic);
    out->name = api_keep(request, slice_str(topic->name));
    out->partitions = api_alloc(request, (size_t)count, sizeof *out->partitions);
    for (int32_t i = 0; i < count; i++) {
        add_partition(out, topic, i);
    }
}

static void add_wanted(struct api_request *request,
                       struct describe_log_dirs_response_result *result,
                       const struct describe_log_dirs_request_topic *in)
{
    struct topic *topic = catalogue_find(request->server->catalogue, in->topic);
    if (topic == NULL) {
        return; /* Kafka leaves out what it does not have */
    }
    struct describe_log_dirs_response_topic *out = &result->topics[result->topics_count++];
    out->name = in->topic;
    out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
    for (int32_t i = 0; i < in->partitions_count; i++) {
        add_partition(out, topic, in->partitions[i]);
    }
    topic_unref(topic);
}

static void fill_topics(struct api_request *request, const struct describe_log_dirs_request *body,
                        struct describe_log_dirs_response_result *result)
{
    if (body->topics_count >= 0) {
        result->topics = api_alloc(request, (size_t)body->topics_count, sizeof *result->topics);
        for (int32_t i = 0; i < body->topics_count; i++) {
            add_wanted(request, result, &body->topics[i]);
        }
        return;
    }
    struct topic_list *topics = catalogue_list(request->server->catalogue);
    result->topics = api_alloc(request, topics->count, sizeof *result->topics);
    for (size_t i = 0; i < topics->count; i++) {
        add_whole_topic(request, result, topics->items[i]);
    }
    topic_list_unref(topics);
}

enum err handle_describe_log_dirs(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct describe_log_dirs_request body;
    enum err err = describe_log_dirs_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_log_dirs_response_result result;
    describe_log_dirs_response_result_init(&result);
    struct describe_log_dirs_response response;
    describe_log_dirs_response_init(&response);
    if (!api_allows(request, API_DESCRIBE, api_cluster())) {
        response.error_code = KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
        API_REPLY(request, describe_log_dirs_response_encode, &response);
        return ERR_NONE;
    }
    result.log_dir = slice_str(request->server->data_dir);
    struct statvfs room;
    if (statvfs(request->server->data_dir, &room) == 0) {
        result.total_bytes = (int64_t)room.f_blocks * (int64_t)room.f_frsize;
        result.usable_bytes = (int64_t)room.f_bavail * (int64_t)room.f_frsize;
    }
    fill_topics(request, &body, &result);
    response.results = &result;
    response.results_count = 1;
    API_REPLY(request, describe_log_dirs_response_encode, &response);
    return ERR_NONE;
}
