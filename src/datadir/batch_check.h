#ifndef TIDINGS_DATADIR_BATCH_CHECK_H
#define TIDINGS_DATADIR_BATCH_CHECK_H

#include "batch/batch.h"

/*
 * Checks the CRCs of a stream of record batches while its bytes pass by, in pieces of any size, so
 * that a copy is verified without a second read. Zero-initialised is the start of a segment. It
 * tells only whether all is good; log/walk.h finds out what is wrong.
 */
struct batch_check {
    uint8_t header[BATCH_HEADER_BYTES];
    size_t header_size; /* bytes of it that came */
    int64_t left;       /* bytes of the batch behind its header that are to come */
    uint32_t crc;       /* of what came */
    int64_t position;   /* of the stream */
    bool bad;
    int64_t bad_position; /* of the first bad batch */
};

/* The next bytes of the stream, in pieces of any size. */
void batch_check_feed(struct batch_check *check, struct slice bytes);

/* After the last byte: whether all of it was whole, good batches. */
CHECKED bool batch_check_finish(struct batch_check *check);

#endif
