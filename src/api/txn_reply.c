#include "api/txn_reply.h"

#include "base/mem.h"

#include <stdlib.h>

int16_t api_txn_error_code(struct api_request *request, enum err err, bool knows_fenced)
{
    int32_t hold_ms = api_hold_ms(request->server, err);
    request->hold_ms = hold_ms > 0 ? hold_ms : request->hold_ms;
    return api_error_code(err == ERR_TXN_PRODUCER_FENCED && !knows_fenced ? ERR_PRODUCER_FENCED
                                                                          : err);
}

struct wait_call {
    struct api_request *request;
    struct txn_waiter waiter;
};

static void on_end(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    (void)answer; /* whatever it is, the step tells the client */
    api_resume(container_of(waiter, struct wait_call, waiter)->request);
}

void api_txn_park(struct api_request *request, struct slice id, api_step *step)
{
    struct wait_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->waiter.done = on_end;
    api_park(request, step);
    txn_coordinator_await_end(request->server->txns, id, &call->waiter);
}

enum err api_txn_after_end(struct api_request *request, struct slice id, api_step *step,
                           struct reason *reason)
{
    if (txn_coordinator_is_ending(request->server->txns, id)) {
        api_txn_park(request, id, step);
        return ERR_NONE;
    }
    return step(request, reason);
}
