#ifndef TIDINGS_BUS_WATCH_COMMIT_FOLLOWER_H
#define TIDINGS_BUS_WATCH_COMMIT_FOLLOWER_H

#include "bus/watch/commit_history.h"
#include "bus/watch/watch.h"

/*
 * Keeps the history of commits up to date, as a sink of the watch: every Kafka tells in the topic
 * __consumer_offsets what each group committed, and when. It goes on where the history ends, begins
 * it anew when its file is damaged, and waits and tries again when that cannot be written.
 */
struct commit_follower;

struct commit_follower_settings {
    /* Before the history is opened: makes what it lies in. An error counts as one of opening it.
     * NULL: nothing is to be done. On the watch's thread. */
    enum err (*prepare)(void *context, struct reason *reason);
    void *context;
    int64_t keep_ms; /* older steps are left out but for the last [30 days] */
    int flush_ms;    /* what was noted is kept at least so often [10000] */
    int retry_ms;    /* after an error it waits so long, at least until the next tick [5000] */
};

/* Adds itself to the watch, which is not started yet. The history, which outlives it and is not
 * open, is opened on the watch's thread. */
struct commit_follower *commit_follower_new(const struct commit_follower_settings *settings,
                                            struct commit_history *history, struct watch *watch);

/* After watch_stop. What was noted is kept. NULL is fine. */
void commit_follower_free(struct commit_follower *follower);

struct commit_follower_state {
    int64_t commits;    /* that were noted since the start */
    int64_t behind;     /* records of commits that were not read yet, of what was seen */
    int64_t level_ms;   /* wall clock: what could be read before then is in it; 0: never yet */
    int64_t begun_anew; /* how often, since the start */
    bool is_failing;    /* the last thing that it did was to fail; the log says why */
};

/* Any thread. */
struct commit_follower_state commit_follower_state(struct commit_follower *follower);

#endif
