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
 * is cut. So is a tail that begins with a hole (scan_is_hole): had a sync covered what lies behind
 * it, it would have covered the hole. Other bad bytes with good batches behind them in the same
 * file may be damage to synced data: they are reported and kept, and so is everything behind. So
 * is a batch whose CRC tells that it was whole: only what the CRC does not cover is bad.
 * Below the checkpoint nothing is cut; without one all counts as behind it.
 */

static enum err take_good(struct recovery *recovery, struct segment *segment, struct scan *scan,
                          int64_t position, const struct batch *header, struct reason *reason)
{
    struct log *log = recovery->log;
    enum err err = log_apply_header(log, &log->producers, scan, position, header, segment, reason);
    segment_take_batch(segment, header, position, log->config.index_interval_bytes);
    recovery->report->scanned_bytes += (int64_t)header->bytes.size;
    recovery->next = batch_last_offset(header) + 1;
    return err;
}

enum err recovery_add_segment(struct log *log, int64_t base_offset, struct reason *reason)
{
    struct segment *segment;
    enum err err =
        segment_open(log->env.files, log->env.fds, log->dir, base_offset, true, &segment, reason);
    if (err == ERR_NONE) {
        log_add_segment(log, segment);
        log->dir_dirty = true;
    }
    return err;
}

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

/* Goes to the next good batch behind bad bytes; *found false when there is none, or a hole. */
static enum err step_over(struct recovery *recovery, struct segment_scan *at, bool *found,
                          struct reason *reason)
{
    struct damage damage;
    bool noted = recovery_find_noted(at->segment, at->position) != NULL;
    enum err err = recovery_measure_damage(recovery, at, &damage, found, reason);
    if (!*found) {
        return err;
    }
    recovery->report->damaged_batches++;
    if (!noted) {
        log_add_damage(recovery->log, at->segment, &damage);
    }
    recovery->next = damage.next_offset;
    at->position = damage.end;
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

static enum err cut_tail(struct recovery *recovery, size_t i, const struct segment_scan *at,
                         struct reason *reason)
{
    struct cut cut = {.segment = i, .position = at->position, .size = at->size, .hole = at->hole};
    return recovery_cut(recovery, &cut, reason);
}

/* Decides what the end of a scanned segment means that has another one behind it. */
static enum err settle_closed(struct recovery *recovery, size_t i, struct segment_scan *at,
                              struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *next = log->segments.items[i + 1];
    if (at->position == at->size && recovery->next == next->base_offset) {
        return ERR_NONE;
    }
    bool keep = !recovery_may_cut(recovery, next->base_offset);
    enum err err = ERR_NONE;
    if (!keep && !at->hole) {
        err = recovery_is_whole_but_bad(at, recovery->next, next, &keep, reason);
    }
    if (keep && err == ERR_NONE) {
        keep_bad_tail(recovery, log->segments.items[i], at->position, at->size, next->base_offset);
    }
    return keep || err != ERR_NONE ? err : cut_tail(recovery, i, at, reason);
}

/* Decides what the end of a scanned segment means. */
static enum err settle_end(struct recovery *recovery, size_t i, struct segment_scan *at,
                           struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments.items[i];
    segment->size_bytes = at->position;
    if (i + 1 < log->segments.count) {
        return settle_closed(recovery, i, at, reason);
    }
    if (recovery->next < recovery->floor) {
        keep_bad_tail(recovery, segment, at->position, at->size, recovery->floor);
        return recovery_add_segment(log, recovery->floor,
                                    reason); /* offsets are never used twice */
    }
    return at->position < at->size ? cut_tail(recovery, i, at, reason) : ERR_NONE;
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

static enum err scan_held(struct recovery *recovery, size_t i, int64_t position,
                          struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments.items[i];
    struct segment_scan at = {.segment = segment,
                              .size = segment->size_bytes,
                              .end_offset = i + 1 < log->segments.count
                                                ? log->segments.items[i + 1]->base_offset
                                                : INT64_MAX,
                              .position = position};
    segment->size_bytes = position;
    segment->written_from = position;
    enum err err = ERR_NONE;
    if (position > 0) {
        err = keep_rows_before(recovery, segment, reason);
    } else {
        index_reset(&segment->offsets);
        index_reset(&segment->times);
        segment->times_known = true;
    }
    scan_init(&at.scan, segment->files, segment->fd, at.size);
    if (err == ERR_NONE) {
        err = scan_on(recovery, &at, reason);
    }
    if (err == ERR_NONE) {
        err = settle_end(recovery, i, &at, reason);
    }
    scan_deinit(&at.scan);
    if (err == ERR_NONE && !log->env.sync_later) {
        err = file_sync(segment->files, segment->fd, reason);
    }
    if (err == ERR_NONE) {
        segment->synced_bytes = segment->size_bytes;
    }
    segment->finished = false;
    return err;
}

enum err recovery_scan_segment(struct recovery *recovery, size_t i, int64_t position,
                               struct reason *reason)
{
    struct segment *segment = recovery->log->segments.items[i];
    enum err err = segment_hold(segment, reason);
    if (err == ERR_NONE) {
        err = scan_held(recovery, i, position, reason);
        segment_let_go(segment);
    }
    return err;
}
