#ifndef TIDINGS_API_TXN_REPLY_H
#define TIDINGS_API_TXN_REPLY_H

#include "api/api.h"
#include "txn/coordinator.h"

/* What the handlers of transaction APIs have in common. */

/* The code for an error of a transactional request. Older versions of an API do not know
 * PRODUCER_FENCED: they get INVALID_PRODUCER_EPOCH (KIP-588). */
int16_t api_txn_error_code(enum err err, bool knows_fenced);

/*
 * Runs the handler again once the end that is under way is complete, or cannot be completed now:
 * request->resumed is set then. The caller has let go of all that it took.
 */
void api_txn_park(struct api_request *request, struct slice id);

/*
 * For a request that begins or goes on with the id's next transaction: when the end of the one
 * before is being carried out, parks the request until that is done and returns true. Its client,
 * which was answered when the end was decided, would otherwise get CONCURRENT_TRANSACTIONS and
 * sleep longer than the end takes. Once for each request. To be called before anything was done.
 */
CHECKED bool api_txn_wait_end(struct api_request *request, struct slice id);

#endif
