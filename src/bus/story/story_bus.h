#ifndef TIDINGS_BUS_STORY_STORY_BUS_H
#define TIDINGS_BUS_STORY_STORY_BUS_H

#include "bus/story/story_find.h"
#include "bus/watch/commit_history.h"
#include "client/admin/admin.h"

/* Where what is known of a story's events is read. Borrowed; one thread. */
struct story_bus {
    const struct connection_settings *settings;
    struct connection *connection;
    const struct admin_topics *topics; /* all of the bus */
    struct commit_history *history;    /* NULL: there is none */
    struct story_finder finder;        /* of outcomes */
    int64_t deadline_ms;               /* monotonic */
    const char *group;                 /* only this one is told of; NULL: all that read a topic */
};

/* Whether there is a topic of this name. */
bool story_bus_has_topic(const struct story_bus *bus, const char *name);

#endif
