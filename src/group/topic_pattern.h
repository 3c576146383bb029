#ifndef TIDINGS_GROUP_TOPIC_PATTERN_H
#define TIDINGS_GROUP_TOPIC_PATTERN_H

#include "base/err.h"
#include "base/slice.h"

/*
 * The regular expressions of subscriptions (KIP-848): RE2's syntax, as in Kafka, and like RE2 in
 * time linear in the name, whatever the pattern: clients choose it. The C library's regexec reads
 * another syntax and takes memory without bound, which is why this is our own.
 *
 * Served: literals, ., classes with ranges, escapes and [:names:], \d \w \s \D \W \S, \b \B, ^ $ \A
 * \z, groups (capturing or not, also named), (?i) and (?s), |, * + ? {m,n} with counts up to 1000,
 * each also with a lazy ? behind, \Q...\E, \xHH. Not served, and refused: back references,
 * look-around (RE2 has neither), \p classes. Characters outside ASCII match nothing, as no topic
 * name has any.
 */
struct topic_pattern;

enum {
    TOPIC_PATTERN_MAX_BYTES = 1024,
    TOPIC_PATTERN_MAX_STEPS = 4096, /* of the compiled form; counted repetitions multiply */
    TOPIC_PATTERN_MAX_DEPTH = 64    /* of groups in groups */
};

/* ERR_INVALID_REGEX; the reason says where and why. Any thread. */
CHECKED enum err topic_pattern_new(struct slice text, struct topic_pattern **out,
                                   struct reason *reason);
void topic_pattern_free(struct topic_pattern *pattern);

/* Whether the whole name matches. At most name.size * TOPIC_PATTERN_MAX_STEPS moves. Any thread. */
bool topic_pattern_matches(const struct topic_pattern *pattern, struct slice name);

#endif
