#include "log/log.h"

#include "log/log_internal.h"
#include "log/scan.h"

#include <assert.h>
#include <stdlib.h>

enum { TIME_MAX_BATCH_BYTES = 256 * 1024 * 1024 }; /* of one batch, decompressed */

/* What is looked for in the records. */
struct time_search {
    int64_t timestamp;  /* at least this */
    int64_t least;      /* offsets from here ... */
    int64_t max_offset; /* ... to below this */
    int64_t offset;     /* out; -1 */
    int64_t found_timestamp;
    /* the walk */
    int64_t position; /* of the next batch in its segment */
    int64_t expected; /* the offset that belongs there */
};

/* Segment number i with its size and largest timestamp, referenced; NULL past the last. */
static struct segment *take_segment(struct log *log, size_t i, int64_t *size, int64_t *end,
                                    int64_t *base_after)
{
    struct segment *segment = NULL;
    pthread_mutex_lock(&log->segments_lock);
    if (i < log->segments.count) {
        segment = log->segments.items[i];
        *size = segment->size_bytes;
        *end = log_segment_end(log, i);
        *base_after = *end;
        segment_ref(segment);
    }
    pthread_mutex_unlock(&log->segments_lock);
    return segment;
}

static enum err search_batch(struct scan *scan, int64_t position, const struct batch *header,
                             struct time_search *search, struct reason *reason)
{
    struct buf bytes = {0};
    struct batch batch;
    struct record_iterator iterator;
    enum err err = scan_load(scan, position, header, &bytes, &batch, reason);
    if (err != ERR_NONE) {
        buf_deinit(&bytes);
        return err;
    }
    err = record_iterator_init(&iterator, &batch, TIME_MAX_BATCH_BYTES, reason);
    bool done = false;
    while (err == ERR_NONE && !done && search->offset < 0) {
        struct record record;
        err = record_iterator_next(&iterator, &record, &done, reason);
        if (err == ERR_NONE && !done && record.timestamp >= search->timestamp &&
            record.offset >= search->least && record.offset < search->max_offset) {
            search->offset = record.offset;
            search->found_timestamp = record.timestamp;
        }
    }
    record_iterator_deinit(&iterator);
    buf_deinit(&bytes);
    return err;
}

/* The batch at search->position; goes on behind it, or behind the damage there. */
static enum err search_next(struct log *log, struct segment *segment, struct scan *scan,
                            int64_t end, struct time_search *search, struct reason *reason)
{
    struct batch header;
    struct damage damage;
    enum err err =
        scan_header_expected(scan, search->position, search->expected, end, &header, reason);
    if (err == ERR_CORRUPT || err == ERR_TRUNCATED) {
        err = log_note_damage(log, segment, search->position, scan->limit, search->expected, end,
                              &damage, reason);
        if (err == ERR_NONE) {
            search->position = damage.end;
            search->expected = damage.next_offset;
        }
        return err;
    }
    if (err != ERR_NONE) {
        return err;
    }
    if (header.max_timestamp >= search->timestamp && batch_last_offset(&header) >= search->least &&
        header.base_offset < search->max_offset) {
        err = search_batch(scan, search->position, &header, search, reason);
        err = err == ERR_CORRUPT ? ERR_NONE : err;
    }
    search->expected = batch_last_offset(&header) + 1;
    search->position += (int64_t)header.bytes.size;
    return err;
}

static enum err search_from(struct log *log, struct segment *segment, int64_t size, int64_t end,
                            struct time_search *search, struct reason *reason)
{
    struct scan scan;
    enum err err = ERR_NONE;
    scan_init(&scan, segment->files, segment->fd, size);
    while (err == ERR_NONE && search->position < size && search->offset < 0 &&
           search->expected < search->max_offset) {
        err = search_next(log, segment, &scan, end, search, reason);
    }
    scan_deinit(&scan);
    return err;
}

/* search->position: where the batches begin whose times may reach the timestamp. */
static enum err time_floor(struct log *log, struct segment *segment, struct time_search *search,
                           struct reason *reason)
{
    int64_t timestamp = search->timestamp;
    search->position = 0;
    search->expected = segment->base_offset;
    struct index_row row = {0};
    bool found;
    pthread_mutex_lock(&log->segments_lock);
    int64_t rows = segment->index_bad ? 0 : segment->times.file_rows;
    found = index_tail_floor(&segment->times, INDEX_BY_KEY, timestamp - 1, &row);
    pthread_mutex_unlock(&log->segments_lock);
    if (!found && rows > 0) {
        char *path = segment_path(log->dir, segment->base_offset, ".timeindex");
        if (index_file_floor(segment->files, path, INDEX_TIMES, rows, INDEX_BY_KEY, timestamp - 1,
                             &row, &found, NULL) != ERR_NONE) {
            found = false;
        }
        free(path);
        enum err err = found ? log_check_time_row(log, segment, &row, &found, reason) : ERR_NONE;
        if (err != ERR_NONE) {
            return err;
        }
    }
    if (!found) {
        return ERR_NONE;
    }
    /* Up to the batch that ends at row.value all times are below the one that is looked for. */
    return log_walk_begin(log, segment, segment->base_offset + row.value, &search->position,
                          &search->expected, reason);
}

static enum err search_segment(struct log *log, struct segment *segment, int64_t size, int64_t end,
                               struct time_search *search, struct reason *reason)
{
    enum err err = log_load_times(log, segment, reason);
    if (err != ERR_NONE) {
        return err;
    }
    pthread_mutex_lock(&log->segments_lock);
    int64_t largest = segment->max_timestamp;
    pthread_mutex_unlock(&log->segments_lock);
    if (largest < search->timestamp) {
        return ERR_NONE;
    }
    err = time_floor(log, segment, search, reason);
    if (err == ERR_NONE) {
        err = search_from(log, segment, size, end, search, reason);
    }
    return err;
}

enum err log_find_time(struct log *log, int64_t timestamp, int64_t max_offset, int64_t *offset,
                       int64_t *found_timestamp, struct reason *reason)
{
    struct time_search search = {.timestamp = timestamp,
                                 .least = atomic_load(&log->start_offset),
                                 .max_offset = max_offset,
                                 .offset = -1,
                                 .found_timestamp = -1};
    assert(log_is_loaded(log));
    enum err err = ERR_NONE;
    int64_t from = search.least;
    while (err == ERR_NONE && search.offset < 0 && from < max_offset) {
        int64_t size;
        int64_t end;
        pthread_mutex_lock(&log->segments_lock);
        size_t number = log_segment_number(log, from);
        pthread_mutex_unlock(&log->segments_lock);
        int64_t next;
        struct segment *segment = take_segment(log, number, &size, &end, &next);
        if (segment == NULL) {
            break;
        }
        err = segment_hold(segment, reason);
        bool held = err == ERR_NONE;
        if (held) {
            err = search_segment(log, segment, size, end, &search, reason);
            segment_let_go(segment);
        }
        segment_unref(segment);
        if (!held && err == ERR_CLOSED && !atomic_load(&log->deleted)) {
            err = ERR_NONE; /* the list has changed */
            continue;
        }
        if (next <= from) {
            break; /* the active segment was the last */
        }
        from = next;
    }
    *offset = search.offset;
    *found_timestamp = search.found_timestamp;
    return err;
}

/* The largest timestamp of the batches that count: [start, max_offset). */
static enum err max_of_segment(struct log *log, struct segment *segment, int64_t size, int64_t end,
                               int64_t max_offset, int64_t *largest, struct reason *reason)
{
    int64_t start = atomic_load(&log->start_offset);
    if (end <= max_offset && segment->base_offset >= start) {
        enum err err = log_load_times(log, segment, reason);
        pthread_mutex_lock(&log->segments_lock);
        *largest = segment->max_timestamp;
        pthread_mutex_unlock(&log->segments_lock);
        return err;
    }
    struct scan scan;
    struct batch header;
    scan_init(&scan, segment->files, segment->fd, size);
    for (int64_t position = 0; position < size; position += (int64_t)header.bytes.size) {
        enum err err = scan_header(&scan, position, &header, reason);
        if (err == ERR_IO) {
            return err;
        }
        if (err != ERR_NONE || header.base_offset >= max_offset) {
            break;
        }
        if (batch_last_offset(&header) >= start && header.max_timestamp > *largest &&
            header.record_count > 0) {
            *largest = header.max_timestamp;
        }
    }
    return ERR_NONE;
}

enum err log_find_max_time(struct log *log, int64_t max_offset, int64_t *offset, int64_t *timestamp,
                           struct reason *reason)
{
    *offset = -1;
    *timestamp = -1;
    int64_t largest = -1;
    assert(log_is_loaded(log));
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE; i++) {
        int64_t size;
        int64_t end;
        int64_t next;
        int64_t of_segment = INT64_MIN;
        struct segment *segment = take_segment(log, i, &size, &end, &next);
        if (segment == NULL) {
            break;
        }
        bool wanted = segment->base_offset < max_offset && end > atomic_load(&log->start_offset);
        if (wanted) {
            err = segment_hold(segment, reason);
        }
        if (wanted && err == ERR_NONE) {
            err = max_of_segment(log, segment, size, end, max_offset, &of_segment, reason);
            segment_let_go(segment);
        } else if (err == ERR_CLOSED && !atomic_load(&log->deleted)) {
            err = ERR_NONE; /* deleted as retention wants it */
        }
        segment_unref(segment);
        largest = of_segment > largest ? of_segment : largest;
    }
    if (err != ERR_NONE || largest < 0) {
        return err;
    }
    return log_find_time(log, largest, max_offset, offset, timestamp, reason);
}
