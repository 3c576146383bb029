#ifndef TIDINGS_BASE_LOG_LIMIT_H
#define TIDINGS_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Keeps what clients do from flooding the log. Lines of one kind (the same room and message) have a
 * budget: LOG_LIMIT_BURST at once, then LOG_LIMIT_PER_SECOND; the rest are counted. logger_line
 * asks here, so that no line is outside of it. Zeroed is valid. One thread at a time.
 */
enum {
    LOG_LIMIT_BURST = 100,
    LOG_LIMIT_PER_SECOND = 10,
    /* More than there are kinds in the source; what does not fit shares the last one. */
    LOG_LIMIT_KINDS = 512,
};

struct log_limit_kind {
    const char *room;
    const char *message;
    int64_t refilled_ms; /* up to when the budget has grown again */
    unsigned used;       /* of the burst */
    uint64_t left_out;   /* since log_limit_left_out told of it */
};

struct log_limit {
    struct log_limit_kind kinds[LOG_LIMIT_KINDS];
    size_t count;
};

/* True when a line may be written now; else it is counted. room and message are literals: the
 * pointers are kept. now_ms: monotonic. */
bool log_limit_pass(struct log_limit *limit, const char *room, const char *message, int64_t now_ms);

/*
 * Takes the next kind of which lines were left out since the last call that told of it, with their
 * count: true and a copy of it in *out. False when there is none.
 */
bool log_limit_left_out(struct log_limit *limit, struct log_limit_kind *out);

#endif
