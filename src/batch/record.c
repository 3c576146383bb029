#include "batch/record.h"

const uint8_t *record_varint_slow(const uint8_t *at, const uint8_t *end, int32_t *value)
{
    size_t position = 0;
    if (!varint_read(slice_of(at, (size_t)(end - at)), &position, value)) {
        return NULL;
    }
    return at + position;
}

const uint8_t *record_varlong_slow(const uint8_t *at, const uint8_t *end, int64_t *value)
{
    size_t position = 0;
    if (!varlong_read(slice_of(at, (size_t)(end - at)), &position, value)) {
        return NULL;
    }
    return at + position;
}

bool record_headers_check(const uint8_t *at, const uint8_t *end, int32_t header_count)
{
    for (int32_t i = 0; i < header_count; i++) {
        int32_t size;
        at = record_length(at, end, &size);
        if (at == NULL || size < 0) { /* a header's key is never null */
            return false;
        }
        at = record_length(at + size, end, &size);
        if (at == NULL) {
            return false;
        }
        at += size > 0 ? size : 0;
    }
    return at == end;
}
