#include "cli/story/why_view.h"

#include "base/plural.h"
#include "base/saturate.h"
#include "base/text_format.h"
#include "base/time_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *why_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int64_t why_time(const json_t *object, const char *name)
{
    const char *text = why_text(object, name);
    int64_t time_ms = 0;
    return text != NULL && time_parse(text, 0, &time_ms, NULL) == ERR_NONE ? time_ms : 0;
}

static int64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

const char *why_duration(int64_t ms, char text[32])
{
    static const struct {
        int64_t below_ms, unit_ms;
        const char *unit;
        int digits;
    } rows[] = {{1000, 1, "ms", 0},           {10000, 1000, "s", 1},
                {120000, 1000, "s", 0},       {7200000, 60000, "min", 0},
                {172800000, 3600000, "h", 1}, {INT64_MAX, 86400000, "d", 0}};
    size_t row = 0;
    ms = ms > 0 ? ms : 0;
    while (ms >= rows[row].below_ms && row + 1 < sizeof rows / sizeof rows[0]) {
        row++;
    }
    snprintf(text, 32, "%.*f %s", rows[row].digits, (double)ms / (double)rows[row].unit_ms,
             rows[row].unit);
    return text;
}

const char *why_clock(int64_t time_ms, char text[32])
{
    char time[TIME_TEXT_SIZE];
    time_format(time_ms, time);
    snprintf(text, 32, "%.12s", strlen(time) > 11 ? time + 11 : time);
    return text;
}

static void say(struct buf *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct buf *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_format_escaped(to, format, args);
    va_end(args);
}

/* " at 12:00:01.150, 27 ms after it" */
static void say_when(struct buf *to, const char *word, int64_t at_ms, int64_t event_ms)
{
    char clock[32], after[32];
    if (at_ms > 0) {
        say(to, " %s %s", word, why_clock(at_ms, clock));
    }
    if (at_ms > 0 && event_ms > 0 && at_ms >= event_ms) {
        say(to, ", after %s", why_duration(at_ms - event_ms, after));
    }
}

static void say_not_yet(const json_t *group, struct buf *to)
{
    int64_t before = number(group, "before"), left_ms = number(group, "left_ms");
    char text[32];
    say(to, "not yet");
    if (before > 0) {
        say(to, ": %lld before it", (long long)before);
    } else if (before == 0) {
        say(to, ": it is the next one");
    }
    if (left_ms >= 0) {
        say(to, ", about %s at the present rate", why_duration(left_ms, text));
    }
}

static void say_waiting(const json_t *group, int64_t now_ms, struct buf *to)
{
    int64_t attempt = number(group, "attempt"), most = number(group, "attempts_most");
    int64_t next_ms = why_time(group, "next_try");
    char text[32];
    say(to, "waits");
    if (attempt >= 0) {
        say(to, ": attempt %lld", (long long)attempt);
    }
    if (attempt >= 0 && most >= 0) {
        say(to, " of %lld", (long long)most);
    }
    say(to, "%s", attempt >= 0 ? " failed" : "");
    if (json_is_true(json_object_get(group, "held"))) {
        say(to, "; held by somebody's word");
    } else if (json_is_true(json_object_get(group, "handler_down"))) {
        say(to, "; its handler is down, a probe tries it");
    } else if (next_ms > now_ms) {
        say(to, "; next try in %s", why_duration(next_ms - now_ms, text));
    } else if (next_ms > 0) {
        say(to, "; next try was due %s ago", why_duration(now_ms - next_ms, text));
    }
}

static void say_letter(const json_t *group, struct buf *to)
{
    const json_t *letter = json_object_get(group, "dead_letter");
    int64_t failed = number(group, "failed_again");
    if (json_is_object(letter)) {
        say(to, ", letter %lld:%lld", (long long)number(letter, "partition"),
            (long long)number(letter, "offset"));
    }
    if (failed > 0) {
        say(to, ", failed again %lld time%s", (long long)failed, plural_s((uint64_t)failed));
    }
}

static void say_by_whom(const json_t *group, struct buf *to)
{
    const char *who = why_text(group, "who"), *why = why_text(group, "why");
    if (who != NULL) {
        say(to, " by %s", who);
    }
    if (why != NULL) {
        say(to, ": %s", why);
    }
}

static void say_redrive(const json_t *group, const char *before, const char *behind, struct buf *to)
{
    int64_t redrive = number(group, "redrive");
    say(to, "%sredrive", before);
    if (redrive > 0) {
        say(to, " %lld", (long long)redrive);
    }
    say(to, "%s", behind);
}

static void say_done(const json_t *group, int64_t event_ms, struct buf *to)
{
    int64_t took_ms = number(group, "took_ms");
    char text[32];
    say(to, "done");
    say_when(to, "at", why_time(group, "at"), event_ms);
    if (took_ms >= 0) {
        say(to, ", took %s", why_duration(took_ms, text));
    }
}

void why_say_group(const json_t *group, int64_t event_ms, int64_t now_ms, struct buf *to)
{
    const char *state = why_text(group, "state");
    int64_t at_ms = why_time(group, "at");
    state = state != NULL ? state : "unknown";
    if (strcmp(state, "passed") == 0) {
        say(to, "passed");
        say_when(to, "by", at_ms, event_ms);
    } else if (strcmp(state, "done") == 0) {
        say_done(group, event_ms, to);
    } else if (strcmp(state, "not-yet") == 0) {
        say_not_yet(group, to);
    } else if (strcmp(state, "handling") == 0) {
        char text[32];
        int64_t took_ms = number(group, "took_ms");
        say(to, "being handled");
        if (at_ms > 0) {
            say(to, ", for %s now",
                why_duration(add_saturated(now_ms - at_ms, took_ms > 0 ? took_ms : 0), text));
        }
    } else if (strcmp(state, "waiting") == 0) {
        say_waiting(group, now_ms, to);
    } else if (strcmp(state, "behind") == 0) {
        say(to, "stands behind %lld of its key", (long long)number(group, "behind"));
    } else if (strcmp(state, "dead") == 0) {
        say(to, "dead");
        say_when(to, "since", at_ms, 0);
        say_letter(group, to);
    } else if (strcmp(state, "redriving") == 0) {
        say_redrive(group, "dead; ", " was asked for", to);
    } else if (strcmp(state, "redriven") == 0) {
        say_redrive(group, "done by ", "", to);
        say_when(to, "at", at_ms, event_ms);
    } else if (strcmp(state, "sent-back") == 0) {
        say(to, "dead, and published to its topic again");
    } else if (strcmp(state, "discarded") == 0) {
        say(to, "dead, and discarded");
        say_by_whom(group, to);
    } else if (strcmp(state, "skipped") == 0) {
        say(to, "skipped");
        say_when(to, "at", at_ms, 0);
        say_by_whom(group, to);
    } else if (strcmp(state, "gone") == 0) {
        say(to, "gone before it was read");
    } else if (strcmp(state, "filtered") == 0) {
        say(to, "skipped by its filter");
        say_when(to, "by", at_ms, event_ms);
    } else if (strcmp(state, "not-subscribed") == 0) {
        say(to, "not subscribed");
    } else {
        say(to, "not known");
    }
}

enum why_colour why_group_colour(const json_t *group)
{
    static const struct {
        const char *state;
        enum why_colour colour;
    } rows[] = {{"passed", WHY_GOOD},    {"done", WHY_GOOD},     {"redriven", WHY_GOOD},
                {"dead", WHY_BAD},       {"gone", WHY_BAD},      {"not-yet", WHY_OPEN},
                {"waiting", WHY_OPEN},   {"behind", WHY_OPEN},   {"handling", WHY_OPEN},
                {"redriving", WHY_OPEN}, {"sent-back", WHY_OPEN}};
    const char *state = why_text(group, "state");
    for (size_t i = 0; state != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].state, state) == 0) {
            return rows[i].colour;
        }
    }
    return WHY_DIM;
}
