#include "cli/story/why_view.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_COLUMNS = 26, TIME_COLUMNS = 9, USUAL_COLUMNS = 80, AXIS_LEAST = 10 };

struct axis {
    const struct why_look *look;
    struct buf *to;
    int64_t from_ms, to_ms;
    int columns; /* of the axis itself */
};

static void span(int64_t time_ms, struct axis *axis)
{
    if (time_ms > 0) {
        axis->from_ms = axis->from_ms == 0 || time_ms < axis->from_ms ? time_ms : axis->from_ms;
        axis->to_ms = time_ms > axis->to_ms ? time_ms : axis->to_ms;
    }
}

static void find_span(const json_t *events, struct axis *axis)
{
    size_t i, k;
    json_t *event, *group;
    json_array_foreach(events, i, event)
    {
        span(why_time(event, "timestamp"), axis);
        json_array_foreach(json_object_get(event, "groups"), k, group)
        {
            span(why_time(group, "at"), axis);
        }
    }
}

static int column_of(const struct axis *axis, int64_t time_ms)
{
    double share = (double)(time_ms - axis->from_ms) / (double)(axis->to_ms - axis->from_ms);
    int column = (int)(share * (axis->columns - 1) + 0.5);
    return column < 0 ? 0 : column < axis->columns ? column : axis->columns - 1;
}

/* A name of so many columns at most. */
static void put_label(struct why_line *line, int indent, enum why_colour colour, const char *name)
{
    struct why_look narrow = *line->look;
    struct why_line label = *line;
    narrow.columns = LABEL_COLUMNS - 1;
    label.look = &narrow;
    for (int i = 0; i < indent; i++) {
        why_put(&label, WHY_PLAIN, " ");
    }
    why_put(&label, colour, "%s", name);
    line->column = label.column;
    while (line->column < LABEL_COLUMNS) {
        why_put(line, WHY_PLAIN, " ");
    }
}

static void put_times(struct why_line *line, const char *what, int times)
{
    struct buf text = {0};
    for (int i = 0; i < times; i++) {
        buf_append_str(&text, what);
    }
    if (times > 0) {
        why_put(line, WHY_DIM, "%s", buf_cstr(&text));
    }
    buf_deinit(&text);
}

static void put_time(struct why_line *line, const struct axis *axis, int64_t time_ms)
{
    char text[32];
    why_put_right(line, WHY_PLAIN, why_duration(time_ms - axis->from_ms, text));
    why_end(line);
}

static void draw_event(const struct axis *axis, const json_t *event)
{
    struct why_line line = {axis->look, axis->to, 0, false};
    int64_t at_ms = why_time(event, "timestamp");
    const char *name = why_text(event, "type");
    name = name != NULL ? name : why_text(event, "topic");
    if (at_ms > 0) {
        int indent = (int)json_integer_value(json_object_get(event, "depth"));
        put_label(&line, indent < 8 ? indent : 8, WHY_BOLD, name != NULL ? name : "");
        put_times(&line, " ", column_of(axis, at_ms));
        why_put(&line, WHY_BOLD, "%s", axis->look->has_utf8 ? "●" : "o");
        put_time(&line, axis, at_ms);
    }
}

/* From the event to when the group was done: dotted where it is not known how far. */
static void draw_group(const struct axis *axis, const json_t *event, const json_t *group)
{
    struct why_line line = {axis->look, axis->to, 0, false};
    int64_t from_ms = why_time(event, "timestamp"), at_ms = why_time(group, "at");
    int64_t sure_ms = why_time(group, "not_before");
    if (from_ms <= 0 || at_ms < from_ms) {
        return;
    }
    int indent = (int)json_integer_value(json_object_get(event, "depth"));
    int from = column_of(axis, from_ms), at = column_of(axis, at_ms);
    int sure = sure_ms > from_ms && sure_ms < at_ms ? column_of(axis, sure_ms) : from;
    bool is_utf8 = axis->look->has_utf8;
    enum why_colour colour = why_group_colour(group);
    put_label(&line, (indent < 8 ? indent : 8) + 2, WHY_PLAIN, why_text(group, "group"));
    put_times(&line, " ", from);
    sure = sure < at ? sure : at;
    put_times(&line, is_utf8 ? "─" : "-", sure - from);
    put_times(&line, is_utf8 ? "╌" : ".", at - sure);
    why_put(&line, colour, "%s",
            colour == WHY_GOOD  ? (is_utf8 ? "◆" : "*")
            : colour == WHY_BAD ? (is_utf8 ? "✗" : "x")
                                : (is_utf8 ? "…" : "~"));
    put_time(&line, axis, at_ms);
}

void why_axis(const json_t *story, const struct why_look *look, struct buf *to)
{
    const json_t *events = json_object_get(story, "events");
    struct axis axis = {look, to, 0, 0, 0};
    char clock[32], length[32];
    int columns = look->columns > 0 ? look->columns : USUAL_COLUMNS;
    size_t i, k;
    json_t *event, *group;
    axis.columns = columns - LABEL_COLUMNS - TIME_COLUMNS;
    find_span(events, &axis);
    if (axis.to_ms <= axis.from_ms || axis.columns < AXIS_LEAST) {
        return; /* all at once, or no room */
    }
    struct why_line line = {look, to, 0, false};
    why_end(&line);
    why_put(&line, WHY_DIM, "Time, from %s on, for %s", why_clock(axis.from_ms, clock),
            why_duration(axis.to_ms - axis.from_ms, length));
    why_end(&line);
    json_array_foreach(events, i, event)
    {
        draw_event(&axis, event);
        json_array_foreach(json_object_get(event, "groups"), k, group)
        {
            draw_group(&axis, event, group);
        }
    }
}
