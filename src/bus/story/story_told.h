#ifndef TIDINGS_BUS_STORY_STORY_TOLD_H
#define TIDINGS_BUS_STORY_STORY_TOLD_H

#include "bus/story/story_bus.h"
#include "bus/story/story_state.h"

/* What members told of the events of a story (client/event/outcome.h). */
struct story_told {
    VEC(struct outcome) items; /* by time; texts are in the story's arena */
    int patterns_left;         /* that may still be looked at */
};

/* Reads what was told of the events, and which events the members of these groups take. What could
 * not be read is said in the story's horizon. Free with story_told_deinit. */
void story_told_load(struct story_told *told, const struct story_bus *settings, struct story *story,
                     const char *const *groups, size_t group_count);
void story_told_deinit(struct story_told *told);

/* Sets told, told_count and filter of the evidence, which has its history and borrows from the
 * arena. */
void story_told_of(struct story_told *told, const char *group, const struct story_event *event,
                   struct arena *arena, struct story_evidence_of_group *evidence);

#endif
