#include "bus/map/map_write.h"

#include "base/utf8.h"

/* Within double quotes: DOT knows \" and \\ there, and nothing else does harm. */
static void put_quoted(struct buf *to, const char *name, const char *below)
{
    struct buf text = {0};
    utf8_escape(&text, slice_str(name));
    buf_append_str(to, "\"");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buf_append_u8(to, '\\');
        }
        buf_append_u8(to, text.data[i]);
    }
    if (below[0] != '\0') {
        buf_printf(to, "\\n%s", below);
    }
    buf_append_str(to, "\"");
    buf_deinit(&text);
}

static const char *colour_of(enum map_state state)
{
    static const char *const colours[MAP_STATES] = {"#2f855a", "#718096", "#2b6cb0", "#c53030",
                                                    "#a0aec0"};
    return colours[state];
}

static void put_node(const struct map_graph *graph, size_t index, struct buf *to)
{
    const struct map_node *node = &graph->nodes.items[index];
    struct buf said = {0};
    map_node_text(graph, node, &said);
    buf_printf(to, "  n%zu [label=", index);
    put_quoted(to, node->name, buf_cstr(&said));
    buf_printf(to, ", shape=%s, color=\"%s\"];\n", node->is_service ? "box" : "ellipse",
               colour_of(node->state));
    buf_deinit(&said);
}

static void put_edge(const struct map_graph *graph, const struct map_edge *edge, struct buf *to)
{
    struct buf said = {0};
    bool is_cause = edge->kind == MAP_EDGE_CAUSES;
    map_edge_text(graph, edge, &said);
    buf_printf(to, "  n%zu -> n%zu [label=", edge->from, edge->to);
    put_quoted(to, buf_cstr(&said), "");
    buf_printf(to, ", color=\"%s\"%s%s];\n", colour_of(edge->state),
               is_cause                 ? ", style=dotted, constraint=false"
               : edge->inferred != NULL ? ", style=dashed"
                                        : "",
               edge->kind == MAP_EDGE_CONSUMES && edge->errors > 0 ? ", penwidth=2" : "");
    buf_deinit(&said);
}

void map_write_dot(const struct map_graph *graph, struct buf *to)
{
    buf_append_str(to, "digraph flow {\n  rankdir=LR;\n"
                       "  node [fontname=\"sans-serif\", style=rounded];\n"
                       "  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (size_t i = 0; i < graph->nodes.count; i++) {
        put_node(graph, i, to);
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        put_edge(graph, &graph->edges.items[i], to);
    }
    buf_append_str(to, "}\n");
}
