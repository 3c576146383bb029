#include "cli/story/why.h"

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/base/colour.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/bus/http_client.h"
#include "cli/story/why_view.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct help_page page = {
    .name = "tidings why",
    .usage = "ID | TOPIC/PARTITION/OFFSET | --trace ... | --correlation ... | --key ... [OPTIONS]",
    .about =
        "Tells the story of an event: who published it, which groups are done with it, which are\n"
        "not and why, what made it happen and what it made happen. Each statement names its\n"
        "evidence:\n"
        "  recorded   it stands in the log\n"
        "  passed     the group committed beyond it\n"
        "  told       a library wrote that it is so\n"
        "  inferred   a guess, and from what\n"
        "What the answer does not know stands below it. It works with any clients. A bus layer\n"
        "(tidings serve, or tidings bus beside a Kafka cluster) answers from its index; without\n"
        "one the log is read, which takes longer and is said.",
    .examples = "  tidings why 7f3a0c1e\n"
                "  tidings why orders/0/42\n"
                "  tidings why 42 --source /shop --follow\n"
                "  tidings why --correlation order-42 --json\n"
                "  tidings why --key 42 --topic orders\n",
};

static const struct option_spec specs[] = {
    {0, "id", "ID", OPTION_TEXT, offsetof(struct why_options, id), 0, 0,
     "the event's CloudEvents id, also one that looks like a place"},
    {0, "source", "SOURCE", OPTION_TEXT, offsetof(struct why_options, source), 0, 0,
     "of this source only: ids are unique within one"},
    {0, "trace", "TRACE", OPTION_TEXT, offsetof(struct why_options, trace), 0, 0,
     "events of this W3C trace id, 32 hexadecimal digits"},
    {0, "correlation", "ID", OPTION_TEXT, offsetof(struct why_options, correlation), 0, 0,
     "events of this correlation id"},
    {'k', "key", "KEY", OPTION_TEXT, offsetof(struct why_options, key), 0, 0,
     "events of this key, the newest 50"},
    {'t', "topic", "TOPIC", OPTION_TEXT, offsetof(struct why_options, topic), 0, 0,
     "that stand in this topic"},
    {'g', "group", "GROUP", OPTION_TEXT, offsetof(struct why_options, group), 0, 0,
     "tell only what this group did with them, and why it did nothing"},
    {'f', "follow", NULL, OPTION_FLAG, offsetof(struct why_options, is_follow), 0, 0,
     "tell it again when something changes; Ctrl-C ends"},
    {'n', "max", "N", OPTION_INTEGER, offsetof(struct why_options, events_max), 1, STORY_EVENTS_MAX,
     "at most N events (default: 200)"},
    {0, "scan", NULL, OPTION_FLAG, offsetof(struct why_options, is_scan), 0, 0,
     "read the log, and do not ask a bus layer"},
    {0, "since", "TIME", OPTION_TEXT, offsetof(struct why_options, since), 0, 0,
     "where the log is read: only events since then (-1h, 2026-02-01T12:00)"},
    {0, "last", "N", OPTION_INTEGER, offsetof(struct why_options, last), 1, INT64_MAX,
     "where the log is read: only the last N offsets of each partition"},
    {0, "colour", "WHEN", OPTION_TEXT, offsetof(struct why_options, colour), 0, 0,
     "auto (on a terminal, unless $NO_COLOR is set; the default), always, never"},
};

enum { SET_COUNT = 3 };

/* --- what is asked --- */

/* Digits alone, up to 18 of them. */
static bool take_number(const char *from, const char *to, int64_t *number)
{
    *number = 0;
    for (const char *at = from; at < to; at++) {
        if (!isdigit((unsigned char)*at) || to - from > 18) {
            return false;
        }
        *number = *number * 10 + (*at - '0');
    }
    return to > from;
}

/* "orders/0/42" */
static bool take_place(const char *text, struct why_asked *asked)
{
    const char *last = strrchr(text, '/');
    const char *first = last;
    int64_t partition, offset;
    while (first != NULL && first > text && first[-1] != '/') {
        first--;
    }
    if (last == NULL || first == text || first - 1 == text ||
        !take_number(last + 1, text + strlen(text), &offset) ||
        !take_number(first, last, &partition) || partition > INT32_MAX) {
        return false;
    }
    asked->place_topic = mem_strndup(text, (size_t)(first - 1 - text));
    asked->question.topic = asked->place_topic;
    asked->question.partition = (int32_t)partition;
    asked->question.offset = offset;
    return true;
}

static bool is_trace(const char *text)
{
    return strlen(text) == TRACE_ID_CHARS && strspn(text, "0123456789abcdef") == TRACE_ID_CHARS;
}

static int check(struct why_options *options, const struct text_list *arguments,
                 struct why_asked *asked)
{
    struct story_question *question = &asked->question;
    struct reason reason;
    *question = (struct story_question){.offset = -1, .partition = -1};
    if (arguments->count > 1) {
        return options_fail(&page, "one event at a time: '%s' is too many", arguments->items[1]);
    }
    bool is_place = arguments->count == 1 && take_place(arguments->items[0], asked);
    options->id = arguments->count == 1 && !is_place ? arguments->items[0] : options->id;
    int ways = is_place + (options->id != NULL) + (options->trace != NULL) +
               (options->correlation != NULL) + (options->key != NULL);
    if (ways != 1) {
        return options_fail(&page, "%s",
                            ways == 0 ? "why what? Usage: tidings why ID"
                                      : "an id, a place, --trace, --correlation or --key: give one "
                                        "of them");
    }
    if (options->source != NULL && options->id == NULL) {
        return options_fail(&page, "--source goes with an id");
    }
    if (options->trace != NULL && !is_trace(options->trace)) {
        return options_fail(&page, "--trace is 32 hexadecimal digits in lower case, not '%s'",
                            options->trace);
    }
    if (!colour_is_word(options->colour)) {
        return options_fail(&page, "--colour is auto, always or never, not '%s'", options->colour);
    }
    if (options->since != NULL && time_parse(options->since, clock_wall_ms(clock_system()),
                                             &asked->from_ms, &reason) != ERR_NONE) {
        return options_fail(&page, "--since: %s", reason.text);
    }
    question->id = options->id;
    question->source = options->source;
    question->trace = options->trace;
    question->correlation = options->correlation;
    question->key = slice_str(options->key);
    question->topic = is_place ? question->topic : options->topic;
    question->group = options->group;
    question->events_max = (size_t)options->events_max;
    return EXIT_OK;
}

/* --- telling --- */

static void tell(const struct why_options *options, json_t *story)
{
    struct why_look look = {.columns = output_columns(),
                            .has_colours = colour_is_wanted(options->colour),
                            .has_utf8 = colour_has_utf8()};
    struct buf text = {0};
    if (options->bus.is_json) {
        output_json(json_incref(story));
        return;
    }
    why_view(story, &look, &text);
    fwrite(text.data, 1, text.size, stdout);
    buf_deinit(&text);
}

/* What changes by itself does not count as news. */
static char *news_of(const json_t *story)
{
    json_t *copy = json_deep_copy(story);
    size_t i, k;
    json_t *event, *group;
    json_object_del(copy, "now");
    json_object_del(copy, "indexed_until");
    json_object_del(copy, "horizon");
    json_array_foreach(json_object_get(copy, "events"), i, event)
    {
        json_array_foreach(json_object_get(event, "groups"), k, group)
        {
            json_object_del(group, "left_ms");
            json_object_del(group, "before");
        }
    }
    char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(copy);
    return text;
}

static void tell_anew(const struct why_options *options, json_t *story, bool is_first)
{
    bool is_screen = isatty(STDOUT_FILENO) && !options->bus.is_json;
    if (is_screen) {
        fputs("\033[H\033[2J", stdout);
    } else if (!is_first && !options->bus.is_json) {
        putchar('\n');
    }
    tell(options, story);
    fflush(stdout);
}

static int follow(const struct why_options *options, const struct why_asked *asked)
{
    enum { AGAIN_MS = 500 };
    struct interrupt interrupt;
    char *before = NULL;
    int code = EXIT_OK;
    interrupt_init(&interrupt);
    while (!interrupt_is_raised(&interrupt) && !ferror(stdout)) {
        json_t *story;
        code = why_ask(options, asked, true, &story);
        if (code != EXIT_OK && code != EXIT_NOT_FOUND) {
            break;
        }
        char *news = story != NULL ? news_of(story) : NULL;
        if (news != NULL && (before == NULL || strcmp(news, before) != 0)) {
            tell_anew(options, story, before == NULL);
        }
        json_decref(story);
        free(before);
        before = news;
        (void)interrupt_wait(&interrupt, -1, AGAIN_MS);
    }
    free(before);
    interrupt_deinit(&interrupt);
    return output_finish(code == EXIT_NOT_FOUND ? EXIT_OK : code);
}

static int run(const struct why_options *options, const struct why_asked *asked)
{
    json_t *story;
    if (options->is_follow) {
        return follow(options, asked);
    }
    int code = why_ask(options, asked, false, &story);
    if (story != NULL) {
        tell(options, story);
        json_decref(story);
    }
    return output_finish(code);
}

int cli_why(int argc, char **argv)
{
    struct why_options options = {.bus = bus_options_default()};
    struct option_set sets[SET_COUNT] = {
        {"Options", specs, sizeof specs / sizeof specs[0], &options},
        http_option_set(&options.bus),
        bus_option_set(&options.bus),
    };
    struct text_list arguments = {0};
    struct why_asked asked = {.from_ms = 0};
    int code;
    if (options_parse(&page, sets, SET_COUNT, argc, argv, &arguments, &code)) {
        code = check(&options, &arguments, &asked);
        if (code == EXIT_OK) {
            code = run(&options, &asked);
        }
    }
    free(asked.place_topic);
    options_deinit(sets, SET_COUNT);
    text_list_deinit(&arguments);
    return code;
}
