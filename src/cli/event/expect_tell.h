#ifndef TIDINGS_CLI_EXPECT_TELL_H
#define TIDINGS_CLI_EXPECT_TELL_H

#include "cli/event/expect_match.h"

/* What became of an expectation, in words, as JSON and as a test case of JUnit. Pure but for the
 * file. */
enum expect_outcome {
    EXPECT_FULFILLED,
    EXPECT_FAILED,
    EXPECT_UNKNOWN, /* the bus was away, so what came is not known */
};

struct expect_verdict {
    enum expect_outcome outcome;
    const char *why; /* of EXPECT_UNKNOWN */
    int64_t within_ms;
    int64_t took_ms;
    size_t topic_count; /* that were read */
};

/* Lines for people, safe on a terminal. */
void expect_tell(const struct expect *expect, const struct expect_verdict *verdict,
                 struct buf *text);

/* The same for programs. */
json_t *expect_to_json(const struct expect *expect, const struct expect_verdict *verdict);

/* Replaces the file with a suite of one test case of this name (NULL: the conditions). */
CHECKED enum err expect_write_junit(const char *path, const char *name, const struct expect *expect,
                                    const struct expect_verdict *verdict, struct reason *reason);

#endif
