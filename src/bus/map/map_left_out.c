#include "bus/map/map_left_out.h"

#include "base/siphash.h"

#include <math.h>

enum { BITS = MAP_LEFT_OUT_BYTES * 8 };

void map_left_out_add(struct map_left_out *left_out, const void *key, size_t size)
{
    static const struct siphash_key secret = {0x7469, 0x6c656674};
    size_t bit = siphash128(&secret, key, size).low % BITS;
    uint8_t mask = (uint8_t)(1U << bit % 8);
    left_out->count += (left_out->bits[bit / 8] & mask) == 0;
    left_out->bits[bit / 8] |= mask;
}

size_t map_left_out_count(const struct map_left_out *left_out)
{
    double free_bits = left_out->count < BITS ? (double)(BITS - left_out->count) : 1;
    return left_out->count == 0 ? 0 : (size_t)lround(-BITS * log(free_bits / BITS));
}
