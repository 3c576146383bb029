#ifndef TIDINGS_NET_LOG_LIMIT_H
#define TIDINGS_NET_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Keeps bad clients from flooding the log: LOG_LIMIT_LINES lines a second pass, the rest are
 * counted. Zeroed is valid. One thread at a time.
 */
enum { LOG_LIMIT_LINES = 100, LOG_LIMIT_WINDOW_MS = 1000 };

struct log_limit {
    int64_t window_ms; /* when the window began */
    unsigned lines;
    uint64_t dropped; /* since the last summary */
};

/* True when a line may be written now; else it is counted. */
static inline bool log_limit_pass(struct log_limit *limit, int64_t now_ms)
{
    if (now_ms - limit->window_ms >= LOG_LIMIT_WINDOW_MS) {
        limit->window_ms = now_ms;
        limit->lines = 0;
    }
    if (limit->lines < LOG_LIMIT_LINES) {
        limit->lines++;
        return true;
    }
    limit->dropped++;
    return false;
}

#endif
