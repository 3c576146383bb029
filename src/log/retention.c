#include "log/log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "log/log_internal.h"
#include "log/space.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * A deleted segment is unlinked at once: whoever still reads it holds its open descriptor, so
 * file.delete.delay.ms has nothing to protect and is accepted without effect.
 */

/* Takes the segments that lie wholly below start off the list; the active one stays. Returns them
 * (free the array, unref each). */
static struct segment **take_old(struct log *log, int64_t start, size_t *count)
{
    pthread_mutex_lock(&log->segments_lock);
    size_t old = 0;
    while (old + 1 < log->segments.count && log_segment_end(log, old) <= start) {
        old++;
    }
    struct segment **taken = NULL;
    if (old > 0) {
        taken = mem_dup(log->segments.items, old * sizeof *taken);
        memmove(log->segments.items, log->segments.items + old,
                (log->segments.count - old) * sizeof *log->segments.items);
        log->segments.count -= old;
        for (size_t i = 0; i < old; i++) {
            atomic_store(&taken[i]->replaced, true); /* before the file goes */
            atomic_fetch_sub(&log->size_bytes, taken[i]->size_bytes);
        }
    }
    pthread_mutex_unlock(&log->segments_lock);
    *count = old;
    return taken;
}

static enum err delete_old(struct log *log, int64_t start, struct reason *reason)
{
    size_t count;
    enum err err = ERR_NONE;
    log_names_hold(log);
    pthread_mutex_lock(&log->upkeep_lock);
    pthread_mutex_lock(&log->append_lock); /* an appender looks for the active one */
    struct segment **old = take_old(log, start, &count);
    pthread_mutex_unlock(&log->append_lock);
    /* From the oldest: a crash in between leaves no hole. */
    for (size_t i = 0; i < count; i++) {
        if (err == ERR_NONE) {
            err = log_check_not_deleted(log, reason);
        }
        if (err == ERR_NONE) {
            err = segment_unlink(log->env.files, log->dir, old[i]->base_offset, reason);
        }
        segment_unref(old[i]);
    }
    free(old);
    pthread_mutex_unlock(&log->upkeep_lock);
    log_names_release(log);
    if (count > 0 && err == ERR_NONE) {
        LOG_INFO("log", "deleted old segments", "dir=\"%s\" segments=%zu start_offset=%lld",
                 log->dir, count, (long long)start);
    }
    return err;
}

enum err log_set_start_offset(struct log *log, int64_t new_start, struct reason *reason)
{
    if (new_start > atomic_load(&log->end_offset)) {
        return reason_fail(reason, ERR_OUT_OF_RANGE, "offset %lld is behind the end %lld",
                           (long long)new_start, (long long)atomic_load(&log->end_offset));
    }
    assert(log_is_loaded(log));
    int64_t start = atomic_load(&log->start_offset);
    while (start < new_start &&
           !atomic_compare_exchange_weak(&log->start_offset, &start, new_start)) {
    }
    return delete_old(log, atomic_load(&log->start_offset), reason);
}

/* A segment as retention sees it. */
struct candidate {
    struct segment *segment;
    int64_t size;
    int64_t end;
    bool active;
};

static bool take_candidate(struct log *log, size_t i, struct candidate *candidate)
{
    bool there = false;
    pthread_mutex_lock(&log->segments_lock);
    if (i < log->segments.count) {
        candidate->segment = log->segments.items[i];
        candidate->size = log->segments.items[i]->size_bytes;
        candidate->end = log_segment_end(log, i);
        candidate->active = i + 1 == log->segments.count;
        segment_ref(candidate->segment);
        there = true;
    }
    pthread_mutex_unlock(&log->segments_lock);
    return there;
}

/* Whether all its events are older than retention.ms. */
static bool is_expired(struct log *log, const struct candidate *candidate, int64_t retention_ms)
{
    struct reason why;
    if (retention_ms < 0) {
        return false;
    }
    enum err err = log_load_times(log, candidate->segment, &why);
    if (err != ERR_NONE) {
        if (err != ERR_CLOSED) { /* deleted meanwhile */
            LOG_WARN("log", "the age of a segment could not be read", "dir=\"%s\" reason=\"%s\"",
                     log->dir, why.text);
        }
        return false;
    }
    pthread_mutex_lock(&log->segments_lock);
    int64_t newest = candidate->segment->max_timestamp;
    if (newest < 0) {
        newest = candidate->segment->first_written_ms; /* events without time */
    }
    pthread_mutex_unlock(&log->segments_lock);
    return newest < clock_wall_ms(log->env.clock) - retention_ms; /* an index may say anything */
}

static void roll_for_retention(struct log *log)
{
    struct reason why;
    pthread_mutex_lock(&log->append_lock);
    bool ended = log->closed || atomic_load(&log->failed) || atomic_load(&log->deleted);
    enum err err = ended ? ERR_NONE : log_roll(log, &why);
    if (err == ERR_NO_SPACE && space_give_up_spare(log->env.space)) { /* so that the old can go */
        err = log_roll(log, &why);
    }
    pthread_mutex_unlock(&log->append_lock);
    if (err != ERR_NONE) {
        LOG_WARN("log", "a segment could not be rolled", "dir=\"%s\" reason=\"%s\"", log->dir,
                 why.text);
    } else if (log->env.flusher != NULL) {
        flusher_mark(log->env.flusher, log);
    }
}

bool log_retention_may_be_due(struct log *log)
{
    struct log_config config = log_config_copy(log);
    struct log_state state = log_last_checkpoint(log);
    int64_t now_ms = clock_wall_ms(log->env.clock);
    bool by_time = config.retention_ms >= 0 && state.oldest_ms != INT64_MAX &&
                   state.oldest_ms < now_ms - config.retention_ms;
    bool by_size = config.retention_bytes >= 0 && state.size_bytes > config.retention_bytes;
    return !log_is_offline(log) && !config.retain && (by_time || by_size);
}

int64_t log_retention_start(struct log *log, int64_t max_offset)
{
    struct log_config config = log_config_copy(log);
    int64_t start = atomic_load(&log->start_offset);
    assert(log_is_loaded(log));
    int64_t excess =
        config.retention_bytes < 0 ? -1 : atomic_load(&log->size_bytes) - config.retention_bytes;
    struct candidate candidate;
    for (size_t i = 0; take_candidate(log, i, &candidate); i++) {
        bool by_size = !candidate.active && excess >= candidate.size;
        bool due = candidate.size > 0 && candidate.end <= max_offset &&
                   (by_size || is_expired(log, &candidate, config.retention_ms));
        segment_unref(candidate.segment);
        if (!due) {
            break;
        }
        if (candidate.active) {
            roll_for_retention(log);
        }
        start = candidate.end > start ? candidate.end : start;
        excess -= candidate.size;
    }
    return start;
}

static bool segment_ms_due(struct log *log, const struct log_config *config)
{
    pthread_mutex_lock(&log->segments_lock);
    const struct segment *active = log_active(log);
    bool due = active->size_bytes > 0 &&
               clock_wall_ms(log->env.clock) - active->first_written_ms > config->segment_ms;
    pthread_mutex_unlock(&log->segments_lock);
    return due;
}

/* The oldest closed segment whose index was found bad, referenced; NULL. */
static struct segment *next_bad_index(struct log *log)
{
    struct segment *bad = NULL;
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = 0; i + 1 < log->segments.count && bad == NULL; i++) {
        if (log->segments.items[i]->index_bad) {
            bad = log->segments.items[i];
            segment_ref(bad);
        }
    }
    pthread_mutex_unlock(&log->segments_lock);
    return bad;
}

enum err log_maintain(struct log *log, struct reason *reason)
{
    if (!log_is_loaded(log)) {
        return ERR_NONE;
    }
    struct log_config config = log_config_copy(log);
    if (segment_ms_due(log, &config)) {
        roll_for_retention(log);
    }
    pthread_mutex_lock(&log->append_lock);
    producer_expire(&log->producers, clock_wall_ms(log->env.clock), config.producer_expiration_ms);
    pthread_mutex_unlock(&log->append_lock);
    struct segment *bad;
    pthread_mutex_lock(&log->upkeep_lock);
    enum err err = log_check_not_deleted(log, reason);
    while (err == ERR_NONE && (bad = next_bad_index(log)) != NULL) {
        err = log_rebuild_indexes(log, bad, reason);
        segment_unref(bad);
    }
    pthread_mutex_unlock(&log->upkeep_lock);
    return err;
}
