#ifndef TIDINGS_BUS_WATCH_WATCH_H
#define TIDINGS_BUS_WATCH_WATCH_H

#include "bus/index/event_mark.h"
#include "client/event/feed.h"

/*
 * Reads the feed of a bus once, for all who want to know what goes over it: the index of events,
 * the history of commits, the flow map. One thread, behind all others; so whoever publishes is
 * never slowed by it, however much those who are told have to do.
 *
 * Each sink says where it wants to begin in a partition, and from there on gets every piece once
 * and in order, whatever the others want: the feed begins at the lowest of these places, and what a
 * sink has had already is left out for it. A sink that could not keep what it took (a full disk, a
 * damaged file) asks for it again by watch_again, without a word to the others.
 *
 * An error of the feed is told once, and the feed is opened anew until it works again.
 *
 * Where a bus tells no ids of topics, a sink is told that one is gone when it was made again: its
 * end is before what the sink had, or another event stands where the last one was. That is looked
 * at whenever a feed is opened: it reads the last event of each partition once more, which no sink
 * sees.
 *
 * Memory: 100 bytes a partition and 40 a partition and sink, beside the feed's.
 */
struct watch;

enum { WATCH_SINKS_MAX = 16 };

struct watch_sink {
    void *context;

    /* Where it wants to begin in a partition: as feed_begin says. Asked once for each partition's
     * life, and again after watch_again. */
    feed_begin *begin;

    /* FEED_EVENTS or FEED_GONE; borrowed until it returns. Fails silently: see watch_again. */
    void (*take)(void *context, const struct feed_piece *piece);

    /* About once a second, after watch_wake, and once before the feed is opened for the first time:
     * to flush, and to try again what failed. now_ms: wall clock. May be NULL. */
    void (*tick)(void *context, int64_t now_ms);

    /* Asked with begin where the bus tells no ids: the last event that it had before that place, as
     * it kept it. NULL: it keeps none. */
    struct event_mark (*last)(void *context, const struct feed_source *source);
};

struct watch_settings {
    /* Opens the feed, at the start and after an error; NULL: it cannot be had now, and the reason
     * why. On the watch's thread. */
    struct feed *(*open_feed)(void *context, feed_begin *begin, void *begin_context,
                              struct reason *reason);
    void *context;
    int tick_ms;  /* [1000] */
    int retry_ms; /* after an error of the feed it waits 100 ms, twice as long after each that
                   * follows, and so long at most [5000] */
};

/* Reads nothing yet. */
struct watch *watch_new(const struct watch_settings *settings);

/* Adds a sink, which outlives the watch's stop. Before watch_start. */
void watch_add(struct watch *watch, const struct watch_sink *sink);

/* Begins to read. ERR_LIMIT, ERR_IO: there is no thread. */
CHECKED enum err watch_start(struct watch *watch, struct reason *reason);

/*
 * Ends the thread after the piece in hand; no sink is called once it returned true. False: a sink
 * or the feed has not come back within deadline_ms: nothing that they use may be freed then, and
 * not the watch either; it may be called again. True at once for one that was not started.
 */
CHECKED bool watch_stop(struct watch *watch, int64_t deadline_ms);

/* After its stop. NULL is fine. */
void watch_free(struct watch *watch);

/*
 * The sink with this context is asked anew where to begin in each partition, and gets all from
 * there on once more, as soon as the piece in hand is done. Any thread.
 */
void watch_again(struct watch *watch, const void *sink_context);

/* Ticks soon. Any thread. */
void watch_wake(struct watch *watch);

/*
 * Waits until what could be read when it was called has been given to the sinks. False: that took
 * longer than timeout_ms, or is not to be known, since the feed cannot be read or is behind by
 * nature (feed.lag_ms); then nothing is waited for. Any thread but the watch's.
 */
bool watch_catch_up(struct watch *watch, int64_t timeout_ms);

struct watch_state {
    int64_t events; /* that were read since the start */
    size_t
        partitions;  /* that are known, wanted or not; one that was deleted is until that is seen */
    bool is_failing; /* the feed cannot be read; `failure` says why */
    char failure[256]; /* "": it can */
};

/* Any thread. */
struct watch_state watch_state(struct watch *watch);

/* How far a sink has been told. */
struct watch_progress {
    int64_t behind;   /* offsets that can be read and were not given to it, of what was seen */
    int64_t level_ms; /* wall clock: what could be read before then was given to it; 0: it was never
                       * level since the start, or since watch_again */
};

/* Of the sink with this context. Any thread. */
struct watch_progress watch_progress(struct watch *watch, const void *sink_context);

#endif
