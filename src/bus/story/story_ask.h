#ifndef TIDINGS_BUS_STORY_STORY_ASK_H
#define TIDINGS_BUS_STORY_STORY_ASK_H

#include "bus/story/story.h"
#include "bus/story/story_find.h"
#include "bus/watch/commit_history.h"
#include "client/connection/connection.h"
#include "client/event/observer.h"

/*
 * Asks for the story of an event: finds it, reads it, follows its causes and effects up and down,
 * and says of each what its groups did with it. It looks only; any Kafka cluster will do.
 */

/* What is asked for: one of id, trace, correlation, key or topic. */
struct story_question {
    const char *id;
    const char *source; /* with id: of this source only; NULL: of any */
    const char *trace;  /* 32 hex digits */
    const char *correlation;
    struct slice key;  /* null: it is not what is asked for */
    const char *topic; /* with id, key, ...: an event of this topic only; alone: a place */
    int32_t partition;
    int64_t offset; /* -1: no place is asked for */

    const char *group;  /* only what this one did is told; NULL: all that read the topics */
    size_t events_max;  /* [200] */
    int64_t timeout_ms; /* in which it is answered with what is known by then [10000] */
};

struct story_sources {
    const struct connection_settings *connection;
    /* One that is open already, to ask by when the question has as much time as its requests;
     * NULL: one is opened for each question. */
    struct connection *opened;
    struct story_finder finder;
    struct commit_history *history; /* NULL: none */
    struct observer *observer;      /* NULL: none */
};

enum { STORY_EVENTS_MAX = 2000, STORY_MEMORY_MAX = 64 << 20 };

/*
 * Fills the story. CLIENT_NOT_FOUND: no such event is known; the error's text says up to where was
 * looked. Limits that were reached, and what could not be read, are in the story. Free it with
 * story_deinit in any case. One thread a story.
 */
CHECKED enum client_status story_ask(const struct story_sources *sources,
                                     const struct story_question *question, struct story *story,
                                     struct client_error *error);

#endif
