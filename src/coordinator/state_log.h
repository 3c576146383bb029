#ifndef TIDINGS_COORDINATOR_STATE_LOG_H
#define TIDINGS_COORDINATOR_STATE_LOG_H

#include "base/err.h"
#include "base/slice.h"
#include "log/flush.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Where a coordinator's records go: a topic of the server's own (coordinator/state_topic.h), or
 * what a test puts in its place.
 */
struct state_record {
    struct slice key;
    struct slice value; /* null: a tombstone */
};

/* Records that are stored together or not at all. */
struct state_batch {
    const struct state_record *records; /* in order */
    size_t record_count;
    int64_t producer_id;    /* they belong to its open transaction; -1: to none */
    int16_t producer_epoch; /* with a producer */
    struct slice id;        /* whose state it is, for the log's lines; entry_append sets it */
};

/* An append until it is on disk. Zeroed but for done. */
struct state_append {
    /* On any thread, without locks, once wait was called. ERR_IO: the log failed before. */
    void (*done)(struct state_append *append, enum err err);
    /* the log's own */
    struct flush_waiter waiter;
    struct flush_target target;
    struct partition *partition;
    struct slice id; /* the batch's; borrowed until done */
};

struct state_log {
    void *context;
    int32_t partition_count; /* never changes: a key's partition depends on it */
    /*
     * Appends the batch without waiting for the disk; called under the lock of the state that it
     * tells of, so that the log has the records in the order of the states. On ERR_NONE, `wait` is
     * called with the same append afterwards; else nothing was appended, which was logged.
     * ERR_PRODUCER_FENCED and ERR_INVALID_TXN_STATE: of a transaction, as log_append says.
     */
    enum err (*append)(void *context, int32_t partition, const struct state_batch *batch,
                       int64_t wall_ms, struct state_append *append);
    /* Calls append->done exactly once, when the batch is on disk or the log has failed, which was
     * logged. Called
     * without the state's lock; done may be called from inside. */
    void (*wait)(void *context, struct state_append *append);
};

#endif
