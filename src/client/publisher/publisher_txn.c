#include "client/connection/kafka.h"
#include "client/publisher/publisher.h"

#include "base/mem.h"

#include <stdlib.h>

/* Transactions: librdkafka's calls, with its errors as statuses. */

/* A failure that a second call may mend is CLIENT_TIMED_OUT, all others keep their status. */
static enum client_status finish(struct publisher *publisher, rd_kafka_error_t *failure,
                                 struct client_error *error)
{
    if (failure == NULL) {
        connection_heard(publisher_connection(publisher));
        return CLIENT_OK;
    }
    struct client_error why;
    enum client_status status =
        connection_fail(publisher_connection(publisher), &why, rd_kafka_error_code(failure),
                        rd_kafka_error_string(failure));
    if (rd_kafka_error_is_retriable(failure)) {
        status = CLIENT_TIMED_OUT;
    } else if (status == CLIENT_TIMED_OUT) {
        status = CLIENT_UNREACHABLE;
    }
    why.status = status;
    if (error != NULL) {
        *error = why;
    }
    rd_kafka_error_destroy(failure);
    return status;
}

static rd_kafka_t *handle_of(struct publisher *publisher)
{
    return publisher_connection(publisher)->rk;
}

/* A call that waits for the bus. It takes longer than its time-out where the bus answers nothing:
 * librdkafka (2.0.2) looks for the coordinator first. */
struct txn_call {
    int timeout_ms;
    rd_kafka_topic_partition_list_t *offsets; /* NULL: not of this one */
    rd_kafka_consumer_group_metadata_t *group;
    rd_kafka_error_t *failure;
};

static void make_start(rd_kafka_t *rk, void *argument)
{
    struct txn_call *call = argument;
    call->failure = rd_kafka_init_transactions(rk, call->timeout_ms);
}

static void make_offsets(rd_kafka_t *rk, void *argument)
{
    struct txn_call *call = argument;
    call->failure =
        rd_kafka_send_offsets_to_transaction(rk, call->offsets, call->group, call->timeout_ms);
}

static void make_commit(rd_kafka_t *rk, void *argument)
{
    struct txn_call *call = argument;
    call->failure = rd_kafka_commit_transaction(rk, call->timeout_ms);
}

static void make_abort(rd_kafka_t *rk, void *argument)
{
    struct txn_call *call = argument;
    call->failure = rd_kafka_abort_transaction(rk, call->timeout_ms);
}

static void drop(void *argument)
{
    struct txn_call *call = argument;
    if (call->offsets != NULL) {
        rd_kafka_topic_partition_list_destroy(call->offsets);
        rd_kafka_consumer_group_metadata_destroy(call->group);
    }
    if (call->failure != NULL) {
        rd_kafka_error_destroy(call->failure);
    }
    free(call);
}

/* Takes what is in *from. */
static enum client_status make_call(struct publisher *publisher, const struct kafka_call *kind,
                                    const struct txn_call *from, struct client_error *error)
{
    struct txn_call *call = mem_new(struct txn_call);
    *call = *from;
    if (!kafka_call(publisher_connection(publisher), handle_of(publisher), kind, call)) {
        return client_fail(error, CLIENT_CLOSED, NULL,
                           "the time to stop is over, and the bus has not answered");
    }
    rd_kafka_error_t *failure = call->failure;
    call->failure = NULL;
    drop(call);
    return finish(publisher, failure, error);
}

enum client_status publisher_txn_start(struct publisher *publisher, int timeout_ms,
                                       struct client_error *error)
{
    static const struct kafka_call kind = {make_start, drop};
    return make_call(publisher, &kind, &(struct txn_call){.timeout_ms = timeout_ms}, error);
}

enum client_status publisher_txn_begin(struct publisher *publisher, struct client_error *error)
{
    return finish(publisher, rd_kafka_begin_transaction(handle_of(publisher)), error);
}

/* Takes the metadata. */
static enum client_status send_offsets(struct publisher *publisher,
                                       rd_kafka_consumer_group_metadata_t *metadata,
                                       const struct topic_partitions *offsets, int timeout_ms,
                                       struct client_error *error)
{
    static const struct kafka_call kind = {make_offsets, drop};
    struct txn_call call = {
        .timeout_ms = timeout_ms, .offsets = kafka_list_new(offsets), .group = metadata};
    return make_call(publisher, &kind, &call, error);
}

enum client_status publisher_txn_offsets(struct publisher *publisher, const char *group,
                                         const struct topic_partitions *offsets, int timeout_ms,
                                         struct client_error *error)
{
    return send_offsets(publisher, rd_kafka_consumer_group_metadata_new(group), offsets, timeout_ms,
                        error);
}

enum client_status publisher_txn_offsets_as(struct publisher *publisher, struct slice member,
                                            const struct topic_partitions *offsets, int timeout_ms,
                                            struct client_error *error)
{
    rd_kafka_consumer_group_metadata_t *metadata;
    rd_kafka_error_t *failure =
        rd_kafka_consumer_group_metadata_read(&metadata, member.data, member.size);
    return failure != NULL ? finish(publisher, failure, error)
                           : send_offsets(publisher, metadata, offsets, timeout_ms, error);
}

enum client_status publisher_txn_commit(struct publisher *publisher, int timeout_ms,
                                        struct client_error *error)
{
    static const struct kafka_call kind = {make_commit, drop};
    return make_call(publisher, &kind, &(struct txn_call){.timeout_ms = timeout_ms}, error);
}

enum client_status publisher_txn_abort(struct publisher *publisher, int timeout_ms,
                                       struct client_error *error)
{
    static const struct kafka_call kind = {make_abort, drop};
    return make_call(publisher, &kind, &(struct txn_call){.timeout_ms = timeout_ms}, error);
}
