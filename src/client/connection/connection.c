#include "client/connection/kafka.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/own_peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEFAULT_TIMEOUT_MS = 30000,
    QUIET_MS = 5000, /* that nobody answers is told at most this often */
    RECONNECT_MAX_MS = 1000
};

static void notify(const struct connection *connection, const struct client_error *what)
{
    if (connection->notice != NULL && !atomic_load(&connection->is_closing)) {
        connection->notice(connection->notice_context, what);
    }
}

static void tell_down(struct connection *connection)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    atomic_store(&connection->is_down, true);
    if (connection->said_down_ms != 0 && now_ms - connection->said_down_ms < QUIET_MS) {
        return;
    }
    connection->said_down_ms = now_ms;
    struct client_error what;
    client_fail_code(&what, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, NULL);
    snprintf(what.text, sizeof what.text, "no bus answers at %.300s; still trying",
             connection->bootstrap);
    notify(connection, &what);
}

void connection_heard(struct connection *connection)
{
    if (atomic_load_explicit(&connection->is_down, memory_order_relaxed) &&
        atomic_exchange(&connection->is_down, false)) {
        struct client_error what = {.status = CLIENT_OK};
        connection->said_down_ms = 0;
        snprintf(what.text, sizeof what.text, "the bus at %.300s answers again",
                 connection->bootstrap);
        notify(connection, &what);
    }
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
    struct connection *connection = opaque;
    struct client_error what;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        tell_down(connection);
        return;
    }
    pthread_mutex_lock(&connection->lock);
    snprintf(connection->last_error, sizeof connection->last_error, "%s", text);
    pthread_mutex_unlock(&connection->lock);
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        connection_fatal(connection, &what);
        notify(connection, &what);
    } else if (code != RD_KAFKA_RESP_ERR__TRANSPORT) { /* ALL_BROKERS_DOWN follows if it matters */
        client_fail_code(&what, code, text);
        notify(connection, &what);
    }
}

static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text; /* what matters comes through on_error */
}

/* --- a bus in this process --- */

static int connect_as_own(int fd, const struct sockaddr *to, int size, const char *id, void *opaque)
{
    const struct connection *connection = opaque;
    (void)id;
    return own_peers_connect(connection->own_peers, fd, to, (socklen_t)size);
}

static int close_own(int fd, void *opaque)
{
    const struct connection *connection = opaque;
    own_peers_forget(connection->own_peers, fd);
    return close(fd);
}

/* --- configuration --- */

static enum client_status set(rd_kafka_conf_t *conf, const char *name, const char *value,
                              struct client_error *error)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        return client_fail(error, CLIENT_INVALID, NULL, "%s", text);
    }
    return CLIENT_OK;
}

static enum client_status set_all(rd_kafka_conf_t *conf, const struct kafka_property *properties,
                                  struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    for (; status == CLIENT_OK && properties->name != NULL; properties++) {
        char number[16];
        snprintf(number, sizeof number, "%d", properties->number);
        status = set(conf, properties->name, properties->text != NULL ? properties->text : number,
                     error);
    }
    return status;
}

static enum client_status set_security(rd_kafka_conf_t *conf,
                                       const struct connection_security *security,
                                       struct client_error *error)
{
    const struct kafka_property rows[] = {
        {"security.protocol", security->protocol},
        {"ssl.ca.location", security->ca_file},
        {"ssl.certificate.location", security->certificate_file},
        {"ssl.key.location", security->key_file},
        {"ssl.key.password", security->key_password},
        {"sasl.mechanism", security->sasl_mechanism},
        {"sasl.username", security->sasl_user},
        {"sasl.password", security->sasl_password},
    };
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].text != NULL) {
            status = set(conf, rows[i].name, rows[i].text, error);
        }
    }
    return status;
}

static enum client_status set_pair(rd_kafka_conf_t *conf, const char *pair,
                                   struct client_error *error)
{
    static const char hint[] =
        "all properties: https://github.com/confluentinc/librdkafka/blob/v2.0.2/CONFIGURATION.md";
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair) {
        return client_fail(error, CLIENT_INVALID, hint, "a property is NAME=VALUE, not '%s'", pair);
    }
    char *name = mem_strndup(pair, (size_t)(equals - pair));
    struct client_error why;
    enum client_status status = set(conf, name, equals + 1, &why);
    free(name);
    return status == CLIENT_OK ? status
                               : client_fail(error, status, hint, "%s: %.300s", pair, why.text);
}

/* The addresses that librdkafka will use after all properties. */
static void note_bootstrap(struct connection *connection, rd_kafka_conf_t *conf)
{
    char text[4096];
    size_t size = sizeof text;
    connection->is_mock =
        rd_kafka_conf_get(conf, "test.mock.num.brokers", text, &size) == RD_KAFKA_CONF_OK &&
        strcmp(text, "0") != 0;
    size = sizeof text;
    bool known = rd_kafka_conf_get(conf, "bootstrap.servers", text, &size) == RD_KAFKA_CONF_OK;
    connection->bootstrap = mem_strdup(connection->is_mock ? "the mock cluster"
                                       : known             ? text
                                                           : "?");
}

enum client_status connection_configure(struct connection *connection,
                                        const struct connection_settings *settings,
                                        const struct kafka_property *own, rd_kafka_conf_t **conf,
                                        struct client_error *error)
{
    const struct kafka_property common[] = {
        {"client.id", settings->client_id},
        {"bootstrap.servers", settings->bootstrap_servers},
        {"reconnect.backoff.max.ms", NULL, RECONNECT_MAX_MS},
        {"topic.metadata.refresh.interval.ms", NULL, 30000},
        {"client.software.name",
         settings->software_name != NULL ? settings->software_name : "librdkafka"},
        {"client.software.version",
         settings->software_version != NULL ? settings->software_version : rd_kafka_version_str()},
        {settings->is_debug ? "debug" : NULL, "generic,broker,security,cgrp,admin"},
        {NULL},
    };
    *connection = (struct connection){
        .timeout_ms = settings->timeout_ms > 0 ? settings->timeout_ms : DEFAULT_TIMEOUT_MS,
        .notice = settings->notice,
        .notice_context = settings->notice_context,
        .deadline = settings->deadline,
        .own_peers = settings->own_peers,
    };
    *conf = rd_kafka_conf_new();
    enum client_status status = set_all(*conf, common, error);
    if (status == CLIENT_OK) {
        status = set_all(*conf, own, error);
    }
    if (status == CLIENT_OK) {
        status = set_security(*conf, &settings->security, error);
    }
    for (size_t i = 0; status == CLIENT_OK && i < settings->property_count; i++) {
        status = set_pair(*conf, settings->properties[i], error);
    }
    if (status != CLIENT_OK) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
        return status;
    }
    if (!settings->is_debug) {
        rd_kafka_conf_set_log_cb(*conf, drop_log);
    }
    if (settings->own_peers != NULL) {
        rd_kafka_conf_set_connect_cb(*conf, connect_as_own);
        rd_kafka_conf_set_closesocket_cb(*conf, close_own);
    }
    rd_kafka_conf_set_error_cb(*conf, on_error);
    rd_kafka_conf_set_opaque(*conf, connection);
    pthread_mutex_init(&connection->lock, NULL);
    note_bootstrap(connection, *conf);
    return CLIENT_OK;
}

enum client_status connection_start(struct connection *connection, rd_kafka_type_t type,
                                    rd_kafka_conf_t *conf, struct client_error *error)
{
    char text[384];
    connection->rk = rd_kafka_new(type, conf, text, sizeof text);
    if (connection->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return client_fail(error, CLIENT_INVALID, NULL, "%s", text);
    }
    return CLIENT_OK;
}

void connection_deinit(struct connection *connection)
{
    atomic_store(&connection->is_closing, true);
    kafka_beside_deinit(connection);
    if (connection->rk != NULL) {
        kafka_free_handle(connection, connection->rk,
                          connection->is_stuck ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0);
    }
    if (connection->bootstrap != NULL) {
        pthread_mutex_destroy(&connection->lock);
        free(connection->bootstrap);
    }
    *connection = (struct connection){0};
}

enum client_status connection_open(const struct connection_settings *settings,
                                   struct connection **connection, struct client_error *error)
{
    static const struct kafka_property own[] = {
        {"allow.auto.create.topics", "false"}, /* looking must not create */
        {NULL},
    };
    struct connection *opened = mem_new(struct connection);
    rd_kafka_conf_t *conf;
    enum client_status status = connection_configure(opened, settings, own, &conf, error);
    if (status == CLIENT_OK) {
        status = connection_start(opened, RD_KAFKA_PRODUCER, conf, error);
    }
    if (status != CLIENT_OK) {
        connection_close(opened);
        opened = NULL;
    }
    *connection = opened;
    return status;
}

void connection_close(struct connection *connection)
{
    if (connection != NULL) {
        connection_deinit(connection);
        free(connection);
    }
}

/* NULL: it has none. */
static char *value_of(rd_kafka_conf_t *conf, const char *name)
{
    size_t size = 0;
    if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK || size <= 1) {
        return NULL;
    }
    char *value = mem_alloc(size);
    if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK) {
        free(value);
        value = NULL;
    }
    return value;
}

enum client_status connection_values(const struct connection_settings *settings,
                                     const char *const *names, size_t count, char **values,
                                     struct client_error *error)
{
    static const struct kafka_property own[] = {{NULL}};
    struct connection *unopened = mem_new(struct connection);
    rd_kafka_conf_t *conf;
    enum client_status status = connection_configure(unopened, settings, own, &conf, error);
    for (size_t i = 0; i < count; i++) {
        values[i] = status == CLIENT_OK ? value_of(conf, names[i]) : NULL;
    }
    if (status == CLIENT_OK) {
        rd_kafka_conf_destroy(conf);
    }
    connection_close(unopened);
    return status;
}

int connection_timeout_ms(const struct connection *connection)
{
    return (int)deadline_left_ms(connection->deadline, connection->timeout_ms);
}

const char *connection_bootstrap(const struct connection *connection)
{
    return connection->bootstrap;
}

/* --- failures with what is known of the connection --- */

static void last_error(struct connection *connection, char *text, size_t size)
{
    pthread_mutex_lock(&connection->lock);
    snprintf(text, size, "%s", connection->last_error);
    pthread_mutex_unlock(&connection->lock);
}

enum client_status connection_fail(struct connection *connection, struct client_error *error,
                                   rd_kafka_resp_err_t code, const char *detail)
{
    enum client_status status = client_fail_code(error, code, detail);
    char last[sizeof connection->last_error];
    last_error(connection, last, sizeof last);
    bool is_about_connection =
        code < 0 && (status == CLIENT_UNREACHABLE || status == CLIENT_TIMED_OUT);
    if (error != NULL && is_about_connection && last[0] != '\0') {
        size_t used = strlen(error->text);
        snprintf(error->text + used, sizeof error->text - used, " (%s)", last);
    }
    return status;
}

enum client_status connection_fatal(struct connection *connection, struct client_error *error)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(connection->rk, text, sizeof text);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return CLIENT_OK;
    }
    client_fail_code(error, code, text);
    if (error != NULL) {
        error->status = CLIENT_FATAL; /* whatever it would be elsewhere */
    }
    return CLIENT_FATAL;
}

static enum client_status fail_unreachable(const struct connection *connection, const char *why,
                                           struct client_error *error)
{
    client_fail(error, CLIENT_UNREACHABLE,
                "is the bus running? Start one with 'tidings serve', or name another address "
                "with --bootstrap-server HOST:PORT",
                "cannot reach the bus at %.200s: %.250s", connection->bootstrap, why);
    return CLIENT_UNREACHABLE;
}

/* Somebody listens; find out that it answers in the Kafka protocol. */
static enum client_status check_answers(struct connection *connection, struct client_error *error)
{
    enum { STEP_MS = 500, PATIENCE_WHEN_DOWN_MS = 3000 };
    int64_t start_ms = clock_mono_ms(clock_system());
    for (;;) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t code = rd_kafka_metadata(connection->rk, 0, NULL, &metadata, STEP_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
            return CLIENT_OK;
        }
        rd_kafka_poll(connection->rk, 0);
        char last[sizeof connection->last_error];
        last_error(connection, last, sizeof last);
        int64_t waited_ms = clock_mono_ms(clock_system()) - start_ms;
        if (waited_ms > connection->timeout_ms ||
            (last[0] != '\0' && waited_ms > PATIENCE_WHEN_DOWN_MS)) {
            return fail_unreachable(
                connection,
                last[0] != '\0'
                    ? last
                    : "it accepts connections but does not answer in the Kafka protocol",
                error);
        }
    }
}

enum client_status connection_reach(struct connection *connection, struct client_error *error)
{
    struct reason reason;
    if (!connection->is_mock &&
        connection_probe(connection->bootstrap, connection->timeout_ms, &reason) != ERR_NONE) {
        return fail_unreachable(connection, reason.text, error);
    }
    return check_answers(connection, error);
}

rd_kafka_topic_partition_list_t *kafka_list_new(const struct topic_partitions *partitions)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)partitions->count + 1);
    for (size_t i = 0; i < partitions->count; i++) {
        const struct topic_partition *from = &partitions->items[i];
        rd_kafka_topic_partition_t *to =
            rd_kafka_topic_partition_list_add(list, from->topic, from->partition);
        to->offset = from->offset;
        if (from->metadata != NULL) {
            to->metadata = strdup(from->metadata); /* freed by librdkafka with free() */
            to->metadata_size = strlen(from->metadata);
        }
    }
    return list;
}
