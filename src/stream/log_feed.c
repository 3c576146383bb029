#include "stream/log_feed.h"

#include "stream/log_piece.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "topic/topic.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

/* So often it is looked whether topics came or went: what is new is not watched yet. */
enum { LOOK_MS = 200 };

/* A partition that is wanted. */
struct fed {
    UT_hash_handle hh;
    struct partition *partition; /* a reference; the key */
    int64_t next;

    bool is_queued; /* under the lock, as the list */
    struct fed *next_queued, *prev_queued;
};

struct log_feed {
    struct feed feed;
    struct catalogue *catalogue;
    feed_begin *begin;
    void *context;
    uint64_t seen_version;
    int64_t looked_ms; /* mono */
    struct log_piece piece;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_woken;
    struct fed *fed;   /* by partition; the thread of feed_next alone changes it */
    struct fed *queue; /* that may have something */
    size_t queued;

    /* A round serves what was in the queue when it began; the thread's. */
    size_t round_left;
    int64_t round_ms; /* wall clock: when it began; 0: it leaves something unread */
};

static struct feed_source source_of(const struct partition *partition)
{
    struct feed_source source = {.topic = partition->topic->name, .partition = partition->index};
    memcpy(source.topic_id, partition->topic->id.bytes, sizeof source.topic_id);
    return source;
}

/* --- the queue --- */

/* Under the lock, as take_out. */
static void put_in(struct log_feed *feed, struct fed *fed)
{
    if (!fed->is_queued) {
        fed->is_queued = true;
        feed->queued++;
        DL_APPEND2(feed->queue, fed, prev_queued, next_queued);
        pthread_cond_signal(&feed->wake);
    }
}

static void take_out(struct log_feed *feed, struct fed *fed)
{
    if (fed->is_queued) {
        fed->is_queued = false;
        feed->queued--;
        DL_DELETE2(feed->queue, fed, prev_queued, next_queued);
    }
}

static void enqueue(struct log_feed *feed, struct fed *fed)
{
    pthread_mutex_lock(&feed->lock);
    put_in(feed, fed);
    pthread_mutex_unlock(&feed->lock);
}

static struct fed *dequeue(struct log_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    struct fed *fed = feed->queue;
    if (fed != NULL) {
        take_out(feed, fed);
    }
    pthread_mutex_unlock(&feed->lock);
    return fed;
}

void log_feed_on_advanced(struct feed *base, struct partition *partition)
{
    struct log_feed *feed = container_of(base, struct log_feed, feed);
    struct fed *fed;
    pthread_mutex_lock(&feed->lock);
    HASH_FIND_PTR(feed->fed, &partition, fed);
    if (fed != NULL) {
        put_in(feed, fed);
    }
    pthread_mutex_unlock(&feed->lock);
}

/* Waits until something is in the queue, it is woken, or the time is over. */
static void wait_for_some(struct log_feed *feed, int64_t ms)
{
    struct timespec until = cond_after_ms(ms);
    pthread_mutex_lock(&feed->lock);
    int result = 0;
    while (feed->queue == NULL && !feed->is_woken && result == 0) {
        result = pthread_cond_timedwait(&feed->wake, &feed->lock, &until);
    }
    pthread_mutex_unlock(&feed->lock);
}

static bool take_wake(struct log_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    bool was_woken = feed->is_woken;
    feed->is_woken = false;
    pthread_mutex_unlock(&feed->lock);
    return was_woken;
}

/* --- which partitions there are --- */

static void add(struct log_feed *feed, struct partition *partition, int64_t from)
{
    struct fed *fed = mem_new(struct fed);
    fed->partition = partition;
    fed->next = from == FEED_FROM_START ? 0 : from;
    partition_ref(partition);
    pthread_mutex_lock(&feed->lock);
    HASH_ADD_PTR(feed->fed, partition, fed);
    pthread_mutex_unlock(&feed->lock);
    enqueue(feed, fed);
}

/* Under no lock; it is in no queue. */
static void drop(struct log_feed *feed, struct fed *fed)
{
    pthread_mutex_lock(&feed->lock);
    take_out(feed, fed);
    HASH_DEL(feed->fed, fed);
    pthread_mutex_unlock(&feed->lock);
    partition_unref(fed->partition);
    free(fed);
}

static void meet(struct log_feed *feed, struct topic *topic)
{
    int32_t count = topic_partition_count(topic);
    for (int32_t i = 0; i < count; i++) {
        struct partition *partition = topic_partition(topic, i);
        struct fed *fed;
        HASH_FIND_PTR(feed->fed, &partition, fed);
        if (fed != NULL || partition_gone(partition)) {
            continue;
        }
        priority_give_way(); /* a topic may have very many */
        struct feed_source source = source_of(partition);
        int64_t from = feed->begin(feed->context, &source);
        if (from != FEED_NOT_WANTED) {
            add(feed, partition, from);
        }
    }
}

/* Looks again when topics came or went, or were given partitions. False: the last look was so
 * short a time ago that the next one waits, unless it is to be now. */
static bool look(struct log_feed *feed, bool is_now)
{
    uint64_t version = catalogue_version(feed->catalogue);
    int64_t now_ms = clock_mono_ms(clock_system());
    if (version == feed->seen_version) {
        return true;
    }
    if (!is_now && now_ms - feed->looked_ms < LOOK_MS) {
        return false;
    }
    struct topic_list *topics = catalogue_list(feed->catalogue);
    feed->seen_version = version;
    feed->looked_ms = now_ms;
    for (size_t i = 0; i < topics->count; i++) {
        meet(feed, topics->items[i]);
    }
    topic_list_unref(topics);
    return true;
}

/* --- how far all is read --- */

/* Whoever published before had put his partition into the queue, or made a topic, by then. */
static void begin_round(struct log_feed *feed, bool is_now)
{
    int64_t now_ms = clock_wall_ms(clock_system());
    bool is_all_met = look(feed, is_now);
    pthread_mutex_lock(&feed->lock);
    feed->round_left = feed->queued;
    pthread_mutex_unlock(&feed->lock);
    feed->round_ms = is_all_met ? now_ms : 0;
}

/* --- pieces --- */

static void tell_gone(struct log_feed *feed, struct fed *fed, struct feed_piece *piece)
{
    struct feed_source source = source_of(fed->partition);
    char *name = arena_cstr(&feed->piece.arena, slice_str(source.topic)); /* outlives the topic */
    source.topic = name;
    *piece = (struct feed_piece){.kind = FEED_GONE, .source = source, .damaged_from = -1};
    drop(feed, fed);
}

/* Reads on in a partition that is watched. False: there was nothing. */
static bool read_some(struct log_feed *feed, struct fed *fed, struct feed_piece *piece)
{
    struct reason reason;
    struct log_piece *read = &feed->piece;
    int64_t before = fed->next;
    if (partition_gone(fed->partition)) {
        tell_gone(feed, fed, piece);
        return true;
    }
    enum err err = log_piece_read(read, fed->partition, fed->next, &reason);
    if (err != ERR_NONE) {
        LOG_WARN("stream", "events cannot be read by the feed: they are tried again when more come",
                 "topic=%s partition=%d offset=%lld reason=\"%s\"", fed->partition->topic->name,
                 (int)fed->partition->index, (long long)fed->next, reason.text);
        return false;
    }
    fed->next = read->next_offset;
    *piece = (struct feed_piece){
        .kind = FEED_EVENTS,
        .source = source_of(fed->partition),
        .events = read->events.items,
        .count = read->events.count,
        .next_offset = read->next_offset,
        .start_offset = read->start_offset,
        .end_offset = read->end_offset,
        .damaged_from = read->damaged_from,
    };
    if (fed->next < read->end_offset) {
        enqueue(feed, fed);
    }
    return fed->next != before;
}

/* Serves the round until something comes of it. False: all of it has been, and nothing came. */
static bool serve_round(struct log_feed *feed, struct feed_piece *piece)
{
    static const struct feed_piece nothing = {.kind = FEED_NOTHING, .damaged_from = -1};
    bool is_read = false;
    while (!is_read && feed->round_left > 0) {
        struct fed *fed = dequeue(feed);
        feed->round_left = fed != NULL ? feed->round_left - 1 : 0;
        if (fed != NULL) {
            priority_give_way();
            partition_watch(fed->partition, LOG_FEED_WATCHER); /* before it is looked at */
            is_read = read_some(feed, fed, piece);
            bool has_more = piece->next_offset < piece->end_offset; /* and waits for it in line */
            feed->round_ms = has_more ? 0 : feed->round_ms;
        }
        *piece = is_read ? *piece : nothing;
    }
    piece->level_ms = feed->round_left == 0 ? feed->round_ms : 0;
    return is_read;
}

static enum err next_piece(struct feed *base, int timeout_ms, struct feed_piece *piece,
                           struct reason *reason)
{
    struct log_feed *feed = container_of(base, struct log_feed, feed);
    int64_t until_ms = clock_mono_ms(clock_system()) + timeout_ms;
    (void)reason;
    log_piece_clear(&feed->piece);
    *piece = (struct feed_piece){.kind = FEED_NOTHING, .damaged_from = -1};
    while (true) {
        int64_t left_ms = until_ms - clock_mono_ms(clock_system());
        bool is_last = take_wake(feed) || left_ms <= 0;
        if (feed->round_left == 0) {
            begin_round(feed, is_last);
        }
        if (serve_round(feed, piece) || is_last) {
            break;
        }
        wait_for_some(feed, left_ms < LOOK_MS ? left_ms : LOOK_MS);
    }
    return ERR_NONE;
}

static void wake(struct feed *base)
{
    struct log_feed *feed = container_of(base, struct log_feed, feed);
    pthread_mutex_lock(&feed->lock);
    feed->is_woken = true;
    pthread_cond_signal(&feed->wake);
    pthread_mutex_unlock(&feed->lock);
}

static void free_feed(struct feed *base)
{
    struct log_feed *feed = container_of(base, struct log_feed, feed);
    struct fed *fed, *next;
    HASH_ITER (hh, feed->fed, fed, next) {
        drop(feed, fed);
    }
    log_piece_deinit(&feed->piece);
    pthread_cond_destroy(&feed->wake);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

struct feed *log_feed_new(struct catalogue *catalogue, feed_begin *begin, void *context)
{
    struct log_feed *feed = mem_new(struct log_feed);
    feed->feed = (struct feed){.next = next_piece, .wake = wake, .free = free_feed};
    feed->catalogue = catalogue;
    feed->begin = begin;
    feed->context = context;
    feed->looked_ms = INT64_MIN / 2;
    pthread_mutex_init(&feed->lock, NULL);
    cond_init(&feed->wake);
    return &feed->feed;
}
