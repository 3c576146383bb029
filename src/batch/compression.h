#ifndef TIDINGS_BATCH_COMPRESSION_H
#define TIDINGS_BATCH_COMPRESSION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "batch/batch.h"

/*
 * The codecs of record batches: gzip (zlib), snappy (raw, and the xerial framing that the Java
 * client writes), lz4 (frame format), zstd. Any thread.
 */

/* "none", "gzip", "snappy", "lz4", "zstd". */
const char *compression_name(enum batch_compression compression);
CHECKED bool compression_parse(const char *name, enum batch_compression *compression);

/*
 * Appends the decompressed bytes to *out, never more than max_bytes of them: ERR_TOO_LARGE past
 * that, ERR_CORRUPT for bytes that are not of the codec, ERR_UNSUPPORTED_CODEC.
 */
CHECKED enum err compression_decompress(enum batch_compression compression, struct slice bytes,
                                        size_t max_bytes, struct buf *out, struct reason *reason);

/* Appends the compressed bytes to *out. level: the codec's own scale, INT_MIN for its default. */
CHECKED enum err compression_compress(enum batch_compression compression, int level,
                                      struct slice bytes, struct buf *out, struct reason *reason);

#endif
