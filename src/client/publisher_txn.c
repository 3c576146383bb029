#include "client/kafka.h"
#include "client/publisher.h"

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

enum client_status publisher_txn_start(struct publisher *publisher, int timeout_ms,
                                       struct client_error *error)
{
    return finish(publisher, rd_kafka_init_transactions(handle_of(publisher), timeout_ms), error);
}

enum client_status publisher_txn_begin(struct publisher *publisher, struct client_error *error)
{
    return finish(publisher, rd_kafka_begin_transaction(handle_of(publisher)), error);
}

/* Destroys the metadata. */
static enum client_status send_offsets(struct publisher *publisher,
                                       rd_kafka_consumer_group_metadata_t *metadata,
                                       const struct topic_partitions *offsets, int timeout_ms,
                                       struct client_error *error)
{
    rd_kafka_topic_partition_list_t *list = kafka_list_new(offsets);
    rd_kafka_error_t *failure =
        rd_kafka_send_offsets_to_transaction(handle_of(publisher), list, metadata, timeout_ms);
    rd_kafka_consumer_group_metadata_destroy(metadata);
    rd_kafka_topic_partition_list_destroy(list);
    return finish(publisher, failure, error);
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
    return finish(publisher, rd_kafka_commit_transaction(handle_of(publisher), timeout_ms), error);
}

enum client_status publisher_txn_abort(struct publisher *publisher, int timeout_ms,
                                       struct client_error *error)
{
    return finish(publisher, rd_kafka_abort_transaction(handle_of(publisher), timeout_ms), error);
}
