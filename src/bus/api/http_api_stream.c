#include "bus/api/http_api_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/thread.h"
#include "bus/event/event_where.h"
#include "bus/event/json_word.h"
#include "bus/http/http_stream.h"
#include "client/admin/admin.h"
#include "client/admin/position.h"
#include "client/reader/reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A topic as server-sent events: a thread and a reader each, bounded by API_STREAMS_MAX. The id of
 * an event says where reading goes on in every partition ("15,7,0": next offsets by number of
 * partition), so that a client which comes back with it as Last-Event-ID misses nothing and gets
 * nothing twice. A slow client makes its reader wait; it holds up nobody else.
 */

enum { PARTITIONS_MAX = 256, STEP_MS = 200, POSITION_MS = 10000 };

struct pump {
    struct http_api *api;
    struct http_stream *stream;
    char *topic;
    struct where *where; /* NULL: all */
    bool shows_payloads;
    struct topic_partitions places; /* by number, 0 on; offsets: the next ones */
    int64_t told_ms;                /* when an id was sent last */
    bool has_moved;                 /* since then */
};

static void pump_free(struct pump *pump)
{
    free(pump->topic);
    where_free(pump->where);
    topic_partitions_deinit(&pump->places);
    free(pump);
}

/* --- positions --- */

static void append_position(const struct topic_partitions *places, struct buf *to)
{
    for (size_t i = 0; i < places->count; i++) {
        buf_printf(to, "%s%lld", i > 0 ? "," : "", (long long)places->items[i].offset);
    }
}

/* Of a Last-Event-ID. Partitions that came since begin at their start. */
static bool take_position(struct topic_partitions *places, const struct admin_bounds *bounds,
                          const char *text)
{
    for (size_t i = 0; i < places->count; i++) {
        if (*text == '\0' && i > 0) {
            places->items[i].offset = bounds[i].start;
            continue;
        }
        char *end;
        errno = 0;
        long long offset = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : -1;
        if (offset < 0 || errno != 0 || (*end != ',' && *end != '\0')) {
            return false;
        }
        places->items[i].offset = offset < bounds[i].start ? bounds[i].start : offset;
        if (places->items[i].offset > bounds[i].end) {
            places->items[i].offset = bounds[i].start; /* the topic was made anew */
        }
        text = end + (*end == ',');
    }
    return *text == '\0';
}

/* --- the thread --- */

static void tell_position(struct pump *pump, int64_t now_ms)
{
    struct buf id = {0};
    append_position(&pump->places, &id);
    if (http_stream_send(pump->stream, "position", buf_cstr(&id), slice_str("")) == HTTP_SENT) {
        pump->told_ms = now_ms;
        pump->has_moved = false;
    }
    buf_deinit(&id);
}

/* False: the client is gone. */
static bool send_event(struct pump *pump, const struct event *event)
{
    struct buf id = {0}, line = {0};
    enum http_sent sent;
    append_position(&pump->places, &id);
    http_api_event_line(event, pump->shows_payloads, &line);
    do {
        sent = http_stream_send(pump->stream, NULL, buf_cstr(&id), buf_slice(&line));
        if (sent == HTTP_FULL) {
            (void)http_stream_wait(pump->stream, id.size + line.size + 64, STEP_MS);
        }
    } while (sent == HTTP_FULL);
    buf_deinit(&line);
    buf_deinit(&id);
    pump->told_ms = clock_mono_ms(clock_system());
    pump->has_moved = false;
    return sent == HTTP_SENT;
}

static bool fits(const struct pump *pump, const struct event *event)
{
    struct event_subject subject;
    if (pump->where == NULL) {
        return true;
    }
    event_subject_init(&subject, event);
    bool holds = where_holds(pump->where, event_field_get, &subject);
    event_subject_deinit(&subject);
    return holds;
}

/* False: the client is gone. */
static bool take(struct pump *pump, const struct event *event)
{
    struct topic_partition *at =
        topic_partitions_find(&pump->places, pump->topic, event->partition);
    if (at == NULL) {
        return true;
    }
    at->offset = event->offset + 1;
    pump->has_moved = true;
    return !fits(pump, event) || send_event(pump, event);
}

static void tell_failure(struct pump *pump, const struct client_error *error)
{
    json_t *json = json_pack("{s:o}", "detail", json_utf8(error->text));
    char *text = json_dumps(json, JSON_COMPACT);
    (void)http_stream_send(pump->stream, "failure", NULL, slice_str(text));
    free(text);
    json_decref(json);
}

static void read_on(struct pump *pump, struct reader *reader)
{
    struct client_error error;
    pump->told_ms = clock_mono_ms(clock_system());
    while (!http_stream_is_gone(pump->stream)) {
        struct received *received = NULL;
        enum client_status status = reader_take(reader, STEP_MS, &received, &error);
        bool is_there = received == NULL || take(pump, &received->event);
        received_free(received);
        if (status != CLIENT_OK) {
            tell_failure(pump, &error); /* the client comes back by itself, with its position */
        }
        if (!is_there || status != CLIENT_OK) {
            return;
        }
        int64_t now_ms = clock_mono_ms(clock_system());
        if (pump->has_moved && now_ms - pump->told_ms >= POSITION_MS) {
            tell_position(pump, now_ms); /* what did not fit need not be looked at again */
        }
    }
}

static void *run(void *context)
{
    enum { AHEAD_KBYTES = 256, AHEAD_EVENTS = 1000, WAIT_MS = 100 };
    struct pump *pump = context;
    struct http_api *api = pump->api;
    struct reader *reader = NULL;
    struct client_error error;
    priority_set_nice(PRIORITY_NICE_BEHIND);
    struct reader_settings settings = {.connection = api->connection,
                                       .partitions = &pump->places,
                                       .prefetch_kbytes = AHEAD_KBYTES,
                                       .prefetch_events = AHEAD_EVENTS,
                                       .fetch_wait_ms = WAIT_MS};
    if (reader_open(&settings, &reader, &error) == CLIENT_OK) {
        tell_position(pump, 0); /* from here on nothing is missed */
        read_on(pump, reader);
        (void)reader_close(reader, NULL);
    } else {
        tell_failure(pump, &error);
    }
    http_stream_close(pump->stream);
    pump_free(pump);
    pthread_mutex_lock(&api->lock);
    api->streams--;
    pthread_cond_broadcast(&api->changed);
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

void http_api_stream_end(struct http_api *api)
{
    pthread_mutex_lock(&api->lock);
    while (api->streams > 0) { /* their clients are gone: each ends within a step and its bus */
        pthread_cond_wait(&api->changed, &api->lock);
    }
    pthread_mutex_unlock(&api->lock);
}

/* --- beginning --- */

static enum client_status find_places(struct pump *pump, struct admin_bounds **bounds,
                                      struct connection **connection, struct client_error *error)
{
    struct admin_topics topics = {0};
    *connection = cluster_connection(pump->api->cluster, error);
    if (*connection == NULL) {
        return error->status;
    }
    enum client_status status = admin_topic(*connection, pump->topic, false, &topics, error);
    size_t count = status == CLIENT_OK ? topics.items[0].partitions.count : 0;
    admin_topics_deinit(&topics);
    if (count > PARTITIONS_MAX) {
        return client_fail(error, CLIENT_INVALID, NULL,
                           "it has %zu partitions, a stream is of at most %d", count,
                           PARTITIONS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        topic_partitions_add(&pump->places, pump->topic, (int32_t)i, -1);
    }
    *bounds = mem_new_array(struct admin_bounds, count + 1);
    return status == CLIENT_OK ? admin_bounds(*connection, &pump->places, *bounds, error) : status;
}

/* Last-Event-ID, else ?from=, else the end. */
static enum client_status set_places(struct pump *pump, const struct http_request *request,
                                     struct client_error *error)
{
    struct admin_bounds *bounds = NULL;
    struct connection *connection;
    const char *last = http_header(request, "last-event-id");
    const char *from = http_query(request, "from");
    struct position position;
    struct reason reason;
    enum client_status status = find_places(pump, &bounds, &connection, error);
    last = last != NULL ? last : http_query(request, "last-event-id");
    if (status != CLIENT_OK) {
        free(bounds);
        return status;
    }
    if (last != NULL && last[0] != '\0') {
        if (!take_position(&pump->places, bounds, last)) {
            status =
                client_fail(error, CLIENT_INVALID, NULL,
                            "Last-Event-ID '%.100s' is none of this topic's: leave it out", last);
        }
    } else if (position_parse(from != NULL ? from : "end", clock_wall_ms(clock_system()), &position,
                              &reason) != ERR_NONE) {
        status = client_fail(error, CLIENT_INVALID, NULL, "from: %s", reason.text);
    } else {
        status = position_resolve(connection, &pump->places, &position, bounds, error);
    }
    free(bounds);
    return status;
}

/* Takes a place among the streams that are read. */
static bool take_place(struct http_api *api)
{
    pthread_mutex_lock(&api->lock);
    bool is_taken = api->streams < API_STREAMS_MAX;
    api->streams += is_taken;
    pthread_mutex_unlock(&api->lock);
    return is_taken;
}

static void give_place(struct http_api *api)
{
    pthread_mutex_lock(&api->lock);
    api->streams--;
    pthread_cond_broadcast(&api->changed);
    pthread_mutex_unlock(&api->lock);
}

/* False: the pump is still the caller's, and the reply says why. */
static bool start(struct pump *pump, const struct http_request *request, struct http_reply *reply)
{
    struct client_error error;
    pthread_t thread;
    if (set_places(pump, request, &error) != CLIENT_OK) {
        char what[300];
        snprintf(what, sizeof what, "topic '%.249s'", pump->topic);
        http_api_fail(reply, &error, what);
        return false;
    }
    pump->stream = http_reply_stream(reply);
    if (pump->stream == NULL) {
        return false;
    }
    if (thread_start(&thread, "http-stream", 0, run, pump, NULL) != ERR_NONE) {
        http_stream_close(pump->stream); /* an empty one: the client comes back */
        return false;
    }
    pthread_detach(thread);
    return true;
}

static void say_stream(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    struct where *where;
    if (!http_api_where(request, reply, &where)) {
        return;
    }
    if (!take_place(api)) {
        where_free(where);
        http_problem(reply, 503, "Busy", "%d streams of topics are open already; close one",
                     API_STREAMS_MAX);
        http_reply_header(reply, "Retry-After", "5");
        return;
    }
    struct pump *pump = mem_new(struct pump);
    pump->api = api;
    pump->where = where;
    pump->shows_payloads = http_shows_payloads(request);
    pump->topic = mem_strdup(http_segment(request, "topic"));
    if (!start(pump, request, reply)) {
        pump_free(pump);
        give_place(api);
    }
}

void http_api_stream(struct http_api *api)
{
    static const struct http_parameter query[] = {
        {"from", "string",
         "Where to begin without Last-Event-ID: start, end (the default), an offset, the last N of "
         "each partition (-10) or a time."},
        {"last-event-id", "string", "As the header Last-Event-ID, for clients that cannot set it."},
        {"where", "string", "Only what this condition fits; several have to fit all."},
        {0}};
    http_api_add(api,
                 &(struct http_route){
                     .method = "GET",
                     .path = "/v1/topics/{topic}/stream",
                     .handle = say_stream,
                     .summary = "Events of a topic as they come (server-sent events).",
                     .query = query,
                     .answer = "text/event-stream",
                     .detail =
                         "Each event's `data` is JSON, its `id` the place behind it in all "
                         "partitions: a client that comes back with it as Last-Event-ID misses "
                         "nothing. Events named `position` only move that place; `failure` says "
                         "why the stream ends. Partitions that are added later come with the next "
                         "connection."});
}
