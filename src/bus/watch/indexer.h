#ifndef TIDINGS_BUS_WATCH_INDEXER_H
#define TIDINGS_BUS_WATCH_INDEXER_H

#include "bus/index/event_index.h"
#include "bus/watch/watch.h"

/*
 * Keeps an index of events up to date, as a sink of the watch. It goes on where the index ends,
 * forgets what retention takes and topics that are deleted, begins anew when a file of the index is
 * damaged, and waits and tries again when the directory cannot be used or the disk is full: nothing
 * of it is needed by anybody but those who ask.
 */
struct indexer;

struct indexer_settings {
    struct event_index_config index; /* dir: copied; the directory it is in is there */

    /* Whether a topic's events are indexed. NULL: all are but those of the bus itself
     * (__consumer_offsets, __transaction_state). Any thread. */
    bool (*wants)(void *context, const char *topic);

    /* Before the index is opened: makes what it lies in. An error counts as one of opening it.
     * NULL: nothing is to be done. On the watch's thread. */
    enum err (*prepare)(void *context, struct reason *reason);
    void *context;

    int flush_ms; /* what is in memory goes to disk at least so often [60000] */
    int retry_ms; /* after an error it waits so long, at least until the next tick [5000] */
};

/* Adds itself to the watch, which is not started yet. The index is opened on the watch's thread,
 * and again and again if it cannot be: nobody waits for it. */
struct indexer *indexer_new(const struct indexer_settings *settings, struct watch *watch);

/* After watch_stop. What is in memory goes to disk. NULL is fine. */
void indexer_free(struct indexer *indexer);

/* Whether the topic's events are indexed. Any thread. */
bool indexer_wants(const struct indexer *indexer, const char *topic);

/* What the indexer itself leaves out, whatever `wants` says when it is NULL. Any thread. */
bool indexer_is_own_topic(const char *topic);

/* event_index_find_all, with what is to be done when a file is found damaged: ERR_CORRUPT then, and
 * the index is begun anew. ERR_AGAIN: it is not open (yet). Any thread. */
CHECKED enum err indexer_find(struct indexer *indexer, const struct event_term *terms, size_t count,
                              size_t most, event_index_each *each, void *context,
                              struct reason *reason);

/* watch_catch_up: what was published before is found then. Any thread. */
bool indexer_catch_up(struct indexer *indexer, int64_t timeout_ms);

struct indexer_state {
    struct event_index_size size;
    int64_t events;     /* that were looked at since the start */
    int64_t behind;     /* offsets that can be read and are not looked at yet, of what was seen */
    int64_t level_ms;   /* wall clock: what could be read before then is in it; 0: never yet */
    int64_t begun_anew; /* how often, since the start */
    bool is_open;       /* the index can be asked */
    bool is_failing;    /* the last thing that it did was to fail; the log says why */
};

/* Any thread. */
struct indexer_state indexer_state(struct indexer *indexer);

#endif
