#ifndef TIDINGS_GROUP_CONSUMER_DESCRIBE_H
#define TIDINGS_GROUP_CONSUMER_DESCRIBE_H

#include "group/group_state.h"

/* Copies everything into the arena, of a consumer group. Partitions of topics that are gone are
 * left out. */
void consumer_describe(const struct group *group, struct arena *arena,
                       struct consumer_description *out);

/* See struct group_kind. */
enum group_state consumer_shown_state(const struct group *group);
/* For tools that know classic groups only: they see subscriptions and assignments as ever. */
void consumer_describe_as_classic(const struct group *group, struct arena *arena,
                                  struct group_description *out);

#endif
