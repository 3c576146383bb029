#include "client/admin/admin_request.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
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

void admin_cluster_deinit(struct admin_cluster *cluster)
{
    for (size_t i = 0; i < cluster->brokers.count; i++) {
        free(cluster->brokers.items[i].address);
    }
    vec_deinit(&cluster->brokers);
    free(cluster->id);
    *cluster = (struct admin_cluster){0};
}

static int by_id(const void *a, const void *b)
{
    const struct admin_broker *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static void take_brokers(const struct rd_kafka_metadata *metadata, struct admin_cluster *cluster)
{
    for (int i = 0; i < metadata->broker_cnt; i++) {
        const struct rd_kafka_metadata_broker *from = &metadata->brokers[i];
        bool is_ipv6 = strchr(from->host, ':') != NULL;
        struct admin_broker *to = vec_add(&cluster->brokers);
        to->id = from->id;
        to->address = mem_sprintf(is_ipv6 ? "[%s]:%d" : "%s:%d", from->host, from->port);
    }
    if (cluster->brokers.count > 1) {
        qsort(cluster->brokers.items, cluster->brokers.count, sizeof *cluster->brokers.items,
              by_id);
    }
}

enum client_status admin_cluster(struct connection *connection, struct admin_cluster *cluster,
                                 struct client_error *error)
{
    const struct rd_kafka_metadata *metadata = NULL;
    *cluster = (struct admin_cluster){0};
    rd_kafka_resp_err_t code = kafka_ask_metadata(connection, false, NULL, &metadata);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return connection_fail(connection, error, code, NULL);
    }
    take_brokers(metadata, cluster);
    rd_kafka_metadata_destroy(metadata);
    char *id = rd_kafka_clusterid(connection->rk, connection_timeout_ms(connection));
    if (id != NULL) {
        cluster->id = mem_strdup(id);
        rd_kafka_mem_free(connection->rk, id);
    }
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
