#ifndef TIDINGS_BASE_VARINT_H
#define TIDINGS_BASE_VARINT_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Variable-length integers: seven bits a byte, low bits first (protocol guide, "Protocol Primitive
 * Types": VARINT, VARLONG, UNSIGNED_VARINT). Signed ones are zigzag encoded.
 */
enum { VARINT_MAX_BYTES = 5, VARLONG_MAX_BYTES = 10 };

/* A signed number as an unsigned one that is small when it is near 0: 0, -1, 1, -2 ... are 0, 1, 2,
 * 3 ...; and back. */
static inline uint64_t zigzag_encode(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

/* The number that zigzag_encode made this of. */
static inline int64_t zigzag_decode(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/*
 * Reads one value at *position, moves *position past it. False, with *position unchanged, when the
 * bytes end inside the value or it is longer than its type allows.
 */
bool uvarint_read(struct slice bytes, size_t *position, uint32_t *value);
bool varint_read(struct slice bytes, size_t *position, int32_t *value);
bool varlong_read(struct slice bytes, size_t *position, int64_t *value);

/* Writes at `to` (room for VARLONG_MAX_BYTES) and returns how many bytes it took. */
size_t uvarint_store(uint8_t *to, uint64_t value);

/* How many bytes uvarint_store takes. */
size_t uvarint_size(uint64_t value);

/* How many bytes buf_append_varlong takes. */
static inline size_t varlong_size(int64_t value)
{
    return uvarint_size(zigzag_encode(value));
}

/* Append the value as it is, and zigzag encoded. */
void buf_append_uvarint(struct buf *buf, uint32_t value);
void buf_append_varlong(struct buf *buf, int64_t value); /* also a VARINT when it fits int32 */

#endif
