#include "wire/generated/add_offsets_to_txn.h"

#include "api/handlers.h"
#include "api/txn_reply.h"
#include "base/mem.h"
#include "group/coordinator.h"

/* Adds the partition of __consumer_offsets that keeps the group's offsets (KIP-98). */
struct offsets_call {
    struct api_request *request;
    struct add_offsets_to_txn_request body;
    struct txn_waiter waiter;
};

static void on_answer(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    struct api_request *request = container_of(waiter, struct offsets_call, waiter)->request;
    struct add_offsets_to_txn_response response;
    add_offsets_to_txn_response_init(&response);
    response.error_code = api_txn_error_code(request, answer->err, api_version(request) >= 2);
    API_REPLY(request, add_offsets_to_txn_response_encode, &response);
}

static enum err add(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct offsets_call *call = request->state;
    struct txn_producer producer = {call->body.producer_id, call->body.producer_epoch};
    struct txn_partition partition = {
        .topic = slice_str(GROUP_OFFSETS_TOPIC),
        .index = group_coordinator_partition(request->server->groups, call->body.group_id),
    };
    txn_coordinator_add(request->server->txns, call->body.transactional_id, producer, TXN_VERSION_1,
                        &partition, 1, &call->waiter);
    return ERR_NONE;
}

enum err handle_add_offsets_to_txn(struct api_request *request, struct reason *reason)
{
    struct add_offsets_to_txn_request body;
    enum err err = add_offsets_to_txn_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    bool id_allowed = api_allows(request, API_WRITE, api_transactional_id(body.transactional_id));
    if (!id_allowed || !api_allows(request, API_READ, api_group(body.group_id))) {
        struct add_offsets_to_txn_response denied;
        add_offsets_to_txn_response_init(&denied);
        denied.error_code = id_allowed ? KAFKA_ERROR_GROUP_AUTHORIZATION_FAILED
                                       : KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        API_REPLY(request, add_offsets_to_txn_response_encode, &denied);
        return ERR_NONE;
    }
    struct offsets_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->waiter.done = on_answer;
    call->body = body;
    request->state = call;
    return api_txn_after_end(request, body.transactional_id, add, reason);
}
