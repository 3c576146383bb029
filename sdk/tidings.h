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
 *         struct tidings_error error;
 *         if (!pack(depot, placed->data, placed->data_size)) {
 *             return tidings_retry(placed, 0, "depot", "no room for %s", placed->subject);
 *         }
 *         return tidings_publish(shop, &shipped, NULL, NULL, &error) == TIDINGS_OK
 *                    ? TIDINGS_DONE
 *                    : tidings_retry(placed, 0, "publish", "%s", error.text);
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
 * - At least once: an event is done only when its handler returned TIDINGS_DONE and all that it
 *   caused (tidings_message.cause) is acknowledged. After a crash some events come again;
 *   event->id tells them apart (same source and id: same event), so keep the ids you are done with
 *   beside your data. event->fence goes up with each owner of a partition: beside your data it
 *   keeps out one that does not know yet that it is none any more.
 * - In order, per key: the events of one key are handled one after another as they were published,
 *   through failures, giving up, restarts and rebalances. One that fails holds back its own key and
 *   nothing else. Events without key have no order among each other. (tidings_options.order)
 * - Tried again, and given up: what fails is tried again after growing waits, `attempts` times, also
 *   over restarts; then it goes to the topic dlq.NAME with the reason, and its key stays closed
 *   until somebody opens it (TIDINGS_PARK), or goes on (TIDINGS_SKIP). Events behind a closed key
 *   are kept in the topic lanes.NAME. While nothing of a handler succeeds that is an outage: it is
 *   tried now and then, no attempt is used up, nothing is given up.
 * - Shared: processes that use the same name share the partitions; when one comes or goes only
 *   the partitions that move are interrupted (cooperative rebalance). All processes of one name
 *   must register the same topics.
 * - Complete: partitions and topics that are added are handled from their first event on. Events
 *   that expired or were deleted before the service had them cannot come: the log says which.
 *
 * Threads: handlers run on threads of the library's own, `workers` of them, several at once for
 * different keys, and each event's on any of them: what they share (a database connection, a
 * counter, the context of tidings_on) has to be safe for that. With workers = 1 there is one handler
 * at a time, of all handlers of the service. A handler of batches (tidings_on_batch) has one more
 * thread, which is its own. A handler may take as long as it needs without losing
 * its place in the group; the log names one that takes longer than handler_warn_ms, and again when
 * it is back. Only when a partition moves to another process meanwhile, and the handler does not
 * return within 5 s, the other one handles the event too. tidings_publish, tidings_publish_wait and
 * tidings_flush may be called from any thread; tidings_stop also from a signal handler. All others:
 * before tidings_run, from one thread.
 *
 * Memory: what goes in is copied; what a handler or callback is given is borrowed until it returns.
 *
 * Versions: a program that was built with the headers of 1.x runs with the library of every later
 * 1.y (libtidings.so.1); functions, statuses and settings may come, none goes, and none changes its
 * meaning. Structs that you fill (tidings_options, tidings_message, tidings_outbox_options) get
 * members at their end: name the ones that you want, as above, so the others are 0, and 0 always
 * is the default. How large such a struct was when the program was built goes along by itself, as
 * the functions that take it are inline (tidings_new calls tidings_new_sized); so who makes one and
 * who hands it over are to be built with the same header. Something that is not 0 in a member
 * that the library is too old to know is TIDINGS_INVALID. What the library hands out may grow in
 * the same way (tidings_event, tidings_delivery), so copy an event member by member, or keep in
 * mind that a copy has what your header knows; of an event that you made (in_hand NULL) it reads
 * no more than 1.0 had. tidings_error, tidings_header and tidings_db keep their size. Enums may get
 * more values.
 */
/* clang-format on */

#define TIDINGS_VERSION_MAJOR 1 /* of this header; tidings_version tells the library's */
#define TIDINGS_VERSION_MINOR 0

#if defined(__GNUC__)
#define TIDINGS_API                 __attribute__((visibility("default")))
#define TIDINGS_FORMAT(text, first) __attribute__((format(printf, text, first)))
#else
#define TIDINGS_API
#define TIDINGS_FORMAT(text, first)
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
    TIDINGS_CLOSED,   /* given up: the service was freed; exactly_once: what caused it has failed,
                         or is another process's by now */
    TIDINGS_CONFLICT, /* the database ended the transaction for another one's sake (deadlock,
                         serialization failure): roll back, and do it again at once */
    TIDINGS_FATAL     /* cannot go on: end the process and start it again */
};

/* Why a call failed, in words for a person; left alone when it did not. NULL is always fine. */
struct tidings_error {
    enum tidings_status status;
    char text[256];
};

enum tidings_log_level { TIDINGS_LOG_INFO, TIDINGS_LOG_WARN, TIDINGS_LOG_ERROR };

/* Called from any thread, never two at once for one service. */
typedef void tidings_log_fn(void *context, enum tidings_log_level level, const char *message);

/* Which events are handled one after another, in the order they were published. */
enum tidings_order {
    TIDINGS_BY_KEY,       /* those of a key; those without key are free */
    TIDINGS_BY_PARTITION, /* those of a partition: one that fails holds back all behind it */
    TIDINGS_UNORDERED     /* none */
};

/* What happens to an event that is given up. */
enum tidings_give_up {
    TIDINGS_GIVE_UP_DEFAULT,
    TIDINGS_PARK, /* to dlq.NAME, and those behind it in its key wait until somebody opens it */
    TIDINGS_SKIP, /* to dlq.NAME, and those behind it go on */
    TIDINGS_END   /* tidings_run ends with TIDINGS_FATAL; the event stays where it is, and is tried
                     again by the next start */
};

/* Zero or NULL stands for the default in brackets. tidings_new names a setting that is wrong. */
struct tidings_options {
    const char *name; /* required: the service; also its consumer group */

    /* host:port, ... NULL [127.0.0.1:9092]: the environment variable TIDINGS_BOOTSTRAP_SERVER says
     * where, if it is set, as for the command. */
    const char *bootstrap_servers;

    /*
     * Name of this process among those that share the work [none]. With one, a process that is
     * killed and comes back under the same instance name gets its partitions back at once; but
     * they wait for it, for session_timeout_ms, also when it is stopped on purpose. Without one,
     * they go to the others when it stops, or session_timeout_ms after it died. A process that
     * was cut off for longer joins again by itself. Of two processes with one name the later one
     * has it, and tidings_run of the other one ends with TIDINGS_FATAL, naming it. When one is
     * killed just as partitions are to move from it to another, its return moves them on; Apache
     * Kafka would leave them to nobody, so there it sees for itself that they are, and leaves the
     * group and joins it anew, some 15 s after it is back. (Kafka: group.instance.id, KIP-345, with
     * KIP-429.)
     */
    const char *instance;

    int publish_timeout_ms; /* how long to try to get an event acknowledged [30000] */
    int commit_interval_ms; /* how often progress is written down [500]; with exactly_once 100 */
    int session_timeout_ms; /* how long a silent process keeps its partitions [10000] */
    int handler_warn_ms;    /* a handler that takes longer is named in the log [10000] */

    /*
     * What handlers publish with the event in hand as cause is committed in one transaction with
     * the group's progress, every commit_interval_ms or as soon as events wait for it [false]. Who
     * reads committed events only (librdkafka's and this library's default, Java's
     * isolation.level=read_committed) sees the consequences of each event exactly once and in
     * order, whatever is killed when: see tidings_publish. Without it what is published is
     * acknowledged first, then the event is done, and after a crash some of it comes again.
     */
    bool exactly_once;

    int workers;              /* threads that handle: as many handlers at once [16] */
    enum tidings_order order; /* [TIDINGS_BY_KEY] */

    /*
     * A failed event is tried again after a random part of retry_first_ms [200], then of twice
     * that, up to retry_max_ms [60000]. A failure counts as an attempt when an event of another key
     * has succeeded with the same handler since, and the handler was in no outage between; after
     * so many the event is given up [10]. One that fails with nobody beside it cannot be told
     * from an outage, and is given up only after attempts_alone such failures [never].
     */
    int retry_first_ms;
    int retry_max_ms;
    int attempts;
    int attempts_alone;
    enum tidings_give_up give_up_with_key;    /* [TIDINGS_PARK] */
    enum tidings_give_up give_up_without_key; /* [TIDINGS_SKIP] */

    /* In an outage (so many keys of a handler failed with no success between [10]) the handler is
     * tried once in probe_first_ms [1000], then in twice that, up to probe_max_ms [4000]. */
    int outage_after;
    int probe_first_ms;
    int probe_max_ms;

    /*
     * In memory there are at most so many events that are handled or about to be [10000, 64 MiB],
     * and so many that wait behind one that failed [10000, 64 MiB]. What waits longer than
     * aside_after_ms [30000] is set aside in lanes.NAME, as are those that find no room here, and
     * those that hold the committed offset back (more than 20 events, longer than 0.2 s). Of
     * each partition up to open_lanes keys [100000] and aside_bytes [1 GiB] wait there; then it
     * stands still, and the log says so.
     */
    size_t memory_events, memory_bytes;
    size_t waiting_events, waiting_bytes;
    int aside_after_ms;
    size_t open_lanes;
    int64_t aside_bytes;

    /*
     * When the group starts for the first time it begins with the next event [with the oldest one].
     * Later it goes on where it was, and begins with the oldest event of what was added.
     */
    bool from_end;

    /*
     * What the service shows of itself by HTTP at this HOST:PORT (port 0: any that is free, which
     * the log names): /metrics for Prometheus, names tidings_service_...; /healthz, 200 while the
     * process works, else 503; /readyz, 200 while it is in its group and the bus answers (without
     * handlers: while the bus answers). Both say in words how it is. NULL [none]: the environment
     * variable TIDINGS_HTTP_LISTEN says where, if it is set. tidings_new begins it, tidings_free
     * ends it, both on a thread of its own. libmicrohttpd is loaded for it (libmicrohttpd.so.12).
     * TIDINGS_INVALID when it cannot be had; when the environment asks for it the log says so, and
     * the service goes on without. Nobody is asked who he is: listen where only those come who may
     * see it.
     */
    const char *http_listen;

    /*
     * Spans of OpenTelemetry go to this collector, by OTLP over HTTP in JSON (".../v1/traces" is
     * put behind it: "http://127.0.0.1:4318"): one of kind consumer for each attempt of an event,
     * in the trace of what published it (its parent, and linked), one of kind producer for each
     * event published by tidings_publish and _publish_wait. The traceparent that goes along names
     * them. NULL [none]: as the environment says, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
     * OTEL_EXPORTER_OTLP_ENDPOINT; "": none. Also heard are OTEL_SDK_DISABLED,
     * OTEL_TRACES_EXPORTER (none), OTEL_EXPORTER_OTLP_HEADERS and _TIMEOUT, OTEL_SERVICE_NAME,
     * OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and _ARG [parentbased_always_on],
     * OTEL_BSP_SCHEDULE_DELAY. A collector that is slow or away holds up nobody: 2048 spans wait,
     * what is more is dropped and counted (/metrics). libcurl is loaded for it (libcurl.so.4).
     * TIDINGS_INVALID when that is not there; when the environment asks for it the log says so.
     */
    const char *otlp_endpoint;

    /*
     * What becomes of events that do not simply go through (failures, waits, what is given up or
     * redriven, slow handlers) is written to the topic __tidings_outcomes, for `tidings why`, on a
     * thread that begins with the first of them; nothing for a success. No handler waits for it,
     * and where it may not be made the service goes on without. [false]: it is written.
     */
    bool tells_no_outcomes;

    /* Further librdkafka settings, "name=value", NULL-terminated: TLS, SASL, ... [NULL] */
    const char *const *client_settings;

    tidings_log_fn *log; /* [one line on standard error, "TIME NAME: message"] */
    void *log_context;

    /*
     * How long tidings_run may take from tidings_stop on, for all of it together: the handlers at
     * work, the acknowledgement of what they published, the commit, leaving the group [30000].
     * What is not done by then is given up, and one line of the log says for how many partitions:
     * their events that are not committed come again where they are read next. Of what was
     * published and is not acknowledged the delivery says TIDINGS_CLOSED, and the bus may have it.
     * Choose less than what stops your process waits before it kills it. A handler that does not
     * return is waited for all the same, and named in the log (handler_warn_ms), as it uses what
     * its process would free next; who cannot wait ends the process.
     */
    int64_t stop_timeout_ms;
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
    const char *traceparent;    /* W3C trace context: the header of this name, or ce_traceparent */
    const char *tracestate;

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

    int attempt;             /* 1 for the first one; those that count are known over restarts */
    int64_t first_failed_ms; /* since 1970 UTC: when the first one failed; 0: none did */
    int64_t fence;   /* of this process as owner of the partition: the next owner's is higher */
    int64_t redrive; /* it was given up, and somebody asked for the n-th time for it to be tried
                        again; 0: it was not */

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
    size_t key_size;          /* [its length as text]; for a key that may have NULs in it */
    const char *id;           /* [a random UUID]; fixed ids let receivers recognise a repetition */
    const char *source;       /* ["/" and the service's name] */
    const char *subject;      /* [none] */
    const char *time;         /* RFC 3339 [now] */
    const char *content_type; /* ["application/json" when there is data] */

    /*
     * The event that made this one happen [none]. When that is the event in a handler's hand, it
     * counts as done only when this one is acknowledged: see tidings_publish. An event that you
     * made or kept (in_hand NULL) gives its ids only. When the cause has a traceparent (W3C trace
     * context) this one gets one of the same trace with a new span id, and the tracestate, unless
     * `headers` say otherwise. Without one none is made unless spans are sent (otlp_endpoint): a
     * trace begins with who records it, and one that was made up would decide for those behind
     * whether they record theirs.
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
    TIDINGS_DONE,  /* go on; never give me this event again, as far as you can help it */
    TIDINGS_RETRY, /* give me this event again, later and before those behind it in its key */
    TIDINGS_REJECT /* this event can never work: it is given up at once */
};

/* A service: its connections to the bus and its handlers. */
struct tidings;

/* On one of the service's worker threads, several at once for different keys (workers). What it
 * returns may be TIDINGS_RETRY or _REJECT without a reason; better is: */
typedef enum tidings_verdict tidings_handler_fn(struct tidings *service,
                                                const struct tidings_event *event, void *context);

/*
 * The same for several events at once, each of another key, on a thread of the handler's own. What
 * it returns counts for all of them but those for which it called tidings_retry or tidings_reject;
 * a reason that it gave for one is that of all with the same verdict that have none.
 */
typedef enum tidings_verdict tidings_batch_fn(struct tidings *service,
                                              const struct tidings_event *const *events,
                                              size_t count, void *context);

/*
 * For a handler to return: it failed, and why; not before after_ms from now (0: as the back-off
 * says). error_class (NULL: none) is short and the same for what has one cause ("smtp"), at most 63
 * bytes; the message (as printf's, at most 399 bytes) says more. Both stand in the log and in the
 * dead letter. Returns TIDINGS_RETRY.
 */
TIDINGS_API enum tidings_verdict tidings_retry(const struct tidings_event *event, int64_t after_ms,
                                               const char *error_class, const char *message, ...)
    TIDINGS_FORMAT(4, 5);

/* The same for what can never work. Returns TIDINGS_REJECT. */
TIDINGS_API enum tidings_verdict tidings_reject(const struct tidings_event *event,
                                                const char *error_class, const char *message, ...)
    TIDINGS_FORMAT(3, 4);

/* The version of the library that runs, "1.0.0". Static. Any thread. */
TIDINGS_API const char *tidings_version(void);

/*
 * The functions that take a struct of the caller's, with its size as the caller knows it: 0 is
 * taken for what lies beyond it. C and C++ call those without _sized, which are inline; other
 * languages call these.
 */
TIDINGS_API enum tidings_status tidings_new_sized(const struct tidings_options *options,
                                                  size_t options_size, struct tidings **service,
                                                  struct tidings_error *error);
TIDINGS_API enum tidings_status tidings_publish_sized(struct tidings *service,
                                                      const struct tidings_message *message,
                                                      size_t message_size,
                                                      tidings_delivered_fn *delivered,
                                                      void *context, struct tidings_error *error);
TIDINGS_API enum tidings_status tidings_publish_wait_sized(struct tidings *service,
                                                           const struct tidings_message *message,
                                                           size_t message_size,
                                                           struct tidings_error *error);

/*
 * Makes a service; the bus need not be up. TIDINGS_INVALID names the setting that is wrong.
 * Release it with tidings_free.
 */
static inline enum tidings_status tidings_new(const struct tidings_options *options,
                                              struct tidings **service, struct tidings_error *error)
{
    return tidings_new_sized(options, sizeof *options, service, error);
}

/*
 * Registers a handler for the events of one type on a topic; type NULL takes those of every type
 * that has no handler of its own. A topic that begins with '^' is a pattern, a regular expression
 * in RE2's syntax as in Kafka, which a part of a topic's name has to match ("^orders\\.",
 * "^eu-.*-log$"): such topics are handled, also those that are made later (seen within 5 s, then
 * handled from their first event on), but the bus's own and those of groups and services (lanes.*,
 * dlq.*, dlq-state.*, __tidings_*). An event goes to one handler: one for its topic's name before
 * one for a pattern, then one for its type, then the one that was registered first. Events without
 * a handler are passed over. TIDINGS_INVALID when the pair has a handler already, for what is no
 * pattern, or after tidings_run.
 */
TIDINGS_API enum tidings_status tidings_on(struct tidings *service, const char *topic,
                                           const char *type, tidings_handler_fn *handler,
                                           void *context, struct tidings_error *error);

/*
 * As tidings_on, for a handler that takes 1 to `most` events at once: all that have gathered, up to
 * 100000. It is called for one batch at a time, beside the workers, whatever `workers` is; while
 * it works the next batch gathers, and it never waits for more. Each event is one of its own for
 * all else: the order of its key, attempts, dead letter, and what is published because of it.
 */
TIDINGS_API enum tidings_status tidings_on_batch(struct tidings *service, const char *topic,
                                                 const char *type, size_t most,
                                                 tidings_batch_fn *handler, void *context,
                                                 struct tidings_error *error);

/*
 * Gives events to the handlers until tidings_stop; this thread reads, commits and takes part in the
 * group. The topics lanes.NAME and dlq.NAME are made if need be. While the bus cannot be reached it
 * keeps trying. Before it returns, all handlers have returned, what they published is acknowledged,
 * progress is written down, and the partitions are handed back, as far as stop_timeout_ms allows.
 * Once per service. TIDINGS_OK after a stop; TIDINGS_FATAL when the client cannot go on, or an
 * event was given up by TIDINGS_END.
 */
TIDINGS_API enum tidings_status tidings_run(struct tidings *service, struct tidings_error *error);

/* Makes tidings_run return after the events in hand, also when it has not begun. Any thread, and
 * signal handlers: it sets a flag, which is looked at at least every 200 ms, and stop_timeout_ms
 * begins. Whatever comes later does not put that off. */
TIDINGS_API void tidings_stop(struct tidings *service);

/*
 * Publishes asynchronously and once (idempotent producer, acks=all). TIDINGS_OK: the event is
 * queued, and delivered (may be NULL) is called exactly once with what became of it, within about
 * publish_timeout_ms. Any other status: nothing was queued, delivered is not called.
 * Events of one key are kept in the order of these calls.
 *
 * With a cause that a handler has in hand (before that handler returns, from any thread): the
 * cause counts as done only when this one is acknowledged; its worker does not wait for that, those
 * behind it in its key do. If it is refused, or not acknowledged in time, that is a failed attempt
 * of the cause with the reason, as if its handler had returned tidings_retry: it is tried again
 * after a wait, and given up after `attempts`. Without a cause the handler answers for this event
 * itself, and so it does when this call returns another status than TIDINGS_OK.
 *
 * With options.exactly_once such an event is kept in memory, is sent when its handler has returned
 * TIDINGS_DONE, and counts together with that: what an attempt published that failed is never seen,
 * and neither is what was published by a process that did not know yet that the partition is
 * another one's. delivered is then called when that is known, on a thread of the service: once,
 * with TIDINGS_OK when it is committed. One that is refused (too large, no such topic) is a failed
 * attempt of its cause and leaves others alone; while the bus is away all wait. Events behind the
 * cause in its key wait for its transaction. What is published without a cause in hand, or by
 * tidings_publish_wait, goes out at once and does not belong to it.
 */
static inline enum tidings_status tidings_publish(struct tidings *service,
                                                  const struct tidings_message *message,
                                                  tidings_delivered_fn *delivered, void *context,
                                                  struct tidings_error *error)
{
    return tidings_publish_sized(service, message, sizeof *message, delivered, context, error);
}

/* Publishes and waits until the event is kept or that failed. TIDINGS_UNREACHABLE leaves open
 * whether the bus has it: publish again with the same id. A cause gives its ids; what becomes of it
 * is the handler's to say, who sees the result. */
static inline enum tidings_status tidings_publish_wait(struct tidings *service,
                                                       const struct tidings_message *message,
                                                       struct tidings_error *error)
{
    return tidings_publish_wait_sized(service, message, sizeof *message, error);
}

/* Waits until everything published so far is settled, but what waits for its cause to be done
 * (exactly_once); TIDINGS_UNREACHABLE when time is over. */
TIDINGS_API enum tidings_status tidings_flush(struct tidings *service, int timeout_ms,
                                              struct tidings_error *error);

/* Frees the service, outside of tidings_run. What is still queued is given up (TIDINGS_CLOSED):
 * flush first. NULL is fine. */
TIDINGS_API void tidings_free(struct tidings *service);

/* The value of a header, in the event's memory, *size long and not NUL-terminated; of several with
 * this name the last one's. NULL and 0: there is none, or its value is null. Any thread. */
TIDINGS_API const void *tidings_event_header(const struct tidings_event *event, const char *name,
                                             size_t *size);

#ifdef __cplusplus
}
#endif

#endif
