#include "bus/map/map_layout.h"
#include "bus/map/map_write.h"

#include "base/time_text.h"
#include "base/utf8.h"
#include "base/xml.h"

#include <math.h>

/* Variables, so that a page can say otherwise; without one, what the system says. */
static const char style[] =
    "<style>"
    ".tidings-map{--paper:#ffffff;--ink:#1a202c;--soft:#5a6778;--card:#f7f9fb;--line:#cbd5e0;"
    "--type:#eef4ff;--fresh:#2f855a;--idle:#8a97a8;--new:#2b6cb0;--failing:#c53030;--gone:#a0aec0;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "@media(prefers-color-scheme:dark){.tidings-map{--paper:#11161d;--ink:#e6edf3;--soft:#9aa7b5;"
    "--card:#1a212b;--line:#39444f;--type:#16233a;--fresh:#48bb78;--idle:#76838f;--new:#63b3ed;"
    "--failing:#fc8181;--gone:#5a6672}}"
    ":root[data-theme=light] .tidings-map{--paper:#ffffff;--ink:#1a202c;--soft:#5a6778;"
    "--card:#f7f9fb;--line:#cbd5e0;--type:#eef4ff;--fresh:#2f855a;--idle:#8a97a8;--new:#2b6cb0;"
    "--failing:#c53030;--gone:#a0aec0}"
    ":root[data-theme=dark] .tidings-map{--paper:#11161d;--ink:#e6edf3;--soft:#9aa7b5;"
    "--card:#1a212b;--line:#39444f;--type:#16233a;--fresh:#48bb78;--idle:#76838f;--new:#63b3ed;"
    "--failing:#fc8181;--gone:#5a6672}"
    ".tidings-map .paper{fill:var(--paper)}"
    ".tidings-map .box{fill:var(--card);stroke:var(--line);stroke-width:1.2}"
    ".tidings-map .type .box{fill:var(--type)}"
    ".tidings-map .bar{stroke:none}"
    ".tidings-map text{fill:var(--ink);font-size:13px}"
    ".tidings-map .name{font-weight:600}"
    ".tidings-map .said{fill:var(--soft);font-size:11px}"
    ".tidings-map .edge{fill:none;stroke-linecap:round}"
    ".tidings-map .causes{stroke-dasharray:2 5}"
    ".tidings-map .guess{stroke-dasharray:7 5}"
    ".tidings-map .fresh{--state:var(--fresh)}.tidings-map .idle{--state:var(--idle)}"
    ".tidings-map .new{--state:var(--new)}.tidings-map .failing{--state:var(--failing)}"
    ".tidings-map .gone{--state:var(--gone)}"
    ".tidings-map .edge{stroke:var(--state)}.tidings-map .bar,.tidings-map .tip{fill:var(--state)}"
    ".tidings-map .node.gone{opacity:.6}.tidings-map .node.gone .box{stroke-dasharray:5 4}"
    ".tidings-map .node.failing .box{stroke:var(--failing)}"
    ".tidings-map .halo{fill:var(--soft);font-size:10.5px;stroke:var(--paper);stroke-width:3px;"
    "paint-order:stroke}"
    "</style>\n";

static void put_name(struct buf *to, const char *name)
{
    struct buf text = {0};
    utf8_escape(&text, slice_str(name));
    xml_escape(to, buf_slice(&text));
    buf_deinit(&text);
}

static void put_label(struct buf *to, const char *name, size_t most_chars)
{
    struct buf text = {0};
    map_label(&text, name, most_chars);
    xml_escape(to, buf_slice(&text));
    buf_deinit(&text);
}

/* --- edges --- */

enum { TIP = 7 };

static double width_of(const struct map_edge *edge)
{
    double width = 1.4 + log10(1 + edge->rate) * 0.9;
    return width > 5 ? 5 : width;
}

/* A triangle that points to the right (or, with -1, to the left) at x, y. */
static void put_tip(struct buf *to, double x, double y, double direction, const char *state)
{
    buf_printf(to, "<path class=\"tip %s\" d=\"M%.1f %.1fl%.1f -4v8z\"/>", state, x, y,
               -direction * TIP);
}

/* One piece of a line, level at both ends. */
static void put_piece(double x1, double y1, double x2, double y2, struct buf *to)
{
    double bend = (x2 - x1) / 2;
    buf_printf(to, "C%.1f %.1f %.1f %.1f %.1f %.1f", x1 + bend, y1, x2 - bend, y2, x2, y2);
}

/* To the left, or within a column: in a bow below both. */
static void put_back(double x1, double y1, double x2, double y2, struct buf *to)
{
    double out = MAP_COLUMN_GAP * 0.8, below = (y1 > y2 ? y1 : y2) + MAP_NODE_HEIGHT;
    buf_printf(to, "C%.1f %.1f %.1f %.1f %.1f %.1fS%.1f %.1f %.1f %.1f", x1 + out, y1, x1 + out,
               below, (x1 + x2) / 2, below, x2 - out, y2, x2, y2);
}

/* From the right side of one to the left side of the other, level past the columns between. */
static void put_curve(const struct map_edge *edge, const struct map_node *from,
                      const struct map_node *end, struct buf *to)
{
    double half = MAP_NODE_WIDTH / 2.0, column = MAP_NODE_WIDTH + MAP_COLUMN_GAP;
    double x = from->x + half, y = from->y, last_x = end->x - half - TIP;
    buf_printf(to, "M%.1f %.1f", x, y);
    if (last_x <= x) {
        put_back(x, y, last_x, end->y, to);
        return;
    }
    for (int i = 0; i < edge->past_count; i++) {
        double left = from->x + (i + 1) * column - half;
        put_piece(x, y, left, edge->past[i], to);
        buf_printf(to, "H%.1f", left + MAP_NODE_WIDTH);
        x = left + MAP_NODE_WIDTH;
        y = edge->past[i];
    }
    put_piece(x, y, last_x, end->y, to);
}

/* What causes what, from the upper side of one type to that of the other. */
static void put_bow(const struct map_node *from, const struct map_node *to_node, struct buf *to)
{
    double y1 = from->y - MAP_NODE_HEIGHT / 2.0, y2 = to_node->y - MAP_NODE_HEIGHT / 2.0 - 2;
    double top = (y1 < y2 ? y1 : y2) - MAP_ROW_GAP - 10;
    top = top < MAP_HEAD ? MAP_HEAD : top;
    buf_printf(to, "M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", from->x + 30, y1, from->x + 60, top,
               to_node->x - 60, top, to_node->x - 30, y2);
}

static void put_edge(const struct map_graph *graph, const struct map_edge *edge, struct buf *to)
{
    const struct map_node *from = &graph->nodes.items[edge->from];
    const struct map_node *end = &graph->nodes.items[edge->to];
    const char *state = map_state_name(edge->state);
    bool is_cause = edge->kind == MAP_EDGE_CAUSES;
    struct buf said = {0};
    map_edge_text(graph, edge, &said);
    buf_printf(to, "<g class=\"link %s\"><title>", state);
    put_name(to, from->name);
    buf_append_str(to, is_cause ? " causes " : " → ");
    put_name(to, end->name);
    buf_append_str(to, said.size > 0 ? ": " : "");
    xml_escape(to, buf_slice(&said));
    buf_printf(to, "</title><path class=\"edge %s%s%s\" stroke-width=\"%.1f\" d=\"", state,
               is_cause ? " causes" : "", edge->inferred != NULL && !is_cause ? " guess" : "",
               is_cause ? 1.3 : width_of(edge));
    if (is_cause) {
        put_bow(from, end, to);
    } else {
        put_curve(edge, from, end, to);
    }
    buf_append_str(to, "\"/>");
    if (is_cause) {
        buf_printf(to, "<circle class=\"tip %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", state,
                   end->x - 30, end->y - MAP_NODE_HEIGHT / 2.0 - 2);
    } else {
        put_tip(to, end->x - MAP_NODE_WIDTH / 2.0, end->y, 1, state);
    }
    buf_append_str(to, "</g>\n");
    buf_deinit(&said);
}

/* From which height a line comes to its end. */
static double line_y(const struct map_graph *graph, const struct map_edge *edge)
{
    return edge->past_count > 0 ? edge->past[edge->past_count - 1]
                                : graph->nodes.items[edge->from].y;
}

/* Lag and failures, beside the tip of what a service consumes; above all lines. */
static void put_note(const struct map_graph *graph, const struct map_edge *edge, struct buf *to)
{
    const struct map_node *end = &graph->nodes.items[edge->to];
    if (edge->kind != MAP_EDGE_CONSUMES || (edge->lag <= 0 && edge->errors == 0)) {
        return;
    }
    buf_printf(to, "<text class=\"halo\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">",
               end->x - MAP_NODE_WIDTH / 2.0 - 12,
               end->y + (line_y(graph, edge) > end->y + 1 ? 14 : -6));
    if (edge->lag > 0) {
        buf_printf(to, "lag %lld", (long long)edge->lag);
    }
    if (edge->errors > 0) {
        buf_printf(to, "%s%llu given up", edge->lag > 0 ? ", " : "",
                   (unsigned long long)edge->errors);
    }
    buf_append_str(to, "</text>\n");
}

/* --- nodes --- */

static void put_title(const struct map_node *node, struct buf *to)
{
    buf_append_str(to, "<title>");
    put_name(to, node->name);
    for (int kind = 0; kind < MAP_NAMES; kind++) {
        for (size_t i = 0; i < node->names[kind].count; i++) {
            buf_printf(to, "\n%s ", map_name_word((enum map_name)kind));
            put_name(to, node->names[kind].items[i]);
        }
    }
    for (size_t i = 0; i < node->topics.count; i++) {
        buf_append_str(to, "\ntopic ");
        put_name(to, node->topics.items[i]);
    }
    if (node->guess != NULL) {
        buf_printf(to, "\n(guess: %s)", node->guess);
    }
    if (node->why != NULL) {
        buf_append_str(to, "\n");
        put_name(to, node->why);
    }
    buf_append_str(to, "</title>");
}

static void put_node(const struct map_graph *graph, const struct map_node *node, struct buf *to)
{
    double left = node->x - MAP_NODE_WIDTH / 2.0, top = node->y - MAP_NODE_HEIGHT / 2.0;
    struct buf said = {0};
    map_node_text(graph, node, &said);
    buf_printf(to, "<g class=\"node %s %s\">", node->is_service ? "service" : "type",
               map_state_name(node->state));
    put_title(node, to);
    buf_printf(
        to, "<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" rx=\"%d\"/>",
        left, top, MAP_NODE_WIDTH, MAP_NODE_HEIGHT, node->is_service ? 7 : MAP_NODE_HEIGHT / 2);
    if (node->is_service) {
        buf_printf(to,
                   "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"4\" height=\"%d\" rx=\"2\"/>",
                   left + 7, top + 9, MAP_NODE_HEIGHT - 18);
    }
    double x = node->is_service ? left + 19 : node->x;
    const char *anchor = node->is_service ? "" : " text-anchor=\"middle\"";
    buf_printf(to, "<text class=\"name\"%s x=\"%.1f\" y=\"%.1f\">", anchor, x,
               said.size > 0 ? node->y - 3 : node->y + 5);
    put_label(to, node->name, 22);
    buf_append_str(to, "</text>");
    if (said.size > 0) {
        buf_printf(to, "<text class=\"said\"%s x=\"%.1f\" y=\"%.1f\">", anchor, x, node->y + 13);
        xml_escape(to, buf_slice(&said));
        buf_append_str(to, "</text>");
    }
    buf_append_str(to, "</g>\n");
    buf_deinit(&said);
}

static void put_head(const struct map_graph *graph, struct buf *to)
{
    char time[TIME_TEXT_SIZE];
    size_t services = 0;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        services += graph->nodes.items[i].is_service;
    }
    double width = graph->width > 480 ? graph->width : 480;
    buf_printf(to,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tidings-map\" role=\"img\" "
               "aria-label=\"Flow map\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
               "height=\"%.0f\">\n",
               width, graph->height, width, graph->height);
    buf_append_str(to, style);
    buf_printf(
        to,
        "<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n"
        "<text class=\"said\" x=\"%d\" y=\"22\">%zu service%s, %zu event type%s, %s</text>\n",
        MAP_MARGIN, services, services == 1 ? "" : "s", graph->nodes.count - services,
        graph->nodes.count - services == 1 ? "" : "s", time_format(graph->at_ms, time));
}

void map_write_svg(const struct map_graph *graph, struct buf *to)
{
    put_head(graph, to);
    for (size_t i = graph->edges.count; i-- > 0;) { /* causes below */
        put_edge(graph, &graph->edges.items[i], to);
    }
    for (size_t i = 0; i < graph->nodes.count; i++) {
        put_node(graph, &graph->nodes.items[i], to);
    }
    for (size_t i = 0; i < graph->edges.count; i++) {
        put_note(graph, &graph->edges.items[i], to);
    }
    buf_append_str(to, "</svg>\n");
}
