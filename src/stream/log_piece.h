#ifndef TIDINGS_STREAM_LOG_PIECE_H
#define TIDINGS_STREAM_LOG_PIECE_H

#include "base/arena.h"
#include "base/vec.h"
#include "client/event/feed.h"
#include "topic/partition.h"

/* Some of a partition's events, read out of its log as a consumer of committed events sees them,
 * taken apart. One thread. */

enum {
    LOG_PIECE_BYTES = 256 << 10,      /* of the log; one batch at least */
    LOG_PIECE_FEW_BYTES = 16 << 10,   /* the same, of one that has a stop */
    LOG_PIECE_OPENED_BYTES = 4 << 20, /* no batch more once so much is opened */
};

struct log_piece {
    VEC(struct feed_event) events; /* borrow from the rest */
    int64_t next_offset;
    int64_t start_offset;
    int64_t end_offset;
    int64_t damaged_from; /* -1: nothing was passed over */
    bool has_aborted;     /* events of aborted transactions were passed over */
    int64_t stop;         /* nothing from there on is wanted */

    struct buf bytes;       /* as they stand in the log */
    VEC(struct buf) opened; /* of compressed batches */
    struct arena arena;     /* headers */
    size_t opened_bytes;
};

/* Forgets the events. */
void log_piece_clear(struct log_piece *piece);
void log_piece_deinit(struct log_piece *piece);

/*
 * Reads from `from` on, up to the last stable offset. next_offset is above `from` when there was
 * something, be it only damage, markers, or what retention took; what is damaged is passed over.
 * ERR_IO, ERR_CLOSED. May wait for the disk.
 */
CHECKED enum err log_piece_read(struct log_piece *piece, struct partition *partition, int64_t from,
                                struct reason *reason);

/* The same of events below `stop` alone, which may lie behind the log's end: reads little more of
 * the log than they need. next_offset may be above it. */
CHECKED enum err log_piece_read_until(struct log_piece *piece, struct partition *partition,
                                      int64_t from, int64_t stop, struct reason *reason);

#endif
