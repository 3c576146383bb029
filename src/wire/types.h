#ifndef TIDINGS_WIRE_TYPES_H
#define TIDINGS_WIRE_TYPES_H

#include "base/file.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The values that Kafka's messages are made of (protocol guide, "Protocol Primitive Types").
 *
 * string, bytes   struct slice; data == NULL is null
 * array           a pointer `name` and an int32_t `name_count`; null is count -1, empty is 0
 * records         struct wire_records
 * one struct      held by value, or by pointer when it may be null
 */

/* The empty string, for fields that are not null. */
#define WIRE_EMPTY ((struct slice){.data = (const uint8_t *)"", .size = 0})

/* A topic id or the like: 16 bytes in the order of the wire. All zero means none. */
struct wire_uuid {
    uint8_t bytes[16];
};

/* The same 16 bytes. */
static inline bool wire_uuid_equal(struct wire_uuid a, struct wire_uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

/* Whether it stands for none. */
static inline bool wire_uuid_is_zero(struct wire_uuid uuid)
{
    return wire_uuid_equal(uuid, (struct wire_uuid){{0}});
}

/*
 * Record batches in a message: `bytes`, then the file spans. A decoder sets bytes only, borrowing
 * its input. Null when there are neither bytes.data nor spans (zero-initialised).
 */
struct wire_records {
    struct slice bytes;
    struct file_span *spans;
    int32_t span_count;
};

/* Whether it is the protocol's null, which is not an empty value. */
static inline bool wire_records_is_null(const struct wire_records *records)
{
    return records->bytes.data == NULL && records->spans == NULL;
}

#endif
