#include "base/logger.h"
#include "log/log_internal.h"
#include "log/txn_index.h"

#include <stdlib.h>

/*
 * Opening: which rows of the .txnindex files count.
 *
 * Rows below a checkpoint were on disk, with the file's name, before the checkpoint was; a segment
 * without the file has none. Rows of what is scanned are made anew. Unlike the other indexes, whose
 * rows are checked against the batch that they name, these are believed: a bad file is therefore
 * looked for here, and made anew by a replay of the producers from the log's start.
 */

enum { FILE_MAX_BYTES = 1 << 30 };

static bool has_file(const struct log_files *found, int64_t base)
{
    for (size_t i = 0; i < found->txn_indexes.count; i++) {
        if (found->txn_indexes.items[i] == base) {
            return true;
        }
    }
    return false;
}

static bool is_segment(const struct log *log, int64_t base)
{
    return log->segments.items[log_segment_number(log, base)]->base_offset == base;
}

/* Who deletes index files to have them made anew deletes all of them. Of closed segments the caller
 * has looked. */
static bool lacks_index(struct log *log, const struct segment *segment)
{
    return segment->size_bytes > log->config.index_interval_bytes &&
           log_index_file_rows(log, segment, INDEX_OFFSETS, INT64_MAX, false) < 0;
}

static enum err drop_file(struct log *log, int64_t base, struct reason *reason)
{
    char *path = segment_path(log->dir, base, index_suffix(INDEX_ABORTS));
    enum err err = file_unlink(log->env.files, path, reason);
    free(path);
    return err;
}

/* A file of an older program is written anew, with the checksums that it lacks. */
static enum err take_over(struct log *log, const char *path, struct reason *reason)
{
    char *data;
    size_t size;
    struct buf rows = {0};
    enum err err = file_load(log->env.files, path, FILE_MAX_BYTES, &data, &size, reason);
    if (err != ERR_NONE) {
        return err == ERR_NOT_FOUND || err == ERR_TOO_LARGE ? ERR_NONE : err;
    }
    if (txn_index_take_over(slice_of(data, size), &rows)) {
        err = file_replace(log->env.files, path, rows.data, rows.size, reason);
    }
    buf_deinit(&rows);
    free(data);
    return err;
}

/* Rows below `end` stay. closed: there should be no others. */
static enum err check_file(struct log *log, struct segment *segment, int64_t end, bool closed,
                           struct reason *reason)
{
    bool surplus;
    char *path = segment_path(log->dir, segment->base_offset, index_suffix(INDEX_ABORTS));
    enum err err = take_over(log, path, reason);
    if (err == ERR_NONE) {
        err = txn_index_check_file(log->env.files, path, segment->base_offset, end,
                                   &segment->aborts.file_rows, &surplus, reason);
    }
    if (err == ERR_CORRUPT || (err == ERR_NONE && surplus && closed)) {
        segment->aborts_bad = true;
        err = ERR_NONE;
    } else if (err == ERR_NONE && surplus) {
        /* They could be taken for good at a clean start. */
        err = index_write(log->env.files, path, INDEX_ABORTS, segment->aborts.file_rows,
                          slice_of(NULL, 0), reason);
    }
    free(path);
    return err;
}

static enum err adopt(struct log *log, struct segment *segment, int64_t end, bool closed,
                      struct reason *reason)
{
    enum err err = check_file(log, segment, end, closed, reason);
    if (segment->aborts.file_rows > 0) {
        atomic_store(&log->has_aborts, true);
    }
    return err;
}

static enum err write_rebuilt(struct log *log, int32_t *rebuilt, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < log->segments.count && err == ERR_NONE; i++) {
        struct segment *segment = log->segments.items[i];
        if (segment->aborts_bad) {
            segment->aborts_bad = false;
            (*rebuilt)++;
            err = segment->aborts.tail.size > 0 ? log_write_indexes(log, segment, reason)
                                                : drop_file(log, segment->base_offset, reason);
        }
    }
    return err;
}

static enum err rebuild_bad(struct log *log, int64_t to, int32_t *rebuilt, struct reason *reason)
{
    bool any = false;
    for (size_t i = 0; i < log->segments.count; i++) {
        struct segment *segment = log->segments.items[i];
        if (segment->aborts_bad) {
            any = true;
            index_reset(&segment->aborts);
            LOG_WARN("log", "a transaction index is not usable and is made anew",
                     "dir=\"%s\" segment=%lld", log->dir, (long long)segment->base_offset);
        }
    }
    if (!any) {
        return ERR_NONE;
    }
    struct producer_state producers = {.changes = 0};
    enum err err = log_replay_producers(log, &producers, log->segments.items[0]->base_offset, to,
                                        true, reason);
    producer_state_deinit(&producers);
    return err == ERR_NONE ? write_rebuilt(log, rebuilt, reason) : err;
}

enum err log_adopt_aborts(struct log *log, const struct log_files *found, size_t scanned,
                          int64_t from, int32_t *rebuilt, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < found->txn_indexes.count && err == ERR_NONE; i++) {
        if (!is_segment(log, found->txn_indexes.items[i])) {
            err = drop_file(log, found->txn_indexes.items[i], reason);
        }
    }
    for (size_t i = 0; i < log->segments.count && err == ERR_NONE; i++) {
        struct segment *segment = log->segments.items[i];
        if (i == scanned && from > segment->base_offset && lacks_index(log, segment)) {
            segment->aborts_bad = true;
        }
        if (!has_file(found, segment->base_offset)) {
            continue;
        }
        int64_t end = i + 1 < log->segments.count ? log->segments.items[i + 1]->base_offset : from;
        end = end < from ? end : from;
        if (i < scanned || (i == scanned && from > segment->base_offset)) {
            err = adopt(log, segment, end, i < scanned, reason);
        } else {
            segment->aborts_old = true;
        }
    }
    return err == ERR_NONE ? rebuild_bad(log, from, rebuilt, reason) : err;
}

enum err log_replace_aborts(struct log *log, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < log->segments.count && err == ERR_NONE; i++) {
        struct segment *segment = log->segments.items[i];
        if (segment->aborts_old) {
            segment->aborts_old = false;
            err = segment->aborts.tail.size > 0 ? log_write_aborts(log, segment, reason)
                                                : drop_file(log, segment->base_offset, reason);
        }
    }
    return err;
}
