#ifndef TIDINGS_BASE_PRIORITY_H
#define TIDINGS_BASE_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Of threads whose work takes long: when processors are short, whoever answers clients comes
     * first, and these still have about a tenth beside each (sched(7), "The nice value"). */
    PRIORITY_NICE_BEHIND = 10,
    PRIORITY_QUICK_NS = 100000 /* the least that Linux takes */
};

/* The calling thread has this nice value from now on (0..19, not below its own). A refusal is
 * passed over: it only means that others wait longer. Linux counts it per thread. */
void priority_set_nice(int nice);

/*
 * The calling thread has turns of so many nanoseconds from now on: when it wakes it need not wait
 * until whoever runs has had a longer one, and gets no more of the processor for it.
 * Acts from Linux 6.12 on (sched_setattr(2), sched_runtime under SCHED_OTHER); before, and when
 * refused, nothing changes.
 */
void priority_set_turn(int64_t turn_ns);

/*
 * Whoever waits for this processor and is owed it goes first. To be called between pieces of work
 * by who has much of it: a thread that has become ready need not have taken the processor away, and
 * then waits for the next tick of the kernel's clock, up to 4 ms, or until this one sleeps. What
 * this one gives up is one of its turns. Costs less than a microsecond when nobody waits.
 */
void priority_give_way(void);

/*
 * The same by who leaves work to the kernel that is done later and gives way to nobody, as the
 * removal of files does (RCU callbacks, up to 2 ms at a time for thousands): sleeps for 0.3 ms when
 * somebody was awaited (below) in the last 20 ms, so that it comes in small portions.
 */
void priority_stand_back(void);

/* Another thread was given a little work that somebody waits for: for a millisecond from now on
 * priority_is_awaited says so, of the whole process. Any thread. */
void priority_await(int64_t now_ns);
bool priority_is_awaited(int64_t now_ns);

#endif
