#include "bus/story/story_module.h"

#include "base/mem.h"
#include "bus/story/story_ask.h"
#include "bus/story/story_json.h"

#include <stdlib.h>
#include <string.h>

enum { ROUTES = 2, TIMEOUT_LEAST_MS = 100, TIMEOUT_MOST_MS = 60000, TIMEOUT_MS = 10000 };

struct story_module {
    const struct bus_parts *parts;
    struct http_route routes[ROUTES];
};

static void answer(const struct story_module *module, const struct story_question *question,
                   struct http_reply *reply)
{
    const struct bus_parts *parts = module->parts;
    struct story_sources sources = {.connection = parts->connection,
                                    .finder = story_finder_of_index(parts->indexer),
                                    .history = parts->history,
                                    .observer = parts->observer};
    struct client_error error = {0};
    struct story story;
    (void)!bus_parts_connection(parts, &sources.opened, NULL); /* else the question says why */
    enum client_status status = story_ask(&sources, question, &story, &error);
    if (status == CLIENT_OK) {
        http_reply_json(reply, 200, story_to_json(&story));
    } else if (status == CLIENT_NOT_FOUND) {
        http_problem(reply, 404, "No such event is known", "%s; %s", error.text,
                     error.hint != NULL ? error.hint : "ask for another one");
    } else {
        http_problem(reply, 503, "The bus could not be asked", "%s%s%s", error.text,
                     error.hint != NULL ? "; " : "", error.hint != NULL ? error.hint : "");
    }
    story_deinit(&story);
}

/* What all questions may say. False: the reply says what is wrong. */
static bool take_query(const struct http_request *request, struct http_reply *reply,
                       struct story_question *question)
{
    int64_t most, partition;
    *question = (struct story_question){.source = http_query(request, "source"),
                                        .topic = http_query(request, "topic"),
                                        .group = http_query(request, "group"),
                                        .partition = -1,
                                        .offset = -1};
    if (!http_query_number(request, reply, "max", 1, STORY_EVENTS_MAX, 0, &most) ||
        !http_query_number(request, reply, "timeout_ms", TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS,
                           TIMEOUT_MS, &question->timeout_ms) ||
        !http_query_number(request, reply, "partition", 0, INT32_MAX, -1, &partition) ||
        !http_query_number(request, reply, "offset", 0, INT64_MAX, -1, &question->offset)) {
        return false;
    }
    question->events_max = (size_t)most;
    question->partition = (int32_t)partition;
    return true;
}

static void answer_id(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct story_question question;
    if (take_query(request, reply, &question)) {
        question.id = http_segment(request, "id");
        answer(context, &question, reply);
    }
}

static bool is_trace(const char *text)
{
    return strlen(text) == TRACE_ID_CHARS && strspn(text, "0123456789abcdef") == TRACE_ID_CHARS;
}

static void answer_query(void *context, const struct http_request *request,
                         struct http_reply *reply)
{
    struct story_question question;
    const char *key = http_query(request, "key");
    if (!take_query(request, reply, &question)) {
        return;
    }
    question.id = http_query(request, "id");
    question.trace = http_query(request, "trace");
    question.correlation = http_query(request, "correlation");
    question.key = slice_str(key);
    bool is_place = question.offset >= 0 || question.partition >= 0;
    int ways = is_place + (question.id != NULL) + (question.trace != NULL) +
               (question.correlation != NULL) + (key != NULL);
    if (ways != 1) {
        http_problem(reply, 400, "The question is not clear",
                     "give one of id, trace, correlation, key, or topic with partition and offset");
    } else if (is_place &&
               (question.topic == NULL || question.offset < 0 || question.partition < 0)) {
        http_problem(reply, 400, "The question is not clear",
                     "a place has a topic, a partition and an offset");
    } else if (question.trace != NULL && !is_trace(question.trace)) {
        http_problem(reply, 400, "No trace id",
                     "a trace id is 32 hexadecimal digits in lower case, not '%s'", question.trace);
    } else {
        answer(context, &question, reply);
    }
}

#define OF_ALL                                                                                     \
    {"source", "string", "Only the event of this source: ids are unique within one."},             \
        {"topic", "string", "Only an event of this topic."},                                       \
        {"group", "string", "Only what this group did with them."},                                \
        {"max", "integer", "At most so many events (200)."},                                       \
    {                                                                                              \
        "timeout_ms", "integer", "What is known by then is answered (10000)."                      \
    }

void *story_make(const struct bus_parts *parts)
{
    static const struct http_parameter of_id[] = {OF_ALL, {.name = NULL}};
    static const struct http_parameter of_query[] = {
        {"id", "string", "The event's CloudEvents id."},
        {"trace", "string", "Events of this W3C trace id."},
        {"correlation", "string", "Events of this correlation id."},
        {"key", "string", "Events of this key, the newest 50."},
        {"partition", "integer", "With topic and offset: the event that stands there."},
        {"offset", "integer", "With topic and partition."},
        OF_ALL,
        {.name = NULL}};
    struct story_module *module = mem_new(struct story_module);
    module->parts = parts;
    module->routes[0] = (struct http_route){
        .method = "GET",
        .path = "/v1/events/{id}/story",
        .handle = answer_id,
        .context = module,
        .summary = "The story of an event: who published and handled it, and what it caused.",
        .query = of_id};
    module->routes[1] = (struct http_route){
        .method = "GET",
        .path = "/v1/story",
        .handle = answer_query,
        .context = module,
        .summary = "The story of the event at a place, or of a trace, a correlation or a key.",
        .query = of_query};
    return module;
}

const struct http_route *story_routes(void *module, size_t *count)
{
    *count = ROUTES;
    return ((struct story_module *)module)->routes;
}

void story_free(void *module)
{
    free(module);
}
