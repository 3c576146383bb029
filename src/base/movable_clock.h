#ifndef TIDINGS_BASE_MOVABLE_CLOCK_H
#define TIDINGS_BASE_MOVABLE_CLOCK_H

#include "base/clock.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * A clock that goes as another one does, and can be moved forward while it goes: so that a test
 * need not wait for what comes with time. It is never moved back, as time-outs run by it. Who
 * sleeps by it has to be woken after a move: that is for whoever moves it. Any thread.
 */
struct movable_clock {
    struct clock clock; /* to be given to others */
    const struct clock *under;
    _Atomic int64_t wall_ahead_ms;
    _Atomic int64_t mono_ahead_ms; /* never more than wall_ahead_ms */
};

/* A hundred years: what it can be ahead of the other one. */
#define MOVABLE_CLOCK_MOST_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)

/* As the other one, which outlives it. It stays where it is: others point to it. */
void movable_clock_init(struct movable_clock *movable, const struct clock *under);

/* Moves both clocks forward by ms (0 and more); calendar_only: wall_ms alone, so that no time-out
 * of a moment ago is over. ERR_INVALID: below 0, or more than MOVABLE_CLOCK_MOST_MS altogether. */
CHECKED enum err movable_clock_advance(struct movable_clock *movable, int64_t ms,
                                       bool calendar_only, struct reason *reason);

#endif
