#ifndef TIDINGS_BASE_SATURATE_H
#define TIDINGS_BASE_SATURATE_H

#include <stdint.h>

/*
 * Sums and differences of numbers that others chose: what is out of range is the nearest that is
 * in it, where `+` and `-` would be undefined. Any thread.
 */
static inline int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : b < 0 ? INT64_MIN : INT64_MAX;
}

/* a - b, as above. Any thread. */
static inline int64_t subtract_saturated(int64_t a, int64_t b)
{
    int64_t difference;
    return !__builtin_sub_overflow(a, b, &difference) ? difference : b < 0 ? INT64_MAX : INT64_MIN;
}

#endif
