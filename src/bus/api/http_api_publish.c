#include "bus/api/http_api_inside.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "bus/event/json_scan.h"
#include "bus/event/json_word.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Events in: CloudEvents 1.0 by the HTTP protocol binding (binary, structured, batch of JSON), or
 * any bytes. The answer comes when all in-sync replicas have them (acks=all), or says of each event
 * why not. A CloudEvent becomes a record in binary mode, whatever it came as, so that its
 * attributes are headers; the body of a batch is looked at as a whole before anything of it is
 * published.
 */

enum {
    BODY_MAX = 16 * 1024 * 1024,
    EVENT_MAX = 1000000, /* publisher.h */
    BATCH_MAX = 10000,   /* events */
    /* JSON is made a tree of for a while. That of an event in structured mode may be longer than
     * the event: by base64, and by \\u escapes. */
    STRUCTURED_MAX = 4 * EVENT_MAX,
    VALUES_MAX = 1000000, /* json_scan_is_small: up to 150 MB */
    HEADERS_MAX = 64,     /* of one event */
    HEADERS_FEW = 4,      /* those of a request that each event of its body gets */
    ANSWER_MS = 10000     /* for the bus to keep them */
};

/* One event of a request. */
struct intake {
    struct event event;
    struct publishing *of;
    /* what became of it: */
    struct client_error error; /* CLIENT_OK: it is kept */
    int32_t partition;
    int64_t offset;
};

struct publishing {
    struct http_api *api;
    const char *topic;
    struct arena arena;
    VEC(struct intake) events; /* not pushed to once the first is on its way */
    pthread_mutex_t lock;      /* guards what became of them, and: */
    pthread_cond_t changed;
    size_t pending;
};

/* --- the publisher; one for all requests --- */

static void on_done(void *context, const struct publication *publication)
{
    struct intake *intake = publication->context;
    struct publishing *of = intake->of;
    (void)context;
    pthread_mutex_lock(&of->lock);
    intake->error.status = publication->status;
    if (publication->error != NULL) {
        intake->error = *publication->error;
    }
    intake->partition = publication->partition;
    intake->offset = publication->offset;
    of->pending--;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

/* One that is broken is closed when nobody uses it any more. */
static struct publisher *take_publisher(struct http_api *api, struct client_error *error)
{
    struct publisher *publisher = NULL;
    pthread_mutex_lock(&api->lock);
    if (api->is_publisher_broken && api->publishing == 0) {
        publisher_close(api->publisher);
        api->publisher = NULL;
        api->is_publisher_broken = false;
    }
    if (api->is_publisher_broken) {
        client_fail(error, CLIENT_UNREACHABLE, "try again in a second",
                    "the connection to publish by is being made anew");
    } else if (api->publisher != NULL) {
        publisher = api->publisher;
    } else {
        struct publisher_settings settings = {.connection = api->connection,
                                              .event_timeout_ms = ANSWER_MS,
                                              .event_max_bytes = BODY_MAX,
                                              .has_thread = true,
                                              .done = on_done};
        if (publisher_open(&settings, &api->publisher, error) == CLIENT_OK) {
            publisher = api->publisher;
        }
    }
    api->publishing += publisher != NULL;
    pthread_mutex_unlock(&api->lock);
    return publisher;
}

static void give_publisher(struct http_api *api, bool is_broken)
{
    pthread_mutex_lock(&api->lock);
    api->publishing--;
    api->is_publisher_broken |= is_broken;
    pthread_mutex_unlock(&api->lock);
}

void http_api_publish_end(struct http_api *api)
{
    publisher_close(api->publisher);
    api->publisher = NULL;
}

/* --- what the request says --- */

static int hex_digit(char letter)
{
    if (isdigit((unsigned char)letter)) {
        return letter - '0';
    }
    letter = (char)tolower((unsigned char)letter);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The value of an attribute's HTTP header (binding 3.1.3.2): quotes around it and backslashes in
 * them go, %XX are bytes. */
static const char *decode_attribute(struct arena *arena, const char *from)
{
    char *to = arena_alloc(arena, strlen(from) + 1);
    size_t size = 0;
    bool is_quoted = from[0] == '"';
    for (from += is_quoted; *from != '\0' && !(is_quoted && *from == '"'); from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low >= 0 && (high != 0 || low != 0)) {
            to[size++] = (char)(high << 4 | low);
            from += 2;
        } else {
            from += is_quoted && from[0] == '\\' && from[1] != '\0';
            to[size++] = *from;
        }
    }
    return to;
}

struct headers_in {
    struct arena *arena;
    struct event *event;
    bool with_attributes;
    size_t most;
    bool is_too_many;
};

/* CloudEvents 1.0: names of attributes are lower-case letters and digits. */
static bool is_attribute(const char *name)
{
    return strncmp(name, "ce-", 3) == 0 && name[3] != '\0' &&
           name[3 + strspn(name + 3, "abcdefghijklmnopqrstuvwxyz0123456789")] == '\0';
}

static void take_header(void *context, const char *name, const char *value)
{
    struct headers_in *in = context;
    const char *as = NULL;
    if (in->with_attributes && is_attribute(name)) {
        as = arena_sprintf(in->arena, "ce_%s", name + 3);
        value = decode_attribute(in->arena, value);
    } else if (strcmp(name, "traceparent") == 0 || strcmp(name, "tracestate") == 0) {
        as = name;
    } else if (strcmp(name, "content-type") == 0) {
        as = "content-type";
    }
    if (as == NULL) {
        return;
    }
    in->is_too_many |= in->event->header_count == in->most;
    if (!in->is_too_many) {
        event_header_add(in->event, arena_cstr(in->arena, slice_str(as)),
                         slice_str(arena_cstr(in->arena, slice_str(value))));
    }
}

static struct event begin_event(struct publishing *of, const struct http_request *request,
                                bool with_attributes, bool *is_too_many)
{
    struct event event = event_blank();
    size_t most = with_attributes ? HEADERS_MAX : HEADERS_FEW;
    struct headers_in in = {&of->arena, &event, with_attributes, most, false};
    event.topic = of->topic;
    event_header_room(&event, most, &of->arena);
    http_header_each(request, take_header, &in);
    *is_too_many = in.is_too_many;
    return event;
}

/* ?key=, the header Tidings-Key, else the attribute partitionkey (Kafka binding, 3.1). */
static void set_key(struct event *event, const struct http_request *request)
{
    const char *key = http_query(request, "key");
    key = key != NULL ? key : http_header(request, "tidings-key");
    if (key != NULL) {
        event->key = slice_str(key);
        return;
    }
    const struct event_header *attribute = event_header_find(event, "ce_partitionkey");
    if (attribute != NULL && !slice_is_null(attribute->value)) {
        event->key = attribute->value;
    }
}

static void add(struct publishing *of, const struct event *event)
{
    vec_push(&of->events,
             (struct intake){.event = *event, .of = of, .partition = -1, .offset = -1});
}

/* What a CloudEvent must have; NULL: it has all. */
static const char *missing_attribute(const struct event *event)
{
    static const char *const needed[] = {"ce_id", "ce_source", "ce_type", "ce_specversion"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const struct event_header *header = event_header_find(event, needed[i]);
        if (header == NULL || header->value.size == 0) {
            return needed[i] + 3;
        }
    }
    return NULL;
}

static bool take_binary(struct publishing *of, const struct http_request *request,
                        struct http_reply *reply)
{
    bool is_too_many, is_cloud = http_header(request, "ce-specversion") != NULL ||
                                 http_header(request, "ce-id") != NULL ||
                                 http_header(request, "ce-type") != NULL;
    struct event event = begin_event(of, request, true, &is_too_many);
    const char *missing = is_cloud ? missing_attribute(&event) : NULL;
    const struct event_header *version = event_header_find(&event, "ce_specversion");
    if (is_too_many) {
        http_problem(reply, 431, "Too many headers", "an event has at most %d headers here",
                     HEADERS_MAX);
        return false;
    }
    if (missing != NULL) {
        http_problem(
            reply, 400, "No CloudEvent",
            "a CloudEvent in binary mode needs the header ce-%s (ce-id, ce-source, ce-type "
            "and ce-specversion: 1.0); without any of them the body is published as it is",
            missing);
        return false;
    }
    if (is_cloud && (version == NULL || version->value.data[0] != '1')) {
        http_problem(reply, 400, "No CloudEvent",
                     "ce-specversion '%s' is not known here: write 1.0",
                     http_header(request, "ce-specversion"));
        return false;
    }
    event.value = http_body(request);
    set_key(&event, request);
    add(of, &event);
    return true;
}

/* One in JSON; false: the reason says why not. */
static bool take_structured(struct publishing *of, const struct http_request *request,
                            struct slice text, struct reason *reason)
{
    bool is_too_many;
    if (text.size > STRUCTURED_MAX || !json_scan_is_small(text, VALUES_MAX)) {
        reason_set(reason, "it has more than %d bytes or %d values", STRUCTURED_MAX, VALUES_MAX);
        return false;
    }
    struct event event = begin_event(of, request, false, &is_too_many);
    for (size_t i = 0; i < event.header_count; i++) { /* of one event, also inside of a batch */
        if (strcmp(event.headers[i].name, "content-type") == 0) {
            event.headers[i].value = slice_str("application/cloudevents+json");
        }
    }
    event.value = text;
    if (event_unwrap(&event, &of->arena, reason) != ERR_NONE) {
        return false;
    }
    if (event.header_count > HEADERS_MAX) {
        reason_set(reason, "it has more than %d attributes", HEADERS_MAX);
        return false;
    }
    set_key(&event, request);
    add(of, &event);
    return true;
}

static bool refuse_batch(struct http_reply *reply, size_t count, json_t *wrong)
{
    http_problem(reply, 400, "No CloudEvents",
                 "%zu of the %zu events are no CloudEvents; nothing was published: mend those in "
                 "'wrong' or leave them out, and send the batch again",
                 json_array_size(wrong), count);
    http_problem_add(reply, "wrong", wrong);
    return false;
}

/* How many events there are, before any is looked at. False: the reply says why none is taken. */
static bool count_batch(struct slice body, struct http_reply *reply, size_t *count)
{
    struct json_scan_array batch = {.text = body};
    struct slice text;
    *count = 0;
    while (*count <= BATCH_MAX && json_scan_next(&batch, &text)) {
        (*count)++;
    }
    if (batch.wrong != NULL) {
        http_problem(reply, 400, "No CloudEvents", "the body is no JSON array: %s", batch.wrong);
        return false;
    }
    if (*count > BATCH_MAX) {
        http_problem(reply, 413, "Batch too large",
                     "the batch has more than %d events: send it in parts", BATCH_MAX);
        return false;
    }
    return true;
}

static bool take_batch(struct publishing *of, const struct http_request *request,
                       struct http_reply *reply)
{
    struct json_scan_array batch = {.text = http_body(request)};
    struct slice text;
    size_t count;
    if (!count_batch(batch.text, reply, &count)) {
        return false;
    }
    json_t *wrong = json_array();
    for (int i = 0; json_scan_next(&batch, &text); i++) {
        struct reason reason = {""};
        if (!take_structured(of, request, text, &reason)) {
            json_array_append_new(
                wrong, json_pack("{s:i, s:o}", "index", i, "detail", json_utf8(reason.text)));
        }
    }
    if (json_array_size(wrong) > 0) {
        return refuse_batch(reply, count, wrong);
    }
    json_decref(wrong);
    return true;
}

static bool check_size(size_t index, size_t bytes, struct http_reply *reply)
{
    if (bytes > EVENT_MAX) {
        http_problem(reply, 413, "Event too large",
                     "event %zu has %zu bytes, at most %d are taken; nothing was published", index,
                     bytes, EVENT_MAX);
    }
    return bytes <= EVENT_MAX;
}

static bool is_type(const char *type, const char *wanted)
{
    size_t size = type != NULL ? strcspn(type, "; \t") : 0;
    return size == strlen(wanted) && strncasecmp(type, wanted, size) == 0;
}

/* Fills of->events. False: the reply says why not. */
static bool take_body(struct publishing *of, const struct http_request *request,
                      struct http_reply *reply)
{
    const char *type = http_header(request, "content-type");
    struct reason reason = {""};
    if (is_type(type, "application/cloudevents-batch+json")) {
        return take_batch(of, request, reply);
    }
    if (is_type(type, "application/cloudevents+json")) {
        if (!take_structured(of, request, http_body(request), &reason)) {
            http_problem(reply, 400, "No CloudEvent", "%s; nothing was published", reason.text);
            return false;
        }
        return true;
    }
    if (type != NULL && strncasecmp(type, "application/cloudevents", 23) == 0) {
        http_problem(reply, 415, "Format not known",
                     "'%s' is not taken: application/cloudevents+json, "
                     "application/cloudevents-batch+json, or binary mode with ce-* headers",
                     type);
        return false;
    }
    if (is_type(type, "application/json") && http_header(request, "ce-id") == NULL) {
        json_error_t at;
        struct slice body = http_body(request);
        if (!check_size(0, body.size, reply)) {
            return false;
        }
        json_t *json =
            json_loadb((const char *)body.data, body.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
        if (json == NULL) {
            http_problem(reply, 400, "No JSON",
                         "the body says that it is JSON, and is not: %s (line %d, column %d); "
                         "nothing was published",
                         at.text, at.line, at.column);
            return false;
        }
        json_decref(json);
    }
    return take_binary(of, request, reply);
}

/* --- publishing --- */

static bool check_sizes(const struct publishing *of, struct http_reply *reply)
{
    for (size_t i = 0; i < of->events.count; i++) {
        const struct event *event = &of->events.items[i].event;
        if (!check_size(i, event->value.size + event->key.size, reply)) {
            return false;
        }
    }
    return true;
}

/* Each gets its end. True: the publisher is of no use any more. */
static bool publish_all(struct publishing *of, struct publisher *publisher)
{
    bool is_broken = false;
    for (size_t i = 0; i < of->events.count; i++) {
        struct intake *intake = &of->events.items[i];
        struct client_error error;
        pthread_mutex_lock(&of->lock);
        of->pending++;
        pthread_mutex_unlock(&of->lock);
        enum client_status status = publisher_publish(publisher, &intake->event, intake, &error);
        if (status != CLIENT_OK) {
            pthread_mutex_lock(&of->lock);
            of->pending--;
            intake->error = error;
            pthread_mutex_unlock(&of->lock);
            is_broken |= status == CLIENT_FATAL;
        }
    }
    pthread_mutex_lock(&of->lock);
    while (of->pending > 0) { /* each has its completion within event_timeout_ms */
        pthread_cond_wait(&of->changed, &of->lock);
    }
    for (size_t i = 0; i < of->events.count; i++) {
        is_broken |= of->events.items[i].error.status == CLIENT_FATAL;
    }
    pthread_mutex_unlock(&of->lock);
    return is_broken;
}

static json_t *result_json(const struct intake *intake, size_t index)
{
    const struct event_header *id = event_header_find(&intake->event, "ce_id");
    json_t *json = json_pack("{s:i, s:i}", "index", (int)index, "status",
                             (int)http_api_status(&intake->error));
    if (id != NULL) {
        char *text = mem_strndup((const char *)id->value.data, id->value.size);
        json_object_set_new(json, "id", json_utf8(text));
        free(text);
    }
    if (intake->error.status == CLIENT_OK) {
        json_object_set_new(json, "partition", json_integer(intake->partition));
        json_object_set_new(json, "offset", json_integer(intake->offset));
    } else {
        json_object_set_new(json, "detail", json_utf8(intake->error.text));
        json_object_set_new(json, "may_be_kept",
                            json_boolean(intake->error.status == CLIENT_TIMED_OUT));
    }
    return json;
}

static void say_results(const struct publishing *of, struct http_reply *reply)
{
    json_t *results = json_array();
    const struct intake *failed = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < of->events.count; i++) {
        const struct intake *at = &of->events.items[i];
        bool is_kept = at->error.status == CLIENT_OK;
        kept += is_kept;
        failed = !is_kept && failed == NULL ? at : failed;
        json_array_append_new(results, result_json(at, i));
    }
    if (failed != NULL && kept == 0) {
        char what[300];
        snprintf(what, sizeof what, "nothing was published to topic '%.249s'", of->topic);
        http_api_fail(reply, &failed->error, what);
        http_problem_add(reply, "results", results);
        return;
    }
    /* RFC 4918, 11.1: some are kept and some are not */
    http_reply_json(reply, failed == NULL ? 200 : 207,
                    json_pack("{s:o, s:i, s:i, s:o}", "topic", json_utf8(of->topic), "kept",
                              (int)kept, "refused", (int)(of->events.count - kept), "results",
                              results));
}

static void count(struct http_api *api, const struct publishing *of)
{
    pthread_mutex_lock(&api->lock);
    api->is_bus_silent = false;
    for (size_t i = 0; i < of->events.count; i++) {
        bool is_kept = of->events.items[i].error.status == CLIENT_OK;
        api->published += is_kept;
        api->refused += !is_kept;
        api->is_bus_silent |= of->events.items[i].error.status == CLIENT_TIMED_OUT;
    }
    pthread_mutex_unlock(&api->lock);
}

/* While the bus is gone only the first requests wait for it: else they would take all workers. */
static bool is_bus_there(struct http_api *api, struct client_error *error)
{
    pthread_mutex_lock(&api->lock);
    bool is_silent = api->is_bus_silent;
    pthread_mutex_unlock(&api->lock);
    return !is_silent || cluster_connection(api->cluster, error) != NULL;
}

static void publish(struct publishing *of, struct http_reply *reply)
{
    struct client_error error;
    if (!is_bus_there(of->api, &error)) {
        http_api_fail(reply, &error, "nothing was published");
        return;
    }
    struct publisher *publisher = take_publisher(of->api, &error);
    if (publisher == NULL) {
        http_api_fail(reply, &error, "nothing was published");
        return;
    }
    bool is_broken = publish_all(of, publisher);
    give_publisher(of->api, is_broken);
    count(of->api, of);
    say_results(of, reply);
}

/* Kafka's rule; librdkafka asks for a name that breaks it again and again. */
static bool is_topic_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    enum { NAME_MAX_BYTES = 249 };
    size_t size = strlen(name);
    return size <= NAME_MAX_BYTES && strspn(name, letters) == size && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static void say_publish(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct publishing of = {.api = context, .topic = http_segment(request, "topic")};
    if (!is_topic_name(of.topic)) {
        http_problem(
            reply, 400, "Not possible",
            "'%s' is no name of a topic: it has up to 249 letters, digits, dots, dashes and "
            "underscores",
            of.topic);
        return;
    }
    if (strncmp(of.topic, "__", 2) == 0) {
        http_problem(reply, 403, "Not allowed",
                     "topic '%s' is the bus's own; events for it are not taken by HTTP", of.topic);
        return;
    }
    pthread_mutex_init(&of.lock, NULL);
    pthread_cond_init(&of.changed, NULL);
    if (take_body(&of, request, reply) && check_sizes(&of, reply)) {
        publish(&of, reply);
    }
    vec_deinit(&of.events);
    arena_deinit(&of.arena);
    pthread_cond_destroy(&of.changed);
    pthread_mutex_destroy(&of.lock);
}

void http_api_publish(struct http_api *api)
{
    static const struct http_parameter query[] = {
        {"key", "string",
         "Key of the event; else the header Tidings-Key, else the attribute partitionkey."},
        {0}};
    http_api_add(
        api,
        &(struct http_route){
            .method = "POST",
            .path = "/v1/topics/{topic}",
            .handle = say_publish,
            .summary = "Publish: answered when the events are on disk.",
            .query = query,
            .detail =
                "The body is a CloudEvent in binary mode (ce-* headers), structured mode "
                "(application/cloudevents+json), a batch (application/cloudevents-batch+json), or "
                "any bytes with their Content-Type. 200: all are kept, with partition and offset "
                "of "
                "each. 207: some are kept; `results` tells of each. Another status: nothing is, "
                "except that after 504 it may be: send the same event again, with the same id.",
            .body_max = BODY_MAX});
}
