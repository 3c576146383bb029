#ifndef TIDINGS_CLI_WHY_H
#define TIDINGS_CLI_WHY_H

#include "bus/story/story_ask.h"
#include "cli/bus/bus.h"

#include <jansson.h>

/*
 * The inside of `tidings why`: where its answer comes from. One thread.
 */
struct why_options {
    struct bus_options bus;
    const char *id, *source, *trace, *correlation, *key, *topic, *group;
    int64_t events_max;
    const char *since; /* of the log, where it is read */
    int64_t last;      /* the same */
    bool is_scan;      /* the log is read, whether there is an index or not */
    bool is_follow;
    const char *colour;
};

/* What it is about, from the options. */
struct why_asked {
    struct story_question question;
    char *place_topic; /* owned */
    int64_t from_ms;
};

/*
 * The story as JSON in *story (the caller's), NULL when no such event is known. A failure is told;
 * is_quiet: not that nothing is known, and nothing of progress. Returns the exit code.
 */
int why_ask(const struct why_options *options, const struct why_asked *asked, bool is_quiet,
            json_t **story);

#endif
