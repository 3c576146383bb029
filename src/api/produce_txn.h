#ifndef TIDINGS_API_PRODUCE_TXN_H
#define TIDINGS_API_PRODUCE_TXN_H

#include "api/api.h"
#include "stream/produce.h"
#include "txn/coordinator.h"

/* What a produce request has to do with a transaction (KIP-98, KIP-890). */

struct produce_txn {
    struct txn_session session; /* left by the caller after the appends */
    bool must_wait; /* the transaction before is being completed: try again after that */
};

/*
 * Enters the transaction of the items' transactional batches: up to version 11 their partitions
 * must be in it, from 12 on they are added. Each such item is then in_transaction, or has its
 * error. Items without a partition are left alone. id: null for a request without transaction.
 * may_wait: nothing is done to the items when must_wait is set.
 */
void produce_txn_enter(struct api_request *request, struct slice id, struct produce_item *items,
                       size_t count, bool may_wait, struct produce_txn *txn);

/* The code of an item's error. Older producers do not know that they are to try again after errors
 * of the coordinator: they get one after which they do. */
int16_t produce_error_code(enum err err, int16_t version);

#endif
