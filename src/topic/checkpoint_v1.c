#include "topic/checkpoint_v1.h"

#include "base/buf.h"
#include "base/crc32c.h"

#include <string.h>

enum { HEAD_BYTES = 12, ENTRY_BYTES = 16 + 4 + 4 * 8, VERSION = 1 };

bool checkpoint_v1_decode(const uint8_t *bytes, size_t size, bool *clean, checkpoint_v1_entry *each,
                          void *context)
{
    if (size < HEAD_BYTES + 4 || load_be16(bytes + 4) != VERSION) {
        return false;
    }
    uint32_t count = load_be32(bytes + 8);
    if ((size - HEAD_BYTES - 4) / ENTRY_BYTES != count ||
        (size - HEAD_BYTES - 4) % ENTRY_BYTES != 0 ||
        crc32c(0, bytes, size - 4) != load_be32(bytes + size - 4)) {
        return false;
    }
    *clean = bytes[6] != 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = bytes + HEAD_BYTES + (size_t)i * ENTRY_BYTES;
        struct topic_id id;
        memcpy(id.bytes, at, sizeof id.bytes);
        struct log_state state = {
            .start_offset = (int64_t)load_be64(at + 20),
            .end_offset = (int64_t)load_be64(at + 28),
            .active_base = (int64_t)load_be64(at + 36),
            .active_size = (int64_t)load_be64(at + 44),
            .clean = *clean,
        };
        each(context, &id, (int32_t)load_be32(at + 16), &state);
    }
    return true;
}
