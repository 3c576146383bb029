#include "client/admin/admin_request.h"

#include <stdlib.h>

struct admin_request admin_request_begin(struct connection *connection, rd_kafka_admin_op_t op)
{
    return admin_request_begin_by(connection, connection->rk, op);
}

static bool is_of_coordinator(rd_kafka_admin_op_t op)
{
    return op == RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS ||
           op == RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS ||
           op == RD_KAFKA_ADMIN_OP_DELETEGROUPS;
}

struct admin_request admin_request_begin_by(struct connection *connection, rd_kafka_t *rk,
                                            rd_kafka_admin_op_t op)
{
    enum { NEVER_MS = 3600 * 1000 }; /* the most that librdkafka takes */
    struct admin_request request = {
        .is_of_coordinator = is_of_coordinator(op),
        .connection = connection,
        .rk = rk,
        .options = rd_kafka_AdminOptions_new(rk, op),
        .queue = rd_kafka_queue_new(rk),
    };
    char text[128];
    rd_kafka_AdminOptions_set_request_timeout(
        request.options, request.is_of_coordinator ? NEVER_MS : connection->timeout_ms, text,
        sizeof text);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS ||
        op == RD_KAFKA_ADMIN_OP_CREATEPARTITIONS) {
        rd_kafka_AdminOptions_set_operation_timeout(request.options, connection->timeout_ms, text,
                                                    sizeof text);
    }
    return request;
}

struct admin_request admin_request_begin_all(struct connection *connection,
                                             const struct kafka_asking *all, rd_kafka_admin_op_t op)
{
    char text[128];
    struct admin_request request = admin_request_begin_by(connection, all->rk, op);
    rd_kafka_AdminOptions_set_request_timeout(request.options, all->timeout_ms, text, sizeof text);
    return request;
}

enum client_status admin_request_wait(struct admin_request *request, struct client_error *error)
{
    enum { GRACE_MS = 1000 }; /* librdkafka's own time-out comes first */
    struct connection *connection = request->connection;
    int grace_ms = request->is_of_coordinator ? 0 : GRACE_MS;
    request->event = kafka_await(connection, request->queue, connection->timeout_ms + grace_ms);
    if (request->event == NULL) {
        request->is_given_up = true;
        return connection_fail(connection, error, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
    }
    return connection_fail(connection, error, rd_kafka_event_error(request->event),
                           rd_kafka_event_error_string(request->event));
}

void admin_request_next(struct admin_request *request)
{
    if (request->event != NULL) {
        rd_kafka_event_destroy(request->event);
        request->event = NULL;
    }
}

void admin_request_end(struct admin_request *request)
{
    admin_request_next(request);
    rd_kafka_queue_destroy(request->queue);
    rd_kafka_AdminOptions_destroy(request->options);
}

enum client_status admin_fail(const rd_kafka_error_t *from, struct client_error *error)
{
    return from == NULL
               ? CLIENT_OK
               : client_fail_code(error, rd_kafka_error_code(from), rd_kafka_error_string(from));
}

void admin_note(struct admin_outcomes *outcomes, const char *name, rd_kafka_resp_err_t code,
                const char *detail)
{
    struct admin_outcome *outcome = vec_add(outcomes);
    outcome->name = mem_strdup(name);
    client_fail_code(&outcome->error, code, detail);
}

void admin_outcomes_deinit(struct admin_outcomes *outcomes)
{
    for (size_t i = 0; i < outcomes->count; i++) {
        free(outcomes->items[i].name);
    }
    vec_deinit(outcomes);
}

void admin_take_list(struct topic_partitions *partitions,
                     const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct topic_partition *added =
            topic_partitions_add(partitions, at->topic, at->partition, at->offset);
        if (at->metadata_size > 0) {
            added->metadata = mem_strndup(at->metadata, at->metadata_size);
        }
    }
}
