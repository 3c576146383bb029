#include "wire/generated/list_transactions.h"

#include "api/handlers.h"
#include "api/txn_reply.h"

/* All transactional ids that pass the filters; an empty filter lets everything through (KIP-664,
 * the duration: KIP-994). */

static bool has_state(const struct list_transactions_request *body, enum txn_state state)
{
    for (int32_t i = 0; i < body->state_filters_count; i++) {
        enum txn_state wanted;
        if (txn_state_parse(body->state_filters[i], &wanted) && wanted == state) {
            return true;
        }
    }
    return body->state_filters_count <= 0;
}

static bool has_producer(const struct list_transactions_request *body, int64_t producer_id)
{
    for (int32_t i = 0; i < body->producer_id_filters_count; i++) {
        if (body->producer_id_filters[i] == producer_id) {
            return true;
        }
    }
    return body->producer_id_filters_count <= 0;
}

static bool passes(const struct list_transactions_request *body, const struct txn_listing *listing,
                   int64_t now_ms)
{
    int64_t since_ms; /* before it, for so long; a record may say anything of when it began */
    bool long_enough = body->duration_filter < 0 ||
                       (!__builtin_sub_overflow(now_ms, body->duration_filter, &since_ms) &&
                        listing->started_wall_ms < since_ms);
    return long_enough && has_state(body, listing->state) &&
           has_producer(body, listing->producer_id);
}

static void list_unknown(struct api_request *request, const struct list_transactions_request *body,
                         struct list_transactions_response *response)
{
    response->unknown_state_filters = api_alloc(request, (size_t)body->state_filters_count,
                                                sizeof *response->unknown_state_filters);
    for (int32_t i = 0; i < body->state_filters_count; i++) {
        enum txn_state state;
        if (!txn_state_parse(body->state_filters[i], &state)) {
            response->unknown_state_filters[response->unknown_state_filters_count++] =
                body->state_filters[i];
        }
    }
}

enum err handle_list_transactions(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct list_transactions_request body;
    enum err err = list_transactions_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct list_transactions_response response;
    list_transactions_response_init(&response);
    struct txn_listing *listings;
    size_t count;
    request->arena.limit_bytes = 0; /* the limit is for decoding what a peer sent */
    err = txn_coordinator_list(request->server->txns, &request->arena, &listings, &count);
    response.error_code = api_error_code(err);
    if (err == ERR_NONE) {
        list_unknown(request, &body, &response);
    }
    response.transaction_states = api_alloc(request, count, sizeof *response.transaction_states);
    int64_t now_ms = clock_wall_ms(request->server->clock);
    for (size_t i = 0; i < count; i++) {
        if (passes(&body, &listings[i], now_ms) &&
            api_allows(request, API_DESCRIBE, api_transactional_id(listings[i].id))) {
            response.transaction_states[response.transaction_states_count++] =
                (struct list_transactions_response_transaction){
                    .transactional_id = listings[i].id,
                    .producer_id = listings[i].producer_id,
                    .transaction_state = slice_str(txn_state_name(listings[i].state)),
                };
        }
    }
    API_REPLY(request, list_transactions_response_encode, &response);
    return ERR_NONE;
}
