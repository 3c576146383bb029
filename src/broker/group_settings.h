#ifndef TIDINGS_BROKER_GROUP_SETTINGS_H
#define TIDINGS_BROKER_GROUP_SETTINGS_H

#include "broker/server_config.h"
#include "group/group.h"
#include "topic/catalogue.h"

/* What consumer groups are told at start: their settings, and where to look topics up. */

/* Fills what the consumer protocol needs. Main thread. */
void group_settings_consumer(const struct server_config *config, struct group_config *group);

/* Answers from the catalogue, which must outlive it. Its table_lock is taken for each look-up. */
struct group_topics group_topics_interface(struct catalogue *catalogue);

/* Has groups ask the catalogue for the settings that are their own. It must outlive them. */
void group_settings_own(struct catalogue *catalogue, struct group_config *group);

#endif
