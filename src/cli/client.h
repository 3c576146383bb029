#ifndef TIDINGS_CLI_CLIENT_H
#define TIDINGS_CLI_CLIENT_H

#include "cli/options.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The connection of a subcommand to the bus, on librdkafka: options that all of them share,
 * configuration, a start that fails fast, and errors in words. One thread.
 */

struct client_options {
    const char *bootstrap; /* NULL: TIDINGS_BOOTSTRAP_SERVER, else 127.0.0.1:9092 */
    int64_t timeout_ms;
    struct text_list properties; /* name=value for librdkafka */
    bool is_json;
    bool is_debug;
};

/* The defaults to start from. */
struct client_options client_options_default(void);

/* The rows of --bootstrap-server, --timeout, --json, -X and --debug, filling `options`. */
struct option_set client_option_set(struct client_options *options);

/* The address that counts: the option, the environment or the default. Never NULL. */
const char *client_bootstrap(const struct client_options *options);

struct client {
    rd_kafka_t *rk;
    const struct client_options *options;
    void *context;         /* for the command's own callbacks (opaque is the client) */
    char last_error[256];  /* what librdkafka last complained of, "" when nothing */
    bool is_down;          /* every broker was out of reach when last heard of */
    bool warns_of_outages; /* tell on standard error when the bus goes away */
};

/* A fresh configuration: address, quiet log, client id, error callback. Owned by the caller until
 * client_open takes it. */
rd_kafka_conf_t *client_conf_new(const struct client_options *options);

/* Sets a property that the command itself chose; a refused one is a bug and ends the process. */
void client_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);

/*
 * Applies -X, makes sure that somebody listens at the address and answers as a Kafka-protocol bus,
 * and opens. Takes conf in every case. `context` is in place before a callback can run.
 * On failure (told on standard error) returns the exit code and *client is NULL.
 */
int client_open(const struct client_options *options, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                void *context, struct client **client);

/* A client that only asks and administers. */
int client_open_admin(const struct client_options *options, struct client **client);

/* NULL is fine. Does not flush or commit. */
void client_close(struct client *client);

static inline int client_timeout_ms(const struct client *client)
{
    return (int)client->options->timeout_ms;
}

/* The exit code that fits a Kafka error, and what to do next (NULL when that is not known). */
int client_exit_code(rd_kafka_resp_err_t err);
const char *client_hint(rd_kafka_resp_err_t err);

/* True when client.last_error may tell more about this error. */
bool client_is_connection_error(rd_kafka_resp_err_t err);

/*
 * Tells that `what` could not be done because of err, with the bus's own words (`detail`) when
 * there are any, and what to do next where that is known. Returns the exit code.
 */
int bus_fail(struct client *client, rd_kafka_resp_err_t err, const char *detail, const char *format,
             ...) __attribute__((format(printf, 4, 5)));

/* Options of an admin request with the client's time-out; free with rd_kafka_AdminOptions_destroy.
 */
rd_kafka_AdminOptions_t *client_admin_options(struct client *client, rd_kafka_admin_op_t op);

/*
 * Waits for the result of the one admin request posted to `queue`. On EXIT_OK the caller destroys
 * *event; else the failure is told as "cannot <what>".
 */
int client_admin_wait(struct client *client, rd_kafka_queue_t *queue, rd_kafka_event_t **event,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * One admin request and its answer: client_admin_begin; hand `options` and `queue` to the
 * rd_kafka_ call that posts it; client_admin_finish, which waits as client_admin_wait does and ends
 * the request in any case.
 */
struct admin_request {
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
};

struct admin_request client_admin_begin(struct client *client, rd_kafka_admin_op_t op);
int client_admin_finish(struct client *client, struct admin_request *request,
                        rd_kafka_event_t **event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Metadata of one topic, or of all with topic NULL. A topic that is unknown is EXIT_NOT_FOUND, told
 * with what to do; `may_be_created` gives a bus that creates topics on use a moment to do so.
 * On EXIT_OK the caller calls rd_kafka_metadata_destroy.
 */
int client_metadata(struct client *client, const char *topic, bool may_be_created,
                    const struct rd_kafka_metadata **metadata);

#endif
