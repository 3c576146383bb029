#include "batch/batch_filter.h"
#include "log/compact_internal.h"

#include "base/mem.h"

#include <string.h>

/* What is left of a batch (Kafka's Cleaner.cleanInto and MemoryRecords.filterTo). */

static bool is_last_of_producer(const struct compact_pass *pass, const struct batch *batch)
{
    struct compact_producer *producer;
    if (batch->producer_id < 0) {
        return false;
    }
    HASH_FIND(hh, pass->producers, &batch->producer_id, sizeof batch->producer_id, producer);
    if (producer == NULL) {
        return false;
    }
    return producer->last_offset >= 0
               ? batch_last_offset(batch) == producer->last_offset
               : batch_is_control(batch) && batch->producer_epoch == producer->epoch;
}

/* When tombstones that are found now may go; never overflows: they may be kept for ever. */
static int64_t next_horizon(const struct compact_pass *pass)
{
    int64_t horizon_ms;
    return __builtin_add_overflow(pass->now_ms, pass->delete_retention_ms, &horizon_ms)
               ? INT64_MAX
               : horizon_ms;
}

static bool horizon_passed(const struct compact_pass *pass, const struct batch *batch)
{
    int64_t horizon_ms = batch_delete_horizon(batch);
    return horizon_ms >= 0 && horizon_ms <= pass->now_ms;
}

static bool keeps_record(struct compact_pass *pass, const struct batch *batch,
                         const struct record *record, bool *tombstone)
{
    if (record->offset >= pass->map_end) {
        return true;
    }
    if (slice_is_null(record->key)) {
        pass->result->keyless_records++;
        return false;
    }
    if (record->offset < compact_map_get(&pass->map, record->key)) {
        return false;
    }
    if (!slice_is_null(record->value)) {
        return true;
    }
    *tombstone = true;
    return !horizon_passed(pass, batch);
}

/* What is decided of the records of a batch. */
struct verdict {
    int32_t kept;
    bool tombstones; /* among those that stay */
};

/* Fills pass->keep. ERR_CORRUPT and the like: the batch cannot be opened. */
static enum err judge_records(struct compact_pass *pass, const struct batch *batch,
                              struct record_iterator *iterator, struct verdict *verdict,
                              struct reason *reason)
{
    *verdict = (struct verdict){.kept = 0};
    buf_clear(&pass->keep);
    for (;;) {
        struct record record;
        bool done;
        bool tombstone = false;
        enum err err = record_iterator_next(iterator, &record, &done, reason);
        if (err != ERR_NONE || done) {
            return err;
        }
        bool keep = batch_is_control(batch) || keeps_record(pass, batch, &record, &tombstone);
        buf_append_u8(&pass->keep, keep);
        verdict->kept += keep;
        verdict->tombstones = verdict->tombstones || (keep && tombstone);
    }
}

static void take_whole(const struct batch *batch, struct buf *out)
{
    buf_append_slice(out, batch->bytes);
}

/* Nothing of its records is left. */
static void take_none(const struct batch *batch, bool retain_empty, struct buf *out, bool *changed)
{
    *changed = !retain_empty || batch->record_count > 0;
    if (!*changed) {
        take_whole(batch, out);
    } else if (retain_empty) {
        batch_filter_all(batch, out);
    }
}

static enum err filter_records(struct compact_pass *pass, const struct batch *batch,
                               bool retain_empty, bool marker_may_go, struct buf *out,
                               bool *changed, struct reason *reason)
{
    struct record_iterator iterator;
    struct verdict verdict = {.kept = 0};
    enum err err = record_iterator_init(&iterator, batch, BATCH_DECOMPRESSED_MAX_BYTES, NULL);
    if (err == ERR_NONE) {
        err = judge_records(pass, batch, &iterator, &verdict, NULL);
    }
    bool closed = err != ERR_NONE;
    err = ERR_NONE;
    bool horizon_due =
        (verdict.tombstones || marker_may_go) && batch_delete_horizon(batch) < 0 && !closed;
    if (closed) {
        /* Whoever could open it may find newest records in it. */
        pass->result->closed_batches++;
        take_whole(batch, out);
    } else if (verdict.kept == 0) {
        take_none(batch, retain_empty, out, changed);
    } else if (verdict.kept == batch->record_count && !horizon_due) {
        take_whole(batch, out);
    } else {
        *changed = true;
        err = batch_filter(batch, iterator.records, pass->keep.data,
                           horizon_due ? next_horizon(pass) : -1, out, reason);
    }
    pass->result->records_removed += closed ? 0 : batch->record_count - verdict.kept;
    record_iterator_deinit(&iterator);
    return err;
}

enum err compact_filter(struct compact_pass *pass, const struct batch *batch, bool last,
                        struct buf *out, bool *changed, struct aborted_txn *aborted,
                        struct reason *reason)
{
    bool control = batch_is_control(batch);
    aborted->last_offset = -1;
    *changed = false;
    bool may_go = control ? compact_txns_control(&pass->txns, batch, aborted)
                          : compact_txns_data(&pass->txns, batch);
    bool ended = horizon_passed(pass, batch) && batch_last_offset(batch) < pass->oldest_snapshot;
    bool goes = may_go && (!control || ended);
    bool retain_empty = last || is_last_of_producer(pass, batch);
    pass->result->records_read += batch->record_count;
    if (goes || batch->record_count == 0) {
        aborted->last_offset = -1;
        pass->result->records_removed += batch->record_count;
        take_none(batch, retain_empty, out, changed);
        return ERR_NONE;
    }
    return filter_records(pass, batch, retain_empty, control && may_go, out, changed, reason);
}
