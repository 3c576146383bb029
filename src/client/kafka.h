#ifndef TIDINGS_CLIENT_KAFKA_H
#define TIDINGS_CLIENT_KAFKA_H

/* The inside of this room: librdkafka, and what its modules share. For src/client/ *.c only. */

#include "client/connection.h"
#include "client/partitions.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

/* The opaque of every librdkafka handle here; publisher and reader have it inside. */
struct connection {
    rd_kafka_t *rk;
    char *bootstrap;
    bool is_mock;    /* librdkafka plays the bus itself (tests) */
    bool is_guarded; /* see connection_settings */
    int timeout_ms;
    const struct deadline *deadline; /* NULL: none */
    client_notice_fn *notice;
    void *notice_context;
    atomic_bool is_closing; /* complaints are of no interest any more */
    bool is_stuck;          /* the bus did not answer the farewell: free without another one */
    atomic_bool is_down;    /* no address answered when last heard of */
    int64_t said_down_ms;   /* monotonic; the serving thread's own; 0: never */
    pthread_mutex_t lock;   /* guards last_error and by_group */
    rd_kafka_t *by_group;   /* see connection_group_handle; NULL: not needed yet */
    char last_error[256];   /* what librdkafka last complained of, "" when nothing */
};

/* A property and its value as text, or as number when text is NULL. Name NULL ends a list. */
struct kafka_property {
    const char *name;
    const char *text;
    int number;
};

/*
 * A configuration for `connection` from the settings: `own` first, then security, then the
 * caller's properties. CLIENT_INVALID names what is wrong, and *conf is NULL. Fills connection.
 */
CHECKED enum client_status connection_configure(struct connection *connection,
                                                const struct connection_settings *settings,
                                                const struct kafka_property *own,
                                                rd_kafka_conf_t **conf, struct client_error *error);

/* Opens the handle; takes conf in any case. */
CHECKED enum client_status connection_start(struct connection *connection, rd_kafka_type_t type,
                                            rd_kafka_conf_t *conf, struct client_error *error);

/*
 * The handle to ask for committed offsets by: librdkafka (2.0.2 and later ones) writes to memory
 * that is not there when a handle without a group of its own is told that a coordinator has moved.
 * The connection's own when that is a consumer of a group, else one beside it that is opened for
 * the first `group`, which it does not join, and lives as long as the connection. Any thread.
 */
CHECKED enum client_status connection_group_handle(struct connection *connection, const char *group,
                                                   rd_kafka_t **rk, struct client_error *error);

/* Frees what connection_configure and _start made, in place. */
void connection_deinit(struct connection *connection);

/* The bus was heard. Cheap. */
void connection_heard(struct connection *connection);

/* client_fail_code, with librdkafka's last complaint behind it when it is about the connection. */
enum client_status connection_fail(struct connection *connection, struct client_error *error,
                                   rd_kafka_resp_err_t code, const char *detail);

/* The fatal error of a handle that has one, else CLIENT_OK. */
enum client_status connection_fatal(struct connection *connection, struct client_error *error);

/*
 * rd_kafka_metadata, _offsets_for_times and _committed, which cannot be ended once they wait: with
 * connection_timeout_ms, but so that a deadline which begins meanwhile is seen soon. The handle may
 * be another one than the connection's.
 */
rd_kafka_resp_err_t kafka_ask_metadata(struct connection *connection, bool all,
                                       rd_kafka_topic_t *topic,
                                       const struct rd_kafka_metadata **metadata);
rd_kafka_resp_err_t kafka_ask_times(struct connection *connection,
                                    rd_kafka_topic_partition_list_t *list);
rd_kafka_resp_err_t kafka_ask_committed(struct connection *connection,
                                        rd_kafka_topic_partition_list_t *list);

/* rd_kafka_queue_poll for up to most_ms, which a deadline that begins meanwhile ends. */
rd_kafka_event_t *kafka_await(struct connection *connection, rd_kafka_queue_t *queue,
                              int64_t most_ms);

/* The list in librdkafka's form; the caller destroys it. */
rd_kafka_topic_partition_list_t *kafka_list_new(const struct topic_partitions *partitions);

#endif
