#include "cli/event/expect_read.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

enum {
    LOOK_EVERY_MS = 100, /* for topics that are made meanwhile */
    PATIENCE_MS = 500,   /* what a look that the bus does not answer holds up */
    LAST_MS = 4000,      /* so long the last one is tried: a busy machine answers late */
    FETCH_WAIT_MS = 20,
};

/* A name as an expression: topics that are not there are looked for as well. */
static const char *pattern_of(const char *topic)
{
    struct buf text = {0};
    if (topic[0] == '^') {
        return mem_strdup(topic);
    }
    buf_append_u8(&text, '^');
    for (; *topic != '\0'; topic++) {
        buf_append_str(&text, isalnum((unsigned char)*topic) || *topic == '_' ? "" : "\\");
        buf_append_u8(&text, (uint8_t)*topic);
    }
    buf_append_u8(&text, '$');
    char *pattern = mem_strdup(buf_cstr(&text));
    buf_deinit(&text);
    return pattern;
}

static void on_notice(void *context, const struct client_error *what)
{
    struct expect_reader *reader = context;
    if (what->status == CLIENT_UNREACHABLE) {
        reader->is_away = true;
    } else if (what->status == CLIENT_OK) {
        reader->is_away = false;
    } else {
        cli_warn("%s", what->text);
    }
}

static void note_read(struct expect_reader *reader, const char *topic, int32_t partition,
                      int64_t offset)
{
    struct topic_partition *at = topic_partitions_find(&reader->at, topic, partition);
    if (at != NULL) {
        at->offset = offset;
    }
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    note_read(context, topic, partition, offset);
}

/* Begins to read what was found: the first time where the user said, later from its start. */
static enum client_status read_waiting(struct expect_reader *reader, bool is_first,
                                       struct client_error *error)
{
    struct topic_partitions *waiting = &reader->waiting;
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, waiting->count + 1);
    struct position start = {.kind = POSITION_START};
    enum client_status status = admin_bounds(reader->looker, waiting, bounds, error);
    if (status == CLIENT_OK) {
        status = position_resolve(reader->looker, waiting, is_first ? &reader->from : &start,
                                  bounds, error);
    }
    if (status == CLIENT_OK && reader->reader != NULL) {
        status = reader_add(reader->reader, waiting, error);
    }
    if (status == CLIENT_OK) {
        topic_partitions_append(&reader->at, waiting);
        topic_partitions_deinit(waiting);
    }
    free(bounds);
    return status;
}

static enum client_status look(struct expect_reader *reader, bool is_first,
                               struct client_error *error)
{
    enum client_status status =
        topic_choice_look(&reader->choice, reader->looker, -1, &reader->waiting, error);
    if (status == CLIENT_OK && reader->waiting.count > 0) {
        status = read_waiting(reader, is_first, error);
    }
    reader->look_at_ms = clock_mono_ms(clock_system()) + LOOK_EVERY_MS;
    return status;
}

static int open_looker(struct expect_reader *reader)
{
    struct connection_settings settings = bus_settings(reader->bus);
    struct connection *reached;
    struct client_error error;
    int code = bus_open(reader->bus, &reached);
    connection_close(reached);
    settings.timeout_ms = settings.timeout_ms < PATIENCE_MS ? settings.timeout_ms : PATIENCE_MS;
    if (code == EXIT_OK && connection_open(&settings, &reader->looker, &error) != CLIENT_OK) {
        code = bus_fail_open(&error);
    }
    return code;
}

static int open_reader(struct expect_reader *reader)
{
    struct client_error error;
    struct reader_settings settings = {
        .connection = bus_settings(reader->bus),
        .partitions = &reader->at,
        .fetch_wait_ms = FETCH_WAIT_MS,
        .callbacks = {.ended = on_ended},
        .context = reader,
    };
    settings.connection.notice = on_notice;
    settings.connection.notice_context = reader;
    return reader_open(&settings, &reader->reader, &error) == CLIENT_OK ? EXIT_OK
                                                                        : bus_fail_open(&error);
}

/* Whether to ask once more, after a moment: a busy machine answers late. */
static bool may_ask_again(enum client_status status, int64_t until_ms)
{
    bool is_late = status == CLIENT_TIMED_OUT || status == CLIENT_UNREACHABLE;
    if (!is_late || clock_mono_ms(clock_system()) >= until_ms) {
        return false;
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return true;
}

static enum client_status first_look(struct expect_reader *reader, struct client_error *error)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + bus_settings(reader->bus).timeout_ms;
    enum client_status status;
    do {
        status = look(reader, true, error);
    } while (may_ask_again(status, until_ms));
    return status;
}

int expect_reader_open(struct expect_reader *reader, const struct bus_options *bus,
                       const struct text_list *topics, struct position from)
{
    struct client_error error;
    *reader = (struct expect_reader){.bus = bus, .from = from};
    for (size_t i = 0; i < topics->count; i++) {
        text_list_add(&reader->patterns, pattern_of(topics->items[i]));
    }
    if (topics->count == 0) {
        text_list_add(&reader->patterns, mem_strdup("^"));
    }
    int code = topic_choice_init(&reader->choice, &reader->patterns);
    if (code == EXIT_OK) {
        code = open_looker(reader);
    }
    if (code == EXIT_OK && first_look(reader, &error) != CLIENT_OK) {
        code = bus_fail(&error, "list the topics");
    }
    return code == EXIT_OK ? open_reader(reader) : code;
}

void expect_reader_close(struct expect_reader *reader)
{
    (void)reader_close(reader->reader, NULL);
    connection_close(reader->looker);
    topic_choice_deinit(&reader->choice);
    for (size_t i = 0; i < reader->patterns.count; i++) {
        free((void *)(uintptr_t)reader->patterns.items[i]);
    }
    text_list_deinit(&reader->patterns);
    topic_partitions_deinit(&reader->at);
    topic_partitions_deinit(&reader->waiting);
}

int expect_reader_take(struct expect_reader *reader, int timeout_ms, struct received **received)
{
    struct client_error error;
    *received = NULL;
    if (clock_mono_ms(clock_system()) >= reader->look_at_ms) {
        (void)!look(reader, false, NULL); /* what the bus does not say now is asked again */
    }
    if (reader_take(reader->reader, timeout_ms, received, &error) != CLIENT_OK) {
        return bus_fail(&error, "read events");
    }
    if (*received != NULL) {
        const struct event *event = &(*received)->event;
        note_read(reader, event->topic, event->partition, event->offset + 1);
    }
    return EXIT_OK;
}

static enum client_status find_ends(struct expect_reader *reader, struct topic_partitions *ends)
{
    enum client_status status = look(reader, false, NULL);
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, reader->at.count + 1);
    topic_partitions_append(ends, &reader->at);
    if (status == CLIENT_OK) {
        status = admin_bounds(reader->looker, ends, bounds, NULL);
    }
    for (size_t i = 0; status == CLIENT_OK && i < ends->count; i++) {
        ends->items[i].offset = bounds[i].end;
    }
    free(bounds);
    return status;
}

bool expect_reader_ends(struct expect_reader *reader, struct topic_partitions *ends)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + LAST_MS;
    enum client_status status = find_ends(reader, ends);
    while (may_ask_again(status, until_ms)) {
        topic_partitions_deinit(ends);
        status = find_ends(reader, ends);
    }
    return status == CLIENT_OK;
}

bool expect_reader_has(const struct expect_reader *reader, const struct topic_partitions *ends)
{
    for (size_t i = 0; i < ends->count; i++) {
        const struct topic_partition *end = &ends->items[i];
        const struct topic_partition *at =
            topic_partitions_find(&reader->at, end->topic, end->partition);
        if (at != NULL && at->offset < end->offset) {
            return false;
        }
    }
    return true;
}
