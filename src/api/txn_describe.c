#include "wire/generated/describe_transactions.h"

#include "api/handlers.h"
#include "api/txn_reply.h"

/* What the coordinator knows of some transactional ids (KIP-664). */

static void fill_topics(struct api_request *request, const struct txn_description *description,
                        struct describe_transactions_response_transaction *out)
{
    size_t count = description->partition_count;
    int32_t *indexes = api_alloc(request, count, sizeof *indexes);
    out->topics = api_alloc(request, count, sizeof *out->topics);
    for (size_t i = 0; i < count; i++) { /* they come by topic */
        const struct txn_partition *partition = &description->partitions[i];
        int32_t last = out->topics_count - 1;
        indexes[i] = partition->index;
        if (!api_allows(request, API_DESCRIBE, api_topic(partition->topic))) {
            continue; /* left out, as in Kafka */
        }
        if (last < 0 || !slice_equal(out->topics[last].topic, partition->topic)) {
            last = out->topics_count++;
            out->topics[last].topic = partition->topic;
            out->topics[last].partitions = &indexes[i];
        }
        out->topics[last].partitions_count++;
    }
}

static void describe(struct api_request *request, struct slice id,
                     struct describe_transactions_response_transaction *out)
{
    struct txn_description description;
    describe_transactions_response_transaction_init(out);
    out->transactional_id = id;
    if (!api_allows(request, API_DESCRIBE, api_transactional_id(id))) {
        out->error_code = KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        return;
    }
    request->arena.limit_bytes = 0; /* the limit is for decoding what a peer sent */
    enum err err =
        txn_coordinator_describe(request->server->txns, id, &request->arena, &description);
    out->error_code = api_error_code(err);
    if (err != ERR_NONE) {
        return;
    }
    const struct txn_fields *fields = &description.fields;
    out->producer_id = fields->producer_id;
    out->producer_epoch = fields->producer_epoch;
    out->transaction_state = slice_str(txn_state_name(fields->state));
    out->transaction_timeout_ms = fields->timeout_ms;
    out->transaction_start_time_ms = fields->started_wall_ms;
    fill_topics(request, &description, out);
}

enum err handle_describe_transactions(struct api_request *request, struct reason *reason)
{
    struct describe_transactions_request body;
    enum err err =
        describe_transactions_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    struct describe_transactions_response response;
    describe_transactions_response_init(&response);
    response.transaction_states_count = body.transactional_ids_count;
    response.transaction_states = api_alloc(request, (size_t)body.transactional_ids_count,
                                            sizeof *response.transaction_states);
    for (int32_t i = 0; i < body.transactional_ids_count; i++) {
        describe(request, body.transactional_ids[i], &response.transaction_states[i]);
        err = api_check_size(request, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    API_REPLY(request, describe_transactions_response_encode, &response);
    return ERR_NONE;
}
