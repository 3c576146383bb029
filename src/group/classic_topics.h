#ifndef TIDINGS_GROUP_CLASSIC_TOPICS_H
#define TIDINGS_GROUP_CLASSIC_TOPICS_H

#include "group/group_state.h"

/* What a classic group of consumers does with topics, as far as what its members and its leader say
 * can be read. Other kinds of groups keep that to themselves. */

/* The topics that members of a "consumer" group subscribe to include this one; true also when
   that cannot be known. */
bool classic_is_subscribed(const struct group *group, struct slice topic);

/*
 * Whether a partition of a topic that a member of a "consumer" group subscribes to is assigned to
 * nobody: one that was taken from its owner and waits for the rebalance that gives it to another
 * (KIP-429), or one that came since. False also when that cannot be known.
 */
bool classic_has_gap(const struct group *group);

#endif
