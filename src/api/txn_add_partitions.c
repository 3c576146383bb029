#include "wire/generated/add_partitions_to_txn.h"

#include "api/handlers.h"
#include "api/txn_reply.h"
#include "base/mem.h"

#include <stdatomic.h>

/* From this version on a request carries several transactions. */
enum { MANY_VERSION = 4 };

/*
 * Adds partitions to transactions, or tells whether they are in (verify_only, KIP-890). Clients use
 * versions up to 3 with one transaction; later ones, of brokers, carry several.
 */
struct add_call {
    struct api_request *request;
    struct add_partitions_to_txn_request body;
    struct add_partitions_to_txn_response response;
    int16_t denied;  /* what forbids all of it to this client */
    atomic_int left; /* transactions without an answer, and one while the request is taken in */
};

/* One transaction of the call. */
struct add_one {
    struct add_call *call;
    struct txn_waiter waiter;
    struct txn_partition *partitions;
    size_t count;
    struct add_partitions_to_txn_response_topic *topics;
    int32_t topics_count;
};

static void release(struct add_call *call)
{
    if (atomic_fetch_sub(&call->left, 1) == 1) {
        API_REPLY(call->request, add_partitions_to_txn_response_encode, &call->response);
    }
}

static void set_code(struct add_one *one, int16_t code)
{
    for (int32_t t = 0; t < one->topics_count; t++) {
        for (int32_t i = 0; i < one->topics[t].results_by_partition_count; i++) {
            one->topics[t].results_by_partition[i].partition_error_code = code;
        }
    }
}

static void on_answer(struct txn_waiter *waiter, const struct txn_answer *answer)
{
    struct add_one *one = container_of(waiter, struct add_one, waiter);
    set_code(one, api_txn_error_code(one->call->request, answer->err,
                                     api_version(one->call->request) >= 2));
    release(one->call);
}

/* What forbids to add a partition: it does not exist, or it is one of the server's own topics,
 * which clients cannot write to. Later versions come from brokers. */
static int16_t refusal(const struct add_call *call, bool allowed, struct topic *topic,
                       int32_t index)
{
    if (call->denied != KAFKA_ERROR_NONE) {
        return call->denied;
    }
    if (!allowed) {
        return KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    if (topic != NULL && topic->internal && api_version(call->request) < MANY_VERSION) {
        return KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    bool exists = topic != NULL && topic_partition(topic, index) != NULL;
    return exists ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* Fills in names and indexes of the answer, and what is asked. False when a partition cannot be
 * added: then none is, and the codes are set. */
static bool take_topics(struct add_one *one, const struct add_partitions_to_txn_request_topic *in,
                        int32_t count)
{
    struct api_request *request = one->call->request;
    size_t total = 0;
    for (int32_t t = 0; t < count; t++) {
        total += (size_t)in[t].partitions_count;
    }
    one->partitions = api_alloc(request, total, sizeof *one->partitions);
    one->topics = api_alloc(request, (size_t)count, sizeof *one->topics);
    one->topics_count = count;
    bool all = true;
    for (int32_t t = 0; t < count; t++) {
        struct add_partitions_to_txn_response_topic *out = &one->topics[t];
        /* Brokers, of which later versions come, were asked once for all. */
        bool allowed = api_version(request) >= MANY_VERSION ||
                       api_allows(request, API_WRITE, api_topic(in[t].name));
        struct topic *topic = catalogue_find(request->server->catalogue, in[t].name);
        out->name = api_keep(request, in[t].name);
        out->results_by_partition_count = in[t].partitions_count;
        out->results_by_partition =
            api_alloc(request, (size_t)in[t].partitions_count, sizeof *out->results_by_partition);
        for (int32_t i = 0; i < in[t].partitions_count; i++) {
            int32_t index = in[t].partitions[i];
            int16_t code = refusal(one->call, allowed, topic, index);
            out->results_by_partition[i].partition_index = index;
            out->results_by_partition[i].partition_error_code =
                code == KAFKA_ERROR_NONE ? KAFKA_ERROR_OPERATION_NOT_ATTEMPTED : code;
            one->partitions[one->count++] = (struct txn_partition){out->name, index};
            all = all && code == KAFKA_ERROR_NONE;
        }
        if (topic != NULL) {
            topic_unref(topic);
        }
    }
    return all;
}

static void verify(struct add_one *one, struct slice id, struct txn_producer producer)
{
    struct txn_session session;
    struct reason reason;
    size_t next = 0;
    enum err err = txn_session_enter(one->call->request->server->txns, id, producer, TXN_VERSION_1,
                                     NULL, 0, &session, &reason);
    set_code(one, api_error_code(err));
    for (int32_t t = 0; err == ERR_NONE && t < one->topics_count; t++) {
        for (int32_t i = 0; i < one->topics[t].results_by_partition_count; i++, next++) {
            const struct txn_partition *partition = &one->partitions[next];
            if (!txn_session_has(&session, partition->topic, partition->index)) {
                one->topics[t].results_by_partition[i].partition_error_code =
                    KAFKA_ERROR_TRANSACTION_ABORTABLE;
            }
        }
    }
    txn_session_leave(&session);
    release(one->call);
}

static struct add_one *new_one(struct add_call *call)
{
    struct add_one *one = api_alloc(call->request, 1, sizeof *one);
    one->call = call;
    one->waiter.done = on_answer;
    return one;
}

static void take_many(struct add_call *call, const struct add_partitions_to_txn_request *body)
{
    struct api_request *request = call->request;
    int32_t count = body->transactions_count;
    struct add_partitions_to_txn_response_transaction *results =
        api_alloc(request, (size_t)count, sizeof *results);
    call->response.results_by_transaction = results;
    call->response.results_by_transaction_count = count;
    for (int32_t i = 0; i < count; i++) {
        const struct add_partitions_to_txn_request_transaction *in = &body->transactions[i];
        struct txn_producer producer = {in->producer_id, in->producer_epoch};
        struct add_one *one = new_one(call);
        bool all = take_topics(one, in->topics, in->topics_count);
        results[i].transactional_id = api_keep(request, in->transactional_id);
        results[i].topic_results = one->topics;
        results[i].topic_results_count = one->topics_count;
        if (!all) {
            release(call);
        } else if (in->verify_only) {
            verify(one, in->transactional_id, producer);
        } else {
            txn_coordinator_add(request->server->txns, in->transactional_id, producer,
                                TXN_VERSION_2, one->partitions, one->count, &one->waiter);
        }
    }
}

static void take_single(struct add_call *call, const struct add_partitions_to_txn_request *body)
{
    struct txn_producer producer = {body->v3_and_below_producer_id,
                                    body->v3_and_below_producer_epoch};
    struct add_one *one = new_one(call);
    bool all = take_topics(one, body->v3_and_below_topics, body->v3_and_below_topics_count);
    call->response.results_by_topic_v3_and_below = one->topics;
    call->response.results_by_topic_v3_and_below_count = one->topics_count;
    if (!all) {
        release(call);
    } else {
        txn_coordinator_add(call->request->server->txns, body->v3_and_below_transactional_id,
                            producer, TXN_VERSION_1, one->partitions, one->count, &one->waiter);
    }
}

static int16_t denial_of(const struct api_request *request,
                         const struct add_partitions_to_txn_request *body)
{
    if (api_version(request) >= MANY_VERSION) {
        return api_allows(request, API_CLUSTER_ACTION, api_cluster())
                   ? KAFKA_ERROR_NONE
                   : KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED;
    }
    struct slice id = body->v3_and_below_transactional_id;
    return api_allows(request, API_WRITE, api_transactional_id(id))
               ? KAFKA_ERROR_NONE
               : KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

static enum err take(struct api_request *request, struct reason *reason)
{
    (void)reason;
    struct add_call *call = request->state;
    if (api_version(request) >= MANY_VERSION) {
        take_many(call, &call->body);
    } else {
        take_single(call, &call->body);
    }
    release(call);
    return ERR_NONE;
}

enum err handle_add_partitions_to_txn(struct api_request *request, struct reason *reason)
{
    struct add_partitions_to_txn_request body;
    enum err err =
        add_partitions_to_txn_request_decode(&request->body, api_version(request), &body);
    if (err != ERR_NONE) {
        return err;
    }
    bool many = api_version(request) >= MANY_VERSION;
    struct add_call *call = api_alloc(request, 1, sizeof *call);
    call->request = request;
    call->body = body;
    call->denied = denial_of(request, &body);
    add_partitions_to_txn_response_init(&call->response);
    call->response.error_code = many ? call->denied : KAFKA_ERROR_NONE;
    atomic_init(&call->left, 1 + (many ? body.transactions_count : 1));
    request->state = call;
    return many || call->denied != KAFKA_ERROR_NONE
               ? take(request, reason)
               : api_txn_after_end(request, body.v3_and_below_transactional_id, take, reason);
}
