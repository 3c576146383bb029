#include "cli/bus/source_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what the reader tells --- */

static void on_assigned(void *context, const struct topic_partitions *partitions)
{
    struct source *source = context;
    struct client_error error;
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, partitions->count + 1);
    int64_t *stops = mem_new_array(int64_t, partitions->count + 1);
    struct connection *connection = reader_connection(source->reader);
    enum client_status status = admin_bounds(connection, partitions, bounds, &error);
    if (status == CLIENT_OK) {
        status = source_find_stops(source, connection, partitions, bounds, stops, &error);
    }
    if (status != CLIENT_OK) {
        source->failure =
            bus_fail(&error, "look up the offsets of group '%s'", source->options->group);
    }
    for (size_t i = 0; status == CLIENT_OK && i < partitions->count; i++) {
        source_track(source, &partitions->items[i], stops[i], bounds[i]);
    }
    source->is_assigned = true;
    source->is_heard = true;
    free(bounds);
    free(stops);
}

/* What is committed must have left this process. */
static void on_commit(void *context)
{
    struct source *source = context;
    if (!source->options->flush()) {
        return;
    }
    for (size_t i = 0; i < source->partitions.count; i++) {
        const struct source_partition *at = &source->partitions.items[i];
        if (at->handled >= 0) {
            /* Refused when the partition is no longer ours: then another member reads it again. */
            (void)reader_mark(source->reader, at->topic, at->partition, at->epoch, at->handled,
                              NULL);
        }
    }
}

static void on_revoked(void *context, const struct topic_partitions *partitions, bool is_lost)
{
    if (!is_lost) {
        on_commit(context);
    }
    source_forget(context, partitions);
}

static void on_gone(void *context, const struct reader_gap *gap)
{
    if (gap->is_new_topic) {
        cli_warn("topic %s was deleted and made again: partition %d is read from offset %lld, not "
                 "from %lld",
                 gap->topic, (int)gap->partition, (long long)gap->to, (long long)gap->from);
        return;
    }
    cli_warn("events of %s partition %d are gone that were not read: offsets %lld to %lld",
             gap->topic, (int)gap->partition, (long long)gap->from, (long long)gap->to - 1);
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct source *source = context;
    struct source_partition *at = source_find(source, topic, partition);
    if (at != NULL && offset >= at->stop) {
        source_mark_done(source, at);
    }
}

static void on_notice(void *context, const struct client_error *what)
{
    const struct source *source = context;
    if (what->status == CLIENT_UNREACHABLE) {
        struct connection_settings settings = bus_settings(source->options->bus);
        cli_warn("the bus at %s went away; trying again until it is back",
                 settings.bootstrap_servers);
    } else if (what->status == CLIENT_OK) {
        cli_warn("the bus is back");
    } else {
        cli_warn("%s", what->text);
    }
}

/* --- opening --- */

/* All partitions to read. */
static int list_topics(struct source *source, struct connection *connection,
                       struct topic_partitions *list)
{
    struct topic_choice *choice = &source->choice;
    struct topic_partitions found = {0};
    struct client_error error;
    int code = EXIT_OK;
    if (choice->expressions.count > 0) {
        code = topic_choice_look(choice, connection, -1, &found, &error) == CLIENT_OK
                   ? topic_choice_check(choice)
                   : bus_fail(&error, "list the topics");
        topic_partitions_deinit(&found);
    }
    for (size_t i = 0; code == EXIT_OK && i < choice->names.count; i++) {
        code = bus_partitions(connection, choice->names.items[i], source->options->partition, list);
    }
    return code;
}

/* A request that a hung bus does not answer holds back a member's end: librdkafka gives it a minute
 * of its own, and wants it to be longer than a fetch may wait. What the user says counts more. */
static void limit_requests(const struct bus_options *bus, char text[64], struct text_list *list)
{
    enum { LEAST_MS = 2000 };
    int64_t most_ms = bus->timeout_ms < 60000 ? bus->timeout_ms : 60000;
    snprintf(text, 64, "socket.timeout.ms=%lld",
             (long long)(most_ms > LEAST_MS ? most_ms : LEAST_MS));
    text_list_add(list, text);
    for (size_t i = 0; i < bus->properties.count; i++) {
        text_list_add(list, bus->properties.items[i]);
    }
}

static int open_reader(struct source *source, const struct topic_partitions *begin)
{
    const struct source_options *options = source->options;
    struct client_error error;
    struct text_list properties = {0};
    char limit[64];
    struct reader_settings settings = {
        .connection = bus_settings(options->bus),
        .partitions = begin,
        .from = options->from,
        .group = options->group,
        .topics = options->group != NULL ? source->choice.names.items : NULL,
        .topic_count = options->group != NULL ? source->choice.names.count : 0,
        .callbacks = {.assigned = on_assigned,
                      .revoked = on_revoked,
                      .before_commit = options->group != NULL ? on_commit : NULL,
                      .gone = on_gone,
                      .ended = options->has_to ? on_ended : NULL},
        .context = source,
    };
    if (options->group != NULL) {
        limit_requests(options->bus, limit, &properties);
        settings.connection.properties = properties.items;
        settings.connection.property_count = properties.count;
    }
    settings.connection.notice = on_notice;
    settings.connection.notice_context = source;
    enum client_status status = reader_open(&settings, &source->reader, &error);
    text_list_deinit(&properties);
    return status == CLIENT_OK ? EXIT_OK : bus_fail_open(&error);
}

/* Finds out where reading begins and ends. *begin: the partitions that are not at their end. */
static int place(struct source *source, struct connection *connection,
                 struct topic_partitions *list, struct topic_partitions *begin)
{
    struct client_error error;
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, list->count + 1);
    int64_t *stops = mem_new_array(int64_t, list->count + 1);
    enum client_status status = admin_bounds(connection, list, bounds, &error);
    if (status == CLIENT_OK) {
        status = source_find_starts(source, connection, list, bounds, &error);
    }
    if (status == CLIENT_OK) {
        status = source_find_stops(source, connection, list, bounds, stops, &error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < list->count; i++) {
        const struct topic_partition *at = &list->items[i];
        if (source->options->group == NULL) {
            source_track(source, at, stops[i], bounds[i]);
        }
        if (source->options->group != NULL || at->offset < stops[i]) {
            topic_partitions_add(begin, at->topic, at->partition, at->offset);
        }
    }
    free(bounds);
    free(stops);
    return status == CLIENT_OK ? EXIT_OK : bus_fail(&error, "look up where to read");
}

int source_open(struct source *source, const struct source_options *options)
{
    *source = (struct source){.options = options, .is_heard = true};
    struct connection *connection = NULL;
    struct topic_partitions list = {0};
    struct topic_partitions begin = {0};
    int code = topic_choice_init(&source->choice, &options->topics);
    if (code == EXIT_OK) {
        code = bus_open(options->bus, &connection);
    }
    if (code == EXIT_OK) {
        code = list_topics(source, connection, &list);
    }
    /* A group needs places only where the reader cannot find them itself. */
    if (code == EXIT_OK && (options->group == NULL || options->from.kind == POSITION_LAST)) {
        code = place(source, connection, &list, &begin);
    }
    if (code == EXIT_OK) {
        code = open_reader(source, options->group == NULL || begin.count > 0 ? &begin : NULL);
    }
    source->look_at_ms = clock_mono_ms(clock_system()) + LOOK_EVERY_MS;
    topic_partitions_deinit(&list);
    topic_partitions_deinit(&begin);
    connection_close(connection);
    return code;
}

/* --- reading --- */

static int fail_reading(const struct client_error *error)
{
    return bus_fail(error, "read events");
}

static const struct source_partition *find_owed(const struct source *source)
{
    for (size_t i = 0; i < source->partitions.count; i++) {
        const struct source_partition *at = &source->partitions.items[i];
        if (!at->is_done && at->is_there) {
            return at;
        }
    }
    return NULL;
}

/* Nothing came just now. EXIT_TIMED_OUT (told) when that lasts too long. */
static int note_silence(struct source *source)
{
    static const char hint[] = "does the bus hang? Or allow more time with --timeout";
    const struct source_options *options = source->options;
    bool is_outside = options->group != NULL && !source->is_assigned;
    const struct source_partition *owed = find_owed(source);
    int64_t now_ms = clock_mono_ms(clock_system());
    if (source->is_heard || (!is_outside && owed == NULL)) {
        source->heard_ms = now_ms;
        source->is_heard = false;
    }
    double silent_s = (double)options->bus->timeout_ms / 1000;
    if (now_ms - source->heard_ms <= options->bus->timeout_ms) {
        return EXIT_OK;
    }
    if (is_outside) {
        return cli_fail(EXIT_TIMED_OUT, hint, "group '%s' did not let this member in within %g s",
                        options->group, silent_s);
    }
    return cli_fail(EXIT_TIMED_OUT, hint,
                    "topic '%s' partition %d has events up to offset %lld, but none came for %g s",
                    owed->topic, (int)owed->partition, (long long)owed->stop - 1, silent_s);
}

int source_take(struct source *source, int timeout_ms, struct received **received)
{
    struct client_error error;
    *received = NULL;
    if (source_look(source, &error) != CLIENT_OK) {
        return bus_fail(&error, "read the topics that were made meanwhile");
    }
    if (reader_take(source->reader, timeout_ms, received, &error) != CLIENT_OK) {
        return fail_reading(&error);
    }
    source->is_heard |= *received != NULL;
    if (!source->options->has_to || source->failure != EXIT_OK) {
        return source->failure;
    }
    if (*received == NULL) {
        return timeout_ms > 0 ? note_silence(source) : EXIT_OK;
    }
    const struct event *event = &(*received)->event;
    struct source_partition *at = source_find(source, event->topic, event->partition);
    if (at != NULL && event->offset >= at->stop) {
        source_mark_done(source, at);
        (void)reader_pause(source->reader, event->topic, event->partition, NULL);
        received_free(*received);
        *received = NULL;
    }
    return source->failure;
}

void source_handled(struct source *source, struct received *received)
{
    const struct event *event = &received->event;
    if (source->options->has_to || source->options->group != NULL) {
        struct source_partition *at = source_find(source, event->topic, event->partition);
        if (at != NULL) {
            at->handled = event->offset + 1;
            at->epoch = received->epoch;
            if (at->handled >= at->stop) {
                source_mark_done(source, at);
            }
        }
    }
    received_free(received);
}

bool source_is_done(const struct source *source)
{
    return source->options->has_to && (source->options->group == NULL || source->is_assigned) &&
           source->open_count == 0;
}

int source_close(struct source *source)
{
    struct client_error error;
    int code = EXIT_OK;
    if (source->reader != NULL && reader_close(source->reader, &error) != CLIENT_OK) {
        code = bus_fail(&error, source->options->group != NULL ? "leave group '%s'" : "close%s",
                        source->options->group != NULL ? source->options->group : "");
    }
    for (size_t i = 0; i < source->partitions.count; i++) {
        free(source->partitions.items[i].topic);
    }
    vec_deinit(&source->partitions);
    connection_close(source->looker);
    topic_partitions_deinit(&source->waiting);
    topic_choice_deinit(&source->choice);
    return code;
}
