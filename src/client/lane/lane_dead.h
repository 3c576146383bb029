#ifndef TIDINGS_CLIENT_LANE_LANE_DEAD_H
#define TIDINGS_CLIENT_LANE_LANE_DEAD_H

#include "client/event/event.h"

/*
 * Dead letters: records of dlq.<group> (docs/formats.md, "dlq.<group>"). Key, value and headers are
 * the event's own; behind its headers stand those of KIP-1191 and what only we know. All functions
 * are pure.
 */

/* Why and where an event was given up. Texts are borrowed. */
struct lane_death {
    const char *group;
    const char *handler;
    const char *error_class;  /* short, the same for what has one cause; NULL or "": none */
    const char *message;      /* NULL or "": none */
    int attempts;             /* 0: not known */
    int64_t first_failure_ms; /* wall clock; 0: not known */
    int64_t last_failure_ms;
    bool closes_lane; /* nothing behind it in its lane is handled before it is */
    int64_t redrive;  /* which one of this event failed; 0: it was none */
};

/*
 * Makes the dead letter of `event`, for the topic dlq_topic, in *letter; it borrows from all of
 * these and from the arena. Its partition is -1: by key.
 */
void lane_dead_letter(const struct event *event, const struct lane_death *death,
                      const char *dlq_topic, struct arena *arena, struct event *letter);

/* What a dead letter says of its event beside the event itself. */
struct lane_dead_place {
    const char *topic; /* borrowed from the letter */
    int32_t partition;
    int64_t offset;
    bool closes_lane;
};

/*
 * Takes the event out of its dead letter (also an edited one) as it was: without what was added
 * behind its headers, with its own time, and its offset and partition. It borrows from the letter.
 * False: it is no letter that lane_dead_letter made.
 */
CHECKED bool lane_dead_event(const struct event *letter, struct event *event,
                             struct lane_dead_place *place);

enum { LANE_FINGERPRINT_SIZE = 33 };

/*
 * What failures of one cause have in common, as 32 hexadecimal digits: of the class, and of the
 * message with each word or number that has a digit in it replaced. Returns `to`.
 */
const char *lane_dead_fingerprint(const char *error_class, const char *message,
                                  char to[LANE_FINGERPRINT_SIZE]);

#endif
