#ifndef TIDINGS_BUS_DEAD_DEAD_REPUBLISH_H
#define TIDINGS_BUS_DEAD_DEAD_REPUBLISH_H

#include "bus/dead/dead_redrive.h"

/*
 * For a group without key lanes: dead events are published to their sources again, with the header
 * tidings-redrive-for. Every group that reads there sees them, and nobody tells what becomes of
 * them.
 */

/* A group that reads one of the topics. */
struct dead_reader {
    char *group, *topic;
};

struct dead_readers {
    VEC_FIELDS(struct dead_reader);
};

/* All groups that have members who read, or offsets committed for, one of the plan's topics. Free
 * *readers in any case. */
CHECKED enum client_status dead_readers_find(const struct connection_settings *connection,
                                             const struct dead_plan *plan,
                                             struct dead_readers *readers,
                                             struct client_error *error);

/* Frees them. */
void dead_readers_deinit(struct dead_readers *readers);

enum { DEAD_REPUBLISH_BYTES = 268435456 };

/*
 * Publishes the plan's events in its order, each with its edited payload where there is one; what
 * was published is written to the state topic. run->rate is not kept. A kill between may publish up
 * to a few hundred once more when the plan is run again. CLIENT_FULL: the events have more than
 * DEAD_REPUBLISH_BYTES together, which are held in memory; choose fewer.
 */
CHECKED enum client_status dead_republish(struct dead_run *run, struct dead_view *view,
                                          struct client_error *error);

#endif
