#ifndef TIDINGS_BATCH_BATCH_FILTER_H
#define TIDINGS_BATCH_BATCH_FILTER_H

#include "batch/batch.h"

/*
 * Batches after compaction (KIP-58, KIP-534; Kafka's MemoryRecords.filterTo): base and last offset,
 * leader epoch, producer id, epoch and base sequence stay, so that offsets and sequences do; the
 * records that are left keep their offsets. Pure; any thread.
 */

/*
 * When tombstones and markers of the batch may go: the wall clock in ms, or -1 when that is not
 * decided yet. It stands in the place of the base timestamp.
 */
static inline int64_t batch_delete_horizon(const struct batch *batch)
{
    return batch->attributes & BATCH_ATTRIBUTE_DELETE_HORIZON ? batch->base_timestamp : -1;
}

/*
 * Appends the batch with only the records whose keep[i] is not 0 (one or more of them), in its own
 * codec. records: those of the batch, uncompressed, well-formed and record_count of them (a record
 * iterator went to their end). delete_horizon_ms: to be set, or -1 to leave it as it is. The max
 * timestamp is that of the records that are left. ERR_UNSUPPORTED_CODEC, and out as it was.
 */
CHECKED enum err batch_filter(const struct batch *batch, struct slice records, const uint8_t *keep,
                              int64_t delete_horizon_ms, struct buf *out, struct reason *reason);

/* Appends the batch without any records: its header, which alone tells of its producer. */
void batch_filter_all(const struct batch *batch, struct buf *out);

#endif
