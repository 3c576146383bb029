#ifndef TIDINGS_BASE_DEADLINE_H
#define TIDINGS_BASE_DEADLINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A moment by which all of something has to be over, whatever it consists of: each of its waits
 * takes what is left. It is set once, by whoever begins the end, and read by those who wait. Goes
 * by the machine's monotonic clock. Any thread; deadline_begin also in a signal handler.
 */
struct deadline {
    _Atomic int64_t by_ms; /* 0: it has not begun, and nobody has to hurry */
    int64_t within_ms;     /* how long it will be, set before others know it; 0: not known */
};

/* It is over within ms from now, unless it has begun before. */
void deadline_begin(struct deadline *deadline, int64_t ms);

/* Whether it has begun. NULL: it never does. */
bool deadline_has_begun(const struct deadline *deadline);

/* There are at least so many ms, though its time may be over. */
void deadline_grant(struct deadline *deadline, int64_t ms);

/* What is left of it, of at most most_ms; 0: its time is over. most_ms when it has not begun, or
 * is NULL. */
int64_t deadline_left_ms(const struct deadline *deadline, int64_t most_ms);

/* Whether who waits for something has to leave it now: its time is over, or, when it had not begun
 * as the wait did, half of it, so that what else has to be done has the other half. */
bool deadline_is_pressing(const struct deadline *deadline, bool had_begun);

#endif
