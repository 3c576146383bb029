#include "api/txn_reply.h"

#include "base/mem.h"

#include <stdlib.h>

int16_t api_txn_error_code(enum err err, bool knows_fenced)
{
    return api_error_code(err == ERR_TXN_PRODUCER_FENCED && !knows_fenced ? ERR_PRODUCER_FENCED
                                                                          : err);
}

struct wait_call {
    struct api_request *request;
    struct txn_waiter waiter;
};

static void on_end(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    (void)answer; /* whatever it is, the second try tells the client */
    api_resume(container_of(waiter, struct wait_call, waiter)->request);
}

void api_txn_park(struct api_request *request, struct slice id)
{
    struct txn_coordinator *txns = request->server->txns;
    uint8_t *copy = mem_dup(id.data, id.size); /* the request's memory is made anew */
    api_park(request);
    struct wait_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->waiter.done = on_end;
    txn_coordinator_await_end(txns, slice_of(copy, id.size), &call->waiter);
    free(copy);
}

bool api_txn_wait_end(struct api_request *request, struct slice id)
{
    if (request->resumed || !txn_coordinator_is_ending(request->server->txns, id)) {
        return false;
    }
    api_txn_park(request, id);
    return true;
}
