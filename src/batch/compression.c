#include "batch/compression.h"

#include "batch/codecs.h"

#include <string.h>

static const char *const names[] = {
    [BATCH_COMPRESSION_NONE] = "none",     [BATCH_COMPRESSION_GZIP] = "gzip",
    [BATCH_COMPRESSION_SNAPPY] = "snappy", [BATCH_COMPRESSION_LZ4] = "lz4",
    [BATCH_COMPRESSION_ZSTD] = "zstd",
};

enum { NAME_COUNT = sizeof names / sizeof names[0] };

const char *compression_name(enum batch_compression compression)
{
    return (unsigned)compression < NAME_COUNT ? names[compression] : "unknown";
}

bool compression_parse(const char *name, enum batch_compression *compression)
{
    for (unsigned i = 0; i < NAME_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *compression = (enum batch_compression)i;
            return true;
        }
    }
    return false;
}

static enum err fail_unsupported(enum batch_compression compression, struct reason *reason)
{
    return reason_fail(reason, ERR_UNSUPPORTED_CODEC, "compression type %d is unknown",
                       (int)compression);
}

static enum err decompress(enum batch_compression compression, struct slice bytes, size_t max_bytes,
                           struct buf *out, struct reason *reason)
{
    switch (compression) {
    case BATCH_COMPRESSION_NONE:
        if (bytes.size > max_bytes) {
            return codec_fail_too_large("none", max_bytes, reason);
        }
        buf_append_slice(out, bytes);
        return ERR_NONE;
    case BATCH_COMPRESSION_GZIP:
        return gzip_decompress(bytes, max_bytes, out, reason);
    case BATCH_COMPRESSION_SNAPPY:
        return snappy_decompress(bytes, max_bytes, out, reason);
    case BATCH_COMPRESSION_LZ4:
        return lz4_decompress(bytes, max_bytes, out, reason);
    case BATCH_COMPRESSION_ZSTD:
        return zstd_decompress(bytes, max_bytes, out, reason);
    }
    return fail_unsupported(compression, reason);
}

enum err compression_decompress(enum batch_compression compression, struct slice bytes,
                                size_t max_bytes, struct buf *out, struct reason *reason)
{
    size_t start = out->size;
    enum err err = decompress(compression, bytes, max_bytes, out, reason);
    if (err != ERR_NONE) {
        out->size = start;
    }
    return err;
}

static enum err compress(enum batch_compression compression, int level, struct slice bytes,
                         struct buf *out, struct reason *reason)
{
    switch (compression) {
    case BATCH_COMPRESSION_NONE:
        buf_append_slice(out, bytes);
        return ERR_NONE;
    case BATCH_COMPRESSION_GZIP:
        return gzip_compress(level, bytes, out, reason);
    case BATCH_COMPRESSION_SNAPPY:
        return snappy_compress_xerial(bytes, out, reason);
    case BATCH_COMPRESSION_LZ4:
        return lz4_compress(level, bytes, out, reason);
    case BATCH_COMPRESSION_ZSTD:
        return zstd_compress(level, bytes, out, reason);
    }
    return fail_unsupported(compression, reason);
}

enum err compression_compress(enum batch_compression compression, int level, struct slice bytes,
                              struct buf *out, struct reason *reason)
{
    size_t start = out->size;
    enum err err = compress(compression, level, bytes, out, reason);
    if (err != ERR_NONE) {
        out->size = start;
    }
    return err;
}
