#ifndef TIDINGS_BASE_BYTE_SET_H
#define TIDINGS_BASE_BYTE_SET_H

#include "base/slice.h"

/*
 * A set of characters. What is said of classes, ranges and the inverse is said of ASCII: bytes
 * above are in no set but by byte_set_add. Zeroed is empty. Pure; any thread.
 */
struct byte_set {
    uint64_t bits[4];
};

/* Whether the byte is in the set. */
static inline bool byte_set_has(const struct byte_set *set, uint8_t byte)
{
    return set->bits[byte >> 6] >> (byte & 63) & 1;
}

/* Adds one byte, of any value. */
static inline void byte_set_add(struct byte_set *set, uint8_t byte)
{
    set->bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

/* Adds first to last, as far as that is ASCII. Nothing when last is below first. */
void byte_set_add_range(struct byte_set *set, uint32_t first, uint32_t last);

/* Adds what \d, \w or \s stands for (the lower case letter); false for any other letter. */
bool byte_set_add_letter(uint8_t letter, struct byte_set *set);

/* Adds what [:name:] stands for; false when there is no such class. */
bool byte_set_add_named(struct slice name, struct byte_set *set);

/* Every ASCII character that was out is in, and the other way round. */
void byte_set_invert(struct byte_set *set);

/* Adds the other case of each letter in it. */
void byte_set_fold_case(struct byte_set *set);

#endif
