#include "base/deadline.h"

#include "base/clock.h"

#include <stddef.h>

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

void deadline_begin(struct deadline *deadline, int64_t ms)
{
    int64_t not_begun = 0;
    (void)atomic_compare_exchange_strong(&deadline->by_ms, &not_begun, now_ms() + ms);
}

bool deadline_has_begun(const struct deadline *deadline)
{
    return deadline != NULL && atomic_load(&deadline->by_ms) != 0;
}

void deadline_grant(struct deadline *deadline, int64_t ms)
{
    int64_t least_ms = now_ms() + ms;
    if (atomic_load(&deadline->by_ms) < least_ms) {
        atomic_store(&deadline->by_ms, least_ms);
    }
}

int64_t deadline_left_ms(const struct deadline *deadline, int64_t most_ms)
{
    int64_t by_ms = deadline != NULL ? atomic_load(&deadline->by_ms) : 0;
    if (by_ms == 0) {
        return most_ms;
    }
    int64_t left_ms = by_ms - now_ms();
    return left_ms < 0 ? 0 : left_ms < most_ms ? left_ms : most_ms;
}

bool deadline_is_pressing(const struct deadline *deadline, bool had_begun)
{
    if (!deadline_has_begun(deadline)) {
        return false;
    }
    int64_t keep_ms = had_begun ? 0 : deadline->within_ms / 2;
    return deadline_left_ms(deadline, keep_ms + 1) <= keep_ms;
}
