#include "log/recovery_internal.h"

#include "base/logger.h"
#include "log/scan.h"

/*
 * Opening a log: what the last checkpoint says is on disk is trusted when sizes agree; everything
 * behind it is scanned (recovery_scan.c).
 */

static enum err open_segments(struct log *log, const struct log_files *found, struct reason *reason)
{
    for (size_t i = 0; i < found->segments.count; i++) {
        struct segment *segment;
        enum err err = segment_open(log->env.files, log->env.fds, log->dir,
                                    found->segments.items[i], false, &segment, reason);
        if (err != ERR_NONE) {
            return err;
        }
        segment->finished = true;
        log_add_segment(log, segment);
        for (size_t k = 0; k < found->damages.count && err == ERR_NONE; k++) {
            if (found->damages.items[k] == segment->base_offset) {
                err = log_load_damages(log, segment, reason);
            }
        }
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}

/* Takes over the index files of a segment that is not scanned. */
static enum err adopt_indexes(struct recovery *recovery, size_t i, int64_t end, bool deep,
                              struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments.items[i];
    int64_t rows = log_index_file_rows(log, segment, INDEX_OFFSETS, end, deep);
    int64_t times = log_index_file_rows(log, segment, INDEX_TIMES, end, deep);
    if ((rows < 0 || times < 0) && segment->size_bytes > log->config.index_interval_bytes) {
        recovery->report->rebuilt_indexes++;
        segment->aborts_bad = true; /* who deletes index files deletes all of them */
        return log_rebuild_indexes(log, segment, reason);
    }
    segment->offsets.file_rows = rows < 0 ? 0 : rows;
    segment->times.file_rows = times < 0 ? 0 : times;
    return ERR_NONE;
}

/* Whether batches reach from the start of the segment exactly to the checkpoint's position. */
static bool headers_reach(const struct segment *segment, const struct log_state *known)
{
    struct scan scan;
    struct batch header;
    int64_t position = 0;
    int64_t next = segment->base_offset;
    scan_init(&scan, segment->files, segment->fd, known->active_size);
    while (position < known->active_size) {
        if (scan_header(&scan, position, &header, NULL) != ERR_NONE) {
            return false;
        }
        position += (int64_t)header.bytes.size;
        next = batch_last_offset(&header) + 1;
    }
    return position == known->active_size && next <= known->end_offset;
}

/*
 * Whether the scan may begin where the checkpoint ends: the file ends there too, or goes on there,
 * or a torn batch follows what fits. A segment of a compacted log that has another one behind it
 * (next, else NULL) may be another one now; then the position means nothing, unless batches lead to
 * it.
 */
static bool position_fits(const struct segment *segment, const struct segment *next,
                          const struct log_state *known)
{
    struct scan scan;
    struct batch header;
    if (next != NULL) {
        return segment->size_bytes == known->active_size
                   ? next->base_offset == known->end_offset
                   : segment->size_bytes > known->active_size && headers_reach(segment, known);
    }
    if (segment->size_bytes <= known->active_size) {
        return segment->size_bytes == known->active_size;
    }
    scan_init(&scan, segment->files, segment->fd, segment->size_bytes);
    if (scan_header(&scan, known->active_size, &header, NULL) == ERR_NONE) {
        return header.base_offset >= known->end_offset;
    }
    return headers_reach(segment, known);
}

/* Where the scan begins, and the number of its segment. */
static enum err choose_start(struct recovery *recovery, const struct log_state *known,
                             bool compacted, size_t *number, struct reason *reason)
{
    const struct log *log = recovery->log;
    recovery->position = 0;
    recovery->from = log->segments.items[0]->base_offset;
    *number = 0;
    if (known == NULL) {
        return ERR_NONE;
    }
    *number = log_segment_number(log, known->active_base);
    struct segment *segment = log->segments.items[*number];
    recovery->from = segment->base_offset;
    const struct segment *next =
        compacted && *number + 1 < log->segments.count ? log->segments.items[*number + 1] : NULL;
    enum err err = segment_hold(segment, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (segment->base_offset == known->active_base && position_fits(segment, next, known)) {
        recovery->from = known->end_offset;
        recovery->position = known->active_size;
        segment->written_from = recovery->position; /* no replay looks behind it */
    }
    segment_let_go(segment);
    return ERR_NONE;
}

/* Where the batches of a segment end by their headers from near its end on; -1: not known, as
 * damage is in the way, which is told by who finds it. The segment is held. */
static enum err find_reach(struct log *log, struct segment *segment, int64_t end, int64_t *reach,
                           struct reason *reason)
{
    struct scan scan;
    struct batch header;
    int64_t position;
    enum err err = log_walk_begin(log, segment, end - 1, &position, reach, reason);
    scan_init(&scan, segment->files, segment->fd, segment->size_bytes);
    while (err == ERR_NONE && *reach >= 0 && position < segment->size_bytes) {
        const struct damage *noted = recovery_find_noted(segment, position);
        if (noted != NULL) {
            position = noted->end;
            *reach = noted->next_offset;
            continue;
        }
        err = scan_header(&scan, position, &header, reason);
        if (err == ERR_CORRUPT || err == ERR_TRUNCATED) {
            *reach = -1;
            return ERR_NONE;
        }
        position += (int64_t)header.bytes.size;
        *reach = batch_last_offset(&header) + 1;
    }
    return err;
}

/* Says which offsets are gone with a segment, or the end of one, below what is scanned. A segment
 * reaches to where the next one begins, also a compacted one. */
static enum err tell_missing(struct recovery *recovery, size_t i, struct reason *reason)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments.items[i];
    int64_t end = log->segments.items[i + 1]->base_offset;
    int64_t reach = -1;
    enum err err = segment_hold(segment, reason);
    if (err == ERR_NONE) {
        err = find_reach(log, segment, end, &reach, reason);
        segment_let_go(segment);
    }
    if (err == ERR_NONE && reach >= 0 && reach < end) {
        recovery->report->damaged_batches++;
        LOG_ERROR("log", "events that were on disk are gone",
                  "file=\"%s/%020lld.log\" position=%lld offsets=%lld-%lld", log->dir,
                  (long long)segment->base_offset, (long long)segment->size_bytes, (long long)reach,
                  (long long)end - 1);
    }
    return err;
}

/* Producers as of `from`. exact: the newest snapshot at or before it is their state there. */
static enum err recover_producers(struct recovery *recovery, const struct log_files *found,
                                  bool exact, struct reason *reason)
{
    struct log *log = recovery->log;
    int64_t loaded;
    int64_t newest = -1;
    for (size_t i = 0; i < found->snapshots.count; i++) {
        if (found->snapshots.items[i] <= recovery->from) {
            newest = found->snapshots.items[i];
        }
    }
    enum err err = log_load_producers(log, found, recovery->from, &loaded, reason);
    if (loaded >= 0) {
        log->producers.changes++;
    }
    if (loaded >= 0 && loaded < log->segments.items[0]->base_offset) {
        /* Their markers may have been deleted since. What was deleted of those that are still open
         * holds nobody back, and what was not opens them again. */
        producer_forget_txns(&log->producers);
    }
    if (loaded == newest) { /* a checkpoint need not write again what was read unchanged */
        log->snapshot_changes = log->producers.changes;
    }
    /* Snapshots only of later: the one that belongs here was given up for them. */
    bool lost = newest < 0 && found->snapshots.count > 0;
    if (err == ERR_NONE && (loaded != newest || lost || (!exact && loaded >= 0))) {
        int64_t first = log->segments.items[0]->base_offset;
        err = log_replay_producers(log, &log->producers, loaded > first ? loaded : first,
                                   recovery->from, false, reason);
    }
    return err;
}

static enum err scan_from(struct recovery *recovery, const struct log_state *known,
                          const struct log_files *found, struct reason *reason)
{
    struct log *log = recovery->log;
    size_t number;
    enum err err = choose_start(recovery, known, found->compacted, &number, reason);
    recovery->next = recovery->from;
    for (size_t i = 0; i < number && err == ERR_NONE; i++) {
        err = adopt_indexes(recovery, i, log->segments.items[i + 1]->base_offset, true, reason);
        if (err == ERR_NONE) {
            err = tell_missing(recovery, i, reason);
        }
    }
    if (err == ERR_NONE) {
        err = log_adopt_aborts(log, found, number, recovery->from,
                               &recovery->report->rebuilt_indexes, reason);
    }
    if (err == ERR_NONE) {
        bool exact = known != NULL && recovery->from == known->end_offset;
        err = recover_producers(recovery, found, exact, reason);
    }
    int64_t position = recovery->position;
    for (size_t i = number; i < log->segments.count && err == ERR_NONE; i++) {
        err = recovery_scan_segment(recovery, i, position, reason);
        position = 0;
    }
    if (err == ERR_NONE) {
        err = log_replace_aborts(log, reason);
    }
    /* Names that a crash of the process left unsynced. */
    return err == ERR_NONE && !log->env.sync_later ? file_sync_dir(log->env.files, log->dir, reason)
                                                   : err;
}

/* Whether all segments have the bytes that are known: none is missing or shorter. */
static bool has_all_bytes(const struct log *log, const struct log_state *known)
{
    int64_t size = 0;
    for (size_t i = 0; i < log->segments.count; i++) {
        size += log->segments.items[i]->size_bytes;
    }
    return known->idle_known && size == known->size_bytes;
}

static enum err trust_clean(struct recovery *recovery, const struct log_state *known,
                            const struct log_files *found, struct reason *reason)
{
    struct log *log = recovery->log;
    enum err err = ERR_NONE;
    bool whole = has_all_bytes(log, known);
    for (size_t i = 0; i < log->segments.count && err == ERR_NONE; i++) {
        int64_t end = i + 1 < log->segments.count ? log->segments.items[i + 1]->base_offset
                                                  : known->end_offset;
        err = adopt_indexes(recovery, i, end, log->load_deep, reason);
        if (err == ERR_NONE && !whole && i + 1 < log->segments.count) {
            err = tell_missing(recovery, i, reason);
        }
    }
    recovery->from = known->end_offset;
    recovery->next = known->end_offset;
    if (err == ERR_NONE) {
        err = log_adopt_aborts(log, found, log->segments.count, recovery->from,
                               &recovery->report->rebuilt_indexes, reason);
    }
    return err == ERR_NONE ? recover_producers(recovery, found, true, reason) : err;
}

static bool is_clean(const struct log *log, const struct log_state *known)
{
    if (known == NULL || !known->clean) {
        return false;
    }
    const struct segment *last = log_active(log);
    if (last->base_offset == known->active_base && last->size_bytes == known->active_size) {
        return true;
    }
    LOG_WARN("log", "the files changed since the last clean stop; scanning them",
             "dir=\"%s\" expected_bytes=%lld found_bytes=%lld", log->dir,
             (long long)known->active_size, (long long)last->size_bytes);
    return false;
}

static void settle_offsets(struct recovery *recovery, const struct log_state *known)
{
    struct log *log = recovery->log;
    int64_t start = log->segments.items[0]->base_offset;
    if (known != NULL && known->start_offset > start) {
        start = known->start_offset;
    }
    int64_t size = 0;
    for (size_t i = 0; i < log->segments.count; i++) {
        size += log->segments.items[i]->size_bytes;
    }
    atomic_store(&log->start_offset, start);
    atomic_store(&log->end_offset, recovery->next);
    atomic_store(&log->flushed_offset, recovery->next);
    atomic_store(&log->size_bytes, size);
    log_publish_txns(log, NULL); /* what was ended is on disk: nothing is undecided */
    if (known != NULL) {
        log->checkpoint = *known;
        log->checkpoint.clean = false;
    } else {
        int64_t base = log->segments.items[0]->base_offset;
        log->checkpoint = (struct log_state){.end_offset = base, .active_base = base};
    }
}

/* A directory without segments: a new log, or one whose files are gone. */
static enum err begin_empty(struct recovery *recovery, const struct log_state *known,
                            const struct log_files *found, struct reason *reason)
{
    recovery->next = known == NULL ? 0 : known->end_offset;
    if (known != NULL && known->end_offset > known->start_offset) {
        LOG_ERROR("log", "the segment files are gone", "dir=\"%s\" offsets=%lld-%lld",
                  recovery->log->dir, (long long)known->start_offset,
                  (long long)known->end_offset - 1);
        recovery->report->damaged_batches++;
        recovery->report->emptied = true;
    }
    enum err err = recovery_add_segment(recovery->log, recovery->next, reason);
    return err == ERR_NONE ? log_adopt_aborts(recovery->log, found, 0, recovery->next,
                                              &recovery->report->rebuilt_indexes, reason)
                           : err;
}

enum err log_recover(struct log *log, const struct log_state *known, struct log_recovery *report,
                     struct reason *reason)
{
    *report = (struct log_recovery){.truncated_at = -1};
    struct recovery recovery = {.log = log, .report = report};
    struct log_files found;
    enum err err = log_finish_swaps(log, reason);
    if (err == ERR_NONE) {
        err = log_files_list(log, &found, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    err = open_segments(log, &found, reason);
    if (err == ERR_NONE && log->segments.count == 0) {
        err = begin_empty(&recovery, known, &found, reason);
    } else if (err == ERR_NONE) {
        recovery.floor = known != NULL ? known->end_offset : log->segments.items[0]->base_offset;
        err = is_clean(log, known) ? trust_clean(&recovery, known, &found, reason)
                                   : scan_from(&recovery, known, &found, reason);
    }
    if (err == ERR_NONE) {
        settle_offsets(&recovery, known);
        log_adopt_snapshots(log, &found, recovery.next);
    }
    log_files_deinit(&found);
    return err;
}
