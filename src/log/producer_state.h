#ifndef TIDINGS_LOG_PRODUCER_STATE_H
#define TIDINGS_LOG_PRODUCER_STATE_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "batch/marker.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

/*
 * What the log knows of each idempotent or transactional producer (KIP-98): its epoch and its last
 * batches, so that a batch that is sent again is recognised and a missing one is noticed; and where
 * its open transaction begins, so that readers of committed records stop there.
 * Guarded by the log's append_lock.
 */
enum { PRODUCER_BATCHES_KEPT = 5 }; /* the most that a client has in flight */

enum {
    /* For so long after its last batch a producer is not forgotten for want of memory: clients send
     * a batch again until delivery.timeout.ms is over, by default 2 minutes. */
    PRODUCER_SPARED_MS = 5 * 60 * 1000,
    /* Of the share of all producers, one log's may have so much. */
    PRODUCER_LOG_PART = 4
};

struct producer_batch {
    int32_t last_sequence;
    int32_t offset_delta; /* last offset - first offset */
    int64_t last_offset;
    int64_t timestamp;
};

struct producer_entry {
    int64_t producer_id;
    int16_t epoch;             /* -1: none seen */
    int32_t coordinator_epoch; /* of the last transaction marker; -1 */
    int64_t last_timestamp;    /* largest timestamp of the last batch */
    int64_t txn_first_offset;  /* where its open transaction begins; -1: none is open */
    int64_t used_ms;           /* when this server last saw it (wall clock): for expiry */
    int32_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES_KEPT]; /* oldest first */
    UT_hash_handle hh;
    struct producer_entry *open_prev; /* among those with an open transaction */
    struct producer_entry *open_next;
    struct producer_entry *use_prev; /* among all */
    struct producer_entry *use_next;
};

/* What one takes on the heap, in a log where it is the first. */
#define PRODUCER_COST (mem_cost(sizeof(struct producer_entry)) + MEM_HASH_COST)

struct producer_state {
    struct producer_entry *entries; /* by producer_id */
    struct producer_entry *open;    /* those with an open transaction, by its first offset */
    struct producer_entry *by_use;  /* all, the one that was used last at the end */
    uint64_t changes;               /* counts updates, so that a checkpoint sees whether any came */
    struct budget *budget;          /* BUDGET_PRODUCERS counts them; NULL: nobody does */
};

/* Frees all entries; empty afterwards, with the budget that it had. */
void producer_state_deinit(struct producer_state *state);

/* The entry of this producer, or NULL. */
struct producer_entry *producer_find(const struct producer_state *state, int64_t producer_id);

/* Where the first open transaction begins; INT64_MAX when none is open. */
int64_t producer_first_open(const struct producer_state *state);

/*
 * Whether a client's batch may be appended. ERR_NONE; ERR_DUPLICATE_SEQUENCE with *first_offset and
 * *last_offset of the first time; ERR_PRODUCER_FENCED (older epoch); ERR_OUT_OF_ORDER_SEQUENCE;
 * ERR_INVALID_TXN_STATE (not transactional within the producer's open transaction).
 * A producer that is not on record may begin with any sequence: retention or expiry may have
 * forgotten it (KIP-360). A new epoch of a known one begins at 0.
 */
CHECKED enum err producer_check(const struct producer_state *state, const struct batch *batch,
                                int64_t *first_offset, int64_t *last_offset, struct reason *reason);

/*
 * Whether a batch that the server itself writes (a coordinator's) may be appended: it has no
 * sequence. ERR_PRODUCER_FENCED; ERR_INVALID_TXN_STATE as above; of a marker ERR_COORDINATOR_FENCED
 * (older coordinator epoch than that of the last one).
 */
CHECKED enum err producer_check_own(const struct producer_state *state, const struct batch *batch,
                                    struct reason *reason);

/*
 * Whether there is memory for one more producer: in the share, of which one log has a part at most.
 * Forgets the one that was used the longest ago for it, if that is PRODUCER_SPARED_MS and it has no
 * transaction open. ERR_LIMIT.
 */
CHECKED enum err producer_check_room(struct producer_state *state, int64_t producer_id,
                                     int64_t now_ms, struct reason *reason);

/* Puts a zeroed entry in; one that has the id already is dropped. For producer_snapshot.c. */
struct producer_entry *producer_put_new(struct producer_state *state, int64_t producer_id);

/* The sequence `count` after `sequence`: wraps from INT32_MAX to 0. */
int32_t producer_sequence_add(int32_t sequence, int32_t count);

/* A transaction that a marker ended. */
struct producer_txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* of the marker */
    int64_t last_stable_offset; /* once the marker is there: the next open one, or behind it */
    bool aborted;
};

/*
 * Records an appended batch (final offsets): producer_update or, for a control batch that is an
 * end-of-transaction marker, its end: the marker's epoch counts from then on, also a newer one
 * (KIP-890). True when it ended a transaction that had records, which *ended then describes. A
 * batch without producer id is no change. The bytes of a control batch must be there.
 */
bool producer_apply(struct producer_state *state, const struct batch *batch, int64_t now_ms,
                    struct producer_txn *ended);

/* Records an appended data batch (final offsets). A batch without producer id is no change. */
void producer_update(struct producer_state *state, const struct batch *batch, int64_t now_ms);

/* Nobody knows any more which transactions are open: none is. */
void producer_forget_txns(struct producer_state *state);

/* Forgets producers without an open transaction that were not seen for expiration_ms; when the
 * share is nearly full, for PRODUCER_SPARED_MS if that is less. */
void producer_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms);

/*
 * Kafka's snapshot file, version 1 (ProducerSnapshot.json): version i16, CRC-32C of the rest u32,
 * entries. Kafka keeps only the last batch of a producer; the older ones follow in a section of our
 * own that Kafka does not read (docs/formats.md), so that a resend of any of the last five is
 * recognised after a restart too.
 */
void producer_snapshot_encode(const struct producer_state *state, struct buf *out);

/* Replaces the content of *state. ERR_CORRUPT, ERR_UNSUPPORTED: *state is empty then. */
CHECKED enum err producer_snapshot_decode(struct producer_state *state, struct slice bytes,
                                          int64_t now_ms, struct reason *reason);

#endif
