#include "cli/base/cli.h"

#include "base/clock.h"
#include "base/plural.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/event/expect_read.h"
#include "cli/event/expect_tell.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct expect_options {
    struct bus_options bus;
    struct text_list conditions;
    struct text_list topics;
    const char *from;
    int64_t within_ms;
    int64_t exactly;
    int64_t at_least;
    bool none;
    bool in_order;
    const char *junit;
    const char *name;
};

static const struct help_page page = {
    .name = "tidings expect",
    .usage = "WHERE... [OPTIONS]",
    .about =
        "For tests: waits until an event came that fulfils the condition; with several conditions\n"
        "until each is fulfilled. Ends with 0 as soon as that is so, and with 1 when it is not\n"
        "within the time: then it says which events were nearest, and what about them failed. "
        "With\n"
        "3 or 6 it is not known, as the bus was away.\n"
        "A condition joins comparisons with and, or, not and parentheses:\n"
        "  type, source, subject, id, correlation, causation   of a CloudEvent\n"
        "  key, topic, partition, offset, at (its time), value\n"
        "  data.PATH       of a payload in JSON: data.lines.0.price\n"
        "  header.NAME\n"
        "Operators are = != < <= > >= and ~ !~, a pattern with * and ?; a name alone: it is "
        "there.\n"
        "It reads all topics but the bus's own, also those that are made meanwhile.",
    .examples =
        "  tidings expect \"type='InvoiceSent' and subject='42'\" --within 2s\n"
        "  tidings expect \"type = order.placed and data.total > 100\" --topic orders\n"
        "  tidings expect \"type=OrderPlaced\" \"type=InvoiceSent\" --in-order\n"
        "  tidings expect \"type = mail.sent and key = 42\" --count 1 --within 3s\n"
        "  tidings expect \"topic ~ 'dlq.*'\" --none --within 1s --junit no-dead-letters.xml\n",
};

static const struct option_spec specs[] = {
    {'w', "within", "DURATION", OPTION_DURATION, offsetof(struct expect_options, within_ms), 0,
     INT64_C(24) * 3600 * 1000, "how long to wait (default: 5s)"},
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct expect_options, topics), 0, 0,
     "only of this topic, which need not be there yet, or of those that\n^EXPRESSION finds (repeat "
     "it)"},
    {'f', "from", "PLACE", OPTION_TEXT, offsetof(struct expect_options, from), 0, 0,
     "start, now, or a time: -1m, 2026-02-01T12:00:00Z (default: start)"},
    {'n', "count", "N", OPTION_INTEGER, offsetof(struct expect_options, exactly), 1, INT64_MAX,
     "exactly N events for each condition; waits to the end of the time"},
    {0, "at-least", "N", OPTION_INTEGER, offsetof(struct expect_options, at_least), 1, INT64_MAX,
     "N events or more for each condition (default: 1)"},
    {0, "none", NULL, OPTION_FLAG, offsetof(struct expect_options, none), 0, 0,
     "no event; waits to the end of the time"},
    {0, "in-order", NULL, OPTION_FLAG, offsetof(struct expect_options, in_order), 0, 0,
     "each condition by an event behind that of the one before: by\noffset within a partition, "
     "else by time"},
    {0, "junit", "FILE", OPTION_TEXT, offsetof(struct expect_options, junit), 0, 0,
     "also write the result to FILE, as a test case in JUnit's XML"},
    {0, "name", "TEXT", OPTION_TEXT, offsetof(struct expect_options, name), 0, 0,
     "the name of that test case (default: the conditions)"},
};

enum { SET_COUNT = 2 };

static int parse_from(const char *text, int64_t now_ms, struct position *from)
{
    struct reason reason;
    const char *place = text == NULL ? "start" : strcmp(text, "now") == 0 ? "end" : text;
    if (position_parse(place, now_ms, from, &reason) != ERR_NONE) {
        return options_fail(&page, "--from: %s", reason.text);
    }
    if (from->kind == POSITION_OFFSET || from->kind == POSITION_LAST) {
        return options_fail(&page, "--from is start, now or a time: '%s' is an offset", text);
    }
    return EXIT_OK;
}

static int check(const struct expect_options *options, struct expect *expect, struct position *from)
{
    struct reason reason;
    int64_t now_ms = clock_wall_ms(clock_system());
    int ways = (options->exactly > 0) + (options->at_least > 0) + options->none;
    if (options->conditions.count == 0) {
        return options_fail(&page, "expect what? Usage: tidings expect \"type = order.placed\"");
    }
    if (ways > 1) {
        return options_fail(&page, "--count, --at-least and --none: give one of them");
    }
    if (options->in_order && ways > 0) {
        return options_fail(&page, "--in-order wants one event for each condition: no --count, "
                                   "--at-least or --none");
    }
    if (options->name != NULL && options->junit == NULL) {
        return options_fail(&page, "--name goes with --junit");
    }
    for (size_t i = 0; i < options->conditions.count; i++) {
        if (expect_add(expect, options->conditions.items[i], now_ms, &reason) != ERR_NONE) {
            return options_fail(&page, "'%s': %s", options->conditions.items[i], reason.text);
        }
    }
    expect->in_order = options->in_order;
    expect->how = options->none || options->exactly > 0 ? EXPECT_EXACTLY : EXPECT_AT_LEAST;
    expect->count = options->none           ? 0
                    : options->exactly > 0  ? options->exactly
                    : options->at_least > 0 ? options->at_least
                                            : 1;
    return parse_from(options->from, now_ms, from);
}

/* A run: what is waited for, and since when. */
struct wait {
    const struct expect_options *options;
    struct expect *expect;
    struct expect_reader reader;
    struct interrupt interrupt;
    int64_t began_ms;
    int64_t shown_ms;
};

static int64_t passed_ms(const struct wait *wait)
{
    return clock_mono_ms(clock_system()) - wait->began_ms;
}

/* On a terminal: a line that is written over. */
static void show(struct wait *wait, bool is_over)
{
    enum { SHOW_EVERY_MS = 200 };
    int64_t now_ms = passed_ms(wait);
    if (!isatty(STDERR_FILENO) || (!is_over && now_ms < wait->shown_ms + SHOW_EVERY_MS)) {
        return;
    }
    fputs("\r\033[K", stderr);
    if (!is_over) {
        output_text(stderr, "%lld event%s read, %.1f of %.1f s", (long long)wait->expect->read,
                    plural_s((uint64_t)wait->expect->read), (double)now_ms / 1000,
                    (double)wait->options->within_ms / 1000);
    }
    wait->shown_ms = now_ms;
}

static int take(struct wait *wait, int timeout_ms, bool *any)
{
    struct received *received;
    int code = expect_reader_take(&wait->reader, timeout_ms, &received);
    *any = received != NULL;
    if (received != NULL) {
        expect_note(wait->expect, &received->event);
        received_free(received);
    }
    show(wait, false);
    return code;
}

/* The time is over: reads what is on the bus by now. *known: whether that was all. */
static int read_rest(struct wait *wait, bool *known)
{
    /* Of an open transaction nobody is given anything yet. Counted in steps as well: a machine that
     * stands still for a while is no silence. */
    enum { STEP_MS = 50, SILENCE_MS = 2000, SILENT_STEPS = SILENCE_MS / STEP_MS / 2 };
    struct topic_partitions ends = {0};
    bool any;
    int code = EXIT_OK;
    int64_t heard_ms = passed_ms(wait);
    int silent = 0;
    *known = expect_reader_ends(&wait->reader, &ends);
    while (code == EXIT_OK && *known && !expect_is_decided(wait->expect) &&
           !expect_reader_has(&wait->reader, &ends) &&
           (silent < SILENT_STEPS || passed_ms(wait) - heard_ms < SILENCE_MS) &&
           !interrupt_is_raised(&wait->interrupt)) {
        code = take(wait, STEP_MS, &any);
        silent = any ? 0 : silent + 1;
        heard_ms = any ? passed_ms(wait) : heard_ms;
    }
    *known = *known && !wait->reader.is_away;
    topic_partitions_deinit(&ends);
    return code;
}

static int wait_for(struct wait *wait, struct expect_verdict *verdict)
{
    enum { STEP_MS = 100, LOOK_EVERY = 64 };
    int64_t within_ms = wait->options->within_ms;
    int code = EXIT_OK;
    bool known = true, any = false;
    for (unsigned turn = 0; code == EXIT_OK && !expect_is_decided(wait->expect); turn++) {
        int64_t left_ms = within_ms - passed_ms(wait);
        if (left_ms <= 0 ||
            ((!any || turn % LOOK_EVERY == 0) && interrupt_is_raised(&wait->interrupt))) {
            break;
        }
        code = take(wait, left_ms < STEP_MS ? (int)left_ms : STEP_MS, &any);
    }
    bool is_interrupted = interrupt_is_raised(&wait->interrupt);
    if (code == EXIT_OK && !is_interrupted && !expect_is_decided(wait->expect)) {
        code = read_rest(wait, &known);
    }
    verdict->outcome = expect_is_fulfilled(wait->expect) ? EXPECT_FULFILLED : EXPECT_FAILED;
    if (!expect_is_decided(wait->expect) && (code != EXIT_OK || !known || is_interrupted)) {
        verdict->outcome = EXPECT_UNKNOWN;
        verdict->why = is_interrupted ? "it was interrupted"
                                      : "the bus went away, or does not answer: what came is not "
                                        "known";
        code = code != EXIT_OK ? code : is_interrupted ? EXIT_FAILED : EXIT_UNREACHABLE;
    }
    verdict->took_ms = passed_ms(wait);
    verdict->topic_count = wait->reader.choice.names.count;
    show(wait, true);
    return code;
}

/* Its texts are escaped already, which changes nothing about them here. */
static void print_lines(char *text)
{
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
        output_text(stdout, "%s\n", line);
    }
}

static int tell(const struct expect_options *options, const struct expect *expect,
                const struct expect_verdict *verdict, int code)
{
    struct reason reason;
    struct buf text = {0};
    if (options->bus.is_json) {
        output_json(expect_to_json(expect, verdict));
    } else {
        expect_tell(expect, verdict, &text);
        print_lines(buf_cstr(&text));
    }
    buf_deinit(&text);
    if (code == EXIT_OK && verdict->outcome != EXPECT_FULFILLED) {
        code = EXIT_FAILED;
    }
    if (options->junit != NULL &&
        expect_write_junit(options->junit, options->name, expect, verdict, &reason) != ERR_NONE) {
        code = cli_fail(code == EXIT_OK ? EXIT_FAILED : (enum cli_exit)code, NULL, "--junit: %s",
                        reason.text);
    }
    return output_finish(code);
}

static int run(const struct expect_options *options, struct expect *expect, struct position from)
{
    struct wait wait = {.options = options, .expect = expect};
    struct expect_verdict verdict = {.within_ms = options->within_ms};
    interrupt_init(&wait.interrupt);
    wait.began_ms = clock_mono_ms(clock_system());
    int code = expect_reader_open(&wait.reader, &options->bus, &options->topics, from);
    if (code == EXIT_OK) {
        code = wait_for(&wait, &verdict);
    } else {
        verdict.outcome = EXPECT_UNKNOWN;
        verdict.why = "the bus could not be read";
    }
    expect_reader_close(&wait.reader);
    interrupt_deinit(&wait.interrupt);
    return code == EXIT_USAGE ? code : tell(options, expect, &verdict, code);
}

int cli_expect(int argc, char **argv)
{
    struct expect_options options = {.bus = bus_options_default(), .within_ms = 5000};
    struct option_set sets[SET_COUNT] = {
        {"Options", specs, sizeof specs / sizeof specs[0], &options},
        bus_option_set(&options.bus),
    };
    struct expect expect = {0};
    struct position from;
    int code;
    if (options_parse(&page, sets, SET_COUNT, argc, argv, &options.conditions, &code)) {
        code = check(&options, &expect, &from);
        if (code == EXIT_OK) {
            code = run(&options, &expect, from);
        }
    }
    expect_deinit(&expect);
    options_deinit(sets, SET_COUNT);
    text_list_deinit(&options.conditions);
    return code;
}
