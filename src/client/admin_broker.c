#include "client/admin_request.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Brokers: how many there are, and what one says of its settings. */

enum client_status admin_brokers(struct connection *connection, struct admin_brokers *brokers,
                                 struct client_error *error)
{
    const struct rd_kafka_metadata *metadata = NULL;
    *brokers = (struct admin_brokers){.asked = -1};
    rd_kafka_resp_err_t code = kafka_ask_metadata(connection, false, NULL, &metadata);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return connection_fail(connection, error, code, NULL);
    }
    brokers->count = metadata->broker_cnt;
    brokers->asked = metadata->orig_broker_id;
    rd_kafka_metadata_destroy(metadata);
    return CLIENT_OK;
}

static char *find_value(const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
            return mem_strdup(rd_kafka_ConfigEntry_value(entries[i]));
        }
    }
    return NULL;
}

enum client_status admin_broker_setting(struct connection *connection, const char *name,
                                        char **value, struct client_error *error)
{
    struct admin_brokers brokers;
    char id[16];
    *value = NULL;
    enum client_status status = admin_brokers(connection, &brokers, error);
    if (status != CLIENT_OK) {
        return status;
    }
    snprintf(id, sizeof id, "%d", (int)brokers.asked);
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, id);
    struct admin_request request =
        admin_request_begin(connection, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(connection->rk, &asked, 1, request.options, request.queue);
    status = admin_request_wait(&request, error);
    if (status == CLIENT_OK) {
        size_t count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(request.event), &count);
        status = client_fail_code(error, rd_kafka_ConfigResource_error(resources[0]),
                                  rd_kafka_ConfigResource_error_string(resources[0]));
        *value = status == CLIENT_OK ? find_value(resources[0], name) : NULL;
    }
    admin_request_end(&request);
    rd_kafka_ConfigResource_destroy(asked);
    return status;
}
