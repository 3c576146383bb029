#ifndef TIDINGS_CLIENT_LANE_DEAD_H
#define TIDINGS_CLIENT_LANE_DEAD_H

#include "client/event.h"

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
};

/*
 * Makes the dead letter of `event`, for the topic dlq_topic, in *letter; it borrows from all of
 * these and from the arena. Its partition is -1: by key.
 */
void lane_dead_letter(const struct event *event, const struct lane_death *death,
                      const char *dlq_topic, struct arena *arena, struct event *letter);

enum { LANE_FINGERPRINT_SIZE = 33 };

/*
 * What failures of one cause have in common, as 32 hexadecimal digits: of the class, and of the
 * message with each word or number that has a digit in it replaced. Returns `to`.
 */
const char *lane_dead_fingerprint(const char *error_class, const char *message,
                                  char to[LANE_FINGERPRINT_SIZE]);

#endif
