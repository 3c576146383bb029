#ifndef TIDINGS_BUS_STORY_STORY_READ_H
#define TIDINGS_BUS_STORY_STORY_READ_H

#include "bus/story/story.h"
#include "client/connection/connection.h"

/* One record to be read. */
struct story_place {
    const char *topic; /* exists; borrowed */
    int32_t partition;
    int64_t offset;
    enum story_presence presence; /* out */
};

/*
 * Reads single records, many at once, each partition's in order. Calls each for those that are
 * there (committed only), with the index of its place; what it is given is borrowed. The others
 * get a presence: TAKEN also for what never was an event, ABORTED only if looks_deeper or out of
 * the log of this process (connection_settings.log), NOT_READ after deadline_ms (monotonic), and
 * for what is damaged there. An error: what was read until then counts. One thread.
 */
CHECKED enum client_status story_read(const struct connection_settings *settings,
                                      struct connection *connection, struct story_place *places,
                                      size_t count, bool looks_deeper, int64_t deadline_ms,
                                      void (*each)(void *context, size_t index,
                                                   const struct event *event),
                                      void *context, struct client_error *error);

#endif
