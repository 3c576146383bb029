#ifndef TIDINGS_TXN_TXN_LOGS_H
#define TIDINGS_TXN_TXN_LOGS_H

#include "log/flush.h"
#include "topic/catalogue.h"
#include "txn/coordinator.h"

/*
 * The partitions of all topics as participants of transactions: their markers are appended and
 * synced, their open transactions found.
 */
struct txn_logs {
    struct catalogue *catalogue;
    struct flusher *flusher;
    /* A marker is on disk in this partition, before the coordinator hears of it. On the flusher's
     * thread, without locks. May be NULL. */
    void (*on_marker)(void *context, const struct partition *partition, int64_t producer_id,
                      bool commit);
    void *context;
};

/* What the coordinator is given; logs is to outlive it. */
struct txn_participants txn_logs_participants(struct txn_logs *logs);

#endif
