#include "stream/fetch.h"

#include "api/handlers.h"
#include "base/mem.h"
#include "wire/generated/fetch.h"

#include <string.h>
#include <utlist.h>

/*
 * Fetch sessions (KIP-227) are declined as the protocol allows: every answer has session id 0, so
 * clients send the whole list each time.
 */

/* From this version on topics come by id (KIP-516). */
enum { NO_NAMES_VERSION = 13 };

/* A fetch from request to answer. Lives in the request's arena. */
struct fetch_call {
    struct api_request *request;
    struct fetch fetch;
    struct fetch_response response;
    struct fetch_call *prev; /* among the connection's waiting fetches */
    struct fetch_call *next;
    bool listed;
};

static void release_partitions(struct fetch_call *call)
{
    for (size_t i = 0; i < call->fetch.item_count; i++) {
        if (call->fetch.items[i].partition != NULL) {
            partition_unref(call->fetch.items[i].partition);
        }
    }
}

void api_fetch_cancel_all(struct api_connection *connection)
{
    struct fetch_call *call;
    struct fetch_call *next;
    DL_FOREACH_SAFE (connection->fetches, call, next) {
        DL_DELETE(connection->fetches, call);
        call->listed = false;
        if (fetch_cancel(&call->fetch)) {
            release_partitions(call);
            api_request_free(call->request);
        } /* else on_done answers a dead token, which frees it */
    }
}

void api_fetch_answer_all(struct api_connection *connection)
{
    struct fetch_call *call;
    struct fetch_call *next;
    DL_FOREACH_SAFE (connection->fetches, call, next) {
        fetch_answer(&call->fetch);
    }
}

static void fill_aborted(struct api_request *request, const struct fetch_item *item,
                         struct fetch_response_partition *out)
{
    out->aborted_transactions_count = (int32_t)item->aborted_count;
    out->aborted_transactions =
        api_alloc(request, item->aborted_count, sizeof *out->aborted_transactions);
    for (size_t i = 0; i < item->aborted_count; i++) {
        out->aborted_transactions[i].producer_id = item->aborted[i].producer_id;
        out->aborted_transactions[i].first_offset = item->aborted[i].first_offset;
    }
}

static void fill_partition(struct api_request *request, const struct fetch_item *item,
                           struct fetch_response_partition *out, bool read_committed)
{
    out->records.bytes = WIRE_EMPTY;
    if (read_committed) {
        fill_aborted(request, item, out);
    } else {
        out->aborted_transactions_count = -1; /* null: the reader did not ask */
    }
    if (item->partition == NULL) {
        out->high_watermark = -1;
        return; /* its code is set */
    }
    out->error_code = api_error_code(item->err);
    out->high_watermark = item->err == ERR_NONE ? item->high_watermark : -1;
    out->last_stable_offset = item->err == ERR_NONE ? item->last_stable_offset : -1;
    out->log_start_offset = item->log_start_offset;
}

static void on_done(struct fetch *fetch)
{
    struct fetch_call *call = container_of(fetch, struct fetch_call, fetch);
    if (call->listed) {
        DL_DELETE(call->request->connection->fetches, call);
    }
    size_t next = 0;
    for (int32_t t = 0; t < call->response.responses_count; t++) {
        struct fetch_response_topic *topic = &call->response.responses[t];
        for (int32_t i = 0; i < topic->partitions_count; i++) {
            struct fetch_item *item = &fetch->items[next++];
            fill_partition(call->request, item, &topic->partitions[i], fetch->read_committed);
            if (item->partition != NULL && item->span.size > 0) {
                topic->partitions[i].records.spans = &item->span;
                topic->partitions[i].records.span_count = 1;
            }
        }
    }
    struct api_reply reply;
    api_reply_begin(&call->request->completion, &reply);
    fetch_response_encode(&reply.writer, api_version(call->request), &call->response);
    fetch_free_aborted(fetch);
    release_partitions(call); /* the spans hold what they need */
    api_finish(call->request, &reply);
}

static struct topic *find_topic(struct api_request *request, const struct fetch_request_topic *in,
                                int16_t *code)
{
    if (api_version(request) >= NO_NAMES_VERSION) {
        struct topic_id id;
        memcpy(id.bytes, in->topic_id.bytes, sizeof id.bytes);
        *code = KAFKA_ERROR_UNKNOWN_TOPIC_ID;
        return catalogue_find_id(request->server->catalogue, &id);
    }
    *code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return catalogue_find(request->server->catalogue, in->topic);
}

/* Whether the topic's events are in zstd and the client's version knows none (KIP-110); as in Kafka
 * its compression.type tells, not the batches. */
static bool is_unreadable(const struct topic *topic, int16_t version)
{
    enum batch_compression codec;
    int level;
    return version < 10 && topic_config_codec(topic_config(topic), &codec, &level) &&
           codec == BATCH_COMPRESSION_ZSTD;
}

static void plan_partition(struct topic *topic, int16_t topic_code, int16_t version,
                           const struct fetch_request_partition *in, struct fetch_item *item,
                           struct fetch_response_partition *out)
{
    fetch_response_partition_init(out);
    out->partition_index = in->partition;
    item->offset = in->fetch_offset;
    item->max_bytes = in->partition_max_bytes;
    item->partition = topic != NULL ? topic_partition(topic, in->partition) : NULL;
    if (item->partition == NULL) {
        out->error_code = topic == NULL ? topic_code : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    } else if (in->current_leader_epoch > 0) {
        /* The only epoch there is is 0 (KIP-320). */
        out->error_code = KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
        item->partition = NULL;
    } else if (is_unreadable(topic, version)) {
        out->error_code = KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
        item->partition = NULL;
    } else {
        partition_ref(item->partition);
    }
}

static void plan_topic(struct fetch_call *call, const struct fetch_request_topic *in,
                       struct fetch_response_topic *out)
{
    struct api_request *request = call->request;
    int16_t code;
    struct topic *topic = find_topic(request, in, &code);
    struct slice name = topic != NULL ? slice_str(topic->name) : in->topic;
    bool named = topic != NULL || api_version(request) < NO_NAMES_VERSION;
    if (named && !api_allows(request, API_READ, api_topic(name))) {
        code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        if (topic != NULL) {
            topic_unref(topic);
            topic = NULL;
        }
    }
    fetch_response_topic_init(out);
    out->topic = api_keep(request, in->topic);
    out->topic_id = in->topic_id;
    out->partitions = api_alloc(request, (size_t)in->partitions_count, sizeof *out->partitions);
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        plan_partition(topic, code, api_version(request), &in->partitions[i],
                       &call->fetch.items[call->fetch.item_count++], &out->partitions[i]);
    }
    if (topic != NULL) {
        topic_unref(topic);
    }
}

/* Partitions that were seen: open addressing, twice as many places as there are items. */
struct seen {
    const struct partition **places;
    size_t mask;
};

static bool see(struct seen *seen, const struct partition *partition)
{
    size_t at = (size_t)((uintptr_t)partition / sizeof(void *) * 0x9e3779b97f4a7c15u >> 17);
    for (;; at++) {
        const struct partition **place = &seen->places[at & seen->mask];
        if (*place == partition) {
            return false;
        }
        if (*place == NULL) {
            *place = partition;
            return true;
        }
    }
}

/* One that is named again is refused: each would wait on its own, and be looked at for each event.
 */
static void refuse_repeated(struct fetch_call *call)
{
    size_t places = 4;
    while (places < 2 * call->fetch.item_count) {
        places *= 2;
    }
    struct seen seen = {api_alloc(call->request, places, sizeof *seen.places), places - 1};
    struct fetch_item *item = call->fetch.items;
    for (int32_t t = 0; t < call->response.responses_count; t++) {
        struct fetch_response_topic *topic = &call->response.responses[t];
        for (int32_t i = 0; i < topic->partitions_count; i++, item++) {
            if (item->partition != NULL && !see(&seen, item->partition)) {
                topic->partitions[i].error_code = KAFKA_ERROR_INVALID_REQUEST;
                partition_unref(item->partition);
                item->partition = NULL;
            }
        }
    }
}

static void plan(struct fetch_call *call, const struct fetch_request *body)
{
    struct api_request *request = call->request;
    size_t items = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        items += (size_t)body->topics[i].partitions_count;
    }
    fetch_response_init(&call->response);
    call->response.responses =
        api_alloc(request, (size_t)body->topics_count, sizeof *call->response.responses);
    call->response.responses_count = body->topics_count;
    call->fetch.items = api_alloc(request, items, sizeof *call->fetch.items);
    for (int32_t i = 0; i < body->topics_count; i++) {
        plan_topic(call, &body->topics[i], &call->response.responses[i]);
    }
    if (items > 1) {
        refuse_repeated(call);
    }
    int64_t most = request->server->config.fetch_max_bytes;
    call->fetch.max_bytes = body->max_bytes < most ? body->max_bytes : most;
    call->fetch.min_bytes =
        body->min_bytes < call->fetch.max_bytes ? body->min_bytes : call->fetch.max_bytes;
    call->fetch.max_wait_ms = body->max_wait_ms;
    call->fetch.read_committed = body->isolation_level == 1;
    call->fetch.done = on_done;
    call->fetch.held_bytes = request->arena.held_bytes;
    call->fetch.owner = request->connection;
}

enum err handle_fetch(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct fetch_request body;
    enum err err = fetch_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (body.session_epoch > 0) {
        /* Continues a session, and none was ever given. 0 asks for a new one, -1 for none. */
        struct fetch_response response;
        fetch_response_init(&response);
        response.error_code = KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND;
        API_REPLY(request, fetch_response_encode, &response);
        return ERR_NONE;
    }
    struct fetch_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    plan(call, &body);
    struct reactor *reactor = conn_reactor(request->conn);
    call->listed = true;
    DL_APPEND(request->connection->fetches, call);
    request->conn = NULL;
    fetch_start(request->server->fetches, reactor, &call->fetch);
    return ERR_NONE;
}
