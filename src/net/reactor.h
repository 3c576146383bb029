#ifndef TIDINGS_NET_REACTOR_H
#define TIDINGS_NET_REACTOR_H

#include "base/heap.h"
#include "base/task.h"

#include <stdint.h>

/* One of the net's threads, for those who have work done on it: net.h tells how it goes round. */
struct reactor;

/* Which one of net_reactor it is. Any thread. */
unsigned reactor_index(const struct reactor *reactor);

/* Runs task->run on the reactor's thread, in posting order per poster. Any thread. */
void reactor_post(struct reactor *reactor, struct task *task);

/* The reactor's monotonic clock as of this loop turn. Its thread only. */
int64_t reactor_now_ms(const struct reactor *reactor);

/* A timer embedded in its owner; fires once, on the reactor's thread. */
struct reactor_timer {
    struct heap_node node;
    void (*fire)(struct reactor_timer *timer);
};

/* Arms or moves the timer to the monotonic time at_ms. Its reactor's thread only. */
void reactor_timer_set(struct reactor *reactor, struct reactor_timer *timer, int64_t at_ms);
void reactor_timer_cancel(struct reactor *reactor, struct reactor_timer *timer);

#endif
