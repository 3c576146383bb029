#include "bus/api/topic_tail.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bus/event/event_where.h"
#include "client/admin/admin.h"
#include "client/admin/position.h"
#include "client/event/log_access.h"
#include "client/reader/reader.h"

#include <stdlib.h>
#include <string.h>

/*
 * Newest first: a stretch before the end of each partition is read; when that gave too few that
 * fit, the one before it, eight times as long, and so on. Of what was found the newest are kept.
 */

enum { CODE_NO_TOPIC = 3 /* UNKNOWN_TOPIC_OR_PARTITION */ };

enum { STRETCH_FIRST = 64, STRETCH_MAX = 100000, GROW = 8, STEP_MS = 20, PRUNE_EVENTS = 1000 };

struct leg {
    int64_t at, stop;
    size_t fitting;
    bool is_enough; /* oldest first: what comes behind is not among the first ones */
};

struct look {
    struct topic_tail *tail;
    VEC(struct topic_tail_event) found;
    size_t bytes;
    int64_t until_ms; /* monotonic */
    struct topic_partitions list;
    struct admin_bounds *bounds; /* of list->items */
    struct leg *legs;            /* the same: of the stretch that is read now */
    size_t open;                 /* legs that are not at their stop */
    bool is_oldest_first;
    bool has_pruned; /* some that fit are not among the first ones */
};

/* --- where to look --- */

static enum client_status fail_partition(const struct topic_tail *tail, size_t count,
                                         struct client_error *error)
{
    return client_fail(error, CLIENT_NOT_FOUND, NULL, "it has %zu partitions, and no number %d",
                       count, (int)tail->partition);
}

static enum client_status fail_log(enum err err, const struct reason *reason,
                                   struct client_error *error)
{
    return err == ERR_CLOSED || err == ERR_NOT_FOUND
               ? client_fail(error, CLIENT_NOT_FOUND, NULL, "%s", reason->text)
               : client_fail(error, CLIENT_REFUSED, NULL, "its log cannot be read: %s",
                             reason->text);
}

/* The same out of the log, which is in this process. */
static enum client_status find_logged_ends(struct look *look, struct client_error *error)
{
    struct topic_tail *tail = look->tail;
    struct log_access *log = tail->connection->log;
    struct reason reason = {""};
    enum err err = ERR_NONE;
    int32_t count = log_access_partition_count(log, tail->topic);
    for (int32_t i = 0; i < count; i++) {
        if (tail->partition < 0 || tail->partition == i) {
            topic_partitions_add(&look->list, tail->topic, i, -1);
        }
    }
    if (count == 0) {
        return client_fail_code(error, CODE_NO_TOPIC, NULL);
    }
    if (look->list.count == 0) {
        return fail_partition(tail, (size_t)count, error);
    }
    look->bounds = mem_new_array(struct admin_bounds, look->list.count + 1);
    look->legs = mem_new_array(struct leg, look->list.count + 1);
    for (size_t i = 0; err == ERR_NONE && i < look->list.count; i++) {
        struct log_stretch none = {.topic = tail->topic,
                                   .partition = look->list.items[i].partition};
        err = log_access_read(log, &none, &reason);
        look->bounds[i] = (struct admin_bounds){none.start_offset, none.end_offset};
    }
    return err == ERR_NONE ? CLIENT_OK : fail_log(err, &reason, error);
}

static enum client_status find_ends(struct look *look, struct connection *connection,
                                    struct client_error *error)
{
    struct topic_tail *tail = look->tail;
    struct admin_topics topics;
    enum client_status status = admin_topic(connection, tail->topic, false, &topics, error);
    size_t count = status == CLIENT_OK ? topics.items[0].partitions.count : 0;
    for (size_t i = 0; i < count; i++) {
        int32_t id = topics.items[0].partitions.items[i].id;
        if (tail->partition < 0 || tail->partition == id) {
            topic_partitions_add(&look->list, tail->topic, id, -1);
        }
    }
    admin_topics_deinit(&topics);
    if (status == CLIENT_OK && look->list.count == 0) {
        return fail_partition(tail, count, error);
    }
    look->bounds = mem_new_array(struct admin_bounds, look->list.count + 1);
    look->legs = mem_new_array(struct leg, look->list.count + 1);
    return status == CLIENT_OK ? admin_bounds(connection, &look->list, look->bounds, error)
                               : status;
}

/* --- one stretch --- */

static struct leg *find(struct look *look, int32_t partition)
{
    const struct topic_partition *at =
        topic_partitions_find(&look->list, look->tail->topic, partition);
    return at != NULL ? &look->legs[at - look->list.items] : NULL;
}

static void move(struct look *look, struct leg *leg, int64_t offset)
{
    if (!leg->is_enough && leg->at < leg->stop && offset > leg->at) {
        int64_t to = offset < leg->stop ? offset : leg->stop;
        look->tail->looked_at += to - leg->at;
        leg->at = to;
        look->open -= leg->at == leg->stop;
    }
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct look *look = context;
    struct leg *leg = find(look, partition);
    (void)topic;
    (void)offset;
    if (leg != NULL) {
        move(look, leg, leg->stop); /* open transactions are nobody's yet */
    }
}

static bool fits(const struct topic_tail *tail, const struct event *event)
{
    struct event_subject subject;
    if (tail->where == NULL) {
        return true;
    }
    event_subject_init(&subject, event);
    bool holds = where_holds(tail->where, event_field_get, &subject);
    event_subject_deinit(&subject);
    return holds;
}

static size_t size_of(const struct event *event)
{
    size_t size = event->key.size + event->value.size + sizeof *event;
    for (size_t i = 0; i < event->header_count; i++) {
        size += strlen(event->headers[i].name) + event->headers[i].value.size;
    }
    return size;
}

static void free_event(struct topic_tail_event *at)
{
    arena_deinit(at->arena);
    free(at->arena);
}

static void keep(struct look *look, const struct event *event)
{
    struct topic_tail_event kept = {*event, mem_new(struct arena)};
    event_own(&kept.event, kept.arena);
    look->bytes += size_of(event);
    vec_push(&look->found, kept);
}

/* --- order --- */

static int by_offset(const void *a, const void *b)
{
    const struct event *one = &((const struct topic_tail_event *)a)->event;
    const struct event *other = &((const struct topic_tail_event *)b)->event;
    return (one->offset > other->offset) - (one->offset < other->offset);
}

static int by_time(const void *a, const void *b)
{
    const struct event *one = &((const struct topic_tail_event *)a)->event;
    const struct event *other = &((const struct topic_tail_event *)b)->event;
    if (one->timestamp_ms != other->timestamp_ms) {
        return one->timestamp_ms > other->timestamp_ms ? 1 : -1;
    }
    int order = (one->partition > other->partition) - (one->partition < other->partition);
    return order != 0 ? order : by_offset(a, b);
}

static int by_offset_back(const void *a, const void *b)
{
    return by_offset(b, a);
}

static int by_time_back(const void *a, const void *b)
{
    return by_time(b, a);
}

/* Times of one partition need not rise. */
static void sort(struct look *look)
{
    bool is_one = look->list.count == 1;
    if (look->found.count > 0) {
        qsort(look->found.items, look->found.count, sizeof *look->found.items,
              look->tail->from != NULL ? (is_one ? by_offset : by_time)
                                       : (is_one ? by_offset_back : by_time_back));
    }
}

/* Sorts, and keeps the first ones. */
static void keep_first(struct look *look)
{
    size_t gone = 0;
    sort(look);
    while (look->found.count > look->tail->limit) {
        struct topic_tail_event *last = &look->found.items[--look->found.count];
        look->bytes -= size_of(&last->event);
        free_event(last);
        gone++;
    }
    look->has_pruned |= gone > 0;
}

/* --- what is read --- */

/* One that fits, of the leg. So many of one partition are as many as are wanted of all. */
static void take_fitting(struct look *look, struct leg *leg, const struct event *event)
{
    keep(look, event);
    leg->fitting++;
    if (look->is_oldest_first && leg->fitting >= look->tail->limit && leg->at < leg->stop) {
        leg->is_enough = true;
        look->open--;
    }
    if (look->found.count >= 2 * look->tail->limit + PRUNE_EVENTS) {
        keep_first(look);
    }
}

static void take(struct look *look, struct reader *reader, const struct event *event)
{
    struct leg *leg = find(look, event->partition);
    bool is_wanted =
        leg != NULL && !leg->is_enough && leg->at < leg->stop && event->offset >= leg->at;
    bool is_in = is_wanted && event->offset < leg->stop && fits(look->tail, event);
    if (is_wanted) {
        move(look, leg, event->offset + 1);
    }
    if (is_in) {
        take_fitting(look, leg, event);
    }
    if (is_wanted && (leg->at == leg->stop || leg->is_enough)) {
        (void)reader_pause(reader, event->topic, event->partition, NULL);
    }
}

static bool is_over(struct look *look)
{
    struct topic_tail *tail = look->tail;
    if (clock_mono_ms(clock_system()) >= look->until_ms) {
        tail->stop = TAIL_TIME;
        return true;
    }
    if (look->bytes >= TAIL_BYTES_MAX) {
        tail->stop = TAIL_BYTES;
        return true;
    }
    return false;
}

/* --- out of the log --- */

/* One that the log gave; false: it is enough. */
static bool take_logged(void *context, const struct event *event)
{
    struct look *look = context;
    struct leg *leg = find(look, event->partition);
    move(look, leg, event->offset + 1);
    if (fits(look->tail, event)) {
        take_fitting(look, leg, event);
    }
    return !leg->is_enough && !is_over(look);
}

static bool goes_on(void *context)
{
    return !is_over(context);
}

static enum client_status read_logged_legs(struct look *look, struct client_error *error)
{
    struct topic_tail *tail = look->tail;
    struct reason reason = {""};
    enum err err = ERR_NONE;
    look->open = look->list.count;
    for (size_t i = 0; err == ERR_NONE && i < look->list.count && !is_over(look); i++) {
        struct leg *leg = &look->legs[i];
        struct log_stretch stretch = {.topic = tail->topic,
                                      .partition = look->list.items[i].partition,
                                      .from = leg->at,
                                      .stop = leg->stop,
                                      .each = take_logged,
                                      .goes_on = goes_on,
                                      .context = look};
        err = leg->at < leg->stop ? log_access_read(tail->connection->log, &stretch, &reason)
                                  : ERR_NONE;
        if (tail->stop == TAIL_COMPLETE) {
            move(look, leg, leg->stop); /* what is not given is nobody's yet, or not there */
        }
    }
    return err == ERR_NONE ? CLIENT_OK : fail_log(err, &reason, error);
}

/* --- by a reader, from any bus --- */

static enum client_status read_bus_legs(struct look *look, struct client_error *error)
{
    enum { AHEAD_KBYTES = 1024, WAIT_MS = 5 };
    struct topic_partitions begin = {0};
    struct reader *reader = NULL;
    look->open = 0;
    for (size_t i = 0; i < look->list.count; i++) {
        if (look->legs[i].at < look->legs[i].stop) {
            topic_partitions_add(&begin, look->tail->topic, look->list.items[i].partition,
                                 look->legs[i].at);
            look->open++;
        }
    }
    struct reader_settings settings = {.connection = *look->tail->connection,
                                       .partitions = &begin,
                                       .prefetch_kbytes = AHEAD_KBYTES,
                                       .fetch_wait_ms = WAIT_MS,
                                       .callbacks = {.ended = on_ended},
                                       .context = look};
    enum client_status status = look->open > 0 ? reader_open(&settings, &reader, error) : CLIENT_OK;
    while (status == CLIENT_OK && look->open > 0 && !is_over(look)) {
        struct received *received = NULL;
        status = reader_take(reader, STEP_MS, &received, error);
        if (received != NULL) {
            take(look, reader, &received->event);
            received_free(received);
        }
    }
    topic_partitions_deinit(&begin);
    (void)reader_close(reader, NULL);
    return status;
}

static enum client_status read_legs(struct look *look, struct client_error *error)
{
    return look->tail->connection->log != NULL ? read_logged_legs(look, error)
                                               : read_bus_legs(look, error);
}

/* --- pages --- */

static bool is_at_start(const struct look *look)
{
    for (size_t i = 0; i < look->list.count; i++) {
        if (look->legs[i].at > look->bounds[i].start) {
            return false;
        }
    }
    return true;
}

static enum client_status read_back(struct look *look, struct client_error *error)
{
    struct topic_tail *tail = look->tail;
    int64_t *upper = mem_new_array(int64_t, look->list.count + 1);
    int64_t stretch = tail->limit > STRETCH_FIRST ? (int64_t)tail->limit : STRETCH_FIRST;
    enum client_status status = CLIENT_OK;
    bool is_start = false;
    for (size_t i = 0; i < look->list.count; i++) {
        upper[i] = look->bounds[i].end;
    }
    tail->stop = TAIL_COMPLETE;
    while (status == CLIENT_OK && !is_start && tail->stop == TAIL_COMPLETE) {
        for (size_t i = 0; i < look->list.count; i++) {
            int64_t start = look->bounds[i].start;
            int64_t from = upper[i] - start > stretch ? upper[i] - stretch : start;
            look->legs[i] = (struct leg){.at = from, .stop = upper[i]};
            upper[i] = from;
        }
        is_start = is_at_start(look);
        status = read_legs(look, error);
        if (tail->stop == TAIL_COMPLETE && look->found.count >= tail->limit && !is_start) {
            tail->stop = TAIL_LIMIT;
        }
        stretch = stretch > STRETCH_MAX / GROW ? STRETCH_MAX : stretch * GROW;
    }
    free(upper);
    return status;
}

static enum client_status read_on(struct look *look, struct client_error *error)
{
    struct topic_tail *tail = look->tail;
    struct position position;
    struct reason reason;
    if (position_parse(tail->from, clock_wall_ms(clock_system()), &position, &reason) != ERR_NONE) {
        return client_fail(error, CLIENT_INVALID, NULL, "from: %s", reason.text);
    }
    bool is_asked = position.kind == POSITION_TIME; /* the bounds tell the rest */
    struct connection *connection = is_asked ? cluster_connection(tail->cluster, error) : NULL;
    enum client_status status =
        is_asked && connection == NULL
            ? error->status
            : position_resolve(connection, &look->list, &position, look->bounds, error);
    for (size_t i = 0; status == CLIENT_OK && i < look->list.count; i++) {
        look->legs[i] = (struct leg){.at = look->list.items[i].offset, .stop = look->bounds[i].end};
    }
    tail->stop = TAIL_COMPLETE;
    return status == CLIENT_OK ? read_legs(look, error) : status;
}

static void hand_out(struct look *look)
{
    struct topic_tail *tail = look->tail;
    keep_first(look);
    for (size_t i = 0; i < look->list.count; i++) {
        look->has_pruned |= look->legs != NULL && look->legs[i].is_enough;
    }
    if (look->has_pruned && tail->stop == TAIL_COMPLETE) {
        tail->stop = TAIL_LIMIT;
    }
    tail->events = look->found.items;
    tail->count = look->found.count;
}

static enum client_status find_bounds(struct look *look, struct client_error *error)
{
    if (look->tail->connection->log != NULL) {
        return find_logged_ends(look, error);
    }
    struct connection *connection = cluster_connection(look->tail->cluster, error);
    return connection != NULL ? find_ends(look, connection, error) : error->status;
}

enum client_status topic_tail_read(struct topic_tail *tail, struct client_error *error)
{
    struct look look = {.tail = tail,
                        .until_ms = clock_mono_ms(clock_system()) + tail->most_ms,
                        .is_oldest_first = tail->from != NULL};
    enum client_status status = find_bounds(&look, error);
    if (status == CLIENT_OK) {
        status = look.is_oldest_first ? read_on(&look, error) : read_back(&look, error);
    }
    hand_out(&look);
    topic_partitions_deinit(&look.list);
    free(look.bounds);
    free(look.legs);
    return status;
}

void topic_tail_deinit(struct topic_tail *tail)
{
    for (size_t i = 0; i < tail->count; i++) {
        free_event(&tail->events[i]);
    }
    free(tail->events);
    tail->events = NULL;
    tail->count = 0;
}
