#ifndef TIDINGS_LOG_COMPACT_H
#define TIDINGS_LOG_COMPACT_H

#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Log compaction (cleanup.policy=compact; KIP-58, KIP-354, KIP-534): of each key the newest record
 * survives, at its offset and in its place. What is behind the last stable offset, and the active
 * segment, is never touched; aborted records go, markers and tombstones when their batch's delete
 * horizon has passed.
 *
 * A cleaning reads what is new since the last one ("dirty": from log_cleaned_offset on) into a map
 * of the newest offset of each key, then rewrites the segments up to there, several small ones into
 * one, and swaps each result in (compact_swap.c: a crash at any point loses nothing). When the map
 * does not hold all keys, it goes over the log several times. Readers are not disturbed: spans of
 * old segments stay readable.
 *
 * A segment with damaged bytes is left as it is, and so are batches that cannot be opened.
 */

/* One cleaner's means. */
struct compact_limits {
    int64_t map_bytes;  /* at most, for the map of keys: COMPACT_MAP_MIN_BYTES or more */
    double load_factor; /* the part of the map that is filled: above 0, at most 1 */
    int64_t io_bytes;   /* for the read and the write buffer; they grow for a larger batch */
    /* After each piece of reading or writing, without locks: may sleep. False: stop. NULL: no
     * limit. */
    bool (*step)(void *context, int64_t bytes);
    void *context;
};

/* What there is to clean. */
struct compact_need {
    int64_t clean_bytes; /* of segments cleaned before */
    int64_t dirty_bytes; /* of segments that may be cleaned now for the first time */
    double dirty_ratio;  /* dirty of both */
    bool due;            /* dirty enough, or too long dirty (max.compaction.lag.ms) */
};

/*
 * Whether the (loaded) log wants to be cleaned, given its last stable offset. Reads index files
 * when the compaction lags are set. ERR_IO, ERR_CLOSED. One cleaner thread, for all functions here.
 */
CHECKED enum err log_compact_need(struct log *log, int64_t stable_offset, struct compact_need *need,
                                  struct reason *reason);

/*
 * The same of a log that is not loaded, without loading it, from its checkpoint and at the first
 * call a look into its directory. due: once it is loaded, log_compact_need may find it due; it may
 * still find records that are too young, or none that wait too long.
 */
void log_compact_idle_need(struct log *log, struct compact_need *need);

/* The log cannot be loaded: it is not due any more until someone else has loaded it. */
void log_compact_idle_forget(struct log *log);

struct compact_result {
    int64_t from;         /* dirty from here ... */
    int64_t to;           /* ... to here: clean now */
    int64_t bytes_before; /* of the segments that were gone through */
    int64_t bytes_after;
    int32_t segments_before;
    int32_t segments_after;
    int32_t damaged_segments; /* of those before; left as they are */
    int32_t passes;
    int64_t map_keys;     /* the most of a pass */
    int64_t map_bytes;    /* likewise */
    int64_t records_read; /* in all passes */
    int64_t records_removed;
    int64_t keyless_records; /* of those removed: without a key */
    int64_t closed_batches;  /* could not be opened, so kept; counted in each pass */
};

/*
 * Cleans what can be cleaned below the last stable offset. ERR_NONE, with *result, which is kept up
 * to date for `step`: a pass is counted once its keys are read, `to` moves when it is over.
 * ERR_AGAIN: step said stop, or the log changed meanwhile; ERR_CORRUPT: damage was found, noted and
 * logged: the next call leaves it alone; ERR_IO, ERR_NO_SPACE; ERR_CLOSED: deleted, or a swap is to
 * be finished by a restart. What was swapped in until then stays; nothing is lost.
 */
CHECKED enum err log_compact(struct log *log, int64_t stable_offset,
                             const struct compact_limits *limits, struct compact_result *result,
                             struct reason *reason);

/* Up to where the log was cleaned; the log's start when it never was. Reads a file at first. */
int64_t log_cleaned_offset(struct log *log);

#endif
