#include "bus/map/map_write.h"

#include "base/utf8.h"

#include <ctype.h>

/* Within double quotes. Mermaid makes HTML and Markdown of labels, and has entity codes of its own
 * (#35;): whatever is not a letter, a digit or harmless is written as one. */
static void put_quoted(struct buf *to, const char *name, const char *below)
{
    struct buf text = {0};
    utf8_escape(&text, slice_str(name));
    buf_append_str(to, "\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_harmless = byte >= 0x80 || isalnum(byte) || strchr(" .,:/%()-+=", byte) != NULL;
        if (is_harmless) {
            buf_append_u8(to, byte);
        } else {
            buf_printf(to, "#%d;", byte);
        }
    }
    if (below[0] != '\0') {
        buf_printf(to, "<br/>%s", below);
    }
    buf_append_str(to, "\"");
    buf_deinit(&text);
}

static void put_node(const struct map_graph *graph, size_t index, struct buf *to)
{
    const struct map_node *node = &graph->nodes.items[index];
    struct buf said = {0};
    map_node_text(graph, node, &said);
    buf_printf(to, "  n%zu%s", index, node->is_service ? "[" : "([");
    put_quoted(to, node->name, buf_cstr(&said));
    buf_printf(to, "%s:::%s\n", node->is_service ? "]" : "])", map_state_name(node->state));
    buf_deinit(&said);
}

void map_write_mermaid(const struct map_graph *graph, struct buf *to)
{
    buf_append_str(to, "flowchart LR\n");
    for (size_t i = 0; i < graph->nodes.count; i++) {
        put_node(graph, i, to);
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        const struct map_edge *edge = &graph->edges.items[i];
        struct buf said = {0};
        map_edge_text(graph, edge, &said);
        buf_printf(to, "  n%zu %s", edge->from, edge->kind == MAP_EDGE_CAUSES ? "-.->" : "-->");
        if (said.size > 0) {
            buf_append_str(to, "|");
            put_quoted(to, buf_cstr(&said), "");
            buf_append_str(to, "|");
        }
        buf_printf(to, " n%zu\n", edge->to);
        buf_deinit(&said);
    }
    buf_append_str(to, "  classDef fresh stroke:#2f855a\n  classDef idle stroke:#718096\n"
                       "  classDef new stroke:#2b6cb0\n  classDef failing stroke:#c53030\n"
                       "  classDef gone stroke:#a0aec0,stroke-dasharray:4\n");
}
