#include "log/recovery_internal.h"

#include "base/logger.h"
#include "log/scan.h"

#include <stdlib.h>

/*
 * Scanning what a checkpoint does not vouch for: every CRC is checked.
 *
 * Where good bytes end, two cases are told apart. A file that ends early (inside a batch, or before
 * the offset where the next segment begins) was never synced as a whole, and nothing behind it was
 * ever published as flushed, since a flush covers the older segments first: this is a torn tail and
 * is cut. Bad bytes with good batches behind them in the same file may be damage to synced data:
 * they are reported and kept, and so is everything behind. Below the checkpoint nothing is cut.
 */
static enum err take_good(struct recovery *recovery, struct segment *segment, struct scan *scan,
                          int64_t position, const struct batch *header, struct reason *reason)
{
    struct log *log = recovery->log;
    int64_t now_ms = clock_wall_ms(log->env.clock);
    enum err err = ERR_NONE;
    if (batch_is_control(header)) {
        struct buf bytes = {0};
        struct batch batch;
        err = scan_load(scan, position, header, &bytes, &batch, reason);
        if (err == ERR_NONE) {
            producer_apply(&log->producers, &batch, now_ms);
        }
        buf_deinit(&bytes);
    } else {
        producer_apply(&log->producers, header, now_ms);
    }
    segment_take_batch(segment, header, position, log->config.index_interval_bytes);
    recovery->report->scanned_bytes += (int64_t)header->bytes.size;
    recovery->next = batch_last_offset(header) + 1;
    return err;
}

/* One segment's scan. */
struct segment_scan {
    struct scan scan;
    struct segment *segment;
    int64_t size;
    int64_t end_offset; /* where the next segment begins; INT64_MAX: this is the active one */
    int64_t position;   /* good up to here */
    bool after_damage;
};

/* ERR_NONE when a good batch begins at the position. */
static enum err check_batch(struct recovery *recovery, struct segment_scan *at,
                            struct batch *header, struct reason *reason)
{
    enum err err = scan_header(&at->scan, at->position, header, reason);
    if (err != ERR_NONE) {
        return err;
    }
    int64_t last = batch_last_offset(header);
    bool gap = header->base_offset != recovery->next;
    /* Compaction leaves gaps, and never touches the active segment. */
    bool no_gap_allowed = at->end_offset == INT64_MAX && !at->after_damage;
    if (header->base_offset < recovery->next || last >= at->end_offset ||
        last - at->segment->base_offset > INT32_MAX || (gap && no_gap_allowed) ||
        scan_is_suspect(&at->scan, at->position, header, recovery->next)) {
        return reason_fail(reason, ERR_CORRUPT, "the offsets at position %lld do not fit",
                           (long long)at->position);
    }
    return scan_check_crc(&at->scan, at->position, header, reason);
}

/* Goes to the next good batch behind bad bytes; *found false when there is none. */
static enum err step_over(struct recovery *recovery, struct segment_scan *at, bool *found,
                          struct reason *reason)
{
    bool active = at->end_offset == INT64_MAX;
    int64_t most = active ? at->segment->base_offset + INT32_MAX : at->end_offset - 1;
    struct batch header;
    struct damage damage;
    int64_t next;
    enum err err =
        scan_resync(&at->scan, at->position, recovery->next, most, &next, &header, reason);
    *found = err == ERR_NONE && next >= 0;
    if (!*found) {
        return err;
    }
    recovery->report->damaged_batches++;
    err = log_note_damage(recovery->log, at->segment, at->position, at->size, recovery->next,
                          active ? header.base_offset + 1 : at->end_offset, &damage, reason);
    at->position = next;
    at->after_damage = true;
    return err;
}

/* Scans on to where good batches end; at->position is there then. */
static enum err scan_on(struct recovery *recovery, struct segment_scan *at, struct reason *reason)
{
    enum err err = ERR_NONE;
    bool found = true;
    while (err == ERR_NONE && found && at->position < at->size) {
        struct batch header;
        err = check_batch(recovery, at, &header, reason);
        if (err == ERR_NONE) {
            err = take_good(recovery, at->segment, &at->scan, at->position, &header, reason);
            at->position += (int64_t)header.bytes.size;
            at->after_damage = false;
        } else if (err == ERR_CORRUPT || err == ERR_TRUNCATED) {
            err = step_over(recovery, at, &found, reason);
        }
    }
    return err;
}

/* Scans on from position to where good batches end; *position is there then. */
static enum err scan_segment(struct recovery *recovery, struct segment *segment, int64_t size,
                             int64_t end_offset, int64_t *position, struct reason *reason)
{
    struct segment_scan at = {
        .segment = segment, .size = size, .end_offset = end_offset, .position = *position};
    scan_init(&at.scan, segment->files, segment->fd, size);
    enum err err = scan_on(recovery, &at, reason);
    scan_deinit(&at.scan);
    *position = at.position;
    return err;
}

/* Bytes to the end of the file are bad, and stay. */
static void keep_bad_tail(struct recovery *recovery, struct segment *segment, int64_t position,
                          int64_t size, int64_t next_offset)
{
    struct damage damage = {.position = position,
                            .end = size,
                            .first_offset = recovery->next,
                            .next_offset = next_offset};
    recovery->report->damaged_batches++;
    if (position < size) {
        segment->size_bytes = size;
        log_add_damage(recovery->log, segment, &damage);
    } else {
        LOG_ERROR("log", "events that were on disk are gone",
                  "file=\"%s/%020lld.log\" position=%lld offsets=%lld-%lld", recovery->log->dir,
                  (long long)segment->base_offset, (long long)position,
                  (long long)damage.first_offset, (long long)next_offset - 1);
    }
    recovery->next = next_offset;
}

/* Puts segments from number i on aside, as <name>.log.cut: they are behind a cut. */
static enum err set_aside(struct recovery *recovery, size_t i, struct reason *reason)
{
    struct log *log = recovery->log;
    while (log->segment_count > i) {
        struct segment *segment = log->segments[log->segment_count - 1];
        char *from = segment_path(log->dir, segment->base_offset, ".log");
        char *to = segment_path(log->dir, segment->base_offset, ".log.cut");
        enum err err = segment->size_bytes > 0 ? file_rename(log->env.files, from, to, reason)
                                               : file_unlink(log->env.files, from, reason);
        free(from);
        free(to);
        if (err == ERR_NONE) {
            err = segment_unlink(log->env.files, log->dir, segment->base_offset, reason);
        }
        if (err != ERR_NONE) {
            return err;
        }
        recovery->report->truncated_bytes += segment->size_bytes;
        log->segment_count--;
        segment_unref(segment);
    }
    return file_sync_dir(log->env.files, log->dir, reason);
}

static enum err cut(struct recovery *recovery, size_t i, int64_t position, int64_t size,
                    struct reason *reason)
{
    struct log *log = recovery->log;
    enum err err = set_aside(recovery, i + 1, reason);
    if (err == ERR_NONE && position < size) {
        log_cut_damages(log, log->segments[i], position);
        err = file_truncate(log->env.files, log->segments[i]->fd, position, reason);
        recovery->report->truncated_bytes += size - position;
    }
    recovery->report->truncated_at = recovery->next;
    LOG_WARN("log", "cut off a tail that a crash left unfinished",
             "file=\"%s/%020lld.log\" position=%lld bytes=%lld end_offset=%lld", log->dir,
             (long long)log->segments[i]->base_offset, (long long)position,
             (long long)recovery->report->truncated_bytes, (long long)recovery->next);
    return err;
}

static bool begins_good(const struct segment *segment)
{
    struct scan scan;
    struct batch header;
    scan_init(&scan, segment->files, segment->fd, segment->size_bytes);
    bool good = scan_header(&scan, 0, &header, NULL) == ERR_NONE &&
                header.base_offset == segment->base_offset &&
                scan_check_crc(&scan, 0, &header, NULL) == ERR_NONE;
    scan_deinit(&scan);
    return good;
}

/* Whether the bad bytes are one whole batch that reaches exactly to the next segment, which begins
 * well: it is damage with good batches behind it and no torn tail. */
static bool is_whole_but_bad(const struct segment *segment, int64_t position, int64_t size,
                             const struct segment *next)
{
    struct scan scan;
    struct batch header;
    scan_init(&scan, segment->files, segment->fd, size);
    return scan_header(&scan, position, &header, NULL) == ERR_NONE &&
           position + (int64_t)header.bytes.size == size &&
           batch_last_offset(&header) + 1 == next->base_offset && begins_good(next);
}

/* Decides what the end of a scanned segment means. */
static enum err settle_end(struct recovery *recovery, size_t i, int64_t position, int64_t size,
                           struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments[i];
    segment->size_bytes = position;
    if (i + 1 < log->segment_count) {
        int64_t next_base = log->segments[i + 1]->base_offset;
        if (position == size && recovery->next == next_base) {
            return ERR_NONE;
        }
        if (recovery->next < recovery->floor || next_base <= recovery->floor ||
            (position < size && is_whole_but_bad(segment, position, size, log->segments[i + 1]))) {
            keep_bad_tail(recovery, segment, position, size, next_base);
            return ERR_NONE;
        }
        return cut(recovery, i, position, size, reason);
    }
    if (recovery->next < recovery->floor) {
        keep_bad_tail(recovery, segment, position, size, recovery->floor);
        return recovery_add_segment(log, recovery->floor,
                                    reason); /* offsets are never used twice */
    }
    return position < size ? cut(recovery, i, position, size, reason) : ERR_NONE;
}

/* How many rows of the index file lie before the offset (and count); -1 when the file is no good.
 */
static int64_t rows_before(struct log *log, const struct segment *segment, enum index_kind kind,
                           int64_t offset)
{
    int64_t rows = log_index_file_rows(log, segment, kind, INT64_MAX, false);
    if (rows <= 0) {
        return rows;
    }
    struct index_row row;
    bool found;
    char *path = segment_path(log->dir, segment->base_offset, index_suffix(kind));
    enum err err = index_file_floor(log->env.files, path, kind, rows,
                                    kind == INDEX_OFFSETS ? INDEX_BY_KEY : INDEX_BY_VALUE,
                                    offset - segment->base_offset - 1, &row, &found, NULL);
    free(path);
    return err != ERR_NONE ? -1 : found ? row.number + 1 : 0;
}

/* Index rows of what lies before the scan stay; the scan adds the others. */
static enum err keep_rows_before(struct recovery *recovery, struct segment *segment,
                                 struct reason *reason)
{
    struct log *log = recovery->log;
    int64_t rows = rows_before(log, segment, INDEX_OFFSETS, recovery->from);
    int64_t times = rows_before(log, segment, INDEX_TIMES, recovery->from);
    if ((rows < 0 || times < 0) && segment->size_bytes > log->config.index_interval_bytes) {
        recovery->report->rebuilt_indexes++;
        return log_rebuild_indexes(log, segment, reason);
    }
    segment->offsets.file_rows = rows < 0 ? 0 : rows;
    segment->times.file_rows = times < 0 ? 0 : times;
    return log_load_times(log, segment, reason);
}

enum err recovery_scan_segment(struct recovery *recovery, size_t i, int64_t position,
                               struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments[i];
    int64_t size = segment->size_bytes;
    int64_t end = i + 1 < log->segment_count ? log->segments[i + 1]->base_offset : INT64_MAX;
    segment->size_bytes = position;
    enum err err = ERR_NONE;
    if (position > 0) {
        err = keep_rows_before(recovery, segment, reason);
    } else {
        index_reset(&segment->offsets);
        index_reset(&segment->times);
        segment->times_known = true;
    }
    if (err == ERR_NONE) {
        err = scan_segment(recovery, segment, size, end, &position, reason);
    }
    if (err == ERR_NONE) {
        err = settle_end(recovery, i, position, size, reason);
    }
    if (err == ERR_NONE) {
        err = file_sync(segment->files, segment->fd, reason);
        segment->synced_bytes = segment->size_bytes;
    }
    segment->finished = false;
    return err;
}
