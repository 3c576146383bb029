#ifndef TIDINGS_BASE_PATTERN_H
#define TIDINGS_BASE_PATTERN_H

#include "base/err.h"
#include "base/slice.h"

/*
 * The regular expressions of subscriptions (KIP-848, and `tidings subscribe`): RE2's syntax, as in
 * Kafka, and like RE2 in time linear in the name, whatever the pattern: clients choose it. The C
 * library's regexec reads another syntax and takes memory without bound, which is why this is our
 * own.
 *
 * Served: literals, ., classes with ranges, escapes and [:names:], \d \w \s \D \W \S, \b \B, ^ $ \A
 * \z, groups (capturing or not, also named), (?i) and (?s), |, * + ? {m,n} with counts up to 1000,
 * each also with a lazy ? behind, \Q...\E, \xHH. Not served, and refused: back references,
 * look-around (RE2 has neither), \p classes. Characters outside ASCII match nothing, as no topic
 * name has any.
 */
struct pattern;

enum {
    PATTERN_MAX_BYTES = 1024,
    PATTERN_MAX_STEPS = 4096 /* of the compiled form; counted repetitions multiply */
};

/* ERR_INVALID_REGEX; the reason says where and why. *out is NULL then; else pattern_free it. Any
 * thread. */
CHECKED enum err pattern_new(struct slice text, struct pattern **out, struct reason *reason);

/* What it takes of the heap; NULL: nothing. Any thread. */
size_t pattern_bytes(const struct pattern *pattern);

/* NULL is fine. */
void pattern_free(struct pattern *pattern);

/* Whether the whole name matches. At most name.size * PATTERN_MAX_STEPS moves. Any thread. */
bool pattern_matches(const struct pattern *pattern, struct slice name);

/* The same, for at most *moves_left moves, which becomes less: negative when they were not enough,
 * and then the name is taken not to match. Any thread. */
bool pattern_matches_within(const struct pattern *pattern, struct slice name, int64_t *moves_left);

/* Whether a part of the name matches, as with regexec: ^ and $ tie it to the name's ends. Costs as
 * pattern_matches. Any thread. */
bool pattern_finds(const struct pattern *pattern, struct slice name);

#endif
