#ifndef TIDINGS_BATCH_MARKER_H
#define TIDINGS_BATCH_MARKER_H

#include "batch/batch.h"

/*
 * The end of a transaction in a partition: a control batch of one record (documentation "Control
 * Batches"; KIP-98). Key: version i16 = 0, type i16 (0 abort, 1 commit). Value: version i16 = 0,
 * coordinator epoch i32. The batch bears the transaction's producer id, and the epoch with which
 * it ends: with transactions v2 that is one above the epoch of its records (KIP-890).
 */
enum { BATCH_MARKER_BYTES = 78 };

struct batch_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    bool commit; /* else: abort */
};

/* Appends the finished control batch (base offset 0, no sequence) to *out. Any thread. */
void batch_marker_build(const struct batch_marker *marker, int64_t timestamp, struct buf *out);

/*
 * Reads the marker of a control batch with its bytes. False for a control batch of another type or
 * one without records (compaction leaves such), a marker that is cut short, or a batch without
 * producer id. A newer value version is read as version 0, as Kafka does. Any thread.
 */
CHECKED bool batch_marker_read(const struct batch *batch, struct batch_marker *marker);

#endif
