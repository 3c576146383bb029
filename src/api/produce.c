#include "stream/produce.h"

#include "api/handlers.h"
#include "api/produce_txn.h"
#include "api/txn_reply.h"
#include "base/mem.h"
#include "wire/generated/produce.h"

#include <stdlib.h>

enum { RECODED_PERCENT = 75 }; /* of the share for requests, as of what goes to a worker */

/* A produce request from its appends to its answer. Lives in the request's arena. */
struct produce_call {
    struct api_request *request;
    struct slice transactional_id;
    int16_t acks;
    bool id_denied;             /* its transactional id is not the client's to use */
    struct produce_item *items; /* in the order of the response's partitions */
    size_t item_count;
    size_t next_item; /* those before it are prepared */
    size_t may_open;  /* what the compressed batches may still be opened into */
    struct produce_response response;
    struct produce_wait wait;
    size_t body_position;
    size_t counted_bytes; /* in the reactor's purse */
    size_t recoded_bytes; /* of batches in the topic's codec, in the budget */
};

static void find_partition(struct produce_item *item, struct topic *topic, int32_t index,
                           int16_t refusal, int16_t *code)
{
    item->partition = topic != NULL ? topic_partition(topic, index) : NULL;
    if (refusal != KAFKA_ERROR_NONE) {
        *code = refusal;
        item->partition = NULL;
    } else if (item->partition == NULL) {
        *code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    } else if (topic->internal) {
        *code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        item->partition = NULL;
    } else {
        partition_ref(item->partition);
    }
}

/* What forbids all writes to a topic, whatever its state. */
static int16_t refusal_of(const struct produce_call *call, struct slice topic)
{
    if (call->acks < -1 || call->acks > 1) {
        return KAFKA_ERROR_INVALID_REQUIRED_ACKS;
    }
    if (call->id_denied) {
        return KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    return api_allows(call->request, API_WRITE, api_topic(topic))
               ? KAFKA_ERROR_NONE
               : KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
}

/* Answers and items of one topic; each item's partition is held. */
static void find_topic(struct produce_call *call, const struct produce_request_topic *in,
                       struct produce_response_topic *out)
{
    int16_t refusal = refusal_of(call, in->name);
    struct api_request *request = call->request;
    struct topic *topic = catalogue_find(request->server->catalogue, in->name);
    produce_response_topic_init(out);
    out->name = api_keep(request, in->name);
    out->partition_responses =
        api_alloc(request, (size_t)in->partition_data_count, sizeof *out->partition_responses);
    out->partition_responses_count = in->partition_data_count;
    for (int32_t i = 0; i < in->partition_data_count; i++) {
        struct produce_response_partition *answer = &out->partition_responses[i];
        struct produce_item *item = &call->items[call->item_count++];
        produce_response_partition_init(answer);
        answer->index = in->partition_data[i].index;
        item->no_zstd = api_version(request) < 7;
        find_partition(item, topic, answer->index, refusal, &answer->error_code);
        if (item->partition != NULL) {
            produce_take(item, in->partition_data[i].records.bytes);
        }
    }
    if (topic != NULL) {
        topic_unref(topic);
    }
}

/* Whether much has to be opened or compressed: not a reactor's work. */
static bool is_slow(struct produce_call *call)
{
    size_t quick_bytes = PRODUCE_QUICK_BYTES;
    for (size_t i = 0; i < call->item_count; i++) {
        if (produce_is_slow(&call->items[i], &quick_bytes)) {
            return true;
        }
    }
    return false;
}

/* A batch in the topic's codec is kept until it is appended. */
static void count_recoded(struct produce_call *call, struct produce_item *item)
{
    struct budget *budget = call->request->server->budget;
    size_t bytes = item->recoded.capacity;
    if (bytes == 0 || budget == NULL) {
        return;
    }
    if (budget_take_within(budget, BUDGET_REQUESTS, bytes, RECODED_PERCENT)) {
        call->recoded_bytes += bytes;
        return;
    }
    buf_deinit(&item->recoded);
    if (item->err == ERR_NONE) {
        item->err = reason_fail(&item->reason, ERR_TIMEOUT,
                                "there is no memory for one more batch in the topic's "
                                "compression.type (memory.max): try again");
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Opens, checks and recompresses; what that takes meanwhile is counted, for as many as there are
 * threads that do such work. */
static void prepare(struct produce_call *call, struct produce_item *item, int64_t now_ms)
{
    const struct api_server *server = call->request->server;
    size_t left = call->may_open > 0 ? call->may_open : 1;
    item->open_max_bytes = server->open_max_bytes > 0 ? least(server->open_max_bytes, left) : left;
    bool opens = server->budget != NULL && item->plain.size == 0 &&
                 batch_compression(&item->batch) != BATCH_COMPRESSION_NONE;
    size_t counted = opens ? 2 * item->open_max_bytes : 0;
    if (opens) {
        budget_add(server->budget, BUDGET_CLEANER, counted);
    }
    produce_prepare(item, now_ms);
    if (opens) {
        budget_give(server->budget, BUDGET_CLEANER, counted);
    }
    count_recoded(call, item);
    call->may_open -= least(item->opened_bytes, call->may_open);
}

/* Prepares the next item; NULL: there is none. */
static struct produce_item *prepare_one(struct produce_call *call, int64_t now_ms)
{
    while (call->next_item < call->item_count) {
        struct produce_item *item = &call->items[call->next_item++];
        if (item->partition != NULL) {
            prepare(call, item, now_ms);
            return item;
        }
    }
    return NULL;
}

static void count_produced(const struct produce_call *call, const struct produce_item *item,
                           int64_t now_ms)
{
    if (item->err == ERR_NONE) {
        api_connection_count(call->request->connection, CLIENT_PRODUCED,
                             slice_str(item->partition->topic->name), slice_of(NULL, 0),
                             (uint64_t)item->batch.record_count, item->batch.bytes.size, now_ms);
    }
}

static void append_all(struct produce_call *call)
{
    int64_t now_ms = clock_wall_ms(call->request->server->clock);
    for (size_t i = 0; i < call->item_count; i++) {
        if (i == call->next_item) {
            (void)prepare_one(call, now_ms);
        }
        if (call->items[i].partition != NULL) {
            produce_append(&call->items[i], now_ms);
            count_produced(call, &call->items[i], now_ms);
        }
    }
}

static void let_go(struct produce_call *call)
{
    for (size_t i = 0; i < call->item_count; i++) {
        if (call->items[i].partition != NULL) {
            partition_unref(call->items[i].partition);
            produce_item_deinit(&call->items[i]);
        }
    }
    if (call->recoded_bytes > 0) {
        budget_give(call->request->server->budget, BUDGET_REQUESTS, call->recoded_bytes);
        call->recoded_bytes = 0;
    }
}

/* The text is the first one's; clients give the partition's text for the others. */
static void fill_record_errors(struct produce_call *call, const struct batch_record_errors *errors,
                               struct produce_response_partition *answer)
{
    answer->record_errors = api_alloc(call->request, errors->count, sizeof *answer->record_errors);
    answer->record_errors_count = (int32_t)errors->count;
    for (size_t i = 0; i < errors->count; i++) {
        answer->record_errors[i].batch_index = errors->items[i];
        answer->record_errors[i].batch_index_error_message =
            i == 0 ? answer->error_message : (struct slice){0};
    }
}

static void fill_answer(struct produce_call *call, struct produce_item *item,
                        struct produce_response_partition *answer)
{
    if (item->partition == NULL) {
        answer->base_offset = -1;
        return; /* its code is set */
    }
    if (call->acks == -1) {
        produce_settle(item);
    }
    answer->error_code = produce_error_code(item->err, api_version(call->request));
    answer->base_offset = item->err == ERR_NONE ? item->base_offset : -1;
    if (item->err == ERR_NONE) {
        answer->log_append_time_ms = item->append_time_ms;
        answer->log_start_offset = item->log_start_offset;
        return;
    }
    answer->error_message = api_reason(call->request, &item->reason);
    answer->log_start_offset = partition_log_start(item->partition);
    bool by_record = item->err == ERR_INVALID_RECORD || item->err == ERR_INVALID_TIMESTAMP;
    if (by_record && item->record_errors.count > 0) {
        fill_record_errors(call, &item->record_errors, answer);
    }
}

/* With acks=0 nothing tells of an error but the end of the connection, as Kafka does it: the
 * producer looks up its topics again. */
static void send_nothing(struct produce_call *call)
{
    for (int32_t t = 0; t < call->response.responses_count; t++) {
        const struct produce_response_topic *topic = &call->response.responses[t];
        for (int32_t i = 0; i < topic->partition_responses_count; i++) {
            const struct produce_response_partition *answer = &topic->partition_responses[i];
            if (answer->error_code != KAFKA_ERROR_NONE) {
                struct reason reason;
                bool clean = topic_check_name(topic->name, NULL) == ERR_NONE;
                reason_set(&reason, "acks=0 and topic '%.*s' partition %d failed with error %d",
                           SLICE_ARGS(clean ? topic->name : slice_str("?")), (int)answer->index,
                           answer->error_code);
                api_close(call->request, &reason);
                return;
            }
        }
    }
    struct api_reply nothing = {.ending = API_ANSWERS_NOTHING};
    api_finish(call->request, &nothing);
}

/* Memory for a request that waits for the disk: small, so it is counted on the reactor. False:
 * there is none. */
static bool count(struct produce_call *call)
{
    struct budget_purse *purse = api_purse(call->request);
    size_t bytes = sizeof *call->request + call->request->arena.held_bytes;
    if (purse != NULL && !budget_purse_take(purse, bytes, 100)) {
        return false;
    }
    call->counted_bytes = purse != NULL ? bytes : 0;
    return true;
}

static void uncount(struct produce_call *call)
{
    if (call->counted_bytes > 0) {
        budget_purse_give(api_purse(call->request), call->counted_bytes);
        call->counted_bytes = 0;
    }
}

static void send_answer(struct produce_call *call)
{
    struct api_request *request = call->request;
    size_t next = 0;
    uncount(call);
    for (int32_t t = 0; t < call->response.responses_count; t++) {
        struct produce_response_topic *topic = &call->response.responses[t];
        for (int32_t i = 0; i < topic->partition_responses_count; i++) {
            fill_answer(call, &call->items[next++], &topic->partition_responses[i]);
        }
    }
    let_go(call);
    if (call->acks == 0) {
        send_nothing(call);
        return;
    }
    API_REPLY(request, produce_response_encode, &call->response);
}

static void on_flushed(struct produce_wait *wait)
{
    send_answer(container_of(wait, struct produce_call, wait));
}

/* acks=all waits for the disk; acks=1 has its answer now (promise 1). */
static void answer_or_wait(struct produce_call *call)
{
    struct api_request *request = call->request;
    if (call->acks == -1) {
        struct flush_target *targets = api_alloc(request, call->item_count, sizeof *targets);
        call->wait.done = on_flushed;
        request->conn = NULL;
        if (produce_wait_begin(&call->wait, request->server->flusher, api_reactor(request),
                               call->items, call->item_count, targets)) {
            return;
        }
    }
    send_answer(call);
}

/* Gives the request its frame, for what the items borrow of it is still to be appended. On its
 * reactor. False: there is no room for it. */
static bool take_frame(struct produce_call *call)
{
    if (call->request->own_frame != NULL) {
        return true;
    }
    if (!api_reserve(call->request)) {
        return false;
    }
    uncount(call);
    ptrdiff_t by = api_take_frame(call->request);
    call->transactional_id = api_moved(call->transactional_id, by);
    for (size_t i = 0; i < call->item_count; i++) {
        call->items[i].batch.bytes = api_moved(call->items[i].batch.bytes, by);
    }
    return true;
}

/* Nothing was appended. Who asked for no answer gets none, and learns of it by the close, as in
 * Kafka. */
static enum err refuse(struct produce_call *call)
{
    struct api_request *request = call->request;
    struct wire_reader body = request->body;
    body.position = call->body_position;
    uncount(call);
    let_go(call);
    if (call->acks == 0) {
        struct reason reason;
        reason_set(&reason, "no room for this Produce request: the memory for requests is used up "
                            "(memory.max)");
        api_close(request, &reason);
        return ERR_NONE;
    }
    api_refuse_for_memory(request, body);
    return ERR_NONE;
}

static void append_in(struct produce_call *call, struct produce_txn *txn)
{
    append_all(call);
    txn_session_leave(&txn->session);
    answer_or_wait(call);
}

/* The transaction before this one has ended, or cannot be ended now. */
static enum err append_after_end(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct produce_call *call = request->state;
    struct produce_txn txn;
    produce_txn_enter(request, call->transactional_id, call->items, call->item_count, false, &txn);
    append_in(call, &txn);
    return ERR_NONE;
}

static enum err append_or_wait(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct produce_call *call = request->state;
    struct produce_txn txn;
    produce_txn_enter(request, call->transactional_id, call->items, call->item_count, true, &txn);
    if (txn.must_wait) {
        if (!take_frame(call)) {
            return refuse(call);
        }
        api_txn_park(request, call->transactional_id, append_after_end);
    } else {
        append_in(call, &txn);
    }
    return ERR_NONE;
}

/* On a worker, up to the next batch that may take long. Others have their turns in between. */
static enum err prepare_next(struct api_request *request, struct reason *reason)
{
    struct produce_call *call = request->state;
    int64_t now_ms = clock_wall_ms(request->server->clock);
    const struct produce_item *item;
    while ((item = prepare_one(call, now_ms)) != NULL) {
        if (item->opened_bytes > 0 || item->recoded.size > 0 || item->err != ERR_NONE) {
            return api_go_on_slowly(request, prepare_next);
        }
    }
    return append_or_wait(request, reason);
}

static struct produce_call *new_call(struct api_request *request,
                                     const struct produce_request *body)
{
    struct produce_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->transactional_id = body->transactional_id;
    call->acks = body->acks;
    call->may_open = PRODUCE_OPENED_BYTES;
    call->id_denied = !slice_is_null(body->transactional_id) &&
                      !api_allows(request, API_WRITE, api_transactional_id(body->transactional_id));
    produce_response_init(&call->response);
    call->response.responses =
        api_alloc(request, (size_t)body->topic_data_count, sizeof *call->response.responses);
    call->response.responses_count = body->topic_data_count;
    size_t items = 0;
    for (int32_t i = 0; i < body->topic_data_count; i++) {
        items += (size_t)body->topic_data[i].partition_data_count;
    }
    call->items = api_alloc(request, items, sizeof *call->items);
    for (int32_t i = 0; i < body->topic_data_count; i++) {
        find_topic(call, &body->topic_data[i], &call->response.responses[i]);
    }
    return call;
}

enum err handle_produce(struct api_request *request, struct reason *reason)
{
    struct produce_request body;
    size_t body_position = request->body.position;
    enum err err = produce_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct produce_call *call = new_call(request, &body);
    call->body_position = body_position;
    request->state = call;
    if (is_slow(call)) {
        return take_frame(call) ? api_go_on_slowly(request, prepare_next) : refuse(call);
    }
    if (call->acks == -1 && !count(call)) {
        return refuse(call);
    }
    return append_or_wait(request, reason);
}
