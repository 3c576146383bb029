#include "wire/generated/offset_for_leader_epoch.h"

#include "api/appended.h"
#include "api/handlers.h"

/* From the request to its answer. */
struct epoch_call {
    struct offset_for_leader_epoch_request body;
    bool *allowed; /* by topic */
};

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
    const struct epoch_call *call = request->state;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_response_init(&response);
    response.topics_count = call->body.topics_count;
    response.topics = api_alloc(request, (size_t)response.topics_count, sizeof *response.topics);
    for (int32_t t = 0; t < response.topics_count; t++) {
        const struct offset_for_leader_epoch_request_topic *in = &call->body.topics[t];
        struct offset_for_leader_epoch_response_topic *out = &response.topics[t];
        out->topic = in->topic;
        out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
        out->partitions_count = in->partitions_count;
        for (int32_t i = 0; i < in->partitions_count; i++) {
            answer_partition(request->server, in->topic, call->allowed[t], &in->partitions[i],
                             &out->partitions[i]);
        }
    }
    API_REPLY(request, offset_for_leader_epoch_response_encode, &response);
    return ERR_NONE;
}

/* The end of the one epoch is the end of the log. */
static bool waits_for_appended(struct api_request *request, const struct epoch_call *call)
{
    struct appended appended = {.count = 0};
    for (int32_t t = 0; t < call->body.topics_count; t++) {
        const struct offset_for_leader_epoch_request_topic *topic = &call->body.topics[t];
        for (int32_t i = 0; call->allowed[t] && i < topic->partitions_count; i++) {
            appended_add(&appended, request, topic->topic, topic->partitions[i].partition);
        }
    }
    return appended_wait(request, &appended, answer);
}

enum err handle_offset_for_leader_epoch(struct api_request *request, struct reason *reason)
{
    struct epoch_call *call = api_alloc_state(request, sizeof *call);
    struct offset_for_leader_epoch_request *body = &call->body;
    enum err err =
        offset_for_leader_epoch_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    call->allowed = api_alloc(request, (size_t)body->topics_count, sizeof *call->allowed);
    for (int32_t i = 0; i < body->topics_count; i++) {
        call->allowed[i] = api_allows(request, API_DESCRIBE, api_topic(body->topics[i].topic));
    }
    return waits_for_appended(request, call) ? ERR_NONE : answer(request, reason);
}
