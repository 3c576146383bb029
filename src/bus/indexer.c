#include "bus/indexer.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/priority.h"
#include "base/thread.h"
#include "bus/event_terms.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { FLUSH_MS = 60000, RETRY_MS = 5000, WAIT_MS = 1000, KEY_BYTES = 16 + 4 };

/* How far behind a partition is. */
struct lag {
    UT_hash_handle hh;
    uint8_t key[KEY_BYTES]; /* topic id, partition */
    int64_t behind;
};

struct indexer {
    struct indexer_settings settings;
    struct event_index *index;
    struct lag *lags;
    int64_t flushed_ms; /* mono */
    struct arena arena;
    pthread_t thread;

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t wake;
    struct feed *feed; /* changed by the thread alone */
    bool stops;
    bool is_damaged; /* somebody who asked has found it so */
    struct indexer_state state;
};

static bool is_own_topic(const char *topic)
{
    return strcmp(topic, "__consumer_offsets") == 0 || strcmp(topic, "__transaction_state") == 0;
}

static struct event_source index_source(const struct feed_source *source)
{
    struct event_source same = {.topic = source->topic, .partition = source->partition};
    memcpy(same.topic_id, source->topic_id, sizeof same.topic_id);
    return same;
}

static int64_t begin(void *context, const struct feed_source *source)
{
    struct indexer *indexer = context;
    const struct indexer_settings *settings = &indexer->settings;
    struct event_source at = index_source(source);
    bool is_wanted = settings->wants != NULL ? settings->wants(settings->context, source->topic)
                                             : !is_own_topic(source->topic);
    return is_wanted ? event_index_next(indexer->index, &at) : FEED_NOT_WANTED;
}

/* --- what is known of it --- */

/* Changes what is behind in all by what changed in this partition. */
static void note_lag(struct indexer *indexer, const struct feed_source *source, int64_t behind)
{
    struct lag *lag;
    uint8_t key[KEY_BYTES];
    memcpy(key, source->topic_id, 16);
    memcpy(key + 16, &source->partition, sizeof source->partition);
    HASH_FIND(hh, indexer->lags, key, sizeof key, lag);
    if (lag == NULL && behind == 0) {
        return;
    }
    if (lag == NULL) {
        lag = mem_new(struct lag);
        memcpy(lag->key, key, sizeof key);
        HASH_ADD(hh, indexer->lags, key, sizeof lag->key, lag);
    }
    indexer->state.behind += behind - lag->behind;
    lag->behind = behind;
    if (behind == 0) {
        HASH_DEL(indexer->lags, lag);
        free(lag);
    }
}

static void forget_lags(struct indexer *indexer)
{
    struct lag *lag, *next;
    HASH_ITER (hh, indexer->lags, lag, next) {
        HASH_DEL(indexer->lags, lag);
        free(lag);
    }
    indexer->state.behind = 0;
}

static void note_piece(struct indexer *indexer, const struct feed_piece *piece)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->state.events += (int64_t)piece->count;
    if (piece->kind != FEED_NOTHING) {
        bool is_gone = piece->kind == FEED_GONE;
        note_lag(indexer, &piece->source, is_gone ? 0 : piece->end_offset - piece->next_offset);
    }
    if (indexer->state.behind == 0) {
        indexer->state.level_ms = clock_wall_ms(clock_system());
    }
    indexer->state.is_failing = false;
    pthread_mutex_unlock(&indexer->lock);
}

struct indexer_state indexer_state(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    struct indexer_state state = indexer->state;
    pthread_mutex_unlock(&indexer->lock);
    state.size = event_index_size(indexer->index);
    return state;
}

/* What was found while the index was this one's has no say once it was begun anew. */
static void note_damage(struct indexer *indexer, int64_t begun_anew)
{
    pthread_mutex_lock(&indexer->lock);
    if (indexer->state.begun_anew == begun_anew) {
        indexer->is_damaged = true;
        if (indexer->feed != NULL) {
            feed_wake(indexer->feed);
        }
    }
    pthread_mutex_unlock(&indexer->lock);
}

enum err indexer_find(struct indexer *indexer, const struct event_term *term, size_t most,
                      struct event_places *places, struct reason *reason)
{
    struct reason why = {""};
    int64_t begun_anew = indexer_state(indexer).begun_anew;
    enum err err = event_index_find(indexer->index, term, most, places, &why);
    if (err == ERR_CORRUPT) {
        note_damage(indexer, begun_anew);
    }
    return err == ERR_NONE ? ERR_NONE : reason_fail(reason, err, "%s", why.text);
}

/* --- the thread --- */

static enum err add_events(struct indexer *indexer, const struct feed_piece *piece,
                           struct reason *reason)
{
    struct event_source source = index_source(&piece->source);
    struct event_terms terms;
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && i < piece->count; i++) {
        const struct event *event = &piece->events[i].event;
        event_terms_of(event, &indexer->arena, &terms);
        err = event_index_add(indexer->index, &source, event->offset, terms.items, terms.count,
                              reason);
        arena_reset(&indexer->arena);
    }
    return err;
}

static enum err take(struct indexer *indexer, const struct feed_piece *piece, struct reason *reason)
{
    struct event_source source = index_source(&piece->source);
    if (piece->kind == FEED_NOTHING) {
        return ERR_NONE;
    }
    if (piece->kind == FEED_GONE) {
        event_index_gone(indexer->index, &source, INT64_MAX);
        return ERR_NONE;
    }
    enum err err = add_events(indexer, piece, reason);
    if (err == ERR_NONE) {
        event_index_reached(indexer->index, &source, piece->next_offset);
        event_index_gone(indexer->index, &source, piece->start_offset);
    }
    return err;
}

static enum err flush_when_due(struct indexer *indexer, struct reason *reason)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms - indexer->flushed_ms < indexer->settings.flush_ms) {
        return ERR_NONE;
    }
    indexer->flushed_ms = now_ms;
    return event_index_size(indexer->index).memory_entries > 0
               ? event_index_flush(indexer->index, reason)
               : ERR_NONE;
}

/* ERR_CORRUPT once, when somebody has found the index so. */
static enum err take_damage(struct indexer *indexer, struct reason *reason)
{
    pthread_mutex_lock(&indexer->lock);
    bool is_damaged = indexer->is_damaged;
    indexer->is_damaged = false;
    pthread_mutex_unlock(&indexer->lock);
    return is_damaged ? reason_fail(reason, ERR_CORRUPT, "a question has found a file so")
                      : ERR_NONE;
}

static void set_feed(struct indexer *indexer, struct feed *feed)
{
    pthread_mutex_lock(&indexer->lock);
    struct feed *before = indexer->feed;
    indexer->feed = feed;
    pthread_mutex_unlock(&indexer->lock);
    feed_free(before);
}

static enum err work_once(struct indexer *indexer, struct reason *reason)
{
    struct feed_piece piece;
    if (indexer->feed == NULL) {
        set_feed(indexer, indexer->settings.open_feed(indexer->settings.context, begin, indexer));
    }
    enum err err = take_damage(indexer, reason);
    if (err == ERR_NONE) {
        err = feed_next(indexer->feed, WAIT_MS, &piece, reason);
    }
    if (err == ERR_NONE) {
        err = take(indexer, &piece, reason);
    }
    if (err == ERR_NONE) {
        note_piece(indexer, &piece);
        err = flush_when_due(indexer, reason);
    }
    return err;
}

static bool is_stopping(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    bool stops = indexer->stops;
    pthread_mutex_unlock(&indexer->lock);
    return stops;
}

/* The feed is opened anew where the index ends: what was given out and not taken comes again.
 * ERR_NONE: it may go on at once. */
static enum err recover(struct indexer *indexer, enum err err, const struct reason *reason)
{
    struct reason again = {""};
    bool was_failing = indexer_state(indexer).is_failing;
    set_feed(indexer, NULL);
    if (err == ERR_CORRUPT) {
        LOG_WARN("bus", "the index of events is damaged and is made anew", "reason=\"%s\"",
                 reason->text);
        err = event_index_clear(indexer->index, &again);
    } else if (!was_failing) {
        LOG_WARN("bus", "events cannot be indexed: tried again until they can", "reason=\"%s\"",
                 reason->text);
    }
    pthread_mutex_lock(&indexer->lock);
    indexer->state.begun_anew += err == ERR_NONE;
    indexer->is_damaged = indexer->is_damaged && err != ERR_NONE;
    indexer->state.is_failing = err != ERR_NONE;
    forget_lags(indexer);
    pthread_mutex_unlock(&indexer->lock);
    return err;
}

/* For retry_ms, or until a stop. */
static void wait_a_while(struct indexer *indexer)
{
    struct timespec until = cond_after_ms(indexer->settings.retry_ms);
    int result = 0;
    pthread_mutex_lock(&indexer->lock);
    while (!indexer->stops && result == 0) {
        result = pthread_cond_timedwait(&indexer->wake, &indexer->lock, &until);
    }
    pthread_mutex_unlock(&indexer->lock);
}

static void *run(void *context)
{
    struct indexer *indexer = context;
    struct reason reason = {""};
    priority_set_nice(PRIORITY_NICE_BEHIND);
    while (!is_stopping(indexer)) {
        enum err err = work_once(indexer, &reason);
        if (err != ERR_NONE && recover(indexer, err, &reason) != ERR_NONE) {
            wait_a_while(indexer);
        }
    }
    return NULL;
}

/* --- start and stop --- */

static void free_indexer(struct indexer *indexer)
{
    feed_free(indexer->feed);
    forget_lags(indexer);
    event_index_close(indexer->index);
    arena_deinit(&indexer->arena);
    pthread_cond_destroy(&indexer->wake);
    pthread_mutex_destroy(&indexer->lock);
    free(indexer);
}

static struct indexer *make_indexer(const struct indexer_settings *settings)
{
    struct indexer *indexer = mem_new(struct indexer);
    indexer->settings = *settings;
    indexer->settings.flush_ms = settings->flush_ms > 0 ? settings->flush_ms : FLUSH_MS;
    indexer->settings.retry_ms = settings->retry_ms > 0 ? settings->retry_ms : RETRY_MS;
    indexer->flushed_ms = clock_mono_ms(clock_system());
    pthread_mutex_init(&indexer->lock, NULL);
    cond_init(&indexer->wake);
    return indexer;
}

enum err indexer_start(const struct indexer_settings *settings, struct indexer **out,
                       struct reason *reason)
{
    struct indexer *indexer = make_indexer(settings);
    struct reason why = {""};
    bool begun_anew = false;
    enum err err = event_index_open(&settings->index, &indexer->index, &begun_anew, &why);
    if (err == ERR_NONE && begun_anew) {
        LOG_WARN("bus", "the index of events is damaged and is made anew", "reason=\"%s\"",
                 why.text);
        indexer->state.begun_anew = 1;
    }
    if (err == ERR_NONE) {
        err = thread_start(&indexer->thread, "indexer", 0, run, indexer, &why);
    }
    if (err != ERR_NONE) {
        free_indexer(indexer);
        return reason_fail(reason, err, "%s", why.text);
    }
    *out = indexer;
    return ERR_NONE;
}

void indexer_stop(struct indexer *indexer)
{
    struct reason reason;
    if (indexer == NULL) {
        return;
    }
    pthread_mutex_lock(&indexer->lock);
    indexer->stops = true;
    pthread_cond_signal(&indexer->wake);
    if (indexer->feed != NULL) {
        feed_wake(indexer->feed);
    }
    pthread_mutex_unlock(&indexer->lock);
    pthread_join(indexer->thread, NULL);
    (void)!event_index_flush(indexer->index, &reason); /* else it is read again */
    free_indexer(indexer);
}
