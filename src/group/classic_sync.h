#ifndef TIDINGS_GROUP_CLASSIC_SYNC_H
#define TIDINGS_GROUP_CLASSIC_SYNC_H

#include "group/group_state.h"

/* See group_sync, group_heartbeat and group_leave. */
void classic_sync(struct group *group, const struct group_sync_request *request,
                  struct clock_time now, struct group_effects *effects);
/* The member lives, if it is of this generation. */
enum err classic_heartbeat(struct group *group, struct slice member_id, struct slice instance_id,
                           int32_t generation, struct clock_time now);
/* Takes the member out, also one whose id was only given out. */
enum err classic_leave(struct group *group, const struct group_leaving *leaving,
                       struct clock_time now, struct group_effects *effects);

#endif
