#ifndef TIDINGS_CLIENT_ADMIN_ADMIN_REQUEST_H
#define TIDINGS_CLIENT_ADMIN_ADMIN_REQUEST_H

/* The inside of client/admin/admin.h: one request of librdkafka's admin API and its answer. */

#include "client/admin/admin.h"
#include "client/connection/kafka.h"

struct admin_request {
    struct connection *connection;
    rd_kafka_t *rk; /* who asks */
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event; /* the answer; NULL: none */
    bool is_of_coordinator;
    bool is_given_up; /* no answer came in time: see admin_request_begin_by */
};

/* Makes options with the connection's time-out and the queue: hand both to the rd_kafka_ call. */
struct admin_request admin_request_begin(struct connection *connection, rd_kafka_admin_op_t op);

/*
 * The same for a handle of its own: see kafka_group_begin. Requests to a group's coordinator never
 * time out within librdkafka, which does not survive it (beside.c): they are given up, and then the
 * handle is to be freed, which takes them back.
 */
struct admin_request admin_request_begin_by(struct connection *connection, rd_kafka_t *rk,
                                            rd_kafka_admin_op_t op);

/* The same for a question to all brokers, between kafka_all_begin and kafka_all_end. */
struct admin_request admin_request_begin_all(struct connection *connection,
                                             const struct kafka_asking *all,
                                             rd_kafka_admin_op_t op);

/* Waits for the answer, into request->event. */
enum client_status admin_request_wait(struct admin_request *request, struct client_error *error);

/* Forgets the answer, for the next one where several requests were sent. */
void admin_request_next(struct admin_request *request);

/* Frees all of it. */
void admin_request_end(struct admin_request *request);

struct admin_look;

/* admin_group for who does not wait: a thread asks. NULL: it cannot be started. */
struct admin_look *admin_look_begin(struct connection *connection, const char *name);

/* Whether the answer is there; *group has no state when it is an error, and is the caller's to
 * free. */
bool admin_look_answered(struct admin_look *look, struct admin_group *group);

/* Frees it, also when no answer came: it waits for the thread, as long as a question to all brokers
 * takes. NULL is fine. */
void admin_look_end(struct admin_look *look);

/* Fills offsets, or error, of the answers[i] that have no error yet, for names[i]; count > 0. */
enum client_status admin_list_all_offsets(struct connection *connection, const char *const *names,
                                          size_t count, struct admin_group_answer *answers,
                                          struct client_error *error);

/* Fills group, or error, of answers[i] for names[i]; count > 0. For more than one it asks for all
 * groups that there are. */
enum client_status admin_describe(struct connection *connection, const char *const *names,
                                  size_t count, struct admin_group_answer *answers,
                                  struct client_error *error);

/* Adds the partitions of a member's assignment (Kafka's ConsumerProtocolAssignment), as many as can
 * be made out: the bytes are a client's, and may be anything. */
void admin_take_assignment(const void *bytes, size_t size, struct topic_partitions *partitions);

/* An rd_kafka_error_t (NULL: none) as failure; does not destroy it. */
enum client_status admin_fail(const rd_kafka_error_t *from, struct client_error *error);

/* One more outcome. */
void admin_note(struct admin_outcomes *outcomes, const char *name, rd_kafka_resp_err_t code,
                const char *detail);

/* Adds a librdkafka list's elements to the partitions. */
void admin_take_list(struct topic_partitions *partitions,
                     const rd_kafka_topic_partition_list_t *list);

#endif
