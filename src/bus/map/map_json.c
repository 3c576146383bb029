#include "bus/map/map_write.h"

#include "bus/event/json_word.h"

#include <math.h>

/* -1: not known. */
static json_t *count_json(int64_t count)
{
    return count < 0 ? json_null() : json_integer(count);
}

static json_t *number_json(double number)
{
    return json_real(round(number * 10000) / 10000);
}

static json_t *names_json(const struct map_names *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names->count; i++) {
        json_array_append_new(list, json_word(slice_str(names->items[i])));
    }
    return list;
}

static json_t *node_json(const struct map_node *node)
{
    json_t *json = json_pack(
        "{s:o,s:s,s:o,s:s,s:o,s:o,s:o,s:o}", "id", json_word(slice_str(node->id)), "kind",
        node->is_service ? "service"
        : node->is_topic ? "topic"
                         : "type",
        "name", json_word(slice_str(node->name)), "state", map_state_name(node->state), "why",
        json_word(slice_str(node->why)), "rate", number_json(node->rate), "first_seen",
        json_moment(node->first_ms), "last_seen", json_moment(node->last_ms));
    if (!node->is_service) {
        json_object_set_new(json, "topics", names_json(&node->topics));
        return json;
    }
    json_t *names = json_object();
    for (int i = 0; i < MAP_NAMES; i++) {
        json_object_set_new(names, map_name_word((enum map_name)i), names_json(&node->names[i]));
    }
    json_object_set_new(json, "names", names);
    json_object_set_new(json, "guessed_from", json_word(slice_str(node->guess)));
    json_object_set_new(json, "members", count_json(node->members));
    json_object_set_new(json, "connections", count_json(node->connections));
    json_object_set_new(json, "gone_since", json_moment(node->left_ms));
    return json;
}

static json_t *edge_json(const struct map_graph *graph, const struct map_edge *edge)
{
    json_t *json = json_pack(
        "{s:s,s:o,s:o,s:s,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o}", "kind", map_edge_word(edge->kind),
        "from", json_word(slice_str(graph->nodes.items[edge->from].id)), "to",
        json_word(slice_str(graph->nodes.items[edge->to].id)), "state", map_state_name(edge->state),
        "why", json_word(slice_str(edge->why)), "rate", number_json(edge->rate), "byte_rate",
        number_json(edge->byte_rate), "events", (json_int_t)edge->events, "first_seen",
        json_moment(edge->first_ms), "last_seen", json_moment(edge->last_ms), "usual_gap_ms",
        edge->gap_ms > 0 ? json_integer(edge->gap_ms) : json_null(), "guessed_from",
        json_word(slice_str(edge->inferred)));
    if (edge->kind == MAP_EDGE_CONSUMES) {
        json_object_set_new(json, "lag", count_json(edge->lag));
        json_object_set_new(json, "oldest_waiting", json_moment(edge->oldest_ms));
        json_object_set_new(json, "given_up", json_integer((json_int_t)edge->errors));
    } else if (edge->kind == MAP_EDGE_CAUSES) {
        json_object_set_new(json, "share", number_json(edge->share));
        json_object_set_new(json, "typical_ms", number_json(edge->typical_ms));
    }
    return json;
}

json_t *map_json(const struct map_graph *graph)
{
    json_t *nodes = json_array(), *edges = json_array();
    for (size_t i = 0; i < graph->nodes.count; i++) {
        json_array_append_new(nodes, node_json(&graph->nodes.items[i]));
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        json_array_append_new(edges, edge_json(graph, &graph->edges.items[i]));
    }
    return json_pack(
        "{s:o,s:o,s:s,s:o,s:I,s:o,s:o}", "at", json_moment(graph->at_ms), "watched_since",
        json_moment(graph->began_ms), "gone_by",
        graph->has_observer ? "connections and sessions" : "sessions", "groups_error",
        json_word(slice_str(graph->groups_error[0] != '\0' ? graph->groups_error : NULL)),
        "left_out", (json_int_t)graph->left_out, "nodes", nodes, "edges", edges);
}

/* --- one type --- */

static json_t *ends_json(const struct map_graph *graph, size_t type, enum map_edge_kind kind,
                         bool is_from)
{
    json_t *list = json_array();
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        if (edge->kind == kind && (is_from ? edge->from : edge->to) == type) {
            json_t *json = edge_json(graph, edge);
            size_t other = is_from ? edge->to : edge->from;
            json_object_set_new(json, "name", json_word(slice_str(graph->nodes.items[other].name)));
            json_array_append_new(list, json);
        }
    }
    return list;
}

json_t *map_who_json(const struct map_graph *graph, const struct map_node *type)
{
    size_t index = (size_t)(type - graph->nodes.items);
    json_t *json = node_json(type);
    json_object_set_new(json, "publishers", ends_json(graph, index, MAP_EDGE_PUBLISHES, false));
    json_object_set_new(json, "consumers", ends_json(graph, index, MAP_EDGE_CONSUMES, true));
    json_object_set_new(json, "causes", ends_json(graph, index, MAP_EDGE_CAUSES, true));
    json_object_set_new(json, "caused_by", ends_json(graph, index, MAP_EDGE_CAUSES, false));
    return json;
}

/* --- what changed --- */

struct diff {
    const struct map_graph *now, *then;
    json_t *lists[3];
};

static void add_change(void *context, enum map_change change, const struct map_node *node_now,
                       const struct map_node *node_then, const struct map_edge *edge_now,
                       const struct map_edge *edge_then)
{
    struct diff *diff = context;
    json_t *json;
    if (node_now != NULL || node_then != NULL) {
        json = node_json(node_now != NULL ? node_now : node_then);
    } else if (edge_now != NULL) {
        json = edge_json(diff->now, edge_now);
        if (edge_then != NULL) {
            json_object_set_new(json, "was", edge_json(diff->then, edge_then));
        }
    } else {
        json = edge_json(diff->then, edge_then);
    }
    json_array_append_new(diff->lists[change], json);
}

json_t *map_diff_json(const struct map_graph *now, const struct map_graph *then)
{
    struct diff diff = {now, then, {json_array(), json_array(), json_array()}};
    map_graph_diff(now, then, add_change, &diff);
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "at", json_moment(now->at_ms), "since",
                     json_moment(then->at_ms), "added", diff.lists[MAP_ADDED], "removed",
                     diff.lists[MAP_REMOVED], "changed", diff.lists[MAP_CHANGED]);
}
