#ifndef TIDINGS_TXN_COORDINATOR_H
#define TIDINGS_TXN_COORDINATOR_H

#include "base/arena.h"
#include "base/budget.h"
#include "base/clock.h"
#include "batch/batch.h"
#include "coordinator/coordinator.h"
#include "txn/txn.h"

/*
 * All transactional ids of the server: finds the id, takes its lock, lets the state machine decide,
 * appends the record, answers once it is on disk, and carries ends out:
 *
 *   1. the prepare record is on disk: the client is answered, the end will happen
 *   2. a marker is appended to each partition of the transaction; all are on disk
 *   3. the complete record is on disk: the id is free for its next transaction
 *
 * A step that fails is tried again. A start goes on behind the last step that is on disk: markers
 * may then be written twice, which changes nothing.
 *
 * Any thread may call anything here but new, replay, load_done and free (one thread, before and
 * after all others). Locks: those of coordinator/coordinator.h. Within an id's lock a caller may
 * take a group's lock and a log's append_lock, and is_open the lock of the catalogue's table;
 * nothing else.
 */
struct txn_coordinator;
struct txn_entry;

/* The topic that keeps transactional ids. */
#define TXN_STATE_TOPIC "__transaction_state"

struct txn_marker {
    struct slice topic;
    int32_t partition;
    bool again; /* out: not on disk, try again. A partition that is gone is none to try. */
};

/* The markers of one transaction. */
struct txn_markers {
    int64_t producer_id;
    int16_t producer_epoch;
    bool commit;
    struct txn_marker *items;
    size_t count;
    void (*done)(struct txn_markers *markers);
};

/* An open transaction that a partition's log shows. */
struct txn_open {
    struct slice topic;
    int32_t partition;
    struct txn_producer producer;
    int64_t first_offset;
};

/* The partitions that transactions write to, and the numbers of their producers. */
struct txn_participants {
    void *context;
    /* Appends the markers and calls markers->done exactly once, when all are on disk or have
     * failed. Called without locks; done may be called from inside. */
    void (*write_markers)(void *context, struct txn_markers *markers);
    /* The open transactions of all partitions, in a fresh array (slices in the arena). */
    struct txn_open *(*list_open)(void *context, struct arena *arena, size_t *count);
    /* Whether this transaction is still open: the same producer, epoch and first offset. Called
     * under an id's lock. */
    bool (*is_open)(void *context, const struct txn_open *open);
    /* A producer id that was never given out. May wait for the disk: only called where the caller
     * of the coordinator allows it. */
    enum err (*next_producer_id)(void *context, int64_t *producer_id, struct reason *reason);
};

struct txn_coordinator_config {
    struct txn_config txn;
    struct budget *budget; /* BUDGET_PRODUCERS is asked; NULL: nobody is */
    int64_t retry_ms;      /* after a step that failed; doubles with each try, up to 8 times */
};

/* Kafka's defaults: 15 minutes at most, 7 days. Retries after a second. */
void txn_coordinator_config_init(struct txn_coordinator_config *config);

/* Everything is copied; env->log: of __transaction_state. The coordinator answers ERR_LOADING until
 * load_done. */
struct txn_coordinator *txn_coordinator_new(const struct txn_coordinator_config *config,
                                            const struct coordinator_env *env,
                                            const struct txn_participants *participants);

/* The partition of __transaction_state that holds the id. Any thread. */
int32_t txn_coordinator_partition(const struct txn_coordinator *coordinator, struct slice id);

/* What txn_coordinator_replay makes of one stored record, for state_topic_replay; context: the
 * coordinator. */
enum err txn_coordinator_replay_stored(void *context, int32_t partition, const struct batch *batch,
                                       const struct record *record);

/*
 * One record of __transaction_state, in the partition's order. value null: a tombstone. Records of
 * kinds that are not known are skipped. ERR_CORRUPT, ERR_UNSUPPORTED: skipped as well, and for the
 * caller to log.
 */
CHECKED enum err txn_coordinator_replay(struct txn_coordinator *coordinator, struct slice key,
                                        struct slice value);

/*
 * All was replayed, and the logs can be asked and written: prepared ends are carried out, time-outs
 * go on, requests are served. Reconciles.
 */
void txn_coordinator_load_done(struct txn_coordinator *coordinator);

/*
 * Looks through all open transactions of the logs. One that no transactional id accounts for would
 * hold back readers for ever: it is aborted with a marker; where its producer may still end it, it
 * is put back into its transaction, whose time-out then counts. Returns how many there were. Worker
 * thread, or before requests.
 */
size_t txn_coordinator_reconcile(struct txn_coordinator *coordinator);

/* Answers everything parked with ERR_COORDINATOR_UNAVAILABLE, and everything that still comes; ends
 * under way stop after the step they are in. */
void txn_coordinator_stop(struct txn_coordinator *coordinator);

/* After stop, when no append and no markers are under way. */
void txn_coordinator_free(struct txn_coordinator *coordinator);

/* Does all that is due at `now_ms` (the clock's mono) and returns when it wants to be called next;
 * INT64_MAX: when woken. */
int64_t txn_coordinator_tick(struct txn_coordinator *coordinator, int64_t now_ms);

/* ---- requests ---- */

/*
 * What becomes of a request. `done` is called exactly once, by any thread, maybe before the request
 * function returns, without locks.
 */
struct txn_answer {
    enum err err;
    struct reason reason; /* when err is set; may be empty */
    int64_t producer_id;  /* -1 with an error */
    int16_t producer_epoch;
};

struct txn_waiter {
    void (*done)(struct txn_waiter *waiter, const struct txn_answer *answer);
    struct txn_waiter *next; /* the coordinator's */
};

/* InitProducerId with a transactional id; new_producer_id is not looked at. May wait for the disk:
 * worker thread. ERR_INVALID for an empty id, ERR_INVALID_TXN_TIMEOUT, ERR_LIMIT (no memory for one
 * more id), and as txn_init. */
void txn_coordinator_init_producer(struct txn_coordinator *coordinator, struct slice id,
                                   const struct txn_init_request *request,
                                   struct txn_waiter *waiter);

/* AddPartitionsToTxn and AddOffsetsToTxn; the partitions exist. ERR_INVALID for an empty id,
 * ERR_PRODUCER_ID_MAPPING for an unknown one, and as txn_add. */
void txn_coordinator_add(struct txn_coordinator *coordinator, struct slice id,
                         struct txn_producer producer, int16_t version,
                         const struct txn_partition *partitions, size_t count,
                         struct txn_waiter *waiter);

/*
 * EndTxn, as txn_end; new_producer_id is not looked at. ERR_AGAIN, and no answer: a producer id is
 * needed, call again with may_wait on a worker thread. Else ERR_NONE, and the waiter is answered.
 */
CHECKED enum err txn_coordinator_end(struct txn_coordinator *coordinator, struct slice id,
                                     const struct txn_end_request *request, bool may_wait,
                                     struct txn_waiter *waiter);

/* ---- writing within a transaction ---- */

/*
 * A transaction held by the caller: entered, its end cannot pass the appends that follow, until it
 * is left. Short: no waiting in between.
 */
struct txn_session {
    struct txn_entry *entry; /* NULL: none is held */
};

/*
 * Enters the producer's transaction. Version 1: it is open, and the caller asks txn_session_has
 * which partitions are in it. Version 2: the partitions are added, which may begin it (KIP-890);
 * their record need not be on disk before the appends are, since a start finds it in the logs. An
 * error and no session: ERR_INVALID, ERR_LOADING, ERR_PRODUCER_ID_MAPPING, ERR_TXN_PRODUCER_FENCED,
 * ERR_CONCURRENT_TXNS, ERR_COORDINATOR_UNAVAILABLE (the record could not be written).
 */
CHECKED enum err txn_session_enter(struct txn_coordinator *coordinator, struct slice id,
                                   struct txn_producer producer, int16_t version,
                                   const struct txn_partition *partitions, size_t count,
                                   struct txn_session *session, struct reason *reason);

/* Whether the transaction that is held is open and has the partition in it. */
bool txn_session_has(const struct txn_session *session, struct slice topic, int32_t partition);

/* Also for a session that holds nothing. */
void txn_session_leave(struct txn_session *session);

/*
 * Whether an end of the id's transaction is being carried out, so that txn_coordinator_await_end
 * is worth it: a request for the next transaction would get ERR_CONCURRENT_TXNS. False once a step
 * has failed and waits to be tried again.
 */
bool txn_coordinator_is_ending(struct txn_coordinator *coordinator, struct slice id);

/*
 * After ERR_CONCURRENT_TXNS: done is called with ERR_NONE when the end under way is complete, with
 * an error when it has to be tried again, and at once when there is none.
 */
void txn_coordinator_await_end(struct txn_coordinator *coordinator, struct slice id,
                               struct txn_waiter *waiter);

/* ---- looking ---- */

struct txn_description {
    struct txn_fields fields;
    struct txn_partition *partitions; /* by topic and index */
    size_t partition_count;
};

/* ERR_INVALID for an empty id, ERR_TXN_NOT_FOUND. */
CHECKED enum err txn_coordinator_describe(struct txn_coordinator *coordinator, struct slice id,
                                          struct arena *arena, struct txn_description *out);

struct txn_listing {
    struct slice id;
    int64_t producer_id;
    enum txn_state state;
    int64_t started_wall_ms; /* -1 */
};

/* All ids, in no order. ERR_LOADING, ERR_COORDINATOR_UNAVAILABLE. */
CHECKED enum err txn_coordinator_list(struct txn_coordinator *coordinator, struct arena *arena,
                                      struct txn_listing **out, size_t *count);

#endif
