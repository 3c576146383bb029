#ifndef TIDINGS_WIRE_WRITER_H
#define TIDINGS_WIRE_WRITER_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/vec.h"
#include "wire/types.h"

/*
 * Writes a message to the end of a buf. Records that lie in files are not copied: their length is
 * written, and a splice notes where in the buf their bytes belong, for sendfile.
 *
 * The first error sticks in `err`: ERR_TOO_LARGE for a length that the protocol cannot carry,
 * ERR_UNSUPPORTED for a version that the schema lacks. What was written is then of no use. A null
 * value where the version does not allow null is written as empty. One thread at a time.
 */
struct wire_splice {
    size_t offset; /* the span comes after this many bytes of the buf */
    struct file_span span;
};

struct wire_writer {
    struct buf *buf;
    VEC(struct wire_splice) splices; /* by rising offset */
    size_t spliced_bytes;            /* the sum of the spans' sizes */
    enum err err;
};

/* Begins a message at the end of the buf, which outlives the writer. */
static inline void wire_writer_init(struct wire_writer *writer, struct buf *buf)
{
    *writer = (struct wire_writer){.buf = buf};
}

/* Releases the spans that were not taken. The buf is the caller's. */
void wire_writer_deinit(struct wire_writer *writer);

/*
 * Hands the splices over: the caller sends or releases each span once, then frees the array with
 * free(). NULL when there are none.
 */
struct wire_splice *wire_writer_take_splices(struct wire_writer *writer, size_t *count);

/* Begins a frame (an INT32 size, then that many bytes); give the result to wire_frame_end. */
size_t wire_frame_begin(struct wire_writer *writer);

/* Sets the size of the frame, which counts the bytes of splices too. One frame a writer. */
void wire_frame_end(struct wire_writer *writer, size_t begin);

/* Notes an error unless there is one already. */
static inline void wire_writer_fail(struct wire_writer *writer, enum err err)
{
    if (writer->err == ERR_NONE) {
        writer->err = err;
    }
}

/* Room for size more bytes, counted as written. */
static inline uint8_t *wire_writer_room(struct wire_writer *writer, size_t size)
{
    struct buf *buf = writer->buf;
    if (buf->capacity - buf->size >= size && buf->data != NULL) {
        uint8_t *room = buf->data + buf->size;
        buf->size += size;
        return room;
    }
    return buf_extend(buf, size);
}

/* Append a value of fixed size, big-endian, as the protocol guide says of its type: */

static inline void wire_write_int8(struct wire_writer *writer, int8_t value)
{
    *wire_writer_room(writer, 1) = (uint8_t)value;
}

static inline void wire_write_bool(struct wire_writer *writer, bool value)
{
    wire_write_int8(writer, value ? 1 : 0);
}

static inline void wire_write_uint16(struct wire_writer *writer, uint16_t value)
{
    store_be16(wire_writer_room(writer, 2), value);
}

static inline void wire_write_int16(struct wire_writer *writer, int16_t value)
{
    wire_write_uint16(writer, (uint16_t)value);
}

static inline void wire_write_uint32(struct wire_writer *writer, uint32_t value)
{
    store_be32(wire_writer_room(writer, 4), value);
}

static inline void wire_write_int32(struct wire_writer *writer, int32_t value)
{
    wire_write_uint32(writer, (uint32_t)value);
}

static inline void wire_write_int64(struct wire_writer *writer, int64_t value)
{
    store_be64(wire_writer_room(writer, 8), (uint64_t)value);
}

static inline void wire_write_float64(struct wire_writer *writer, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    wire_write_int64(writer, bits);
}

static inline void wire_write_uuid(struct wire_writer *writer, struct wire_uuid value)
{
    memcpy(wire_writer_room(writer, sizeof value.bytes), value.bytes, sizeof value.bytes);
}

/* Appends an UNSIGNED_VARINT, 1 to 5 bytes. */
void wire_write_uvarint(struct wire_writer *writer, uint32_t value);

/* STRING or, when flexible, COMPACT_STRING; at most 32767 bytes. */
void wire_write_string(struct wire_writer *writer, struct slice value, bool flexible,
                       bool nullable);

/* BYTES or COMPACT_BYTES. */
void wire_write_bytes(struct wire_writer *writer, struct slice value, bool flexible, bool nullable);

/* The writer takes the spans over, whatever becomes of the message. */
void wire_write_records(struct wire_writer *writer, const struct wire_records *value, bool flexible,
                        bool nullable);

/* The count of an ARRAY or COMPACT_ARRAY; a negative one is null. */
void wire_write_count(struct wire_writer *writer, int32_t count, bool flexible, bool nullable);

/* Whether a struct that may be null follows (KIP-893). */
static inline void wire_write_present(struct wire_writer *writer, bool present)
{
    wire_write_int8(writer, present ? 1 : -1);
}

/* A tagged field (KIP-482): its value is written between begin and end. */
size_t wire_write_tag_begin(struct wire_writer *writer, uint32_t tag);
void wire_write_tag_end(struct wire_writer *writer, size_t begin);

#endif
