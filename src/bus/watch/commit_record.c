#include "bus/watch/commit_record.h"

#include "base/bytes.h"
#include "client/event/event.h"

enum { KEY_VERSION_MOST = 1, VALUE_VERSION_MOST = 4 };

/* What is left of the bytes; failed: they ended before a field did. */
struct cursor {
    struct slice rest;
    bool failed;
};

static const uint8_t *take(struct cursor *cursor, size_t size)
{
    const uint8_t *at = cursor->rest.data;
    if (cursor->failed || cursor->rest.size < size) {
        cursor->failed = true;
        return NULL;
    }
    cursor->rest = slice_of(at + size, cursor->rest.size - size);
    return at;
}

static int16_t take_int16(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 2);
    return at == NULL ? 0 : (int16_t)load_be16(at);
}

static int32_t take_int32(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 4);
    return at == NULL ? 0 : (int32_t)load_be32(at);
}

static int64_t take_int64(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 8);
    return at == NULL ? 0 : (int64_t)load_be64(at);
}

static struct slice take_text(struct cursor *cursor, int64_t size)
{
    const uint8_t *at = size < 0 ? NULL : take(cursor, (size_t)size);
    cursor->failed = cursor->failed || at == NULL;
    return slice_of(at, at == NULL ? 0 : (size_t)size);
}

/* A compact string's length is an unsigned varint, one more than it is. */
static void pass_compact_text(struct cursor *cursor)
{
    uint64_t size = 0;
    int shift = 0;
    const uint8_t *at;
    do {
        at = take(cursor, 1);
        size |= at == NULL ? 0 : (uint64_t)(*at & 0x7f) << shift;
        shift += 7;
    } while (at != NULL && (*at & 0x80) != 0 && shift < 35);
    (void)take_text(cursor, (int64_t)size - 1);
}

static bool read_key(struct slice key, struct commit_record *record)
{
    struct cursor cursor = {.rest = key};
    int16_t version = take_int16(&cursor);
    if (cursor.failed || version < 0 || version > KEY_VERSION_MOST) {
        return false;
    }
    record->group = take_text(&cursor, take_int16(&cursor));
    record->topic = take_text(&cursor, take_int16(&cursor));
    record->partition = take_int32(&cursor);
    return !cursor.failed && record->partition >= 0;
}

static bool read_value(struct slice value, struct commit_record *record)
{
    struct cursor cursor = {.rest = value};
    int16_t version = take_int16(&cursor);
    if (cursor.failed || version < 0 || version > VALUE_VERSION_MOST) {
        return false;
    }
    record->offset = take_int64(&cursor);
    if (version >= 3) {
        (void)take_int32(&cursor); /* the leader's epoch */
    }
    if (version >= 4) {
        pass_compact_text(&cursor);
    } else {
        (void)take_text(&cursor, take_int16(&cursor));
    }
    record->time_ms = event_time(take_int64(&cursor));
    return !cursor.failed && record->offset >= 0;
}

void commit_record_read(struct slice key, struct slice value, struct commit_record *record)
{
    *record = (struct commit_record){.kind = COMMIT_RECORD_OTHER};
    if (!read_key(key, record)) {
        return;
    }
    if (slice_is_null(value)) {
        record->kind = COMMIT_RECORD_GONE;
    } else if (read_value(value, record)) {
        record->kind = COMMIT_RECORD_OFFSET;
    }
}
