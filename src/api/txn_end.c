#include "wire/generated/end_txn.h"

#include "api/handlers.h"
#include "api/txn_reply.h"
#include "base/mem.h"

/*
 * Ends a transaction: answered once its end is decided and on disk, while markers are still being
 * written (KIP-98). Version 5 tells the producer id and epoch of the next transaction (KIP-890).
 */
struct end_call {
    struct api_request *request;
    struct slice id;
    struct txn_end_request end;
    struct txn_waiter waiter;
};

static void on_answer(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    struct api_request *request = container_of(waiter, struct end_call, waiter)->request;
    struct end_txn_response response;
    end_txn_response_init(&response);
    response.error_code = api_txn_error_code(request, answer->err, api_version(request) >= 2);
    response.producer_id = answer->producer_id;
    response.producer_epoch = answer->producer_epoch;
    API_REPLY(request, end_txn_response_encode, &response);
}

/* The next transaction gets a producer id that has to be made: a write to the catalogue. */
static enum err end_with_new_id(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct end_call *call = request->state;
    return txn_coordinator_end(request->server->txns, call->id, &call->end, true, &call->waiter);
}

enum err handle_end_txn(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct end_txn_request body;
    enum err err = end_txn_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    if (!api_allows(request, API_WRITE, api_transactional_id(body.transactional_id))) {
        struct end_txn_response denied;
        end_txn_response_init(&denied);
        denied.error_code = KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        API_REPLY(request, end_txn_response_encode, &denied);
        return ERR_NONE;
    }
    struct end_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->waiter.done = on_answer;
    call->id = body.transactional_id;
    call->end = (struct txn_end_request){
        .producer = {body.producer_id, body.producer_epoch},
        .commit = body.committed,
        .version = api_version(request) >= 5 ? TXN_VERSION_2 : TXN_VERSION_1,
    };
    request->state = call;
    err = txn_coordinator_end(request->server->txns, call->id, &call->end, false, &call->waiter);
    return err == ERR_AGAIN ? api_go_on(request, end_with_new_id) : err;
}
