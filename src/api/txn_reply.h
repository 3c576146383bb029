#ifndef TIDINGS_API_TXN_REPLY_H
#define TIDINGS_API_TXN_REPLY_H

#include "api/api.h"
#include "txn/coordinator.h"

/* What the handlers of transaction APIs have in common. */

/* The code for an error of a transactional request, whose answer is held back when the error asks
 * for it (api_hold_ms). Older versions of an API do not know PRODUCER_FENCED: they get
 * INVALID_PRODUCER_EPOCH (KIP-588). */
int16_t api_txn_error_code(struct api_request *request, enum err err, bool knows_fenced);

/*
 * Parks the request and goes on with `step` once the end of the id's transaction that is under way
 * is complete, or cannot be completed now.
 */
void api_txn_park(struct api_request *request, struct slice id, api_step *step);

/*
 * For a request that begins or goes on with the id's next transaction: `step` does it, at once or,
 * when the end of the transaction before is being carried out, after that (api_txn_park). The
 * client, which was answered when the end was decided, would otherwise get CONCURRENT_TRANSACTIONS
 * and sleep longer than the end takes.
 */
enum err api_txn_after_end(struct api_request *request, struct slice id, api_step *step,
                           struct reason *reason);

#endif
