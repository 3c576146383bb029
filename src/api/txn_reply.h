#ifndef TIDINGS_API_TXN_REPLY_H
#define TIDINGS_API_TXN_REPLY_H

#include "api/api.h"
#include "txn/coordinator.h"

/* What the handlers of transaction APIs have in common. */

/* The code for an error of a transactional request. Older versions of an API do not know
 * PRODUCER_FENCED: they get INVALID_PRODUCER_EPOCH (KIP-588). */
int16_t api_txn_error_code(enum err err, bool knows_fenced);

#endif
