#include "log/log.h"

#include "log/log_internal.h"

/* Checkpoints: up to where a log is on disk, with index tails and producers as of there. */

/* upkeep_lock, append_lock, segments_lock. */
static bool has_changed(const struct log *log)
{
    const struct log_state *last = &log->checkpoint;
    return !last->idle_known || last->end_offset != atomic_load(&log->end_offset) ||
           last->start_offset != atomic_load(&log->start_offset) ||
           last->size_bytes != atomic_load(&log->size_bytes) ||
           last->active_base != log_active(log)->base_offset ||
           last->first_base != log->segments.items[0]->base_offset ||
           log->producers.changes != log->snapshot_changes;
}

/* upkeep_lock, append_lock, segments_lock. */
static void take(struct log *log, struct log_checkpointing *taken)
{
    struct segment *active = log_active(log);
    taken->log = log;
    taken->changes = log->producers.changes;
    taken->snapshot_due = taken->changes != log->snapshot_changes;
    if (taken->snapshot_due) {
        producer_snapshot_encode(&log->producers, &taken->snapshot);
    }
    if (active->times_known) {
        segment_close_times(active);
    }
    segment_ref(active);
    taken->active = active;
    taken->state = (struct log_state){
        .start_offset = atomic_load(&log->start_offset),
        .end_offset = atomic_load(&log->end_offset),
        .active_base = active->base_offset,
        .active_size = active->size_bytes,
        .idle_known = true,
        .open_txns = producer_first_open(&log->producers) != INT64_MAX,
        .first_base = log->segments.items[0]->base_offset,
        .size_bytes = atomic_load(&log->size_bytes),
    };
}

/* How old the first segment is: what retention asks of an idle log. upkeep_lock. */
static enum err load_oldest(struct log *log, struct log_state *state, struct reason *reason)
{
    pthread_mutex_lock(&log->segments_lock);
    struct segment *first = log->segments.items[0];
    segment_ref(first);
    pthread_mutex_unlock(&log->segments_lock);
    enum err err = log_load_times(log, first, reason);
    pthread_mutex_lock(&log->segments_lock);
    state->oldest_ms = first->size_bytes == 0      ? INT64_MAX
                       : first->max_timestamp >= 0 ? first->max_timestamp
                                                   : first->first_written_ms;
    pthread_mutex_unlock(&log->segments_lock);
    segment_unref(first);
    return err;
}

/* upkeep_lock. */
static enum err write_files(struct log *log, struct log_checkpointing *taken, bool sync,
                            struct reason *reason)
{
    enum err err = log_check_not_deleted(log, reason);
    if (err == ERR_NONE && sync) {
        err = log_flush(log, reason);
    }
    if (err == ERR_NONE) {
        err = load_oldest(log, &taken->state, reason);
    }
    if (err == ERR_NONE) {
        err = log_finish_closed(log, sync, reason);
    }
    if (err == ERR_NONE) {
        err = log_write_tails(log, taken->active, sync, reason);
    }
    if (err == ERR_NONE && taken->snapshot_due) {
        err = log_write_snapshot(log, taken->state.end_offset, buf_slice(&taken->snapshot), sync,
                                 reason);
    }
    return err;
}

static void free_taken(struct log_checkpointing *taken)
{
    segment_unref(taken->active);
    buf_deinit(&taken->snapshot);
}

/* upkeep_lock. */
static void adopt(struct log_checkpointing *taken)
{
    struct log *log = taken->log;
    if (taken->snapshot_due) {
        log->snapshot_changes = taken->changes;
    }
    log_drop_old_snapshots(log, log->checkpoint.end_offset);
    log->checkpoint = taken->state;
}

/* upkeep_lock. */
static enum err begin_locked(struct log *log, struct log_checkpointing *taken, bool sync,
                             bool *changed, struct reason *reason)
{
    *taken = (struct log_checkpointing){.log = log};
    *changed = false;
    if (!log_is_loaded(log)) {
        return ERR_NONE;
    }
    pthread_mutex_lock(&log->append_lock);
    pthread_mutex_lock(&log->segments_lock);
    *changed = has_changed(log);
    if (*changed) {
        take(log, taken);
    }
    pthread_mutex_unlock(&log->segments_lock);
    pthread_mutex_unlock(&log->append_lock);
    enum err err = *changed ? write_files(log, taken, sync, reason) : ERR_NONE;
    if (err != ERR_NONE) {
        free_taken(taken);
        *changed = false;
    }
    return err;
}

enum err log_checkpoint_begin(struct log *log, struct log_checkpointing *checkpointing,
                              bool *changed, struct reason *reason)
{
    *changed = false;
    if (!log_is_loaded(log)) {
        return ERR_NONE; /* idle logs are most of them: without a lock */
    }
    pthread_mutex_lock(&log->upkeep_lock);
    enum err err = begin_locked(log, checkpointing, false, changed, reason);
    pthread_mutex_unlock(&log->upkeep_lock);
    return err;
}

void log_checkpoint_finish(struct log_checkpointing *checkpointing, bool synced)
{
    struct log *log = checkpointing->log;
    if (synced) {
        pthread_mutex_lock(&log->upkeep_lock);
        adopt(checkpointing);
        pthread_mutex_unlock(&log->upkeep_lock);
    }
    free_taken(checkpointing);
}

struct log_state log_last_checkpoint(struct log *log)
{
    pthread_mutex_lock(&log->upkeep_lock);
    struct log_state state = log->checkpoint;
    pthread_mutex_unlock(&log->upkeep_lock);
    return state;
}

enum err log_checkpoint(struct log *log, struct log_state *state, struct reason *reason)
{
    struct log_checkpointing taken;
    bool changed;
    pthread_mutex_lock(&log->upkeep_lock);
    enum err err = begin_locked(log, &taken, true, &changed, reason);
    if (changed) {
        adopt(&taken);
        free_taken(&taken);
    }
    if (err == ERR_NONE) {
        *state = log->checkpoint;
    }
    pthread_mutex_unlock(&log->upkeep_lock);
    return err;
}

enum err log_close(struct log *log, struct log_state *state, struct reason *reason)
{
    pthread_mutex_lock(&log->append_lock);
    log->closed = true;
    pthread_mutex_unlock(&log->append_lock);
    enum err err = log_checkpoint(log, state, reason);
    if (err == ERR_NONE) {
        state->clean = true;
    } else {
        *state = log_last_checkpoint(log);
        state->start_offset = atomic_load(&log->start_offset);
    }
    return err;
}
