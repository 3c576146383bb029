#ifndef TIDINGS_TESTS_CAMPAIGN_CLIENT_H
#define TIDINGS_TESTS_CAMPAIGN_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The clients of the campaign, on librdkafka: one process each, one thread of its own. Each writes
 * what it does, is told and sees as history lines (history.py has their format), every line before
 * the next step, so that a kill of the client loses none. SIGTERM ends it in good order.
 *
 * Exit codes: 0 good; 3 the library gave the client up (fenced, for example): start a new one;
 * 4 the log's end was not reached in time; 2 wrong use.
 */
enum { EXIT_GIVEN_UP = 3, EXIT_NOT_REACHED = 4 };

enum { VALUE_MAX = 96, TOPICS_MAX = 8 };

/* From the command line, NAME=VALUE each. */
struct options {
    const char *bootstrap;
    const char *process; /* unique over all processes of a run; begins each value */
    const char *history; /* file */
    const char *progress;
    int slot; /* of this client in the progress file */
    const char *topics[TOPICS_MAX];
    int topic_count;
    int partitions; /* of each topic */
    int keys;
    const char *group;
    const char *transactional_id;
    const char *isolation;
    const char *output; /* transform: the topic to write to */
    int64_t seed;       /* what to send */
    int rate;           /* about so many events a second */
    int batch;          /* events of a transaction, or between two commits */
    int abort_percent;  /* of the transactions */
    int transaction_ms; /* transaction.timeout.ms */
    int slow_ms;        /* read: pause after each event */
    int end_s;          /* read: read to the end within so many seconds; 0: until SIGTERM */
};

struct client {
    struct options options;
    int history_fd;
    _Atomic int64_t *progress; /* events acknowledged, seen or transformed: the slot's counter */
    uint64_t random;
    int64_t values; /* made so far */
    int64_t transactions;
    rd_kafka_t *producer;
    rd_kafka_t *consumer;
    rd_kafka_topic_partition_list_t *position; /* next offsets, of what is assigned */
    bool dropped; /* partitions were taken away or given since it was reset */
};

/* ---- all clients (client.c) ---- */

/* One line of history: time and process are put before it. */
void client_log(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One line for people, to standard error. */
void client_say(const struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void client_count(struct client *client, int64_t more);
bool client_stopping(void);
int64_t client_now_ns(void);
uint64_t client_random(struct client *client, uint64_t bound);
/* A handle with the settings of all clients and the given ones (name, value, ..., NULL). */
rd_kafka_t *client_handle(struct client *client, rd_kafka_type_t type, const char *const *settings);

/* ---- sending (client_send.c) ---- */

void producer_open(struct client *client);
/* Logs and hands one event to the library; waits while its queue is full. An empty key: a random
 * one. False when the library refused it. */
bool producer_send(struct client *client, const char *topic, const char *key, const char *txn,
                   const char *input);
/* Serves delivery reports for so long; false when the library has given the producer up. */
bool producer_poll(struct client *client, int timeout_ms);
/* Opens a producer and its transactional id; false: given up. */
bool transactions_open(struct client *client);
bool transaction_begin(struct client *client, char *name, size_t size);
/*
 * Asks for the end and asks again until there is an answer; a commit that cannot be is turned
 * into an abort. False when the library has given the producer up; *committed says how it ended.
 */
bool transaction_end(struct client *client, const char *name, bool commit, bool *committed);

/* ---- receiving (client_receive.c) ---- */

/* For rd_kafka_conf_set_rebalance_cb; opaque is the client. */
void consumer_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t *partitions, void *opaque);
/* Joins the group; what is assigned is read on from the committed offsets. */
void consumer_open(struct client *client, const char *isolation);
/* The next event, logged as seen; NULL: none in time. */
rd_kafka_message_t *consumer_next(struct client *client, int timeout_ms);
/* Goes back to what is committed, after an abort. False: where it is now is not known. */
bool consumer_rewind(struct client *client);
/*
 * Leaves the group. Not by closing at once: librdkafka 2.0 may wait for ever in the rebalance of a
 * close while the coordinator is away. The process must end after it.
 */
void consumer_leave(struct client *client);
/* Without a subscription. */
void consumer_close(struct client *client);

/* ---- one function a mode; the exit code ---- */

int run_produce(struct client *client);
int run_transact(struct client *client);
int run_consume(struct client *client);
int run_transform(struct client *client);
int run_read(struct client *client);
int run_committed(struct client *client);

#endif
