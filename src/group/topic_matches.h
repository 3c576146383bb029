#ifndef TIDINGS_GROUP_TOPIC_MATCHES_H
#define TIDINGS_GROUP_TOPIC_MATCHES_H

#include "base/budget.h"
#include "base/err.h"
#include "group/group_config.h"
#include "net/workers.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Which topics regular expressions match (KIP-848), for all groups together. Matching takes time,
 * so it is done on workers, in pieces, and once: what an expression matches is kept, and when
 * topics come only these are matched. Groups see what is known at the moment, as in Kafka.
 *
 * The expressions used last are kept, as many as the bounds allow; one that is needed again begins
 * anew. Their memory is asked of the share for groups, of which they get a quarter at most, and
 * never the last eighth. Where there is none nothing more is matched; what is known stays, and
 * whoever asks later begins again. All functions: any thread.
 */
struct topic_matches;

enum {
    TOPIC_MATCHES_EXPRESSIONS = 256,
    TOPIC_MATCHES_SHARE_PART = 4,   /* of the share for groups */
    TOPIC_MATCHES_NAMES = 500000,   /* of all expressions; the last one used is kept in any case */
    TOPIC_MATCHES_MOVES = 1 << 27,  /* of the matcher, each time that an expression is looked up */
    TOPIC_MATCHES_PIECE_NAMES = 256 /* at most, in a piece */
};

/* topics (copied): find, version and list are used. budget: NULL for none. */
struct topic_matches *topic_matches_new(const struct group_topics *topics, struct workers *workers,
                                        struct budget *budget);
/* After the workers have stopped. */
void topic_matches_free(struct topic_matches *matches);

/* Whether it is known what the expression matches in the catalogue as it is now. */
bool topic_matches_is_current(struct topic_matches *matches, struct slice text);

/*
 * A piece of the work to know what the expression matches at this version of the catalogue, shared
 * by all who want it. False: nothing is left to do, or there is no memory for it. *err is
 * ERR_INVALID_REGEX then, with the reason, when it is malformed, or takes more than
 * TOPIC_MATCHES_MOVES when it is looked up for the first time. On a worker.
 */
bool topic_matches_step(struct topic_matches *matches, struct slice text, uint64_t version,
                        enum err *err, struct reason *reason);

/* For group_topics.match. What is out of date is brought up to date on a worker, later. */
enum group_match topic_matches_find(void *matches, struct slice text, uint64_t known_version,
                                    struct arena *arena, struct group_matched *out);

/* How often a name was held against an expression, for tests. */
uint64_t topic_matches_count(struct topic_matches *matches);

#endif
