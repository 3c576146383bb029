#ifndef TIDINGS_GROUP_CONSUMER_UPGRADE_H
#define TIDINGS_GROUP_CONSUMER_UPGRADE_H

#include "group/consumer_state.h"

/* From a classic group to a consumer group, with members in it (KIP-848, "Online migration"). */

/* Whether the settings let the group, which is classic, become one. */
bool consumer_can_upgrade(const struct group *group);
/* Makes an empty or classic group a consumer group: ERR_GROUP_NOT_FOUND when that cannot be, as
 * what the members said makes no sense; nothing has changed then. */
enum err consumer_upgrade(struct group *group, struct clock_time now,
                          struct group_effects *effects);

#endif
