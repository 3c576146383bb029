#include "wire/writer.h"

#include "base/mem.h"
#include "base/varint.h"

#include <assert.h>
#include <stdlib.h>

void wire_writer_deinit(struct wire_writer *writer)
{
    for (size_t i = 0; i < writer->splices.count; i++) {
        file_span_release(&writer->splices.items[i].span);
    }
    vec_deinit(&writer->splices);
    *writer = (struct wire_writer){.buf = NULL};
}

struct wire_splice *wire_writer_take_splices(struct wire_writer *writer, size_t *count)
{
    struct wire_splice *splices = writer->splices.items;
    *count = writer->splices.count;
    writer->splices.items = NULL;
    vec_deinit(&writer->splices);
    writer->spliced_bytes = 0;
    return splices;
}

size_t wire_frame_begin(struct wire_writer *writer)
{
    size_t begin = writer->buf->size;
    wire_write_int32(writer, 0);
    return begin;
}

void wire_frame_end(struct wire_writer *writer, size_t begin)
{
    size_t size = writer->buf->size - begin - sizeof(int32_t) + writer->spliced_bytes;
    if (size > INT32_MAX) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        return;
    }
    store_be32(writer->buf->data + begin, (uint32_t)size);
}

void wire_write_uvarint(struct wire_writer *writer, uint32_t value)
{
    if (value < 0x80) {
        *wire_writer_room(writer, 1) = (uint8_t)value;
    } else {
        buf_append_uvarint(writer->buf, value);
    }
}

/* A length or count; -1 is null. */
static void write_length(struct wire_writer *writer, int64_t length, bool flexible, bool short_one)
{
    if (flexible) {
        wire_write_uvarint(writer, (uint32_t)(length + 1));
    } else if (short_one) {
        wire_write_int16(writer, (int16_t)length);
    } else {
        wire_write_int32(writer, (int32_t)length);
    }
}

static void write_slice(struct wire_writer *writer, struct slice value, bool flexible,
                        bool nullable, bool short_one)
{
    if (value.size > (short_one ? (size_t)INT16_MAX : (size_t)INT32_MAX)) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        value = WIRE_EMPTY;
    }
    bool null = value.data == NULL && nullable;
    write_length(writer, null ? -1 : (int64_t)value.size, flexible, short_one);
    if (value.size > 0) {
        slice_copy(wire_writer_room(writer, value.size), value);
    }
}

void wire_write_string(struct wire_writer *writer, struct slice value, bool flexible, bool nullable)
{
    write_slice(writer, value, flexible, nullable, true);
}

void wire_write_bytes(struct wire_writer *writer, struct slice value, bool flexible, bool nullable)
{
    write_slice(writer, value, flexible, nullable, false);
}

static void add_splice(struct wire_writer *writer, struct file_span span)
{
    vec_push(&writer->splices, (struct wire_splice){.offset = writer->buf->size, .span = span});
    writer->spliced_bytes += span.size;
}

void wire_write_records(struct wire_writer *writer, const struct wire_records *value, bool flexible,
                        bool nullable)
{
    size_t span_bytes = 0;
    for (int32_t i = 0; i < value->span_count; i++) {
        span_bytes += value->spans[i].size;
    }
    struct slice bytes = value->bytes;
    if (span_bytes > INT32_MAX || bytes.size > INT32_MAX - span_bytes) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        span_bytes = 0;
        bytes = WIRE_EMPTY;
    }
    bool null = wire_records_is_null(value) && nullable;
    write_length(writer, null ? -1 : (int64_t)(bytes.size + span_bytes), flexible, false);
    if (bytes.size > 0) {
        slice_copy(wire_writer_room(writer, bytes.size), bytes);
    }
    for (int32_t i = 0; i < value->span_count; i++) {
        add_splice(writer, value->spans[i]);
    }
}

void wire_write_count(struct wire_writer *writer, int32_t count, bool flexible, bool nullable)
{
    int32_t empty = nullable ? -1 : 0;
    write_length(writer, count < 0 ? empty : count, flexible, false);
}

size_t wire_write_tag_begin(struct wire_writer *writer, uint32_t tag)
{
    wire_write_uvarint(writer, tag);
    return writer->buf->size;
}

void wire_write_tag_end(struct wire_writer *writer, size_t begin)
{
    /* The value is small; its size, which comes first, is known only now. */
    size_t size = writer->buf->size - begin;
    assert(size <= INT32_MAX);
    size_t shift = uvarint_size(size);
    wire_writer_room(writer, shift);
    uint8_t *at = writer->buf->data + begin;
    memmove(at + shift, at, size);
    uvarint_store(at, size);
}
