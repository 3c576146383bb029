#ifndef TIDINGS_GROUP_CONSUMER_CONFIG_H
#define TIDINGS_GROUP_CONSUMER_CONFIG_H

#include "base/settings.h"
#include "group/group_config.h"

/*
 * What one group of the new protocol may have of its own (Kafka's group configs, KIP-848). Such a
 * setting stands above the server's of the same name with "group." before it.
 */

/* The table of struct consumer_config. */
const struct settings_table *consumer_settings(void);

/*
 * The settings in force for a group with these of its own. ERR_CONFIG, with a reason: a name or a
 * value that cannot be, outside of the server's bounds, or an interval of heartbeats that is not
 * below the session time-out. With nothing of its own *out is the server's, also then. Pure.
 */
CHECKED enum err consumer_config_build(const struct group_config *server,
                                       const struct overrides *own, struct consumer_config *out,
                                       struct reason *reason);

#endif
