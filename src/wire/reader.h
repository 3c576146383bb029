#ifndef TIDINGS_WIRE_READER_H
#define TIDINGS_WIRE_READER_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "wire/types.h"

/*
 * Reads a message out of bytes that nobody has checked.
 *
 * Nothing past the end is ever read. The first error sticks: the position jumps to the end and
 * every later read gives zero, so callers look at `err` once, at the end. Strings, bytes and
 * records borrow the input; arrays lie in the arena, whose limit bounds them. An array count is
 * refused when the bytes that remain cannot hold that many elements, or when it is above
 * WIRE_ARRAY_MOST; more than WIRE_TAGS_MOST tagged fields of one struct are refused, too.
 * Errors: ERR_TRUNCATED, ERR_CORRUPT (a length, count or varint that cannot be), ERR_TOO_LARGE (one
 * of these bounds, the arena's limit). One thread at a time.
 *
 * Bytes after the last field are ignored, as Kafka's broker does; wire_reader_at_end tells of them.
 */
enum {
    /* As Apache Kafka since 4.4. */
    WIRE_ARRAY_MOST = 1000000,
    WIRE_TAGS_MOST = 10000,
};

struct wire_reader {
    struct slice bytes;
    size_t position;
    struct arena *arena;
    enum err err;
};

/* Begins at the first byte. Bytes and arena outlive the reader. */
static inline void wire_reader_init(struct wire_reader *reader, struct slice bytes,
                                    struct arena *arena)
{
    *reader = (struct wire_reader){.bytes = bytes, .arena = arena};
}

/* How many bytes are left; 0 after an error. */
static inline size_t wire_reader_remaining(const struct wire_reader *reader)
{
    return reader->bytes.size - reader->position;
}

/* No error so far and no byte left. */
static inline bool wire_reader_at_end(const struct wire_reader *reader)
{
    return reader->err == ERR_NONE && reader->position == reader->bytes.size;
}

/* Notes the first error and makes every later read fail. */
static inline void wire_reader_fail(struct wire_reader *reader, enum err err)
{
    if (reader->err == ERR_NONE) {
        reader->err = err;
    }
    reader->position = reader->bytes.size;
}

/* The next `size` bytes, or NULL (error noted) when fewer remain. */
static inline const uint8_t *wire_reader_take(struct wire_reader *reader, size_t size)
{
    if (size > wire_reader_remaining(reader) || reader->err != ERR_NONE) {
        wire_reader_fail(reader, ERR_TRUNCATED);
        return NULL;
    }
    const uint8_t *bytes = reader->bytes.data + reader->position;
    reader->position += size;
    return bytes;
}

/* Zeroed memory for count things of size bytes in the arena; NULL (error noted) over its limit. */
void *wire_reader_alloc(struct wire_reader *reader, size_t count, size_t size);

/* A value of fixed size, big-endian, as the protocol guide says of its type; 0 after an error: */

static inline int8_t wire_read_int8(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_reader_take(reader, 1);
    return bytes != NULL ? (int8_t)bytes[0] : 0;
}

static inline bool wire_read_bool(struct wire_reader *reader)
{
    return wire_read_int8(reader) != 0;
}

static inline int16_t wire_read_int16(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_reader_take(reader, 2);
    return bytes != NULL ? (int16_t)load_be16(bytes) : 0;
}

static inline uint16_t wire_read_uint16(struct wire_reader *reader)
{
    return (uint16_t)wire_read_int16(reader);
}

static inline int32_t wire_read_int32(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_reader_take(reader, 4);
    return bytes != NULL ? (int32_t)load_be32(bytes) : 0;
}

static inline uint32_t wire_read_uint32(struct wire_reader *reader)
{
    return (uint32_t)wire_read_int32(reader);
}

static inline int64_t wire_read_int64(struct wire_reader *reader)
{
    const uint8_t *bytes = wire_reader_take(reader, 8);
    return bytes != NULL ? (int64_t)load_be64(bytes) : 0;
}

static inline double wire_read_float64(struct wire_reader *reader)
{
    int64_t bits = wire_read_int64(reader);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline struct wire_uuid wire_read_uuid(struct wire_reader *reader)
{
    struct wire_uuid uuid = {{0}};
    const uint8_t *bytes = wire_reader_take(reader, sizeof uuid.bytes);
    if (bytes != NULL) {
        memcpy(uuid.bytes, bytes, sizeof uuid.bytes);
    }
    return uuid;
}

/* An UNSIGNED_VARINT of more than one byte; wire_read_uvarint calls it. */
uint32_t wire_read_uvarint_slow(struct wire_reader *reader);

/* An UNSIGNED_VARINT, 1 to 5 bytes; 0 after an error. */
static inline uint32_t wire_read_uvarint(struct wire_reader *reader)
{
    if (reader->position < reader->bytes.size) {
        uint8_t first = reader->bytes.data[reader->position];
        if (first < 0x80) {
            reader->position++;
            return first;
        }
    }
    return wire_read_uvarint_slow(reader);
}

/*
 * STRING or, when flexible, COMPACT_STRING; null only where `nullable` allows it. At most 32767
 * bytes. Not checked for UTF-8. After an error: the empty string.
 */
struct slice wire_read_string(struct wire_reader *reader, bool flexible, bool nullable);

/* BYTES or COMPACT_BYTES, likewise. */
struct slice wire_read_bytes(struct wire_reader *reader, bool flexible, bool nullable);

/* RECORDS or COMPACT_RECORDS as bytes, likewise; the batches in them are not looked at. */
struct wire_records wire_read_records(struct wire_reader *reader, bool flexible, bool nullable);

/*
 * The count of an ARRAY or COMPACT_ARRAY and room for its elements: each takes at least
 * element_bytes on the wire and `size` bytes in memory. Null gives NULL and count -1; empty, and
 * any error, gives NULL and count 0.
 */
void *wire_read_array(struct wire_reader *reader, bool flexible, bool nullable,
                      size_t element_bytes, size_t size, int32_t *count);

/* Whether a struct that may be null is there (KIP-893). */
static inline bool wire_read_present(struct wire_reader *reader)
{
    return wire_read_int8(reader) >= 0 && reader->err == ERR_NONE;
}

/* How many tagged fields follow, at most WIRE_TAGS_MOST; 0 after an error. */
uint32_t wire_read_tag_count(struct wire_reader *reader);

/*
 * The next tagged field (KIP-482). Narrows the reader to its value and returns the whole input's
 * size, which goes to wire_read_tag_end after the value was read or left alone.
 */
size_t wire_read_tag_begin(struct wire_reader *reader, uint32_t *tag);

/* The value of an unknown tag: skips it. */
static inline void wire_read_tag_skip(struct wire_reader *reader)
{
    reader->position = reader->bytes.size;
}

/* ERR_CORRUPT when the value was shorter than its size said. */
void wire_read_tag_end(struct wire_reader *reader, size_t whole_size);

/* Skips the tagged fields at the end of a struct that knows none. */
void wire_read_unknown_tags(struct wire_reader *reader);

#endif
