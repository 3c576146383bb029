#ifndef TIDINGS_GROUP_CONSUMER_TARGET_H
#define TIDINGS_GROUP_CONSUMER_TARGET_H

#include "group/consumer_state.h"

/* The target assignment: what each member is to have at the group's epoch. */

/* Computes the targets when the epoch is above theirs. */
void consumer_assign_targets(struct group *group, struct clock_time now);
/* The one most members ask for of those that are offered; the first of these in a tie. */
enum consumer_assignor consumer_preferred_assignor(const struct group *group);

#endif
