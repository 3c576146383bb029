#include "bus/watch/indexer.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "bus/index/event_terms.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_MS = 60000, RETRY_MS = 5000, MERGED_IN_A_TICK = 500000 /* some 50 ms */ };

struct indexer {
    struct indexer_settings settings;
    char *dir;
    struct watch *watch;
    int64_t flushed_ms; /* mono */
    int64_t failed_ms;  /* mono; 0: it did not fail */
    bool has_gone;      /* a topic went, and what is on disk does not know it */
    struct arena arena;

    pthread_mutex_t lock;      /* the rest */
    struct event_index *index; /* NULL: not open yet; set once, by the watch's thread */
    bool is_damaged;           /* somebody who asked has found it so */
    struct indexer_state state;
};

bool indexer_is_own_topic(const char *topic)
{
    return strcmp(topic, "__consumer_offsets") == 0 || strcmp(topic, "__transaction_state") == 0;
}

bool indexer_wants(const struct indexer *indexer, const char *topic)
{
    const struct indexer_settings *settings = &indexer->settings;
    return settings->wants != NULL ? settings->wants(settings->context, topic)
                                   : !indexer_is_own_topic(topic);
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
    struct event_source at = index_source(source);
    return indexer_wants(indexer, source->topic) && indexer->index != NULL
               ? event_index_next(indexer->index, &at)
               : FEED_NOT_WANTED;
}

static struct event_mark last(void *context, const struct feed_source *source)
{
    struct indexer *indexer = context;
    struct event_source at = index_source(source);
    return indexer->index != NULL ? event_index_last(indexer->index, &at) : event_mark_none();
}

/* --- what is known of it --- */

struct indexer_state indexer_state(struct indexer *indexer)
{
    struct watch_progress progress = watch_progress(indexer->watch, indexer);
    pthread_mutex_lock(&indexer->lock);
    if (indexer->index != NULL && !indexer->state.is_failing) {
        indexer->state.behind = progress.behind;
        indexer->state.level_ms =
            progress.level_ms != 0 ? progress.level_ms : indexer->state.level_ms;
    }
    struct indexer_state state = indexer->state;
    struct event_index *index = indexer->index;
    pthread_mutex_unlock(&indexer->lock);
    state.is_open = index != NULL;
    state.size = index != NULL ? event_index_size(index) : (struct event_index_size){0};
    return state;
}

bool indexer_catch_up(struct indexer *indexer, int64_t timeout_ms)
{
    return watch_catch_up(indexer->watch, timeout_ms);
}

/* What was found while the index was this one's has no say once it was begun anew. */
static void note_damage(struct indexer *indexer, int64_t begun_anew)
{
    pthread_mutex_lock(&indexer->lock);
    bool is_new = indexer->state.begun_anew == begun_anew;
    indexer->is_damaged = indexer->is_damaged || is_new;
    pthread_mutex_unlock(&indexer->lock);
    if (is_new) {
        watch_wake(indexer->watch);
    }
}

enum err indexer_find(struct indexer *indexer, const struct event_term *terms, size_t count,
                      size_t most, event_index_each *each, void *context, struct reason *reason)
{
    struct reason why = {""};
    pthread_mutex_lock(&indexer->lock);
    int64_t begun_anew = indexer->state.begun_anew;
    struct event_index *index = indexer->index;
    pthread_mutex_unlock(&indexer->lock);
    if (index == NULL) {
        return reason_fail(reason, ERR_AGAIN, "the index of events is not open yet: ask again");
    }
    enum err err = event_index_find_all(index, terms, count, most, each, context, &why);
    if (err == ERR_CORRUPT) {
        note_damage(indexer, begun_anew);
    }
    return err == ERR_NONE ? ERR_NONE : reason_fail(reason, err, "%s", why.text);
}

/* --- on the watch's thread --- */

static void set_failing(struct indexer *indexer, bool is_failing)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->state.is_failing = is_failing;
    pthread_mutex_unlock(&indexer->lock);
    indexer->failed_ms = is_failing ? clock_mono_ms(clock_system()) : 0;
}

/* What comes until it is tried again is passed over, and asked for again then. */
static void note_failure(struct indexer *indexer, const struct reason *reason)
{
    (void)indexer_state(indexer); /* how far it came stays known */
    pthread_mutex_lock(&indexer->lock);
    bool was_failing = indexer->state.is_failing;
    pthread_mutex_unlock(&indexer->lock);
    set_failing(indexer, true);
    if (!was_failing) {
        LOG_WARN("bus", "events cannot be indexed: tried again until they can", "reason=\"%s\"",
                 reason->text);
    }
}

static void note_begun_anew(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->state.begun_anew++;
    indexer->state.level_ms = 0;
    indexer->is_damaged = false;
    pthread_mutex_unlock(&indexer->lock);
}

static void begin_anew(struct indexer *indexer, const struct reason *reason)
{
    struct reason again = {""};
    LOG_WARN("bus", "the index of events is damaged and is made anew", "reason=\"%s\"",
             reason->text);
    enum err err = event_index_clear(indexer->index, &again);
    if (err == ERR_NONE) {
        note_begun_anew(indexer);
        watch_again(indexer->watch, indexer);
    } else {
        note_failure(indexer, &again);
    }
}

static void note_error(struct indexer *indexer, enum err err, const struct reason *reason)
{
    if (err == ERR_CORRUPT) {
        begin_anew(indexer, reason);
    } else if (err != ERR_NONE) {
        note_failure(indexer, reason);
    }
}

/*
 * That a topic went is kept before anything more is added: of one that has no id nobody could tell
 * after a crash that what stands at its name is another one, which would be read on from where the
 * old one was. Of many that go at once with one write.
 */
static enum err keep_gone(struct indexer *indexer, struct reason *reason)
{
    enum err err = indexer->has_gone ? event_index_flush(indexer->index, reason) : ERR_NONE;
    indexer->has_gone = indexer->has_gone && err != ERR_NONE;
    return err;
}

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

static void keep_last(struct indexer *indexer, const struct feed_piece *piece)
{
    struct event_source source = index_source(&piece->source);
    if (piece->count > 0 && !feed_has_id(&piece->source)) {
        struct event_mark mark = event_mark_of(&piece->events[piece->count - 1].event);
        event_index_set_last(indexer->index, &source, &mark);
    }
}

static void take(void *context, const struct feed_piece *piece)
{
    struct indexer *indexer = context;
    struct event_source source = index_source(&piece->source);
    struct reason reason = {""};
    if (piece->kind == FEED_GONE) {
        event_index_gone(indexer->index, &source, INT64_MAX);
        indexer->has_gone = true;
        return;
    }
    if (indexer->failed_ms != 0) {
        return;
    }
    enum err err = keep_gone(indexer, &reason);
    err = err == ERR_NONE ? add_events(indexer, piece, &reason) : err;
    if (err == ERR_NONE) {
        keep_last(indexer, piece);
        event_index_reached(indexer->index, &source, piece->next_offset);
        event_index_gone(indexer->index, &source, piece->start_offset);
        pthread_mutex_lock(&indexer->lock);
        indexer->state.events += (int64_t)piece->count;
        indexer->state.is_failing = false;
        pthread_mutex_unlock(&indexer->lock);
    }
    note_error(indexer, err, &reason);
}

static void open_index(struct indexer *indexer)
{
    struct event_index *index;
    struct reason reason = {""};
    bool begun_anew = false;
    const struct indexer_settings *settings = &indexer->settings;
    enum err err =
        settings->prepare != NULL ? settings->prepare(settings->context, &reason) : ERR_NONE;
    if (err == ERR_NONE) {
        err = event_index_open(&settings->index, &index, &begun_anew, &reason);
    }
    if (err != ERR_NONE) {
        note_failure(indexer, &reason);
        return;
    }
    if (begun_anew) {
        LOG_WARN("bus", "the index of events is damaged and is made anew", "reason=\"%s\"",
                 reason.text);
        note_begun_anew(indexer);
    }
    pthread_mutex_lock(&indexer->lock);
    indexer->index = index;
    pthread_mutex_unlock(&indexer->lock);
    set_failing(indexer, false);
    watch_again(indexer->watch, indexer);
}

static void flush_when_due(struct indexer *indexer)
{
    struct reason reason = {""};
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms - indexer->flushed_ms < indexer->settings.flush_ms) {
        return;
    }
    indexer->flushed_ms = now_ms;
    if (event_index_size(indexer->index).memory_entries > 0) {
        note_error(indexer, event_index_flush(indexer->index, &reason), &reason);
    }
}

/* What is added merges as it comes; what was left when no more comes is merged here. */
static void merge_at_leisure(struct indexer *indexer)
{
    struct reason reason = {""};
    if (watch_progress(indexer->watch, indexer).behind == 0) {
        note_error(indexer, event_index_merge(indexer->index, MERGED_IN_A_TICK, &reason), &reason);
    }
}

/* True once, when somebody has found the index so. */
static bool take_damage(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    bool is_damaged = indexer->is_damaged;
    indexer->is_damaged = false;
    pthread_mutex_unlock(&indexer->lock);
    return is_damaged;
}

/* It counts as failing until something goes well, so that it is told once. */
static void try_again(struct indexer *indexer)
{
    struct reason reason = {""};
    enum err err = event_index_flush(indexer->index, &reason);
    if (err == ERR_NONE) {
        indexer->failed_ms = 0;
        watch_again(indexer->watch, indexer);
    } else {
        note_error(indexer, err, &reason);
    }
}

static void tick(void *context, int64_t now_ms)
{
    struct indexer *indexer = context;
    int64_t since_ms = clock_mono_ms(clock_system()) - indexer->failed_ms;
    (void)now_ms;
    if (indexer->failed_ms != 0 && since_ms < indexer->settings.retry_ms) {
        return;
    }
    if (indexer->index == NULL) {
        open_index(indexer);
    } else if (take_damage(indexer)) {
        begin_anew(indexer, &(struct reason){"a question has found a file so"});
    } else if (indexer->failed_ms != 0) {
        try_again(indexer);
    } else {
        struct reason reason = {""};
        set_failing(indexer, false);
        note_error(indexer, keep_gone(indexer, &reason), &reason);
        flush_when_due(indexer);
        merge_at_leisure(indexer);
    }
}

/* --- life --- */

struct indexer *indexer_new(const struct indexer_settings *settings, struct watch *watch)
{
    struct indexer *indexer = mem_new(struct indexer);
    indexer->settings = *settings;
    indexer->dir = mem_strdup(settings->index.dir);
    indexer->settings.index.dir = indexer->dir;
    indexer->settings.flush_ms = settings->flush_ms > 0 ? settings->flush_ms : FLUSH_MS;
    indexer->settings.retry_ms = settings->retry_ms > 0 ? settings->retry_ms : RETRY_MS;
    indexer->flushed_ms = clock_mono_ms(clock_system());
    indexer->watch = watch;
    pthread_mutex_init(&indexer->lock, NULL);
    watch_add(watch,
              &(struct watch_sink){
                  .context = indexer, .begin = begin, .last = last, .take = take, .tick = tick});
    return indexer;
}

void indexer_free(struct indexer *indexer)
{
    struct reason reason;
    if (indexer == NULL) {
        return;
    }
    if (indexer->index != NULL) {
        (void)!event_index_flush(indexer->index, &reason); /* else it is read again */
    }
    event_index_close(indexer->index);
    arena_deinit(&indexer->arena);
    pthread_mutex_destroy(&indexer->lock);
    free(indexer->dir);
    free(indexer);
}
