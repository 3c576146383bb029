#ifndef TIDINGS_BUS_STORY_STORY_TOLD_H
#define TIDINGS_BUS_STORY_STORY_TOLD_H

#include "bus/story/story_bus.h"
#include "bus/story/story_state.h"

/* What members told of the events of a story (client/outcome.h). */
struct story_told {
    VEC(struct outcome) items; /* by time; texts are in the story's arena */
};

/* Reads it; what could not be read is said in the story's horizon. Free with story_told_deinit. */
void story_told_load(struct story_told *told, const struct story_bus *settings,
                     struct story *story);
void story_told_deinit(struct story_told *told);

/* Sets told and told_count of the evidence, which borrows from the arena. */
void story_told_of(const struct story_told *told, const char *group, const struct event *event,
                   struct arena *arena, struct story_evidence_of_group *evidence);

#endif
