#ifndef TIDINGS_GROUP_CONSUMER_CLASSIC_H
#define TIDINGS_GROUP_CONSUMER_CLASSIC_H

#include "group/group_state.h"

/* Members of the classic protocol in a consumer group: they join and sync as ever, but the server
 * assigns, so that nobody waits for anybody (KIP-848, "Compatibility"). See struct group_kind. */

void consumer_classic_join(struct group *group, const struct group_join_request *request,
                           struct group_time now, struct group_effects *effects);
void consumer_classic_sync(struct group *group, const struct group_sync_request *request,
                           struct group_time now, struct group_effects *effects);
enum err consumer_classic_heartbeat(struct group *group, struct slice member_id,
                                    struct slice instance_id, int32_t generation,
                                    struct group_time now);
enum err consumer_classic_leave(struct group *group, struct slice member_id,
                                struct slice instance_id, struct group_time now,
                                struct group_effects *effects);

#endif
