#ifndef TIDINGS_CLIENT_EVENT_FEED_H
#define TIDINGS_CLIENT_EVENT_FEED_H

#include "base/err.h"
#include "client/event/event.h"

#include <string.h>

/*
 * A feed gives the events of all topics, each partition's in order of offset: for whoever wants to
 * know what goes over a bus (indexes, maps), and not to work on it. Only committed events; what
 * retention or compaction took is passed over.
 *
 * It is one interface with more than one kind: out of the log itself for a program that has it
 * (stream/log_feed.h), and by a reader of any cluster (client/reader/reader_feed.h). Whoever reads
 * a feed remembers where he stands, and says so when a partition is met for the first time.
 */

/* A partition of a topic's one life: a topic that is deleted and made again has another id. */
struct feed_source {
    const char *topic;
    uint8_t topic_id[16]; /* zeros: the bus tells none */
    int32_t partition;
};

/* Whether the bus tells ids. */
static inline bool feed_has_id(const struct feed_source *source)
{
    static const uint8_t no_id[16];
    return memcmp(source->topic_id, no_id, sizeof no_id) != 0;
}

struct feed_event {
    struct event event;
    int64_t producer_id; /* -1: none, or not known */
};

enum feed_kind_of_piece {
    FEED_EVENTS,  /* some of a partition, perhaps none */
    FEED_NOTHING, /* nothing new anywhere, for the time that was given */
    /* The partition's topic is deleted. Where a bus tells no ids, it may have been made again under
     * its name by now: what was known of places in it counts no more. */
    FEED_GONE
};

struct feed_piece {
    enum feed_kind_of_piece kind;
    struct feed_source source;
    const struct feed_event *events; /* header values are followed by a NUL */
    size_t count;
    int64_t next_offset;  /* all below was given, or is not there */
    int64_t start_offset; /* of the log, now */
    int64_t end_offset;   /* up to where it can be read, now */
    /* Offsets [damaged_from, next_offset) cannot be read and were passed over; -1: none. */
    int64_t damaged_from;
    /* Wall clock: what could be read before then was given, with this piece or before it, of all
     * topics that there were. 0: it says nothing of that now. */
    int64_t level_ms;
};

/* Where to begin in a partition that is met for the first time: an offset, -1: at its start, -2:
 * nothing of it is wanted. On the thread of feed_next. */
typedef int64_t feed_begin(void *context, const struct feed_source *source);
enum { FEED_FROM_START = -1, FEED_NOT_WANTED = -2 };

struct feed {
    enum err (*next)(struct feed *feed, int timeout_ms, struct feed_piece *piece,
                     struct reason *reason);
    void (*wake)(struct feed *feed);
    void (*free)(struct feed *feed);

    /* level_ms is behind the clock by this at least, since it is read over the network; 0: once it
     * has given all, a feed that is woken is level as of now. */
    int64_t lag_ms;
};

/*
 * The next piece. Waits for one for timeout_ms at most. Partitions that have something take turns,
 * a piece each, so that a long one holds up no other. What is in the piece is borrowed until the
 * next call. An error: of the whole feed, which may be tried again later; of one partition alone it
 * is told by the piece or the log. One thread.
 */
CHECKED static inline enum err feed_next(struct feed *feed, int timeout_ms,
                                         struct feed_piece *piece, struct reason *reason)
{
    return feed->next(feed, timeout_ms, piece, reason);
}

/* Ends the waiting of a feed_next, now or the next one. Any thread. */
static inline void feed_wake(struct feed *feed)
{
    feed->wake(feed);
}

/* NULL is fine. */
static inline void feed_free(struct feed *feed)
{
    if (feed != NULL) {
        feed->free(feed);
    }
}

#endif
