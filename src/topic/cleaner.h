#ifndef TIDINGS_TOPIC_CLEANER_H
#define TIDINGS_TOPIC_CLEANER_H

#include "topic/catalogue.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The thread that compacts the logs of topics with cleanup.policy=compact (log/compact.h): always
 * the one with the largest part that was never cleaned, and those that wait too long. It reads and
 * writes no more than io_bytes_per_second, in pieces of io_bytes, so that others notice little.
 *
 * It says in the log what it did to each log, and every CLEANER_REPORT_MS what it is at.
 */
struct cleaner;

enum { CLEANER_REPORT_MS = 30 * 1000 };

struct cleaner_config {
    int64_t map_bytes;          /* log.cleaner.dedupe.buffer.size */
    double load_factor;         /* log.cleaner.io.buffer.load.factor */
    int64_t io_bytes;           /* log.cleaner.io.buffer.size: of both buffers */
    double io_bytes_per_second; /* log.cleaner.io.max.bytes.per.second */
    int64_t backoff_ms;         /* log.cleaner.backoff.ms: between two looks for work */
};

/* Starts the thread. The catalogue outlives it. ERR_LIMIT. */
CHECKED enum err cleaner_new(struct catalogue *catalogue, const struct cleaner_config *config,
                             struct cleaner **out, struct reason *reason);

/* Stops in the middle of its work, of which nothing is lost, joins, frees. NULL is no cleaner. */
void cleaner_free(struct cleaner *cleaner);

/* Looks for work now, not when its back-off is over: the clock was moved. Any thread. */
void cleaner_look(struct cleaner *cleaner);

/* What it has done so far. */
struct cleaner_stats {
    uint64_t cleanings;
    uint64_t failures;
    uint64_t bytes_moved; /* read and written */
    uint64_t bytes_freed;
};

/* The numbers of this moment. Any thread. */
void cleaner_stats(struct cleaner *cleaner, struct cleaner_stats *out);

enum cleaner_phase {
    CLEANER_READS_KEYS, /* of what is dirty, into the map */
    CLEANER_REWRITES,   /* the segments, without what is superseded */
};

/*
 * What it is at, as of the last piece that was read or written. How much there is to move is known
 * as an upper bound only: in each pass all is read once more and, when nothing goes, written again.
 */
struct cleaner_work {
    bool busy; /* else nothing below counts */
    char topic[250];
    int32_t partition;
    enum cleaner_phase phase;
    int32_t pass; /* from 1 on; another one begins when the map did not hold all keys */
    int64_t log_bytes;
    int64_t moved_bytes;   /* read and written */
    int64_t at_most_bytes; /* to move; grows with each pass, never below moved_bytes */
    int64_t ms;            /* since it began */
};

/* Any thread. */
void cleaner_work(struct cleaner *cleaner, struct cleaner_work *out);

#endif
