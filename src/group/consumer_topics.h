#ifndef TIDINGS_GROUP_CONSUMER_TOPICS_H
#define TIDINGS_GROUP_CONSUMER_TOPICS_H

#include "group/consumer_state.h"

/* Which topics a consumer group reads: what its members named, and what their regular expressions
 * match, as far as it exists. */

/* Whether the catalogue has changed since consumer_refresh_topics. */
bool consumer_topics_outdated(const struct group *group);
/* Whether the catalogue, or a right of anybody, has changed since the member's regular expression
 * was looked up; false: it has none. */
bool consumer_regex_outdated(const struct group *group, const struct consumer_member *member,
                             const struct group_asker *asker);
/*
 * Brings topics up to date with the subscriptions and the catalogue; true when they changed.
 * member: who asks (`asker`); what its regular expression matches is looked up anew, and holds only
 * what it may see, as in Kafka for whom it is looked up. Other expressions stay as they are until
 * one of their members asks. NULL: nobody asks, and nothing is looked up.
 */
bool consumer_refresh_topics(struct group *group, const struct consumer_member *member,
                             const struct group_asker *asker, struct clock_time now);
/* Whether a member names the topic, or an expression matches it. */
bool consumer_is_subscribed(const struct group *group, struct slice topic);

#endif
