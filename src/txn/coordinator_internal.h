#ifndef TIDINGS_TXN_COORDINATOR_INTERNAL_H
#define TIDINGS_TXN_COORDINATOR_INTERNAL_H

#include "base/mem.h"
#include "log/producer_state.h"
#include "txn/coordinator.h"

/* For coordinator*.c and reconcile.c only. */

/* How far the end of a transaction is carried out. */
enum end_step {
    END_NONE,     /* nothing to do, or the prepare record is not on disk yet */
    END_MARKERS,  /* markers are being written */
    END_COMPLETE, /* the complete record is being written */
    END_AGAIN,    /* markers, and what follows, are to be tried again at retry_ms */
    END_GIVEN_UP, /* the log of the records has failed: the next start goes on */
};

/* A transactional id. The markers under way have a reference too. */
struct txn_entry {
    struct entry base; /* its lock guards what is below */
    struct txn *txn;   /* its id never changes and needs no lock */
    enum end_step step;
    struct txn_marker *left; /* markers that are not on disk, while an end is carried out; owned */
    size_t left_count;
    int64_t retry_ms;          /* mono; of END_AGAIN, and of a time-out whose abort failed */
    int failures;              /* tries of the end that failed, up to a bound */
    struct txn_waiter *parked; /* until the end is complete */
    size_t counted_bytes;      /* of config.budget */
};

struct txn_coordinator {
    struct coordinator base;
    struct txn_coordinator_config config;
    struct txn_participants participants;
    _Atomic int64_t held_bytes; /* what all ids take, of config.budget */
};

/* The coordinator that the entry is of. */
static inline struct txn_coordinator *txnc_of(const struct txn_entry *entry)
{
    return container_of(entry->base.coordinator, struct txn_coordinator, base);
}

/* ---- coordinator.c ---- */

/* ERR_NONE, ERR_INVALID (null or empty id), ERR_LOADING, ERR_COORDINATOR_UNAVAILABLE. */
enum err txnc_check(const struct txn_coordinator *coordinator, struct slice id,
                    struct reason *reason);

/* Finds the id and locks it; it is not dead. NULL when there is none. */
struct txn_entry *txnc_enter(struct txn_coordinator *coordinator, struct slice id);

/* The same for a request of this producer. Else *entry is NULL: ERR_PRODUCER_ID_MAPPING for an
 * unknown id, or what txnc_check has against it. */
enum err txnc_enter_known(struct txn_coordinator *coordinator, struct slice id,
                          struct txn_producer producer, struct txn_entry **entry,
                          struct reason *reason);

/* As txnc_enter, but makes it with this producer id when there is none. */
struct txn_entry *txnc_enter_new(struct txn_coordinator *coordinator, struct slice id,
                                 int64_t producer_id);

/* Whether there is memory for one more id, or for the partitions that the change adds: ERR_LIMIT,
 * and a line in the log. What is there is counted when the id is left. */
enum err txnc_check_room(struct txn_coordinator *coordinator, struct slice id,
                         struct reason *reason);
enum err txnc_check_partitions(struct txn_entry *entry, const struct txn_change *change,
                               struct reason *reason);

/* As entry_leave: unlocks, and waits for what was stored. */
void txnc_leave(struct txn_entry *entry);

/* Takes the parked waiters; the id is locked. They are to be answered without locks. */
struct txn_waiter *txnc_take_parked(struct txn_entry *entry);

/* Answers each of the list. Without locks. */
void txnc_answer_all(struct txn_waiter *waiters, enum err err);

/* An answer that is only an error, or none; reason may be NULL. Without locks. */
void txnc_answer(struct txn_waiter *waiter, enum err err, const struct reason *reason);

/* ---- coordinator_steps.c ---- */

/*
 * Appends the change's record; applies it unless it completes an end. The id is locked. On ERR_NONE
 * the waiter (NULL: nobody) is answered once the id was left and the record is on disk.
 */
enum err txnc_store(struct txn_entry *entry, const struct txn_change *change,
                    struct txn_waiter *waiter, struct reason *reason);

/* Begins or goes on with the end of a prepared transaction. Locked; leaves it. */
void txnc_carry_out(struct txn_entry *entry);

#endif
