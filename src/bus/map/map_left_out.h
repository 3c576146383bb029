#ifndef TIDINGS_BUS_MAP_MAP_LEFT_OUT_H
#define TIDINGS_BUS_MAP_MAP_LEFT_OUT_H

#include <stddef.h>
#include <stdint.h>

/*
 * How many different things had no place, each of which may be met again and again: counted in
 * 8 KiB, exactly at first and within some 1 % up to 100,000 (linear counting: Whang, Vander-Zanden,
 * Taylor 1990); beyond 500,000 it says too few. All zeros: none.
 */
enum { MAP_LEFT_OUT_BYTES = 8192 };

struct map_left_out {
    uint8_t bits[MAP_LEFT_OUT_BYTES];
    size_t count; /* of bits that are set */
};

/* One that had no place, known by these bytes. */
void map_left_out_add(struct map_left_out *left_out, const void *key, size_t size);

/* About how many there were. */
size_t map_left_out_count(const struct map_left_out *left_out);

#endif
