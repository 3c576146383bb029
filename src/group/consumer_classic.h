#ifndef TIDINGS_GROUP_CONSUMER_CLASSIC_H
#define TIDINGS_GROUP_CONSUMER_CLASSIC_H

#include "group/group_state.h"

/* Members of the classic protocol in a consumer group: they join and sync as ever, but the server
 * assigns, so that nobody waits for anybody (KIP-848, "Compatibility"). See struct group_kind. */

/* Takes the member in, and one step on. An empty group becomes a classic one. */
void consumer_classic_join(struct group *group, const struct group_join_request *request,
                           struct clock_time now, struct group_effects *effects);
/* Answers with what the member has. */
void consumer_classic_sync(struct group *group, const struct group_sync_request *request,
                           struct clock_time now, struct group_effects *effects);
/* ERR_REBALANCE_IN_PROGRESS when the member is to join again, to get on. */
enum err consumer_classic_heartbeat(struct group *group, struct slice member_id,
                                    struct slice instance_id, int32_t generation,
                                    struct clock_time now);
/* Takes the member out; by instance id alone as an administrator does (KIP-345). */
enum err consumer_classic_leave(struct group *group, const struct group_leaving *leaving,
                                struct clock_time now, struct group_effects *effects);

#endif
