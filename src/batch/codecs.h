#ifndef TIDINGS_BATCH_CODECS_H
#define TIDINGS_BATCH_CODECS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/*
 * One pair of functions a codec, one file each; compression.c chooses. Private to this room.
 * Decompression appends at most max_bytes to *out; what it appended before an error is cut off by
 * the caller. level is INT_MIN for the codec's default.
 */
CHECKED enum err gzip_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                                 struct reason *reason);
CHECKED enum err gzip_compress(int level, struct slice bytes, struct buf *out,
                               struct reason *reason);
CHECKED enum err snappy_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                                   struct reason *reason);
CHECKED enum err snappy_compress_xerial(struct slice bytes, struct buf *out, struct reason *reason);
CHECKED enum err lz4_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                                struct reason *reason);
CHECKED enum err lz4_compress(int level, struct slice bytes, struct buf *out,
                              struct reason *reason);
CHECKED enum err zstd_decompress(struct slice bytes, size_t max_bytes, struct buf *out,
                                 struct reason *reason);
CHECKED enum err zstd_compress(int level, struct slice bytes, struct buf *out,
                               struct reason *reason);

/*
 * What they share, in codec.c. Room for the next piece of decompressed bytes at the end of *out:
 * grows with what was produced, never from a size that the bytes claim, and ends one byte past
 * max_bytes so that the codec can show that there is more. start: out->size before the first piece.
 * 0 when that byte is used. Between pieces others may go first (base/priority.h).
 */
size_t codec_room(struct buf *out, size_t start, size_t max_bytes, size_t compressed_bytes);

/* ERR_TOO_LARGE with the reason. */
CHECKED enum err codec_fail_too_large(const char *codec, size_t max_bytes, struct reason *reason);

#endif
