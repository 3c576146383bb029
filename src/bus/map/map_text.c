#include "bus/map/map_write.h"

#include "base/time_text.h"
#include "base/utf8.h"

#include <stdio.h>

enum { COLUMN = 34 };

static void put_name(struct buf *to, const char *name)
{
    utf8_escape(to, slice_str(name));
}

/* Blanks up to a column of the line that began at `from`. */
static void put_blanks(struct buf *to, size_t from, size_t column)
{
    struct buf line = {0};
    buf_append(&line, to->data + from, to->size - from);
    size_t chars = utf8_length(buf_cstr(&line));
    buf_deinit(&line);
    do {
        buf_append_str(to, " ");
        chars++;
    } while (chars < column);
}

static void put_edge(const struct map_graph *graph, const struct map_edge *edge, const char *word,
                     const struct map_node *other, struct buf *to)
{
    size_t from = to->size;
    struct buf said = {0};
    buf_printf(to, "  %s", word);
    put_name(to, other->name);
    map_edge_text(graph, edge, &said);
    if (edge->inferred != NULL) {
        buf_printf(&said, "%s(guess: %s)", said.size > 0 ? "  " : "", edge->inferred);
    }
    if (edge->why != NULL && edge->state != MAP_GONE) { /* that is said of the service, below */
        buf_printf(&said, "%s(%s)", said.size > 0 ? "  " : "", edge->why);
    }
    if (said.size > 0) {
        put_blanks(to, from, COLUMN);
        buf_append_slice(to, buf_slice(&said));
    }
    buf_append_str(to, "\n");
    buf_deinit(&said);
}

static size_t put_edges(const struct map_graph *graph, size_t type, enum map_edge_kind kind,
                        bool is_from, const char *word, struct buf *to)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        if (edge->kind == kind && (is_from ? edge->from : edge->to) == type) {
            put_edge(graph, edge, word, &graph->nodes.items[is_from ? edge->to : edge->from], to);
            count++;
        }
    }
    return count;
}

void map_write_who(const struct map_graph *graph, const struct map_node *type, struct buf *to)
{
    size_t from = to->size;
    size_t index = (size_t)(type - graph->nodes.items);
    put_name(to, type->name);
    if (type->is_topic) {
        buf_append_str(to, " (a topic; its events have no type)");
    } else if (type->topics.count > 0) {
        buf_append_str(to, type->topics.count == 1 ? "  in " : "  in topics ");
        for (size_t i = 0; i < type->topics.count; i++) {
            buf_append_str(to, i > 0 ? ", " : "");
            put_name(to, type->topics.items[i]);
        }
    }
    struct buf said = {0};
    map_node_text(graph, type, &said);
    if (said.size > 0) {
        put_blanks(to, from, COLUMN);
        buf_append_slice(to, buf_slice(&said));
    }
    buf_deinit(&said);
    buf_append_str(to, "\n");
    if (put_edges(graph, index, MAP_EDGE_PUBLISHES, false, "from    ", to) == 0) {
        buf_append_str(to, "  from    ? (nobody was seen publishing it)\n");
    }
    if (put_edges(graph, index, MAP_EDGE_CONSUMES, true, "to      ", to) == 0) {
        buf_append_str(to, "  to      nobody\n");
    }
    (void)put_edges(graph, index, MAP_EDGE_CAUSES, true, "causes  ", to);
    (void)put_edges(graph, index, MAP_EDGE_CAUSES, false, "because ", to);
}

static size_t count_nodes(const struct map_graph *graph, bool is_service)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        count += graph->nodes.items[i].is_service == is_service;
    }
    return count;
}

static void put_rule(const struct map_graph *graph, struct buf *to)
{
    if (graph->has_observer) {
        buf_append_str(to, "A service is gone when its last connection ends, or its group has no "
                           "members.\n");
    } else {
        buf_append_str(to, "Connections are not seen here (another cluster's broker): a consumer "
                           "is gone when its\nsession times out, and a publisher is only quiet.\n");
    }
    if (graph->groups_error[0] != '\0') {
        buf_append_str(to, "Consumer groups cannot be asked: ");
        put_name(to, graph->groups_error);
        buf_append_str(to, "\n");
    }
    if (graph->left_out > 0) {
        buf_printf(to,
                   "The map is full: about %zu services, types and flows that were seen are left "
                   "out. Lines in DATA/bus/map.rules merge services that are one.\n",
                   graph->left_out);
    }
}

void map_write_text(const struct map_graph *graph, struct buf *to)
{
    char time[TIME_TEXT_SIZE];
    size_t services = count_nodes(graph, true), types = count_nodes(graph, false);
    buf_printf(to, "Flow map at %s: %zu service%s, %zu event type%s\n\n",
               time_format(graph->at_ms, time), services, services == 1 ? "" : "s", types,
               types == 1 ? "" : "s");
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (!graph->nodes.items[i].is_service) {
            map_write_who(graph, &graph->nodes.items[i], to);
            buf_append_str(to, "\n");
        }
    }
    bool has_head = false;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        const struct map_node *node = &graph->nodes.items[i];
        if (node->is_service && (node->state == MAP_GONE || node->state == MAP_FAILING)) {
            size_t from;
            buf_append_str(to, has_head ? "" : "Not well:\n");
            has_head = true;
            from = to->size;
            buf_append_str(to, "  ");
            put_name(to, node->name);
            put_blanks(to, from, COLUMN);
            map_node_text(graph, node, to);
            buf_printf(to, "%s%s%s\n", node->why != NULL ? "  (" : "",
                       node->why != NULL ? node->why : "", node->why != NULL ? ")" : "");
        }
    }
    buf_append_str(to, has_head ? "\n" : "");
    put_rule(graph, to);
}

/* --- what changed --- */

struct diff_text {
    const struct map_graph *now, *then;
    struct buf *to;
    size_t count;
};

static void put_change(void *context, enum map_change change, const struct map_node *node_now,
                       const struct map_node *node_then, const struct map_edge *edge_now,
                       const struct map_edge *edge_then)
{
    static const char signs[] = {'+', '-', '~'};
    struct diff_text *diff = context;
    const struct map_node *node = node_now != NULL ? node_now : node_then;
    const struct map_graph *graph = edge_now != NULL ? diff->now : diff->then;
    const struct map_edge *edge = edge_now != NULL ? edge_now : edge_then;
    char rates[2][32];
    diff->count++;
    buf_printf(diff->to, "%c ", signs[change]);
    if (node != NULL) {
        buf_printf(diff->to, "%s ",
                   node->is_service ? "service"
                   : node->is_topic ? "topic"
                                    : "type");
        put_name(diff->to, node->name);
        buf_append_str(diff->to, "\n");
        return;
    }
    bool is_consumed = edge->kind == MAP_EDGE_CONSUMES;
    put_name(diff->to, graph->nodes.items[is_consumed ? edge->to : edge->from].name);
    buf_printf(diff->to, " %s ", map_edge_word(edge->kind));
    put_name(diff->to, graph->nodes.items[is_consumed ? edge->from : edge->to].name);
    if (change == MAP_CHANGED && (edge_now->state == MAP_GONE) != (edge_then->state == MAP_GONE)) {
        buf_printf(diff->to, ": was %s, is %s", map_state_name(edge_then->state),
                   map_state_name(edge_now->state));
    } else if (change == MAP_CHANGED) {
        map_rate_text(edge_then->rate, rates[0]);
        map_rate_text(edge_now->rate, rates[1]);
        buf_printf(diff->to, ": was %s, is %s", rates[0][0] != '\0' ? rates[0] : "quiet",
                   rates[1][0] != '\0' ? rates[1] : "quiet");
    }
    buf_append_str(diff->to, "\n");
}

void map_write_diff(const struct map_graph *now, const struct map_graph *then, struct buf *to)
{
    char time[TIME_TEXT_SIZE];
    struct diff_text diff = {now, then, to, 0};
    buf_printf(to, "Since %s:\n", time_format(then->at_ms, time));
    map_graph_diff(now, then, put_change, &diff);
    buf_append_str(to, diff.count == 0 ? "nothing is otherwise\n" : "");
}
