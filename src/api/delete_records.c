#include "wire/generated/delete_records.h"

#include "api/appended.h"
#include "api/handlers.h"

/* From the request to its answer. */
struct delete_records_call {
    struct delete_records_request body;
    bool *allowed; /* by topic */
    struct delete_records_response response;
    int32_t topic; /* which is cut next */
    int32_t partition;
};

static void cut_one(struct api_request *request, struct slice topic, bool allowed,
                    const struct delete_records_request_partition *in,
                    struct delete_records_response_partition *out)
{
    delete_records_response_partition_init(out);
    out->partition_index = in->partition_index;
    out->low_watermark = -1;
    if (!allowed) {
        out->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    struct partition *partition = api_find_partition(request->server, topic, in->partition_index);
    if (partition == NULL) {
        out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    if (partition->topic->internal) {
        out->error_code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    } else if (partition_config(partition)->log.retain) {
        out->error_code = KAFKA_ERROR_POLICY_VIOLATION; /* cleanup.policy without delete */
    } else {
        struct reason reason;
        int64_t low;
        enum err err = catalogue_delete_records(request->server->catalogue, partition, in->offset,
                                                &low, &reason);
        out->error_code = api_error_code(err);
        out->low_watermark = err == ERR_NONE ? low : -1;
    }
    partition_unref(partition);
}

/* Cuts the next partition; false when there is none. */
static bool cut_next(struct api_request *request, struct delete_records_call *call)
{
    while (call->topic < call->body.topics_count) {
        const struct delete_records_request_topic *in = &call->body.topics[call->topic];
        struct delete_records_response_topic *out = &call->response.topics[call->topic];
        if (call->partition == 0) {
            out->name = in->name;
            out->partitions =
                api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
            out->partitions_count = in->partitions_count;
        }
        if (call->partition < in->partitions_count) {
            int32_t index = call->partition++;
            cut_one(request, in->name, call->allowed[call->topic], &in->partitions[index],
                    &out->partitions[index]);
            return true;
        }
        call->topic++;
        call->partition = 0;
    }
    return false;
}

/* A partition a turn. */
static enum err cut_some(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct delete_records_call *call = request->state;
    if (cut_next(request, call)) {
        return api_go_on_slowly(request, cut_some);
    }
    API_REPLY(request, delete_records_response_encode, &call->response);
    return ERR_NONE;
}

static enum err cut_all(struct api_request *request, struct reason *reason)
{
    struct delete_records_call *call = request->state;
    delete_records_response_init(&call->response);
    call->response.topics_count = call->body.topics_count;
    call->response.topics =
        api_alloc(request, (size_t)call->body.topics_count, sizeof *call->response.topics);
    return cut_some(request, reason);
}

/* What was acknowledged can be deleted, and -1 means all of it. */
static bool waits_for_appended(struct api_request *request, const struct delete_records_call *call)
{
    struct appended appended = {.count = 0};
    for (int32_t t = 0; t < call->body.topics_count; t++) {
        const struct delete_records_request_topic *topic = &call->body.topics[t];
        for (int32_t i = 0; call->allowed[t] && i < topic->partitions_count; i++) {
            appended_add(&appended, request, topic->name, topic->partitions[i].partition_index);
        }
    }
    return appended_wait(request, &appended, cut_all);
}

enum err handle_delete_records(struct api_request *request, struct reason *reason)
{
    struct delete_records_call *call = api_alloc_state(request, sizeof *call);
    struct delete_records_request *body = &call->body;
    enum err err = delete_records_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    call->allowed = api_alloc(request, (size_t)body->topics_count, sizeof *call->allowed);
    for (int32_t i = 0; i < body->topics_count; i++) {
        call->allowed[i] = api_allows(request, API_DELETE, api_topic(body->topics[i].name));
    }
    return waits_for_appended(request, call) ? ERR_NONE : cut_all(request, reason);
}
