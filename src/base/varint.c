#include "base/varint.h"

static bool read_limited(struct slice bytes, size_t *position, size_t max_bytes, uint64_t *value)
{
    uint64_t result = 0;
    size_t at = *position;
    for (size_t i = 0; i < max_bytes && at < bytes.size; i++) {
        uint8_t byte = bytes.data[at++];
        if (i == VARLONG_MAX_BYTES - 1 && byte > 1) {
            return false; /* bits past the sixty-fourth */
        }
        result |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *position = at;
            *value = result;
            return true;
        }
    }
    return false;
}

bool uvarint_read(struct slice bytes, size_t *position, uint32_t *value)
{
    size_t at = *position;
    uint64_t wide;
    if (!read_limited(bytes, &at, VARINT_MAX_BYTES, &wide) || wide > UINT32_MAX) {
        return false;
    }
    *position = at;
    *value = (uint32_t)wide;
    return true;
}

bool varint_read(struct slice bytes, size_t *position, int32_t *value)
{
    uint32_t raw;
    if (!uvarint_read(bytes, position, &raw)) {
        return false;
    }
    *value = (int32_t)zigzag_decode(raw);
    return true;
}

bool varlong_read(struct slice bytes, size_t *position, int64_t *value)
{
    uint64_t raw;
    if (!read_limited(bytes, position, VARLONG_MAX_BYTES, &raw)) {
        return false;
    }
    *value = zigzag_decode(raw);
    return true;
}

size_t uvarint_store(uint8_t *to, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        to[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[size++] = (uint8_t)value;
    return size;
}

size_t uvarint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        size++;
        value >>= 7;
    }
    return size;
}

void buf_append_uvarint(struct buf *buf, uint32_t value)
{
    uint8_t bytes[VARLONG_MAX_BYTES];
    buf_append(buf, bytes, uvarint_store(bytes, value));
}

void buf_append_varlong(struct buf *buf, int64_t value)
{
    uint8_t bytes[VARLONG_MAX_BYTES];
    buf_append(buf, bytes, uvarint_store(bytes, zigzag_encode(value)));
}
