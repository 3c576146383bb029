#include "cli/event/publish_options.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/time_text.h"
#include "cli/base/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct help_page page = {
    .name = "tidings publish",
    .usage = "TOPIC [EVENT...] [OPTIONS]",
    .about = "Publishes events and waits until the bus has acknowledged each of them (acks=all).\n"
             "The events are the arguments, or else the lines of --file FILE or standard input.\n"
             "Events of one key go to one partition, the one that Java clients choose (murmur2).\n"
             "If any event was not acknowledged, it says which and why and ends with 1.\n"
             "A topic that does not exist is not made without a word: on a terminal it asks, else\n"
             "it ends with 4 unless --create is given.",
    .examples = "  tidings publish orders 'hello'                        one event\n"
                "  tidings publish orders --key 42 --header source=shop 'hello'\n"
                "  tidings publish orders --ce-type order.placed --ce-source /shop '{\"id\":42}'\n"
                "  tidings publish orders --file orders.txt              one event a line\n"
                "  tail -f app.log | tidings publish logs                as the lines come\n"
                "  printf '42:hello\\n' | tidings publish orders --key-separator :\n"
                "  tidings publish images --input whole --file cat.png   one event, byte for byte\n"
                "  tidings subscribe a --until-end --json | tidings publish b --input json\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXT, offsetof(struct publish_options, topic), 0, 0,
     "the topic, instead of the first argument"},
    {'m', "message", "TEXT", OPTION_TEXTS, offsetof(struct publish_options, messages), 0, 0,
     "an event, like an argument (repeat it)"},
    {'f', "file", "FILE", OPTION_TEXT, offsetof(struct publish_options, file), 0, 0,
     "read events from FILE, - for standard input"},
    {'i', "input", "FORMAT", OPTION_TEXT, offsetof(struct publish_options, input), 0, 0,
     "lines: one event a line, a CR before the line end dropped (default)\n"
     "nul: events end with a NUL byte\n"
     "json: a line is {\"key\", \"value\", \"headers\", \"partition\", \"timestamp\"}\n"
     "whole: all of the input is one event"},
    {'K', "key-separator", "TEXT", OPTION_TEXT, offsetof(struct publish_options, key_separator), 0,
     0, "what stands before TEXT in a line is its key"},
    {'k', "key", "KEY", OPTION_TEXT, offsetof(struct publish_options, key), 0, 0,
     "key of the events that have none of their own"},
    {'H', "header", "NAME=VALUE", OPTION_TEXTS, offsetof(struct publish_options, headers), 0, 0,
     "a header for each event (repeat it)"},
    {'p', "partition", "N", OPTION_INTEGER, offsetof(struct publish_options, partition), 0,
     INT32_MAX, "the partition (default: by key)"},
    {0, "timestamp", "TIME", OPTION_TEXT, offsetof(struct publish_options, timestamp), 0, 0,
     "2026-02-01T12:00:00Z, -1h, @MILLISECONDS (default: now)"},
    {0, "tombstone", NULL, OPTION_FLAG, offsetof(struct publish_options, is_tombstone), 0, 0,
     "publish one event without value: deletes --key in a compacted topic"},
    {0, "ce-type", "TYPE", OPTION_TEXT, offsetof(struct publish_options, ce_type), 0, 0,
     "make each event a CloudEvent (1.0, binary mode) of this type"},
    {0, "ce-source", "URI", OPTION_TEXT, offsetof(struct publish_options, ce_source), 0, 0,
     "its source (default: /tidings/cli)"},
    {0, "ce-subject", "TEXT", OPTION_TEXT, offsetof(struct publish_options, ce_subject), 0, 0,
     "its subject"},
    {0, "ce-id", "ID", OPTION_TEXT, offsetof(struct publish_options, ce_id), 0, 0,
     "its id, for a single event (default: a random UUID each)"},
    {0, "content-type", "TYPE", OPTION_TEXT, offsetof(struct publish_options, content_type), 0, 0,
     "header content-type, e.g. application/json"},
    {'z', "compression", "CODEC", OPTION_TEXT, offsetof(struct publish_options, compression), 0, 0,
     "none, gzip, snappy, lz4 or zstd (default: none)"},
    {0, "create", NULL, OPTION_FLAG, offsetof(struct publish_options, may_create), 0, 0,
     "make the topic when it does not exist, as the bus makes new ones"},
    {0, "progress", NULL, OPTION_FLAG, offsetof(struct publish_options, has_progress), 0, 0,
     "show progress on standard error even if that is no terminal"},
    {'q', "quiet", NULL, OPTION_FLAG, offsetof(struct publish_options, is_quiet), 0, 0,
     "no summary"},
};

enum { SET_COUNT = 2 };

static void make_sets(struct publish_options *options, struct option_set sets[SET_COUNT])
{
    sets[0] = (struct option_set){"Options", specs, sizeof specs / sizeof specs[0], options};
    sets[1] = bus_option_set(&options->bus);
}

void publish_options_deinit(struct publish_options *options)
{
    struct option_set sets[SET_COUNT];
    make_sets(options, sets);
    options_deinit(sets, SET_COUNT);
}

static bool is_codec(const char *name)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (strcmp(name, codecs[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The topic is the option or the first argument; the other arguments are events. */
static int take_arguments(struct publish_options *options, const struct text_list *arguments)
{
    size_t first = 0;
    if (options->topic == NULL && arguments->count > 0) {
        options->topic = arguments->items[first++];
    }
    if (options->topic == NULL || options->topic[0] == '\0') {
        return options_fail(&page, "publish to which topic? Usage: tidings publish TOPIC EVENT");
    }
    for (size_t i = first; i < arguments->count; i++) {
        text_list_add(&options->messages, arguments->items[i]);
    }
    return EXIT_OK;
}

static int check_sources(const struct publish_options *options)
{
    bool has_messages = options->messages.count > 0;
    if (has_messages && options->file != NULL) {
        return options_fail(&page, "events come from arguments or from --file, not both");
    }
    if (has_messages && (options->input != NULL || options->key_separator != NULL)) {
        return options_fail(&page, "--input and --key-separator are for --file and standard input");
    }
    if (options->is_tombstone && (has_messages || options->file != NULL)) {
        return options_fail(&page, "--tombstone is the event: give no other");
    }
    if (options->is_tombstone && options->key == NULL) {
        return options_fail(&page, "--tombstone needs --key: it deletes that key");
    }
    if (options->ce_id != NULL && options->messages.count != 1) {
        return options_fail(&page, "--ce-id names a single event: give that event as an argument");
    }
    return EXIT_OK;
}

static int check_values(struct publish_options *options)
{
    struct reason reason;
    if (options->input != NULL && !event_format_parse(options->input, &options->format)) {
        return options_fail(&page, "--input is lines, nul, json or whole, not '%s'",
                            options->input);
    }
    if (options->key_separator != NULL &&
        (options->key_separator[0] == '\0' || options->format > EVENT_NUL)) {
        return options_fail(&page, "--key-separator needs a text and --input lines or nul");
    }
    if (options->compression != NULL && !is_codec(options->compression)) {
        return options_fail(&page, "--compression is none, gzip, snappy, lz4 or zstd, not '%s'",
                            options->compression);
    }
    options->timestamp_ms = -1;
    if (options->timestamp != NULL && time_parse(options->timestamp, clock_wall_ms(clock_system()),
                                                 &options->timestamp_ms, &reason) != ERR_NONE) {
        return options_fail(&page, "--timestamp: %s", reason.text);
    }
    for (size_t i = 0; i < options->headers.count; i++) {
        const char *equals = strchr(options->headers.items[i], '=');
        if (equals == NULL || equals == options->headers.items[i]) {
            return options_fail(&page, "--header needs NAME=VALUE, not '%s'",
                                options->headers.items[i]);
        }
    }
    if (options->ce_type == NULL &&
        (options->ce_source != NULL || options->ce_subject != NULL || options->ce_id != NULL)) {
        return options_fail(&page, "a CloudEvent needs --ce-type too");
    }
    return EXIT_OK;
}

bool publish_options_parse(struct publish_options *options, int argc, char **argv, int *exit_code)
{
    struct option_set sets[SET_COUNT];
    struct text_list arguments = {0};
    *options = (struct publish_options){.bus = bus_options_default(), .partition = -1};
    make_sets(options, sets);
    bool is_on = options_parse(&page, sets, SET_COUNT, argc, argv, &arguments, exit_code);
    if (is_on) {
        *exit_code = take_arguments(options, &arguments);
    }
    if (is_on && *exit_code == EXIT_OK) {
        *exit_code = check_values(options);
    }
    if (is_on && *exit_code == EXIT_OK) {
        *exit_code = check_sources(options);
    }
    text_list_add(&options->bus.properties, "allow.auto.create.topics=false"); /* --create does */
    text_list_deinit(&arguments);
    if (!is_on || *exit_code != EXIT_OK) {
        publish_options_deinit(options);
        return false;
    }
    return true;
}

static bool has_header(const struct event *event, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(event->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_attributes(const struct publish_options *options, struct event *event,
                           size_t own_count, int64_t now_ms, struct arena *arena)
{
    struct event_attributes attributes = {.content_type = options->content_type};
    if (options->ce_type != NULL) {
        char *id = arena_alloc(arena, UUID_TEXT_SIZE);
        char *time = arena_alloc(arena, TIME_TEXT_SIZE);
        attributes.id = options->ce_id != NULL ? options->ce_id : random_uuid_text(id);
        attributes.source = options->ce_source != NULL ? options->ce_source : "/tidings/cli";
        attributes.type = options->ce_type;
        attributes.subject = options->ce_subject;
        attributes.time =
            time_format(event->timestamp_ms >= 0 ? event->timestamp_ms : now_ms, time);
    }
    event_attributes_add(event, own_count, &attributes);
}

void publish_options_complete(const struct publish_options *options, struct event *event,
                              int64_t now_ms, struct arena *arena)
{
    if (slice_is_null(event->key) && options->key != NULL) {
        event->key = slice_str(options->key);
    }
    if (event->partition < 0) {
        event->partition = (int32_t)options->partition;
    }
    if (event->timestamp_ms < 0) {
        event->timestamp_ms = options->timestamp_ms;
    }
    size_t own_count = event->header_count;
    event_header_room(event, options->headers.count + EVENT_ATTRIBUTES_MAX, arena);
    for (size_t i = 0; i < options->headers.count; i++) {
        const char *pair = options->headers.items[i];
        size_t name_size = strcspn(pair, "=");
        const char *name = arena_cstr(arena, slice_of(pair, name_size));
        if (!has_header(event, own_count, name)) {
            event_header_add(event, name, slice_str(pair + name_size + 1));
        }
    }
    add_attributes(options, event, own_count, now_ms, arena);
}
