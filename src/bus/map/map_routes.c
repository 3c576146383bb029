#include "base/clock.h"
#include "base/time_text.h"
#include "bus/map/map_watch_inside.h"
#include "bus/map/map_write.h"

#include <stdio.h>

/* GET /v1/map, /v1/map.svg, /v1/who/{type}, /v1/alerts. */

static int64_t now_ms(void)
{
    return clock_wall_ms(clock_system());
}

/* The time that ?at= says; 0: none. False: the reply says what is wrong. */
static bool read_time(const struct http_request *request, struct http_reply *reply, int64_t *at_ms)
{
    const char *text = http_query(request, "at");
    struct reason reason;
    *at_ms = 0;
    if (text == NULL || strcmp(text, "now") == 0) {
        return true;
    }
    if (time_parse(text, now_ms(), at_ms, &reason) != ERR_NONE) {
        http_problem(reply, 400, "Bad time", "at: %s", reason.text);
        return false;
    }
    if (*at_ms > now_ms()) {
        http_problem(reply, 400, "Bad time", "at is in the future: give a time of the past");
        return false;
    }
    return true;
}

static bool make_graph(struct map_watch *map, struct http_reply *reply, int64_t at_ms,
                       struct map_graph *graph)
{
    struct reason reason;
    enum err err = map_watch_graph(map, at_ms, graph, &reason);
    if (err != ERR_NONE) {
        http_problem(reply, err == ERR_NOT_FOUND ? 404 : 503, "No such map", "%s", reason.text);
    }
    return err == ERR_NONE;
}

/* --- the map --- */

static void reply_text(struct http_reply *reply, const char *format, struct buf *text)
{
    http_reply_json(reply, 200,
                    json_pack("{s:s,s:s%}", "format", format, "text", buf_cstr(text), text->size));
    buf_deinit(text);
}

typedef void write_graph(const struct map_graph *graph, struct buf *to);

static write_graph *writer_of(const char *format)
{
    static const struct {
        const char *name;
        write_graph *write;
    } writers[] = {{"text", map_write_text},
                   {"dot", map_write_dot},
                   {"mermaid", map_write_mermaid},
                   {"svg", map_write_svg}};
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        if (strcmp(writers[i].name, format) == 0) {
            return writers[i].write;
        }
    }
    return NULL;
}

static void reply_diff(struct map_watch *map, struct http_reply *reply, const char *format,
                       const struct map_graph *now, int64_t span_ms)
{
    struct map_graph then;
    struct buf text = {0};
    if (!make_graph(map, reply, now->at_ms - span_ms, &then)) {
        return;
    }
    if (strcmp(format, "text") == 0) {
        map_write_diff(now, &then, &text);
        reply_text(reply, format, &text);
    } else {
        http_reply_json(reply, 200, map_diff_json(now, &then));
    }
    map_graph_deinit(&then);
}

static void reply_graph(struct http_reply *reply, const char *format, const struct map_graph *graph)
{
    struct buf text = {0};
    if (strcmp(format, "json") == 0) {
        http_reply_json(reply, 200, map_json(graph));
        return;
    }
    writer_of(format)(graph, &text);
    reply_text(reply, format, &text);
}

static void handle_map(void *context, const struct http_request *request, struct http_reply *reply)
{
    const char *format = http_query(request, "format");
    const char *diff = http_query(request, "diff");
    struct map_graph graph;
    struct reason reason;
    int64_t at_ms, span_ms = 0;
    format = format == NULL ? "json" : format;
    if (strcmp(format, "json") != 0 && writer_of(format) == NULL) {
        http_problem(reply, 400, "Bad format",
                     "format is '%s': give json, text, dot, mermaid or svg", format);
        return;
    }
    if (diff != NULL && strcmp(format, "json") != 0 && strcmp(format, "text") != 0) {
        http_problem(reply, 400, "Bad format", "a diff is json or text, not '%s'", format);
        return;
    }
    if (diff != NULL && duration_parse(diff, &span_ms, &reason) != ERR_NONE) {
        http_problem(reply, 400, "Bad duration", "diff: %s", reason.text);
        return;
    }
    if (!read_time(request, reply, &at_ms) || !make_graph(context, reply, at_ms, &graph)) {
        return;
    }
    if (diff != NULL) {
        reply_diff(context, reply, format, &graph, span_ms);
    } else {
        reply_graph(reply, format, &graph);
    }
    map_graph_deinit(&graph);
}

static void handle_svg(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct map_graph graph;
    struct buf text = {0};
    int64_t at_ms;
    if (!read_time(request, reply, &at_ms) || !make_graph(context, reply, at_ms, &graph)) {
        return;
    }
    map_write_svg(&graph, &text);
    map_graph_deinit(&graph);
    http_reply_text(reply, 200, "image/svg+xml", &text);
    /* Colours stand in a style element; nothing else may run or load. */
    http_reply_header(reply, "Content-Security-Policy",
                      "default-src 'none'; style-src 'unsafe-inline'");
}

/* --- who --- */

static json_t *names_of_types(const struct map_graph *graph)
{
    json_t *names = json_array();
    for (size_t i = 0; i < graph->nodes.count; i++) {
        json_t *name =
            graph->nodes.items[i].is_service ? NULL : json_string(graph->nodes.items[i].name);
        if (name != NULL) {
            json_array_append_new(names, name);
        }
    }
    return names;
}

/* Of a map that is full it is not known whether there is none. */
static void reply_unknown(struct http_reply *reply, const struct map_graph *graph, const char *name)
{
    if (graph->left_out > 0) {
        http_problem(reply, 404, "Not in the map",
                     "'%s' is not in the map, which is full: about %zu services, types and flows "
                     "that were seen have no place in it, and this may be one of them",
                     name, graph->left_out);
    } else {
        http_problem(reply, 404, "No such type",
                     "no event of type '%s', and no topic of that name without types, was seen",
                     name);
    }
    http_problem_add(reply, "types", names_of_types(graph));
    http_problem_add(reply, "left_out", json_integer((json_int_t)graph->left_out));
}

static void handle_who(void *context, const struct http_request *request, struct http_reply *reply)
{
    const char *name = http_segment(request, "type");
    const char *format = http_query(request, "format");
    struct map_graph graph;
    struct buf text = {0};
    int64_t at_ms;
    if (!read_time(request, reply, &at_ms) || !make_graph(context, reply, at_ms, &graph)) {
        return;
    }
    const struct map_node *type = map_graph_type(&graph, name);
    if (type == NULL) {
        reply_unknown(reply, &graph, name);
    } else if (format != NULL && strcmp(format, "text") == 0) {
        map_write_who(&graph, type, &text);
        reply_text(reply, format, &text);
    } else {
        http_reply_json(reply, 200, map_who_json(&graph, type));
    }
    map_graph_deinit(&graph);
}

static void handle_alerts(void *context, const struct http_request *request,
                          struct http_reply *reply)
{
    (void)request;
    http_reply_json(reply, 200, map_watch_alerts(context));
}

const struct http_route *map_watch_routes(void *module, size_t *count)
{
    struct map_watch *map = module;
    static const struct http_parameter map_query[] = {
        {"at", "string", "A time of the past, as 2026-02-01T12:00Z or -1h; without: now."},
        {"diff", "string", "What is otherwise than so long before, as 7d."},
        {"format", "string",
         "json, or text, dot, mermaid or svg, which come as {\"format\", \"text\"}."},
        {NULL, NULL, NULL}};
    static const struct http_parameter at_query[] = {
        {"at", "string", "A time of the past, as 2026-02-01T12:00Z or -1h; without: now."},
        {NULL, NULL, NULL}};
    static const struct http_parameter who_query[] = {
        {"at", "string", "A time of the past, as 2026-02-01T12:00Z or -1h; without: now."},
        {"format", "string", "json, or text, which comes as {\"format\", \"text\"}."},
        {NULL, NULL, NULL}};
    static const struct http_parameter no_query[] = {{NULL, NULL, NULL}};
    const struct http_route routes[MAP_ROUTES] = {
        {.method = "GET",
         .path = "/v1/map",
         .handle = handle_map,
         .context = map,
         .summary = "The flow map: services and event types, who publishes, consumes and causes "
                    "what, as observed.",
         .query = map_query},
        {.method = "GET",
         .path = "/v1/map.svg",
         .handle = handle_svg,
         .context = map,
         .summary = "The flow map as a picture.",
         .query = at_query,
         .answer = "image/svg+xml"},
        {.method = "GET",
         .path = "/v1/who/{type}",
         .handle = handle_who,
         .context = map,
         .summary = "Who publishes and consumes an event type, and what it causes.",
         .query = who_query},
        {.method = "GET",
         .path = "/v1/alerts",
         .handle = handle_alerts,
         .context = map,
         .summary = "What the flow map gives reason to tell somebody, newest first.",
         .query = no_query},
    };
    memcpy(map->routes, routes, sizeof routes);
    *count = MAP_ROUTES;
    return map->routes;
}
