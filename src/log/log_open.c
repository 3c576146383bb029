#include "log/log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "log/log_internal.h"

#include <stdlib.h>
#include <sys/stat.h>

/*
 * Opening, and loading what opening left. Of most partitions of a large bus nothing is wanted but
 * their offsets: the checkpoint knows these, so that a start costs a look at the sizes of
 * their files, and segments, indexes and producers are loaded when the partition is used first.
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

/* What the segments have together; -1 when one cannot be looked at. */
static int64_t sum_sizes(const struct log *log, const struct offsets *segments)
{
    int64_t sum = 0;
    for (size_t i = 0; i < segments->count && sum >= 0; i++) {
        struct stat status;
        char *path = segment_path(log->dir, segments->items[i], ".log");
        sum = stat(path, &status) == 0 ? sum + status.st_size : -1;
        free(path);
    }
    return sum;
}

/* Whether the directory begins and ends with the segments that are known, and none is missing or
 * shorter in between. What a crash left of a swap is finished before: listing deletes what was not
 * decided. */
static bool list_agrees(struct log *log, const struct log_state *known)
{
    struct log_files found;
    struct reason ignored; /* recovery meets it again */
    if (log_finish_swaps(log, &ignored) != ERR_NONE ||
        log_files_list(log, &found, &ignored) != ERR_NONE) {
        return false;
    }
    bool fits = found.segments.count > 0 && found.segments.items[0] == known->first_base &&
                found.segments.items[found.segments.count - 1] == known->active_base &&
                sum_sizes(log, &found.segments) == known->size_bytes;
    log_files_deinit(&found);
    return fits;
}

/*
 * Whether nothing was appended, rolled or cut since: the last segment is as long as it was, none
 * begins behind it, and the first one is there. Of several segments the directory is listed, as one
 * in the middle may be missing; after a crash also of one: a segment that was the last one may have
 * grown, been closed and been made shorter again by compaction.
 */
static bool files_agree(struct log *log, const struct log_state *known)
{
    if ((!known->clean || known->first_base != known->active_base) && !list_agrees(log, known)) {
        return false;
    }
    return has_size(log, known->active_base, known->active_size) &&
           (known->end_offset == known->active_base || !has_segment(log, known->end_offset)) &&
           (known->first_base == known->active_base || has_segment(log, known->first_base));
}

/* Makes the state what a log that is not loaded answers. */
static void set_idle(struct log *log, const struct log_state *known)
{
    atomic_store(&log->start_offset, known->start_offset);
    atomic_store(&log->end_offset, known->end_offset);
    atomic_store(&log->flushed_offset, known->end_offset);
    atomic_store(&log->size_bytes, known->size_bytes);
    log->checkpoint = *known;
    log->checkpoint.clean = false;
    log->load_deep = !known->clean;
}

/* Leaves the log unloaded when the state tells all that an idle log answers and the files agree
 * with it; false: it must be recovered. */
static bool open_idle(struct log *log, const struct log_state *known)
{
    if (known == NULL || !known->idle_known || known->open_txns || !files_agree(log, known)) {
        return false;
    }
    set_idle(log, known);
    return true;
}

static enum err make_dir(struct log *log, struct reason *reason)
{
    const struct file_ops *files = log->env.files;
    return log->env.sync_later ? file_make_dir_unsynced(files, log->dir, reason)
                               : file_make_dir(files, log->dir, reason);
}

enum err log_open(const char *dir, const struct log_config *config, const struct log_env *env,
                  const struct log_state *known, struct log **out, struct log_recovery *recovery,
                  struct reason *reason)
{
    struct log_recovery ignored;
    struct log *log = log_new(dir, config, env);
    recovery = recovery != NULL ? recovery : &ignored;
    *recovery = (struct log_recovery){.truncated_at = -1};
    if (open_idle(log, known)) {
        *out = log;
        return ERR_NONE;
    }
    enum err err = make_dir(log, reason);
    if (err == ERR_NONE) {
        err = log_recover(log, known, recovery, reason);
    }
    if (err != ERR_NONE) {
        log_unref(log);
        return err;
    }
    atomic_init(&log->loaded, true);
    *out = log;
    return ERR_NONE;
}

struct log *log_open_offline(const char *dir, const struct log_config *config,
                             const struct log_env *env, const struct log_state *known,
                             const struct reason *why)
{
    struct log *log = log_new(dir, config, env);
    struct log_state state = {.oldest_ms = INT64_MAX};
    log->offline = mem_strdup(why->text);
    set_idle(log, known != NULL ? known : &state);
    return log;
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
    if (log_is_loaded(log)) {
        return ERR_NONE;
    }
    if (log->offline != NULL) {
        return reason_fail(reason, ERR_IO, "%s is offline: %s", log->dir, log->offline);
    }
    pthread_mutex_lock(&log->load_lock);
    enum err err = atomic_load(&log->loaded) ? ERR_NONE : load_locked(log, &why);
    pthread_mutex_unlock(&log->load_lock);
    return err == ERR_NONE ? ERR_NONE : reason_fail(reason, err, "%s", why.text);
}
