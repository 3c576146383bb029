#ifndef TIDINGS_TESTS_FUZZ_PARTS_H
#define TIDINGS_TESTS_FUZZ_PARTS_H

#include "base/bytes.h"
#include "base/slice.h"

#include <stdbool.h>

/* Takes the next part of an input: its size as u16, 0xffff for null, and so many bytes. False:
 * there is none, or not all of it. */
static inline bool take(struct slice *left, struct slice *out)
{
    if (left->size < 2) {
        return false;
    }
    size_t size = load_be16(left->data);
    bool none = size == 0xffff;
    size = none ? 0 : size;
    if (size > left->size - 2) {
        return false;
    }
    *out = none ? (struct slice){0} : slice_of(left->data + 2, size);
    *left = slice_of(left->data + 2 + size, left->size - 2 - size);
    return true;
}

#endif
