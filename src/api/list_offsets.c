#include "wire/generated/list_offsets.h"

#include "api/appended.h"
#include "api/handlers.h"
#include "topic/partition.h"

/* The timestamps with a meaning of their own (KIP-79, KIP-734, KIP-405). */
enum {
    TIME_LATEST = -1,
    TIME_EARLIEST = -2,
    TIME_MAX = -3,
    TIME_EARLIEST_LOCAL = -4, /* nothing is tiered: all is local */
};

/* From the request to its answer. */
struct list_offsets_call {
    struct list_offsets_request body;
    bool *allowed; /* by topic */
};

static void look_up(struct partition *partition, int8_t isolation_level, int64_t timestamp,
                    struct list_offsets_response_partition *out)
{
    int64_t limit = isolation_level == 1 ? partition_last_stable_offset(partition)
                                         : partition_high_watermark(partition);
    struct reason reason;
    enum err err = ERR_NONE;
    switch (timestamp) {
    case TIME_LATEST:
        out->offset = limit;
        break;
    case TIME_EARLIEST:
    case TIME_EARLIEST_LOCAL:
        out->offset = partition_log_start(partition);
        break;
    case TIME_MAX:
        err = partition_load(partition, &reason);
        if (err == ERR_NONE) {
            err = log_find_max_time(partition->log, limit, &out->offset, &out->timestamp, &reason);
        }
        break;
    default:
        if (timestamp < 0) {
            out->error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
            return;
        }
        err = partition_load(partition, &reason);
        if (err == ERR_NONE) {
            err = log_find_time(partition->log, timestamp, limit, &out->offset, &out->timestamp,
                                &reason);
        }
    }
    if (err == ERR_NONE && out->offset == -1) {
        out->timestamp = -1;
    } else if (err == ERR_NONE) {
        out->leader_epoch = 0;
    }
    out->error_code = api_error_code(err);
}

static void answer_topic(struct api_request *request, const struct list_offsets_call *call,
                         int32_t index, struct list_offsets_response_topic *out)
{
    const struct list_offsets_request_topic *in = &call->body.topics[index];
    list_offsets_response_topic_init(out);
    out->name = in->name;
    out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        const struct list_offsets_request_partition *wanted = &in->partitions[i];
        struct list_offsets_response_partition *answer = &out->partitions[i];
        list_offsets_response_partition_init(answer);
        answer->partition_index = wanted->partition_index;
        if (!call->allowed[index]) {
            answer->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
            continue;
        }
        struct partition *partition =
            api_find_partition(request->server, in->name, wanted->partition_index);
        if (partition == NULL) {
            answer->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
            continue;
        }
        if (log_is_offline(partition->log)) {
            answer->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
        } else if (wanted->current_leader_epoch > 0) {
            answer->error_code = KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
        } else {
            look_up(partition, call->body.isolation_level, wanted->timestamp, answer);
        }
        partition_unref(partition);
    }
}

/* Only looking for a time reads the log. */
static bool reads_log(const struct list_offsets_request *body)
{
    for (int32_t t = 0; t < body->topics_count; t++) {
        for (int32_t i = 0; i < body->topics[t].partitions_count; i++) {
            int64_t timestamp = body->topics[t].partitions[i].timestamp;
            if (timestamp >= 0 || timestamp == TIME_MAX) {
                return true;
            }
        }
    }
    return false;
}

static enum err answer(struct api_request *request, struct reason *reason)
{
    (void)reason;
    const struct list_offsets_call *call = request->state;
    struct list_offsets_response response;
    list_offsets_response_init(&response);
    response.topics_count = call->body.topics_count;
    response.topics = api_alloc(request, (size_t)response.topics_count, sizeof *response.topics);
    for (int32_t i = 0; i < response.topics_count; i++) {
        answer_topic(request, call, i, &response.topics[i]);
    }
    API_REPLY(request, list_offsets_response_encode, &response);
    return ERR_NONE;
}

/* Each answer but the log's start depends on how far it goes. */
static bool waits_for_appended(struct api_request *request, const struct list_offsets_call *call)
{
    struct appended appended = {.count = 0};
    for (int32_t t = 0; t < call->body.topics_count; t++) {
        const struct list_offsets_request_topic *topic = &call->body.topics[t];
        for (int32_t i = 0; call->allowed[t] && i < topic->partitions_count; i++) {
            int64_t timestamp = topic->partitions[i].timestamp;
            if (timestamp != TIME_EARLIEST && timestamp != TIME_EARLIEST_LOCAL) {
                appended_add(&appended, request, topic->name, topic->partitions[i].partition_index);
            }
        }
    }
    return appended_wait(request, &appended, answer);
}

enum err handle_list_offsets(struct api_request *request, struct reason *reason)
{
    struct list_offsets_call *call = api_alloc_state(request, sizeof *call);
    struct list_offsets_request *body = &call->body;
    enum err err = list_offsets_request_decode(&request->body, api_version(request), body);
    if (err != ERR_NONE) {
        return err;
    }
    call->allowed = api_alloc(request, (size_t)body->topics_count, sizeof *call->allowed);
    for (int32_t i = 0; i < body->topics_count; i++) {
        call->allowed[i] = api_allows(request, API_DESCRIBE, api_topic(body->topics[i].name));
    }
    if (waits_for_appended(request, call)) {
        return ERR_NONE;
    }
    return reads_log(body) ? api_go_on(request, answer) : answer(request, reason);
}
