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
    struct list_offsets_response response;
    int32_t topic; /* which is looked up next */
    int32_t partition;
};

/* Of look-ups that do not read the log, one after the other on a worker. */
enum { QUICK_LOOK_UPS = 256 };

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

static void answer_partition(struct api_request *request, const struct list_offsets_call *call,
                             int32_t topic, const struct list_offsets_request_partition *wanted,
                             struct list_offsets_response_partition *answer)
{
    list_offsets_response_partition_init(answer);
    answer->partition_index = wanted->partition_index;
    if (!call->allowed[topic]) {
        answer->error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    struct partition *partition =
        api_find_partition(request->server, call->body.topics[topic].name, wanted->partition_index);
    if (partition == NULL) {
        answer->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
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

static bool is_by_time(int64_t timestamp)
{
    return timestamp >= 0 || timestamp == TIME_MAX;
}

/* Only looking for a time reads the log. */
static bool reads_log(const struct list_offsets_request *body)
{
    for (int32_t t = 0; t < body->topics_count; t++) {
        for (int32_t i = 0; i < body->topics[t].partitions_count; i++) {
            if (is_by_time(body->topics[t].partitions[i].timestamp)) {
                return true;
            }
        }
    }
    return false;
}

/* Answers the next partition, in its place; false when there is none. *by_time: the log was read.
 */
static bool answer_next(struct api_request *request, struct list_offsets_call *call, bool *by_time)
{
    struct list_offsets_response *response = &call->response;
    while (call->topic < call->body.topics_count) {
        const struct list_offsets_request_topic *in = &call->body.topics[call->topic];
        struct list_offsets_response_topic *out = &response->topics[call->topic];
        if (call->partition == 0) {
            list_offsets_response_topic_init(out);
            out->name = in->name;
            out->partitions =
                api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
            out->partitions_count = in->partitions_count;
        }
        if (call->partition < in->partitions_count) {
            int32_t index = call->partition++;
            *by_time = is_by_time(in->partitions[index].timestamp);
            answer_partition(request, call, call->topic, &in->partitions[index],
                             &out->partitions[index]);
            return true;
        }
        call->topic++;
        call->partition = 0;
    }
    return false;
}

/* On a worker: one look-up by time, as thousands may be asked for, and others have their turns in
 * between. */
static enum err answer_some(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct list_offsets_call *call = request->state;
    bool by_time = false;
    for (int i = 0; i < QUICK_LOOK_UPS && !by_time; i++) {
        if (!answer_next(request, call, &by_time)) {
            API_REPLY(request, list_offsets_response_encode, &call->response);
            return ERR_NONE;
        }
    }
    return api_go_on_slowly(request, answer_some);
}

/* All on the spot, of what reads no log; else on workers. */
static enum err answer(struct api_request *request, struct reason *reason)
{
    struct list_offsets_call *call = request->state;
    list_offsets_response_init(&call->response);
    call->response.topics_count = call->body.topics_count;
    call->response.topics =
        api_alloc(request, (size_t)call->body.topics_count, sizeof *call->response.topics);
    if (reads_log(&call->body)) {
        return api_go_on_slowly(request, answer_some);
    }
    bool by_time;
    while (answer_next(request, call, &by_time)) {
    }
    API_REPLY(request, list_offsets_response_encode, &call->response);
    (void)reason;
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
    return answer(request, reason);
}
