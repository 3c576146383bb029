#ifndef TIDINGS_GROUP_CONSUMER_APPLY_H
#define TIDINGS_GROUP_CONSUMER_APPLY_H

#include "group/consumer_state.h"

/*
 * Makes one piece of a consumer group what the change says; the first value of all makes it one.
 * Live (consumer_change) and at start: then pieces may come in any order, and some may be missing.
 * The tombstone of the group's epoch leaves an empty classic group. ERR_UNSUPPORTED: a value that
 * this server does not know; nothing changed.
 */
enum err consumer_apply(struct group *group, const struct group_change *change,
                        struct clock_time now);

/* Nothing is left of the consumer group: the group is an empty classic one. */
void consumer_forget(struct group *group);

#endif
