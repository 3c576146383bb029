#include "stream/fetch.h"

#include "api/faults.h"
#include "api/handlers.h"
#include "base/mem.h"
#include "wire/generated/fetch.h"

#include <stdlib.h>
#include <string.h>

/*
 * Fetch sessions (KIP-227) are declined as the protocol allows: every answer has session id 0, so
 * clients send the whole list each time.
 *
 * What was asked for lives as long as the fetch waits, so it is little: the request as it was
 * decoded is forgotten once it is planned, and the answer is made when there is one.
 */

enum {
    /* From this version on topics come by id (KIP-516). */
    NO_NAMES_VERSION = 13,
    /* Larger requests are planned, looked at and answered on a worker. */
    QUICK_BYTES = 4096,
};

struct asked_partition {
    int32_t index;
    int16_t error_code; /* why it has no partition */
};

struct asked_topic {
    struct slice name;
    struct wire_uuid id;
    struct topic *topic; /* held while its partitions are in use; NULL: none is */
    int32_t count;       /* of partitions */
};

/* A fetch from request to answer. Lives in the request's memory. */
struct fetch_call {
    struct api_request *request;
    struct fetch fetch;
    struct asked_topic *topics;
    int32_t topic_count;
    struct asked_partition
        *partitions; /* of all topics, one behind another, as the fetch's items */
};

static void release_topics(struct fetch_call *call)
{
    for (int32_t i = 0; i < call->topic_count; i++) {
        if (call->topics[i].topic != NULL) {
            topic_unref(call->topics[i].topic);
        }
    }
}

static void fill_aborted(struct api_request *request, const struct fetch_item *item,
                         struct fetch_response_partition *out)
{
    out->aborted_transactions_count = (int32_t)item->aborted_count;
    if (item->aborted_count == 0) {
        return;
    }
    out->aborted_transactions =
        api_alloc(request, item->aborted_count, sizeof *out->aborted_transactions);
    for (size_t i = 0; i < item->aborted_count; i++) {
        out->aborted_transactions[i].producer_id = item->aborted[i].producer_id;
        out->aborted_transactions[i].first_offset = item->aborted[i].first_offset;
    }
}

static void fill_partition(struct fetch_call *call, const struct asked_partition *asked,
                           struct fetch_item *item, struct fetch_response_partition *out)
{
    fetch_response_partition_init(out);
    out->partition_index = asked->index;
    out->error_code = asked->error_code;
    out->records.bytes = WIRE_EMPTY;
    if (call->fetch.read_committed) {
        fill_aborted(call->request, item, out);
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
    if (item->span.size > 0) {
        out->records.spans = &item->span;
        out->records.span_count = 1;
    }
}

static void fill_response(struct fetch_call *call, struct fetch_response *out)
{
    size_t next = 0;
    fetch_response_init(out);
    out->responses_count = call->topic_count;
    out->responses = api_alloc(call->request, (size_t)call->topic_count, sizeof *out->responses);
    for (int32_t t = 0; t < call->topic_count; t++) {
        const struct asked_topic *asked = &call->topics[t];
        struct fetch_response_topic *topic = &out->responses[t];
        fetch_response_topic_init(topic);
        topic->topic = asked->name;
        topic->topic_id = asked->id;
        topic->partitions_count = asked->count;
        topic->partitions =
            api_alloc(call->request, (size_t)asked->count, sizeof *topic->partitions);
        for (int32_t i = 0; i < asked->count; i++, next++) {
            fill_partition(call, &call->partitions[next], &call->fetch.items[next],
                           &topic->partitions[i]);
        }
    }
}

/* Events are counted as offsets: what of them compaction took, or a transaction's end, is not known
 * without a look. */
static void count_fetched(const struct fetch_call *call)
{
    const struct fetch_item *item = call->fetch.items;
    int64_t now_ms = clock_wall_ms(call->request->server->clock);
    for (int32_t t = 0; t < call->topic_count; t++) {
        uint64_t events = 0;
        uint64_t bytes = 0;
        for (int32_t i = 0; i < call->topics[t].count; i++, item++) {
            events += item->span.size > 0 ? (uint64_t)(item->end_offset - item->offset) : 0;
            bytes += item->span.size;
        }
        if (bytes > 0) {
            api_connection_count(call->request->connection, CLIENT_FETCHED,
                                 slice_str(call->topics[t].topic->name), slice_of(NULL, 0), events,
                                 bytes, now_ms);
        }
    }
}

/* On the reactor or a worker. */
static void on_done(struct fetch *fetch)
{
    struct fetch_call *call = container_of(fetch, struct fetch_call, fetch);
    struct api_request *request = call->request;
    if (fetch->cancelled) {
        release_topics(call);
        api_request_free(request);
        return;
    }
    struct fetch_response response;
    fill_response(call, &response);
    fetch_free_aborted(fetch);
    count_fetched(call);
    release_topics(call); /* the spans hold what they need */
    request->hold_ms = fetch->hold_ms;
    API_REPLY(request, fetch_response_encode, &response);
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
                           struct asked_partition *out)
{
    out->index = in->partition;
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
    }
}

static void plan_topic(struct fetch_call *call, const struct fetch_request_topic *in,
                       struct asked_topic *out)
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
    out->name = api_keep(request, in->topic);
    out->id = in->topic_id;
    out->topic = topic;
    out->count = in->partitions_count;
    const struct api_faults *faults = request->server->faults;
    bool paused = faults != NULL && topic != NULL && faults->pauses(faults->context, request, name);
    for (int32_t i = 0; i < in->partitions_count; i++) {
        size_t next = call->fetch.item_count++;
        call->fetch.items[next].paused = paused;
        plan_partition(topic, code, api_version(request), &in->partitions[i],
                       &call->fetch.items[next], &call->partitions[next]);
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
    struct seen seen = {mem_new_array(const struct partition *, places), places - 1};
    for (size_t i = 0; i < call->fetch.item_count; i++) {
        struct fetch_item *item = &call->fetch.items[i];
        if (item->partition != NULL && !see(&seen, item->partition)) {
            call->partitions[i].error_code = KAFKA_ERROR_INVALID_REQUEST;
            item->partition = NULL;
        }
    }
    free(seen.places);
}

static void plan(struct fetch_call *call, const struct fetch_request *body)
{
    struct api_request *request = call->request;
    struct fetch *fetch = &call->fetch;
    size_t items = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        items += (size_t)body->topics[i].partitions_count;
    }
    call->topics = api_alloc(request, (size_t)body->topics_count, sizeof *call->topics);
    call->topic_count = body->topics_count;
    call->partitions = api_alloc(request, items, sizeof *call->partitions);
    fetch->items = api_alloc(request, items, sizeof *fetch->items);
    for (int32_t i = 0; i < body->topics_count; i++) {
        plan_topic(call, &body->topics[i], &call->topics[i]);
    }
    if (items > 1) {
        refuse_repeated(call);
    }
    int64_t most = request->server->config.fetch_max_bytes;
    fetch->max_bytes = body->max_bytes < most ? body->max_bytes : most;
    fetch->min_bytes = body->min_bytes < fetch->max_bytes ? body->min_bytes : fetch->max_bytes;
    fetch->max_wait_ms = body->max_wait_ms;
    fetch->read_committed = body->isolation_level == 1;
    fetch->done = on_done;
    fetch->owner = request->connection->owner;
    fetch->list = &request->connection->fetches;
}

/* Nothing points to the request's bytes any more, or to what was decoded. */
static void forget_frame(struct api_request *request)
{
    free(request->own_frame);
    request->own_frame = NULL;
    request->client_id = (struct slice){0};
    request->body = (struct wire_reader){.arena = &request->arena};
    if (request->reserved_bytes > 0) {
        budget_give(request->server->budget, BUDGET_REQUESTS, request->reserved_bytes);
        request->reserved_bytes = 0;
    }
}

/* Continues a session, and none was ever given. 0 asks for a new one, -1 for none. */
static void refuse_session(struct api_request *request)
{
    struct fetch_response response;
    fetch_response_init(&response);
    response.error_code = KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    API_REPLY(request, fetch_response_encode, &response);
}

/* *planned: there is a fetch in request->state; else its session is refused. */
static enum err decode_and_plan(struct api_request *request, bool *planned)
{
    struct arena decoded = {.limit_bytes = request->arena.limit_bytes};
    struct fetch_request body;
    request->body.arena = &decoded;
    enum err err = fetch_request_decode(&request->body, api_version(request), &body);
    *planned = err == ERR_NONE && body.session_epoch <= 0;
    if (*planned) {
        plan(request->state, &body);
    }
    arena_deinit(&decoded);
    forget_frame(request);
    return err;
}

typedef void fetch_starter(struct fetch_service *service, struct reactor *reactor,
                           struct fetch *fetch);

static enum err plan_and_start(struct api_request *request, fetch_starter *start)
{
    struct fetch_call *call = request->state;
    bool planned;
    enum err err = decode_and_plan(request, &planned);
    if (err == ERR_NONE && planned) {
        call->fetch.held_bytes = sizeof *request + request->arena.held_bytes;
        start(request->server->fetches, api_reactor(request), &call->fetch);
    } else if (err == ERR_NONE) {
        refuse_session(request);
    }
    return err;
}

static enum err run_slowly(struct api_request *request, struct reason *reason)
{
    (void)reason;
    return plan_and_start(request, fetch_start_slowly);
}

/* Many partitions: on a worker, with a frame of its own, which is counted as those are that wait.
 */
static enum err go_on_slowly(struct api_request *request)
{
    const struct api_server *server = request->server;
    size_t bytes = sizeof *request + request->body.bytes.size;
    if (server->budget != NULL) {
        if (!fetch_make_room(server->fetches, api_reactor(request), bytes)) {
            api_refuse_for_memory(request, request->body);
            return ERR_NONE;
        }
        request->reserved_bytes = bytes;
    }
    request->client_id = api_moved(request->client_id, api_take_frame(request));
    return api_go_on_slowly(request, run_slowly);
}

enum err handle_fetch(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct fetch_call *call = api_alloc_state(request, sizeof *call);
    call->request = request;
    call->fetch.hurries = request->connection->fetches.hurries;
    if (request->body.bytes.size > QUICK_BYTES) {
        return go_on_slowly(request);
    }
    request->conn = NULL;
    return plan_and_start(request, fetch_start);
}
