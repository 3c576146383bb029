#ifndef TIDINGS_BUS_STORY_STORY_PUBLISHER_H
#define TIDINGS_BUS_STORY_STORY_PUBLISHER_H

#include "bus/story/story.h"
#include "client/event/observer.h"

/*
 * Who published each event: its ce_source is recorded in it; beside it, of events without one or
 * where the bus tells (observer not NULL), the clients that were seen publishing to the topic
 * then, which is a guess. Texts go into the story's arena.
 */
void story_publishers_fill(struct story *story, struct observer *observer);

#endif
