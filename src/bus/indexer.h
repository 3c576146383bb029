#ifndef TIDINGS_BUS_INDEXER_H
#define TIDINGS_BUS_INDEXER_H

#include "bus/event_index.h"
#include "client/feed.h"

/*
 * Keeps an index of events up to date from a feed, on a thread of its own behind all others. It
 * goes on where the index ends, forgets what retention takes and topics that are deleted, begins
 * anew when a file of the index is damaged, and waits and tries again when the disk is full:
 * nothing of it is needed by anybody but those who ask.
 */
struct indexer;

struct indexer_settings {
    struct event_index_config index;

    /* Opens the feed, at the start and after the index was begun anew. */
    struct feed *(*open_feed)(void *context, feed_begin *begin, void *begin_context);
    void *context;

    /* Whether a topic's events are indexed. NULL: all are but those of the bus itself
     * (__consumer_offsets, __transaction_state). On the indexer's thread. */
    bool (*wants)(void *context, const char *topic);

    int flush_ms; /* what is in memory goes to disk at least so often [60000] */
    int retry_ms; /* after an error it waits so long [5000] */
};

/* ERR_IO and the like: the index's directory cannot be used, or there is no thread. */
CHECKED enum err indexer_start(const struct indexer_settings *settings, struct indexer **indexer,
                               struct reason *reason);

/* What is in memory goes to disk; waits for the thread. NULL is fine. */
void indexer_stop(struct indexer *indexer);

/* event_index_find, with what is to be done when a file is found damaged: ERR_CORRUPT then, and the
 * index is begun anew. Any thread. */
CHECKED enum err indexer_find(struct indexer *indexer, const struct event_term *term, size_t most,
                              struct event_places *places, struct reason *reason);

struct indexer_state {
    struct event_index_size size;
    int64_t events;     /* that were looked at since the start */
    int64_t behind;     /* offsets that can be read and are not looked at yet, of what was seen */
    int64_t level_ms;   /* wall clock: when it was last level with the log; 0: never yet */
    int64_t begun_anew; /* how often, since the start */
    bool is_failing;    /* the last thing that it did was to fail; the log says why */
};

/* Any thread. */
struct indexer_state indexer_state(struct indexer *indexer);

#endif
