#ifndef TIDINGS_CLI_EXPECT_MATCH_H
#define TIDINGS_CLI_EXPECT_MATCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "bus/event/where.h"
#include "client/event/event.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What `tidings expect` waits for, and what came: conditions, how many events fulfil each, and for
 * who has to find out why not, the events that were nearest and those that came last. Pure.
 */
enum {
    EXPECT_KEPT_MAX = 1000, /* events that fulfil one condition; more are only counted */
    EXPECT_NEAREST_MAX = 3,
    EXPECT_LAST_MAX = 5,
};

/* An event with a copy of all that it says. */
struct kept_event {
    struct arena arena;
    struct event event;
    size_t parts;    /* of the condition that hold */
    struct buf why;  /* a line for each part: whether it holds, and what is there instead */
    bool is_in_turn; /* in_order: it comes behind one that fulfils the condition before */
};

struct kept_events {
    VEC_FIELDS(struct kept_event *);
};

struct expectation {
    const char *text;
    struct where *where;
    int64_t count;
    struct kept_events matches;
    struct kept_events nearest; /* best first; only of those that do not fulfil it */
};

/* How many events have to fulfil each condition. */
enum expect_how { EXPECT_AT_LEAST, EXPECT_EXACTLY };

struct expect {
    enum expect_how how;
    int64_t count;
    bool in_order; /* each condition by an event behind the one before; at least one each */
    VEC(struct expectation) items;
    struct kept_events last; /* oldest first */
    int64_t read;
};

/* Adds a condition, which borrows the text. ERR_INVALID with a reason. */
CHECKED enum err expect_add(struct expect *expect, const char *text, int64_t now_ms,
                            struct reason *reason);

/* Frees what it holds. */
void expect_deinit(struct expect *expect);

/* An event came. */
void expect_note(struct expect *expect, const struct event *event);

/* Whether this one is fulfilled by what came so far. */
bool expectation_is_fulfilled(const struct expect *expect, const struct expectation *item);

/* Whether all are. With EXPECT_EXACTLY this is the truth only when the time is over. */
bool expect_is_fulfilled(const struct expect *expect);

/* Whether nothing that may still come changes the answer. */
bool expect_is_decided(const struct expect *expect);

#endif
