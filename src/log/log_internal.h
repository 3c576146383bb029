#ifndef TIDINGS_LOG_LOG_INTERNAL_H
#define TIDINGS_LOG_LOG_INTERNAL_H

#include "base/vec.h"
#include "log/flush.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"

#include <pthread.h>
#include <stdatomic.h>

/* Private to the room: what the files of src/log share. */

enum {
    LOG_RECENT_BATCHES = 16, /* positions kept for readers at the tail */
    LOG_READ_HINTS = 16,     /* ends of spans given out: where sequential readers go on */
};

struct scan; /* scan.h */

struct offsets {
    VEC_FIELDS(int64_t);
};

struct batch_position {
    int64_t segment_base; /* -1: unused */
    int64_t offset;       /* a batch with this base offset, or the first behind a gap, ... */
    int64_t position;     /* ... begins here */
};

struct log {
    atomic_int refs;
    char *dir;
    struct log_env env;
    pthread_mutex_t user_lock; /* guards user, while it is called too; inside it only txn_lock */
    void *user;

    _Atomic int64_t start_offset;
    _Atomic int64_t end_offset;
    _Atomic int64_t flushed_offset;
    _Atomic int64_t size_bytes;
    atomic_bool failed;
    atomic_bool deleted;

    atomic_bool loaded;        /* segments and producers are known: log_load */
    pthread_mutex_t load_lock; /* guards the change of loaded; taken before all others */
    bool load_deep;            /* look into index files too: the last stop was not clean */
    char *offline;             /* why it can never be loaded; NULL. Set while opening */

    atomic_bool dirty;      /* on the flusher's list */
    struct log *dirty_next; /* the flusher's */

    _Atomic int64_t first_open;         /* of producers.open; written under append_lock */
    _Atomic int64_t first_undecided;    /* the least first offset of undecided; INT64_MAX */
    _Atomic int64_t next_decided;       /* the least last offset of undecided; INT64_MAX */
    atomic_bool has_aborts;             /* a transaction was ever aborted here */
    pthread_mutex_t txn_lock;           /* guards the next three; no other is taken inside */
    VEC(struct producer_txn) undecided; /* ended, their markers not below the high watermark */

    pthread_mutex_t append_lock; /* guards: */
    struct log_config config;
    struct producer_state producers;
    bool closed;

    /* guards the next ones; the list itself changes under append_lock as well, so that an appender
     * may look at the active segment */
    pthread_mutex_t segments_lock;
    VEC(struct segment *) segments; /* by base offset; the last one is active; never empty */
    bool dir_dirty;                 /* file names in the directory are not durable yet */
    bool syncing;                   /* a flush is between begin and finish; one at a time */
    pthread_cond_t sync_idle;
    struct batch_position *recent; /* a ring of the newest batches; NULL: none yet */
    unsigned recent_next;
    struct batch_position *hints; /* likewise */
    unsigned hint_next;

    /* One writer of index and snapshot files at a time. Taken before the other two. */
    pthread_mutex_t upkeep_lock;
    struct offsets snapshots;    /* of the snapshot files, rising */
    struct log_state checkpoint; /* the last one that was taken, or that opening started from */
    uint64_t snapshot_changes;   /* producers.changes when the last checkpoint took one */

    /* The cleaner's (compact.c). */
    int64_t cleaned_offset; /* -1: not read yet */
    bool idle_measured;     /* the next two are known (compact_idle.c): of closed segments */
    int64_t idle_clean_bytes;
    int64_t idle_dirty_bytes;
    bool compact_blocked; /* a swap is to be finished by the next start */
};

/* log_env's names_lock for reading; outermost. */
void log_names_hold(struct log *log);
void log_names_release(struct log *log);

/* A log with nothing in it yet, refs 1. Opening. */
struct log *log_new(const char *dir, const struct log_config *config, const struct log_env *env);

/* Forgets what was loaded. Opening and closing. */
void log_drop_segments(struct log *log);

/* The settings as of now. Takes append_lock. */
struct log_config log_config_copy(struct log *log);

/* The last segment, which is appended to. append_lock or segments_lock. */
static inline struct segment *log_active(const struct log *log)
{
    return log->segments.items[log->segments.count - 1];
}

/* The end offset of segment number i. segments_lock. */
static inline int64_t log_segment_end(const struct log *log, size_t i)
{
    return i + 1 < log->segments.count ? log->segments.items[i + 1]->base_offset
                                       : atomic_load(&log->end_offset);
}

/* The number of the segment that holds offset: the last with base <= offset. segments_lock. */
size_t log_segment_number(const struct log *log, int64_t offset);

/* A fresh ring of unused positions. */
struct batch_position *log_positions_new(int count);

/* Takes over the caller's reference. segments_lock. */
void log_add_segment(struct log *log, struct segment *segment);

/* Closes the active segment and begins a new one at the end offset; no effect on an empty one.
 * append_lock. Does not sync: the flusher does (data, index tails, the directory's entry). */
CHECKED enum err log_roll(struct log *log, struct reason *reason);

/*
 * After producer_apply, before the end offset is published: readers see which transactions are open
 * now. ended: what the batch ended, or NULL. append_lock. log_txn.c
 */
void log_publish_txns(struct log *log, const struct producer_txn *ended);

/* Adds an aborted transaction to the index of the segment that holds its marker; no effect for a
 * committed one. segments_lock, or opening. */
void log_index_abort(struct log *log, struct segment *segment, const struct producer_txn *txn);

/* Fills first_timestamp, max_timestamp of an opened segment from its files when they are not
 * known. append_lock or a worker; takes segments_lock. */
CHECKED enum err log_load_times(struct log *log, struct segment *segment, struct reason *reason);

/* One flush in two halves, so that the flusher can sync many logs at once between them. */
struct log_sync {
    struct log *log;
    int64_t end_offset;
    struct segment **segments; /* referenced */
    int64_t *sizes;            /* of each, covered by this sync */
    size_t segment_count;
    bool dir;
    enum err err;
    int64_t synced_bytes; /* out: published by log_sync_finish */
};

/* Notes what is to be synced; waits while another flush of this log is under way. */
void log_sync_begin(struct log *log, struct log_sync *sync);
/* fdatasync of each file, and the directory. Sets sync->err. */
void log_sync_files(struct log_sync *sync, struct reason *reason);
/* Behind the sync: an error in sync->err when a file has no name any more, so that what is in it
 * goes with this process. Sets sync->err when it is ERR_NONE. */
void log_sync_check_names(struct log_sync *sync, struct reason *reason);
/* Publishes what was synced or fails the log; true when the flushed offset moved or the log
 * failed. */
bool log_sync_finish(struct log_sync *sync);

/* Writes index tails and snapshots of segments that were closed since; failures are logged, since
 * these files are disposable. Blocking. */
void log_finish_rolled(struct log *log);

/* ERR_CLOSED once the log is deleted: its paths may be those of a new log by now. Stays true while
 * append_lock or upkeep_lock is held. */
CHECKED enum err log_check_not_deleted(struct log *log, struct reason *reason);

/* Writes what is in the index tails of the segment. upkeep_lock. */
CHECKED enum err log_write_indexes(struct log *log, struct segment *segment, struct reason *reason);
/* The same; sync false: the caller syncs the file system. */
CHECKED enum err log_write_tails(struct log *log, struct segment *segment, bool sync,
                                 struct reason *reason);
/* Of the tails that of the .txnindex alone. upkeep_lock. */
CHECKED enum err log_write_aborts(struct log *log, struct segment *segment, struct reason *reason);

/* Writes index tails and snapshots of all segments that were closed since. upkeep_lock. */
CHECKED enum err log_finish_closed(struct log *log, bool sync, struct reason *reason);

/* Deletes the snapshots that no recovery asks for, given the checkpoint before the last.
 * upkeep_lock. */
void log_drop_old_snapshots(struct log *log, int64_t checkpoint_offset);

/* Writes <offset>.snapshot. upkeep_lock. */
CHECKED enum err log_write_snapshot(struct log *log, int64_t offset, struct slice bytes, bool sync,
                                    struct reason *reason);

/*
 * The last index row of the segment whose field is <= target, checked against the file: a batch
 * that fits begins at row->position. *found false: begin at the start of the segment.
 */
CHECKED enum err log_index_floor(struct log *log, struct segment *segment, enum index_field field,
                                 int64_t target, struct index_row *row, bool *found,
                                 struct reason *reason);

/*
 * Where a walk to the batch that holds the offset begins: the position of a batch at or before it,
 * and the offset that belongs there. The segment is held.
 */
CHECKED enum err log_walk_begin(struct log *log, struct segment *segment, int64_t offset,
                                int64_t *position, int64_t *first_offset, struct reason *reason);

/* Whether a row of the time index tells the truth about the batch that it names. */
CHECKED enum err log_check_time_row(struct log *log, struct segment *segment,
                                    const struct index_row *row, bool *fits, struct reason *reason);

/*
 * Steps over bad bytes at position: finds where good batches begin again, puts the damage on the
 * segment's list and in the log. least_offset: the first that may be lost.
 */
CHECKED enum err log_note_damage(struct log *log, struct segment *segment, int64_t position,
                                 int64_t limit, int64_t least_offset, int64_t segment_end,
                                 struct damage *damage, struct reason *reason);

/* Puts a damage on the segment's list, into its .damage file and into the log. */
void log_add_damage(struct log *log, struct segment *segment, const struct damage *damage);

/* Forgets damages behind position, which is going to be cut. Opening. */
void log_cut_damages(struct log *log, struct segment *segment, int64_t position);

/* Reads what <base>.damage lists. ERR_IO; a bad file counts as none. Opening. */
CHECKED enum err log_load_damages(struct log *log, struct segment *segment, struct reason *reason);

/* Makes the index rows and times of a closed segment anew from its batch headers, and writes them.
 * upkeep_lock, or opening. */
CHECKED enum err log_rebuild_indexes(struct log *log, struct segment *segment,
                                     struct reason *reason);

/* Opening, before anything else: finishes what a crash left of swaps. ERR_IO. compact_swap.c */
CHECKED enum err log_finish_swaps(struct log *log, struct reason *reason);

/* Opening: finds the segments, recovers, loads producers. recovery.c */
CHECKED enum err log_recover(struct log *log, const struct log_state *known,
                             struct log_recovery *recovery, struct reason *reason);

/* The files of a log's directory. directory.c */
struct log_files {
    struct offsets segments;    /* base offsets, rising */
    struct offsets snapshots;   /* rising */
    struct offsets damages;     /* base offsets of segments with a .damage file */
    struct offsets txn_indexes; /* likewise with a .txnindex file */
    bool compacted; /* there is a LOG_CLEANED_NAME: segments may not be as they were written */
};

/* The file that says up to where a log was compacted; before any segment is, it is there. */
#define LOG_CLEANED_NAME "cleaner-offset"

/* Lists them, deletes what a crash left half made, warns once of what does not belong there. */
CHECKED enum err log_files_list(struct log *log, struct log_files *found, struct reason *reason);
void log_files_deinit(struct log_files *found);

/* The base offsets of the segment files, rising, in a fresh array. Changes nothing. ERR_IO. */
CHECKED enum err log_segment_bases(struct log *log, int64_t **bases, size_t *count,
                                   struct reason *reason);

/*
 * Opening: takes over the .txnindex files. Segments before number `scanned` keep their rows; that
 * one keeps those below `from`, and none when from is its base offset, nor do later ones: the scan
 * makes theirs, and log_replace_aborts their files. Files without a segment are deleted. Bad ones
 * are made anew by a replay from the log's start, and counted in *rebuilt. txn_recovery.c
 */
CHECKED enum err log_adopt_aborts(struct log *log, const struct log_files *found, size_t scanned,
                                  int64_t from, int32_t *rebuilt, struct reason *reason);

/* Opening, after the scan: what it made takes the place of the files that were left to it. A
 * checkpoint may vouch for these, so that a crash must not find them gone. */
CHECKED enum err log_replace_aborts(struct log *log, struct reason *reason);

/* Number of rows an index file has; -1 when it is missing, cut inside a row, or does not end inside
 * its segment. deep: look at the last row too. */
int64_t log_index_file_rows(struct log *log, const struct segment *segment, enum index_kind kind,
                            int64_t segment_end, bool deep);

/* Loads the newest good snapshot at or below offset into log->producers and deletes those above
 * end_offset; *loaded is its offset, or -1. producer_recovery.c */
CHECKED enum err log_load_producers(struct log *log, const struct log_files *found, int64_t offset,
                                    int64_t *loaded, struct reason *reason);

/*
 * Applies a scanned batch to *producers: of a control batch the content counts, of others the
 * header is enough. Puts the transaction that it aborts into the segment `aborts` unless NULL.
 * ERR_CORRUPT and ERR_TRUNCATED when a control batch cannot be read, ERR_IO. Opening.
 */
CHECKED enum err log_apply_header(struct log *log, struct producer_state *producers,
                                  struct scan *scan, int64_t position, const struct batch *header,
                                  struct segment *aborts, struct reason *reason);

/*
 * Replays the producers of the batches in [from, to) by their headers, into *producers.
 * index_aborts: adds the aborted transactions to segments whose aborts_bad is set.
 */
CHECKED enum err log_replay_producers(struct log *log, struct producer_state *producers,
                                      int64_t from, int64_t to, bool index_aborts,
                                      struct reason *reason);

/* Takes over the snapshots up to end_offset, deletes the others: they speak of what was cut. */
void log_adopt_snapshots(struct log *log, const struct log_files *found, int64_t end_offset);

#endif
