#include "batch/codecs.h"

#include "base/priority.h"

enum {
    FIRST_ROOM_MIN_BYTES = 4096,
    FIRST_PIECE_BYTES = 128 << 10, /* zstd opens what fits in one go, which costs less */
    PIECE_BYTES = 16 << 10         /* some hundredths of a millisecond */
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
    size_t most = produced == 0 ? FIRST_PIECE_BYTES : PIECE_BYTES;
    size_t piece = room < most ? room : most;
    if (out->capacity - out->size < piece) {
        buf_reserve(out, room);
    }
    if (produced > 0) {
        priority_give_way(); /* a batch may open into very much */
    }
    return piece;
}

enum err codec_fail_too_large(const char *codec, size_t max_bytes, struct reason *reason)
{
    return reason_fail(reason, ERR_TOO_LARGE, "%s: decompresses to more than %zu bytes", codec,
                       max_bytes);
}
