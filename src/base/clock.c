#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_ms(void *context)
{
    (void)context;
    return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t system_mono_ms(void *context)
{
    (void)context;
    return read_ns(CLOCK_MONOTONIC) / 1000000;
}

static const struct clock system_clock = {
    .context = NULL,
    .wall_ms = system_wall_ms,
    .mono_ms = system_mono_ms,
};

const struct clock *clock_system(void)
{
    return &system_clock;
}

int64_t clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}
