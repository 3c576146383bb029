#include "cli/base/cli.h"

#include "base/clock.h"
#include "base/plural.h"
#include "base/time_text.h"
#include "bus/event/event_where.h"
#include "bus/event/topic_scan.h"
#include "cli/base/colour.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/base/progress.h"
#include "cli/bus/event_print.h"
#include "cli/bus/filter.h"
#include "cli/bus/topic_choice.h"

#include <stdio.h>
#include <unistd.h>

struct find_options {
    struct bus_options bus;
    struct text_list topics;
    struct text_list conditions;
    struct filter filter;
    const char *since;
    const char *until;
    int64_t last;
    int64_t max_count;
    int64_t within_ms;
    bool has_headers;
    const char *colour;
};

static const struct help_page page = {
    .name = "tidings find",
    .usage = "[WHERE...] [OPTIONS]",
    .about =
        "Reads the topics, as fast as the bus gives them, and prints the events that fulfil all\n"
        "that is asked for. It works on any Kafka cluster, and needs no index: for an event's id,\n"
        "key, correlation or trace tidings why is faster. A condition joins comparisons with and,\n"
        "or, not and parentheses:\n"
        "  type, source, subject, id, correlation, causation   of a CloudEvent\n"
        "  key, topic, partition, offset, at (its time), value\n"
        "  data.PATH       of a payload in JSON: data.lines.0.price\n"
        "  header.NAME\n"
        "Operators are = != < <= > >= and ~ !~, a pattern with * and ?; a name alone: it is there.",
    .examples = "  tidings find --header tenant=acme --since -1h\n"
                "  tidings find \"type = order.placed and data.total > 1000\" --topic orders\n"
                "  tidings find \"value ~ '*4711*'\" --topic '^orders\\.' --max 10 --json\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct find_options, topics), 0, 0,
     "only in this topic, or in those that ^EXPRESSION finds (repeat it;\n"
     "default: all but the bus's own)"},
    {'w', "where", "CONDITION", OPTION_TEXTS, offsetof(struct find_options, conditions), 0, 0,
     "the same as WHERE; with several all have to hold"},
    {0, "header", "NAME=VALUE", OPTION_TEXTS, offsetof(struct find_options, filter.headers), 0, 0,
     "only events with this header, or with NAME and any value\n(repeat it: all of them)"},
    {0, "type", "TYPE", OPTION_TEXTS, offsetof(struct find_options, filter.types), 0, 0,
     "only CloudEvents of this type (repeat it for several)"},
    {0, "source", "SOURCE", OPTION_TEXTS, offsetof(struct find_options, filter.sources), 0, 0,
     "only CloudEvents of this source (repeat it for several)"},
    {'k', "key", "KEY", OPTION_TEXT, offsetof(struct find_options, filter.key), 0, 0,
     "only events of this key"},
    {0, "since", "TIME", OPTION_TEXT, offsetof(struct find_options, since), 0, 0,
     "not what is older (-1h, 2026-02-01T12:00)"},
    {0, "until", "TIME", OPTION_TEXT, offsetof(struct find_options, until), 0, 0,
     "not what is newer"},
    {0, "last", "N", OPTION_INTEGER, offsetof(struct find_options, last), 1, INT64_MAX,
     "only the last N offsets of each partition"},
    {'n', "max", "N", OPTION_INTEGER, offsetof(struct find_options, max_count), 1, INT64_MAX,
     "stop after N events"},
    {0, "within", "DURATION", OPTION_DURATION, offsetof(struct find_options, within_ms), 1,
     INT64_C(7) * 24 * 3600 * 1000, "stop after that time, and say how far it was"},
    {'H', "headers", NULL, OPTION_FLAG, offsetof(struct find_options, has_headers), 0, 0,
     "print headers below each event"},
    {0, "colour", "WHEN", OPTION_TEXT, offsetof(struct find_options, colour), 0, 0,
     "auto (on a terminal, unless $NO_COLOR is set; the default), always, never"},
};

enum { SET_COUNT = 2 };

struct finding {
    const struct find_options *options;
    struct where *where;
    int64_t from_ms, until_ms; /* 0: not given */
    struct event_print print;
    struct interrupt interrupt;
    struct progress progress;
    struct buf text;
    const char *topic; /* at hand */
    int64_t found, read;
    int64_t done, total; /* of the topic at hand */
    int64_t stop_at_ms;  /* monotonic; 0: never */
    const char *stopped; /* why; NULL: it was not */
};

/* --- events --- */

static bool holds(const struct finding *finding, const struct event *event)
{
    struct event_subject subject;
    if (finding->until_ms > 0 && event->timestamp_ms > finding->until_ms) {
        return false;
    }
    if (!filter_accepts(&finding->options->filter, event)) {
        return false;
    }
    if (where_is_empty(finding->where)) {
        return true;
    }
    event_subject_init(&subject, event);
    bool is_so = where_holds(finding->where, event_field_get, &subject);
    event_subject_deinit(&subject);
    return is_so;
}

static bool on_event(void *context, const struct event *event)
{
    struct finding *finding = context;
    finding->read++;
    if (!holds(finding, event)) {
        return true;
    }
    finding->found++;
    progress_clear(&finding->progress);
    buf_clear(&finding->text);
    event_print(&finding->print, event, &finding->text);
    fwrite_unlocked(finding->text.data, 1, finding->text.size, stdout);
    if (finding->print.is_terminal) {
        fflush(stdout);
    }
    if (finding->options->max_count > 0 && finding->found >= finding->options->max_count) {
        finding->stopped = "that many were asked for (--max)";
    }
    return finding->stopped == NULL;
}

static bool on_progress(void *context, int64_t done, int64_t total)
{
    struct finding *finding = context;
    char things[300];
    snprintf(things, sizeof things, "events of %.249s", finding->topic);
    finding->done = done;
    finding->total = total;
    progress_show_count(&finding->progress, "read", things, done, total);
    if (interrupt_is_raised(&finding->interrupt)) {
        finding->stopped = "it was interrupted";
    } else if (finding->stop_at_ms > 0 && clock_mono_ms(clock_system()) > finding->stop_at_ms) {
        finding->stopped = "the time was over (--within)";
    } else if (ferror(stdout)) {
        finding->stopped = "nobody reads the output";
    }
    return finding->stopped == NULL;
}

/* --- topics --- */

static int scan_topic(struct finding *finding, const char *topic)
{
    struct connection_settings settings = bus_settings(&finding->options->bus);
    struct client_error error;
    struct topic_scan scan = {.connection = &settings,
                              .topic = topic,
                              .from_ms = finding->from_ms,
                              .last = finding->options->last,
                              .each = on_event,
                              .progress = on_progress,
                              .context = finding};
    finding->topic = topic;
    finding->done = finding->total = 0;
    enum client_status status = topic_scan(&scan, &error);
    if (status == CLIENT_NOT_FOUND) {
        return bus_fail_no_topic(topic);
    }
    return status == CLIENT_OK ? EXIT_OK : bus_fail(&error, "read topic '%s'", topic);
}

/* All topics when none is given. */
static int choose(const struct find_options *options, struct topic_choice *choice)
{
    static const char all[] = "^";
    struct text_list every = {0};
    struct topic_partitions added = {0};
    struct connection *connection;
    struct client_error error;
    text_list_add(&every, all);
    int code = topic_choice_init(choice, options->topics.count > 0 ? &options->topics : &every);
    if (code == EXIT_OK) {
        code = bus_open(&options->bus, &connection);
    }
    if (code == EXIT_OK) {
        if (topic_choice_look(choice, connection, -1, &added, &error) != CLIENT_OK) {
            code = bus_fail(&error, "list the topics");
        } else if (options->topics.count > 0) {
            code = topic_choice_check(choice);
        }
        connection_close(connection);
    }
    topic_partitions_deinit(&added);
    text_list_deinit(&every);
    return code;
}

static void tell_end(const struct finding *finding, size_t topics, size_t topic_count)
{
    if (finding->stopped != NULL) {
        output_text(
            stderr,
            "stopped: %s; %lld of %lld offsets of topic %s were read, and %zu of %zu topics "
            "before it\n",
            finding->stopped, (long long)finding->done, (long long)finding->total, finding->topic,
            topics, topic_count);
    }
    if (isatty(STDERR_FILENO)) {
        output_text(stderr, "%lld event%s found, %lld read in %zu topic%s\n",
                    (long long)finding->found, plural_s((uint64_t)finding->found),
                    (long long)finding->read, topic_count, plural_s(topic_count));
    }
}

static int scan_all(struct finding *finding)
{
    struct topic_choice choice = {0};
    size_t at = 0;
    int code = choose(finding->options, &choice);
    interrupt_init(&finding->interrupt);
    progress_init(&finding->progress);
    for (; code == EXIT_OK && at < choice.names.count && finding->stopped == NULL; at++) {
        code = scan_topic(finding, choice.names.items[at]);
    }
    progress_clear(&finding->progress);
    code = output_finish(code);
    if (code == EXIT_OK) {
        tell_end(finding, finding->stopped != NULL && at > 0 ? at - 1 : at, choice.names.count);
    }
    interrupt_deinit(&finding->interrupt);
    topic_choice_deinit(&choice);
    return code;
}

/* --- options --- */

static int parse_time(const char *name, const char *text, int64_t now_ms, int64_t *time_ms)
{
    struct reason reason;
    if (text != NULL && time_parse(text, now_ms, time_ms, &reason) != ERR_NONE) {
        return options_fail(&page, "--%s: %s", name, reason.text);
    }
    return EXIT_OK;
}

static int check(const struct find_options *options, const struct text_list *arguments,
                 struct finding *finding)
{
    struct reason reason;
    int64_t now_ms = clock_wall_ms(clock_system());
    const struct text_list *lists[] = {arguments, &options->conditions};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < lists[i]->count; k++) {
            if (where_add(finding->where, lists[i]->items[k], now_ms, &reason) != ERR_NONE) {
                return options_fail(&page, "'%s': %s", lists[i]->items[k], reason.text);
            }
        }
    }
    const struct filter *filter = &options->filter;
    if (where_is_empty(finding->where) &&
        filter->headers.count + filter->types.count + filter->sources.count == 0 &&
        filter->key == NULL) {
        return options_fail(&page, "find what? Usage: tidings find \"type = order.placed\"");
    }
    if (!colour_is_word(options->colour)) {
        return options_fail(&page, "--colour is auto, always or never, not '%s'", options->colour);
    }
    int code = parse_time("since", options->since, now_ms, &finding->from_ms);
    return code == EXIT_OK ? parse_time("until", options->until, now_ms, &finding->until_ms) : code;
}

static int run(const struct find_options *options, struct finding *finding)
{
    finding->print = (struct event_print){.look = options->bus.is_json ? LOOK_JSON : LOOK_LINE,
                                          .has_headers = options->has_headers,
                                          .has_colours = colour_is_wanted(options->colour),
                                          .is_terminal = isatty(STDOUT_FILENO) != 0};
    if (options->within_ms > 0) {
        finding->stop_at_ms = clock_mono_ms(clock_system()) + options->within_ms;
    }
    return scan_all(finding);
}

int cli_find(int argc, char **argv)
{
    struct find_options options = {.bus = bus_options_default()};
    struct option_set sets[SET_COUNT] = {
        {"Options", specs, sizeof specs / sizeof specs[0], &options},
        bus_option_set(&options.bus),
    };
    struct text_list arguments = {0};
    struct finding finding = {.options = &options, .where = where_new(event_fields())};
    int code;
    if (options_parse(&page, sets, SET_COUNT, argc, argv, &arguments, &code)) {
        code = check(&options, &arguments, &finding);
        if (code == EXIT_OK) {
            code = run(&options, &finding);
        }
    }
    where_free(finding.where);
    buf_deinit(&finding.text);
    options_deinit(sets, SET_COUNT);
    text_list_deinit(&arguments);
    return code;
}
