#include "batch/codecs.h"

#include <limits.h>
#include <zstd.h>

enum err zstd_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                         struct reason *reason)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (stream == NULL) {
        return reason_fail(reason, ERR_LIMIT, "zstd: no memory");
    }
    size_t start = out->size;
    ZSTD_inBuffer input = {.src = bytes.data, .size = bytes.size};
    size_t result = 1;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && (result != 0 || input.pos < input.size)) {
        size_t room = codec_room(out, start, max_bytes, bytes.size);
        if (room == 0) {
            err = codec_fail_too_large("zstd", max_bytes, reason);
            break;
        }
        size_t taken = input.pos;
        ZSTD_outBuffer output = {.dst = out->data + out->size, .size = room};
        result = ZSTD_decompressStream(stream, &output, &input);
        if (ZSTD_isError(result)) {
            err = reason_fail(reason, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(result));
            break;
        }
        out->size += output.pos;
        if (result != 0 && output.pos == 0 && input.pos == taken) {
            err = reason_fail(reason, ERR_CORRUPT, "zstd: the data ends before the frame does");
        }
    }
    ZSTD_freeDStream(stream);
    if (err == ERR_NONE && out->size - start > max_bytes) {
        err = codec_fail_too_large("zstd", max_bytes, reason);
    }
    return err;
}

enum err zstd_compress(int level, struct slice bytes, struct buf *out, struct reason *reason)
{
    size_t room = ZSTD_compressBound(bytes.size);
    buf_reserve(out, room);
    size_t size = ZSTD_compress(out->data + out->size, room, bytes.data, bytes.size,
                                level == INT_MIN ? ZSTD_CLEVEL_DEFAULT : level);
    if (ZSTD_isError(size)) {
        return reason_fail(reason, ERR_LIMIT, "zstd: %s", ZSTD_getErrorName(size));
    }
    out->size += size;
    return ERR_NONE;
}
