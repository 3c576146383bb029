#ifndef TIDINGS_CLI_BUS_H
#define TIDINGS_CLI_BUS_H

#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "client/admin/admin.h"

/*
 * How a subcommand reaches the bus: the options that all of them share, and what failures of
 * src/client/ become: an exit code and words on standard error. One thread.
 */

struct bus_options {
    const char *bootstrap; /* NULL: TIDINGS_BOOTSTRAP_SERVER, else 127.0.0.1:9092 */
    const char *url;       /* of the bus layer (cli/http_client.h); NULL: TIDINGS_URL, else asked */
    int64_t timeout_ms;
    struct text_list properties; /* name=value for librdkafka */
    bool is_json;
    bool is_debug;
};

/* The defaults to start from. */
struct bus_options bus_options_default(void);

/* The rows of --bootstrap-server, --timeout, --json, -X and --debug, filling `options`. */
struct option_set bus_option_set(struct bus_options *options);

/* The same as src/client/ takes them; borrows from options, without notice. */
struct connection_settings bus_settings(const struct bus_options *options);

/* Opens a connection to ask by and makes sure that the bus answers. Returns the exit code; on
 * failure (told) *connection is NULL. */
int bus_open(const struct bus_options *options, struct connection **connection);

/* Tells why a publisher, reader or connection could not be opened. Returns the exit code. */
int bus_fail_open(const struct client_error *error);

/* Makes sure that the bus answers; a failure is told. Returns the exit code. */
int bus_reach(struct connection *connection);

/* The one table from what went wrong to the exit code. */
enum cli_exit bus_exit_code(enum client_status status);

/* True when it is the bus that is gone or does not answer, so that asking on leads nowhere. */
bool bus_is_silent(const struct client_error *error);

/* Tells "cannot <what>: <why>" and what to do next where that is known. Returns the exit code. */
int bus_fail(const struct client_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The one topic of this name; a failure is told. Free *topics in any case. Returns the exit code.
 */
int bus_topic(struct connection *connection, const char *name, struct admin_topics *topics);

/* Adds partition `number` of the topic to the list, or all with -1. EXIT_NOT_FOUND (told). */
int bus_partitions(struct connection *connection, const char *topic, int64_t number,
                   struct topic_partitions *list);

/* "topic 'x' does not exist", "group 'x' does not exist", with a hint. Return EXIT_NOT_FOUND. */
int bus_fail_no_topic(const char *topic);
int bus_fail_no_group(const char *group);

#endif
