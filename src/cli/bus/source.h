#ifndef TIDINGS_CLI_SOURCE_H
#define TIDINGS_CLI_SOURCE_H

#include "cli/bus/bus.h"
#include "cli/bus/topic_choice.h"
#include "client/reader/reader.h"

/*
 * Where `subscribe` gets its events: all partitions of the topics read directly, or those that a
 * consumer group assigns. One thread.
 */
struct source_options {
    const struct bus_options *bus;
    struct text_list topics; /* names; "^..." is an expression (cli/topic_choice.h), looked up again
                              * every few seconds when there is no stop; what was made meanwhile is
                              * read from its start */
    const char *group;       /* NULL: read directly, commit nothing */
    int64_t partition;       /* -1: all; only without a group */
    struct position from;
    bool has_to;
    struct position to; /* stop before this place */
    /* Lets all that was handled leave the process; false: it could not. Called before a group
     * commits, not for each event. */
    bool (*flush)(void);
};

/* One partition being read. */
struct source_partition {
    char *topic;
    int32_t partition;
    int64_t stop;    /* where reading it ends; INT64_MAX: nowhere */
    int64_t epoch;   /* of the last event handled */
    int64_t handled; /* everything below is; -1: nothing was */
    bool is_done;    /* stop is reached */
    bool is_there;   /* the events up to stop existed when reading began: the bus owes them */
};

struct source {
    const struct source_options *options;
    struct topic_choice choice;
    struct connection *looker;       /* looks for topics made meanwhile; NULL: not needed yet */
    int64_t look_at_ms;              /* monotonic; only without a stop */
    struct topic_partitions waiting; /* found, and not read yet; only without a group */
    struct reader *reader;
    VEC(struct source_partition) partitions;
    size_t last;       /* in partitions: of the event before */
    size_t open_count; /* partitions that are not done */
    bool is_assigned;  /* the group has given us our share at least once */
    bool is_heard;     /* something came since the last look at heard_ms */
    int64_t heard_ms;  /* monotonic; how long the bus is silent that owes us something */
    int failure;       /* exit code of what went wrong inside a callback */
};

/* Opens and starts reading. On failure (told) returns the exit code; close in any case. */
int source_open(struct source *source, const struct source_options *options);

/*
 * The next event in *received, or NULL when none came within timeout_ms; source_handled takes it
 * back. Events behind the stop are not given out. A failure that ends reading is told; returns the
 * exit code. With a stop, EXIT_TIMED_OUT when the bus gave nothing for the --timeout that it owes:
 * a place in the group, or events that were there when reading began.
 */
int source_take(struct source *source, int timeout_ms, struct received **received);

/* The event was dealt with: a group may commit it once it has left the process. Frees it. */
void source_handled(struct source *source, struct received *received);

/* True when there is a stop and every partition has got there. */
bool source_is_done(const struct source *source);

/* Commits what was dealt with (groups), leaves, and frees. Returns the exit code. */
int source_close(struct source *source);

#endif
