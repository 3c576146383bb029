#ifndef TIDINGS_BUS_MAP_MAP_WRITE_H
#define TIDINGS_BUS_MAP_MAP_WRITE_H

#include "bus/map/map_graph.h"

#include <jansson.h>

/*
 * The flow map as text, JSON, DOT, Mermaid and SVG, and what of it is about one type. The names in
 * it are others': each form escapes them in its own way, so that no name does something to a
 * terminal, a page, or the shape of the graph. The same graph gives the same bytes. All append.
 * Pure; any thread.
 */

/* For people, on lines of any terminal: each type with who publishes and consumes it and what it
 * causes; services that are gone or failing last. */
void map_write_text(const struct map_graph *graph, struct buf *to);

/* The same of one type alone. */
void map_write_who(const struct map_graph *graph, const struct map_node *type, struct buf *to);

/* docs/formats.md, "The flow map". */
json_t *map_json(const struct map_graph *graph);
json_t *map_who_json(const struct map_graph *graph, const struct map_node *type);

/* {"added": [...], "removed": [...], "changed": [...]}, and the same for people. */
json_t *map_diff_json(const struct map_graph *now, const struct map_graph *then);
void map_write_diff(const struct map_graph *now, const struct map_graph *then, struct buf *to);

/* For Graphviz (`dot -Tpng`), and for pages that draw Mermaid. */
void map_write_dot(const struct map_graph *graph, struct buf *to);
void map_write_mermaid(const struct map_graph *graph, struct buf *to);

/* After map_layout. Colours are CSS variables of the class tidings-map, light and dark. */
void map_write_svg(const struct map_graph *graph, struct buf *to);

/* --- words (map_words.c) --- */

/* "120/s", "3.5/s", "12/min", "2/h"; "" below one a day. */
const char *map_rate_text(double rate, char text[32]);

/* "350 ms", "12 s", "5 min", "3 h", "2 d". */
const char *map_span_text(double ms, char text[32]);

/* The name with \xNN for what is no text, cut in its middle to about so many characters. */
void map_label(struct buf *to, const char *name, size_t most_chars);

/* What is to be said of an edge beside its ends: "lag 12 (oldest 3 s)", "98 % within 120 ms". */
void map_edge_text(const struct map_graph *graph, const struct map_edge *edge, struct buf *to);

/* "publishes 12/s, 3 members", "gone for 5 min". */
void map_node_text(const struct map_graph *graph, const struct map_node *node, struct buf *to);

#endif
