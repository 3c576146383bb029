#ifndef TIDINGS_BROKER_INTERNAL_TOPIC_H
#define TIDINGS_BROKER_INTERNAL_TOPIC_H

#include "batch/batch.h"
#include "log/flush.h"
#include "topic/catalogue.h"

/*
 * A topic in which the server itself keeps state, in Kafka's record formats: what the coordinators
 * of groups and of transactions have in common.
 */
struct internal_topic {
    struct topic *topic; /* held */
    struct flusher *flusher;
};

/* Finds the topic or creates it with this many partitions (an existing one keeps its own). */
CHECKED enum err internal_topic_open(struct internal_topic *internal, struct catalogue *catalogue,
                                     struct flusher *flusher, const char *name,
                                     int32_t partition_count, int64_t segment_bytes,
                                     struct reason *reason);
void internal_topic_close(struct internal_topic *internal);
int32_t internal_topic_partition_count(const struct internal_topic *internal);

/* An append until it is on disk. */
struct internal_append {
    /* On any thread, once internal_topic_wait was called. ERR_IO: the log failed before. */
    void (*done)(struct internal_append *append, enum err err);
    struct flush_waiter waiter;
    struct flush_target target;
    struct partition *partition;
};

/*
 * Appends the builder's records as one batch, without waiting for the disk. On an error nothing is
 * appended, and a line is logged. ERR_PRODUCER_FENCED, ERR_INVALID_TXN_STATE: of a transactional
 * batch, as log_append says. Any thread; waits for the log's append_lock.
 */
CHECKED enum err internal_topic_append(struct internal_topic *internal, int32_t partition,
                                       struct batch_builder *builder,
                                       struct internal_append *append);

/* Calls append->done exactly once, maybe from inside. Without locks. */
void internal_topic_wait(struct internal_topic *internal, struct internal_append *append);

/*
 * Called for each stored record, also those of control batches, in the partition's order. An error
 * means that it was not understood and is skipped; a line is logged.
 */
typedef enum err internal_replay(void *context, int32_t partition, const struct batch *batch,
                                 const struct record *record);

/* Feeds all records, skipping damaged ones with a log line. At start, before requests. ERR_IO. */
CHECKED enum err internal_topic_replay(struct internal_topic *internal,
                                       const struct file_ops *files, internal_replay *each,
                                       void *context, struct reason *reason);

#endif
