#ifndef TIDINGS_BUS_DEAD_DEAD_LANE_H
#define TIDINGS_BUS_DEAD_DEAD_LANE_H

#include "bus/dead/dead_view.h"

/*
 * Opens lanes that are closed because of dead events, without these: a word to their owners
 * (client/lane_kafka/lane_word.h). One thread.
 */
enum dead_opened {
    DEAD_NOT_OPENED,   /* the word could not be written, or the owner refused it */
    DEAD_TO_BE_OPENED, /* the word stays until the service comes to it */
    DEAD_OPENED
};

/* One lane. */
struct dead_opening {
    char *topic;
    int32_t partition;
    int64_t head; /* the dead event's offset */
    enum dead_lane_kind kind;
    struct buf key; /* of the event */
    bool has_key;
    enum dead_opened opened; /* out */
};

struct dead_openings {
    VEC_FIELDS(struct dead_opening);
};

/* Adds the lane of the event, copying what is needed. */
void dead_openings_add(struct dead_openings *openings, const struct dead_seen *seen);

/* Frees them. */
void dead_openings_deinit(struct dead_openings *openings);

/*
 * Says the words and waits for the answers: for the connection's timeout_ms without any, or until
 * the words are written when the group has no member. CLIENT_OK: each tells how it is.
 */
CHECKED enum client_status dead_lanes_open(const struct connection_settings *connection,
                                           const char *group, const char *who, const char *why,
                                           struct dead_openings *openings,
                                           struct client_error *error);

#endif
