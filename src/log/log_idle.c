#include "base/logger.h"
#include "log/log_internal.h"

#include <stdlib.h>
#include <sys/stat.h>

/*
 * Logs that nobody has used since the start. Of most partitions of a large bus nothing is wanted
 * but their offsets: the checkpoint knows these, so that a start costs two looks at file sizes, and
 * segments, indexes and producers are loaded by the first call that needs them.
 */

static bool has_size(const struct log *log, int64_t base, int64_t size)
{
    struct stat status;
    char *path = segment_path(log->dir, base, ".log");
    bool fits = stat(path, &status) == 0 && status.st_size == size;
    free(path);
    return fits;
}

static bool has_segment(const struct log *log, int64_t base)
{
    char *path = segment_path(log->dir, base, ".log");
    bool there = file_exists(path);
    free(path);
    return there;
}

/* Whether the directory begins and ends with the segments that are known. What a crash left of a
 * swap is finished before: listing deletes what was not decided. */
static bool list_agrees(struct log *log, const struct log_state *known)
{
    struct log_files found;
    struct reason ignored; /* recovery meets it again */
    if (log_finish_swaps(log, &ignored) != ERR_NONE ||
        log_files_list(log, &found, &ignored) != ERR_NONE) {
        return false;
    }
    bool fits = found.segment_count > 0 && found.segments[0] == known->first_base &&
                found.segments[found.segment_count - 1] == known->active_base;
    log_files_deinit(&found);
    return fits;
}

/*
 * Whether nothing was appended, rolled or cut since: the last segment is as long as it was, none
 * begins behind it, and the first one is there. After a crash the directory is listed: a segment
 * that was the last one may have grown, been closed and been made shorter again by compaction.
 */
static bool files_agree(struct log *log, const struct log_state *known)
{
    if (!known->clean && !list_agrees(log, known)) {
        return false;
    }
    return has_size(log, known->active_base, known->active_size) &&
           (known->end_offset == known->active_base || !has_segment(log, known->end_offset)) &&
           (known->first_base == known->active_base || has_segment(log, known->first_base));
}

void log_set_idle(struct log *log, const struct log_state *known)
{
    atomic_store(&log->start_offset, known->start_offset);
    atomic_store(&log->end_offset, known->end_offset);
    atomic_store(&log->flushed_offset, known->end_offset);
    atomic_store(&log->size_bytes, known->size_bytes);
    log->checkpoint = *known;
    log->checkpoint.clean = false;
    log->load_deep = !known->clean;
}

bool log_open_idle(struct log *log, const struct log_state *known)
{
    if (known == NULL || !known->idle_known || known->open_txns || !files_agree(log, known)) {
        return false;
    }
    log_set_idle(log, known);
    return true;
}

bool log_is_loaded(const struct log *log)
{
    return atomic_load(&log->loaded);
}

bool log_is_offline(const struct log *log)
{
    return log->offline != NULL;
}

/* load_lock. */
static enum err load_locked(struct log *log, struct reason *reason)
{
    struct log_state known = log->checkpoint;
    struct log_recovery recovery;
    known.clean = true;                    /* what files_agree found */
    pthread_mutex_lock(&log->upkeep_lock); /* recovery writes what it guards */
    enum err err = log_check_not_deleted(log, reason);
    if (err == ERR_NONE && !files_agree(log, &known)) {
        err = reason_fail(reason, ERR_IO, "the files of %s changed since the start", log->dir);
    }
    if (err == ERR_NONE) {
        err = log_recover(log, &known, &recovery, reason);
    }
    pthread_mutex_unlock(&log->upkeep_lock);
    if (err == ERR_NONE) {
        atomic_store_explicit(&log->loaded, true, memory_order_release);
        return ERR_NONE;
    }
    log_drop_segments(log);
    if (err != ERR_CLOSED) {
        LOG_ERROR("log", "a log cannot be loaded; it is tried again when it is used",
                  "dir=\"%s\" reason=\"%s\"", log->dir, reason->text);
    }
    return err;
}

enum err log_load(struct log *log, struct reason *reason)
{
    struct reason why;
    if (log->offline != NULL) {
        return reason_fail(reason, ERR_IO, "%s is offline: %s", log->dir, log->offline);
    }
    pthread_mutex_lock(&log->load_lock);
    enum err err = atomic_load(&log->loaded) ? ERR_NONE : load_locked(log, &why);
    pthread_mutex_unlock(&log->load_lock);
    return err == ERR_NONE ? ERR_NONE : reason_fail(reason, err, "%s", why.text);
}

bool log_idle_is_due(struct log *log, const struct log_config *config)
{
    struct log_state state = log_last_checkpoint(log);
    int64_t now_ms = clock_wall_ms(log->env.clock);
    bool by_time = !config->retain && config->retention_ms >= 0 && state.oldest_ms != INT64_MAX &&
                   now_ms - state.oldest_ms > config->retention_ms;
    return log->offline == NULL && (by_time || (!config->retain && config->retention_bytes >= 0 &&
                                                state.size_bytes > config->retention_bytes));
}
