#ifndef TIDINGS_BUS_STORY_STORY_LANES_H
#define TIDINGS_BUS_STORY_STORY_LANES_H

#include "bus/dead/dead_view.h"
#include "bus/dead/lane_view.h"
#include "bus/story/story_bus.h"
#include "bus/story/story_state.h"

/* A dead letter of an event of the story, the newest of its event. */
struct story_letter {
    const char *topic; /* of the event */
    int32_t partition;
    int64_t offset;
    int64_t published_ms; /* the event's own time as the letter has it; -1: not said */
    int64_t died_ms;
    int64_t failed, redrive;
    enum dead_state state;
    struct dead_place place;
    const char *error_class, *message;
};

/* The lanes and dead letters of a group, as far as they concern a story. */
struct story_lanes {
    enum story_part lanes_part, letters_part;
    struct lane_view view;
    VEC(struct story_letter) letters; /* texts in the story's arena */
};

/* Reads them, the lanes first; what could not be read is UNKNOWN, and said in the story's horizon.
 * Topics with very many records are not read. Free with story_lanes_deinit. */
void story_lanes_load(struct story_lanes *lanes, const struct story_bus *settings,
                      const char *group, struct story *story);
void story_lanes_deinit(struct story_lanes *lanes);

/* Sets what the evidence has of lanes and letters; it borrows from the story's arena. */
void story_lanes_of(const struct story_lanes *lanes, const struct story_event *event,
                    struct story_evidence_of_group *evidence);

#endif
