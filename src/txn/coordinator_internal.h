#ifndef TIDINGS_TXN_COORDINATOR_INTERNAL_H
#define TIDINGS_TXN_COORDINATOR_INTERNAL_H

#include "base/heap.h"
#include "txn/coordinator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

/* For coordinator*.c and reconcile.c only. */

enum txnc_phase { TXNC_LOADING, TXNC_SERVING, TXNC_STOPPED };

/* How far the end of a transaction is carried out. */
enum end_step {
    END_NONE,     /* nothing to do, or the prepare record is not on disk yet */
    END_MARKERS,  /* markers are being written */
    END_COMPLETE, /* the complete record is being written */
    END_AGAIN,    /* markers, and what follows, are to be tried again at retry_ms */
    END_GIVEN_UP, /* the log of the records has failed: the next start goes on */
};

/* A transactional id with its lock. References: the table, the timer heap, each user, each append
 * and the markers under way. */
struct txn_entry {
    struct txn_coordinator *coordinator;
    atomic_int refs;
    pthread_mutex_t lock; /* guards what is below, up to the timer */
    struct txn *txn;      /* its id never changes and needs no lock */
    bool dead;            /* forgotten: a new entry may follow */
    enum end_step step;
    struct txn_marker *left; /* markers that are not on disk, while an end is carried out; owned */
    size_t left_count;
    int64_t retry_ms;          /* mono; of END_AGAIN, and of a time-out whose abort failed */
    int failures;              /* tries of the end that failed, up to a bound */
    struct txn_waiter *parked; /* until the end is complete */
    int32_t partition;         /* never changes */
    struct heap_node timer;    /* guarded by timer_lock */
    UT_hash_handle hh;         /* guarded by table_lock */
};

struct txn_coordinator {
    struct txn_coordinator_config config;
    const struct clock *clock;
    struct state_log log;
    struct txn_participants participants;
    struct txn_outlet outlet;
    _Atomic enum txnc_phase phase;
    pthread_mutex_t table_lock;
    struct txn_entry *table;
    pthread_mutex_t timer_lock;
    struct heap timers;
};

/* What follows once a record is on disk. */
enum store_purpose {
    STORE_ANSWER,   /* only an answer, or nothing */
    STORE_PREPARE,  /* markers may be written */
    STORE_COMPLETE, /* the change may be applied */
};

/* A record between append and done. */
struct txn_store {
    struct state_append append;
    struct txn_entry *entry; /* a reference */
    enum store_purpose purpose;
    struct txn_waiter *waiter; /* or NULL */
    struct txn_answer answer;
    struct txn_change change; /* of STORE_COMPLETE: adds nothing */
};

/* ---- coordinator.c ---- */

struct txn_time txnc_now(const struct txn_coordinator *coordinator);

/* ERR_NONE, ERR_INVALID (null or empty id), ERR_LOADING, ERR_COORDINATOR_UNAVAILABLE. */
enum err txnc_check(const struct txn_coordinator *coordinator, struct slice id,
                    struct reason *reason);

/* Finds the id and locks it; it is not dead. NULL when there is none. */
struct txn_entry *txnc_enter(struct txn_coordinator *coordinator, struct slice id);

/* The same, but makes it with this producer id when there is none. */
struct txn_entry *txnc_enter_new(struct txn_coordinator *coordinator, struct slice id,
                                 int64_t producer_id);

/*
 * Appends the change's record; applies it unless it completes an end. The id is locked. On ERR_NONE
 * *out is to be waited for with txnc_await once the lock is let go; it takes a reference,
 * and the waiter over.
 */
enum err txnc_store(struct txn_entry *entry, const struct txn_change *change,
                    struct txn_waiter *waiter, struct txn_store **out, struct reason *reason);

/* Waits for the record of txnc_store; NULL is none. Without locks. */
void txnc_await(struct txn_coordinator *coordinator, struct txn_store *store);

/* Unlocks, sets the timer and lets go of the entry. */
void txnc_leave(struct txn_entry *entry);

/* Takes the parked waiters; the id is locked. They are to be answered without locks. */
struct txn_waiter *txnc_take_parked(struct txn_entry *entry);
void txnc_answer_all(struct txn_waiter *waiters, enum err err);
void txnc_answer(struct txn_waiter *waiter, enum err err, const struct reason *reason);

/* References to all entries, in a fresh array. */
struct txn_entry **txnc_entries(struct txn_coordinator *coordinator, size_t *count);
void txnc_unref(struct txn_entry *entry);
void txnc_ref(struct txn_entry *entry);

/* ---- coordinator_requests.c ---- */

/* ERR_PRODUCER_ID_MAPPING with its reason. */
enum err txnc_fail_unknown(struct slice id, struct txn_producer producer, struct reason *reason);

/* ---- coordinator_end.c ---- */

/* Begins or goes on with the end of a prepared transaction. Locked; unlocks and lets go of it. */
void txnc_carry_out(struct txn_entry *entry);

/* The record that the end needs cannot get to the disk. Locked; unlocks and lets go of it. */
void txnc_give_up(struct txn_entry *entry);

/* Of STORE_COMPLETE. Locked; unlocks and lets go of it. */
void txnc_completed(struct txn_entry *entry, const struct txn_change *change, enum err err);

#endif
