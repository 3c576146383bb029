#include "bus/event/topic_scan.h"

#include "base/clock.h"
#include "base/mem.h"
#include "client/admin/admin.h"
#include "client/event/log_access.h"
#include "client/reader/reader.h"

#include <stdlib.h>

/* One partition on its way. */
struct leg {
    int64_t at, stop;
};

struct run {
    struct topic_scan *scan;
    struct topic_partitions list;
    struct leg *legs; /* of list->items */
    size_t open;
    int64_t done, total;
    unsigned turn; /* records */
};

enum { TELL_EVERY = 512, CODE_NO_TOPIC = 3 /* UNKNOWN_TOPIC_OR_PARTITION */ };

static struct leg *find(struct run *run, int32_t partition)
{
    const struct topic_partition *at =
        topic_partitions_find(&run->list, run->scan->topic, partition);
    return at != NULL ? &run->legs[at - run->list.items] : NULL;
}

/* What stands below `offset` is read, or is not there. */
static void move(struct run *run, struct leg *leg, int64_t offset)
{
    if (leg->at < leg->stop && offset > leg->at) {
        int64_t to = offset < leg->stop ? offset : leg->stop;
        run->done += to - leg->at;
        leg->at = to;
        run->open -= leg->at == leg->stop;
    }
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct run *run = context;
    struct leg *leg = find(run, partition);
    (void)topic;
    (void)offset;
    if (leg != NULL) {
        move(run, leg, leg->stop); /* what is behind the last stable offset is nobody's yet */
    }
}

/* Sets where to begin, and `begin` to the partitions that have anything. */
static enum client_status find_ends(struct run *run, struct connection *connection,
                                    struct topic_partitions *begin, struct client_error *error)
{
    struct topic_scan *scan = run->scan;
    struct admin_topics topics;
    enum client_status status = admin_topic(connection, scan->topic, false, &topics, error);
    size_t count = status == CLIENT_OK ? topics.items[0].partitions.count : 0;
    for (size_t i = 0; i < count; i++) {
        int32_t id = topics.items[0].partitions.items[i].id;
        if (scan->wants == NULL || scan->wants(scan->context, id, (int32_t)count)) {
            topic_partitions_add(&run->list, scan->topic, id, -1);
        }
    }
    admin_topics_deinit(&topics);
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, run->list.count + 1);
    run->legs = mem_new_array(struct leg, run->list.count + 1);
    if (status == CLIENT_OK) {
        status = admin_bounds(connection, &run->list, bounds, error);
    }
    if (status == CLIENT_OK && scan->from_ms > 0) {
        status = admin_offsets_at(connection, &run->list, scan->from_ms, error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < run->list.count; i++) {
        struct topic_partition *at = &run->list.items[i];
        bool is_over = scan->from_ms > 0 && at->offset < 0;
        int64_t from = at->offset > bounds[i].start ? at->offset : bounds[i].start;
        if (scan->last > 0 && from < bounds[i].end - scan->last) {
            from = bounds[i].end - scan->last;
        }
        run->legs[i] = (struct leg){is_over ? bounds[i].end : from, bounds[i].end};
        if (run->legs[i].at < run->legs[i].stop) {
            topic_partitions_add(begin, scan->topic, at->partition, run->legs[i].at);
            run->open++;
            run->total += run->legs[i].stop - run->legs[i].at;
        }
    }
    free(bounds);
    return status;
}

static void take(struct run *run, struct reader *reader, const struct event *event)
{
    struct topic_scan *scan = run->scan;
    struct leg *leg = find(run, event->partition);
    if (leg == NULL || leg->at >= leg->stop || event->offset < leg->at) {
        return;
    }
    if (event->offset < leg->stop && !scan->each(scan->context, event)) {
        scan->is_stopped = true;
    }
    move(run, leg, event->offset + 1);
    if (leg->at >= leg->stop) {
        (void)reader_pause(reader, event->topic, event->partition, NULL);
    }
}

static enum client_status read_all(struct run *run, struct reader *reader,
                                   struct client_error *error)
{
    enum { STEP_MS = 50 };
    struct topic_scan *scan = run->scan;
    int64_t timeout_ms = connection_timeout_ms(reader_connection(reader));
    int64_t heard_ms = clock_mono_ms(clock_system());
    for (unsigned turn = 1; run->open > 0 && !scan->is_stopped; turn++) {
        struct received *received;
        int64_t done = run->done;
        enum client_status status = reader_take(reader, STEP_MS, &received, error);
        if (status != CLIENT_OK) {
            return status;
        }
        bool is_silent = received == NULL && run->done == done;
        if (received != NULL) {
            take(run, reader, &received->event);
        }
        received_free(received);
        if ((is_silent || turn % TELL_EVERY == 0) && scan->progress != NULL &&
            !scan->progress(scan->context, run->done, run->total)) {
            scan->is_stopped = true;
        }
        if (!is_silent) {
            heard_ms = clock_mono_ms(clock_system());
            continue;
        }
        if (clock_mono_ms(clock_system()) - heard_ms > timeout_ms) {
            return client_fail(error, CLIENT_TIMED_OUT, "allow more time with --timeout",
                               "nothing more came of topic '%s', though there is more",
                               scan->topic);
        }
    }
    return CLIENT_OK;
}

/* --- out of the log, where it is in this process --- */

static enum client_status fail_log(enum err err, const struct reason *reason,
                                   struct client_error *error)
{
    return err == ERR_NOT_FOUND
               ? client_fail_code(error, CODE_NO_TOPIC, NULL)
               : client_fail(error, err == ERR_CLOSED ? CLIENT_CLOSED : CLIENT_REFUSED, NULL,
                             "the log cannot be read: %s", reason->text);
}

static bool tell(struct topic_scan *scan, const struct run *run)
{
    scan->is_stopped |=
        scan->progress != NULL && !scan->progress(scan->context, run->done, run->total);
    return !scan->is_stopped;
}

static bool on_logged(void *context, const struct event *event)
{
    struct run *run = context;
    struct topic_scan *scan = run->scan;
    scan->is_stopped |= !scan->each(scan->context, event);
    move(run, find(run, event->partition), event->offset + 1);
    if (!scan->is_stopped && ++run->turn % TELL_EVERY == 0) {
        (void)tell(scan, run);
    }
    return !scan->is_stopped;
}

/* Where nothing is given for long, it can be stopped all the same. */
static bool goes_on(void *context)
{
    struct run *run = context;
    return tell(run->scan, run);
}

static enum err find_logged_ends(struct run *run, struct log_access *log, struct reason *reason)
{
    struct topic_scan *scan = run->scan;
    enum err err = ERR_NONE;
    int32_t count = log_access_partition_count(log, scan->topic);
    run->legs = mem_new_array(struct leg, (size_t)count + 1);
    for (int32_t i = 0; err == ERR_NONE && i < count; i++) {
        struct log_stretch none = {.topic = scan->topic, .partition = i};
        if (scan->wants != NULL && !scan->wants(scan->context, i, count)) {
            continue;
        }
        err = log_access_read(log, &none, reason);
        int64_t from = scan->last > 0 && none.start_offset < none.end_offset - scan->last
                           ? none.end_offset - scan->last
                           : none.start_offset;
        run->legs[run->list.count] = (struct leg){from, none.end_offset};
        run->open += from < none.end_offset;
        run->total += none.end_offset - from;
        topic_partitions_add(&run->list, scan->topic, i, from);
    }
    return count == 0 ? reason_fail(reason, ERR_NOT_FOUND, "there is no such topic") : err;
}

static enum client_status scan_log(struct run *run, struct log_access *log,
                                   struct client_error *error)
{
    struct topic_scan *scan = run->scan;
    struct reason reason = {""};
    enum err err = find_logged_ends(run, log, &reason);
    for (size_t i = 0; err == ERR_NONE && i < run->list.count && !scan->is_stopped; i++) {
        struct leg *leg = &run->legs[i];
        struct log_stretch stretch = {.topic = scan->topic,
                                      .partition = run->list.items[i].partition,
                                      .from = leg->at,
                                      .stop = leg->stop,
                                      .each = on_logged,
                                      .goes_on = goes_on,
                                      .context = run};
        err = leg->at < leg->stop ? log_access_read(log, &stretch, &reason) : ERR_NONE;
        if (err == ERR_NONE && !scan->is_stopped) {
            move(run, leg, leg->stop); /* what was not given is nobody's yet, or not there */
            (void)tell(scan, run);
        }
    }
    return err == ERR_NONE ? CLIENT_OK : fail_log(err, &reason, error);
}

/* --- by a reader, from any bus --- */

static enum client_status scan_bus(struct run *run, struct client_error *error)
{
    enum { AHEAD_KBYTES = 4096, WAIT_MS = 50 };
    struct topic_scan *scan = run->scan;
    struct topic_partitions begin = {0};
    struct connection *connection = NULL;
    struct reader *reader = NULL;
    enum client_status status = connection_open(scan->connection, &connection, error);
    if (status == CLIENT_OK) {
        status = find_ends(run, connection, &begin, error);
    }
    if (status == CLIENT_OK && run->open > 0) {
        struct reader_settings settings = {.connection = *scan->connection,
                                           .partitions = &begin,
                                           .prefetch_kbytes = AHEAD_KBYTES,
                                           .fetch_wait_ms = WAIT_MS,
                                           .callbacks = {.ended = on_ended},
                                           .context = run};
        status = reader_open(&settings, &reader, error);
    }
    if (reader != NULL) {
        status = read_all(run, reader, error);
        (void)reader_close(reader, NULL);
    }
    connection_close(connection);
    topic_partitions_deinit(&begin);
    return status;
}

enum client_status topic_scan(struct topic_scan *scan, struct client_error *error)
{
    struct run run = {.scan = scan};
    bool is_logged = scan->connection->log != NULL && scan->from_ms == 0; /* times are asked for */
    scan->is_stopped = false;
    enum client_status status =
        is_logged ? scan_log(&run, scan->connection->log, error) : scan_bus(&run, error);
    topic_partitions_deinit(&run.list);
    free(run.legs);
    return status;
}
