#ifndef TIDINGS_BUS_STORY_STORY_GROUPS_H
#define TIDINGS_BUS_STORY_STORY_GROUPS_H

#include "bus/story/story.h"
#include "bus/story/story_bus.h"

/*
 * Gathers what is known of the groups that read the events of a story, in the order that
 * bus/story_state.h wants, and says of each event and group what that is.
 */

/* Fills the groups of the story's events, and its horizon with what could not be read. Never fails:
 * what cannot be read is said. */
void story_groups_fill(const struct story_bus *settings, struct story *story);

#endif
