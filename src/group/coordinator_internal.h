#ifndef TIDINGS_GROUP_COORDINATOR_INTERNAL_H
#define TIDINGS_GROUP_COORDINATOR_INTERNAL_H

#include "base/heap.h"
#include "group/coordinator.h"
#include "group/group_state.h"

#include <pthread.h>
#include <stdatomic.h>

/* For coordinator*.c only. */

enum coordinator_phase { COORDINATOR_LOADING, COORDINATOR_SERVING, COORDINATOR_STOPPED };

/* A group with its lock. References: the table, the timer heap, each user and each append. */
struct group_entry {
    struct group_coordinator *coordinator;
    atomic_int refs;
    pthread_mutex_t lock; /* guards group */
    struct group *group;
    struct slice id; /* the group's; never changes */
    int32_t partition;
    struct heap_node timer;   /* guarded by timer_lock */
    _Atomic int64_t armed_ms; /* its key; INT64_MAX: in no heap. Written under timer_lock */
    UT_hash_handle hh;        /* guarded by table_lock */
};

/* The groups that hold offsets of a producer's transaction. */
struct group_txn_place {
    int64_t producer_id;
    struct group_entry **entries; /* a reference each */
    size_t count;
    UT_hash_handle hh;
};

struct group_coordinator {
    struct group_config config;
    const struct clock *clock;
    struct state_log log;
    struct group_outlet outlet;
    _Atomic enum coordinator_phase phase;
    pthread_mutex_t table_lock;
    struct group_entry *table;
    pthread_mutex_t txn_lock;
    struct group_txn_place *txns; /* by producer_id; guarded by txn_lock */
    pthread_mutex_t timer_lock;
    struct heap timers;
    int64_t next_expiry_ms; /* guarded by timer_lock */
};

/* A DeleteGroups request: answered when the last of its groups is stored. */
struct group_delete_batch {
    atomic_size_t left;
    struct group_reply *reply;
};

/* A store between append and done. */
struct group_pending_store {
    struct state_append append;
    struct group_entry *entry; /* a reference */
    struct group_store *store;
    struct group_delete_batch *batch; /* or NULL */
    size_t batch_index;
    struct group_pending_store *next;
};

/* ---- coordinator.c ---- */

struct group_time coordinator_now(const struct group_coordinator *coordinator);

/* ERR_NONE, ERR_LOADING, ERR_COORDINATOR_UNAVAILABLE, ERR_INVALID_GROUP (null or, unless
   may_be_empty, empty). */
enum err coordinator_check(const struct group_coordinator *coordinator, struct slice group_id,
                           bool may_be_empty);

/* Finds the group, or makes it, and locks it. NULL when there is none. It is not dead. */
struct group_entry *coordinator_enter(struct group_coordinator *coordinator, struct slice group_id,
                                      bool create);

/* The group of this id or, with `create`, a new one: a reference, not locked. */
struct group_entry *coordinator_find(struct group_coordinator *coordinator, struct slice id,
                                     bool create);
void coordinator_unref(struct group_entry *entry);

/* ---- coordinator_txn.c ---- */

/* Forgets which groups hold offsets of transactions. The coordinator is freed. */
void coordinator_forget_txns(struct group_coordinator *coordinator);

/* ---- coordinator_requests.c ---- */

/*
 * Finds the group, or makes it with `create`, and locks it. Else *entry is NULL and the error says
 * why: `absent` when there is no such group, or what coordinator_check has against it.
 */
enum err coordinator_enter_checked(struct group_coordinator *coordinator, struct slice group_id,
                                   bool may_be_empty, bool create, enum err absent,
                                   struct group_entry **entry);

/* Carries the effects out; leaves the group if one was entered. */
void coordinator_carry_out(struct group_coordinator *coordinator, struct group_entry *entry,
                           struct group_effects *effects);

/* ---- coordinator.c ---- */

/* Appends the stores, unlocks and lets go of the entry, sets the timer, sends the replies. */
void coordinator_leave(struct group_entry *entry, struct group_effects *effects);
void coordinator_leave_deleting(struct group_entry *entry, struct group_effects *effects,
                                struct group_delete_batch *batch, size_t batch_index);
void coordinator_send(struct group_coordinator *coordinator, struct group_effects *effects);
void coordinator_batch_release(struct group_coordinator *coordinator,
                               struct group_delete_batch *batch);

/* Calls each for every group, locked; effects are carried out after each. */
typedef void coordinator_visit(struct group *group, void *context, struct group_time now,
                               struct group_effects *effects);
void coordinator_each(struct group_coordinator *coordinator, coordinator_visit *visit,
                      void *context);

#endif
