#ifndef TIDINGS_BENCH_CANARY_H
#define TIDINGS_BENCH_CANARY_H

#include "base/vec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a processor was there. A thread on it, in front of the server's by its real-time priority
 * (its creator's), wakes each 2 ms; when it comes a millisecond late, the kernel or the host gave
 * the processor to somebody else (sched(7): "Limiting the CPU usage of real-time and deadline
 * processes"), and what waited then did not wait for the server.
 */
struct canary_gap {
    int64_t from_ns;
    int64_t to_ns;
};

struct canary {
    pthread_t thread;
    int cpu;
    atomic_bool ends;
    VEC(struct canary_gap) gaps; /* in order; read behind canary_stop */
};

/* False: the thread cannot be, or not on this processor. */
bool canary_start(struct canary *canary, int cpu);
void canary_stop(struct canary *canary);
void canary_deinit(struct canary *canary);

/* Whether the processor was away between the two, or shortly before: what had gathered is done
 * then. clock_now_ns. */
bool canary_was_away(const struct canary *canary, int64_t from_ns, int64_t to_ns);

#endif
