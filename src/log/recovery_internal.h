#ifndef TIDINGS_LOG_RECOVERY_INTERNAL_H
#define TIDINGS_LOG_RECOVERY_INTERNAL_H

#include "log/log_internal.h"
#include "log/scan.h"

/* Private to recovery.c, recovery_scan.c, recovery_damage.c, recovery_cut.c: one opening. One
 * thread. */
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

/* One segment's scan. */
struct segment_scan {
    struct scan scan;
    struct segment *segment;
    int64_t size;
    int64_t end_offset; /* where the next segment begins; INT64_MAX: this is the active one */
    int64_t position;   /* good up to here */
    bool after_damage;
    bool hole; /* the bad bytes at position were never written */
};

/* Whether the place where the scan is lies behind the checkpoint, so that it need not have been
 * synced. segment_end: where the next segment begins. */
bool recovery_may_cut(const struct recovery *recovery, int64_t segment_end);

/* What an earlier opening or a reader noted of the bad bytes at the position, or NULL. What came
 * behind them may be synced since. */
const struct damage *recovery_find_noted(const struct segment *segment, int64_t position);

/*
 * What is damaged from the position of the scan on: one batch when its CRC fits or its header leads
 * on to another with the next offset, else all up to the next good one. *found false when nothing
 * behind it is good and it was not written as a whole, or when it is a hole (at->hole): a torn
 * tail. ERR_IO.
 */
CHECKED enum err recovery_measure_damage(const struct recovery *recovery, struct segment_scan *at,
                                         struct damage *damage, bool *found, struct reason *reason);

/*
 * At the end of a segment that another one follows: whether the bad bytes are one batch that
 * reaches exactly to the next segment, which begins well: it is damage with good batches behind it
 * and no torn tail, unless there is a hole in it (at->hole). ERR_IO.
 */
CHECKED enum err recovery_is_whole_but_bad(struct segment_scan *at, int64_t expected,
                                           struct segment *next, bool *damage,
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
