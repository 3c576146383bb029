#ifndef TIDINGS_H
#define TIDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/*
 * libtidings: write an event-driven service in C.
 *
 *     static enum tidings_verdict prepare(struct tidings *shop, const struct tidings_event *placed,
 *                                         void *depot)
 *     {
 *         struct tidings_message shipped = {
 *             .topic = "shipments", .type = "OrderShipped", .key = placed->key, .cause = placed,
 *             .data = "{}", .data_size = 2,
 *         };
 *         if (!pack(depot, placed->data, placed->data_size) ||
 *             tidings_publish(shop, &shipped, NULL, NULL, NULL) != TIDINGS_OK) {
 *             return TIDINGS_RETRY;
 *         }
 *         return TIDINGS_DONE;
 *     }
 *
 *     struct tidings *shop;
 *     struct tidings_error error;
 *     struct tidings_options options = {.name = "shipping"};
 *     if (tidings_new(&options, &shop, &error) != TIDINGS_OK ||
 *         tidings_on(shop, "orders", "OrderPlaced", prepare, depot, &error) != TIDINGS_OK ||
 *         tidings_run(shop, &error) != TIDINGS_OK) {
 *         fprintf(stderr, "shipping: %s\n", error.text);
 *     }
 *     tidings_free(shop);
 *
 * Events are CloudEvents 1.0 in Kafka's binary mode, so any Kafka client can read and write them.
 *
 * What a handler may rely on
 * - At least once: an event is given up only after its handler returned TIDINGS_DONE and all that
 *   it caused (tidings_message.cause) is acknowledged. After a crash some events come again;
 *   event->id tells them apart (same source and id: same event), so keep the ids you are done with
 *   beside your data.
 * - In order: events of one partition, hence of one key, come in the order they were published,
 *   through retries too. An event that is retried holds back the rest of its partition; the other
 *   partitions go on. A handler that never succeeds therefore stops its partition for good: return
 *   TIDINGS_DONE for what can never work, after you have kept it somewhere.
 * - Shared: processes that use the same name share the partitions; when one comes or goes only
 *   the partitions that move are interrupted (cooperative rebalance). All processes of one name
 *   must register the same topics.
 * - Complete: partitions and topics that are added are handled from their first event on. Events
 *   that expired or were deleted before the service had them cannot come: the log says which.
 *
 * Threads: tidings_run calls the handlers, one at a time, on the thread that called it. A handler
 * may take as long as it needs: a thread of the library's own keeps the place in the group, and a
 * warning names the event that takes longer than handler_warn_ms. Only when a partition moves to
 * another process meanwhile, and the handler does not return within 5 s, the other one handles the
 * event too. tidings_publish, tidings_publish_wait and tidings_flush may be called from any thread;
 * tidings_stop also from a signal handler. All others: before tidings_run, from one thread.
 *
 * Memory: what goes in is copied; what a handler or callback is given is borrowed until it returns.
 */
/* clang-format on */

#if defined(__GNUC__)
#define TIDINGS_API __attribute__((visibility("default")))
#else
#define TIDINGS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum tidings_status {
    TIDINGS_OK = 0,
    TIDINGS_INVALID,     /* an argument or setting that can never work */
    TIDINGS_UNREACHABLE, /* the bus did not acknowledge in time; it may still have the event */
    TIDINGS_REFUSED,     /* the bus said no: unknown topic, too large, not allowed */
    TIDINGS_FULL,        /* too much is waiting to be acknowledged: flush, then try again */
    TIDINGS_CLOSED,      /* given up because the service was freed */
    TIDINGS_FATAL        /* cannot go on: end the process and start it again */
};

/* Why a call failed, in words for a person; left alone when it did not. NULL is always fine. */
struct tidings_error {
    enum tidings_status status;
    char text[256];
};

enum tidings_log_level { TIDINGS_LOG_INFO, TIDINGS_LOG_WARN, TIDINGS_LOG_ERROR };

/* Called from any thread, never two at once for one service. */
typedef void tidings_log_fn(void *context, enum tidings_log_level level, const char *message);

/* Zero or NULL stands for the default in brackets. */
struct tidings_options {
    const char *name;              /* required: the service; also its consumer group */
    const char *bootstrap_servers; /* host:port, ... [127.0.0.1:9092] */

    /*
     * Name of this process among those that share the work [none]. With one, a process that is
     * killed and comes back under the same instance name gets its partitions back at once; but
     * they wait for it, for session_timeout_ms, also when it is stopped on purpose. Without one,
     * they go to the others when it stops, or session_timeout_ms after it died. A process that
     * was cut off for longer joins again by itself. Of two processes with one name the later one
     * has it, and tidings_run of the other one ends with TIDINGS_FATAL, naming it.
     * (Kafka: group.instance.id, KIP-345.)
     */
    const char *instance;

    int publish_timeout_ms; /* how long to try to get an event acknowledged [30000] */
    int retry_first_ms;     /* wait before a failed event is tried again [100], then doubled ... */
    int retry_max_ms;       /* ... up to this [10000] */
    int commit_interval_ms; /* how often progress is written down [1000] */
    int session_timeout_ms; /* how long a silent process keeps its partitions [10000] */
    int handler_warn_ms;    /* a handler that takes longer is named in the log [10000] */

    /*
     * When the group starts for the first time it begins with the next event [with the oldest one].
     * Later it goes on where it was, and begins with the oldest event of what was added.
     */
    bool from_end;

    /* Further librdkafka settings, "name=value", NULL-terminated: TLS, SASL, ... [NULL] */
    const char *const *client_settings;

    tidings_log_fn *log; /* [one line on standard error, "name: message"] */
    void *log_context;
};

struct tidings_header {
    const char *name;
    const void *value; /* NULL: the null header */
    size_t value_size;
};

/*
 * An event as its handler sees it. Texts are NUL-terminated, never NULL; "" when absent. A record
 * that is no CloudEvent has type "", and its place "topic/partition/offset" as id. One in
 * structured mode (JSON) is shown as the binary one that says the same; if it is not what its
 * content_type claims (application/cloudevents...), it has type "" and data is all of it.
 */
struct tidings_event {
    const char *id;
    const char *source;
    const char *type;
    const char *subject;
    const char *time; /* RFC 3339, as its publisher wrote it */
    const char *content_type;
    const char *correlation_id; /* of the first event of the story */
    const char *causation_id;   /* of the event that made this one happen */

    const char *key; /* NULL: no key; NUL-terminated, key_size does not count that */
    size_t key_size;
    const void *data; /* NULL: a tombstone; NUL-terminated too, outside data_size */
    size_t data_size;

    const struct tidings_header *headers; /* all of the record's, in order */
    size_t header_count;

    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* of the record, since 1970 UTC; -1: none */
    int attempt;          /* 1, 2, ... in this process */

    /* The library's: ties what is published because of this event to it. Borrowed like the rest,
     * NULL in an event that you make yourself. */
    struct tidings_in_hand *in_hand;
};

/* An event to publish. Only topic and type are required; NULL or 0 stands for what is in
 * brackets. */
struct tidings_message {
    const char *topic;
    const char *type;
    const char *key;          /* events of one key stay in order [none: any partition] */
    const char *id;           /* [a random UUID]; fixed ids let receivers recognise a repetition */
    const char *source;       /* ["/" and the service's name] */
    const char *subject;      /* [none] */
    const char *time;         /* RFC 3339 [now] */
    const char *content_type; /* ["application/json" when there is data] */

    /*
     * The event that made this one happen [none]. When that is the event in a handler's hand, it
     * counts as done only when this one is acknowledged: see tidings_publish. An event that you
     * made or kept (in_hand NULL) gives its ids only.
     */
    const struct tidings_event *cause;
    const char *correlation_id; /* [the cause's, or its id when it has none] */
    const char *causation_id;   /* [the cause's id] */

    const void *data; /* [NULL: a tombstone] */
    size_t data_size;

    const struct tidings_header *headers; /* further ones, after those of CloudEvents */
    size_t header_count;
};

/* What became of a published event. */
struct tidings_delivery {
    enum tidings_status status; /* TIDINGS_OK: it is kept (acks=all) */
    const char *text;           /* why not; "" when it is */
    const char *topic;
    int32_t partition; /* -1 when unknown */
    int64_t offset;    /* -1 when unknown */
};

/* On the service's delivery thread; must not block, and must not call tidings_publish_wait or
 * _flush. */
typedef void tidings_delivered_fn(void *context, const struct tidings_delivery *delivery);

enum tidings_verdict {
    TIDINGS_DONE, /* go on; never give me this event again, as far as you can help it */
    TIDINGS_RETRY /* give me this event again, later and before those behind it */
};

/* A service: its connections to the bus and its handlers. */
struct tidings;

/* On the thread of tidings_run. */
typedef enum tidings_verdict tidings_handler_fn(struct tidings *service,
                                                const struct tidings_event *event, void *context);

/*
 * Makes a service; the bus need not be up. TIDINGS_INVALID names the setting that is wrong.
 * Release it with tidings_free.
 */
TIDINGS_API enum tidings_status tidings_new(const struct tidings_options *options,
                                            struct tidings **service, struct tidings_error *error);

/*
 * Registers a handler for the events of one type on a topic; type NULL takes those of every type
 * that has no handler of its own. Events without a handler are passed over. TIDINGS_INVALID when
 * the pair has a handler already, or after tidings_run.
 */
TIDINGS_API enum tidings_status tidings_on(struct tidings *service, const char *topic,
                                           const char *type, tidings_handler_fn *handler,
                                           void *context, struct tidings_error *error);

/*
 * Gives events to the handlers until tidings_stop. While the bus cannot be reached it keeps
 * trying. Before it returns, what the handlers published is acknowledged (or publish_timeout_ms is
 * over), progress is written down, and the partitions are handed back. Once per service.
 * TIDINGS_OK after a stop; TIDINGS_FATAL when the client cannot go on.
 */
TIDINGS_API enum tidings_status tidings_run(struct tidings *service, struct tidings_error *error);

/* Makes tidings_run return after the event in hand, also when it has not begun. Any thread, and
 * signal handlers: it only sets a flag, which is looked at at least every 100 ms. */
TIDINGS_API void tidings_stop(struct tidings *service);

/*
 * Publishes asynchronously and once (idempotent producer, acks=all). TIDINGS_OK: the event is
 * queued, and delivered (may be NULL) is called exactly once with what became of it, within about
 * publish_timeout_ms. Any other status: nothing was queued, delivered is not called.
 * Events of one key are kept in the order of these calls.
 *
 * With a cause that a handler has in hand (before that handler returns, from any thread): the
 * cause counts as done only when this one is acknowledged. If that fails, the cause is handled
 * again after a wait, as if its handler had returned TIDINGS_RETRY, and once it is done also those
 * behind it in its partition that had been handled meanwhile. Without a cause the handler answers
 * for this event itself.
 */
TIDINGS_API enum tidings_status tidings_publish(struct tidings *service,
                                                const struct tidings_message *message,
                                                tidings_delivered_fn *delivered, void *context,
                                                struct tidings_error *error);

/* Publishes and waits until the event is kept or that failed. TIDINGS_UNREACHABLE leaves open
 * whether the bus has it: publish again with the same id. A cause gives its ids; what becomes of it
 * is the handler's to say, who sees the result. */
TIDINGS_API enum tidings_status tidings_publish_wait(struct tidings *service,
                                                     const struct tidings_message *message,
                                                     struct tidings_error *error);

/* Waits until everything published so far is settled; TIDINGS_UNREACHABLE when time is over. */
TIDINGS_API enum tidings_status tidings_flush(struct tidings *service, int timeout_ms,
                                              struct tidings_error *error);

/* Frees the service, outside of tidings_run. What is still queued is given up (TIDINGS_CLOSED):
 * flush first. NULL is fine. */
TIDINGS_API void tidings_free(struct tidings *service);

/* The value of a header as text in the event's memory when it is one there, else NULL. The last
 * one of several. Not NUL-terminated: *size is its length. */
TIDINGS_API const void *tidings_event_header(const struct tidings_event *event, const char *name,
                                             size_t *size);

#ifdef __cplusplus
}
#endif

#endif
