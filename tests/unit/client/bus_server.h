#ifndef TIDINGS_TESTS_CLIENT_BUS_SERVER_H
#define TIDINGS_TESTS_CLIENT_BUS_SERVER_H

#include <sys/types.h>

/* A server of its own for a test: `tidings serve` ($TIDINGS_BIN) on a fresh data directory. */
struct bus_server {
    pid_t pid;
    char *data;
    char *address;
};

/* Returns when clients can connect; ends the test program when that fails. The server dies with
 * the test. */
void bus_server_start(struct bus_server *server);

/* Stops it, which must go well, and removes its data. */
void bus_server_stop(struct bus_server *server);

#endif
