#ifndef TIDINGS_LOG_SCAN_H
#define TIDINGS_LOG_SCAN_H

#include "base/file.h"
#include "batch/batch.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Walks the batches of a segment file by their headers. A reader holds one window of the file, so
 * that small batches cost one read for many. One thread.
 */
enum {
    SCAN_WINDOW_BYTES = 4096,
    SCAN_BLOCK_BYTES = 4096, /* what a file system writes as a whole, or not at all */
    SCAN_PIECE_BYTES = 256 * 1024,
};

struct scan {
    const struct file_ops *files;
    int fd;
    int64_t limit; /* bytes of the file that count */
    int64_t window_position;
    size_t window_size;
    uint8_t window[SCAN_WINDOW_BYTES];
    uint8_t *piece; /* for CRCs and searches, made on first use */
};

/* scan_deinit is needed only after functions that look at more than a header. */
void scan_init(struct scan *scan, const struct file_ops *files, int fd, int64_t limit);
void scan_deinit(struct scan *scan);

/* SCAN_PIECE_BYTES to read into, for the files of the scan; the next function that looks at more
 * than a header uses them too. */
uint8_t *scan_piece(struct scan *scan);

/*
 * The header of the batch at position, which must end within limit. header->bytes has the size of
 * the batch but no data. ERR_TRUNCATED when the file ends first, ERR_CORRUPT when the bytes are no
 * header, ERR_IO.
 */
CHECKED enum err scan_header(struct scan *scan, int64_t position, struct batch *header,
                             struct reason *reason);

/* scan_header, and ERR_CORRUPT when the offsets cannot be: before least_offset, or not below
 * end_offset. */
CHECKED enum err scan_header_within(struct scan *scan, int64_t position, int64_t least_offset,
                                    int64_t end_offset, struct batch *header,
                                    struct reason *reason);

/*
 * Whether a header does not agree with what is behind it, and the blame is on this one. Where no
 * batch begins behind it, or one after a gap or with offsets of its own: its CRC does not fit, so
 * its length or last offset may be wrong (a gap is good after compaction). With offsets of its own
 * also: its base offset, which no CRC covers, is not the expected one.
 */
CHECKED bool scan_is_suspect(struct scan *scan, int64_t position, const struct batch *header,
                             int64_t expected);

/* scan_header_within with least_offset = expected, and ERR_CORRUPT when the header is suspect. */
CHECKED enum err scan_header_expected(struct scan *scan, int64_t position, int64_t expected,
                                      int64_t end_offset, struct batch *header,
                                      struct reason *reason);

/* Reads the batch of a header that scan_header gave and checks its CRC. ERR_CORRUPT, ERR_IO. */
CHECKED enum err scan_check_crc(struct scan *scan, int64_t position, const struct batch *header,
                                struct reason *reason);

/*
 * After a bad batch at position: the next place behind it where a batch with a fitting CRC and a
 * base offset in [least_offset, most_offset] begins. *found -1 when there is none.
 */
CHECKED enum err scan_resync(struct scan *scan, int64_t position, int64_t least_offset,
                             int64_t most_offset, int64_t *found, struct batch *header,
                             struct reason *reason);

/*
 * Whether the bad bytes at position are a hole: a place that was never written, though later ones
 * were. expected: the offset that belongs there; bad_end: where good batches begin again, or the
 * limit. A file system writes whole blocks, so a hole begins where writing stopped in a block that
 * was written before (there a batch begins), or at a block's start, and ends with a block. It is a
 * hole when
 * - from position to the end of its block (or bad_end) all is zero, and an untouched header could
 *   not be: the length or a byte of the expected offset that is not zero lies in these bytes; or
 * - a batch with the expected offset begins at position, and a block that begins inside it is zero
 *   as a whole. Of a header that the block's start cuts, what lies before must fit.
 * Else it is not, even if other zeros are in it. Zero blocks that belong to a batch which is
 * damaged otherwise look like a hole. ERR_IO.
 */
CHECKED enum err scan_is_hole(struct scan *scan, int64_t position, int64_t expected,
                              int64_t bad_end, bool *hole, struct reason *reason);

/*
 * Whether the bad bytes at position begin with a batch that was written as a whole, going by its
 * CRC. What that does not cover (base offset, length, leader epoch, magic) may be wrong: the batch
 * counts as the one with the expected offset, and ends where one with the offset behind it begins,
 * or at bad_end (where good batches begin again, or the limit). Then *end is there and *next_offset
 * is the offset behind it; else *end is -1. A beginning of zeros that a lost block leaves is none
 * of a whole batch. ERR_IO.
 */
CHECKED enum err scan_find_whole(struct scan *scan, int64_t position, int64_t expected,
                                 int64_t bad_end, int64_t *end, int64_t *next_offset,
                                 struct reason *reason);

/* Whether the batch in [position, end) is as it was written but for its last offset, which was that
 * one, going by its CRC. ERR_IO. */
CHECKED enum err scan_fits_with_last(struct scan *scan, int64_t position, int64_t end,
                                     int64_t last_offset, bool *fits, struct reason *reason);

/* How many good batches lie in [position, limit), whatever lies between them. Stops at an
 * unreadable place. */
int64_t scan_count_good(struct scan *scan, int64_t position, int64_t least_offset);

/* The whole batch into *to (cleared first), with *batch borrowing it. */
CHECKED enum err scan_load(struct scan *scan, int64_t position, const struct batch *header,
                           struct buf *to, struct batch *batch, struct reason *reason);

#endif
