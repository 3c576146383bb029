#ifndef STORE_WORKER_H
#define STORE_WORKER_H

#include "order.h"
#include "store.h"

/*
 * The frame of a service that does something once for each order: decode the event, open a ledger
 * transaction, apply, commit. What can never work (no order in the event) is complained about,
 * noted as handled and passed over, so that it does not stop those behind it.
 */
struct worker {
    struct ledger ledger;
    long slow_ms;       /* each event takes so long */
    const char *poison; /* orders with this article fail; NULL: none */

    /* Does the work inside the open transaction; false: undo it and try again later. What failed
     * was said by ledger_fail, as ledger_step does; so with announce. */
    bool (*apply)(struct worker *worker, const struct tidings_event *event,
                  const struct order *order);

    /*
     * Called after the commit, also for an event that comes again: what has to reach others at
     * least once (publishing). False: try the event again later. May be NULL.
     */
    bool (*announce)(struct worker *worker, struct tidings *service,
                     const struct tidings_event *event, const struct order *order);
};

/* A tidings_handler_fn; context is the worker. */
enum tidings_verdict worker_handle(struct tidings *service, const struct tidings_event *event,
                                   void *context);

/* Makes the service, opens the ledger with its tables, registers worker_handle for OrderPlaced and
 * OrderCancelled on topic orders. NULL after a complaint. */
struct tidings *worker_start(struct worker *worker, const char *name,
                             const struct store_common *common, const char *tables);

#endif
