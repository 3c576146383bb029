#include "base/bytes.h"
#include "batch/codecs.h"

#include <snappy-c.h>

/*
 * Two forms are in use. Raw: one snappy block (librdkafka, sarama). Xerial framing (the Java
 * client): the magic, two versions (i32, 1), then blocks, each with its compressed length (i32)
 * before it. Every client reads both; we write xerial, which bounds a reader's memory by block.
 */
enum {
    XERIAL_HEADER_BYTES = 16,
    XERIAL_BLOCK_BYTES = 32 * 1024, /* uncompressed; what the Java client uses */
    /* A copy element of 3 bytes gives 64 at most, so no block grows by more than this factor. */
    SNAPPY_MAX_RATIO = 22,
};

static const uint8_t xerial_header[XERIAL_HEADER_BYTES] = {
    0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
};
enum { XERIAL_MAGIC_BYTES = 8 };

static enum err decompress_block(struct slice bytes, size_t start, size_t max_bytes,
                                 struct buf *out, struct reason *reason)
{
    size_t size;
    if (snappy_uncompressed_length((const char *)bytes.data, bytes.size, &size) != SNAPPY_OK ||
        size / SNAPPY_MAX_RATIO > bytes.size) {
        return reason_fail(reason, ERR_CORRUPT, "snappy: a block of %zu bytes has no valid length",
                           bytes.size);
    }
    if (size > max_bytes - (out->size - start)) {
        return codec_fail_too_large("snappy", max_bytes, reason);
    }
    buf_reserve(out, size + 1); /* never NULL below */
    if (snappy_uncompress((const char *)bytes.data, bytes.size, (char *)out->data + out->size,
                          &size) != SNAPPY_OK) {
        return reason_fail(reason, ERR_CORRUPT, "snappy: a block of %zu bytes is damaged",
                           bytes.size);
    }
    out->size += size;
    return ERR_NONE;
}

static enum err decompress_xerial(struct slice bytes, size_t max_bytes, struct buf *out,
                                  struct reason *reason)
{
    size_t start = out->size;
    size_t at = XERIAL_HEADER_BYTES;
    while (at < bytes.size) {
        if (bytes.size - at < 4) {
            return reason_fail(reason, ERR_CORRUPT, "snappy: the data ends in a block length");
        }
        uint32_t size = load_be32(bytes.data + at);
        at += 4;
        if (size > bytes.size - at) {
            return reason_fail(reason, ERR_CORRUPT,
                               "snappy: a block of %u bytes where %zu are left", size,
                               bytes.size - at);
        }
        enum err err =
            decompress_block(slice_of(bytes.data + at, size), start, max_bytes, out, reason);
        if (err != ERR_NONE) {
            return err;
        }
        at += size;
    }
    return ERR_NONE;
}

enum err snappy_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                           struct reason *reason)
{
    if (bytes.size >= XERIAL_HEADER_BYTES &&
        memcmp(bytes.data, xerial_header, XERIAL_MAGIC_BYTES) == 0) {
        return decompress_xerial(bytes, max_bytes, out, reason);
    }
    return decompress_block(bytes, out->size, max_bytes, out, reason);
}

enum err snappy_compress_xerial(struct slice bytes, struct buf *out, struct reason *reason)
{
    buf_append(out, xerial_header, sizeof xerial_header);
    for (size_t at = 0; at < bytes.size; at += XERIAL_BLOCK_BYTES) {
        size_t size = bytes.size - at < XERIAL_BLOCK_BYTES ? bytes.size - at : XERIAL_BLOCK_BYTES;
        size_t packed = snappy_max_compressed_length(size);
        buf_reserve(out, 4 + packed);
        uint8_t *to = out->data + out->size;
        if (snappy_compress((const char *)bytes.data + at, size, (char *)to + 4, &packed) !=
            SNAPPY_OK) {
            return reason_fail(reason, ERR_LIMIT, "snappy: a block of %zu bytes failed", size);
        }
        store_be32(to, (uint32_t)packed);
        out->size += 4 + packed;
    }
    return ERR_NONE;
}
