#include "cli/client.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "client/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BOOTSTRAP "127.0.0.1:9092"

struct client_options client_options_default(void)
{
    return (struct client_options){.timeout_ms = 30000};
}

struct option_set client_option_set(struct client_options *options)
{
    static const struct option_spec specs[] = {
        {'b', "bootstrap-server", "HOST:PORT", OPTION_TEXT,
         offsetof(struct client_options, bootstrap), 0, 0,
         "address of the bus, or several with commas\n"
         "(default: $TIDINGS_BOOTSTRAP_SERVER or " DEFAULT_BOOTSTRAP ")"},
        {0, "timeout", "DURATION", OPTION_DURATION, offsetof(struct client_options, timeout_ms),
         100, 86400000, "how long to wait for the bus (default: 30s)"},
        {'j', "json", NULL, OPTION_FLAG, offsetof(struct client_options, is_json), 0, 0,
         "print JSON for programs"},
        {'X', "property", "NAME=VALUE", OPTION_TEXTS, offsetof(struct client_options, properties),
         0, 0, "set a property of librdkafka, e.g. for TLS (repeat it)"},
        {0, "debug", NULL, OPTION_FLAG, offsetof(struct client_options, is_debug), 0, 0,
         "show what librdkafka does, on standard error"},
    };
    return (struct option_set){"Connection and output", specs, sizeof specs / sizeof specs[0],
                               options};
}

const char *client_bootstrap(const struct client_options *options)
{
    if (options->bootstrap != NULL) {
        return options->bootstrap;
    }
    const char *from_environment = getenv("TIDINGS_BOOTSTRAP_SERVER");
    if (from_environment != NULL && from_environment[0] != '\0') {
        return from_environment;
    }
    return DEFAULT_BOOTSTRAP;
}

static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static void on_error(rd_kafka_t *rk, int err, const char *text, void *opaque)
{
    (void)rk;
    struct client *client = opaque;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (client->warns_of_outages && !client->is_down) {
            cli_warn("the bus at %s went away; trying again until it is back",
                     client_bootstrap(client->options));
        }
        client->is_down = true;
        return;
    }
    snprintf(client->last_error, sizeof client->last_error, "%s", text);
}

rd_kafka_conf_t *client_conf_new(const struct client_options *options)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    client_conf_set(conf, "bootstrap.servers", client_bootstrap(options));
    client_conf_set(conf, "client.id", "tidings-cli");
    client_conf_set(conf, "reconnect.backoff.max.ms", "1000");
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (options->is_debug) {
        client_conf_set(conf, "debug", "generic,broker,security,cgrp,admin");
    } else {
        rd_kafka_conf_set_log_cb(conf, drop_log);
    }
    return conf;
}

void client_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "tidings: bug: librdkafka refused %s=%s: %s\n", name, value, text);
        abort();
    }
}

static int apply_properties(const struct client_options *options, rd_kafka_conf_t *conf)
{
    const char *hint = "all properties: https://github.com/confluentinc/librdkafka/blob/v2.0.2/"
                       "CONFIGURATION.md";
    for (size_t i = 0; i < options->properties.count; i++) {
        const char *pair = options->properties.items[i];
        char *name;
        const char *value;
        if (!options_split_pair(pair, &name, &value)) {
            return cli_fail(EXIT_USAGE, hint, "-X needs NAME=VALUE, not '%s'", pair);
        }
        char text[256];
        rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof text);
        free(name);
        if (result != RD_KAFKA_CONF_OK) {
            return cli_fail(EXIT_USAGE, hint, "-X %s: %s", pair, text);
        }
    }
    return EXIT_OK;
}

/* The address that librdkafka will use, after -X; NULL when it plays the bus itself (tests). */
static char *effective_bootstrap(rd_kafka_conf_t *conf)
{
    char text[4096];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(conf, "test.mock.num.brokers", text, &size) == RD_KAFKA_CONF_OK &&
        strcmp(text, "0") != 0) {
        return NULL;
    }
    size = sizeof text;
    if (rd_kafka_conf_get(conf, "bootstrap.servers", text, &size) != RD_KAFKA_CONF_OK) {
        return NULL;
    }
    return mem_strdup(text);
}

static int fail_unreachable(const char *bootstrap, const char *why)
{
    return cli_fail(EXIT_UNREACHABLE,
                    "is the bus running? Start one with 'tidings serve', or name another address "
                    "with --bootstrap-server HOST:PORT",
                    "cannot reach the bus at %s: %s", bootstrap, why);
}

/* Somebody listens; find out that it answers in the Kafka protocol. */
static int check_answers(struct client *client, const char *bootstrap)
{
    enum { STEP_MS = 500, PATIENCE_WHEN_DOWN_MS = 3000 };
    int64_t start_ms = clock_wall_ms(clock_system());
    for (;;) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t err = rd_kafka_metadata(client->rk, 0, NULL, &metadata, STEP_MS);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
            return EXIT_OK;
        }
        rd_kafka_poll(client->rk, 0);
        int64_t waited_ms = clock_wall_ms(clock_system()) - start_ms;
        if (waited_ms > client->options->timeout_ms ||
            (client->last_error[0] != '\0' && waited_ms > PATIENCE_WHEN_DOWN_MS)) {
            const char *why = client->last_error[0] != '\0' ? client->last_error
                                                            : "it accepts connections but does not "
                                                              "answer in the Kafka protocol";
            return fail_unreachable(bootstrap, why);
        }
    }
}

static int open_configured(const struct client_options *options, rd_kafka_type_t type,
                           rd_kafka_conf_t **conf, struct client *client)
{
    int code = apply_properties(options, *conf);
    if (code != EXIT_OK) {
        return code;
    }
    char *bootstrap = effective_bootstrap(*conf);
    struct reason reason;
    char text[512];
    if (bootstrap != NULL &&
        connection_probe(bootstrap, (int)options->timeout_ms, &reason) != ERR_NONE) {
        code = fail_unreachable(bootstrap, reason.text);
        goto done;
    }
    client->rk = rd_kafka_new(type, *conf, text, sizeof text);
    if (client->rk == NULL) {
        code = cli_fail(EXIT_USAGE, "check the -X properties", "librdkafka refused: %s", text);
        goto done;
    }
    *conf = NULL;
    code = check_answers(client, bootstrap != NULL ? bootstrap : "the mock cluster");
done:
    free(bootstrap);
    return code;
}

int client_open(const struct client_options *options, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                void *context, struct client **client)
{
    struct client *opening = mem_new(struct client);
    opening->options = options;
    opening->context = context;
    rd_kafka_conf_set_opaque(conf, opening);
    int code = open_configured(options, type, &conf, opening);
    if (conf != NULL) {
        rd_kafka_conf_destroy(conf);
    }
    if (code != EXIT_OK) {
        client_close(opening);
        opening = NULL;
    }
    *client = opening;
    return code;
}

int client_open_admin(const struct client_options *options, struct client **client)
{
    rd_kafka_conf_t *conf = client_conf_new(options);
    client_conf_set(conf, "allow.auto.create.topics", "false"); /* looking must not create */
    return client_open(options, RD_KAFKA_PRODUCER, conf, NULL, client);
}

void client_close(struct client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->rk != NULL) {
        rd_kafka_destroy(client->rk);
    }
    free(client);
}
