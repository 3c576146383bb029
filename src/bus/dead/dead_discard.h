#ifndef TIDINGS_BUS_DEAD_DEAD_DISCARD_H
#define TIDINGS_BUS_DEAD_DEAD_DISCARD_H

#include "bus/dead/dead_lane.h"
#include "bus/dead/dead_write.h"

/*
 * Says of dead events that nobody is to try them again, or takes that back. Nothing is deleted. A
 * lane that is closed because of one is opened without it by its owner. One thread.
 */

/* One event that is to be discarded. */
struct dead_discard {
    char *topic;
    int32_t partition;
    int64_t offset;
    struct dead_place id; /* of its first letter */
    bool closes_lane;
    size_t opening; /* with closes_lane */
};

/* Zero it, but for is_undo. */
struct dead_discards {
    bool is_undo; /* those that are discarded are to be open again */
    VEC(struct dead_discard) list;
    struct dead_openings openings;
    int64_t passed; /* done, under way, or so already */
    int64_t lanes;  /* that are closed by one of the list */
};

/* Takes the event if that can be said of it. */
void dead_discards_take(struct dead_discards *discards, const struct dead_seen *seen);

/*
 * Writes it to dlq-state.<group>, and opens their lanes where it is wanted (dead_lanes_open says
 * how long that waits); then openings tell what became of each. An error: some of it may be
 * written, and may be said again.
 */
CHECKED enum client_status dead_discards_do(struct dead_discards *discards,
                                            const struct connection_settings *connection,
                                            const char *group, const char *who, const char *why,
                                            bool opens_lanes, struct client_error *error);

/* How many lanes are so. */
int64_t dead_discards_opened(const struct dead_discards *discards, enum dead_opened opened);

/* Frees what it holds. */
void dead_discards_deinit(struct dead_discards *discards);

#endif
