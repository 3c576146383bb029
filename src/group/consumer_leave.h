#ifndef TIDINGS_GROUP_CONSUMER_LEAVE_H
#define TIDINGS_GROUP_CONSUMER_LEAVE_H

#include "group/consumer_state.h"

/* How members go: by leaving or by time. */

/* The member lives: its session runs anew. */
void consumer_touch(struct group *group, struct consumer_member *member, struct clock_time now);
/* Removes a member, or turns the group into a classic one if this was the last of the new kind. */
void consumer_fence(struct group *group, struct consumer_member *member, struct clock_time now,
                    struct group_effects *effects);

/* See struct group_kind. */
void consumer_tick(struct group *group, struct clock_time now, struct group_effects *effects);
/* Sets wake_ms to the first time-out of a member. */
void consumer_find_deadline(struct group *group);
/* Makes the holdings, forgets pieces of members that are gone, starts time-outs. */
void consumer_loaded(struct group *group, struct clock_time now, struct group_effects *effects);

#endif
