#include "log/log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "log/log_internal.h"
#include "log/scan.h"

#include <stdlib.h>
#include <string.h>

/* Files beside the data: index tails and producer snapshots. */

static enum err write_rows(struct log *log, const char *path, const struct index *index,
                           int64_t file_rows, struct slice rows, bool sync, struct reason *reason)
{
    const struct file_ops *files = log->env.files;
    if (!sync) {
        return index_write_unsynced(files, path, index->kind, file_rows, rows, reason);
    }
    if (rows.size > 0 && index->kind == INDEX_ABORTS && file_rows == 0) {
        /* A missing or shorter file means that nothing was aborted: no crash may find it so. */
        return file_replace(files, path, rows.data, rows.size, reason);
    }
    return index_write(files, path, index->kind, file_rows, rows, reason);
}

static enum err write_index(struct log *log, struct segment *segment, struct index *index,
                            bool even_empty, bool sync, struct reason *reason)
{
    pthread_mutex_lock(&log->segments_lock);
    int64_t file_rows = index->file_rows;
    size_t size = index->tail.size;
    uint8_t *rows = mem_dup(index->tail.data, size);
    pthread_mutex_unlock(&log->segments_lock);
    enum err err = ERR_NONE;
    if (size > 0 || even_empty) {
        char *path = segment_path(log->dir, segment->base_offset, index_suffix(index->kind));
        err = write_rows(log, path, index, file_rows, slice_of(rows, size), sync, reason);
        free(path);
    }
    free(rows);
    if (err == ERR_NONE && size > 0) {
        pthread_mutex_lock(&log->segments_lock);
        index_written(index, size);
        pthread_mutex_unlock(&log->segments_lock);
    }
    return err;
}

static enum err write_indexes(struct log *log, struct segment *segment, bool even_empty, bool sync,
                              struct reason *reason)
{
    enum err err = write_index(log, segment, &segment->offsets, even_empty, sync, reason);
    if (err == ERR_NONE) {
        err = write_index(log, segment, &segment->times, even_empty, sync, reason);
    }
    if (err == ERR_NONE) {
        err = write_index(log, segment, &segment->aborts, false, sync, reason);
    }
    return err;
}

enum err log_write_aborts(struct log *log, struct segment *segment, struct reason *reason)
{
    return write_index(log, segment, &segment->aborts, false, true, reason);
}

/* Kafka's dump tool opens the offset index beside a time index, so an empty one is written too. */
enum err log_write_tails(struct log *log, struct segment *segment, bool sync, struct reason *reason)
{
    pthread_mutex_lock(&log->segments_lock);
    bool even_empty = segment->offsets.file_rows == 0 && segment->times.tail.size > 0;
    pthread_mutex_unlock(&log->segments_lock);
    return write_indexes(log, segment, even_empty, sync, reason);
}

enum err log_write_indexes(struct log *log, struct segment *segment, struct reason *reason)
{
    return log_write_tails(log, segment, true, reason);
}

static void note_snapshot(struct log *log, int64_t offset)
{
    size_t at = log->snapshots.count;
    while (at > 0 && log->snapshots.items[at - 1] >= offset) {
        if (log->snapshots.items[--at] == offset) {
            return; /* it was replaced */
        }
    }
    size_t behind = log->snapshots.count - at;
    vec_add(&log->snapshots);
    memmove(log->snapshots.items + at + 1, log->snapshots.items + at, behind * sizeof offset);
    log->snapshots.items[at] = offset;
}

enum err log_write_snapshot(struct log *log, int64_t offset, struct slice bytes, bool sync,
                            struct reason *reason)
{
    const struct file_ops *files = log->env.files;
    char *path = segment_path(log->dir, offset, ".snapshot");
    enum err err = sync ? file_replace(files, path, bytes.data, bytes.size, reason)
                        : file_replace_unsynced(files, path, bytes.data, bytes.size, reason);
    free(path);
    if (err == ERR_NONE) {
        note_snapshot(log, offset);
    }
    return err;
}

/*
 * Deletes the snapshots that no recovery asks for: those before the newest one at or below the
 * given checkpoint. That is the one before the last: whoever keeps the states may not have stored
 * the last one yet. upkeep_lock.
 */
void log_drop_old_snapshots(struct log *log, int64_t checkpoint_offset)
{
    size_t old = 0;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && old + 1 < log->snapshots.count &&
           log->snapshots.items[old + 1] <= checkpoint_offset) {
        struct reason why;
        char *path = segment_path(log->dir, log->snapshots.items[old], ".snapshot");
        err = file_unlink(log->env.files, path, &why);
        if (err == ERR_NONE) {
            old++;
        } else {
            LOG_WARN("log", "an old producer snapshot could not be deleted", "reason=\"%s\"",
                     why.text);
        }
        free(path);
    }
    if (old > 0) {
        log->snapshots.count -= old;
        memmove(log->snapshots.items, log->snapshots.items + old,
                log->snapshots.count * sizeof *log->snapshots.items);
    }
}

/* A closed segment's files. upkeep_lock. */
static enum err finish_segment(struct log *log, struct segment *segment, int64_t end_offset,
                               bool sync, struct reason *reason)
{
    enum err err = write_indexes(log, segment, true, sync, reason);
    if (err == ERR_NONE && segment->snapshot.size > 0) {
        err = log_write_snapshot(log, end_offset, buf_slice(&segment->snapshot), sync, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    pthread_mutex_lock(&log->segments_lock);
    buf_deinit(&segment->snapshot);
    segment->snapshot = (struct buf){0};
    segment->finished = true;
    pthread_mutex_unlock(&log->segments_lock);
    return ERR_NONE;
}

/* The oldest closed segment that is not finished, referenced, and where it ends; NULL. */
static struct segment *next_unfinished(struct log *log, int64_t *end_offset)
{
    struct segment *segment = NULL;
    pthread_mutex_lock(&log->segments_lock);
    for (size_t i = log->segments.count - 1; i > 0 && !log->segments.items[i - 1]->finished; i--) {
        segment = log->segments.items[i - 1];
        *end_offset = log_segment_end(log, i - 1);
    }
    if (segment != NULL) {
        segment_ref(segment);
    }
    pthread_mutex_unlock(&log->segments_lock);
    return segment;
}

enum err log_check_not_deleted(struct log *log, struct reason *reason)
{
    if (atomic_load(&log->deleted)) {
        return reason_fail(reason, ERR_CLOSED, "%s is deleted", log->dir);
    }
    return ERR_NONE;
}

enum err log_finish_closed(struct log *log, bool sync, struct reason *reason)
{
    struct segment *segment;
    int64_t end_offset;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && (segment = next_unfinished(log, &end_offset)) != NULL) {
        err = finish_segment(log, segment, end_offset, sync, reason);
        segment_unref(segment);
    }
    return err;
}

void log_finish_rolled(struct log *log)
{
    if (atomic_load(&log->deleted) || !log_is_loaded(log) ||
        pthread_mutex_trylock(&log->upkeep_lock) != 0) {
        return; /* whoever holds it does the same work */
    }
    struct reason why;
    if (!atomic_load(&log->deleted) && log_finish_closed(log, true, &why) != ERR_NONE) {
        LOG_WARN("log", "an index could not be written; it will be tried again",
                 "dir=\"%s\" reason=\"%s\"", log->dir, why.text);
    }
    pthread_mutex_unlock(&log->upkeep_lock);
}

static enum err walk_headers(struct segment *from, struct segment *rows, int64_t interval,
                             struct reason *reason)
{
    struct scan scan;
    struct batch header;
    scan_init(&scan, from->files, from->fd, from->size_bytes);
    int64_t position = 0;
    int64_t next = from->base_offset;
    while (position < from->size_bytes) {
        enum err err = scan_header_within(&scan, position, next, from->base_offset + INT32_MAX,
                                          &header, reason);
        if (err == ERR_IO) {
            return err;
        }
        if (err != ERR_NONE) {
            break; /* damage: what lies behind is found by walking from the last row */
        }
        segment_take_batch(rows, &header, position, interval);
        next = batch_last_offset(&header) + 1;
        position += (int64_t)header.bytes.size;
    }
    segment_close_times(rows);
    return ERR_NONE;
}

static void take_rows(struct index *to, struct index *from)
{
    index_deinit(to);
    *to = *from;
    index_init(from, from->kind);
}

enum err log_rebuild_indexes(struct log *log, struct segment *segment, struct reason *reason)
{
    struct segment rows = {.base_offset = segment->base_offset,
                           .first_timestamp = INT64_MIN,
                           .max_timestamp = INT64_MIN};
    index_init(&rows.offsets, INDEX_OFFSETS);
    index_init(&rows.times, INDEX_TIMES);
    int64_t interval = log_config_copy(log).index_interval_bytes;
    enum err err = segment_hold(segment, reason);
    if (err == ERR_NONE) {
        err = walk_headers(segment, &rows, interval, reason);
        segment_let_go(segment);
    }
    if (err == ERR_NONE) {
        pthread_mutex_lock(&log->segments_lock);
        take_rows(&segment->offsets, &rows.offsets);
        take_rows(&segment->times, &rows.times);
        segment->first_timestamp = rows.first_timestamp;
        segment->max_timestamp = rows.max_timestamp;
        segment->max_timestamp_offset = rows.max_timestamp_offset;
        segment->times_known = true;
        segment->index_bad = false;
        pthread_mutex_unlock(&log->segments_lock);
        err = write_indexes(log, segment, true, true, reason);
    }
    index_deinit(&rows.offsets);
    index_deinit(&rows.times);
    return err;
}
