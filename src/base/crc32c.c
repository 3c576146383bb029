#include "base/crc32c.h"

#include <isa-l/crc.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint32_t state = ~crc;
    while (size > 0) {
        int part = size > (1 << 30) ? (1 << 30) : (int)size;
        /* The library never writes here; its prototype lacks the const. */
        state = crc32_iscsi((unsigned char *)(uintptr_t)bytes, part, state);
        bytes += part;
        size -= (size_t)part;
    }
    return ~state;
}
