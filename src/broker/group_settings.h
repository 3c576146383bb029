#ifndef TIDINGS_BROKER_GROUP_SETTINGS_H
#define TIDINGS_BROKER_GROUP_SETTINGS_H

#include "group/group.h"
#include "topic/catalogue.h"

/* What consumer groups are told at start: their settings, and where to look topics up. */

/*
 * Fills in which protocols and assignors there are, from the texts of
 * group.coordinator.rebalance.protocols, group.consumer.migration.policy and
 * group.consumer.assignors. Words that are not known count for nothing. Any thread.
 */
void group_settings_fill(struct group_config *group, const char *protocols, const char *policy,
                         const char *assignors);

/* Answers from the catalogue, which must outlive it. Its table_lock is taken for each look-up. */
struct group_topics group_topics_interface(struct catalogue *catalogue);

/* Has groups ask the catalogue for the settings that are their own. It must outlive them. */
void group_settings_own(struct catalogue *catalogue, struct group_config *group);

#endif
