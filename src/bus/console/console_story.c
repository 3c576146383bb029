#include "bus/console/console_page.h"

#include "base/time_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The story of an event, of the JSON of /v1/story (docs/formats.md, "The story of an event"). */

/* --- what is asked --- */

static bool is_digits(const char *text, size_t size)
{
    size_t digits = strspn(text, "0123456789");
    return size > 0 && digits == size && size < 19;
}

/* "topic:partition:offset"; topics have no colon. */
static const char *place_target(struct page *page, const char *asked)
{
    const char *first = strchr(asked, ':');
    const char *second = first != NULL ? strchr(first + 1, ':') : NULL;
    if (second == NULL || first == asked || !is_digits(first + 1, (size_t)(second - first - 1)) ||
        !is_digits(second + 1, strlen(second + 1))) {
        return NULL;
    }
    return html_url(&page->arena, "/v1/story?topic={}&partition={}&offset={}",
                    arena_cstr(&page->arena, slice_of(asked, (size_t)(first - asked))),
                    arena_cstr(&page->arena, slice_of(first + 1, (size_t)(second - first - 1))),
                    second + 1);
}

/* What was typed may be any of these: the first that is known of it counts. */
static json_t *ask(struct page *page, const char *asked, json_t **problem)
{
    static const char *const ways[] = {"id", "correlation", "key"};
    const char *source = page_query(page, "source", NULL);
    const char *place = place_target(page, asked);
    json_t *story = NULL, *first = NULL;
    if (place != NULL) {
        return page_ask(page, place, problem);
    }
    if (strlen(asked) == 32 && strspn(asked, "0123456789abcdef") == 32) {
        story = page_ask(page, html_url(&page->arena, "/v1/story?trace={}", asked), problem);
    }
    for (size_t i = 0; story == NULL && i < sizeof ways / sizeof ways[0]; i++) {
        const char *target = page_printf(page, "/v1/story?%s=", ways[i]);
        target = page_printf(page, "%s%s", target, html_url(&page->arena, "{}", asked));
        if (i == 0 && source != NULL) {
            target =
                page_printf(page, "%s&source=%s", target, html_url(&page->arena, "{}", source));
        }
        story = page_ask(page, target, problem);
        first = i == 0 ? *problem : first;
        if (story == NULL && json_number(*problem, "status") != 404) {
            return NULL;
        }
    }
    if (story == NULL) {
        *problem = first;
    }
    return story;
}

/* --- words of a group's state --- */

static void put_after(struct page *page, const json_t *group, int64_t event_ms)
{
    int64_t at_ms = json_time(group, "at");
    if (at_ms >= 0 && event_ms >= 0 && at_ms >= event_ms) {
        html_textf(&page->html, " after %s", page_span(page, at_ms - event_ms));
    }
}

static void put_not_yet(struct page *page, const json_t *group)
{
    int64_t before = json_number(group, "before"), left_ms = json_number(group, "left_ms");
    if (before > 0) {
        html_textf(&page->html, " %s before it", page_count(page, before));
    } else if (before == 0) {
        html_text(&page->html, " it is the next one");
    }
    if (left_ms >= 0) {
        html_textf(&page->html, ", about %s at the present rate", page_span(page, left_ms));
    }
}

static void put_waiting(struct page *page, const json_t *group)
{
    int64_t attempt = json_number(group, "attempt"), most = json_number(group, "attempts_most");
    int64_t next_ms = json_time(group, "next_try");
    if (attempt >= 0) {
        html_textf(&page->html, " attempt %" PRId64, attempt);
    }
    if (attempt >= 0 && most >= 0) {
        html_textf(&page->html, " of %" PRId64, most);
    }
    if (json_is_true(json_object_get(group, "held"))) {
        html_text(&page->html, ", held by somebody’s word");
    } else if (json_is_true(json_object_get(group, "handler_down"))) {
        html_text(&page->html, ", its handler is down");
    } else if (next_ms >= 0) {
        html_text(&page->html, ", next try ");
        page_time(page, next_ms);
    }
}

static void put_dead(struct page *page, const json_t *group)
{
    const json_t *letter = json_object_get(group, "dead_letter");
    int64_t failed = json_number(group, "failed_again");
    if (letter != NULL) {
        html_textf(&page->html, " letter %" PRId64 ":%" PRId64, json_number(letter, "partition"),
                   json_number(letter, "offset"));
    }
    if (failed > 0) {
        html_textf(&page->html, ", failed again %" PRId64 " time%s", failed,
                   failed == 1 ? "" : "s");
    }
}

struct state_word {
    const char *state, *word, *tone;
};

static const struct state_word *word_of(const char *state)
{
    static const struct state_word words[] = {{"passed", "passed", "good"},
                                              {"done", "done", "good"},
                                              {"redriven", "redriven", "good"},
                                              {"dead", "dead", "bad"},
                                              {"gone", "gone unread", "bad"},
                                              {"not-yet", "not yet", "warn"},
                                              {"waiting", "waits", "warn"},
                                              {"behind", "stands behind", "warn"},
                                              {"handling", "being handled", "warn"},
                                              {"redriving", "redrive asked for", "warn"},
                                              {"sent-back", "published again", "warn"},
                                              {"discarded", "discarded", NULL},
                                              {"skipped", "skipped", NULL},
                                              {"filtered", "skipped by its filter", NULL},
                                              {"not-subscribed", "not subscribed", NULL},
                                              {"unknown", "not known", NULL}};
    size_t count = sizeof words / sizeof words[0];
    for (size_t i = 0; state != NULL && i < count; i++) {
        if (strcmp(words[i].state, state) == 0) {
            return &words[i];
        }
    }
    return &words[count - 1];
}

static void put_reason(struct page *page, const json_t *group)
{
    const char *class_name = json_text(group, "error_class"), *words = json_text(group, "message");
    const char *who = json_text(group, "who"), *why = json_text(group, "why");
    if (class_name != NULL || words != NULL) {
        html_textf(&page->html, " · %s%s%s", class_name != NULL ? class_name : "",
                   class_name != NULL && words != NULL ? ": " : "", words != NULL ? words : "");
    }
    if (who != NULL) {
        html_textf(&page->html, " · by %s", who);
    }
    if (why != NULL) {
        html_textf(&page->html, " · %s", why);
    }
}

static void put_notes(struct page *page, const json_t *group)
{
    const json_t *notes = json_object_get(group, "notes");
    size_t i;
    json_t *note;
    json_array_foreach(notes, i, note)
    {
        html_begin(&page->html, "li", NULL);
        html_text(&page->html, json_text(note, "text"));
        html_element(&page->html, "small", json_text(note, "evidence"), "class", "evidence", NULL);
        html_end(&page->html, "li");
    }
}

static void put_group(struct page *page, const json_t *group, int64_t event_ms)
{
    const char *name = json_text(group, "group");
    const struct state_word *word = word_of(json_text(group, "state"));
    const char *state = word->state;
    html_begin(&page->html, "li", NULL);
    html_element(&page->html, "a", name, "href", page_group_url(page, name), NULL);
    page_badge(page, word->word, word->tone);
    html_begin(&page->html, "span", "class", "soft", NULL);
    if (strcmp(state, "not-yet") == 0) {
        put_not_yet(page, group);
    } else if (strcmp(state, "waiting") == 0) {
        put_waiting(page, group);
    } else if (strcmp(state, "behind") == 0) {
        html_textf(&page->html, " offset %" PRId64 " of its key", json_number(group, "behind"));
    } else if (strcmp(state, "dead") == 0) {
        put_dead(page, group);
    } else {
        put_after(page, group, event_ms);
    }
    if (json_number(group, "took_ms") >= 0) {
        html_textf(&page->html, ", took %s", page_span(page, json_number(group, "took_ms")));
    }
    put_reason(page, group);
    html_end(&page->html, "span");
    const char *evidence = json_text(group, "evidence");
    if (evidence != NULL && strcmp(evidence, word->word) != 0) {
        html_element(&page->html, "small", evidence, "class", "evidence", "title",
                     "What this is known by", NULL);
    }
    if (json_array_size(json_object_get(group, "notes")) > 0) {
        html_begin(&page->html, "ul", "class", "notes", NULL);
        put_notes(page, group);
        html_end(&page->html, "ul");
    }
    html_end(&page->html, "li");
}

/* --- the axis of time --- */

struct axis {
    int64_t from_ms, to_ms;
};

static struct axis axis_of(const json_t *events, int64_t now_ms)
{
    struct axis axis = {INT64_MAX, 0};
    size_t i, j;
    json_t *event, *group;
    json_array_foreach(events, i, event)
    {
        int64_t at_ms = json_time(event, "timestamp");
        if (at_ms >= 0) {
            axis.from_ms = at_ms < axis.from_ms ? at_ms : axis.from_ms;
            axis.to_ms = at_ms > axis.to_ms ? at_ms : axis.to_ms;
        }
        json_array_foreach(json_object_get(event, "groups"), j, group)
        {
            at_ms = json_time(group, "at");
            axis.to_ms = at_ms > axis.to_ms ? at_ms : axis.to_ms;
        }
    }
    axis.from_ms = axis.from_ms == INT64_MAX ? now_ms : axis.from_ms;
    axis.to_ms = axis.to_ms <= axis.from_ms ? axis.from_ms + 1 : axis.to_ms;
    return axis;
}

enum { AXIS_WIDTH = 400, AXIS_HEIGHT = 14 };

static double place_on(const struct axis *axis, int64_t at_ms)
{
    double share = (double)(at_ms - axis->from_ms) / (double)(axis->to_ms - axis->from_ms);
    return 6 + share * (AXIS_WIDTH - 12);
}

/* The event as a mark, what its groups did as dots behind it. */
static void put_axis(struct page *page, const json_t *event, const struct axis *axis)
{
    int64_t event_ms = json_time(event, "timestamp"), last_ms = event_ms;
    size_t i;
    json_t *group;
    html_begin(&page->html, "svg", "class", "axis", "viewbox", "0 0 400 14", "preserveaspectratio",
               "none", "aria-hidden", "true", NULL);
    if (event_ms >= 0) {
        json_array_foreach(json_object_get(event, "groups"), i, group)
        {
            int64_t at_ms = json_time(group, "at");
            last_ms = at_ms > last_ms ? at_ms : last_ms;
        }
        double from = place_on(axis, event_ms), to = place_on(axis, last_ms);
        html_element(&page->html, "rect", "", "class", "took", "x", page_printf(page, "%.1f", from),
                     "y", "6", "height", "2", "width", page_printf(page, "%.1f", to - from), NULL);
        html_element(&page->html, "rect", "", "class", "mark", "x",
                     page_printf(page, "%.1f", from - 1.5), "y", "1", "height", "12", "width", "3",
                     NULL);
        json_array_foreach(json_object_get(event, "groups"), i, group)
        {
            int64_t at_ms = json_time(group, "at");
            const struct state_word *word = word_of(json_text(group, "state"));
            if (at_ms >= event_ms) {
                html_element(&page->html, "rect", "", "class",
                             page_printf(page, "dot %s", word->tone != NULL ? word->tone : ""), "x",
                             page_printf(page, "%.1f", place_on(axis, at_ms) - 2), "y", "4",
                             "width", "4", "height", "6", NULL);
            }
        }
    }
    html_end(&page->html, "svg");
}

/* --- one event --- */

static const char *presence_words(const char *presence)
{
    static const struct {
        const char *name, *words;
    } rows[] = {{"taken", "taken by retention or compaction"},
                {"aborted", "its transaction was aborted: it is no event"},
                {"undecided", "its transaction is open"},
                {"ahead", "not written yet"},
                {"not-read", "the bus did not give it in time"}};
    for (size_t i = 0; presence != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, presence) == 0) {
            return rows[i].words;
        }
    }
    return NULL;
}

static void put_link(struct page *page, const json_t *event)
{
    const json_t *link = json_object_get(event, "link");
    const char *how = json_text(link, "how"), *note = json_text(link, "note");
    if (how != NULL && strcmp(how, "root") != 0) {
        html_textf(&page->html, " · by its %s", how);
        html_element(&page->html, "small", json_text(link, "evidence"), "class", "evidence", NULL);
    }
    if (note != NULL) {
        html_textf(&page->html, " · %s", note);
    }
    if (json_is_true(json_object_get(link, "cause_not_found"))) {
        html_text(&page->html, " · it names a cause that was not found");
    }
}

static void put_publishers(struct page *page, const json_t *event)
{
    size_t i;
    json_t *publisher;
    json_array_foreach(json_object_get(event, "publishers"), i, publisher)
    {
        html_text(&page->html, i == 0 ? " · from " : ", ");
        html_text(&page->html, json_text(publisher, "name"));
        html_element(&page->html, "small", json_text(publisher, "evidence"), "class", "evidence",
                     NULL);
    }
}

static void put_event(struct page *page, const json_t *event, const struct axis *axis)
{
    const char *topic = json_text(event, "topic"), *type = json_text(event, "type");
    const char *partition = page_printf(page, "%" PRId64, json_number(event, "partition"));
    const char *offset = page_printf(page, "%" PRId64, json_number(event, "offset"));
    const char *place = page_printf(page, "%s:%s:%s", topic, partition, offset);
    const char *presence = presence_words(json_text(event, "presence"));
    int64_t depth = json_number(event, "depth"), at_ms = json_time(event, "timestamp");
    const json_t *groups = json_object_get(event, "groups");
    size_t i;
    json_t *group;
    bool is_asked = json_is_true(json_object_get(event, "asked"));
    html_begin(&page->html, "li", "class",
               page_printf(page, "d%d%s", (int)(depth > 8 ? 8 : depth), is_asked ? " asked" : ""),
               "data-row", place, NULL);
    html_begin(&page->html, "div", "class", "what", NULL);
    html_begin(&page->html, "div", NULL);
    html_element(&page->html, "a", type != NULL ? type : topic, "class", "type", "href",
                 html_url(&page->arena, "/topics/{}/{}/{}", topic, partition, offset), NULL);
    html_textf(&page->html, " %s", place);
    html_begin(&page->html, "span", "class", "soft", NULL);
    put_publishers(page, event);
    put_link(page, event);
    html_end(&page->html, "span");
    if (presence != NULL) {
        page_badge(page, presence, "warn");
    }
    html_end(&page->html, "div");
    html_begin(&page->html, "div", "class", "time", NULL);
    put_axis(page, event, axis);
    html_element(
        &page->html, "small",
        at_ms >= 0 ? page_printf(page, "+%s", page_span(page, at_ms - axis->from_ms)) : "–", NULL);
    html_end(&page->html, "div");
    html_end(&page->html, "div");
    html_begin(&page->html, "ul", "class", "groups", NULL);
    json_array_foreach(groups, i, group)
    {
        put_group(page, group, at_ms);
    }
    if (json_is_true(json_object_get(event, "nobody_subscribes"))) {
        html_element(&page->html, "li", "Nobody subscribes to this.", "class", "soft", NULL);
    } else if (json_is_null(groups)) {
        html_element(&page->html, "li", "Its groups could not be read.", "class", "soft", NULL);
    }
    html_end(&page->html, "ul");
    html_end(&page->html, "li");
}

/* --- the page --- */

static void put_horizon(struct page *page, const json_t *story)
{
    const json_t *horizon = json_object_get(story, "horizon");
    size_t i;
    json_t *sentence;
    html_element(&page->html, "h2", "What this answer does not know", NULL);
    html_begin(&page->html, "ul", "class", "horizon", NULL);
    json_array_foreach(horizon, i, sentence)
    {
        html_element(&page->html, "li", json_string_value(sentence), NULL);
    }
    if (json_is_true(json_object_get(story, "cut"))) {
        html_element(&page->html, "li", "There is more than was wanted, or than fits.", NULL);
    }
    html_end(&page->html, "ul");
}

static void put_question(struct page *page)
{
    html_element(&page->html, "p",
                 "Type what you have of the event into the field above: its id, its correlation, "
                 "trace or key, or its place as topic:partition:offset. The story says who "
                 "published it, what each group did with it and how that is known, what made it "
                 "happen, and what it made happen.",
                 "class", "note", NULL);
    page_empty(page, "The same in a terminal:", "tidings why ID");
}

void page_story(struct page *page)
{
    json_t *problem, *event;
    size_t i;
    const char *asked = page_query(page, "q", NULL);
    page->command = NULL;
    if (asked == NULL) {
        page->live_ms = 0;
        put_question(page);
        return;
    }
    page->live_ms = 3000;
    page->title = page_printf(page, "Story of %.300s", asked);
    page->command = html_shell(&page->arena, "tidings why {}", asked);
    json_t *story = ask(page, asked, &problem);
    if (story == NULL) {
        int64_t status = json_number(problem, "status");
        page->status = status >= 400 ? (unsigned)status : 502;
        page_problem(page, problem);
        return;
    }
    const json_t *events = json_object_get(story, "events");
    struct axis axis = axis_of(events, page->now_ms);
    html_begin(&page->html, "p", "class", "note", NULL);
    html_textf(&page->html, "%zu event%s within %s, first ", json_array_size(events),
               json_array_size(events) == 1 ? "" : "s", page_span(page, axis.to_ms - axis.from_ms));
    page_time(page, axis.from_ms);
    html_text(&page->html,
              ". Beside each statement stands what it is known by: recorded in the log, "
              "passed by a commit, told by a library, or inferred.");
    html_end(&page->html, "p");
    html_begin(&page->html, "ol", "class", "story", NULL);
    json_array_foreach(events, i, event)
    {
        put_event(page, event, &axis);
    }
    html_end(&page->html, "ol");
    put_horizon(page, story);
}
