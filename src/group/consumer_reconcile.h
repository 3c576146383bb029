#ifndef TIDINGS_GROUP_CONSUMER_RECONCILE_H
#define TIDINGS_GROUP_CONSUMER_RECONCILE_H

#include "group/consumer_state.h"

/*
 * From what a member has to what it is to have, in steps: first it gives up what it must, then it
 * gets what nobody has any more (KIP-848, "Member's state machine").
 */

/* One step of the member towards its target. has_owned: what it says it has. */
void consumer_reconcile(struct group *group, struct consumer_member *member, bool has_owned,
                        const struct group_topic_partitions *owned, size_t count,
                        struct clock_time now);
/* Whether the member has all it is to have, and no more. */
bool consumer_is_reconciled(const struct consumer_group *consumer,
                            const struct consumer_member *member);
/* Whether a partition of its target is still another's. */
bool consumer_waits_for_others(const struct consumer_group *consumer,
                               const struct consumer_member *member);

#endif
