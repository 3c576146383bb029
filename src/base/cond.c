#include "base/cond.h"

#include "base/clock.h"

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec cond_at_ns(int64_t mono_ns)
{
    return (struct timespec){.tv_sec = mono_ns / 1000000000, .tv_nsec = mono_ns % 1000000000};
}

struct timespec cond_after_ms(int64_t ms)
{
    return cond_at_ns(clock_now_ns() + ms * 1000000);
}
