#include "cli/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/filter.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct subscribe_options {
    struct client_options client;
    struct text_list topics;
    const char *from;
    const char *group;
    int64_t partition;
    struct filter filter;
    struct text_list types;
    const char *key;
    int64_t max_count; /* 0: no limit */
    bool until_end;
    bool has_headers;
    bool is_value_only;
    bool is_nul;
};

static const struct help_page page = {
    .name = "tidings subscribe",
    .usage = "TOPIC... [OPTIONS]",
    .about =
        "Prints the events of one or more topics: from the start unless --from says otherwise,\n"
        "and then as they come, until Ctrl-C.\n"
        "Without --group it reads all partitions and leaves no trace. With --group it joins the\n"
        "consumer group, shares the partitions with the other members, goes on where the group\n"
        "left off (--from counts only where it has no offset yet), and commits what it printed.",
    .examples =
        "  tidings subscribe orders                            everything, then follow\n"
        "  tidings subscribe orders --from end                 only what comes from now on\n"
        "  tidings subscribe orders --from -10 --until-end     the last ten of each partition\n"
        "  tidings subscribe orders --from -1h --headers       since an hour ago\n"
        "  tidings subscribe orders --from 2026-02-01T12:00:00Z --type order.placed\n"
        "  tidings subscribe orders --group shipping           as a member of a group\n"
        "  tidings subscribe orders --until-end --json | jq -r .value\n"
        "  tidings subscribe images --max 1 --value-only > cat.png\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct subscribe_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {'f', "from", "PLACE", OPTION_TEXT, offsetof(struct subscribe_options, from), 0, 0,
     "start, end, an OFFSET (42), the last N of each partition (-10),\n"
     "or a time: -1h, 2026-02-01T12:00:00Z, 2026-02-01 (default: start)"},
    {'g', "group", "GROUP", OPTION_TEXT, offsetof(struct subscribe_options, group), 0, 0,
     "read as a member of this consumer group"},
    {'p', "partition", "N", OPTION_INTEGER, offsetof(struct subscribe_options, partition), 0,
     INT32_MAX, "only this partition (not with --group)"},
    {0, "type", "TYPE", OPTION_TEXTS, offsetof(struct subscribe_options, types), 0, 0,
     "only CloudEvents of this type (repeat it for several)"},
    {'k', "key", "KEY", OPTION_TEXT, offsetof(struct subscribe_options, key), 0, 0,
     "only events of this key"},
    {'n', "max", "N", OPTION_INTEGER, offsetof(struct subscribe_options, max_count), 1, INT64_MAX,
     "stop after printing N events"},
    {'e', "until-end", NULL, OPTION_FLAG, offsetof(struct subscribe_options, until_end), 0, 0,
     "stop where the topic ended when reading began"},
    {'H', "headers", NULL, OPTION_FLAG, offsetof(struct subscribe_options, has_headers), 0, 0,
     "print headers below each event"},
    {'v', "value-only", NULL, OPTION_FLAG, offsetof(struct subscribe_options, is_value_only), 0, 0,
     "print values byte for byte, each followed by a line break"},
    {'0', "null", NULL, OPTION_FLAG, offsetof(struct subscribe_options, is_nul), 0, 0,
     "with --value-only: a NUL byte after each value instead"},
};

enum { SET_COUNT = 2 };

static void make_sets(struct subscribe_options *options, struct option_set sets[SET_COUNT])
{
    sets[0] = (struct option_set){"Options", specs, sizeof specs / sizeof specs[0], options};
    sets[1] = client_option_set(&options->client);
}

static int check(struct subscribe_options *options, struct source_options *source)
{
    struct reason reason;
    if (options->topics.count == 0) {
        return options_fail(&page, "subscribe to which topic? Usage: tidings subscribe TOPIC");
    }
    if (options->group != NULL && options->partition >= 0) {
        return options_fail(&page, "a group assigns the partitions: leave --partition out");
    }
    if (options->group != NULL && options->group[0] == '\0') {
        return options_fail(&page, "--group needs a name");
    }
    if (options->is_value_only && (options->client.is_json || options->has_headers)) {
        return options_fail(&page, "--value-only prints neither --json nor --headers");
    }
    if (options->is_nul && !options->is_value_only) {
        return options_fail(&page, "--null goes with --value-only");
    }
    const char *from = options->from != NULL ? options->from : "start";
    if (position_parse(from, clock_wall_ms(clock_system()), &source->from, &reason) != ERR_NONE) {
        return options_fail(&page, "--from: %s", reason.text);
    }
    source->client = &options->client;
    source->topics = options->topics;
    source->group = options->group;
    source->partition = options->partition;
    source->until_end = options->until_end;
    options->filter = (struct filter){.types = options->types, .key = options->key};
    return EXIT_OK;
}

/* The message as an event that borrows from it; the headers are the caller's to free. */
static struct event event_of(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    struct event event = {
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = slice_of(message->key, message->key_len),
        .value = slice_of(message->payload, message->len),
    };
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return event;
    }
    size_t count = rd_kafka_header_cnt(headers);
    event.headers = mem_new_array(struct event_header, count + 1);
    const void *value;
    size_t size;
    while (event.header_count < count &&
           rd_kafka_header_get_all(headers, event.header_count,
                                   &event.headers[event.header_count].name, &value,
                                   &size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        event.headers[event.header_count++].value = slice_of(value, size);
    }
    return event;
}

static void print_event(const struct subscribe_options *options, const struct event *event,
                        struct buf *text)
{
    buf_clear(text);
    if (options->is_value_only) {
        buf_append_slice(text, event->value);
        buf_append_u8(text, options->is_nul ? '\0' : '\n');
    } else if (options->client.is_json) {
        json_t *json = event_to_json(event);
        char *line = json_dumps(json, JSON_COMPACT);
        buf_append_str(text, line != NULL ? line : "{}");
        buf_append_u8(text, '\n');
        free(line);
        json_decref(json);
    } else {
        event_to_line(event, text);
        buf_append_u8(text, '\n');
        if (options->has_headers) {
            event_headers_to_lines(event, text);
        }
    }
    fwrite(text->data, 1, text->size, stdout);
}

struct subscription {
    const struct subscribe_options *options;
    struct source source;
    struct interrupt interrupt;
    struct buf text;
    int64_t printed;
};

static void handle(struct subscription *subscription, rd_kafka_message_t *message)
{
    struct event event = event_of(message);
    if (filter_accepts(&subscription->options->filter, &event)) {
        print_event(subscription->options, &event, &subscription->text);
        subscription->printed++;
    }
    free(event.headers);
    /* What a group commits must have left this process. */
    if (subscription->options->group == NULL || fflush(stdout) == 0) {
        source_processed(&subscription->source, message);
    }
}

static int read_all(struct subscription *subscription)
{
    enum { WAIT_MS = 100 };
    const struct subscribe_options *options = subscription->options;
    bool is_idle = false;
    int code = EXIT_OK;
    while (code == EXIT_OK && !source_is_done(&subscription->source) &&
           !interrupt_is_raised(&subscription->interrupt) && !ferror(stdout) &&
           (options->max_count == 0 || subscription->printed < options->max_count)) {
        rd_kafka_message_t *message =
            source_take(&subscription->source, is_idle ? WAIT_MS : 0, &code);
        if (message != NULL) {
            handle(subscription, message);
            rd_kafka_message_destroy(message);
        } else if (!is_idle) {
            fflush(stdout); /* nothing more at hand: show what there is */
        }
        is_idle = message == NULL;
    }
    return code;
}

static int run(const struct subscribe_options *options, const struct source_options *from)
{
    struct subscription subscription = {.options = options};
    interrupt_init(&subscription.interrupt);
    int code = source_open(&subscription.source, from);
    if (code == EXIT_OK) {
        code = read_all(&subscription);
        code = output_finish(code);
    }
    if (code == EXIT_OK && isatty(STDERR_FILENO) && isatty(STDOUT_FILENO)) {
        fprintf(stderr, "%lld event%s\n", (long long)subscription.printed,
                output_plural((uint64_t)subscription.printed));
    }
    int close_code = source_close(&subscription.source);
    interrupt_deinit(&subscription.interrupt);
    buf_deinit(&subscription.text);
    return code != EXIT_OK ? code : close_code;
}

static void drop_repeated(struct text_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t j = 0;
        while (j < kept && strcmp(list->items[j], list->items[i]) != 0) {
            j++;
        }
        if (j == kept) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

int cli_subscribe(int argc, char **argv)
{
    struct subscribe_options options = {.client = client_options_default(), .partition = -1};
    struct source_options source = {0};
    struct option_set sets[SET_COUNT];
    int code;
    make_sets(&options, sets);
    if (options_parse(&page, sets, SET_COUNT, argc, argv, &options.topics, &code)) {
        drop_repeated(&options.topics);
        code = check(&options, &source);
        if (code == EXIT_OK) {
            code = run(&options, &source);
        }
    }
    options_deinit(sets, SET_COUNT);
    return code;
}
