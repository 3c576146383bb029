#ifndef TIDINGS_STREAM_PRODUCE_H
#define TIDINGS_STREAM_PRODUCE_H

#include "base/err.h"
#include "base/slice.h"
#include "base/task.h"
#include "batch/batch.h"
#include "log/flush.h"
#include "net/net.h"
#include "topic/partition.h"

#include <stdbool.h>
#include <stdint.h>

/* What a producer sends to one partition, and what became of it. */
struct produce_item {
    /* in */
    struct partition *partition; /* held until the answer is sent; NULL: not found, nothing to do */
    struct batch batch;          /* by produce_take; its bytes are borrowed up to produce_append */
    bool no_zstd;                /* the client speaks a version that knows no zstd (KIP-110) */
    bool in_transaction; /* the caller has entered the transaction that writes to it (txn/) */
    size_t
        open_max_bytes; /* what a compressed batch may be opened into; 0: BATCH_DECOMPRESSED_... */
    enum err err;       /* in and out: nothing is appended when it is set before */
    /* out */
    struct reason reason;                     /* why, when err is set */
    struct batch_record_errors record_errors; /* which records broke a rule; vec_deinit */
    int64_t base_offset;
    int64_t end_offset; /* acknowledged once this is visible */
    int64_t append_time_ms;
    int64_t log_start_offset;
    size_t opened_bytes; /* what the compressed batch was opened into */
    /* the callee's: what the batch was opened into, and the batch in the topic's codec */
    struct buf plain;
    struct buf recoded;
    bool prepared;
};

/* What one request may have opened on a reactor, and in all. */
enum { PRODUCE_QUICK_BYTES = 64 << 10, PRODUCE_OPENED_BYTES = 256 << 20 };

/*
 * Takes in what a producer sends to the item's partition. The header of the record batch is read
 * here, once for all that follows; err and reason say when this is not one batch, whole and of a
 * format that is served. Any thread.
 */
void produce_take(struct produce_item *item, struct slice records);

/*
 * Whether produce_append would take long for an item: it has to decompress or compress much, since
 * compressed batches are looked into (compression.check.enable, rules over single records) or the
 * topic wants another codec. Such requests belong on a worker. A compressed batch that is small
 * when it is opened is opened here, into item->plain; *quick_bytes is how much of that may be done,
 * and becomes less. Any thread.
 */
bool produce_is_slow(struct produce_item *item, size_t *quick_bytes);

/*
 * What takes long of produce_append: opens and validates the batch, and gives it the topic's codec;
 * err says when it is not good. opened_bytes says what was opened. Once for an item, on a worker
 * when produce_is_slow.
 */
void produce_prepare(struct produce_item *item, int64_t now_ms);

/*
 * Appends the item's record batch, in the topic's compression.type; prepares it if that was not
 * done. A batch that was appended before (idempotent retry) gives ERR_NONE and its first offsets. A
 * transactional batch outside of a transaction gives ERR_INVALID_TXN_STATE. On any error nothing is
 * appended and reason says what is wrong with what. Does not wait for the disk's sync.
 */
void produce_append(struct produce_item *item, int64_t now_ms);

/* Frees what the item holds, but for the partition. */
void produce_item_deinit(struct produce_item *item);

/* Sets err to a storage error when the log failed before the append was on disk. For after the
 * wait. */
void produce_settle(struct produce_item *item);

/*
 * Waits until a row of appends is on disk, then runs done on the reactor. Embed it in what owns the
 * items; the partitions stay held.
 */
struct produce_wait {
    struct flush_waiter waiter;
    struct task task;
    struct reactor *reactor;
    void (*done)(struct produce_wait *wait);
};

/* targets: room for count; filled from the items that were appended. False: nothing to wait for
 * (done is not called). */
bool produce_wait_begin(struct produce_wait *wait, struct flusher *flusher, struct reactor *reactor,
                        const struct produce_item *items, size_t count,
                        struct flush_target *targets);

#endif
