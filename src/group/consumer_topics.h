#ifndef TIDINGS_GROUP_CONSUMER_TOPICS_H
#define TIDINGS_GROUP_CONSUMER_TOPICS_H

#include "group/consumer_state.h"

/* Which topics a consumer group reads: what its members named, and what their regular expressions
 * match, as far as it exists. */

/* Whether the catalogue has changed since consumer_refresh_topics. */
bool consumer_topics_outdated(const struct group *group);
/* Brings topics up to date with the subscriptions and the catalogue; true when they changed. */
bool consumer_refresh_topics(struct group *group, struct clock_time now);
/* Whether a member names the topic, or an expression matches it. */
bool consumer_is_subscribed(const struct group *group, struct slice topic);

#endif
