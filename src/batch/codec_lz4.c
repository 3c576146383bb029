#include "batch/codecs.h"

#include <limits.h>
#include <lz4frame.h>

/*
 * The lz4 frame format. With message format 2 the header checksum is the specification's; Java's
 * reader takes only independent blocks and no dictionary, so that is what we write.
 */

enum err lz4_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                        struct reason *reason)
{
    LZ4F_dctx *context;
    size_t result = LZ4F_createDecompressionContext(&context, LZ4F_VERSION);
    if (LZ4F_isError(result)) {
        return reason_fail(reason, ERR_LIMIT, "lz4: %s", LZ4F_getErrorName(result));
    }
    size_t start = out->size;
    size_t at = 0;
    enum err err = ERR_NONE;
    do {
        size_t room = codec_room(out, start, max_bytes, bytes.size);
        size_t taken = bytes.size - at;
        size_t given = room;
        if (room == 0) {
            err = codec_fail_too_large("lz4", max_bytes, reason);
            break;
        }
        result =
            LZ4F_decompress(context, out->data + out->size, &given, bytes.data + at, &taken, NULL);
        if (LZ4F_isError(result)) {
            err = reason_fail(reason, ERR_CORRUPT, "lz4: %s", LZ4F_getErrorName(result));
            break;
        }
        out->size += given;
        at += taken;
        if (result != 0 && given == 0 && taken == 0) {
            err = reason_fail(reason, ERR_CORRUPT, "lz4: the data ends before the frame does");
        }
    } while (err == ERR_NONE && result != 0);
    LZ4F_freeDecompressionContext(context);
    if (err == ERR_NONE && out->size - start > max_bytes) {
        err = codec_fail_too_large("lz4", max_bytes, reason);
    }
    if (err == ERR_NONE && at != bytes.size) {
        err = reason_fail(reason, ERR_CORRUPT, "lz4: %zu bytes follow the frame", bytes.size - at);
    }
    return err;
}

enum err lz4_compress(int level, struct slice bytes, struct buf *out, struct reason *reason)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level == INT_MIN ? 0 : level,
    };
    size_t room = LZ4F_compressFrameBound(bytes.size, &preferences);
    buf_reserve(out, room);
    size_t size =
        LZ4F_compressFrame(out->data + out->size, room, bytes.data, bytes.size, &preferences);
    if (LZ4F_isError(size)) {
        return reason_fail(reason, ERR_LIMIT, "lz4: %s", LZ4F_getErrorName(size));
    }
    out->size += size;
    return ERR_NONE;
}
