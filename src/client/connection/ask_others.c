#include "client/connection/kafka.h"

/* Questions to others than a partition's leader (beside.c tells why they have handles). */

enum { SEVERAL_MS = 5000 };

/* --- about groups, of their coordinators --- */

enum client_status kafka_group_begin(struct connection *connection, const char *group,
                                     struct kafka_asking *asking, struct client_error *error)
{
    return kafka_beside_take(connection, &connection->by_group, false, group, asking, error);
}

void kafka_group_end(struct connection *connection, const struct kafka_asking *asking, bool is_over)
{
    kafka_beside_give(connection, &connection->by_group, asking, is_over);
}

/* --- of all brokers --- */

/* librdkafka's own words: a broker was not heard. Those of a broker are an answer. */
static bool was_silent(rd_kafka_resp_err_t code)
{
    return code < RD_KAFKA_RESP_ERR_NO_ERROR;
}

void kafka_all_end(struct connection *connection, const struct kafka_asking *asking,
                   rd_kafka_resp_err_t code)
{
    kafka_beside_give(connection, &connection->by_all, asking, was_silent(code));
}

/* Learns which brokers there are. */
static enum client_status look(struct connection *connection, struct kafka_asking *asking,
                               struct client_error *error)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = kafka_ask_metadata_by(connection, asking->rk, false, NULL,
                                                     connection_timeout_ms(connection), &metadata);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return connection_fail(connection, error, code, NULL);
    }
    asking->brokers = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    asking->timeout_ms = connection_timeout_ms(connection);
    if (asking->brokers > 1 && asking->timeout_ms > SEVERAL_MS) {
        asking->timeout_ms = SEVERAL_MS;
    }
    return CLIENT_OK;
}

enum client_status kafka_all_begin(struct connection *connection, struct kafka_asking *asking,
                                   struct client_error *error)
{
    enum client_status status =
        kafka_beside_take(connection, &connection->by_all, true, NULL, asking, error);
    if (status == CLIENT_OK) {
        status = look(connection, asking, error);
        if (status != CLIENT_OK) {
            kafka_all_end(connection, asking, RD_KAFKA_RESP_ERR_NO_ERROR);
        }
    }
    return status;
}
