#include "bus/api/http_api_inside.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "bus/api/topic_tail.h"
#include "bus/event/event_hide.h"
#include "bus/event/event_where.h"
#include "bus/event/json_word.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 50, MOST_MS = 5000, WHERE_PARTS_MAX = 16 };

/* NULL in *where without conditions. False: the reply says what is wrong with one. */
bool http_api_where(const struct http_request *request, struct http_reply *reply,
                    struct where **where)
{
    const char *texts[WHERE_PARTS_MAX];
    struct reason reason = {""};
    size_t count = http_query_all(request, "where", texts, WHERE_PARTS_MAX);
    enum err err = count <= WHERE_PARTS_MAX ? ERR_NONE : ERR_TOO_LARGE;
    *where = NULL;
    if (err != ERR_NONE) {
        reason_set(&reason, "there are more than %d of them", WHERE_PARTS_MAX);
    } else if (count > 0) {
        *where = where_new(event_fields());
    }
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        err = where_add(*where, texts[i], clock_wall_ms(clock_system()), &reason);
    }
    bool is_hidden =
        err == ERR_NONE && !http_shows_payloads(request) && event_where_asks_hidden(*where);
    if (is_hidden) {
        err = reason_fail(&reason, ERR_UNSUPPORTED,
                          "value, data and headers other than attributes are hidden here "
                          "(http.payloads=hidden): ask for attributes, the key or the time");
    }
    if (err != ERR_NONE) {
        http_problem(reply, is_hidden ? 403 : 400,
                     is_hidden ? "Payloads are hidden" : "Bad condition", "where: %s", reason.text);
        where_free(*where);
        *where = NULL;
    }
    return err == ERR_NONE;
}

static const char *word_of(enum topic_tail_stop stop)
{
    switch (stop) {
    case TAIL_LIMIT:
        return "limit";
    case TAIL_TIME:
        return "time";
    case TAIL_BYTES:
        return "bytes";
    case TAIL_COMPLETE:
        break;
    }
    return "complete";
}

/* What is left of it for who may not see payloads. */
static json_t *hidden_json(const struct event *event)
{
    struct event shown = *event;
    struct arena arena = {0};
    event_hide(&shown, &arena);
    json_t *json = event_to_json(&shown);
    json_object_del(json, "value");
    json_object_set_new(json, "hidden", json_true());
    arena_deinit(&arena);
    return json;
}

void http_api_event_line(const struct event *event, bool shows_payloads, struct buf *line)
{
    if (shows_payloads) {
        event_to_json_line(event, line);
        return;
    }
    json_t *json = hidden_json(event);
    char *text = json_dumps(json, JSON_COMPACT);
    utf8_escape_json(line, slice_str(text));
    free(text);
    json_decref(json);
}

static json_t *event_json(const struct event *event, bool shows_payloads)
{
    struct event_subject subject;
    json_t *json = shows_payloads ? event_to_json(event) : hidden_json(event);
    event_subject_init(&subject, event);
    json_t *about = json_object();
    const struct event_attributes *at = &subject.attributes;
    const struct {
        const char *name, *text;
    } rows[] = {{"id", at->id},
                {"source", at->source},
                {"type", at->type},
                {"subject", at->subject},
                {"time", at->time},
                {"correlationid", at->correlation_id},
                {"causationid", at->causation_id}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].text != NULL) {
            json_object_set_new(about, rows[i].name, json_utf8(rows[i].text));
        }
    }
    json_object_set_new(json, "cloudevent", at->id != NULL ? about : json_null());
    if (at->id == NULL) {
        json_decref(about);
    }
    event_subject_deinit(&subject);
    return json;
}

static void say_page(const struct topic_tail *tail, bool shows_payloads, struct http_reply *reply)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tail->count; i++) {
        json_array_append_new(list, event_json(&tail->events[i].event, shows_payloads));
    }
    http_reply_json(reply, 200,
                    json_pack("{s:o, s:s, s:s, s:I}", "events", list, "order",
                              tail->from != NULL ? "oldest first" : "newest first", "stopped",
                              word_of(tail->stop), "looked_at", (json_int_t)tail->looked_at));
}

static void say_events(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct http_api *api = context;
    struct client_error error;
    struct where *where;
    int64_t limit, partition;
    if (!http_query_number(request, reply, "limit", 1, TAIL_EVENTS_MAX, LIMIT, &limit) ||
        !http_query_number(request, reply, "partition", 0, INT32_MAX, -1, &partition) ||
        !http_api_where(request, reply, &where)) {
        return;
    }
    struct topic_tail tail = {.connection = &api->connection,
                              .cluster = api->cluster,
                              .topic = http_segment(request, "topic"),
                              .partition = (int32_t)partition,
                              .from = http_query(request, "from"),
                              .limit = (size_t)limit,
                              .where = where,
                              .most_ms = MOST_MS};
    if (topic_tail_read(&tail, &error) == CLIENT_OK) {
        say_page(&tail, http_shows_payloads(request), reply);
    } else {
        char what[300];
        snprintf(what, sizeof what, "topic '%.249s'", tail.topic);
        http_api_fail(reply, &error, what);
    }
    topic_tail_deinit(&tail);
    where_free(where);
}

void http_api_events(struct http_api *api)
{
    static const struct http_parameter query[] = {
        {"from", "string",
         "Where to begin, oldest first: start, end, an offset (42), the last N of each partition "
         "(-10) or a time (-1h, 2026-02-01T12:00:00Z). Without it: the newest, newest first."},
        {"limit", "integer", "At most so many events, up to 1000 (50)."},
        {"partition", "integer", "Of this partition only."},
        {"where", "string",
         "Only what this condition fits, as in type = order.placed and data.amount > 100; several "
         "have to fit all."},
        {0}};
    http_api_add(api, &(struct http_route){
                          .method = "GET",
                          .path = "/v1/topics/{topic}/events",
                          .handle = say_events,
                          .summary = "Events of a topic, newest first or from a place on.",
                          .query = query,
                          .detail = "Looks for up to 5 s, at up to 8 MiB of events; `stopped` says "
                                    "why it ended: complete, limit, time or bytes."});
}
