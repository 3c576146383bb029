#ifndef TIDINGS_CLIENT_ADMIN_POSITION_H
#define TIDINGS_CLIENT_ADMIN_POSITION_H

#include "client/admin/admin.h"

#include <stdint.h>

/* A place in a partition as a person names it. */
enum position_kind {
    POSITION_START,  /* the oldest event kept */
    POSITION_END,    /* after the newest event */
    POSITION_OFFSET, /* value: the offset */
    POSITION_LAST,   /* value: so many offsets before the end */
    POSITION_TIME,   /* value: the first event at or after this time, ms since 1970 */
};

struct position {
    enum position_kind kind;
    int64_t value;
};

/*
 * "start" (earliest, beginning), "end" (latest), "42", "-10" (the last ten), or a time as
 * time_parse takes it ("-1h", "2026-02-01T12:00:00Z"). ERR_INVALID with a reason. Pure.
 */
CHECKED enum err position_parse(const char *text, int64_t now_ms, struct position *position,
                                struct reason *reason);

/* The offset that a position other than a time names, moved to the nearest within the bounds. Pure.
 */
int64_t position_offset(const struct position *position, struct admin_bounds bounds);

/*
 * Sets partitions->items[i].offset to the offset of `position` within bounds[i]: what lies outside
 * is moved to the nearest end, a time after the newest event to the end. Asks the bus for times
 * only. Any thread.
 */
CHECKED enum client_status position_resolve(struct connection *connection,
                                            struct topic_partitions *partitions,
                                            const struct position *position,
                                            const struct admin_bounds *bounds,
                                            struct client_error *error);

#endif
