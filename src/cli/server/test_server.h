#ifndef TIDINGS_CLI_TEST_SERVER_H
#define TIDINGS_CLI_TEST_SERVER_H

#include "cli/bus/bus.h"

#include <jansson.h>

/*
 * Asks a server for tests what no Kafka client can: at the control socket in its data directory, so
 * on its machine and as its user. One thread.
 */
struct test_server_options {
    struct bus_options bus; /* the server is asked where its data is, where data_dir is not set */
    const char *data_dir;
};

/* Those to start from. */
struct test_server_options test_server_default(void);

/* The row of --data, for the option set that stands beside bus_option_set(&options->bus). */
struct option_set test_server_option_set(struct test_server_options *options);

/* Asks one line (without its end) and gives the answer, without "ok"; json_decref it. Returns the
 * exit code; a failure is told. */
int test_server_ask(const struct test_server_options *options, const char *line, json_t **answer);

#endif
