#include "cli/bus/bus.h"

#include "cli/base/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_BOOTSTRAP "127.0.0.1:9092"

struct bus_options bus_options_default(void)
{
    return (struct bus_options){.timeout_ms = 30000};
}

struct option_set bus_option_set(struct bus_options *options)
{
    static const struct option_spec specs[] = {
        {'b', "bootstrap-server", "HOST:PORT", OPTION_TEXT, offsetof(struct bus_options, bootstrap),
         0, 0,
         "address of the bus, or several with commas\n"
         "(default: $TIDINGS_BOOTSTRAP_SERVER or " DEFAULT_BOOTSTRAP ")"},
        {0, "timeout", "DURATION", OPTION_DURATION, offsetof(struct bus_options, timeout_ms), 100,
         86400000, "how long to wait for the bus (default: 30s)"},
        {'j', "json", NULL, OPTION_FLAG, offsetof(struct bus_options, is_json), 0, 0,
         "print JSON for programs"},
        {'X', "property", "NAME=VALUE", OPTION_TEXTS, offsetof(struct bus_options, properties), 0,
         0, "set a property of librdkafka, e.g. for TLS (repeat it)"},
        {0, "debug", NULL, OPTION_FLAG, offsetof(struct bus_options, is_debug), 0, 0,
         "show what librdkafka does, on standard error"},
    };
    return (struct option_set){"Connection and output", specs, sizeof specs / sizeof specs[0],
                               options};
}

static const char *bootstrap(const struct bus_options *options)
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

struct connection_settings bus_settings(const struct bus_options *options)
{
    return (struct connection_settings){
        .bootstrap_servers = bootstrap(options),
        .client_id = CONNECTION_COMMAND,
        .software_name = CONNECTION_COMMAND,
        .software_version = TIDINGS_VERSION,
        .timeout_ms = (int)options->timeout_ms,
        .properties = options->properties.items,
        .property_count = options->properties.count,
        .is_debug = options->is_debug,
    };
}

int bus_fail_open(const struct client_error *error)
{
    return cli_fail(error->status == CLIENT_INVALID ? EXIT_USAGE : bus_exit_code(error->status),
                    error->hint != NULL ? error->hint : "check the -X properties", "%s",
                    error->text);
}

int bus_reach(struct connection *connection)
{
    struct client_error error;
    if (connection_reach(connection, &error) == CLIENT_OK) {
        return EXIT_OK;
    }
    return cli_fail(bus_exit_code(error.status), error.hint, "%s", error.text);
}

int bus_open(const struct bus_options *options, struct connection **connection)
{
    struct client_error error;
    struct connection_settings settings = bus_settings(options);
    if (connection_open(&settings, connection, &error) != CLIENT_OK) {
        return bus_fail_open(&error);
    }
    int code = bus_reach(*connection);
    if (code != EXIT_OK) {
        connection_close(*connection);
        *connection = NULL;
    }
    return code;
}

enum cli_exit bus_exit_code(enum client_status status)
{
    switch (status) {
    case CLIENT_OK:
        return EXIT_OK;
    case CLIENT_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case CLIENT_TIMED_OUT:
        return EXIT_TIMED_OUT;
    case CLIENT_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case CLIENT_CONFLICT:
        return EXIT_CONFLICT;
    case CLIENT_INVALID:
    case CLIENT_REFUSED:
    case CLIENT_FULL:
    case CLIENT_CLOSED:
    case CLIENT_FATAL:
        break;
    }
    return EXIT_FAILED;
}

bool bus_is_silent(const struct client_error *error)
{
    return error->status == CLIENT_UNREACHABLE || error->status == CLIENT_TIMED_OUT;
}

int bus_fail(const struct client_error *error, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return cli_fail(bus_exit_code(error->status), error->hint, "cannot %s: %s", what, error->text);
}

int bus_fail_no_topic(const char *topic)
{
    return cli_fail(EXIT_NOT_FOUND,
                    "see the topics with 'tidings topic list', or make it with "
                    "'tidings topic create TOPIC'",
                    "topic '%s' does not exist", topic);
}

int bus_fail_no_group(const char *group)
{
    return cli_fail(EXIT_NOT_FOUND, "see the groups with: tidings group list",
                    "group '%s' does not exist", group);
}

int bus_topic(struct connection *connection, const char *name, struct admin_topics *topics)
{
    struct client_error error;
    switch (admin_topic(connection, name, false, topics, &error)) {
    case CLIENT_OK:
        return EXIT_OK;
    case CLIENT_NOT_FOUND:
        return bus_fail_no_topic(name);
    default:
        return bus_fail(&error, "look up topic '%s'", name);
    }
}

int bus_partitions(struct connection *connection, const char *topic, int64_t number,
                   struct topic_partitions *list)
{
    struct admin_topics topics;
    int code = bus_topic(connection, topic, &topics);
    if (code == EXIT_OK) {
        size_t count = topics.items[0].partitions.count;
        if (number >= (int64_t)count) {
            code = cli_fail(EXIT_NOT_FOUND, NULL, "topic '%s' has no partition %lld, only 0 to %d",
                            topic, (long long)number, (int)count - 1);
        }
        for (size_t i = 0; code == EXIT_OK && i < count; i++) {
            int32_t id = topics.items[0].partitions.items[i].id;
            if ((number < 0 || number == id) && topic_partitions_find(list, topic, id) == NULL) {
                topic_partitions_add(list, topic, id, -1);
            }
        }
    }
    admin_topics_deinit(&topics);
    return code;
}
