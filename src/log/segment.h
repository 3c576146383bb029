#ifndef TIDINGS_LOG_SEGMENT_H
#define TIDINGS_LOG_SEGMENT_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "batch/batch.h"
#include "log/index.h"
#include "log/segment_fds.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A stretch of a segment whose bytes are no good batches: readers get ERR_CORRUPT for it. */
struct damage {
    int64_t position;
    int64_t end;          /* where good batches begin again, or the end of the file */
    int64_t first_offset; /* the first offset that may be lost */
    int64_t next_offset;  /* of the next good batch */
};

enum { SEGMENT_CLOSED = -1, SEGMENT_VERIFIED_RANGES = 4 };

/* [from, to) of a segment's bytes. */
struct byte_range {
    int64_t from;
    int64_t to;
};

/*
 * One segment file. Reference counted: the log's list holds one reference, each span another.
 * `fd` is open while someone holds the segment (segment_hold), so that a deleted file can still be
 * read by who has a span; otherwise it may be closed to make room (segment_fds.h).
 * The fields from base_offset on that change are guarded by the log's segments_lock.
 */
struct segment {
    atomic_int refs;
    atomic_int holders;   /* who uses fd; SEGMENT_CLOSED: it is not open */
    atomic_bool used;     /* since the last search for one to be closed */
    atomic_bool replaced; /* what its path names is another file now, or none */
    int fd;
    struct segment *ring_prev; /* among the open ones; segment_fds.c */
    struct segment *ring_next;
    const struct file_ops *files;
    struct budget *budget;   /* that counts it; NULL: none does */
    struct segment_fds *fds; /* NULL: stays open until it is freed */
    const char *dir;         /* the log's; only while the log is there */
    int64_t base_offset;

    int64_t size_bytes;           /* written and whole */
    int64_t written_from;         /* from here on this process wrote or scanned the bytes */
    struct byte_range *verified;  /* SEGMENT_VERIFIED_RANGES others whose CRCs fit; NULL: none */
    int64_t synced_bytes;         /* on disk for sure */
    int64_t unindexed_bytes;      /* written since the last index row */
    bool times_known;             /* the next three are; else segment_load_times */
    int64_t first_timestamp;      /* of the first batch (its maximum); INT64_MIN: no batch */
    int64_t max_timestamp;        /* INT64_MIN: no batch */
    int64_t max_timestamp_offset; /* last offset of the batch that holds it */
    struct index offsets;
    struct index times;
    struct index aborts; /* aborted transactions whose markers are here */
    bool aborts_bad;     /* opening: they are to be made anew */
    bool aborts_old;     /* opening: those in the file are, by the scan */
    VEC(struct damage) damages;
    int64_t first_written_ms; /* wall clock of the first append; of a found file: its last change */
    bool index_bad;           /* a row of an index file led nowhere: rebuild it */
    bool finished;            /* closed, and index tails and snapshot are written */
    bool held_unsynced;       /* held by the log until all its bytes are synced */
    struct buf snapshot;      /* closed: producer state as of its end, until it is written */
};

enum { SEGMENT_NAME_DIGITS = 20 };

/* "<dir>/<base offset, 20 digits><suffix>" (free it). */
char *segment_path(const char *dir, int64_t base_offset, const char *suffix);

/*
 * The segment file in `dir`, which outlives all use but that of spans. create: makes it, it must
 * not exist. One reference is the caller's. fds may be NULL. ERR_NOT_FOUND, ERR_IO.
 */
CHECKED enum err segment_open(const struct file_ops *files, struct segment_fds *fds,
                              const char *dir, int64_t base_offset, bool create,
                              struct segment **out, struct reason *reason);

/*
 * A segment without content on an open descriptor, which is taken over and held: it stays open
 * until segment_let_go, for which the file must have got its name in `dir`. fds may be NULL.
 */
struct segment *segment_adopt(const struct file_ops *files, struct segment_fds *fds,
                              const char *dir, int fd, int64_t base_offset);

/* Has the budget count it among BUDGET_PARTITIONS, with its index tails, and with what a log has
 * besides once it is used: about SEGMENT_COST, until it is freed. NULL: no effect. */
void segment_count(struct segment *segment, struct budget *budget);
#define SEGMENT_COST (mem_cost(sizeof(struct segment)) + 1024)

/* One reference more, one less; the last frees and closes. Any thread. */
void segment_ref(struct segment *segment);
void segment_unref(struct segment *segment);

/*
 * Makes segment->fd good to use until segment_let_go; whoever calls has a reference meanwhile.
 * ERR_CLOSED: the file is deleted or replaced, look at the log's list again. ERR_IO, also when
 * the process has no descriptor left. Opens the file when it is not open. Any thread.
 */
CHECKED enum err segment_hold(struct segment *segment, struct reason *reason);
void segment_let_go(struct segment *segment);

/* segment_hold for who holds it already. */
void segment_hold_again(struct segment *segment);

/* A file_span's release: lets go and gives up a reference. */
void segment_release(void *segment);

/*
 * Takes over a batch that was written at position: timestamps, index rows when due, size. The
 * batch has its final offsets. Guarded by the log's segments_lock.
 */
void segment_take_batch(struct segment *segment, const struct batch *batch, int64_t position,
                        int64_t index_interval_bytes);

/* Adds the last row of the time index, so that the largest timestamp is on record. */
void segment_close_times(struct segment *segment);

/*
 * Whether the bytes of [from, to) are known to be good: written by this process, or verified since
 * it opened the file. Guarded by the log's segments_lock.
 */
bool segment_is_verified(const struct segment *segment, int64_t from, int64_t to);

/* Notes that the CRCs of all batches in [from, to) fit. A few ranges are remembered, which is one
 * for each reader that goes along; what is forgotten is verified again. segments_lock. */
void segment_note_verified(struct segment *segment, int64_t from, int64_t to);

/* Whether the bytes are a whole .damage file: for tools. */
bool damage_file_is_good(struct slice bytes);

/* Adds a copy to what is known of damaged bytes. segments_lock. */
void segment_add_damage(struct segment *segment, const struct damage *damage);

/* Unlinks its files. What is open stays readable. */
CHECKED enum err segment_unlink(const struct file_ops *files, const char *dir, int64_t base_offset,
                                struct reason *reason);

#endif
