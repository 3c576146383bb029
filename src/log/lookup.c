#include "log/log_internal.h"

#include "base/logger.h"
#include "log/scan.h"

#include <stdlib.h>

/* Following index rows, with the checks that let an index be wrong without harm. */

/* Searches the rows that are in the file. */
static enum err file_floor(struct log *log, struct segment *segment, const struct index *index,
                           int64_t rows, enum index_field field, int64_t target,
                           struct index_row *row, bool *found)
{
    char *path = segment_path(log->dir, segment->base_offset, index_suffix(index->kind));
    enum err err =
        index_file_floor(log->env.files, path, index->kind, rows, field, target, row, found, NULL);
    free(path);
    return err;
}

static void mark_bad(struct log *log, struct segment *segment)
{
    pthread_mutex_lock(&log->segments_lock);
    bool first = !segment->index_bad;
    segment->index_bad = true;
    pthread_mutex_unlock(&log->segments_lock);
    if (first && !atomic_load(&log->deleted) && !atomic_load(&segment->replaced)) {
        LOG_WARN("log", "an index does not fit its segment; it will be rebuilt",
                 "dir=\"%s\" segment=%lld", log->dir, (long long)segment->base_offset);
    }
}

/* The last row with field <= target: from the tail, else from the file. */
static enum err floor_of(struct log *log, struct segment *segment, const struct index *index,
                         enum index_field field, int64_t target, struct index_row *row, bool *found,
                         bool *in_tail)
{
    pthread_mutex_lock(&log->segments_lock);
    *found = index_tail_floor(index, field, target, row);
    *in_tail = *found;
    int64_t rows = segment->index_bad ? 0 : index->file_rows;
    pthread_mutex_unlock(&log->segments_lock);
    if (*found || rows == 0) {
        return ERR_NONE;
    }
    enum err err = file_floor(log, segment, index, rows, field, target, row, found);
    if (err != ERR_NONE) {
        *found = false;
        mark_bad(log, segment);
    }
    return ERR_NONE;
}

enum err log_index_floor(struct log *log, struct segment *segment, enum index_field field,
                         int64_t target, struct index_row *row, bool *found, struct reason *reason)
{
    bool in_tail;
    enum err err = floor_of(log, segment, &segment->offsets, field, target, row, found, &in_tail);
    if (err != ERR_NONE || !*found || in_tail) {
        return err;
    }
    struct scan scan;
    struct batch header;
    pthread_mutex_lock(&log->segments_lock);
    scan_init(&scan, segment->files, segment->fd, segment->size_bytes);
    pthread_mutex_unlock(&log->segments_lock);
    err = row->value < 0 ? ERR_CORRUPT : scan_header(&scan, row->value, &header, reason);
    if (err == ERR_IO) {
        return err;
    }
    if (err != ERR_NONE || batch_last_offset(&header) != segment->base_offset + row->key) {
        mark_bad(log, segment);
        *found = false;
    }
    return ERR_NONE;
}

enum err log_walk_begin(struct log *log, struct segment *segment, int64_t offset, int64_t *position,
                        int64_t *first_offset, struct reason *reason)
{
    struct index_row row;
    struct scan scan;
    struct batch header;
    bool found;
    *position = 0;
    *first_offset = segment->base_offset;
    enum err err = log_index_floor(log, segment, INDEX_BY_KEY, offset - segment->base_offset, &row,
                                   &found, reason);
    if (err != ERR_NONE || !found) {
        return err;
    }
    *position = row.value;
    scan_init(&scan, segment->files, segment->fd, INT64_MAX);
    err = scan_header(&scan, row.value, &header, reason);
    if (err == ERR_NONE) {
        *first_offset = header.base_offset;
    }
    return err == ERR_IO ? err : ERR_NONE;
}

enum err log_check_time_row(struct log *log, struct segment *segment, const struct index_row *row,
                            bool *fits, struct reason *reason)
{
    struct index_row at;
    struct scan scan;
    struct batch header;
    bool found;
    *fits = false;
    if (row->key < 0 || row->value < 0) {
        return ERR_NONE;
    }
    enum err err = log_index_floor(log, segment, INDEX_BY_KEY, row->value, &at, &found, reason);
    if (err != ERR_NONE) {
        return err;
    }
    pthread_mutex_lock(&log->segments_lock);
    int64_t size = segment->size_bytes;
    pthread_mutex_unlock(&log->segments_lock);
    scan_init(&scan, segment->files, segment->fd, size);
    for (int64_t position = found ? at.value : 0; position < size;
         position += (int64_t)header.bytes.size) {
        err = scan_header(&scan, position, &header, reason);
        if (err != ERR_NONE) {
            return err == ERR_IO ? err : ERR_NONE;
        }
        if (batch_last_offset(&header) >= segment->base_offset + row->value) {
            *fits = batch_last_offset(&header) == segment->base_offset + row->value &&
                    header.max_timestamp == row->key;
            break;
        }
    }
    return ERR_NONE;
}

/* Walks all headers: for segments whose records bear no times, or whose index is gone. */
static enum err walk_times(struct segment *segment, int64_t size, struct segment *times,
                           struct reason *reason)
{
    struct scan scan;
    struct batch header;
    int64_t next = segment->base_offset;
    scan_init(&scan, segment->files, segment->fd, size);
    for (int64_t position = 0; position < size; position += (int64_t)header.bytes.size) {
        enum err err = scan_header_within(&scan, position, next, segment->base_offset + INT32_MAX,
                                          &header, reason);
        if (err == ERR_IO) {
            return err;
        }
        if (err != ERR_NONE) {
            break;
        }
        segment_take_batch(times, &header, position, INT64_MAX);
        next = batch_last_offset(&header) + 1;
    }
    return ERR_NONE;
}

/* The last row of the time index holds the largest timestamp: it is written when a segment is
 * closed. */
static enum err times_from_index(struct log *log, struct segment *segment, int64_t rows,
                                 int64_t size, struct segment *times, bool *found,
                                 struct reason *reason)
{
    struct index_row row;
    struct scan scan;
    struct batch first;
    enum err err =
        file_floor(log, segment, &segment->times, rows, INDEX_BY_KEY, INT64_MAX, &row, found);
    if (err != ERR_NONE || !*found) {
        *found = false;
        return ERR_NONE;
    }
    err = log_check_time_row(log, segment, &row, found, reason);
    if (err != ERR_NONE || !*found) {
        return err;
    }
    scan_init(&scan, segment->files, segment->fd, size);
    err = scan_header(&scan, 0, &first, reason);
    *found = err == ERR_NONE;
    if (*found) {
        times->first_timestamp = first.max_timestamp;
        times->max_timestamp = row.key;
        times->max_timestamp_offset = segment->base_offset + row.value;
        times->times.last = row;
        times->times.last_known = true;
    }
    return err == ERR_IO ? err : ERR_NONE;
}

/* From the index, else by a walk. The segment is held. */
static enum err find_times(struct log *log, struct segment *segment, int64_t rows, int64_t size,
                           struct segment *times, struct reason *reason)
{
    bool found = false;
    enum err err = ERR_NONE;
    if (rows > 0) {
        err = times_from_index(log, segment, rows, size, times, &found, reason);
    }
    if (err == ERR_NONE && !found && rows > 0) {
        mark_bad(log, segment);
    }
    return err != ERR_NONE || found ? err : walk_times(segment, size, times, reason);
}

static void take_times(struct segment *segment, const struct segment *times)
{
    if (segment->times_known) {
        return; /* another thread was faster */
    }
    segment->first_timestamp = times->first_timestamp;
    segment->max_timestamp = times->max_timestamp;
    segment->max_timestamp_offset = times->max_timestamp_offset;
    if (segment->index_bad) {
        segment->times.file_rows = 0; /* rows to come begin the file anew */
    }
    if (!segment->times.last_known) {
        segment->times.last = times->times.last;
        segment->times.last_known = times->times.last_known;
    }
    segment->times_known = true;
}

enum err log_load_times(struct log *log, struct segment *segment, struct reason *reason)
{
    pthread_mutex_lock(&log->segments_lock);
    bool known = segment->times_known;
    int64_t size = segment->size_bytes;
    int64_t rows = segment->times.file_rows;
    pthread_mutex_unlock(&log->segments_lock);
    if (known) {
        return ERR_NONE;
    }
    struct segment times = {.base_offset = segment->base_offset,
                            .first_timestamp = INT64_MIN,
                            .max_timestamp = INT64_MIN};
    index_init(&times.times, INDEX_TIMES);
    enum err err = segment_hold(segment, reason);
    if (err == ERR_NONE) {
        err = find_times(log, segment, rows, size, &times, reason);
        segment_let_go(segment);
    }
    if (err == ERR_NONE) {
        pthread_mutex_lock(&log->segments_lock);
        take_times(segment, &times);
        pthread_mutex_unlock(&log->segments_lock);
    }
    index_deinit(&times.times);
    return err;
}
