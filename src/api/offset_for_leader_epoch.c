#include "wire/generated/offset_for_leader_epoch.h"

#include "api/appended.h"
#include "api/handlers.h"

/* One server leads all partitions from the beginning, so epoch 0 is the only one (KIP-320). */
static void answer_partition(struct api_server *server, struct slice topic, bool allowed,
                             const struct offset_for_leader_epoch_request_partition *in,
                             struct offset_for_leader_epoch_response_partition *out)
{
    offset_for_leader_epoch_response_partition_init(out);
    out->partition = in->partition;
    if (!allowed) {
        out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    struct partition *partition = api_find_partition(server, topic, in->partition);
    if (partition == NULL) {
        out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    if (log_is_offline(partition->log)) {
        out->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    } else if (in->current_leader_epoch > 0) {
        out->error_code = KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    } else if (in->leader_epoch == 0) {
        out->leader_epoch = 0;
        out->end_offset = partition_high_watermark(partition);
    }
    partition_unref(partition);
}

static enum err answer(struct api_request *request, struct reason *reason)
{
    (void)reason;
    const struct offset_for_leader_epoch_request *body = request->state;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_response_init(&response);
    response.topics = api_alloc(request, (size_t)body->topics_count, sizeof *response.topics);
    response.topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct offset_for_leader_epoch_request_topic *in = &body->topics[t];
        struct offset_for_leader_epoch_response_topic *out = &response.topics[t];
        out->topic = in->topic;
        out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
        out->partitions_count = in->partitions_count;
        bool allowed = api_allows(request, API_DESCRIBE, api_topic(in->topic));
        for (int32_t i = 0; i < in->partitions_count; i++) {
            answer_partition(request->server, in->topic, allowed, &in->partitions[i],
                             &out->partitions[i]);
        }
    }
    API_REPLY(request, offset_for_leader_epoch_response_encode, &response);
    return ERR_NONE;
}

/* The end of the one epoch is the end of the log. */
static bool waits_for_appended(struct api_request *request,
                               const struct offset_for_leader_epoch_request *body)
{
    struct appended appended = {.count = 0};
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct offset_for_leader_epoch_request_topic *topic = &body->topics[t];
        for (int32_t i = 0; i < topic->partitions_count; i++) {
            appended_add(&appended, request, topic->topic, topic->partitions[i].partition);
        }
    }
    return appended_wait(request, &appended, answer);
}

enum err handle_offset_for_leader_epoch(struct api_request *request, struct reason *reason)
{
    struct offset_for_leader_epoch_request *body = api_alloc_state(request, sizeof *body);
    enum err err =
        offset_for_leader_epoch_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    return waits_for_appended(request, body) ? ERR_NONE : answer(request, reason);
}
