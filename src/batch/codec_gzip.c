#include "batch/codecs.h"

#include <limits.h>
#include <zlib.h>

enum {
    GZIP_WINDOW_BITS = 15 + 16, /* zlib's way to say: gzip framing */
    GZIP_MEMORY_LEVEL = 8,
};

/* zlib's prototypes lack the const. */
static Bytef *input_of(struct slice bytes)
{
    return (Bytef *)(uintptr_t)bytes.data;
}

static enum err fail_memory(struct reason *reason)
{
    return reason_fail(reason, ERR_LIMIT, "gzip: zlib has no memory");
}

/* Decompresses one piece; *ended when the last member is complete and no input is left. */
static enum err inflate_piece(z_stream *stream, size_t start, size_t max_bytes, size_t total_in,
                              struct buf *out, bool *ended, struct reason *reason)
{
    size_t room = codec_room(out, start, max_bytes, total_in);
    if (room == 0) {
        return codec_fail_too_large("gzip", max_bytes, reason);
    }
    room = room > UINT_MAX ? UINT_MAX : room;
    stream->next_out = out->data + out->size;
    stream->avail_out = (uInt)room;
    int result = inflate(stream, Z_NO_FLUSH);
    out->size += room - stream->avail_out;
    if (result == Z_STREAM_END) {
        *ended = stream->avail_in == 0;
        /* RFC 1952: members may follow each other. */
        return *ended || inflateReset(stream) == Z_OK ? ERR_NONE : fail_memory(reason);
    }
    if (result == Z_MEM_ERROR) {
        return fail_memory(reason);
    }
    if (result == Z_OK && (stream->avail_in != 0 || stream->avail_out == 0)) {
        return ERR_NONE;
    }
    return reason_fail(reason, ERR_CORRUPT, "gzip: %s",
                       stream->msg ? stream->msg : "the data ends before the stream does");
}

enum err gzip_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                         struct reason *reason)
{
    if (bytes.size > UINT_MAX) {
        return reason_fail(reason, ERR_TOO_LARGE, "gzip: %zu bytes at once", bytes.size);
    }
    z_stream stream = {.next_in = input_of(bytes), .avail_in = (uInt)bytes.size};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        return fail_memory(reason);
    }
    size_t start = out->size;
    bool ended = false;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && !ended) {
        err = inflate_piece(&stream, start, max_bytes, bytes.size, out, &ended, reason);
    }
    inflateEnd(&stream);
    if (err == ERR_NONE && out->size - start > max_bytes) {
        err = codec_fail_too_large("gzip", max_bytes, reason);
    }
    return err;
}

enum err gzip_compress(int level, struct slice bytes, struct buf *out, struct reason *reason)
{
    if (bytes.size > INT_MAX) {
        return reason_fail(reason, ERR_TOO_LARGE, "gzip: %zu bytes at once", bytes.size);
    }
    z_stream stream = {.next_in = input_of(bytes), .avail_in = (uInt)bytes.size};
    int result = deflateInit2(&stream, level == INT_MIN ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED,
                              GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    if (result != Z_OK) {
        return result == Z_MEM_ERROR
                   ? fail_memory(reason)
                   : reason_fail(reason, ERR_INVALID, "gzip: level %d is not in 0..9", level);
    }
    size_t room = deflateBound(&stream, bytes.size);
    stream.next_out = buf_extend(out, room);
    stream.avail_out = (uInt)room;
    result = deflate(&stream, Z_FINISH);
    out->size -= stream.avail_out;
    deflateEnd(&stream);
    return result == Z_STREAM_END ? ERR_NONE
                                  : reason_fail(reason, ERR_LIMIT, "gzip: deflate gave %d", result);
}
