#ifndef TIDINGS_GROUP_CLASSIC_JOIN_H
#define TIDINGS_GROUP_CLASSIC_JOIN_H

#include "group/group_state.h"

/* JoinGroup; see group_join. */
void classic_join(struct group *group, const struct group_join_request *request,
                  struct clock_time now, struct group_effects *effects);

#endif
