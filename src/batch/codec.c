#include "batch/codecs.h"

#include "base/priority.h"

enum {
    FIRST_ROOM_MIN_BYTES = 4096,
    PIECE_BYTES = 256 << 10 /* some tenths of a millisecond */
};

size_t codec_room(struct buf *out, size_t start, size_t max_bytes, size_t compressed_bytes)
{
    size_t produced = out->size - start;
    size_t left = max_bytes - produced; /* wraps to SIZE_MAX at one byte past the limit */
    if (produced > max_bytes) {
        return 0;
    }
    size_t room = produced;
    if (room < compressed_bytes * 4) {
        room = compressed_bytes * 4;
    }
    if (room < FIRST_ROOM_MIN_BYTES) {
        room = FIRST_ROOM_MIN_BYTES;
    }
    if (room > left) {
        room = left + 1;
    }
    size_t piece = room < PIECE_BYTES ? room : PIECE_BYTES;
    if (out->capacity - out->size < piece) {
        buf_reserve(out, room);
    }
    if (produced >= PIECE_BYTES) {
        priority_give_way(); /* a batch may open into very much */
    }
    return piece;
}

enum err codec_fail_too_large(const char *codec, size_t max_bytes, struct reason *reason)
{
    return reason_fail(reason, ERR_TOO_LARGE, "%s: decompresses to more than %zu bytes", codec,
                       max_bytes);
}
