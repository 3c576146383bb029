#ifndef TIDINGS_SDK_SERVICE_H
#define TIDINGS_SDK_SERVICE_H

/*
 * The inside of libtidings. service.c: life and handlers; client.c: what producer and consumer
 * share; publisher.c: the producer; consumer.c: the run loop; progress.c: what may be committed;
 * event.c: CloudEvents in headers.
 */

#include "tidings.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

/* The default one falls through switch labels, which clang warns of. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>

struct handler {
    char *topic;
    char *type; /* NULL: every other type */
    tidings_handler_fn *call;
    void *context;
    struct handler *next;
};

/*
 * The publishes of one handled event. Lives until the event's partition has passed it (or was
 * taken away) and all its publishes are settled.
 */
struct flight {
    int64_t offset; /* of the handled event */
    int pending;    /* publishes not settled yet */
    bool failed;    /* one of them failed */
    bool abandoned; /* no partition looks at it any more: who settles the last publish frees it */
    struct flight *next;
};

/* A message of a partition that waits behind a failed one, or the failed one itself. */
struct waiting {
    rd_kafka_message_t *message;
    struct waiting *prev, *next;
};

/* A partition this process holds. The run thread's own, but for the content of flights. */
struct partition {
    char *name; /* "topic/partition", the hash key */
    char *topic;
    int32_t number;
    int64_t next_offset;      /* after the last event handled; -1: none yet */
    int64_t committed_offset; /* last one sent to the bus; -1: none */
    int64_t rewind_offset;    /* to be read again from here; -1: no */
    struct flight *flights;   /* oldest first */
    struct waiting *waiting;  /* head: the event to retry; empty: not blocked */
    int attempt;              /* how often the head of waiting was tried */
    int64_t retry_at_ms;      /* monotonic */
    UT_hash_handle hh;
};

struct tidings {
    char *name;
    char *instance;
    char *source;
    char *bootstrap_servers;
    char **client_settings;
    int publish_timeout_ms;
    int retry_first_ms;
    int retry_max_ms;
    int commit_interval_ms;
    int session_timeout_ms;
    bool from_end;
    tidings_log_fn *log;
    void *log_context;
    pthread_mutex_t log_lock; /* held while log is called */

    struct handler *handlers;
    atomic_bool stopping;
    bool ran;

    pthread_mutex_t lock;   /* guards the producer's making, the content of flights, fatal* */
    pthread_cond_t settled; /* a flight's last publish was settled; monotonic clock */
    rd_kafka_t *producer;   /* NULL until the first publish */
    pthread_t delivery_thread;
    atomic_bool closing;
    _Atomic int64_t said_down_ms; /* when "no bus answers" was last logged */
    bool fatal;
    struct tidings_error fatal_error;

    /* in_handler is set only by run_thread; the other two are run_thread's own */
    pthread_t run_thread;
    atomic_bool in_handler;
    const struct tidings_event *current_event;
    struct flight *current_flight;

    rd_kafka_t *consumer;
    struct partition *partitions;
    atomic_bool joining; /* between JoinGroup and SyncGroup: commits would be refused */
    int blocked_count;   /* partitions with waiting messages */
    int64_t next_commit_ms;
};

/* --- service.c --- */

/* Formats into error (NULL is fine) and returns status. */
enum tidings_status error_set(struct tidings_error *error, enum tidings_status status,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));

/* One line to the service's log. Any thread. */
void service_log(struct tidings *service, enum tidings_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The handler for an event, or NULL. */
const struct handler *handler_find(const struct tidings *service, const char *topic,
                                   const char *type);

/* --- client.c --- */

/* What a librdkafka error means to the caller of this library. */
enum tidings_status status_of(rd_kafka_resp_err_t code);

/* Notes the client's fatal error, if it has one, so that tidings_run ends. Any thread. */
void service_fail(struct tidings *service, rd_kafka_t *client);

/* A setting as text, or as number when value is NULL. A list ends with name NULL. */
struct config_pair {
    const char *name;
    const char *value;
    int number;
};

/* Sets what both clients share, then pairs, then the caller's client settings. */
enum tidings_status config_fill(struct tidings *service, rd_kafka_conf_t *conf,
                                const struct config_pair *pairs, struct tidings_error *error);

/* Tries the settings of both clients without making them. */
enum tidings_status clients_check(struct tidings *service, struct tidings_error *error);

/* --- publisher.c --- */

/* A fresh configuration (caller destroys), or NULL and the error. */
enum tidings_status publisher_config(struct tidings *service, rd_kafka_conf_t **conf,
                                     struct tidings_error *error);

/* Gives up what is queued, ends the delivery thread. No effect when nothing was published. */
void publisher_deinit(struct tidings *service);

/* --- consumer.c --- */

/* Like publisher_config. */
enum tidings_status consumer_config(struct tidings *service, rd_kafka_conf_t **conf,
                                    struct tidings_error *error);

/* --- rebalance.c --- */

/* Called by librdkafka inside rd_kafka_consumer_poll and _close: on the run thread. */
void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
                  rd_kafka_topic_partition_list_t *changed, void *opaque);

/*
 * Tells the bus how far each partition is done, where that moved. wait: returns when the bus has
 * answered; else on_commit hears of it. Partitions whose publishes failed are marked to rewind.
 */
void progress_commit(struct tidings *service, bool wait);
void on_commit(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
               rd_kafka_topic_partition_list_t *offsets, void *opaque);

/* --- event.c --- */

/* An event and what it needs beside the record. */
struct decoded_event {
    struct tidings_event event;
    struct tidings_header *headers;
    char *texts; /* one block: the record's place, key, data */
};

/* Fills decoded; it borrows from message. Release with event_deinit. */
void event_decode(const rd_kafka_message_t *message, int attempt, struct decoded_event *decoded);
void event_deinit(struct decoded_event *decoded);

/* The record's headers; cause may be NULL. The caller owns them. */
rd_kafka_headers_t *event_encode_headers(const struct tidings *service,
                                         const struct tidings_message *message,
                                         const struct tidings_event *cause);

/* --- progress.c --- */

/* One more publish of the event in hand. Run thread, inside a handler. */
struct flight *flight_join(struct tidings *service);

/* One publish of the flight is settled; the flight may be gone afterwards. Any thread. */
void flight_settle(struct tidings *service, struct flight *flight, bool ok);

/* The handler returned: its publishes hold back the partition if it is done with the event. */
void flight_close(struct tidings *service, struct partition *partition, bool done);

/* Waits until the partition's publishes are settled or deadline_ms (monotonic) has passed. */
void flights_wait(struct tidings *service, const struct partition *partition, int64_t deadline_ms);

/*
 * What may be committed: the offset of the first event with unsettled publishes, else of the next
 * event; -1 when nothing was handled. *failed: that event's publishes failed, handle it again;
 * what came behind it is forgotten.
 */
int64_t partition_done_offset(struct tidings *service, struct partition *partition, bool *failed);

/* NULL when it is not held. */
struct partition *partition_find(struct tidings *service, const char *topic, int32_t number);
struct partition *partition_add(struct tidings *service, const char *topic, int32_t number);
void partition_drop(struct tidings *service, struct partition *partition);

/* Puts a message behind those that wait; the first one blocks the partition. Takes message. */
void partition_wait(struct tidings *service, struct partition *partition,
                    rd_kafka_message_t *message);

/* Frees the first waiting message. */
void partition_wait_next(struct tidings *service, struct partition *partition);

/* Forgets all waiting messages. */
void partition_wait_clear(struct tidings *service, struct partition *partition);

#endif
