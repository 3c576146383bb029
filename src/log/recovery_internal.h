#ifndef TIDINGS_LOG_RECOVERY_INTERNAL_H
#define TIDINGS_LOG_RECOVERY_INTERNAL_H

#include "log/log_internal.h"

/* Private to recovery.c, recovery_scan.c, recovery_cut.c: one opening. One thread. */
struct recovery {
    struct log *log;
    struct log_recovery *report;
    int64_t floor;    /* offsets below were on disk for sure */
    int64_t from;     /* offset where the scan begins */
    int64_t position; /* of `from`, in the segment that holds it */
    int64_t next;     /* the end of what is good so far */
};

/* Adds a new active segment at base_offset. recovery_scan.c */
CHECKED enum err recovery_add_segment(struct log *log, int64_t base_offset, struct reason *reason);

/*
 * Scans segment number i from position on: takes over its good batches, notes damages, and decides
 * what its end means. May cut it and set the segments behind it aside, or add a new one.
 */
CHECKED enum err recovery_scan_segment(struct recovery *recovery, size_t i, int64_t position,
                                       struct reason *reason);

/* A tail that is to be cut off. */
struct cut {
    size_t segment;   /* its number */
    int64_t position; /* the file is good up to here */
    int64_t size;     /* of the file */
    bool hole;        /* the tail begins with a hole */
};

/*
 * Cuts the segment at the position and sets the segments behind it aside, as "<name>.log.cut". When
 * whole batches lie in what is cut, or behind it, the bytes are kept beside the segment before, as
 * "<base>.<position>.<their CRC-32C>.cut". Says so in the log. A crash in between leaves the same
 * cut to be done again. ERR_IO, ERR_NO_SPACE.
 */
CHECKED enum err recovery_cut(struct recovery *recovery, const struct cut *cut,
                              struct reason *reason);

#endif
