#include "wire/reader.h"

#include "base/varint.h"

void *wire_reader_alloc(struct wire_reader *reader, size_t count, size_t size)
{
    void *memory = arena_alloc_array(reader->arena, count, size);
    if (memory == NULL) {
        wire_reader_fail(reader, ERR_TOO_LARGE);
    }
    return memory;
}

uint32_t wire_read_uvarint_slow(struct wire_reader *reader)
{
    uint32_t value;
    if (!uvarint_read(reader->bytes, &reader->position, &value)) {
        bool ends = wire_reader_remaining(reader) < VARINT_MAX_BYTES;
        wire_reader_fail(reader, ends ? ERR_TRUNCATED : ERR_CORRUPT);
        return 0;
    }
    return value;
}

/* A length or count: -1 for null, never less. Anything else that is negative is an error. */
static int64_t read_length(struct wire_reader *reader, bool flexible, bool nullable, bool short_one)
{
    int64_t length;
    if (flexible) {
        length = (int64_t)wire_read_uvarint(reader) - 1;
    } else if (short_one) {
        length = wire_read_int16(reader);
    } else {
        length = wire_read_int32(reader);
    }
    if (reader->err != ERR_NONE) {
        return 0;
    }
    if (length < -1 || (length == -1 && !nullable) || (short_one && length > INT16_MAX)) {
        wire_reader_fail(reader, ERR_CORRUPT);
        return 0;
    }
    return length;
}

static struct slice read_slice(struct wire_reader *reader, int64_t length)
{
    if (length < 0) {
        return (struct slice){.data = NULL};
    }
    const uint8_t *bytes = wire_reader_take(reader, (size_t)length);
    return bytes != NULL ? slice_of(bytes, (size_t)length) : WIRE_EMPTY;
}

struct slice wire_read_string(struct wire_reader *reader, bool flexible, bool nullable)
{
    return read_slice(reader, read_length(reader, flexible, nullable, true));
}

struct slice wire_read_bytes(struct wire_reader *reader, bool flexible, bool nullable)
{
    return read_slice(reader, read_length(reader, flexible, nullable, false));
}

struct wire_records wire_read_records(struct wire_reader *reader, bool flexible, bool nullable)
{
    return (struct wire_records){.bytes = wire_read_bytes(reader, flexible, nullable)};
}

void *wire_read_array(struct wire_reader *reader, bool flexible, bool nullable,
                      size_t element_bytes, size_t size, int32_t *count)
{
    *count = 0;
    int64_t length = read_length(reader, flexible, nullable, false);
    if (length <= 0) {
        *count = (int32_t)length;
        return NULL;
    }
    if ((uint64_t)length > wire_reader_remaining(reader) / element_bytes || length > INT32_MAX) {
        wire_reader_fail(reader, ERR_TRUNCATED);
        return NULL;
    }
    if (length > WIRE_ARRAY_MOST) {
        wire_reader_fail(reader, ERR_TOO_LARGE);
        return NULL;
    }
    void *items = wire_reader_alloc(reader, (size_t)length, size);
    *count = items != NULL ? (int32_t)length : 0;
    return items;
}

uint32_t wire_read_tag_count(struct wire_reader *reader)
{
    uint32_t count = wire_read_uvarint(reader);
    if (count > WIRE_TAGS_MOST) {
        wire_reader_fail(reader, ERR_TOO_LARGE);
        return 0;
    }
    return count;
}

size_t wire_read_tag_begin(struct wire_reader *reader, uint32_t *tag)
{
    size_t whole_size = reader->bytes.size;
    *tag = wire_read_uvarint(reader);
    uint32_t size = wire_read_uvarint(reader);
    if (size > wire_reader_remaining(reader)) {
        wire_reader_fail(reader, ERR_TRUNCATED);
    } else {
        reader->bytes.size = reader->position + size;
    }
    return whole_size;
}

void wire_read_tag_end(struct wire_reader *reader, size_t whole_size)
{
    bool short_value = reader->position != reader->bytes.size;
    reader->bytes.size = whole_size;
    if (reader->err != ERR_NONE || short_value) {
        wire_reader_fail(reader, ERR_CORRUPT);
    }
}

void wire_read_unknown_tags(struct wire_reader *reader)
{
    uint32_t count = wire_read_tag_count(reader);
    for (uint32_t i = 0; i < count && reader->err == ERR_NONE; i++) {
        uint32_t tag;
        size_t whole_size = wire_read_tag_begin(reader, &tag);
        wire_read_tag_skip(reader);
        wire_read_tag_end(reader, whole_size);
    }
}
