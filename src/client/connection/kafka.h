#ifndef TIDINGS_CLIENT_CONNECTION_KAFKA_H
#define TIDINGS_CLIENT_CONNECTION_KAFKA_H

/* The inside of this room: librdkafka, and what its modules share. For *.c of src/client/ only. */

#include "client/connection/connection.h"
#include "client/connection/partitions.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

/* A handle beside the connection's own (beside.c), or none yet. */
struct kafka_slot {
    struct kafka_beside *beside;
    bool is_own_stale; /* the connection's own one is not asked any more */
};

/* The opaque of every librdkafka handle here; publisher and reader have it inside. */
struct connection {
    rd_kafka_t *rk;
    char *bootstrap;
    bool is_mock; /* librdkafka plays the bus itself (tests) */
    int timeout_ms;
    const struct deadline *deadline; /* NULL: none */
    struct own_peers *own_peers;     /* NULL: the bus is elsewhere */
    client_notice_fn *notice;
    void *notice_context;
    atomic_bool is_closing; /* complaints are of no interest any more */
    bool is_stuck;          /* the bus did not answer the farewell: free without another one */
    atomic_bool is_down;    /* no address answered when last heard of */
    int64_t said_down_ms;   /* monotonic; the serving thread's own; 0: never */
    pthread_mutex_t lock;   /* guards what follows */
    struct kafka_slot by_all, by_group; /* see kafka_all_begin, kafka_group_begin */
    struct kafka_aside *left;           /* calls that were left: aside.c */
    char last_error[256];               /* what librdkafka last complained of, "" when nothing */
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

/* Frees what connection_configure and _start made, in place. */
void connection_deinit(struct connection *connection);

/* The bus was heard. Cheap. */
void connection_heard(struct connection *connection);

/* client_fail_code, with librdkafka's last complaint behind it when it is about the connection. */
enum client_status connection_fail(struct connection *connection, struct client_error *error,
                                   rd_kafka_resp_err_t code, const char *detail);

/* The fatal error of a handle that has one, else CLIENT_OK. */
enum client_status connection_fatal(struct connection *connection, struct client_error *error);

/* --- aside.c --- */

/* A call of librdkafka that waits for the bus: how it is made, and how what it needs is freed. */
struct kafka_call {
    void (*make)(rd_kafka_t *rk, void *call);
    void (*drop)(void *call);
};

/*
 * Makes the call, on another thread where the connection has a deadline. True: it has returned, and
 * is the caller's as before. False: the deadline did not have the time (deadline_is_pressing), and
 * the call, which is dropped when it returns, is not the caller's any more. Any thread.
 */
bool kafka_call(struct connection *connection, rd_kafka_t *rk, const struct kafka_call *kind,
                void *call);

/* rd_kafka_destroy_flags of the connection's own handle or one beside; where calls were left in it
 * that is done beside, when they have returned. Nobody makes another one. */
void kafka_free_handle(struct connection *connection, rd_kafka_t *rk, int flags);

/* What was left in the handle, NULL: nothing; who takes it waits for it, and then frees the handle.
 */
struct kafka_aside *kafka_left(struct connection *connection, const rd_kafka_t *rk);
void kafka_left_wait(struct kafka_aside *left);

/* --- ask_others.c --- */

/* A question to others than a partition's leader: what to ask by. */
struct kafka_asking {
    rd_kafka_t *rk;
    struct kafka_beside *beside; /* NULL: rk is the connection's own */
    int brokers;                 /* of kafka_all_begin: how many there are */
    int timeout_ms;              /* the same: how long to wait */
};

/*
 * Before a question to all brokers: gives a handle that knows those there are. Behind an answer
 * that did not come from all it is another one. A cluster of several brokers is to be waited for
 * for 5 s at most. When it succeeds kafka_all_end follows, with the code of the answer. Any thread.
 */
CHECKED enum client_status kafka_all_begin(struct connection *connection,
                                           struct kafka_asking *asking, struct client_error *error);
/* The answer is there: what the handle was given for is over. */
void kafka_all_end(struct connection *connection, const struct kafka_asking *asking,
                   rd_kafka_resp_err_t code);

/*
 * Before a request of the admin API to a group's coordinator: gives a handle beside the
 * connection's own that is a consumer of a group, and joins nothing; librdkafka (2.0.2 and later
 * ones) writes to memory that is not there when one without a group is told that a coordinator has
 * moved. When it succeeds kafka_group_end follows; is_over: it is not asked again, as who was asked
 * is the coordinator no longer, or as the request was given up (admin_request.c). Any thread.
 */
CHECKED enum client_status kafka_group_begin(struct connection *connection, const char *group,
                                             struct kafka_asking *asking,
                                             struct client_error *error);
/* The same for kafka_group_begin. */
void kafka_group_end(struct connection *connection, const struct kafka_asking *asking,
                     bool is_over);

/* --- beside.c --- */

/*
 * Gives the handle of the slot, which is opened when there is none: a producer, or with `group` a
 * consumer of that, which joins nothing. While may_be_own, and until that is stale, it is the
 * connection's own. When it succeeds _give follows; is_stale: nobody is given this one again.
 */
CHECKED enum client_status kafka_beside_take(struct connection *connection, struct kafka_slot *slot,
                                             bool may_be_own, const char *group,
                                             struct kafka_asking *asking,
                                             struct client_error *error);
/* Gives it back; the last one to do so closes it when it is stale. */
void kafka_beside_give(struct connection *connection, struct kafka_slot *slot,
                       const struct kafka_asking *asking, bool is_stale);

/* Closes what was opened. Nobody asks any more. */
void kafka_beside_deinit(struct connection *connection);

/* --- ask.c --- */

/*
 * rd_kafka_metadata, _offsets_for_times, _committed, _seek_partitions and _list_groups, each as a
 * kafka_call: RD_KAFKA_RESP_ERR__TIMED_OUT when the deadline did not have the time. They take
 * connection_timeout_ms, or most_ms. The handle may be another one than the connection's. While a
 * partition goes from one leader to another its times are asked for again, for 10 s.
 */
rd_kafka_resp_err_t kafka_ask_metadata(struct connection *connection, bool all,
                                       rd_kafka_topic_t *topic,
                                       const struct rd_kafka_metadata **metadata);
rd_kafka_resp_err_t kafka_ask_metadata_by(struct connection *connection, rd_kafka_t *rk, bool all,
                                          rd_kafka_topic_t *topic, int most_ms,
                                          const struct rd_kafka_metadata **metadata);
rd_kafka_resp_err_t kafka_ask_times(struct connection *connection,
                                    rd_kafka_topic_partition_list_t *list);
rd_kafka_resp_err_t kafka_ask_committed(struct connection *connection,
                                        rd_kafka_topic_partition_list_t *list, int most_ms);
/* *failure: of all of them, or NULL; then each partition has its own. */
rd_kafka_resp_err_t kafka_seek(struct connection *connection, rd_kafka_topic_partition_list_t *list,
                               rd_kafka_error_t **failure);
/* *list is NULL when nothing was answered. */
rd_kafka_resp_err_t kafka_ask_groups(struct connection *connection,
                                     const struct kafka_asking *asking, const char *name,
                                     const struct rd_kafka_group_list **list);

/* rd_kafka_queue_poll for up to most_ms, which a deadline that begins meanwhile ends. */
rd_kafka_event_t *kafka_await(struct connection *connection, rd_kafka_queue_t *queue,
                              int64_t most_ms);

/* The list in librdkafka's form; the caller destroys it. */
rd_kafka_topic_partition_list_t *kafka_list_new(const struct topic_partitions *partitions);

#endif
