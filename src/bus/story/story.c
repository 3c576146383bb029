#include "bus/story/story.h"

#include <stdarg.h>
#include <stdio.h>

const char *story_evidence_name(enum story_evidence evidence)
{
    static const char *const names[] = {[STORY_RECORDED] = "recorded",
                                        [STORY_PASSED] = "passed",
                                        [STORY_TOLD] = "told",
                                        [STORY_INFERRED] = "inferred"};
    return names[evidence];
}

const char *story_state_name(enum story_state state)
{
    static const char *const names[] = {
        [STORY_UNKNOWN] = "unknown",     [STORY_NOT_YET] = "not-yet",
        [STORY_HANDLING] = "handling",   [STORY_WAITING] = "waiting",
        [STORY_BEHIND] = "behind",       [STORY_DEAD] = "dead",
        [STORY_REDRIVING] = "redriving", [STORY_REDRIVEN] = "redriven",
        [STORY_SENT_BACK] = "sent-back", [STORY_DISCARDED] = "discarded",
        [STORY_SKIPPED] = "skipped",     [STORY_IS_PASSED] = "passed",
        [STORY_DONE] = "done",           [STORY_GONE] = "gone",
        [STORY_FILTERED] = "filtered",   [STORY_NOT_SUBSCRIBED] = "not-subscribed"};
    return names[state];
}

const char *story_presence_name(enum story_presence presence)
{
    static const char *const names[] = {
        [STORY_THERE] = "there",         [STORY_TAKEN] = "taken", [STORY_ABORTED] = "aborted",
        [STORY_UNDECIDED] = "undecided", [STORY_AHEAD] = "ahead", [STORY_NOT_READ] = "not-read"};
    return names[presence];
}

const char *story_link_name(enum story_link link)
{
    static const char *const names[] = {[STORY_ROOT] = "root",
                                        [STORY_CAUSED] = "causation",
                                        [STORY_TRACED] = "trace",
                                        [STORY_CORRELATED] = "correlation",
                                        [STORY_OF_ONE_KEY] = "key"};
    return names[link];
}

void story_deinit(struct story *story)
{
    for (size_t i = 0; i < story->events.count; i++) {
        vec_deinit(&story->events.items[i].groups);
    }
    vec_deinit(&story->events);
    vec_deinit(&story->horizon);
    arena_deinit(&story->arena);
    *story = (struct story){0};
}

void story_say(struct story *story, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vec_push(&story->horizon, arena_cstr(&story->arena, slice_str(text)));
}
