#ifndef TIDINGS_BASE_COND_H
#define TIDINGS_BASE_COND_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/*
 * Condition variables whose waits with a time-out go by the monotonic clock, so that a clock that
 * is set neither ends nor prolongs them. Any thread.
 */

/* A fresh one; pthread_cond_destroy it. */
void cond_init(pthread_cond_t *cond);

/* For pthread_cond_timedwait on such a one: so long from now, or a moment of clock_now_ns. */
struct timespec cond_after_ms(int64_t ms);
struct timespec cond_at_ns(int64_t mono_ns);

#endif
