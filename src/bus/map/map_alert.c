#include "bus/map/map_alert.h"

#include "base/utf8.h"
#include "bus/event/json_word.h"

/* What may become an alert: a type that lost its consumers, or never had one. */
struct suspect {
    UT_hash_handle hh;
    char *id;         /* of the type's node */
    char *service;    /* who consumed it last; NULL: nobody ever */
    int64_t since_ms; /* nobody is there since */
    int64_t wait_ms;  /* how long who left may take to come back */
    bool was_seen;    /* by this look */
};

/* Who publishes what: to know who is new. */
struct known {
    UT_hash_handle hh;
    char *key; /* ids of service and type */
};

struct map_alerts {
    VEC(struct map_alert) items; /* oldest first */
    struct suspect *suspects;
    struct known *known;
    VEC(bool) still; /* of items: true in this look */
    map_alert_told *told;
    void *context;
    bool has_looked;
};

const char *map_alert_word(enum map_alert_kind kind)
{
    static const char *const words[] = {"last-consumer-left", "new-producer", "nobody-consumes",
                                        "loop"};
    return words[kind];
}

struct map_alerts *map_alerts_new(void)
{
    return mem_new(struct map_alerts);
}

static void free_alert(struct map_alert *alert)
{
    free(alert->type);
    free(alert->service);
}

static void free_suspect(struct map_alerts *alerts, struct suspect *suspect)
{
    HASH_DEL(alerts->suspects, suspect);
    free(suspect->id);
    free(suspect->service);
    free(suspect);
}

void map_alerts_free(struct map_alerts *alerts)
{
    struct suspect *suspect, *next;
    struct known *known, *next_known;
    if (alerts == NULL) {
        return;
    }
    HASH_ITER (hh, alerts->suspects, suspect, next) {
        free_suspect(alerts, suspect);
    }
    HASH_ITER (hh, alerts->known, known, next_known) {
        HASH_DEL(alerts->known, known);
        free(known->key);
        free(known);
    }
    for (size_t i = 0; i < alerts->items.count; i++) {
        free_alert(&alerts->items.items[i]);
    }
    vec_deinit(&alerts->items);
    vec_deinit(&alerts->still);
    free(alerts);
}

/* --- raising, and what is over --- */

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void make_room(struct map_alerts *alerts)
{
    size_t at = 0;
    if (alerts->items.count < MAP_ALERTS_MAX) {
        return;
    }
    for (size_t i = 0; i < alerts->items.count; i++) {
        if (alerts->items.items[i].over_ms > 0) {
            at = i;
            break;
        }
    }
    free_alert(&alerts->items.items[at]);
    vec_remove(&alerts->items, at);
    vec_remove(&alerts->still, at);
}

static void raise(struct map_alerts *alerts, enum map_alert_kind kind, const char *type,
                  const char *service, int64_t at_ms, int64_t now_ms)
{
    for (size_t i = 0; i < alerts->items.count; i++) {
        const struct map_alert *alert = &alerts->items.items[i];
        if (alert->kind == kind && alert->over_ms == 0 && strcmp(alert->type, type) == 0 &&
            is_same(alert->service, service)) {
            alerts->still.items[i] = true;
            return;
        }
    }
    make_room(alerts);
    struct map_alert *alert = vec_add(&alerts->items);
    *alert = (struct map_alert){kind, mem_strdup(type), mem_strdup(service), at_ms, now_ms, 0};
    vec_push(&alerts->still, true);
    if (alerts->told != NULL) {
        alerts->told(alerts->context, alert);
    }
}

/* A new producer is news, not a state: it is over after a day. */
static bool is_over(const struct map_alerts *alerts, size_t index, int64_t now_ms)
{
    enum { NEWS_MS = 24 * 60 * 60 * 1000 };
    const struct map_alert *alert = &alerts->items.items[index];
    if (alert->kind == MAP_ALERT_NEW_PRODUCER) {
        return now_ms - alert->raised_ms > NEWS_MS;
    }
    return !alerts->still.items[index];
}

static void end_those_over(struct map_alerts *alerts, int64_t now_ms)
{
    for (size_t i = 0; i < alerts->items.count; i++) {
        struct map_alert *alert = &alerts->items.items[i];
        if (alert->over_ms == 0 && is_over(alerts, i, now_ms)) {
            alert->over_ms = now_ms;
            if (alerts->told != NULL) {
                alerts->told(alerts->context, alert);
            }
        }
    }
}

/* --- consumers --- */

struct consumers {
    size_t there, gone;
    const struct map_node *last; /* of those gone, who was there last */
    int64_t left_ms;             /* and since when he is gone; 0: not known */
    int64_t wait_ms;
};

static struct consumers consumers_of(const struct map_graph *graph, size_t type)
{
    struct consumers all = {0};
    size_t count;
    const struct map_edge *edges = map_graph_edges(graph, MAP_EDGE_CONSUMES, type, &count);
    for (size_t i = 0; i < count; i++) {
        const struct map_edge *edge = &edges[i];
        const struct map_node *service = &graph->nodes.items[edge->to];
        if (edge->state != MAP_GONE) {
            all.there++;
            continue;
        }
        all.gone++;
        if (all.last == NULL || edge->left_ms > all.left_ms) {
            all.last = service;
            all.left_ms = edge->left_ms;
        }
        if (service->session_timeout_ms > all.wait_ms) {
            all.wait_ms = service->session_timeout_ms;
        }
    }
    all.wait_ms = all.wait_ms > 0 ? all.wait_ms : MAP_SESSION_MS;
    return all;
}

static struct suspect *find_suspect(struct map_alerts *alerts, const char *id)
{
    struct suspect *suspect;
    HASH_FIND(hh, alerts->suspects, id, strlen(id), suspect);
    return suspect;
}

static struct suspect *suspect_type(struct map_alerts *alerts, const struct map_node *type,
                                    const struct consumers *consumers, int64_t now_ms)
{
    struct suspect *suspect = find_suspect(alerts, type->id);
    const char *service = consumers->last != NULL ? consumers->last->name : NULL;
    if (suspect != NULL && !is_same(suspect->service, service)) {
        free_suspect(alerts, suspect);
        suspect = NULL;
    }
    if (suspect == NULL) {
        suspect = mem_new(struct suspect);
        suspect->id = mem_strdup(type->id);
        suspect->service = mem_strdup(service);
        suspect->since_ms = consumers->left_ms > 0 ? consumers->left_ms : now_ms;
        HASH_ADD_KEYPTR(hh, alerts->suspects, suspect->id, strlen(suspect->id), suspect);
    }
    suspect->wait_ms = consumers->gone > 0 ? consumers->wait_ms : MAP_UNREAD_MS;
    suspect->was_seen = true;
    return suspect;
}

static void look_at_type(struct map_alerts *alerts, const struct map_graph *graph, size_t index)
{
    const struct map_node *type = &graph->nodes.items[index];
    struct consumers consumers = consumers_of(graph, index);
    if (consumers.there > 0 || (consumers.gone == 0 && type->last_ms == 0)) {
        return;
    }
    struct suspect *suspect = suspect_type(alerts, type, &consumers, graph->at_ms);
    if (graph->at_ms - suspect->since_ms >= suspect->wait_ms) {
        raise(alerts, consumers.gone > 0 ? MAP_ALERT_LAST_CONSUMER : MAP_ALERT_NOBODY_CONSUMES,
              type->name, suspect->service, suspect->since_ms, graph->at_ms);
    }
}

static void look_at_consumers(struct map_alerts *alerts, const struct map_graph *graph)
{
    struct suspect *suspect, *next;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (!graph->nodes.items[i].is_service) {
            look_at_type(alerts, graph, i);
        }
    }
    HASH_ITER (hh, alerts->suspects, suspect, next) {
        if (!suspect->was_seen) {
            free_suspect(alerts, suspect);
        } else {
            suspect->was_seen = false;
        }
    }
}

/* --- producers --- */

/* True: it was known. */
static bool know(struct map_alerts *alerts, const char *service, const char *type)
{
    char *key = mem_sprintf("%zu %s %s", strlen(service), service, type);
    struct known *known;
    HASH_FIND(hh, alerts->known, key, strlen(key), known);
    if (known != NULL || HASH_COUNT(alerts->known) >= MAP_EDGES_MAX) {
        free(key);
        return true;
    }
    known = mem_new(struct known);
    known->key = key;
    HASH_ADD_KEYPTR(hh, alerts->known, known->key, strlen(known->key), known);
    return false;
}

/* Whether somebody published the type before this one did. */
static bool has_elder(const struct map_graph *graph, const struct map_edge *edge)
{
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *other = &graph->edges.items[i];
        if (other->kind == MAP_EDGE_PUBLISHES && other->to == edge->to &&
            other->from != edge->from && other->first_ms > 0 && other->first_ms < edge->first_ms) {
            return true;
        }
    }
    return false;
}

static void look_at_producers(struct map_alerts *alerts, const struct map_graph *graph)
{
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        if (edge->kind != MAP_EDGE_PUBLISHES || edge->inferred != NULL) {
            continue;
        }
        const struct map_node *service = &graph->nodes.items[edge->from];
        const struct map_node *type = &graph->nodes.items[edge->to];
        bool is_known = know(alerts, service->id, type->id);
        if (!is_known && alerts->has_looked && edge->state == MAP_NEW && has_elder(graph, edge)) {
            raise(alerts, MAP_ALERT_NEW_PRODUCER, type->name, service->name, edge->first_ms,
                  graph->at_ms);
        }
    }
}

/* --- loops --- */

struct search {
    const struct map_graph *graph;
    size_t *via; /* from where each node was reached; itself: not yet */
    VEC(size_t) queue;
};

/* "A, B, A": the way by which `last` was reached from the start. */
static void write_loop(const struct search *search, size_t start, size_t last, struct buf *text)
{
    const struct map_graph *graph = search->graph;
    VEC(size_t) way = {0};
    for (size_t step = last; step != start; step = search->via[step]) {
        vec_push(&way, step);
    }
    buf_append_str(text, graph->nodes.items[start].name);
    for (size_t step = way.count; step-- > 0;) {
        buf_printf(text, ", %s", graph->nodes.items[way.items[step]].name);
    }
    buf_printf(text, ", %s", graph->nodes.items[start].name);
    vec_deinit(&way);
}

/* The shortest way of causes back to where it began; false: there is none. */
static bool find_loop(struct search *search, size_t start, struct buf *text)
{
    const struct map_graph *graph = search->graph;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        search->via[i] = i;
    }
    search->queue.count = 0;
    vec_push(&search->queue, start);
    for (size_t at = 0; at < search->queue.count; at++) {
        size_t node = search->queue.items[at], count;
        const struct map_edge *edges = map_graph_edges(graph, MAP_EDGE_CAUSES, node, &count);
        for (size_t i = 0; i < count; i++) {
            const struct map_edge *edge = &edges[i];
            if (edge->inferred != NULL) {
                continue;
            }
            if (edge->to == start) {
                write_loop(search, start, node, text);
                return true;
            }
            if (search->via[edge->to] == edge->to) {
                search->via[edge->to] = node;
                vec_push(&search->queue, edge->to);
            }
        }
    }
    return false;
}

/* Each loop once: from the first of its types by name, which the graph's order gives. */
static void look_for_loops(struct map_alerts *alerts, const struct map_graph *graph)
{
    struct search search = {.graph = graph};
    char *is_told = mem_new_array(char, graph->nodes.count + 1);
    search.via = mem_new_array(size_t, graph->nodes.count + 1);
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        struct buf text = {0};
        if (edge->kind == MAP_EDGE_CAUSES && !is_told[edge->from] &&
            find_loop(&search, edge->from, &text)) {
            raise(alerts, MAP_ALERT_LOOP, buf_cstr(&text), NULL, edge->first_ms, graph->at_ms);
            size_t last = edge->from;
            is_told[last] = 1;
            for (size_t at = 0; at < search.queue.count; at++) {
                is_told[search.queue.items[at]] = 1;
            }
        }
        buf_deinit(&text);
    }
    free(search.via);
    free(is_told);
    vec_deinit(&search.queue);
}

void map_alerts_look(struct map_alerts *alerts, const struct map_graph *graph, map_alert_told *told,
                     void *context)
{
    alerts->told = told;
    alerts->context = context;
    for (size_t i = 0; i < alerts->still.count; i++) {
        alerts->still.items[i] = false;
    }
    if (graph->groups_error[0] == '\0') { /* else nobody knows who consumes */
        look_at_consumers(alerts, graph);
    } else {
        for (size_t i = 0; i < alerts->still.count; i++) {
            alerts->still.items[i] = alerts->items.items[i].kind != MAP_ALERT_LOOP;
        }
    }
    look_at_producers(alerts, graph);
    look_for_loops(alerts, graph);
    end_those_over(alerts, graph->at_ms);
    alerts->has_looked = true;
}

/* --- telling --- */

void map_alert_text(const struct map_alert *alert, struct buf *to)
{
    struct buf type = {0}, service = {0};
    utf8_escape(&type, slice_str(alert->type));
    utf8_escape(&service, slice_str(alert->service != NULL ? alert->service : ""));
    const char *names[] = {buf_cstr(&type), buf_cstr(&service)};
    switch (alert->kind) {
    case MAP_ALERT_LAST_CONSUMER:
        buf_printf(to, "nobody consumes '%s' any more: the last one, '%s', is gone", names[0],
                   names[1]);
        break;
    case MAP_ALERT_NEW_PRODUCER:
        buf_printf(to, "'%s' publishes '%s', which others publish and it did not before", names[1],
                   names[0]);
        break;
    case MAP_ALERT_NOBODY_CONSUMES:
        buf_printf(to, "'%s' is published, and nobody consumes it", names[0]);
        break;
    case MAP_ALERT_LOOP:
        buf_printf(to, "events cause one another in a circle: %s", names[0]);
        break;
    }
    buf_deinit(&type);
    buf_deinit(&service);
}

json_t *map_alerts_json(const struct map_alerts *alerts)
{
    json_t *list = json_array();
    for (size_t i = alerts->items.count; i-- > 0;) {
        const struct map_alert *alert = &alerts->items.items[i];
        struct buf text = {0};
        map_alert_text(alert, &text);
        json_array_append_new(
            list, json_pack("{s:s,s:o,s:o,s:s,s:o,s:o,s:o}", "kind", map_alert_word(alert->kind),
                            "type", json_word(slice_str(alert->type)), "service",
                            json_word(slice_str(alert->service)), "text", buf_cstr(&text), "since",
                            json_moment(alert->at_ms), "raised", json_moment(alert->raised_ms),
                            "over", json_moment(alert->over_ms)));
        buf_deinit(&text);
    }
    return list;
}

size_t map_alerts_open(const struct map_alerts *alerts)
{
    size_t count = 0;
    for (size_t i = 0; i < alerts->items.count; i++) {
        count += alerts->items.items[i].over_ms == 0;
    }
    return count;
}
