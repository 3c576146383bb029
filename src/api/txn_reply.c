#include "api/txn_reply.h"

int16_t api_txn_error_code(enum err err, bool knows_fenced)
{
    return api_error_code(err == ERR_TXN_PRODUCER_FENCED && !knows_fenced ? ERR_PRODUCER_FENCED
                                                                          : err);
}
