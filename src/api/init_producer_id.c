#include "wire/generated/init_producer_id.h"

#include "api/handlers.h"
#include "api/txn_reply.h"
#include "base/mem.h"

/*
 * Idempotent producers get an id that was never given out, with epoch 0 (KIP-98). One that comes
 * back with its id after an error gets a fresh one too, which starts its sequences anew (KIP-360).
 * Transactional producers get the id of their transactional id, with an epoch that fences the
 * producers before them.
 */
struct init_call {
    struct api_request *request;
    struct init_producer_id_request body;
    struct txn_waiter waiter;
};

static void send_answer(struct api_request *request, int16_t code, int64_t producer_id,
                        int16_t producer_epoch)
{
    struct init_producer_id_response response;
    if (code == KAFKA_ERROR_NONE) {
        api_connection_gets_producer(request->connection, producer_id,
                                     clock_wall_ms(request->server->clock));
    }
    init_producer_id_response_init(&response);
    response.error_code = code;
    response.producer_id = producer_id;
    response.producer_epoch = producer_epoch;
    API_REPLY(request, init_producer_id_response_encode, &response);
}

static void on_answer(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    struct api_request *request = container_of(waiter, struct init_call, waiter)->request;
    int16_t code = api_txn_error_code(request, answer->err, api_version(request) >= 4);
    send_answer(request, code, answer->producer_id, answer->producer_epoch);
}

static enum err init_transactional(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct init_call *call = request->state;
    const struct init_producer_id_request *body = &call->body;
    struct txn_init_request init = {
        .timeout_ms = body->transaction_timeout_ms,
        .producer_id = body->producer_id,
        .producer_epoch = body->producer_epoch,
    };
    call->waiter.done = on_answer;
    txn_coordinator_init_producer(request->server->txns, body->transactional_id, &init,
                                  &call->waiter);
    return ERR_NONE;
}

/* Whoever may write to any topic may do so idempotently (KIP-679). */
static int16_t refusal_of(struct api_request *request, struct slice transactional_id)
{
    if (!slice_is_null(transactional_id)) {
        return api_allows(request, API_WRITE, api_transactional_id(transactional_id))
                   ? KAFKA_ERROR_NONE
                   : KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    return api_allows(request, API_IDEMPOTENT_WRITE, api_cluster()) ||
                   api_allows(request, API_WRITE, api_any_topic())
               ? KAFKA_ERROR_NONE
               : KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
}

enum err handle_init_producer_id(struct api_request *request, struct reason *reason)
{
    struct init_producer_id_request body;
    enum err err = init_producer_id_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    int16_t refusal = refusal_of(request, body.transactional_id);
    if (refusal != KAFKA_ERROR_NONE) {
        send_answer(request, refusal, -1, -1);
    } else if ((body.producer_id < 0) != (body.producer_epoch < 0)) {
        send_answer(request, KAFKA_ERROR_INVALID_REQUEST, -1, -1);
    } else if (!slice_is_null(body.transactional_id)) {
        struct init_call *call = api_alloc(request, 1, sizeof *call);
        call->request = request;
        call->body = body;
        request->state = call;
        return api_txn_after_end(request, body.transactional_id, init_transactional, reason);
    } else {
        int64_t producer_id = -1;
        err = catalogue_next_producer_id(request->server->catalogue, &producer_id, reason);
        send_answer(request, api_error_code(err), producer_id, 0);
    }
    return ERR_NONE;
}
