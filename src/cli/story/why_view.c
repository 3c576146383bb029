#include "cli/story/why_view.h"

#include "base/plural.h"
#include "base/utf8.h"

#include <string.h>

enum { DEPTH_MOST = 20, GROUP_COLUMNS = 12, GROUP_LONG = 28 };

struct view {
    const struct why_look *look;
    struct buf *to;
    const json_t *events;
    int64_t now_ms;
};

/* --- the lines of the tree --- */

static size_t number_of(const json_t *event, const char *name)
{
    const json_t *value = json_object_get(event, name);
    return json_is_integer(value) ? (size_t)json_integer_value(value) : SIZE_MAX;
}

/* Whether an event behind this one hangs below the same parent. */
static bool has_sibling_behind(const struct view *view, size_t index)
{
    const json_t *event = json_array_get(view->events, index);
    size_t parent = number_of(event, "parent");
    for (size_t i = index + 1; i < json_array_size(view->events); i++) {
        if (number_of(json_array_get(view->events, i), "parent") == parent) {
            return parent != SIZE_MAX;
        }
    }
    return false;
}

static bool has_children(const struct view *view, size_t index)
{
    for (size_t i = index + 1; i < json_array_size(view->events); i++) {
        if (number_of(json_array_get(view->events, i), "parent") == index) {
            return true;
        }
    }
    return false;
}

/* What stands in front of an event's lines. */
static void put_guides(const struct view *view, struct why_line *line, size_t index, bool is_first)
{
    size_t path[DEPTH_MOST], depth = 0;
    bool is_utf8 = view->look->has_utf8;
    if (index == SIZE_MAX) {
        return; /* of no event */
    }
    for (size_t at = index; depth < DEPTH_MOST;) {
        size_t parent = number_of(json_array_get(view->events, at), "parent");
        if (parent == SIZE_MAX || parent >= at) {
            break;
        }
        path[depth++] = at;
        at = parent;
    }
    while (depth-- > 0) {
        bool goes_on = has_sibling_behind(view, path[depth]);
        if (depth == 0 && is_first) {
            why_put(line, WHY_DIM, "%s",
                    goes_on ? (is_utf8 ? "├─ " : "+- ") : (is_utf8 ? "└─ " : "`- "));
        } else {
            why_put(line, WHY_DIM, "%s", goes_on ? (is_utf8 ? "│  " : "|  ") : "   ");
        }
    }
    if (!is_first) {
        why_put(line, WHY_DIM, "%s", has_children(view, index) ? (is_utf8 ? "│  " : "|  ") : "   ");
    }
}

static struct why_line begin(const struct view *view, size_t index, bool is_first)
{
    struct why_line line = {view->look, view->to, 0, false};
    put_guides(view, &line, index, is_first);
    return line;
}

/* --- an event --- */

static const char *presence_words(const char *presence)
{
    static const char *const rows[][2] = {
        {"taken", "not in the log: retention or compaction took it, or it never was an event"},
        {"aborted", "its transaction was aborted: it is no event"},
        {"undecided", "its transaction is open: it is no event yet"},
        {"ahead", "not written yet: the partition ends before it"},
        {"not-read", "the bus did not give it in time"}};
    for (size_t i = 0; presence != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i][0], presence) == 0) {
            return rows[i][1];
        }
    }
    return NULL;
}

static void draw_title(const struct view *view, size_t index)
{
    const json_t *event = json_array_get(view->events, index);
    struct why_line line = begin(view, index, true);
    const char *type = why_text(event, "type"), *source = why_text(event, "source");
    int64_t time_ms = why_time(event, "timestamp");
    char clock[32];
    bool is_asked = json_is_true(json_object_get(event, "asked"));
    why_put(&line, is_asked ? WHY_BOLD : WHY_PLAIN, "%s", type != NULL ? type : "event");
    if (source != NULL) {
        why_put(&line, WHY_PLAIN, " from %s", source);
    }
    if (is_asked) {
        why_put(&line, WHY_BOLD, "%s", view->look->has_utf8 ? " ◀" : " <");
    }
    if (time_ms > 0) {
        why_put_right(&line, WHY_PLAIN, why_clock(time_ms, clock));
    }
    why_end(&line);
}

static void draw_place(const struct view *view, size_t index)
{
    const json_t *event = json_array_get(view->events, index);
    struct why_line line = begin(view, index, false);
    const char *key = why_text(event, "key"), *id = why_text(event, "id");
    const char *topic = why_text(event, "topic");
    const char *lost = presence_words(why_text(event, "presence"));
    why_put(&line, WHY_DIM, "%s/%lld/%lld", topic != NULL ? topic : "",
            (long long)number_of(event, "partition"), (long long)number_of(event, "offset"));
    if (key != NULL) {
        why_put(&line, WHY_DIM, ", key %s", key);
    }
    if (id != NULL) {
        why_put(&line, WHY_DIM, ", id %s", id);
    }
    why_put_right(&line, WHY_DIM, lost != NULL ? "" : "recorded");
    why_end(&line);
    if (lost != NULL) {
        line = begin(view, index, false);
        why_put(&line, WHY_BAD, "%s", lost);
        why_end(&line);
    }
}

/* A text of some length over as many lines as it needs. */
static void draw_wrapped(const struct view *view, size_t index, const char *indent,
                         enum why_colour colour, const char *text)
{
    enum { USUAL_COLUMNS = 80, LEAST = 20 };
    struct buf safe = {0};
    int columns = view->look->columns > 0 ? view->look->columns : USUAL_COLUMNS;
    utf8_escape(&safe, slice_str(text));
    const char *rest = buf_cstr(&safe);
    while (*rest != '\0') {
        struct why_line line = begin(view, index, false);
        why_put(&line, WHY_PLAIN, "%s", indent);
        size_t room = (size_t)(columns - line.column > LEAST ? columns - line.column : LEAST);
        size_t size = strlen(rest);
        if (size > room) {
            size = room;
            while (size > 0 && rest[size] != ' ') {
                size--;
            }
            size = size > 0 ? size : room; /* a word without end is cut where it is */
            while (size < strlen(rest) && ((unsigned char)rest[size] & 0xc0) == 0x80) {
                size++; /* not within a letter */
            }
        }
        why_put(&line, colour, "%.*s", (int)size, rest);
        why_end(&line);
        rest += size;
        rest += strspn(rest, " ");
    }
    buf_deinit(&safe);
}

static void draw_origin(const struct view *view, size_t index)
{
    const json_t *event = json_array_get(view->events, index);
    const json_t *link = json_object_get(event, "link");
    const char *note = why_text(link, "note");
    struct buf text = {0};
    json_t *publisher;
    size_t i;
    json_array_foreach(json_object_get(event, "publishers"), i, publisher)
    {
        const char *name = why_text(publisher, "name");
        const char *from = why_text(publisher, "from");
        if (name != NULL && from != NULL && strcmp(from, "clients") == 0) {
            buf_clear(&text);
            buf_printf(&text, "client %s published to the topic then (inferred)", name);
            draw_wrapped(view, index, "", WHY_GUESS, buf_cstr(&text));
        }
    }
    if (json_is_integer(json_object_get(event, "copy_of"))) {
        draw_wrapped(view, index, "", WHY_DIM, "published once more: same id and source");
    }
    if (json_is_true(json_object_get(link, "cause_not_found"))) {
        const char *cause = why_text(event, "causation");
        buf_clear(&text);
        buf_printf(&text, "its cause %s was not found", cause != NULL ? cause : "");
        draw_wrapped(view, index, "", WHY_OPEN, buf_cstr(&text));
    }
    if (note != NULL) {
        buf_clear(&text);
        const char *evidence = why_text(link, "evidence");
        buf_printf(&text, "hangs here as %s (%s)", note, evidence != NULL ? evidence : "");
        draw_wrapped(view, index, "", WHY_GUESS, buf_cstr(&text));
    }
    buf_deinit(&text);
}

/* --- its groups --- */

static void draw_notes(const struct view *view, size_t index, const json_t *group)
{
    const char *class = why_text(group, "error_class"), *message = why_text(group, "message");
    const char *state = why_text(group, "state");
    struct buf text = {0};
    char clock[32];
    size_t i;
    json_t *note;
    bool is_over = state != NULL && (strcmp(state, "passed") == 0 || strcmp(state, "done") == 0);
    if (!is_over && (class != NULL || message != NULL)) {
        buf_printf(&text, "%s%s%s", class != NULL ? class : "",
                   class != NULL && message != NULL ? ": " : "", message != NULL ? message : "");
        draw_wrapped(view, index, "    ", WHY_PLAIN, buf_cstr(&text));
    }
    json_array_foreach(json_object_get(group, "notes"), i, note)
    {
        const char *evidence = why_text(note, "evidence");
        int64_t at_ms = why_time(note, "at");
        bool is_guess = evidence != NULL && strcmp(evidence, "inferred") == 0;
        buf_clear(&text);
        buf_append_str(&text, why_text(note, "text") != NULL ? why_text(note, "text") : "");
        if (at_ms > 0) {
            buf_printf(&text, ", %s", why_clock(at_ms, clock));
        }
        buf_printf(&text, " (%s)", evidence != NULL ? evidence : "");
        draw_wrapped(view, index, "    ", is_guess ? WHY_GUESS : WHY_DIM, buf_cstr(&text));
    }
    buf_deinit(&text);
}

static void draw_group(const struct view *view, size_t index, const json_t *event,
                       const json_t *group)
{
    const char *name = why_text(group, "group"), *evidence = why_text(group, "evidence");
    struct why_line line = begin(view, index, false);
    struct buf words = {0};
    enum why_colour colour = why_group_colour(group);
    bool is_utf8 = view->look->has_utf8;
    why_put(&line, colour, "%s ",
            colour == WHY_GOOD   ? (is_utf8 ? "✓" : "+")
            : colour == WHY_BAD  ? (is_utf8 ? "✗" : "x")
            : colour == WHY_OPEN ? (is_utf8 ? "…" : "~")
                                 : (is_utf8 ? "·" : "-"));
    why_put(&line, WHY_PLAIN, "%s", name != NULL ? name : "");
    if (utf8_length(name != NULL ? name : "") > GROUP_LONG) {
        why_end(&line);
        line = begin(view, index, false);
        why_put(&line, WHY_PLAIN, "  ");
    }
    for (size_t i = utf8_length(name != NULL ? name : ""); i < GROUP_COLUMNS; i++) {
        why_put(&line, WHY_PLAIN, " ");
    }
    why_say_group(group, why_time(event, "timestamp"), view->now_ms, &words);
    why_put(&line, colour, " %s", buf_cstr(&words));
    why_put_right(&line,
                  evidence != NULL && strcmp(evidence, "inferred") == 0 ? WHY_GUESS : WHY_DIM,
                  evidence != NULL ? evidence : "");
    why_end(&line);
    draw_notes(view, index, group);
    buf_deinit(&words);
}

static void draw_groups(const struct view *view, size_t index)
{
    const json_t *event = json_array_get(view->events, index);
    const json_t *groups = json_object_get(event, "groups");
    size_t i;
    json_t *group;
    json_array_foreach(groups, i, group)
    {
        draw_group(view, index, event, group);
    }
    if (json_is_true(json_object_get(event, "nobody_subscribes"))) {
        const char *type = why_text(event, "type");
        struct buf text = {0};
        type = type != NULL ? type : why_text(event, "topic");
        buf_printf(&text, "nobody subscribes to %s", type != NULL ? type : "it");
        draw_wrapped(view, index, "", WHY_OPEN, buf_cstr(&text));
        buf_deinit(&text);
    } else if (json_is_null(groups)) {
        draw_wrapped(view, index, "", WHY_OPEN, "its groups could not be read");
    }
}

/* --- all of it --- */

static void draw_horizon(const struct view *view, const json_t *story)
{
    size_t i;
    json_t *sentence;
    const json_t *horizon = json_object_get(story, "horizon");
    if (json_array_size(horizon) > 0) {
        buf_append_u8(view->to, '\n');
    }
    json_array_foreach(horizon, i, sentence)
    {
        draw_wrapped(view, SIZE_MAX, "", WHY_DIM, json_string_value(sentence));
    }
}

static void draw_head(const struct view *view)
{
    struct why_line line = {view->look, view->to, 0, false};
    size_t count = json_array_size(view->events);
    const char *time = why_text(json_array_get(view->events, 0), "timestamp");
    why_put(&line, WHY_DIM, "%zu event%s", count, plural_s(count));
    if (time != NULL) {
        why_put(&line, WHY_DIM, ", %.10s, times in UTC", time);
    }
    why_end(&line);
}

void why_view(const json_t *story, const struct why_look *look, struct buf *to)
{
    struct view view = {look, to, json_object_get(story, "events"), why_time(story, "now")};
    draw_head(&view);
    for (size_t i = 0; i < json_array_size(view.events); i++) {
        if (number_of(json_array_get(view.events, i), "parent") == SIZE_MAX) {
            buf_append_u8(to, '\n');
        }
        draw_title(&view, i);
        draw_place(&view, i);
        draw_origin(&view, i);
        draw_groups(&view, i);
    }
    why_axis(story, look, to);
    draw_horizon(&view, story);
}
