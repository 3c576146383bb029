#ifndef TIDINGS_DATADIR_COPY_H
#define TIDINGS_DATADIR_COPY_H

#include "base/err.h"
#include "base/file.h"
#include "datadir/batch_check.h"

#include <stdbool.h>
#include <stdint.h>

/* Copies and reads files in large pieces, with checksums, at a bounded rate. One thread. */
struct copy {
    const struct file_ops *files;
    uint8_t *buffer;
    int64_t max_rate; /* bytes a second; 0: no limit */
    int64_t began_ns;
    int64_t moved_bytes;

    /* After every piece: bytes gone through so far, of all. False ends the work. NULL: none. */
    bool (*progress)(void *context, int64_t bytes, int64_t total_bytes);
    void *context;
    int64_t done_bytes;
    int64_t total_bytes;
};

/* Sets every field and takes a buffer, which copy_deinit frees; the time that max_rate (bytes a
 * second, 0: no limit) is measured by begins. */
void copy_init(struct copy *copy, int64_t max_rate);
void copy_deinit(struct copy *copy);

/* Bytes that need not be moved count as gone through. ERR_CLOSED: progress ended it. */
CHECKED enum err copy_skip(struct copy *copy, int64_t bytes, struct reason *reason);

/*
 * size bytes at position of one file to the same position of another. to_fd -1: only reads. *crc
 * goes on over them; check (NULL: none) is fed with them. ERR_TRUNCATED when the file is shorter;
 * ERR_CLOSED: progress ended it; ERR_IO, ERR_NO_SPACE.
 */
CHECKED enum err copy_bytes(struct copy *copy, int from_fd, int to_fd, int64_t position,
                            int64_t size, uint32_t *crc, struct batch_check *check,
                            struct reason *reason);

/* Makes everything on the file system of dir durable. */
CHECKED enum err copy_sync(struct copy *copy, const char *dir, struct reason *reason);

/* Makes the folders above path. */
CHECKED enum err copy_make_parents(const char *path, struct reason *reason);

/* Whether a path is a segment's, so that its batches can be checked. */
bool copy_is_segment(const char *path);

#endif
