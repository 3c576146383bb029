#ifndef TIDINGS_GROUP_CONSUMER_DOWNGRADE_H
#define TIDINGS_GROUP_CONSUMER_DOWNGRADE_H

#include "group/consumer_state.h"

/* From a consumer group to a classic one, with members in it (KIP-848, "Online migration"). */

/* Whether the group may become a classic one once `leaving` is gone and so many have joined. */
bool consumer_can_downgrade(const struct group *group, const struct consumer_member *leaving,
                            size_t joining);
/* Makes it a classic group of all members but leaving (may be NULL), and calls them to join when
 * asked to. The reply (may be NULL) waits for the store. */
void consumer_downgrade(struct group *group, const struct consumer_member *leaving, bool rebalance,
                        struct group_reply *reply, struct clock_time now,
                        struct group_effects *effects);
/* An empty consumer group becomes an empty classic one. */
void consumer_empty_to_classic(struct group *group, struct group_effects *effects);

#endif
