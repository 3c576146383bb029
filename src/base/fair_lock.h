#ifndef TIDINGS_BASE_FAIR_LOCK_H
#define TIDINGS_BASE_FAIR_LOCK_H

#include <pthread.h>
#include <stdint.h>

/*
 * A lock that is had in the order in which it was asked for. A mutex is mostly taken again by who
 * has just given it up: whoever does one change after the other would keep all others out. For
 * locks that are held long, as each change of hands wakes all who wait.
 */
struct fair_lock {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    uint64_t next;   /* number of who comes next */
    uint64_t served; /* number of who has it, or may */
};

/* In place; nobody has it yet. */
void fair_lock_init(struct fair_lock *lock);
/* When nobody has it, or waits for it. */
void fair_lock_deinit(struct fair_lock *lock);

/* Waits until it is the caller's. Any thread; not twice. */
void fair_lock_take(struct fair_lock *lock);
/* Hands it to who has waited the longest. The thread that has it. */
void fair_lock_give(struct fair_lock *lock);

#endif
