#ifndef TIDINGS_BASE_CLOCK_H
#define TIDINGS_BASE_CLOCK_H

#include <stdint.h>

/*
 * Time as a parameter, so that tests can play it. The functions may be called from any thread.
 * wall_ms: milliseconds since 1970 UTC; may jump. mono_ms: never goes back; for time-outs.
 */
struct clock {
    void *context;
    int64_t (*wall_ms)(void *context);
    int64_t (*mono_ms)(void *context);
};

/* The machine's clock. Static, never freed. Any thread. */
const struct clock *clock_system(void);

/* Milliseconds since 1970 UTC. Any thread. */
static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}

/* Milliseconds of a clock that never goes back. Any thread. */
static inline int64_t clock_mono_ms(const struct clock *clock)
{
    return clock->mono_ms(clock->context);
}

/* One moment by both clocks: time-outs run by mono_ms, what is stored carries wall_ms. */
struct clock_time {
    int64_t mono_ms;
    int64_t wall_ms;
};

/* What the clock says now. Any thread. */
static inline struct clock_time clock_moment(const struct clock *clock)
{
    return (struct clock_time){.mono_ms = clock_mono_ms(clock), .wall_ms = clock_wall_ms(clock)};
}

/* Monotonic nanoseconds of this machine, for measuring only. */
int64_t clock_now_ns(void);

#endif
