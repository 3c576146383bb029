#ifndef TIDINGS_BUS_STORY_STORY_FIND_H
#define TIDINGS_BUS_STORY_STORY_FIND_H

#include "bus/index/event_terms.h"
#include "bus/watch/indexer.h"
#include "client/connection/connection.h"

/*
 * Where the events stand that have a certain id, correlation, cause, trace or key. Two kinds: by
 * the index of events (story_find.c), and by reading the log, where there is no index
 * (story_scan.c). What is found has to be looked at: places may be wrong.
 */
struct story_term {
    struct event_term term;
    const char *topic; /* only there; NULL: in all but the bus's own */
};

struct story_finder {
    /*
     * Calls found for each place of each term, at most `most` a term, until it returns false.
     * deadline_ms: monotonic; *is_cut: there may be more (the time was over, or a limit reached).
     */
    enum client_status (*find)(void *context, const struct story_term *terms, size_t count,
                               size_t most, int64_t deadline_ms,
                               bool (*found)(void *found_context, const struct index_place *place),
                               void *found_context, bool *is_cut, struct client_error *error);
    /* Up to when what was published is known (wall clock); 0: it is not known how far, -1: the log
     * itself was read. Sets *is_whole to false when older events may be missing. */
    int64_t (*until)(void *context, bool *is_whole);
    /* Whether events of the topic are left out, so that they are known by their place alone. NULL:
     * none are. */
    bool (*leaves_out)(void *context, const char *topic);
    void *context;
};

/* Of topics that hold what is known of events, and no events: "__...", dlq., dlq-state., lanes. */
bool story_is_inner_topic(const char *topic);

/* A finder by the index. */
struct story_finder story_finder_of_index(struct indexer *indexer);

/* How the log is read where there is no index. Borrowed as long as the finder. */
struct story_scan {
    const struct connection_settings *connection;
    int64_t from_ms, last;
    /* As in topic_scan.h; may be NULL. */
    bool (*progress)(void *context, const char *topic, int64_t done, int64_t total);
    void *context;
    bool was_cut; /* out: something was left out, once */
};

/* A finder that reads all topics, each from from_ms on (0: all), the last `last` offsets of each
 * partition at most (0: all). */
struct story_finder story_finder_of_scan(struct story_scan *scan);

#endif
