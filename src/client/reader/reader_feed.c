#include "client/reader/reader_feed.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "client/admin/admin.h"
#include "client/reader/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    LOOK_MS = 1000,
    LEVEL_MS = 100, /* so often it is looked whether all is read, while something comes */
    BOUNDS_MS = 60000,
    PIECE_EVENTS = 512,
    PIECE_BYTES = 256 << 10,
    GONE_LOOKS =
        2, /* so often it is missing, since one answer may come of a broker that is behind */
    PREFETCH_EVENTS = 20000,
};

/* A partition that is read. */
struct followed {
    UT_hash_handle hh;
    char *key; /* "partition topic" */
    char *topic;
    int32_t partition;
    int64_t next;
    int64_t start; /* of the log, when it was asked last */
    int64_t end;   /* as far as is known */
    int64_t ended; /* all below was given, or is nothing to be given; -1: not known */
    int missing;   /* in so many answers */
    bool is_told;  /* where it ends: once at least, though nothing comes of it */
    bool is_gone;
};

struct reader_feed {
    struct feed feed;
    const struct connection_settings *settings;
    feed_begin *begin;
    void *context;
    struct reader *reader; /* NULL: not yet */
    struct followed *followed;
    int64_t looked_ms;           /* mono */
    int64_t looked_wall_ms;      /* the same; 0: that could not be done */
    int64_t bounds_ms;           /* mono */
    int64_t level_ms;            /* mono: when it was looked last whether all is read */
    struct client_error failure; /* the bus is away; CLIENT_OK: it is not */
    bool is_refused_told;        /* that something of it may not be read */

    struct received *held[PIECE_EVENTS]; /* those of the piece that was given */
    struct feed_event events[PIECE_EVENTS];
    size_t count;
    struct received *pending; /* of another partition than these */
    struct followed *gone;    /* told, and to be forgotten */

    pthread_mutex_t lock; /* the reader against a wake, and the next one */
    bool is_woken;
};

static enum err fail(const struct client_error *error, struct reason *reason)
{
    return reason_fail(reason, ERR_IO, "%s", error->text);
}

/* --- partitions --- */

static struct followed *find(struct reader_feed *feed, const char *topic, int32_t partition)
{
    struct followed *found;
    char *key = mem_sprintf("%d %s", (int)partition, topic);
    HASH_FIND_STR(feed->followed, key, found);
    free(key);
    return found;
}

static struct followed *add(struct reader_feed *feed, const char *topic, int32_t partition)
{
    struct followed *added = mem_new(struct followed);
    added->key = mem_sprintf("%d %s", (int)partition, topic);
    added->topic = mem_strdup(topic);
    added->partition = partition;
    added->ended = -1;
    HASH_ADD_KEYPTR(hh, feed->followed, added->key, strlen(added->key), added);
    return added;
}

static void drop(struct reader_feed *feed, struct followed *followed)
{
    HASH_DEL(feed->followed, followed);
    free(followed->key);
    free(followed->topic);
    free(followed);
}

static struct feed_source source_of(const struct followed *followed)
{
    return (struct feed_source){.topic = followed->topic, .partition = followed->partition};
}

/* --- what the reader tells; inside of reader_take --- */

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct reader_feed *feed = context;
    struct followed *at = find(feed, topic, partition);
    if (at != NULL) {
        at->ended = offset;
    }
}

/* Shorter than what was read of it: the topic was made again. Else retention was faster. */
static void on_gone(void *context, const struct reader_gap *gap)
{
    struct reader_feed *feed = context;
    struct followed *at = find(feed, gap->topic, gap->partition);
    if (at != NULL && gap->is_new_topic) {
        at->is_gone = true;
    }
}

/* Of one partition: the others are read on. A topic that is not there is going, which the next
 * answer tells. */
static void tell_refused(struct reader_feed *feed, const struct client_error *error)
{
    if (error->status != CLIENT_NOT_FOUND && !feed->is_refused_told) {
        feed->is_refused_told = true;
        LOG_WARN("client", "a part of the bus cannot be read by the feed: it is left out",
                 "reason=\"%s\"", error->text);
    }
}

static void on_notice(void *context, const struct client_error *what)
{
    struct reader_feed *feed = context;
    if (what->status == CLIENT_UNREACHABLE || what->status == CLIENT_FATAL) {
        feed->failure = *what;
    } else if (what->status != CLIENT_OK) {
        tell_refused(feed, what);
    } else {
        feed->failure.status = CLIENT_OK; /* it answers again */
    }
}

static enum err open_reader(struct reader_feed *feed, struct reason *reason)
{
    static const struct topic_partitions none = {0};
    struct client_error error = {.text = ""};
    struct reader_settings settings = {
        .connection = *feed->settings,
        .partitions = &none,
        .prefetch_events = PREFETCH_EVENTS,
        .prefetch_kbytes = READER_FEED_KBYTES,
        .callbacks = {.ended = on_ended, .gone = on_gone},
        .context = feed,
    };
    struct reader *reader;
    settings.connection.notice = on_notice;
    settings.connection.notice_context = feed;
    if (reader_open(&settings, &reader, &error) != CLIENT_OK) {
        return fail(&error, reason);
    }
    pthread_mutex_lock(&feed->lock);
    feed->reader = reader;
    pthread_mutex_unlock(&feed->lock);
    feed->looked_ms = INT64_MIN / 2; /* it reads nothing yet */
    feed->looked_wall_ms = 0;
    return ERR_NONE;
}

/* --- which partitions there are --- */

/* Asks the sinks about a partition that is new, and adds it to the list if it is wanted. */
static void meet(struct reader_feed *feed, const char *topic, int32_t partition,
                 struct topic_partitions *wanted)
{
    struct feed_source source = {.topic = topic, .partition = partition};
    struct followed *at = find(feed, topic, partition);
    if (at != NULL) {
        at->missing = 0;
        return;
    }
    int64_t from = feed->begin(feed->context, &source);
    at = add(feed, topic, partition);
    at->next = from == FEED_FROM_START ? 0 : from;
    if (from != FEED_NOT_WANTED) {
        topic_partitions_add(wanted, topic, partition, at->next);
    }
}

/* What lies before a partition's start is not there to be read; what lies behind its end was of a
 * log that was cut, or of a topic that was made again. */
static enum client_status place(struct reader_feed *feed, struct topic_partitions *wanted,
                                struct client_error *error)
{
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, wanted->count + 1);
    enum client_status status =
        admin_bounds(reader_connection(feed->reader), wanted, bounds, error);
    for (size_t i = 0; status == CLIENT_OK && i < wanted->count; i++) {
        struct topic_partition *item = &wanted->items[i];
        struct followed *at = find(feed, item->topic, item->partition);
        at->start = bounds[i].start;
        at->end = bounds[i].end;
        at->is_gone = at->next > at->end;
        at->next = at->next < at->start ? at->start : at->next;
        item->offset = at->next < at->end ? at->next : at->end;
    }
    free(bounds);
    return status;
}

static void note_missing(struct reader_feed *feed)
{
    for (struct followed *at = feed->followed; at != NULL; at = at->hh.next) {
        at->is_gone = at->is_gone || ++at->missing > GONE_LOOKS;
    }
}

static enum client_status ask_for_topics(struct reader_feed *feed, struct topic_partitions *wanted,
                                         struct client_error *error)
{
    struct admin_topics topics;
    enum client_status status = admin_topics(reader_connection(feed->reader), &topics, error);
    if (status == CLIENT_OK) {
        note_missing(feed);
    }
    for (size_t i = 0; status == CLIENT_OK && i < topics.count; i++) {
        const struct admin_topic *topic = &topics.items[i];
        for (size_t j = 0; j < topic->partitions.count; j++) {
            meet(feed, topic->name, topic->partitions.items[j].id, wanted);
        }
    }
    admin_topics_deinit(&topics);
    return status;
}

static enum err look(struct reader_feed *feed, struct reason *reason)
{
    struct topic_partitions wanted = {0};
    struct client_error error = {.text = ""};
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms - feed->looked_ms < LOOK_MS) {
        return ERR_NONE;
    }
    int64_t now_wall_ms = clock_wall_ms(clock_system());
    feed->looked_ms = now_ms;
    enum client_status status = ask_for_topics(feed, &wanted, &error);
    if (status == CLIENT_OK && wanted.count > 0) {
        status = place(feed, &wanted, &error);
    }
    if (status == CLIENT_OK && wanted.count > 0) {
        status = reader_add(feed->reader, &wanted, &error);
    }
    topic_partitions_deinit(&wanted);
    feed->looked_wall_ms = status == CLIENT_OK ? now_wall_ms : feed->looked_wall_ms;
    return status == CLIENT_OK ? ERR_NONE : fail(&error, reason);
}

/* Where logs start by now: a failure is no reason to stop reading. */
static void ask_for_starts(struct reader_feed *feed)
{
    struct topic_partitions all = {0};
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms - feed->bounds_ms < BOUNDS_MS) {
        return;
    }
    feed->bounds_ms = now_ms;
    for (struct followed *at = feed->followed; at != NULL; at = at->hh.next) {
        if (at->next != FEED_NOT_WANTED) {
            topic_partitions_add(&all, at->topic, at->partition, -1);
        }
    }
    struct admin_bounds *bounds = mem_new_array(struct admin_bounds, all.count + 1);
    bool is_told = all.count > 0 &&
                   admin_bounds(reader_connection(feed->reader), &all, bounds, NULL) == CLIENT_OK;
    for (size_t i = 0; is_told && i < all.count; i++) {
        find(feed, all.items[i].topic, all.items[i].partition)->start = bounds[i].start;
    }
    free(bounds);
    topic_partitions_deinit(&all);
}

/* --- pieces --- */

static void forget_piece(struct reader_feed *feed)
{
    for (size_t i = 0; i < feed->count; i++) {
        received_free(feed->held[i]);
    }
    feed->count = 0;
}

static bool is_same_partition(const struct event *one, const struct event *other)
{
    return one->partition == other->partition && strcmp(one->topic, other->topic) == 0;
}

static size_t bytes_of(const struct event *event)
{
    return event->key.size + event->value.size;
}

/* The next event that is there or comes within the time; NULL: none. */
static enum err take_one(struct reader_feed *feed, int timeout_ms, struct received **received,
                         struct reason *reason)
{
    struct client_error error = {.text = ""};
    *received = feed->pending;
    feed->pending = NULL;
    if (*received != NULL) {
        return ERR_NONE;
    }
    enum client_status status = reader_take(feed->reader, timeout_ms, received, &error);
    if (status != CLIENT_OK && status != CLIENT_FATAL) {
        tell_refused(feed, &error);
        return ERR_NONE;
    }
    if (status == CLIENT_OK && feed->failure.status != CLIENT_OK && *received == NULL) {
        return fail(&feed->failure, reason);
    }
    feed->failure.status = *received != NULL ? CLIENT_OK : feed->failure.status;
    return status == CLIENT_OK ? ERR_NONE : fail(&error, reason);
}

static void hold(struct reader_feed *feed, struct received *received)
{
    feed->events[feed->count] = (struct feed_event){.event = received->event, .producer_id = -1};
    feed->held[feed->count++] = received;
}

/* Goes on with what is there already of the same partition. *is_all: nothing else was there. */
static enum err fill(struct reader_feed *feed, struct received *first, bool *is_all,
                     struct reason *reason)
{
    enum err err = ERR_NONE;
    struct received *received = first;
    size_t bytes = 0;
    *is_all = false;
    while (received != NULL) {
        if (feed->count > 0 && !is_same_partition(&received->event, &feed->events[0].event)) {
            feed->pending = received;
            break;
        }
        bytes += bytes_of(&received->event);
        hold(feed, received);
        received = NULL;
        if (feed->count < PIECE_EVENTS && bytes < PIECE_BYTES) {
            err = take_one(feed, 0, &received, reason);
            *is_all = err == ERR_NONE && received == NULL;
        }
    }
    return err;
}

static void tell_events(struct reader_feed *feed, struct followed *at, struct feed_piece *piece)
{
    int64_t known = reader_known_end(feed->reader, at->topic, at->partition);
    if (feed->count > 0) {
        at->next = feed->events[feed->count - 1].event.offset + 1;
    }
    at->end = known > at->end ? known : at->end;
    at->end = at->next > at->end ? at->next : at->end;
    at->is_told = true;
    *piece = (struct feed_piece){
        .kind = FEED_EVENTS,
        .source = source_of(at),
        .events = feed->events,
        .count = feed->count,
        .next_offset = at->next,
        .start_offset = at->start,
        .end_offset = at->end,
        .damaged_from = -1,
    };
}

/* A partition that is gone or new, or whose end was met behind markers or what was compacted. */
static bool tell_signal(struct reader_feed *feed, struct feed_piece *piece)
{
    for (struct followed *at = feed->followed; at != NULL; at = at->hh.next) {
        if (at->is_gone) {
            *piece = (struct feed_piece){.kind = FEED_GONE, .source = source_of(at)};
            piece->damaged_from = -1;
            feed->gone = at;
            return true;
        }
        if (at->next >= 0 && at->next < at->ended) {
            at->next = at->ended;
            tell_events(feed, at, piece);
            return true;
        }
        if (at->next >= 0 && !at->is_told) {
            tell_events(feed, at, piece);
            return true;
        }
    }
    return false;
}

/* --- how far all is read --- */

static bool is_level(const struct reader_feed *feed)
{
    bool is = feed->reader != NULL && feed->pending == NULL;
    for (const struct followed *at = feed->followed; is && at != NULL; at = at->hh.next) {
        is = at->next == FEED_NOT_WANTED || at->next >= at->end;
    }
    return is;
}

/* All that was fetched is given: what is older than the longest wait of a fetch was among it, and
 * topics are known from looking. */
static void tell_level(struct reader_feed *feed, struct feed_piece *piece)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    if (piece->kind == FEED_EVENTS && now_ms - feed->level_ms < LEVEL_MS) {
        return;
    }
    feed->level_ms = now_ms;
    if (is_level(feed)) {
        int64_t told_ms = clock_wall_ms(clock_system()) - READER_FEED_LAG_MS;
        piece->level_ms = told_ms < feed->looked_wall_ms ? told_ms : feed->looked_wall_ms;
    }
}

/* A topic that is gone is read no more: without the reader, since that cannot drop partitions. What
 * is left is met anew, and the sinks say from where on. */
static void forget_gone(struct reader_feed *feed)
{
    struct followed *at, *next;
    if (feed->gone == NULL) {
        return;
    }
    drop(feed, feed->gone);
    feed->gone = NULL;
    HASH_ITER (hh, feed->followed, at, next) {
        if (at->is_gone) {
            return; /* told first */
        }
    }
    pthread_mutex_lock(&feed->lock);
    struct reader *reader = feed->reader;
    feed->reader = NULL;
    pthread_mutex_unlock(&feed->lock);
    received_free(feed->pending);
    feed->pending = NULL;
    (void)reader_close(reader, NULL);
    HASH_ITER (hh, feed->followed, at, next) {
        drop(feed, at);
    }
}

static bool take_wake(struct reader_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    bool was_woken = feed->is_woken;
    feed->is_woken = false;
    pthread_mutex_unlock(&feed->lock);
    return was_woken;
}

static enum err prepare(struct reader_feed *feed, struct reason *reason)
{
    enum err err = feed->reader == NULL ? open_reader(feed, reason) : ERR_NONE;
    if (err == ERR_NONE) {
        err = look(feed, reason);
    }
    if (err == ERR_NONE) {
        ask_for_starts(feed);
    }
    return err;
}

/* One event is waited for, as long as there is no other thing to do. */
static enum err next_some(struct reader_feed *feed, int64_t left_ms, struct feed_piece *piece,
                          struct reason *reason)
{
    struct received *received = NULL;
    int wait_ms = (int)(left_ms < LOOK_MS ? left_ms : LOOK_MS);
    enum err err = take_one(feed, wait_ms, &received, reason);
    struct followed *at =
        received != NULL ? find(feed, received->event.topic, received->event.partition) : NULL;
    if (err != ERR_NONE || received == NULL) {
        return err;
    }
    if (at == NULL || at->next == FEED_NOT_WANTED || at->is_gone) {
        received_free(received);
        return ERR_NONE;
    }
    bool is_all;
    err = fill(feed, received, &is_all, reason);
    tell_events(feed, at, piece);
    if (is_all) {
        tell_level(feed, piece);
    }
    return err;
}

static enum err next_piece(struct feed *base, int timeout_ms, struct feed_piece *piece,
                           struct reason *reason)
{
    struct reader_feed *feed = container_of(base, struct reader_feed, feed);
    int64_t until_ms = clock_mono_ms(clock_system()) + timeout_ms;
    enum err err = ERR_NONE;
    bool is_first = true;
    forget_piece(feed);
    forget_gone(feed);
    *piece = (struct feed_piece){.kind = FEED_NOTHING, .damaged_from = -1};
    while (err == ERR_NONE && piece->kind == FEED_NOTHING && !take_wake(feed)) {
        int64_t left_ms = until_ms - clock_mono_ms(clock_system());
        err = prepare(feed, reason);
        if (err != ERR_NONE || tell_signal(feed, piece)) {
            break;
        }
        if (left_ms <= 0 && !is_first) {
            tell_level(feed, piece);
            break;
        }
        is_first = false;
        err = next_some(feed, left_ms > 0 ? left_ms : 0, piece, reason);
    }
    return err;
}

static void wake(struct feed *base)
{
    struct reader_feed *feed = container_of(base, struct reader_feed, feed);
    pthread_mutex_lock(&feed->lock);
    feed->is_woken = true;
    if (feed->reader != NULL) {
        reader_wake(feed->reader);
    }
    pthread_mutex_unlock(&feed->lock);
}

static void free_feed(struct feed *base)
{
    struct reader_feed *feed = container_of(base, struct reader_feed, feed);
    struct followed *at, *next;
    forget_piece(feed);
    received_free(feed->pending);
    (void)reader_close(feed->reader, NULL);
    HASH_ITER (hh, feed->followed, at, next) {
        drop(feed, at);
    }
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

struct feed *reader_feed_new(const struct connection_settings *settings, feed_begin *begin,
                             void *context)
{
    struct reader_feed *feed = mem_new(struct reader_feed);
    feed->feed = (struct feed){
        .next = next_piece, .wake = wake, .free = free_feed, .lag_ms = READER_FEED_LAG_MS};
    feed->settings = settings;
    feed->begin = begin;
    feed->context = context;
    feed->bounds_ms = clock_mono_ms(clock_system());
    pthread_mutex_init(&feed->lock, NULL);
    return &feed->feed;
}
