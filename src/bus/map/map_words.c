#include "bus/map/map_write.h"

#include "base/utf8.h"

#include <stdio.h>

const char *map_rate_text(double rate, char text[32])
{
    static const struct {
        double seconds;
        const char *unit;
    } units[] = {{1, "s"}, {60, "min"}, {3600, "h"}, {86400, "d"}};
    text[0] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        double number = rate * units[i].seconds;
        if (number >= 0.95 && number < 9.95) {
            snprintf(text, 32, "%.1f/%s", number, units[i].unit);
            return text;
        }
        if (number >= 9.95) {
            snprintf(text, 32, "%.0f/%s", number, units[i].unit);
            return text;
        }
    }
    return text;
}

const char *map_span_text(double ms, char text[32])
{
    double seconds = ms / 1000;
    if (ms < 1000) {
        snprintf(text, 32, "%.0f ms", ms < 0 ? 0 : ms);
    } else if (seconds < 120) {
        snprintf(text, 32, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    } else if (seconds < 7200) {
        snprintf(text, 32, "%.0f min", seconds / 60);
    } else if (seconds < 172800) {
        snprintf(text, 32, "%.0f h", seconds / 3600);
    } else {
        snprintf(text, 32, "%.0f d", seconds / 86400);
    }
    return text;
}

static bool is_inside(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The bytes of so many characters from the start, or (from_end) to the end. */
static size_t bytes_of(struct slice text, size_t chars, bool from_end)
{
    size_t size = 0;
    while (size < text.size && chars > 0) {
        size++;
        if (from_end) {
            chars -= !is_inside(text.data[text.size - size]);
        } else if (size == text.size || !is_inside(text.data[size])) {
            chars--;
        }
    }
    return size;
}

void map_label(struct buf *to, const char *name, size_t most_chars)
{
    struct buf text = {0};
    utf8_escape(&text, slice_str(name));
    size_t chars = utf8_length(buf_cstr(&text));
    if (chars <= most_chars) {
        buf_append_slice(to, buf_slice(&text));
    } else {
        size_t end_chars = most_chars / 3;
        size_t start = bytes_of(buf_slice(&text), most_chars - end_chars - 1, false);
        size_t end = bytes_of(buf_slice(&text), end_chars, true);
        buf_append(to, text.data, start);
        buf_append_str(to, "…");
        buf_append(to, text.data + text.size - end, end);
    }
    buf_deinit(&text);
}

static void separate(struct buf *to, size_t from)
{
    if (to->size > from) {
        buf_append_str(to, ", ");
    }
}

static void add_state(struct buf *to, size_t from, enum map_state state, int64_t quiet_ms)
{
    char text[32];
    if (state == MAP_FRESH || (state == MAP_IDLE && quiet_ms < 0)) {
        return;
    }
    separate(to, from);
    buf_append_str(to, map_state_name(state));
    if (state == MAP_IDLE || (state == MAP_GONE && quiet_ms >= 0)) {
        buf_printf(to, " for %s", map_span_text((double)quiet_ms, text));
    }
}

static void add_lag(const struct map_graph *graph, const struct map_edge *edge, struct buf *to,
                    size_t from)
{
    char text[32];
    if (edge->lag > 0) {
        separate(to, from);
        buf_printf(to, "lag %lld", (long long)edge->lag);
        if (edge->oldest_ms > 0) {
            buf_printf(to, " (oldest %s)",
                       map_span_text((double)(graph->at_ms - edge->oldest_ms), text));
        }
    }
    if (edge->errors > 0) {
        separate(to, from);
        buf_printf(to, "%llu given up", (unsigned long long)edge->errors);
    }
}

void map_edge_text(const struct map_graph *graph, const struct map_edge *edge, struct buf *to)
{
    size_t from = to->size;
    char text[32];
    if (edge->kind == MAP_EDGE_CAUSES) {
        if (edge->share > 0) {
            buf_printf(to, "%.0f %%", edge->share * 100 < 1 ? 1 : edge->share * 100);
        }
        buf_printf(to, "%swithin %s", to->size > from ? " " : "",
                   map_span_text(edge->typical_ms, text));
        return;
    }
    buf_append_str(to, map_rate_text(edge->rate, text));
    add_lag(graph, edge, to, from);
    bool is_idle = edge->state == MAP_IDLE && edge->last_ms > 0;
    add_state(to, from, edge->state, is_idle ? graph->at_ms - edge->last_ms : -1);
}

void map_node_text(const struct map_graph *graph, const struct map_node *node, struct buf *to)
{
    size_t from = to->size;
    char text[32];
    bool is_there = node->state != MAP_GONE;
    map_rate_text(node->rate, text);
    if (text[0] != '\0' && is_there) {
        buf_append_str(to, text);
    }
    if (node->members > 0 && is_there) {
        separate(to, from);
        buf_printf(to, "%d member%s", (int)node->members, node->members == 1 ? "" : "s");
    }
    int64_t since_ms = node->state == MAP_GONE && node->left_ms > 0 ? node->left_ms : node->last_ms;
    add_state(to, from, node->state, since_ms > 0 ? graph->at_ms - since_ms : -1);
}
