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
enum { SCAN_WINDOW_BYTES = 4096 };

struct scan {
    const struct file_ops *files;
    int fd;
    int64_t limit; /* bytes of the file that count */
    int64_t window_position;
    size_t window_size;
    uint8_t window[SCAN_WINDOW_BYTES];
    uint8_t *piece; /* for CRCs and searches, made on first use */
};

/* scan_deinit is needed only after scan_check_crc or scan_resync. */
void scan_init(struct scan *scan, const struct file_ops *files, int fd, int64_t limit);
void scan_deinit(struct scan *scan);

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
 * Whether the offsets of a header contradict the batch behind it, and the blame is on this one: its
 * CRC does not fit, or its base offset, which no CRC covers, is not the expected one.
 */
CHECKED bool scan_is_suspect(struct scan *scan, int64_t position, const struct batch *header,
                             int64_t expected);

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

/* The whole batch into *to (cleared first), with *batch borrowing it. */
CHECKED enum err scan_load(struct scan *scan, int64_t position, const struct batch *header,
                           struct buf *to, struct batch *batch, struct reason *reason);

#endif
