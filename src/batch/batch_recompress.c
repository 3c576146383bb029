#include "batch/batch.h"
#include "batch/compression.h"

enum err batch_recompress(struct batch *batch, struct slice plain,
                          enum batch_compression compression, int level, struct buf *out,
                          struct reason *reason)
{
    size_t start = out->size;
    buf_extend(out, BATCH_HEADER_BYTES);
    enum err err = compression_compress(compression, level, plain, out, reason);
    if (err != ERR_NONE) {
        out->size = start;
        return err;
    }
    batch->bytes = slice_of(out->data + start, out->size - start);
    batch->attributes =
        (int16_t)((batch->attributes & ~BATCH_ATTRIBUTE_COMPRESSION_MASK) | (int)compression);
    batch_renew_crc(batch);
    batch_header_store(batch, out->data + start);
    return ERR_NONE;
}
