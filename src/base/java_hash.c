#include "base/java_hash.h"

#include <assert.h>

/* The UTF-8 sequence at *position as a code point; broken bytes give U+FFFD as in Java. */
static uint32_t next_code_point(struct slice text, size_t *position)
{
    uint8_t first = text.data[(*position)++];
    if (first < 0x80) {
        return first;
    }
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || more > text.size - *position) {
        return 0xfffd;
    }
    uint32_t point = first & (0x3fU >> more);
    for (size_t i = 0; i < more; i++) {
        uint8_t byte = text.data[*position + i];
        if ((byte & 0xc0) != 0x80) {
            return 0xfffd;
        }
        point = point << 6 | (byte & 0x3f);
    }
    *position += more;
    return point;
}

int32_t java_hash_partition(struct slice text, int32_t partition_count)
{
    assert(partition_count > 0);
    uint32_t hash = 0; /* String.hashCode: over UTF-16 units */
    for (size_t position = 0; position < text.size;) {
        uint32_t point = next_code_point(text, &position);
        if (point > 0xffff) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + point;
    }
    int32_t value = (int32_t)hash;
    return (value == INT32_MIN ? 0 : value < 0 ? -value : value) % partition_count;
}
