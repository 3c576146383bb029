#ifndef TIDINGS_COORDINATOR_COORDINATOR_H
#define TIDINGS_COORDINATOR_COORDINATOR_H

#include "base/clock.h"
#include "base/heap.h"
#include "coordinator/state_log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uthash.h>

/*
 * What the coordinators of groups and of transactions have in common: many states, each under a key
 * with a lock, references and a deadline of its own. Records of a state are appended under its
 * lock, so that the log has them in the order of the states; who waits for them goes on once they
 * are on disk.
 *
 *   struct entry *entry = entry_enter(coordinator, key);    locked
 *   entry_append(entry, &batch, &mine->append);              as often as needed
 *   entry_leave(entry);                                      unlocks, sets the deadline, waits
 *   mine->append.done(...)                                   later, on any thread
 *
 * A user embeds the struct entry in its own struct and the struct coordinator in another; struct
 * coordinator_kind says how a state is made, freed and looked at.
 *
 * Any thread may call anything here but init and deinit (one thread, before and after all others).
 * Locks: `table_lock` (which entries there are), `timer_lock` (their deadlines) and the one of each
 * entry. table_lock is held over kind->make; else nothing here holds two of them at once.
 */
struct coordinator;

/* A state under its key. References: the table, the deadline, each user, each append under way. */
struct entry {
    struct coordinator *coordinator;
    struct slice key;     /* owned; never changes */
    int32_t partition;    /* of the state log; never changes */
    pthread_mutex_t lock; /* guards the user's part, dead and what was appended */
    bool dead;            /* the user's to set: forgotten when it is left; a new one may follow */
    atomic_bool large;    /* the user's to set, under the lock: see coordinator_is_large */
    struct entry_append *appended; /* since it was locked, in order */
    struct entry_append *last_appended;
    atomic_int refs;
    struct heap_node timer;   /* guarded by timer_lock */
    _Atomic int64_t armed_ms; /* its key; INT64_MAX: in no heap. Written under timer_lock */
    UT_hash_handle hh;        /* guarded by table_lock */
};

/* A batch of an entry between append and disk. */
struct entry_append {
    /*
     * Once it is on disk, or the log has failed (ERR_IO). Without locks, any thread. Has the
     * append's reference: ends with entry_unref, or locks the entry and leaves it.
     */
    void (*done)(struct entry_append *append, struct entry *entry, enum err err);
    struct state_append state;
    struct entry *entry;
    struct entry_append *next;
};

struct coordinator_kind {
    /*
     * Makes the state of this key, which is there for the call, and returns the zeroed entry in it;
     * origin is entry_enter_new's. Under table_lock: short.
     */
    struct entry *(*make)(struct coordinator *coordinator, struct slice key, const void *origin);
    /* The last reference is gone: frees what make made. Any thread. */
    void (*free)(struct entry *entry);
    /* By when tick wants to see it (mono); INT64_MAX: never. May be early. The entry is locked. */
    int64_t (*deadline_ms)(struct entry *entry);
    /* The deadline is over. The entry is locked and not dead; to be left. */
    void (*tick)(struct entry *entry, int64_t now_ms);
};

/* What a coordinator works with. Copied. */
struct coordinator_env {
    const struct clock *clock;
    struct state_log log;
    /* Tick wants to be called by deadline_ms (mono), earlier than said before. Without locks, any
     * thread. May be NULL. */
    void (*wake)(void *context, int64_t deadline_ms);
    void *wake_context;
};

/* The owner's to set: deadlines count and requests are served in between. */
enum coordinator_phase { COORDINATOR_LOADING, COORDINATOR_SERVING, COORDINATOR_STOPPED };

struct coordinator {
    const struct coordinator_kind *kind;
    struct coordinator_env env;
    _Atomic enum coordinator_phase phase;
    pthread_mutex_t table_lock;
    struct entry *table;
    struct coordinator_walk *walks; /* that are on their way */
    pthread_mutex_t timer_lock;
    struct heap timers;
};

/* Empty and loading. Everything is copied; what env points to outlives it. */
void coordinator_init(struct coordinator *coordinator, const struct coordinator_kind *kind,
                      const struct coordinator_env *env);

/* When it is stopped and no append is under way: all entries are freed. */
void coordinator_deinit(struct coordinator *coordinator);

/* What its clock says now. Any thread. */
static inline struct clock_time coordinator_now(const struct coordinator *coordinator)
{
    return clock_moment(coordinator->env.clock);
}

/* Whether it serves: ERR_NONE, ERR_LOADING, ERR_COORDINATOR_UNAVAILABLE. */
CHECKED enum err coordinator_check(const struct coordinator *coordinator);

/* The partition of the state log that holds the key's records: Kafka's rule. */
int32_t coordinator_partition(const struct coordinator *coordinator, struct slice key);

/* Whether the key's entry was said to be large, when it was left last: its lock may be held, and
 * work on it may take, longer than an event loop has. Waits for nobody who holds an entry. */
bool coordinator_is_large(struct coordinator *coordinator, struct slice key);

/* How many entries there are. Any thread. */
size_t coordinator_count(struct coordinator *coordinator);

/* Looks at all entries whose deadline is over at now_ms and returns when it wants to be called
 * next; INT64_MAX: when woken. */
int64_t coordinator_tick(struct coordinator *coordinator, int64_t now_ms);

/* Gets an entry locked and not dead, and leaves it. */
typedef void entry_visit(struct entry *entry, void *context);

/* Visits each entry there is at the call, in no order, one at a time. Any thread that holds no
 * entry. */
void coordinator_each(struct coordinator *coordinator, entry_visit *visit, void *context);

/*
 * The same in pieces, for work that is not to take long at once. Each piece visits entries until so
 * much time has passed, at least one; true: there are more. Entries that are made meanwhile may be
 * visited or not. The walk stays where it is until it has ended: by the last piece, or before by
 * coordinator_walk_end, which does nothing more to one that has. Pieces one at a time, any thread
 * that holds no entry.
 */
struct coordinator_walk {
    struct coordinator *coordinator; /* NULL once it has ended */
    struct entry *next;              /* the coordinator's, which moves it on when the entry goes */
    size_t left;
    struct coordinator_walk *prev_walk, *next_walk;
};

/* Begins a walk over the entries there are. */
void coordinator_walk_begin(struct coordinator *coordinator, struct coordinator_walk *walk);

/* One piece of `ns` nanoseconds, or one entry. True: there are more. */
bool coordinator_walk_some(struct coordinator_walk *walk, entry_visit *visit, void *context,
                           int64_t ns);

/* Ends the walk where it is; nothing happens to one that has ended. */
void coordinator_walk_end(struct coordinator_walk *walk);

/* ---- entries ---- */

/* The entry of the key: referenced, locked and not dead. NULL when there is none. */
struct entry *entry_enter(struct coordinator *coordinator, struct slice key);

/* The same, but makes it when there is none. */
struct entry *entry_enter_new(struct coordinator *coordinator, struct slice key,
                              const void *origin);

/* One more reference, for who has one. */
void entry_ref(struct entry *entry);

/* Gives the caller's reference up; not under the entry's lock. The last one frees it. */
void entry_unref(struct entry *entry);

/* Locks what the caller has a reference to; it may be dead. Ended by entry_leave. */
void entry_lock(struct entry *entry);

/*
 * Appends the batch without waiting for the disk; the entry is locked. On ERR_NONE append->done is
 * called exactly once, after the entry was left; else never, and nothing was appended. Errors as
 * state_log.append.
 */
CHECKED enum err entry_append(struct entry *entry, const struct state_batch *batch,
                              struct entry_append *append);

/*
 * Unlocks the entry, forgets it when it is dead, else sees to its deadline; then has what was
 * appended waited for and lets go of the reference. done may be called from inside.
 */
void entry_leave(struct entry *entry);

/* The first half of entry_leave, for what is to be done before the wait and without the lock.
 * Returns what was appended; the reference stays the caller's. */
struct entry_append *entry_unlock(struct entry *entry);

/* The second half: takes what entry_unlock returned, and the reference. */
void entry_await(struct entry *entry, struct entry_append *appended);

#endif
