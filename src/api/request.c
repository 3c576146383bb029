#include "api/api.h"
#include "base/logger.h"
#include "base/mem.h"
#include "wire/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The rest of the share for requests is for those that wait for the disk only (api_purse). */
enum { RESERVE_PERCENT = 75 };

/* The life of a request, as every handler uses it: its memory, its steps and its end. */

void api_request_free(struct api_request *request)
{
    api_connection_unref(request->connection);
    arena_deinit(&request->arena);
    free(request->own_frame);
    if (request->reserved_bytes > 0) {
        budget_give(request->server->budget, BUDGET_REQUESTS, request->reserved_bytes);
    }
    free(request);
}

void *api_alloc(struct api_request *request, size_t count, size_t size)
{
    request->arena.limit_bytes = 0; /* the limit is for decoding what a peer sent */
    return arena_alloc_array(&request->arena, count ? count : 1, size);
}

void *api_alloc_state(struct api_request *request, size_t size)
{
    size_t limit_bytes = request->arena.limit_bytes;
    request->state = api_alloc(request, 1, size);
    request->arena.limit_bytes = limit_bytes;
    return request->state;
}

enum err api_check_size(const struct api_request *request, struct reason *reason)
{
    int64_t most = request->server->answer_bytes;
    size_t limit = most > 0 && most < API_ANSWER_BYTES ? (size_t)most : API_ANSWER_BYTES;
    if (request->arena.used_bytes > limit) {
        return reason_fail(
            reason, ERR_TOO_LARGE,
            "the answer to this %s request would take more than %zu KiB: ask for less "
            "at once, or raise memory.max",
            wire_api_find(request->completion.api_key)->name, limit >> 10);
    }
    return ERR_NONE;
}

struct api_reactor *api_reactors_new(const struct net *net, struct budget *budget)
{
    struct api_reactor *reactors = mem_new_array(struct api_reactor, net_reactor_count(net));
    for (unsigned i = 0; i < net_reactor_count(net); i++) {
        reactors[i].requests = (struct budget_purse){.budget = budget, .share = BUDGET_REQUESTS};
    }
    return reactors;
}

struct budget_purse *api_purse(const struct api_request *request)
{
    struct api_reactor *reactors = request->server->reactors;
    return reactors != NULL ? &reactors[request->completion.token.reactor_index].requests : NULL;
}

static size_t reserve_bytes(const struct api_request *request)
{
    return sizeof *request + request->body.bytes.size + request->arena.held_bytes;
}

bool api_reserve(struct api_request *request)
{
    struct budget *budget = request->server->budget;
    size_t bytes = reserve_bytes(request);
    if (budget == NULL) {
        return true;
    }
    if (!budget_take_within(budget, BUDGET_REQUESTS, bytes, RESERVE_PERCENT)) {
        return false;
    }
    request->reserved_bytes = bytes;
    return true;
}

/* An error behind which clients try again: members of groups do so with another one than others. */
static int16_t code_for_memory(const struct api_request *request)
{
    switch (request->completion.api_key) {
    case API_KEY_OFFSET_COMMIT:
    case API_KEY_OFFSET_FETCH:
    case API_KEY_JOIN_GROUP:
    case API_KEY_HEARTBEAT:
    case API_KEY_LEAVE_GROUP:
    case API_KEY_SYNC_GROUP:
    case API_KEY_TXN_OFFSET_COMMIT:
    case API_KEY_CONSUMER_GROUP_HEARTBEAT:
        return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
    default:
        return KAFKA_ERROR_REQUEST_TIMED_OUT;
    }
}

void api_refuse_for_memory(struct api_request *request, struct wire_reader body)
{
    struct api_reply reply;
    const char *name = wire_api_find(request->completion.api_key)->name;
    request->arena.limit_bytes =
        request->arena.used_bytes + (size_t)request->server->request_arena_bytes;
    api_reply_begin(&request->completion, &reply);
    api_hold(request); /* else more of them come, and each refusal takes memory while it is held */
    reply.hold_ms = request->server->unwritten_hold_ms;
    if (wire_refuse(&reply.writer, request->completion.api_key, api_version(request), &body,
                    code_for_memory(request)) &&
        reply.writer.err == ERR_NONE) {
        LOG_WARN("api", "a request was refused: the memory for requests is used up (memory.max)",
                 "peer=%s api=%s bytes=%zu", request->connection->peer, name, body.bytes.size);
        api_finish(request, &reply);
        return;
    }
    wire_writer_deinit(&reply.writer);
    buf_deinit(&reply.bytes);
    struct reason reason;
    reason_set(&reason,
               "no room for this %s request: the memory for requests is used up "
               "(memory.max)",
               name);
    api_close(request, &reason);
}

struct named {
    struct slice name;
    int32_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *left = a;
    const struct named *right = b;
    if (left->name.size != right->name.size) {
        return left->name.size < right->name.size ? -1 : 1;
    }
    int order =
        left->name.size > 0 ? memcmp(left->name.data, right->name.data, left->name.size) : 0;
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

const int32_t *api_first_of_equal(struct api_request *request, const struct slice *names,
                                  int32_t count)
{
    struct named *sorted = api_alloc(request, (size_t)count, sizeof *sorted);
    int32_t *first = api_alloc(request, (size_t)count, sizeof *first);
    for (int32_t i = 0; i < count; i++) {
        sorted[i] = (struct named){names[i], i};
    }
    qsort(sorted, (size_t)count, sizeof *sorted, compare_named);
    for (int32_t i = 0, run = 0; i < count; i++) {
        run = i > 0 && slice_equal(sorted[i].name, sorted[run].name) ? run : i;
        first[sorted[i].index] = sorted[run].index;
    }
    return first;
}

struct slice api_keep(struct api_request *request, struct slice slice)
{
    if (slice_is_null(slice)) {
        return slice;
    }
    uint8_t *copy = api_alloc(request, slice.size, 1);
    slice_copy(copy, slice);
    return slice_of(copy, slice.size);
}

struct slice api_text(struct api_request *request, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return api_keep(request, slice_str(text));
}

struct slice api_reason(struct api_request *request, const struct reason *reason)
{
    return reason->text[0] != '\0' ? api_keep(request, slice_str(reason->text)) : (struct slice){0};
}

void api_run(struct api_request *request, api_step *step)
{
    struct reason reason = {.text = ""};
    enum err err = step(request, &reason);
    if (err == ERR_NONE) {
        return;
    }
    if (reason.text[0] == '\0') {
        reason_set(&reason, "malformed %s request, version %d (%s)",
                   wire_api_find(request->completion.api_key)->name, api_version(request),
                   err_name(err));
    }
    api_close(request, &reason);
}

static void run_step(struct task *task)
{
    struct api_request *request = container_of(task, struct api_request, task);
    api_run(request, request->step);
}

ptrdiff_t api_take_frame(struct api_request *request)
{
    if (request->own_frame != NULL) {
        return 0;
    }
    struct slice *frame = &request->body.bytes;
    if (request->conn != NULL) {
        request->own_frame = conn_take_frame(request->conn, frame->data);
    }
    if (request->own_frame == NULL) {
        request->own_frame = mem_dup(frame->data, frame->size);
    }
    ptrdiff_t by = (ptrdiff_t)((uintptr_t)request->own_frame - (uintptr_t)frame->data);
    frame->data = request->own_frame;
    return by;
}

struct slice api_moved(struct slice slice, ptrdiff_t by)
{
    if (slice.data != NULL) {
        slice.data = (const uint8_t *)((uintptr_t)slice.data + (uintptr_t)by);
    }
    return slice;
}

void api_hold(struct api_request *request)
{
    if (request->conn != NULL) { /* else it is held back already */
        conn_hold(request->conn, request->completion.token);
    }
}

struct reactor *api_reactor(const struct api_request *request)
{
    return net_reactor(request->server->net, request->completion.token.reactor_index);
}

void api_park(struct api_request *request, api_step *step)
{
    assert(request->own_frame != NULL);
    api_hold(request);
    request->conn = NULL;
    request->step = step;
    request->task.run = run_step;
}

void api_resume(struct api_request *request)
{
    workers_post(request->server->workers, request->connection->owner, request->speed,
                 &request->task);
}

enum err api_go_on(struct api_request *request, api_step *step)
{
    api_park(request, step);
    api_resume(request);
    return ERR_NONE;
}

enum err api_go_on_slowly(struct api_request *request, api_step *step)
{
    request->speed = WORKER_SLOW;
    return api_go_on(request, step);
}

enum err api_handle_slowly(struct api_request *request, struct wire_reader whole)
{
    if (request->reserved_bytes == 0 && whole.bytes.size > API_QUICK_BYTES) {
        if (!api_reserve(request)) {
            api_refuse_for_memory(request, whole);
            return ERR_NONE;
        }
    } else if (request->reserved_bytes == 0 && request->server->budget != NULL) {
        request->reserved_bytes = reserve_bytes(request); /* little: a member is not to be lost */
        budget_add(request->server->budget, BUDGET_REQUESTS, request->reserved_bytes);
    }
    request->body = whole;
    request->client_id = api_moved(request->client_id, api_take_frame(request));
    return api_go_on_slowly(request, request->entry->handle);
}

void api_reply_begin(const struct completion *completion, struct api_reply *reply)
{
    *reply = (struct api_reply){.ending = API_ANSWERS};
    buf_reserve(&reply->bytes, 256);
    wire_writer_init(&reply->writer, &reply->bytes);
    wire_response_header_encode(&reply->writer, completion->api_key, completion->api_version,
                                completion->correlation_id);
}

/* The encoded bytes with their file spans. */
static struct reply take_encoded(struct api_reply *reply)
{
    struct reply out = {.bytes = buf_take(&reply->bytes)};
    size_t count;
    struct wire_splice *splices = wire_writer_take_splices(&reply->writer, &count);
    if (count > 0) {
        out.spans = mem_new_array(struct reply_span, count);
        out.span_count = count;
        for (size_t i = 0; i < count; i++) {
            out.spans[i] = (struct reply_span){splices[i].offset, splices[i].span};
        }
    }
    free(splices);
    return out;
}

int32_t api_hold_ms(const struct api_server *server, enum err err)
{
    return err == ERR_COORDINATOR_UNAVAILABLE ? server->unwritten_hold_ms : 0;
}

void api_complete(struct net *net, const struct completion *completion, struct api_reply *reply)
{
    struct reply out = {.nothing = true};
    bool has_answer = reply->ending == API_ANSWERS || reply->ending == API_ANSWERS_LAST;
    if (has_answer && reply->writer.err != ERR_NONE) {
        /* A response that the protocol cannot carry: a bug or a huge cluster; never half a reply.
         */
        LOG_ERROR("api", "a response could not be encoded; its connection is closed", "error=%s",
                  err_name(reply->writer.err));
        reply->ending = API_CLOSES;
    } else if (has_answer) {
        out = take_encoded(reply);
    }
    if (completion->loses_answer) {
        reply_deinit(&out);
        out = (struct reply){.nothing = true};
    }
    out.close_after = reply->ending == API_CLOSES || reply->ending == API_ANSWERS_LAST ||
                      completion->loses_answer;
    out.hold_ms = reply->hold_ms > completion->hold_ms ? reply->hold_ms : completion->hold_ms;
    wire_writer_deinit(&reply->writer);
    buf_deinit(&reply->bytes);
    net_reply(net, completion->token, &out);
}

void api_finish(struct api_request *request, struct api_reply *reply)
{
    struct net *net = request->server->net;
    struct completion completion = request->completion;
    api_request_free(request);
    api_complete(net, &completion, reply);
}

void api_close(struct api_request *request, const struct reason *reason)
{
    struct api_reply reply = {.ending = API_CLOSES};
    LOG_WARN("api", "connection closed", "peer=%s reason=\"%s\"", request->connection->peer,
             reason->text);
    api_finish(request, &reply);
}

struct partition *api_find_partition(struct api_server *server, struct slice name, int32_t index)
{
    struct topic *topic = catalogue_find(server->catalogue, name);
    if (topic == NULL) {
        return NULL;
    }
    struct partition *partition = topic_partition(topic, index);
    if (partition == NULL) {
        topic_unref(topic);
    }
    return partition; /* the topic's reference is the partition's */
}
