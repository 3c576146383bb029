#ifndef TIDINGS_TXN_TXN_H
#define TIDINGS_TXN_TXN_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One transactional id, as a pure state machine (KIP-98, KIP-360, KIP-890): the state and a request
 * give a change, or an error and no change. The caller stores the change as a record of
 * __transaction_state, then applies it; replay applies the stored records with the same function.
 * Nothing here waits, locks or looks at a clock. One thread at a time for each struct txn.
 *
 * Rules and order of checks are those of Kafka 4.1's TransactionCoordinator.
 */

/* The numbers are Kafka's, in stored records. The last two are never stored. */
enum txn_state {
    TXN_EMPTY = 0,
    TXN_ONGOING = 1,
    TXN_PREPARE_COMMIT = 2,
    TXN_PREPARE_ABORT = 3,
    TXN_COMPLETE_COMMIT = 4,
    TXN_COMPLETE_ABORT = 5,
    TXN_DEAD = 6,
    TXN_PREPARE_EPOCH_FENCE = 7, /* Kafka's name for a fencing abort that is not stored yet */
    TXN_STATE_COUNT
};

/* transaction.version: what a client and this server speak (KIP-890, KIP-1022). */
enum { TXN_VERSION_1 = 0, TXN_VERSION_2 = 2 };

/* Epochs are given out up to this one, so that there is always one more for fencing. */
enum { TXN_LAST_EPOCH = INT16_MAX - 1 };

/* "Ongoing", "PrepareCommit": as ListTransactions gives it. Never NULL. */
const char *txn_state_name(enum txn_state state);
/* False for a name that there is not. */
bool txn_state_parse(struct slice name, enum txn_state *state);

struct txn_partition {
    struct slice topic;
    int32_t index;
};

/* A set, ordered by topic and index; it owns the topics' bytes. Zero-initialised is empty. */
struct txn_partitions {
    VEC_FIELDS(struct txn_partition);
    size_t topic_bytes; /* of the topics, on the heap */
};

/* Whether this partition is in the set. */
bool txn_partitions_has(const struct txn_partitions *set, struct slice topic, int32_t index);
/* False when it was in. Copies the topic. */
bool txn_partitions_add(struct txn_partitions *set, struct slice topic, int32_t index);
void txn_partitions_clear(struct txn_partitions *set);

/* What a record of __transaction_state holds but for the partitions, and what is not stored. */
struct txn_fields {
    enum txn_state state;
    int64_t producer_id;
    int64_t previous_producer_id; /* -1: none */
    int64_t next_producer_id;     /* -1; else given to the client already, in force once complete */
    int16_t producer_epoch;       /* -1: made, but never given out */
    int16_t last_producer_epoch;  /* the one before, for a retry (KIP-360); -1. Not stored */
    int32_t timeout_ms;
    int16_t client_version;  /* TXN_VERSION_1 or TXN_VERSION_2 */
    int64_t started_wall_ms; /* -1: no transaction since the producer began */
    int64_t updated_wall_ms;
};

struct txn {
    struct slice id; /* owned */
    struct txn_fields fields;
    struct txn_partitions partitions;
    /* By the monotonic clock: the abort of an ongoing transaction, or the expiry of an idle id.
     * INT64_MAX while an end is being carried out. */
    int64_t deadline_ms;
};

struct txn_config {
    int32_t max_timeout_ms; /* transaction.max.timeout.ms */
    int64_t expiration_ms;  /* transactional.id.expiration.ms */
};

/* Empty, with this producer id and no epoch yet. */
struct txn *txn_new(struct slice id, int64_t producer_id, const struct txn_config *config,
                    struct clock_time now);
void txn_free(struct txn *txn);

/*
 * What a request wants to become of a transaction. When `store` is false there is nothing to do;
 * else the record is written first and txn_apply called then. `answer` goes out once the record is
 * on disk, with producer id and epoch.
 */
struct txn_change {
    bool store;
    bool dead; /* the record is a tombstone */
    struct txn_fields fields;
    bool clear_partitions;
    const struct txn_partition *added; /* borrowed from the request */
    size_t added_count;
    enum err answer;
    int64_t producer_id;
    int16_t producer_epoch;
};

/* ---- requests ---- */

struct txn_init_request {
    int32_t timeout_ms;
    int64_t producer_id; /* expected, with its epoch (KIP-360); -1: none */
    int16_t producer_epoch;
    int64_t new_producer_id; /* for when the epochs are used up; -1: none at hand */
};

/* ERR_INVALID_TXN_TIMEOUT unless 0 < timeout_ms <= transaction.max.timeout.ms. */
CHECKED enum err txn_check_timeout(const struct txn_config *config, int32_t timeout_ms,
                                   struct reason *reason);

/*
 * InitProducerId: a new epoch, which fences the producers before it. Of an open transaction the
 * change is its abort, with the answer ERR_CONCURRENT_TXNS: the client asks again. ERR_AGAIN: a
 * new producer id is needed and none at hand. ERR_CONCURRENT_TXNS, ERR_TXN_PRODUCER_FENCED.
 */
CHECKED enum err txn_init(const struct txn *txn, const struct txn_init_request *request,
                          struct clock_time now, struct txn_change *change, struct reason *reason);

/* Who asks. */
struct txn_producer {
    int64_t id;
    int16_t epoch;
};

/*
 * AddPartitionsToTxn, AddOffsetsToTxn and what a produce request of version 12 adds: the first
 * partitions begin the transaction. `partitions` must live until the change is applied.
 * ERR_CONCURRENT_TXNS, ERR_PRODUCER_ID_MAPPING, ERR_TXN_PRODUCER_FENCED.
 */
CHECKED enum err txn_add(const struct txn *txn, struct txn_producer producer, int16_t version,
                         const struct txn_partition *partitions, size_t count,
                         struct clock_time now, struct txn_change *change, struct reason *reason);

/* Whether the producer may write within its open transaction; of what partitions, the caller asks
 * txn_partitions_has. ERR_PRODUCER_ID_MAPPING, ERR_TXN_PRODUCER_FENCED, ERR_CONCURRENT_TXNS. */
CHECKED enum err txn_verify(const struct txn *txn, struct txn_producer producer,
                            struct reason *reason);

struct txn_end_request {
    struct txn_producer producer;
    bool commit;
    int16_t version;         /* TXN_VERSION_2: EndTxn 5 and later */
    int64_t new_producer_id; /* as in txn_init_request */
};

/*
 * EndTxn: the change prepares the end. With version 2 it raises the epoch, and an abort may come
 * without a transaction. ERR_NONE without a change: was ended so already. ERR_AGAIN as above;
 * ERR_PRODUCER_ID_MAPPING, ERR_TXN_PRODUCER_FENCED, ERR_CONCURRENT_TXNS, ERR_INVALID_TXN_STATE.
 */
CHECKED enum err txn_end(const struct txn *txn, const struct txn_end_request *request,
                         struct clock_time now, struct txn_change *change, struct reason *reason);

/* The server aborts an ongoing transaction, with an epoch that fences its producer: it took too
 * long, or a new producer came. */
void txn_fence(const struct txn *txn, struct clock_time now, struct txn_change *change);

/* All markers of a prepared end are on disk. */
void txn_complete(const struct txn *txn, struct clock_time now, struct txn_change *change);

/* An idle id is forgotten. */
void txn_expire(const struct txn *txn, struct txn_change *change);

enum txn_claim {
    TXN_CLAIM_KNOWN,  /* the transaction accounts for it */
    TXN_CLAIM_ADOPT,  /* it belongs to the producer's transaction: the change adds it */
    TXN_CLAIM_ORPHAN, /* nobody will end it: abort it with a marker; then the change, if any */
};

/*
 * What is to become of a transaction that a partition's log shows open while the coordinator's
 * record of it may be lost. An orphan of a newer epoch than the one on record raises that, so that
 * no epoch is given out twice.
 */
enum txn_claim txn_claim(const struct txn *txn, struct txn_producer producer,
                         const struct txn_partition *partition, struct clock_time now,
                         struct txn_change *change);

/* The change was stored. */
void txn_apply(struct txn *txn, const struct txn_change *change, const struct txn_config *config,
               struct clock_time now);

/* Its end was decided and is being carried out. */
static inline bool txn_is_prepared(const struct txn *txn)
{
    return txn->fields.state == TXN_PREPARE_COMMIT || txn->fields.state == TXN_PREPARE_ABORT;
}

/* ---- records: TransactionLogKey 0, TransactionLogValue 1 ---- */

/* Appends key and value to the buffers; a dead id has no value (tombstone). */
void txn_record_write(const struct txn *txn, const struct txn_change *change, struct buf *key,
                      struct buf *value);

/* *id borrows key; null for a record of another kind, which is to be skipped. ERR_CORRUPT. */
CHECKED enum err txn_record_key_read(struct slice key, struct slice *id);

/*
 * Makes the record's value the state, as txn_apply did when it was stored; the time-out goes on by
 * the wall clock, and is never longer than a whole one. ERR_CORRUPT, ERR_UNSUPPORTED: as it was.
 */
CHECKED enum err txn_record_apply(struct txn *txn, struct slice value,
                                  const struct txn_config *config, struct clock_time now);

#endif
