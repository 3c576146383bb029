#ifndef TIDINGS_LOG_COMPACT_INTERNAL_H
#define TIDINGS_LOG_COMPACT_INTERNAL_H

#include "log/compact.h"
#include "log/compact_map.h"
#include "log/log_internal.h"

#include <uthash.h>

/* Private to the files of compaction. One cleaning; the cleaner's thread. */

/* ---- reading: compact_reader.c ---- */

/* Goes through the batches of a closed segment; each is whole and its CRC fits. */
struct compact_reader {
    const struct compact_limits *limits;
    struct segment *segment;
    bool held;
    int64_t size;     /* of the segment */
    int64_t end;      /* the offset where the next segment begins */
    int64_t position; /* of the next batch */
    int64_t expected; /* the least offset that it may have */
    struct buf buffer;
    int64_t buffer_position; /* of the buffer's first byte */
    int64_t step_bytes;      /* read since the last step */
};

/* Holds the segment until compact_reader_deinit, which also a zeroed reader stands. ERR_CLOSED: it
 * is deleted; ERR_IO. */
CHECKED enum err compact_reader_init(struct compact_reader *reader,
                                     const struct compact_limits *limits, struct segment *segment,
                                     int64_t size, int64_t end, int64_t position,
                                     struct reason *reason);
void compact_reader_deinit(struct compact_reader *reader);

/*
 * The next batch, borrowed until the next call; *done at the segment's end. ERR_CORRUPT: at
 * reader->position lies no good batch, ERR_IO;
 * ERR_AGAIN: to stop.
 */
CHECKED enum err compact_reader_next(struct compact_reader *reader, struct batch *batch, bool *done,
                                     struct reason *reason);

/* ---- transactions: compact_txns.c ---- */

/* What is known of a producer's transaction, at the place that the cleaning has come to. */
struct compact_txn {
    int64_t producer_id;
    struct aborted_txn aborted; /* last_offset -1: it is not known to be aborted */
    bool seen;                  /* batches of it are in the log */
    UT_hash_handle hh;
};

struct compact_txns {
    struct compact_txn *table;
    struct aborted_txn *coming; /* of the segment, by first offset */
    size_t coming_count;
    size_t coming_next;
    bool keep_markers; /* damage may hide a transaction's batches */
};

/* Frees all that it knows of transactions. */
void compact_txns_deinit(struct compact_txns *txns);

/* Before a segment's batches: reads which transactions were aborted there. ERR_IO, ERR_CLOSED. */
CHECKED enum err compact_txns_segment(struct compact_txns *txns, struct log *log, int64_t base,
                                      int64_t end, struct reason *reason);

/* Notes the next data batch; true when its transaction was aborted. */
bool compact_txns_data(struct compact_txns *txns, const struct batch *batch);

/*
 * Notes the next control batch; true when none of its transaction's batches is left, so that it may
 * go. *aborted is the row of the transaction index that belongs to it (last_offset -1: none).
 */
bool compact_txns_control(struct compact_txns *txns, const struct batch *batch,
                          struct aborted_txn *aborted);

/* ---- one pass: compact_filter.c, compact_build.c, compact_group.c ---- */

/* The last batch of an active producer: its sequence and epoch must not be lost. */
struct compact_producer {
    int64_t producer_id;
    int64_t last_offset; /* of its last data batch; -1: none is known */
    int16_t epoch;
    UT_hash_handle hh;
};

struct compact_pass {
    struct log *log;
    const struct compact_limits *limits;
    struct compact_result *result;
    int64_t now_ms;
    int64_t delete_retention_ms;
    int64_t segment_bytes;
    int64_t segment_index_bytes;
    int64_t index_interval_bytes;
    struct compact_map map;
    int64_t map_end; /* records below were looked at; those at or above it stay */
    struct compact_txns txns;
    struct compact_producer *producers;
    /* A start may begin with the producers as of here, their transactions open: it must find the
     * markers behind. INT64_MAX: it begins with none. */
    int64_t oldest_snapshot;
    struct buf keep; /* for compact_filter */
};

/* A closed segment as a pass sees it, referenced. */
struct compact_source {
    struct segment *segment;
    int64_t size;
    int64_t end;
    int64_t index_bytes;
    int64_t time_index_bytes;
    bool damaged;
};

/*
 * Fills the map from the batches with offsets in [from, to); pass->map_end is where it got to when
 * the map was full, else `to`. ERR_CORRUPT after damage was noted, ERR_IO, ERR_AGAIN.
 */
CHECKED enum err compact_build_map(struct compact_pass *pass, const struct compact_source *sources,
                                   size_t count, int64_t from, int64_t to, struct reason *reason);

/*
 * Appends to *out what is to be left of the batch; nothing, when it goes as a whole. last: no batch
 * of the new segment may follow, so that something must stay to show where it ends. *changed:
 * something else than the batch as it was. *aborted: the row of the transaction index that stays
 * with it (last_offset -1: none).
 */
CHECKED enum err compact_filter(struct compact_pass *pass, const struct batch *batch, bool last,
                                struct buf *out, bool *changed, struct aborted_txn *aborted,
                                struct reason *reason);

/* Rewrites the sources, which follow each other, into one segment and swaps it in. */
CHECKED enum err compact_group(struct compact_pass *pass, const struct compact_source *sources,
                               size_t count, struct reason *reason);

/* Notes the damage at the reader's position, so that the segment is left alone from now on;
 * ERR_CORRUPT, or what the look for its end gave. compact_reader.c */
CHECKED enum err compact_note_damage(struct compact_pass *pass, const struct compact_reader *reader,
                                     struct reason *reason);

/*
 * At the reader's end: a segment that does not reach to the next one, above the log's start, has
 * lost one behind it. Merged with the next, what is missing would look like a gap of compaction: it
 * is noted as a damage, as by compact_note_damage. compact_reader.c
 */
CHECKED enum err compact_check_reach(struct compact_pass *pass, const struct compact_reader *reader,
                                     struct reason *reason);

/* ---- swap: compact_swap.c ---- */

/* "<base>.log.cleaned" in the log's directory; free it. */
char *compact_cleaned_path(const struct log *log, int64_t base);

/*
 * Puts `fresh` (its file is the synced .cleaned one; the reference is taken over when ERR_NONE)
 * into the place of the count sources, which reach to the offset `end`. ERR_AGAIN when they are not
 * the log's any more; ERR_CLOSED; ERR_IO, ERR_NO_SPACE: nothing happened. Once it is decided, a
 * failure is logged and left to the next start.
 */
CHECKED enum err compact_swap(struct log *log, struct segment *fresh,
                              const struct compact_source *sources, size_t count, int64_t end,
                              struct reason *reason);

#endif
