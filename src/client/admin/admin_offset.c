#include "client/admin/admin_request.h"

#include <stdio.h>
#include <string.h>

/* Asks for `what` of every partition: a time in ms, or Kafka's -1 (end) and -2 (start). */
static enum client_status ask(struct connection *connection, rd_kafka_topic_partition_list_t *list,
                              int64_t what, struct client_error *error)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = what;
    }
    if (list->cnt == 0) {
        return CLIENT_OK;
    }
    rd_kafka_resp_err_t code = kafka_ask_times(connection, list);
    enum client_status status = connection_fail(connection, error, code, NULL);
    for (int i = 0; status == CLIENT_OK && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        status = connection_fail(connection, error, at->err, NULL);
        if (status != CLIENT_OK && error != NULL) {
            size_t used = strlen(error->text);
            snprintf(error->text + used, sizeof error->text - used, ": %s partition %d", at->topic,
                     (int)at->partition);
        }
    }
    return status;
}

enum client_status admin_bounds(struct connection *connection,
                                const struct topic_partitions *partitions,
                                struct admin_bounds *bounds, struct client_error *error)
{
    rd_kafka_topic_partition_list_t *list = kafka_list_new(partitions);
    enum client_status status = ask(connection, list, RD_KAFKA_OFFSET_BEGINNING, error);
    for (int i = 0; status == CLIENT_OK && i < list->cnt; i++) {
        bounds[i].start = list->elems[i].offset;
    }
    if (status == CLIENT_OK) {
        status = ask(connection, list, RD_KAFKA_OFFSET_END, error);
    }
    for (int i = 0; status == CLIENT_OK && i < list->cnt; i++) {
        int64_t end = list->elems[i].offset;
        /* Old events may go away between the two questions. */
        bounds[i].end = end < bounds[i].start ? bounds[i].start : end;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum client_status admin_offsets_at(struct connection *connection,
                                    struct topic_partitions *partitions, int64_t time_ms,
                                    struct client_error *error)
{
    rd_kafka_topic_partition_list_t *list = kafka_list_new(partitions);
    enum client_status status = ask(connection, list, time_ms, error);
    for (int i = 0; status == CLIENT_OK && i < list->cnt; i++) {
        int64_t found = list->elems[i].offset;
        partitions->items[i].offset = found < 0 ? -1 : found;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}
