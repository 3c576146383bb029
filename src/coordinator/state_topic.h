#ifndef TIDINGS_COORDINATOR_STATE_TOPIC_H
#define TIDINGS_COORDINATOR_STATE_TOPIC_H

#include "batch/batch.h"
#include "coordinator/state_log.h"
#include "topic/catalogue.h"

/*
 * A compacted topic in which the server itself keeps state, in Kafka's record formats:
 * __consumer_offsets, __transaction_state.
 */
struct state_topic {
    struct topic *topic; /* held */
    struct flusher *flusher;
};

/* Finds the topic or creates it with this many partitions (an existing one keeps its own). At
 * start. Errors as catalogue_create. */
CHECKED enum err state_topic_open(struct state_topic *state, struct catalogue *catalogue,
                                  struct flusher *flusher, const char *name,
                                  int32_t partition_count, int64_t segment_bytes,
                                  struct reason *reason);

/* Lets go of the topic: no append is under way. */
void state_topic_close(struct state_topic *state);

/* The topic as the log of a coordinator; usable until it is closed. Its append waits for the
 * partition's append_lock. Any thread. */
struct state_log state_topic_log(struct state_topic *state);

/*
 * Called for each stored record, also those of control batches, in the partition's order. An error
 * means that it was not understood and is skipped; a line is logged.
 */
typedef enum err state_topic_visit(void *context, int32_t partition, const struct batch *batch,
                                   const struct record *record);

/* Feeds all records, skipping damaged ones with a log line. At start, before requests. ERR_IO. */
CHECKED enum err state_topic_replay(struct state_topic *state, const struct file_ops *files,
                                    state_topic_visit *visit, void *context, struct reason *reason);

#endif
