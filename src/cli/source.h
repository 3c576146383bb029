#ifndef TIDINGS_CLI_SOURCE_H
#define TIDINGS_CLI_SOURCE_H

#include "cli/client.h"
#include "cli/offsets.h"
#include "client/position.h"

/*
 * Where `subscribe` gets its events: all partitions of the topics read directly, or those that a
 * consumer group assigns. One thread.
 */
struct source_options {
    const struct client_options *client;
    struct text_list topics;
    const char *group; /* NULL: read directly, commit nothing */
    int64_t partition; /* -1: all; only without a group */
    struct position from;
    bool until_end; /* stop where the partitions ended at the start */
};

/* One partition being read. */
struct source_partition {
    const char *topic;
    int32_t partition;
    int64_t end;  /* its end when reading began */
    bool is_done; /* until_end is reached */
};

struct source {
    const struct source_options *options;
    struct client *client;
    struct source_partition *partitions;
    size_t partition_count;
    rd_kafka_queue_t *queue; /* direct reading only */
    struct text_list names;  /* owned copies of topic names, for partitions */
    bool is_assigned;        /* the group has given us our share at least once */
    int failure;             /* exit code of what went wrong inside a callback */
};

/* Opens and starts reading. On failure (told) returns the exit code; close in any case. */
int source_open(struct source *source, const struct source_options *options);

/*
 * The next event, or NULL when none came within timeout_ms. Destroy it. Events past the end as of
 * the start are not given out with until_end. A failure that ends reading is told and its exit
 * code put into *code.
 */
rd_kafka_message_t *source_take(struct source *source, int timeout_ms, int *code);

/* The event was dealt with: a group may commit it. */
void source_processed(struct source *source, const rd_kafka_message_t *message);

/* True when until_end was asked for and every partition has got there. */
bool source_is_done(const struct source *source);

/* Commits what was dealt with (groups), leaves, and frees. Returns the exit code. */
int source_close(struct source *source);

/* For source_group.c: starts to keep track of a list of partitions with these bounds. */
void source_track(struct source *source, const rd_kafka_topic_partition_list_t *list,
                  const struct admin_bounds *bounds);
void source_forget(struct source *source, const rd_kafka_topic_partition_list_t *list);

/* The rebalance callback of group reading (source_group.c). */
void source_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque);

#endif
