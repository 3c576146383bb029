#ifndef TIDINGS_TESTS_CLIENT_BUS_SERVER_H
#define TIDINGS_TESTS_CLIENT_BUS_SERVER_H

#include "client/admin/admin.h"
#include "client/publisher/publisher.h"

#include <sys/types.h>

/*
 * A server of its own for a test: `tidings serve` ($TIDINGS_BIN) on a fresh data directory, with a
 * connection and a publisher to it. Groups may have sessions of a tenth of a second, and no topic
 * is made by being named. What fails here ends the test program.
 *
 * With $TEST_BUS it is the cluster of those addresses, up to NODES_MAX, instead, from which all
 * topics of before are removed; $TEST_BUS_NODES has the files broker-N.pid of its nodes, which
 * somebody starts again when they are killed.
 */
enum { NODES_MAX = 8 };

struct bus_server {
    pid_t pid;
    pid_t killed[NODES_MAX]; /* of a foreign one */
    char *data;
    char *address;
    int held_fd; /* holds its port */
    struct connection *connection;
    struct publisher *publisher;
    int kept; /* events that bus_server_put's publisher got acknowledged */
};

bool bus_server_is_foreign(void);

/* Returns when clients can connect. The server dies with the test. */
void bus_server_start(struct bus_server *server);

/* Kills it, and starts it again at its address; what it had acknowledged is there. */
void bus_server_kill(struct bus_server *server);
void bus_server_start_again(struct bus_server *server);

/* One of the test's own takes what comes and answers nothing, until it goes on. */
void bus_server_hang(struct bus_server *server);
void bus_server_go_on(struct bus_server *server);

/* Stops it, which must go well, and removes its data. */
void bus_server_stop(struct bus_server *server);

struct connection_settings bus_server_settings(const struct bus_server *server);

void bus_server_topic(struct bus_server *server, const char *topic, int32_t partitions);
void bus_server_delete_topic(struct bus_server *server, const char *topic);

/* One setting of a topic; the others go back to their defaults. */
void bus_server_alter(struct bus_server *server, const char *topic, const char *name,
                      const char *value);

/* Publishes a plain record, or as many, waiting until all are kept. */
void bus_server_put(struct bus_server *server, const char *topic, int32_t partition,
                    const char *value);
void bus_server_put_event(struct bus_server *server, const struct event *event);

/* With values first, first + 1, ... */
void bus_server_put_numbers(struct bus_server *server, const char *topic, int32_t partition,
                            int first, int count);

/* Deletes what stands before an offset of partition 0. */
void bus_server_delete_records(struct bus_server *server, const char *topic, int64_t before);

/* The group's committed offset, -1 when there is none. */
int64_t bus_server_committed(struct bus_server *server, const char *group, const char *topic,
                             int32_t partition);

/* cmocka's group set-up and tear-down: *state is a server that was started. */
int bus_server_set_up(void **state);
int bus_server_tear_down(void **state);

#endif
