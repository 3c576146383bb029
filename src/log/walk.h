#ifndef TIDINGS_LOG_WALK_H
#define TIDINGS_LOG_WALK_H

#include "log/scan.h"

/*
 * Reads a segment file from outside of a log: its batches one after the other, with their CRCs
 * checked, and the stretches between them that are no good batches. For tools; it changes nothing.
 * Also reads a file that is being appended to, up to `limit`. One thread.
 */
enum walk_item {
    WALK_BATCH,  /* walk->batch, at walk->position */
    WALK_DAMAGE, /* walk->damage: bytes that are no good batch */
    WALK_END,    /* the limit is reached */
};

/* Bytes that are no good batch. */
struct walk_damage {
    int64_t position;
    int64_t end;          /* where good batches begin again, or the limit */
    int64_t first_offset; /* the first offset that may be lost */
    int64_t next_offset; /* of the next good batch; else where the segment ends, or -1: not known */
    bool at_end;         /* no good batch follows in this file, nor was this one written whole */
    struct reason why;
};

struct walk {
    struct scan scan;
    int64_t base_offset; /* of the segment */
    int64_t end_offset;  /* of the segment: offsets are below; INT64_MAX: not known */
    int64_t next_position;
    int64_t next_offset; /* the least that the next batch may have */
    bool load;           /* batch.bytes hold the batch; false: only its header was read */
    struct buf bytes;

    int64_t position; /* of the batch */
    struct batch batch;
    struct walk_damage damage;
};

/* fd is only borrowed. limit: bytes of the file that count. */
void walk_init(struct walk *walk, const struct file_ops *files, int fd, int64_t limit,
               int64_t base_offset, int64_t end_offset, bool load);
void walk_deinit(struct walk *walk);

/* The next item. A batch is good when its header can be, its CRC fits, and its offsets rise within
 * the segment. ERR_IO. */
CHECKED enum err walk_next(struct walk *walk, enum walk_item *item, struct reason *reason);

#endif
