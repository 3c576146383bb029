#include "base/movable_clock.h"

static int64_t moved_wall_ms(void *context)
{
    const struct movable_clock *movable = context;
    return clock_wall_ms(movable->under) + atomic_load(&movable->wall_ahead_ms);
}

static int64_t moved_mono_ms(void *context)
{
    const struct movable_clock *movable = context;
    return clock_mono_ms(movable->under) + atomic_load(&movable->mono_ahead_ms);
}

void movable_clock_init(struct movable_clock *movable, const struct clock *under)
{
    movable->clock = (struct clock){movable, moved_wall_ms, moved_mono_ms};
    movable->under = under;
    atomic_init(&movable->wall_ahead_ms, 0);
    atomic_init(&movable->mono_ahead_ms, 0);
}

enum err movable_clock_advance(struct movable_clock *movable, int64_t ms, bool calendar_only,
                               struct reason *reason)
{
    int64_t ahead_ms = atomic_load(&movable->wall_ahead_ms);
    if (ms < 0) {
        return reason_fail(reason, ERR_INVALID, "the clock is moved forward only");
    }
    do {
        if (ms > MOVABLE_CLOCK_MOST_MS - ahead_ms) {
            return reason_fail(reason, ERR_INVALID,
                               "the clock would be more than 100 years ahead: it is at %lld ms",
                               (long long)ahead_ms);
        }
    } while (!atomic_compare_exchange_weak(&movable->wall_ahead_ms, &ahead_ms, ahead_ms + ms));
    if (!calendar_only) {
        atomic_fetch_add(&movable->mono_ahead_ms, ms);
    }
    return ERR_NONE;
}
