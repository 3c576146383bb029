#include "bus/watch/commit_follower.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "bus/watch/commit_record.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_MS = 10000, RETRY_MS = 5000, THIN_MS = 3600000, WAITING_STEPS_MOST = 20000 };

static const int64_t KEEP_MS = INT64_C(30) * 24 * 3600 * 1000;

struct commit_follower {
    struct commit_follower_settings settings;
    struct commit_history *history;
    struct watch *watch;
    bool is_dirty;      /* something was read since the last flush */
    int64_t flushed_ms; /* mono */
    int64_t thinned_ms; /* mono */
    int64_t failed_ms;  /* mono; 0: it did not fail */

    pthread_mutex_t lock; /* the rest */
    struct commit_follower_state state;
};

static int64_t begin(void *context, const struct feed_source *source)
{
    struct commit_follower *follower = context;
    if (strcmp(source->topic, "__consumer_offsets") != 0 ||
        !commit_history_state(follower->history).is_open) {
        return FEED_NOT_WANTED;
    }
    return commit_history_read(follower->history, source->partition);
}

/* --- failures --- */

static void set_failing(struct commit_follower *follower, bool is_failing)
{
    pthread_mutex_lock(&follower->lock);
    follower->state.is_failing = is_failing;
    pthread_mutex_unlock(&follower->lock);
    follower->failed_ms = is_failing ? clock_mono_ms(clock_system()) : 0;
}

/* What comes until it is tried again is passed over, and asked for again then. */
static void note_failure(struct commit_follower *follower, const struct reason *reason)
{
    bool was_failing = commit_follower_state(follower).is_failing;
    set_failing(follower, true);
    if (!was_failing) {
        LOG_WARN("bus", "commits of groups cannot be kept: tried again until they can",
                 "reason=\"%s\"", reason->text);
    }
}

static void note_result(struct commit_follower *follower, enum err err, const struct reason *reason)
{
    if (err != ERR_NONE) {
        note_failure(follower, reason);
    } else {
        set_failing(follower, false);
    }
}

/* --- on the watch's thread --- */

static void note(struct commit_follower *follower, const struct event *event)
{
    struct commit_record record;
    commit_record_read(event->key, event->value, &record);
    if (record.kind == COMMIT_RECORD_OTHER) {
        return;
    }
    bool is_gone = record.kind == COMMIT_RECORD_GONE;
    struct commit_key key = {record.group, record.topic, record.partition};
    commit_history_note(follower->history, &key, is_gone ? -1 : record.offset,
                        is_gone ? event->timestamp_ms : record.time_ms);
    pthread_mutex_lock(&follower->lock);
    follower->state.commits++;
    pthread_mutex_unlock(&follower->lock);
}

static void flush(struct commit_follower *follower)
{
    struct reason reason = {""};
    follower->flushed_ms = clock_mono_ms(clock_system());
    enum err err = commit_history_flush(follower->history, &reason);
    follower->is_dirty = follower->is_dirty && err != ERR_NONE;
    note_result(follower, err, &reason);
}

static void take(void *context, const struct feed_piece *piece)
{
    struct commit_follower *follower = context;
    if (follower->failed_ms != 0) {
        return;
    }
    if (piece->kind == FEED_GONE) { /* made again, on a bus that lets it be deleted */
        commit_history_set_read(follower->history, piece->source.partition, 0);
        return;
    }
    for (size_t i = 0; i < piece->count; i++) {
        note(follower, &piece->events[i].event);
    }
    commit_history_set_read(follower->history, piece->source.partition, piece->next_offset);
    follower->is_dirty = true;
    if (commit_history_state(follower->history).waiting_steps >= WAITING_STEPS_MOST) {
        flush(follower);
    }
}

static void note_begun_anew(struct commit_follower *follower, const char *why)
{
    LOG_WARN("bus", "the history of commits is damaged and is made anew", "reason=\"%s\"", why);
    pthread_mutex_lock(&follower->lock);
    follower->state.begun_anew++;
    pthread_mutex_unlock(&follower->lock);
}

static void begin_anew(struct commit_follower *follower, const char *why)
{
    struct reason reason = {""};
    note_begun_anew(follower, why);
    note_result(follower, commit_history_begin_anew(follower->history, &reason), &reason);
    watch_again(follower->watch, follower);
}

static void open_history(struct commit_follower *follower)
{
    struct reason reason = {""};
    const struct commit_follower_settings *settings = &follower->settings;
    enum err err =
        settings->prepare != NULL ? settings->prepare(settings->context, &reason) : ERR_NONE;
    if (err == ERR_NONE) {
        err = commit_history_begin(follower->history, &reason);
    }
    if (err == ERR_CORRUPT) {
        begin_anew(follower, reason.text);
        return;
    }
    note_result(follower, err, &reason);
    if (err == ERR_NONE) {
        watch_again(follower->watch, follower);
    }
}

static void try_again(struct commit_follower *follower)
{
    flush(follower);
    if (follower->failed_ms == 0) {
        watch_again(follower->watch, follower);
    }
}

static void keep(struct commit_follower *follower, int64_t wall_ms)
{
    struct reason reason = {""};
    int64_t now_ms = clock_mono_ms(clock_system());
    if (follower->is_dirty && now_ms - follower->flushed_ms >= follower->settings.flush_ms) {
        flush(follower);
    }
    if (now_ms - follower->thinned_ms >= THIN_MS && follower->failed_ms == 0) {
        follower->thinned_ms = now_ms;
        note_result(
            follower,
            commit_history_thin(follower->history, wall_ms, follower->settings.keep_ms, &reason),
            &reason);
    }
}

static void tick(void *context, int64_t now_ms)
{
    struct commit_follower *follower = context;
    int64_t since_ms = clock_mono_ms(clock_system()) - follower->failed_ms;
    struct commit_history_state state = commit_history_state(follower->history);
    if (follower->failed_ms != 0 && since_ms < follower->settings.retry_ms) {
        return;
    }
    if (!state.is_open) {
        open_history(follower);
    } else if (state.is_damaged) {
        begin_anew(follower, "what was read of it is not what was written");
    } else if (follower->failed_ms != 0) {
        try_again(follower);
    } else {
        keep(follower, now_ms);
    }
}

/* --- life --- */

struct commit_follower_state commit_follower_state(struct commit_follower *follower)
{
    struct watch_progress progress = watch_progress(follower->watch, follower);
    pthread_mutex_lock(&follower->lock);
    struct commit_follower_state state = follower->state;
    pthread_mutex_unlock(&follower->lock);
    state.behind = progress.behind;
    state.level_ms = state.is_failing ? 0 : progress.level_ms;
    return state;
}

struct commit_follower *commit_follower_new(const struct commit_follower_settings *settings,
                                            struct commit_history *history, struct watch *watch)
{
    struct commit_follower *follower = mem_new(struct commit_follower);
    follower->settings = *settings;
    follower->settings.keep_ms = settings->keep_ms > 0 ? settings->keep_ms : KEEP_MS;
    follower->settings.flush_ms = settings->flush_ms > 0 ? settings->flush_ms : FLUSH_MS;
    follower->settings.retry_ms = settings->retry_ms > 0 ? settings->retry_ms : RETRY_MS;
    follower->history = history;
    follower->watch = watch;
    follower->flushed_ms = follower->thinned_ms = clock_mono_ms(clock_system());
    pthread_mutex_init(&follower->lock, NULL);
    watch_add(watch, &(struct watch_sink){
                         .context = follower, .begin = begin, .take = take, .tick = tick});
    return follower;
}

void commit_follower_free(struct commit_follower *follower)
{
    struct reason reason;
    if (follower == NULL) {
        return;
    }
    (void)!commit_history_flush(follower->history, &reason); /* else it is read again */
    pthread_mutex_destroy(&follower->lock);
    free(follower);
}
