#ifndef TIDINGS_LOG_LOG_H
#define TIDINGS_LOG_LOG_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "batch/batch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The log of one partition: record batches in segment files, in Kafka's layout.
 *
 *   <dir>/<base offset, 20 digits>.log        record batches, back to back
 *   <dir>/<base offset>.index                 sparse: relative offset i32, position i32
 *   <dir>/<base offset>.timeindex             sparse: timestamp i64, relative offset i32
 *   <dir>/<base offset>.txnindex              aborted transactions whose markers are there, if any
 *   <dir>/<offset>.snapshot                   producer state as of that offset (Kafka's format)
 *
 * Indexes and snapshots are disposable: they are rebuilt from the .log files when missing, too
 * short or not plausible. Offsets: start <= flushed <= end. Readers are bounded by what the caller
 * passes (high watermark, last stable offset); the log itself promises only that what is below
 * `flushed` survives a crash.
 *
 * Locks: append_lock (one appender; held for the write to the page cache and the producer state),
 * segments_lock (the list of segments and the in-memory index tails; held for look-ups and rolls).
 * Order: append_lock, then segments_lock. txn_lock (transactions that are ended and undecided) is
 * taken last, for moments. No caller's lock is needed. Offsets are read as atomics.
 *
 * An idle log (log_open) answers offsets and sizes only. Its owner calls log_load before it
 * appends, reads, looks for times, aborted transactions or producers, moves the start, compacts, or
 * freezes it; these assert that it is loaded. The rest works either way.
 */
struct log;
struct flusher;
struct segment_fds;
struct space;

struct log_config {
    int64_t segment_bytes;          /* segment.bytes */
    int64_t segment_ms;             /* segment.ms: roll an active segment older than this */
    int64_t segment_index_bytes;    /* segment.index.bytes: roll when an index would pass it */
    int64_t index_interval_bytes;   /* index.interval.bytes */
    int64_t retention_ms;           /* retention.ms; -1: for ever */
    int64_t retention_bytes;        /* retention.bytes; -1: no limit */
    int64_t file_delete_delay_ms;   /* file.delete.delay.ms: no effect, see retention.c */
    int64_t producer_expiration_ms; /* producer.id.expiration.ms */
    /* log compaction: compact.h */
    bool compact;                  /* cleanup.policy has compact */
    bool retain;                   /* it lacks delete: retention does not apply */
    int64_t delete_retention_ms;   /* delete.retention.ms */
    int64_t min_compaction_lag_ms; /* min.compaction.lag.ms */
    int64_t max_compaction_lag_ms; /* max.compaction.lag.ms */
    double min_cleanable_ratio;    /* min.cleanable.dirty.ratio */
};

/* Kafka's defaults. */
void log_config_init(struct log_config *config);

/* What the logs of one server share. Outlives them. */
struct log_env {
    const struct file_ops *files;
    const struct clock *clock;
    struct flusher *flusher; /* NULL: nobody flushes but log_flush (tests, tools) */
    struct space *space;     /* asked before each append and compaction; NULL: nobody is */
    /*
     * Held for reading, before any lock of a log, by whoever unlinks or renames segment files or
     * their directory; for writing by a backup while it links them. NULL: nobody links.
     */
    pthread_rwlock_t *names_lock;
    struct budget *budget;   /* BUDGET_PRODUCERS, BUDGET_PARTITIONS; NULL: nobody counts */
    struct segment_fds *fds; /* NULL: each segment keeps its file open */
    bool sync_later;         /* log_open leaves what it changed unsynced: who opens many logs syncs
                                the file system once before they are used */
};

/*
 * What is known of a log from the last checkpoint. `clean`: it was written by a clean stop after
 * the last append, so that sizes that agree spare the scan.
 */
struct log_state {
    int64_t start_offset;
    int64_t end_offset;  /* everything below was flushed when this was written */
    int64_t active_base; /* base offset of the last segment */
    int64_t active_size; /* its size in bytes at end_offset */
    bool clean;
    /* What an idle log answers without a look at its files; older checkpoints lack it. */
    bool idle_known;    /* the next four are known */
    bool open_txns;     /* a transaction was open: the log is read at start */
    int64_t first_base; /* base offset of the first segment */
    int64_t size_bytes; /* of all segments */
    int64_t oldest_ms;  /* the largest timestamp of the first segment (of its file when its events
                           have none); INT64_MAX: it is empty */
};

/* What opening found and did. */
struct log_recovery {
    int64_t scanned_bytes;   /* read and CRC-checked */
    int64_t truncated_bytes; /* torn tail cut off the last segment */
    int64_t truncated_at;    /* the end offset after the cut; -1 when nothing was cut */
    int32_t damaged_batches; /* in the middle, left in place; each was logged with its place */
    int32_t rebuilt_indexes;
    bool emptied; /* there was no segment, though events were known */
};

/* What a log takes on the heap without its segments. Pure. */
size_t log_cost(const char *dir);

/*
 * Opens or creates the log in `dir` (created with its parent's entry durable). known: the last
 * checkpoint, or NULL. With a clean state whose sizes agree no data is read. Else the log is
 * scanned from known->end_offset's position (all of it when known is NULL): every CRC there is
 * verified, the torn tail is cut and logged; segments behind a cut are set aside as
 * "<name>.log.cut". A hole (scan_is_hole) counts as a torn tail; good batches behind it are set
 * aside as "<base>.<position>.<crc>.cut". Any other bad batch that has good batches behind it, or
 * whose CRC tells that it was whole (scan_find_whole), is reported and kept, and never hides what
 * follows; nothing below known->end_offset is cut.
 * start_offset is the larger of known's and the first segment's base. recovery may be NULL. ERR_IO,
 * ERR_NO_SPACE. Any one thread.
 *
 * When known->idle_known, no transaction was open and the file sizes agree, nothing else is looked
 * at: the log is idle until log_load, and takes under 1 KB.
 */
CHECKED enum err log_open(const char *dir, const struct log_config *config,
                          const struct log_env *env, const struct log_state *known,
                          struct log **out, struct log_recovery *recovery, struct reason *reason);

/*
 * A log in the place of one that log_open could not open: it answers the offsets of the checkpoint
 * (0 when known is NULL) and ERR_IO, with why, to all that needs its files. May be deleted.
 */
struct log *log_open_offline(const char *dir, const struct log_config *config,
                             const struct log_env *env, const struct log_state *known,
                             const struct reason *why);

/*
 * Loads the segments, indexes and producers of an idle log; cheap when that was done. A loaded log
 * stays loaded. ERR_IO (offline, or its files cannot be read or changed since the start; logged;
 * tried again by the next call), ERR_CLOSED (deleted). Any thread, no other lock of a log held; the
 * first call waits for the disk.
 */
CHECKED enum err log_load(struct log *log, struct reason *reason);

/*
 * Takes no more appends, flushes, writes indexes and a producer snapshot, fills *state (clean). On
 * an error *state is the last good checkpoint, and not clean. Reads go on. Does not unref.
 */
CHECKED enum err log_close(struct log *log, struct log_state *state, struct reason *reason);

/*
 * References: log_open gives one. The flusher and spans that were handed out hold their own, so a
 * log may be unreferenced while either still uses it. The last one closes the files.
 */
void log_ref(struct log *log);
void log_unref(struct log *log);

/* After the last log_close or instead of it: marks the log deleted; appends give ERR_CLOSED, its
 * directory is renamed to "<dir>.<random>-delete" at once (a long name is cut) and removed.
 * Blocking; worker thread. */
CHECKED enum err log_delete(struct log *log, struct reason *reason);

/*
 * The same for many logs, in two steps. The first marks and renames them; the caller syncs their
 * parent directory. On an error, of which the first is told, the others are set aside nevertheless.
 * *away, with an entry for each log, goes to log_remove_aside in any case.
 */
CHECKED enum err log_set_aside_many(struct log *const *logs, size_t count, char ***away,
                                    struct reason *reason);

/* The second step, once the names are on disk: removes the files, and frees `away`. What stays on
 * an error, of which the first is told, or after a crash, log_delete_leftovers removes. files NULL:
 * only frees, and all stays. */
CHECKED enum err log_remove_aside(const struct file_ops *files, char **away, size_t count,
                                  struct reason *reason);

/* The same rename, unsynced, for the directory of a log that is not open. Its files stay until
 * log_delete_leftovers. ERR_NONE when there is no such directory. */
CHECKED enum err log_discard_dir(const struct file_ops *files, const char *dir,
                                 struct reason *reason);

/* Finishes removals that a crash cut short: deletes every "*-delete" directory below `parent`. */
void log_delete_leftovers(const struct file_ops *files, const char *parent);

struct log_append {
    /* in: whole batches that passed batch_validate; their bytes are only borrowed */
    struct batch *batches;
    int32_t batch_count;
    int32_t leader_epoch;
    bool append_time;    /* message.timestamp.type=LogAppendTime */
    bool check_producer; /* verify sequence numbers (client produce); false: a coordinator's */
    bool reserve;        /* SPACE_FOR_STATE of space.h: goes on while the disk is nearly full */
    /* out */
    int64_t base_offset;    /* of the first batch; of the first time for a duplicate */
    int64_t end_offset;     /* the log's end after this append: wait for it to be flushed */
    int64_t append_time_ms; /* -1 unless LogAppendTime */
    int64_t log_start_offset;
};

/*
 * Assigns offsets, writes the batches with one gathered write and marks the log for the flusher.
 * On any error nothing is appended. ERR_DUPLICATE_SEQUENCE: was appended before; base_offset and
 * end_offset tell where (the caller answers success once end_offset is flushed).
 * ERR_OUT_OF_ORDER_SEQUENCE, ERR_PRODUCER_FENCED, ERR_UNKNOWN_PRODUCER (KIP-98, KIP-360);
 * ERR_INVALID_TXN_STATE: not transactional within its producer's open transaction;
 * ERR_COORDINATOR_FENCED: a marker of an older coordinator epoch; ERR_LIMIT: its producer is new,
 * and the memory for producers is used up; ERR_INVALID: a control batch that does not come alone.
 * Producer and transaction are looked at whatever check_producer says; ERR_NO_SPACE and ERR_IO: the
 * file was cut back, the next append may succeed; ERR_CLOSED: the log failed (a sync or a cut
 * failed) or is deleted. Any thread; waits for append_lock.
 */
CHECKED enum err log_append(struct log *log, struct log_append *append, struct reason *reason);

/*
 * Finds whole batches from the one that holds `offset` up to, not including, any batch with an
 * offset >= max_offset, no more than max_bytes of them, all of one segment. When `at_least_one`,
 * the first batch is given even if it is larger than max_bytes. span->size 0: nothing to give
 * (offset >= max_offset, or the first batch does not fit). Otherwise the span holds a reference to
 * its segment until released. An offset in a gap gives the next batch behind it. The bytes are not
 * read; span->verified says whether this process has seen their CRCs fit, or wrote them.
 * ERR_OUT_OF_RANGE when offset < start or > end. ERR_CORRUPT when damaged bytes come before the
 * first batch to give: a read from behind them succeeds. ERR_CLOSED after log_delete. Any thread.
 */
CHECKED enum err log_read(struct log *log, int64_t offset, int64_t max_offset, size_t max_bytes,
                          bool at_least_one, struct file_span *span, struct reason *reason);

/* What a span covers; only of a span that was given. */
struct log_range {
    int64_t end_offset; /* up to where it goes: at most the base offset of the first batch behind
                           it, and behind its last offset */
    bool emptied;       /* its batches have no records */
};

/*
 * log_read for consumers: a batch whose records compaction took away does not begin a span. The
 * next one that has records does, in a later segment if need be; only when there is none below
 * max_offset the empty ones are given, as they show how far the log goes.
 */
CHECKED enum err log_read_records(struct log *log, int64_t offset, int64_t max_offset,
                                  size_t max_bytes, bool at_least_one, struct file_span *span,
                                  struct log_range *range, struct reason *reason);

/*
 * Checks the batches of a span that log_read_records gave for `offset`: reads all of it, which also
 * brings it into the page cache. For spans that are not `verified` or not warm any more. What lies
 * before the first bad batch stays in the span, with *end_offset as of log_read_records; with
 * nothing before it the span is released and empty, and ERR_CORRUPT tells which offsets are
 * damaged. The damage is in the log lines, with file and position, and later reads step over it.
 * ERR_IO, with an empty span. An empty span without an error: read again, the segment was replaced.
 * Waits for the disk: worker thread.
 */
CHECKED enum err log_verify_span(struct log *log, int64_t offset, struct file_span *span,
                                 int64_t *end_offset, struct reason *reason);

/* The first record with timestamp >= the given one and offset < max_offset: *offset -1 if none.
 * Reads and may decompress: worker thread. (KIP-79) */
CHECKED enum err log_find_time(struct log *log, int64_t timestamp, int64_t max_offset,
                               int64_t *offset, int64_t *found_timestamp, struct reason *reason);

/* The first record with the largest timestamp below max_offset; *offset -1 when empty. (KIP-734) */
CHECKED enum err log_find_max_time(struct log *log, int64_t max_offset, int64_t *offset,
                                   int64_t *timestamp, struct reason *reason);

/* Any thread, no lock. */
int64_t log_start_offset(const struct log *log);
int64_t log_end_offset(const struct log *log);
int64_t log_flushed_offset(const struct log *log);
bool log_failed(const struct log *log); /* a sync failed: takes no more writes until reopened */
int64_t log_size_bytes(const struct log *log);
int64_t log_wall_ms(const struct log *log); /* its clock */
const char *log_dir(const struct log *log);

/*
 * Where the first transaction begins that is open, or whose marker lies at or above the high
 * watermark that log_decide_txns was last told; not below the log's start; INT64_MAX when there is
 * none. Readers of committed records stop there. A caller that combines it with a high watermark
 * reads the watermark first: what lies below it is then accounted for. Any thread, no lock.
 * (KIP-98)
 */
int64_t log_first_unstable_offset(const struct log *log);

/* The high watermark moved: transactions whose markers are below it no longer hold back readers.
 * Cheap when there are none. Any thread. */
void log_decide_txns(struct log *log, int64_t high_watermark);

struct aborted_txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* of the marker */
    int64_t last_stable_offset; /* once the marker was there */
};

/*
 * The aborted transactions that overlap [from, to), by last offset: *out is a fresh array (free it;
 * NULL when there are none). Reads no more than small parts of index files, as log_read does.
 * ERR_IO, ERR_CLOSED. Any thread.
 */
CHECKED enum err log_aborted_txns(struct log *log, int64_t from, int64_t to,
                                  struct aborted_txn **out, size_t *count, struct reason *reason);

/*
 * DeleteRecords, or retention decided above: offsets below new_start are gone for readers at once;
 * segments that lie wholly below are deleted. The caller has made new_start durable before. Never
 * moves back. ERR_OUT_OF_RANGE when new_start > end. Worker thread.
 */
CHECKED enum err log_set_start_offset(struct log *log, int64_t new_start, struct reason *reason);

/* Of an idle log: whether retention may want to delete something, so that it is worth loading. Any
 * thread. */
bool log_retention_may_be_due(struct log *log);

/* Where retention.ms and retention.bytes want the start to be, of data below max_offset; the
 * current start when nothing is due. Whole segments only; the active one is rolled first when it
 * is due as a whole. Worker thread. */
int64_t log_retention_start(struct log *log, int64_t max_offset);

/* Rolls the active segment when segment.ms is due; expires producer ids. Worker thread. */
CHECKED enum err log_maintain(struct log *log, struct reason *reason);

/* Settings take effect from the next append or check. Any thread. */
void log_set_config(struct log *log, const struct log_config *config);

/* Syncs everything appended so far and advances `flushed`. Blocking. Used by the flusher and by
 * tests. On failure the log is failed. */
CHECKED enum err log_flush(struct log *log, struct reason *reason);

/* A state for the checkpoint as of now (clean false): flushes, and writes index tails and a
 * producer snapshot first, so that recovery starts here. Does nothing when nothing changed since
 * the last one. Worker thread. */
CHECKED enum err log_checkpoint(struct log *log, struct log_state *state, struct reason *reason);

/* log_checkpoint in two halves, so that many logs share one sync. Fields are log_checkpoint's. */
struct segment;
struct log_checkpointing {
    struct log *log;
    struct log_state state;
    struct segment *active;
    struct buf snapshot;
    uint64_t changes;
    bool snapshot_due;
};

/*
 * Writes what a checkpoint needs, unsynced. *changed false: there is nothing to do, and nothing to
 * finish. Else the caller waits until log_flushed_offset >= state.end_offset, syncs the file system
 * and calls log_checkpoint_finish: with synced false when any of it failed. Worker thread.
 */
CHECKED enum err log_checkpoint_begin(struct log *log, struct log_checkpointing *checkpointing,
                                      bool *changed, struct reason *reason);
void log_checkpoint_finish(struct log_checkpointing *checkpointing, bool synced);

/* The last checkpoint that was finished, or that opening started from. Any thread. */
struct log_state log_last_checkpoint(struct log *log);

/* Whether its segments are known: an idle log is not loaded before its first use. Any thread. */
bool log_is_loaded(const struct log *log);

/* Whether it was opened by log_open_offline. Any thread. */
bool log_is_offline(const struct log *log);

/* Calls each for every producer id on record, under append_lock: short and without locks. */
struct producer_entry; /* producer_state.h */
void log_each_producer(struct log *log, void (*each)(void *context, const struct producer_entry *),
                       void *context);

/*
 * The caller's pointer (the partition), for the flusher's handler. NULL takes it away: when
 * log_set_user returns, no log_call_user with the old one is running or will begin.
 */
void log_set_user(struct log *log, void *user);

/* call(user) unless user is NULL; log_set_user waits for it. Short, and not log_set_user. */
void log_call_user(struct log *log, void (*call)(void *user));

#endif
