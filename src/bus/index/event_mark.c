#include "bus/index/event_mark.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "client/event/event.h"

#include <string.h>

/* With its size, so that bytes do not pass from one part to the next; none differs from empty. */
static uint32_t add(uint32_t crc, struct slice part)
{
    uint8_t size[8];
    store_be64(size, slice_is_null(part) ? UINT64_MAX : part.size);
    crc = crc32c(crc, size, sizeof size);
    return part.size > 0 ? crc32c(crc, part.data, part.size) : crc;
}

struct event_mark event_mark_of(const struct event *event)
{
    uint32_t crc = add(add(0, event->key), event->value);
    for (size_t i = 0; i < event->header_count; i++) {
        crc = add(add(crc, slice_str(event->headers[i].name)), event->headers[i].value);
    }
    return (struct event_mark){event->offset, event->timestamp_ms, crc};
}
