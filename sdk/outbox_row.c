#include "outbox.h"

#include "base/siphash.h"
#include "base/varint.h"

#include <string.h>

void outbox_pack_headers(const struct event *event, struct buf *to)
{
    buf_append_uvarint(to, (uint32_t)event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        size_t name_size = strlen(header->name);
        buf_append_uvarint(to, (uint32_t)name_size);
        buf_append(to, header->name, name_size);
        buf_append_uvarint(to, slice_is_null(header->value) ? 0 : (uint32_t)header->value.size + 1);
        buf_append_slice(to, header->value);
    }
}

/* The next bytes; false when there are not so many. */
static bool take(struct slice bytes, size_t *at, size_t size, struct slice *taken)
{
    if (size > bytes.size - *at) {
        return false;
    }
    *taken = slice_of(bytes.data + *at, size);
    *at += size;
    return true;
}

static bool take_header(struct slice bytes, size_t *at, struct arena *arena, struct event *event)
{
    uint32_t name_size, value_size;
    struct slice name, value = {0};
    if (!uvarint_read(bytes, at, &name_size) || !take(bytes, at, name_size, &name) ||
        !uvarint_read(bytes, at, &value_size) ||
        (value_size > 0 && !take(bytes, at, value_size - 1, &value))) {
        return false;
    }
    if (!slice_is_null(value)) { /* with the NUL behind it that event_attributes wants */
        value = slice_of(arena_cstr(arena, value), value.size);
    }
    event_header_add(event, arena_cstr(arena, name), value);
    return true;
}

enum err outbox_unpack_headers(struct slice bytes, struct arena *arena, struct event *event)
{
    size_t at = 0;
    uint32_t count;
    if (!uvarint_read(bytes, &at, &count) || count > bytes.size) {
        return ERR_INVALID;
    }
    event_header_room(event, count, arena);
    for (uint32_t i = 0; i < count; i++) {
        if (!take_header(bytes, &at, arena, event)) {
            return ERR_INVALID;
        }
    }
    return at == bytes.size ? ERR_NONE : ERR_INVALID;
}

int64_t outbox_lane(const char *topic, struct slice key)
{
    static const struct siphash_key secret = {0}; /* the same for all who write to one table */
    struct buf text = {0};
    buf_append(&text, topic, strlen(topic) + 1);
    buf_append_slice(&text, key);
    struct siphash128 hash = siphash128(&secret, text.data, text.size);
    buf_deinit(&text);
    return (int64_t)hash.low;
}
