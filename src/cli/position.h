#ifndef TIDINGS_CLI_POSITION_H
#define TIDINGS_CLI_POSITION_H

#include "base/err.h"

#include <stdint.h>

/* A place in a partition as a person names it; src/cli/offsets.h turns it into offsets. */
enum position_kind {
    POSITION_START,  /* the oldest event kept */
    POSITION_END,    /* after the newest event */
    POSITION_OFFSET, /* value: the offset */
    POSITION_LAST,   /* value: so many events before the end */
    POSITION_TIME,   /* value: the first event at or after this time, ms since 1970 */
};

struct position {
    enum position_kind kind;
    int64_t value;
};

/*
 * "start" (earliest, beginning), "end" (latest), "42", "-10" (the last ten), or a time as
 * time_parse takes it ("-1h", "2026-02-01T12:00:00Z"). ERR_INVALID with a reason.
 */
CHECKED enum err position_parse(const char *text, int64_t now_ms, struct position *position,
                                struct reason *reason);

#endif
