#include "base/clock.h"
#include "base/mem.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the producer and the consumer have in common: settings, errors, log lines. */

enum { QUIET_MS = 5000 }; /* "nobody answers" is said at most this often */

enum tidings_status status_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return TIDINGS_OK;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return TIDINGS_FULL;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return TIDINGS_CLOSED;
    case RD_KAFKA_RESP_ERR__FATAL:
        return TIDINGS_FATAL;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return TIDINGS_INVALID;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        return TIDINGS_REFUSED;
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        return TIDINGS_UNREACHABLE;
    default:
        /* librdkafka's own codes are negative and mostly about time and transport */
        return code < 0 ? TIDINGS_UNREACHABLE : TIDINGS_REFUSED;
    }
}

void service_fail(struct tidings *service, rd_kafka_t *client)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(client, text, sizeof text);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    pthread_mutex_lock(&service->lock);
    bool first = !service->fatal;
    if (first) {
        service->fatal = true;
        if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
            error_set(&service->fatal_error, TIDINGS_FATAL,
                      "another process of %s runs under the instance name %s", service->name,
                      service->instance ? service->instance : "");
        } else {
            error_set(&service->fatal_error, TIDINGS_FATAL, "%s", text);
        }
    }
    pthread_mutex_unlock(&service->lock);
    if (first) {
        service_log(service, TIDINGS_LOG_ERROR, "cannot go on: %s", service->fatal_error.text);
    }
}

static void on_client_error(rd_kafka_t *client, int code, const char *text, void *opaque)
{
    struct tidings *service = opaque;
    switch ((rd_kafka_resp_err_t)code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        service_fail(service, client);
        break;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: {
        int64_t now_ms = clock_mono_ms(clock_system());
        int64_t last_ms = atomic_load(&service->said_down_ms);
        if (!atomic_load(&service->closing) && (last_ms == 0 || now_ms - last_ms >= QUIET_MS)) {
            atomic_store(&service->said_down_ms, now_ms);
            service_log(service, TIDINGS_LOG_WARN, "no bus answers at %s; still trying",
                        service->bootstrap_servers);
        }
        break;
    }
    case RD_KAFKA_RESP_ERR__TRANSPORT: /* followed by ALL_BROKERS_DOWN when it matters */
        break;
    default:
        service_log(service, TIDINGS_LOG_WARN, "%s: %s",
                    rd_kafka_err2name((rd_kafka_resp_err_t)code), text);
    }
}

static void on_client_log(const rd_kafka_t *client, int level, const char *facility,
                          const char *text)
{
    /* What matters comes through on_client_error, in the service's own words. */
    (void)client, (void)level, (void)facility, (void)text;
}

static enum tidings_status config_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                                      struct tidings_error *error)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        return error_set(error, TIDINGS_INVALID, "%s", text);
    }
    return TIDINGS_OK;
}

static enum tidings_status config_set_int(rd_kafka_conf_t *conf, const char *name, int value,
                                          struct tidings_error *error)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    return config_set(conf, name, text, error);
}

static enum tidings_status config_set_pair(rd_kafka_conf_t *conf, const char *pair,
                                           struct tidings_error *error)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL) {
        return error_set(error, TIDINGS_INVALID, "client setting \"%s\" is not name=value", pair);
    }
    char *name = mem_strndup(pair, (size_t)(equals - pair));
    enum tidings_status status = config_set(conf, name, equals + 1, error);
    free(name);
    return status;
}

enum tidings_status config_fill(struct tidings *service, rd_kafka_conf_t *conf,
                                const struct config_pair *pairs, struct tidings_error *error)
{
    rd_kafka_conf_set_opaque(conf, service);
    rd_kafka_conf_set_log_cb(conf, on_client_log);
    rd_kafka_conf_set_error_cb(conf, on_client_error);
    char *client_id = service->instance != NULL
                          ? mem_sprintf("%s-%s", service->name, service->instance)
                          : mem_strdup(service->name);
    const struct config_pair common[] = {
        {"client.id", client_id},
        {"bootstrap.servers", service->bootstrap_servers},
        {"reconnect.backoff.max.ms", "2000"},
        {"topic.metadata.refresh.interval.ms", "30000"},
        {NULL, NULL},
    };
    enum tidings_status status = TIDINGS_OK;
    for (const struct config_pair *p = common; status == TIDINGS_OK && p->name != NULL; p++) {
        status = config_set(conf, p->name, p->value, error);
    }
    for (const struct config_pair *p = pairs; status == TIDINGS_OK && p->name != NULL; p++) {
        if (p->value != NULL) {
            status = config_set(conf, p->name, p->value, error);
        } else {
            status = config_set_int(conf, p->name, p->number, error);
        }
    }
    char **setting = service->client_settings;
    for (; status == TIDINGS_OK && *setting != NULL; setting++) {
        status = config_set_pair(conf, *setting, error);
    }
    free(client_id);
    return status;
}

enum tidings_status clients_check(struct tidings *service, struct tidings_error *error)
{
    rd_kafka_conf_t *conf = NULL;
    enum tidings_status status = publisher_config(service, &conf, error);
    if (status == TIDINGS_OK) {
        rd_kafka_conf_destroy(conf);
        status = consumer_config(service, &conf, error);
    }
    if (status == TIDINGS_OK) {
        rd_kafka_conf_destroy(conf);
    }
    return status;
}
