#include "log/log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "log/log_internal.h"

#include <stdlib.h>

/* The first of the segments that hold bytes which are not on disk. They are the last ones of the
 * list. segments_lock. */
static size_t first_unsynced(const struct log *log)
{
    size_t i = log->segments.count - 1;
    while (i > 0 &&
           log->segments.items[i - 1]->synced_bytes < log->segments.items[i - 1]->size_bytes) {
        i--;
    }
    return i;
}

void log_sync_begin(struct log *log, struct log_sync *sync)
{
    *sync = (struct log_sync){.log = log};
    pthread_mutex_lock(&log->segments_lock);
    while (log->syncing) {
        pthread_cond_wait(&log->sync_idle, &log->segments_lock);
    }
    log->syncing = true;
    size_t first = log->segments.count > 0 ? first_unsynced(log) : 0; /* none: not loaded */
    size_t count = log->segments.count - first;
    sync->end_offset = atomic_load(&log->end_offset);
    sync->dir = log->dir_dirty;
    log->dir_dirty = false;
    sync->segments = mem_alloc(count * (sizeof(struct segment *) + sizeof(int64_t)));
    sync->sizes = (int64_t *)(void *)(sync->segments + count);
    sync->segment_count = count;
    for (size_t i = 0; i < count; i++) {
        sync->segments[i] = log->segments.items[first + i];
        sync->sizes[i] = sync->segments[i]->size_bytes;
        segment_ref(sync->segments[i]);
    }
    pthread_mutex_unlock(&log->segments_lock);
}

void log_sync_files(struct log_sync *sync, struct reason *reason)
{
    const struct file_ops *files = sync->log->env.files;
    for (size_t i = 0; i < sync->segment_count && sync->err == ERR_NONE; i++) {
        /* synced_bytes changes only between begin and finish, which is here. */
        if (sync->segments[i]->synced_bytes < sync->sizes[i]) {
            sync->err = file_sync(files, sync->segments[i]->fd, reason);
        }
    }
    if (sync->err == ERR_NONE && sync->dir && !atomic_load(&sync->log->deleted)) {
        sync->err = file_sync_dir(files, sync->log->dir, reason);
    }
}

/* Whether somebody else removed the file: not the log itself, which says so before it unlinks. */
static bool is_removed(const struct log *log, const struct segment *segment)
{
    return file_is_unlinked(segment->fd) && !atomic_load(&segment->replaced) &&
           !atomic_load(&log->deleted);
}

void log_sync_check_names(struct log_sync *sync, struct reason *reason)
{
    for (size_t i = 0; i < sync->segment_count && sync->err == ERR_NONE; i++) {
        const struct segment *segment = sync->segments[i];
        if (segment->synced_bytes < sync->sizes[i] && is_removed(sync->log, segment)) {
            sync->err = reason_fail(reason, ERR_IO, "the file of segment %lld was removed",
                                    (long long)segment->base_offset);
        }
    }
}

static void publish_synced(struct log *log, struct log_sync *sync)
{
    for (size_t i = 0; i < sync->segment_count; i++) {
        struct segment *segment = sync->segments[i];
        sync->synced_bytes += sync->sizes[i] - segment->synced_bytes;
        segment->synced_bytes = sync->sizes[i];
        if (segment->held_unsynced && segment->size_bytes == segment->synced_bytes) {
            segment->held_unsynced = false;
            segment_let_go(segment);
        }
    }
    atomic_store(&log->flushed_offset, sync->end_offset);
}

bool log_sync_finish(struct log_sync *sync)
{
    struct log *log = sync->log;
    pthread_mutex_lock(&log->segments_lock);
    bool changed = false;
    if (atomic_load(&log->failed)) {
        /* After one failed sync the kernel may report the next as good though bytes are lost. */
    } else if (sync->err == ERR_NONE) {
        changed = atomic_load(&log->flushed_offset) != sync->end_offset;
        publish_synced(log, sync);
    } else {
        atomic_store(&log->failed, true);
        changed = true;
    }
    log->syncing = false;
    pthread_cond_broadcast(&log->sync_idle);
    pthread_mutex_unlock(&log->segments_lock);
    for (size_t i = 0; i < sync->segment_count; i++) {
        segment_unref(sync->segments[i]);
    }
    free(sync->segments);
    return changed;
}

enum err log_flush(struct log *log, struct reason *reason)
{
    struct log_sync sync;
    struct reason why;
    log_sync_begin(log, &sync);
    log_sync_files(&sync, &why);
    log_sync_check_names(&sync, &why);
    if (sync.err != ERR_NONE) {
        LOG_ERROR("log", "a sync failed; the log takes no more writes until the next start",
                  "dir=\"%s\" reason=\"%s\"", log->dir, why.text);
    }
    (void)log_sync_finish(&sync);
    if (atomic_load(&log->failed)) {
        return reason_fail(reason, ERR_IO, "%s: a sync failed", log->dir);
    }
    return ERR_NONE;
}
