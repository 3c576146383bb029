#ifndef TIDINGS_BROKER_TRANSACTIONS_LOG_H
#define TIDINGS_BROKER_TRANSACTIONS_LOG_H

#include "broker/internal_topic.h"
#include "group/coordinator.h"
#include "txn/coordinator.h"

/*
 * Joins the transaction coordinator to the topic __transaction_state, where its records go, and to
 * the partitions of all topics, where markers end its transactions. Offsets that were committed in
 * a transaction count, or not, once the marker in __consumer_offsets is on disk: the group
 * coordinator is told then.
 */
struct transactions_log {
    struct internal_topic topic;
    struct catalogue *catalogue;
    struct flusher *flusher;
    struct group_coordinator *groups;
};

/* Finds or creates __transaction_state. groups: may be NULL, for tests without any. */
CHECKED enum err transactions_log_open(struct transactions_log *log, struct catalogue *catalogue,
                                       struct flusher *flusher, struct group_coordinator *groups,
                                       int32_t partition_count, int64_t segment_bytes,
                                       struct reason *reason);
void transactions_log_close(struct transactions_log *log);

/* What the coordinator is given; context is the transactions_log. */
struct txn_log transactions_log_interface(struct transactions_log *log);

/* Feeds every stored record to the coordinator. At start, before requests. */
CHECKED enum err transactions_log_replay(struct transactions_log *log, const struct file_ops *files,
                                         struct txn_coordinator *coordinator,
                                         struct reason *reason);

#endif
