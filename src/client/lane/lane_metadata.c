#include "client/lane/lane_metadata.h"

#include "base/base64.h"
#include "base/crc32c.h"
#include "base/varint.h"

enum { VERSION = 1, CRC_BYTES = 4 };

size_t lane_ranges_beyond(const struct lane_ranges *ranges, int64_t offset)
{
    size_t low = 0;
    size_t high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].to <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool lane_ranges_have(const struct lane_ranges *ranges, int64_t offset)
{
    size_t at = lane_ranges_beyond(ranges, offset);
    return at < ranges->count && ranges->items[at].from <= offset;
}

/* The most bytes whose base 64 fits. */
static size_t room_for(size_t characters)
{
    return characters / 4 * 3;
}

int64_t lane_metadata_encode(int64_t fence, int64_t base, const struct lane_ranges *open,
                             int64_t end, size_t max_bytes, struct buf *text)
{
    struct buf bytes = {0};
    size_t room = room_for(max_bytes);
    int64_t told_to = base;
    buf_clear(text);
    buf_append_u8(&bytes, VERSION);
    buf_append_varlong(&bytes, fence);
    buf_append_varlong(&bytes, base);
    for (size_t i = 0; i < open->count; i++) {
        int64_t done_to = i + 1 < open->count ? open->items[i + 1].from : end;
        int64_t open_length = open->items[i].to - open->items[i].from;
        int64_t done_length = done_to - open->items[i].to;
        size_t more = varlong_size(open_length) + varlong_size(done_length);
        if (done_length <= 0 || bytes.size + more + CRC_BYTES > room) {
            break;
        }
        buf_append_varlong(&bytes, open_length);
        buf_append_varlong(&bytes, done_length);
        told_to = done_to;
    }
    buf_append_be32(&bytes, crc32c(0, bytes.data, bytes.size));
    base64_encode(text, buf_slice(&bytes));
    buf_deinit(&bytes);
    return told_to;
}

/* Whether the bytes are whole and of this version. */
static bool is_whole(struct slice bytes)
{
    size_t size = bytes.size - CRC_BYTES;
    return bytes.size >= 1 + CRC_BYTES && bytes.data[0] == VERSION &&
           crc32c(0, bytes.data, size) == load_be32(bytes.data + size);
}

/* Moves *offset by the run that is read; false when it has no sane length. */
static bool run_read(struct slice bytes, size_t *position, int64_t *offset)
{
    int64_t length = 0;
    return varlong_read(bytes, position, &length) && length > 0 &&
           !__builtin_add_overflow(*offset, length, offset);
}

static bool runs_read(struct slice bytes, size_t position, int64_t offset, struct lane_ranges *done)
{
    while (position < bytes.size) {
        struct lane_range range;
        if (!run_read(bytes, &position, &offset)) {
            return false;
        }
        range.from = offset;
        if (!run_read(bytes, &position, &offset)) {
            return false;
        }
        range.to = offset;
        vec_push(done, range);
    }
    return true;
}

static int64_t decode(struct slice bytes, int64_t base, struct lane_ranges *done)
{
    size_t position = 1;
    int64_t fence = 0;
    int64_t its_base = -1;
    if (!varlong_read(bytes, &position, &fence) || !varlong_read(bytes, &position, &its_base) ||
        fence < 0) {
        return 0;
    }
    if (its_base != base || !runs_read(bytes, position, base, done)) {
        vec_deinit(done);
    }
    return fence;
}

int64_t lane_metadata_keeps(int64_t base, const struct lane_ranges *open, int64_t end,
                            size_t max_bytes)
{
    enum { NUMBER = 10, OTHERS = 1 + 2 * NUMBER + CRC_BYTES + NUMBER }; /* the last run may grow */
    size_t room = room_for(max_bytes);
    size_t size = OTHERS;
    int64_t kept_to = base;
    for (size_t i = 0; i < open->count; i++) {
        int64_t done_to = i + 1 < open->count ? open->items[i + 1].from : end;
        int64_t done_length = done_to - open->items[i].to;
        size += (size_t)(open->items[i].to - open->items[i].from); /* each stands alone */
        if (done_length <= 0 || size + varlong_size(done_length) > room) {
            break;
        }
        size += varlong_size(done_length);
        kept_to = done_to;
    }
    return kept_to;
}

int64_t lane_metadata_decode(const char *text, int64_t base, struct lane_ranges *done)
{
    struct arena arena = {0};
    struct slice bytes;
    int64_t fence = 0;
    vec_deinit(done);
    if (text != NULL && base64_decode(&arena, slice_str(text), &bytes) && is_whole(bytes)) {
        fence = decode(slice_of(bytes.data, bytes.size - CRC_BYTES), base, done);
    }
    arena_deinit(&arena);
    return fence;
}
