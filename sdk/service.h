#ifndef TIDINGS_SDK_SERVICE_H
#define TIDINGS_SDK_SERVICE_H

/*
 * The inside of libtidings, the face of key lanes (client/runner/lane_runner.h), from the ground
 * up: report.c tells callers and log; sized.c reads what callers fill in; options.c checks settings
 * and hands them on; handlers.c knows who handles what; topics.c finds topics by patterns; event.c
 * shows events as handlers see them; trace.c has W3C trace context; meter.h tells how what happens
 * is counted and shown, span.h how it is traced; hand.c calls handlers, watches over them and waits
 * for what they published; transact.c keeps that for transactions; batch.c calls those that take
 * several events at once; publish.c has the publisher; service.c makes, runs and frees it all;
 * test.c and test_bus.c play the bus for services' own tests.
 *
 * Threads: the caller's runs the lanes (the runner's poll thread), its workers call handlers, each
 * handler of batches has one, the publisher's brings completions, and with patterns one looks for
 * topics; one shows numbers by HTTP (show.c), one sends spans, one outcomes. Locks, never two at
 * once: `lock`, `hands_lock`, `log_lock`, that of each batch, the meter's, that of the spans.
 */

#include "meter.h"
#include "span.h"
#include "tidings.h"

#include "client/lane_kafka/lane_kafka.h"
#include "client/lane_kafka/outcome_log.h"
#include "client/publisher/publisher.h"

#include "base/deadline.h"
#include "base/pattern.h"

#include <pthread.h>
#include <stdatomic.h>

struct handler {
    char *topic;                 /* or the text of */
    struct pattern *pattern;     /* NULL: it is a name */
    char *type;                  /* NULL: every other type */
    char *name;                  /* "orders OrderPlaced", "orders" */
    tidings_handler_fn *call;    /* or */
    tidings_batch_fn *call_many; /* with so many */
    size_t most;
    struct batch *batch; /* of call_many, while it runs */
    void *context;
    int number;
    struct meter_handler meter;
    struct handler *next;
};

/*
 * What one handled event caused, while its fate is open. Who settles the last one frees it, and
 * says the result of the event when its handler has left that to it.
 */
struct flight {
    struct lane_hand *hand;
    int pending;           /* publishes not settled yet, and the handler itself */
    bool says;             /* the handler is done, and what it said depends on these */
    struct lane_said said; /* done, or what the first one that failed makes of it */
};

/* An event that its handler has. On the stack of its worker; flight and caused under the lock. */
struct tidings_in_hand {
    struct tidings *service;
    struct lane_hand *hand;
    const struct tidings_event *event;
    struct lane_said *said;
    struct flight *flight;                /* NULL: nothing published yet */
    struct lane_publication *caused;      /* exactly_once: what it published so far, */
    struct lane_publication *caused_last; /* and of that the last */
    int64_t since_ms, warn_at_ms;         /* monotonic */
    int64_t since_ns;                     /* for the meter; 0: not known yet */
    bool is_told;                         /* that it takes long */
    size_t others;                        /* that the handler has with it */
    struct tidings_in_hand *next, *prev;  /* of the service, under hands_lock */
};

/* What a worker has in hand (hand.c): events come and go too fast for a lock. */
struct hand_slot {
    _Atomic uintptr_t
        in_hand; /* struct tidings_in_hand *, one more while it is looked at; 0: none */
    uint8_t apart[64 - sizeof(uintptr_t)]; /* no two in one line of a cache */
};

/* What the handlers are for: one thread at a time has them. */
struct topics {
    VEC(const char *) names; /* each once; of its own */
    bool has_patterns;
    struct connection *connection; /* to look for more by; NULL: there are no patterns */
    struct lane_kafka *kafka;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_ending;
};

struct outbox_batch;

/* A bus that tests play (test.c) instead of a real one. */
struct played {
    /* As publisher_publish; its completion comes inside. */
    enum client_status (*publish)(struct tidings *service, const struct event *event, void *context,
                                  struct client_error *error);
    /* The service is about to be freed. */
    void (*leave)(struct tidings *service);

    /* As outbox_sender_committed and _send, for the outbox whose group this is. */
    int64_t (*outbox_committed)(struct tidings *service, const char *group);
    enum client_status (*outbox_publish)(struct tidings *service, const char *group,
                                         struct outbox_batch *batch, struct client_error *error);
};

/* Lines of one kind are told this often at most, with the number of those left out. */
struct quiet {
    int64_t since_ms;
    int told, left_out;
};

struct tidings {
    char *source; /* "/NAME" */
    char *client_id;
    struct tidings_options options; /* defaults filled in, texts its own */
    size_t client_setting_count;
    pthread_mutex_t log_lock; /* held while options.log is called; guards the quiets */
    struct quiet failures, recoveries;
    _Atomic int64_t said_down_ms; /* when "no bus answers" was last logged */

    struct handler *handlers;
    struct handler **numbered; /* while it runs */
    atomic_bool stopping;
    struct deadline stop; /* of tidings_run: stop_timeout_ms, from tidings_stop on */
    bool ran;

    struct lane_runner *runner;        /* while it runs */
    const char **handler_names;        /* by number, then */
    struct lane_runner_settings lanes; /* its own */
    const struct clock *clock;         /* the machine's, or a test's */
    const struct played *played;       /* NULL: the bus is a real one */
    struct test_group *test;           /* its own */
    struct tidings_outbox *outboxes;   /* that get their turns from it */
    struct topics topics;
    struct meter meter;
    struct show *show;            /* NULL: it is not shown */
    struct outcome_log *outcomes; /* NULL: nothing is told */
    struct spans *spans;          /* NULL: none are made */

    pthread_mutex_t hands_lock;    /* guards hands and the times in them */
    struct tidings_in_hand *hands; /* those of handlers of batches, */
    struct hand_slot *slots;       /* and of each worker, while it runs */
    int slot_count;

    pthread_mutex_t lock;        /* guards all below, and flights */
    pthread_cond_t landed;       /* flights went down */
    size_t flights;              /* that are open */
    struct publisher *publisher; /* NULL until the first publish */
    bool fatal;
    struct tidings_error fatal_error;
};

/* --- report.c --- */

/* Formats into error (NULL is fine) and returns status. */
enum tidings_status error_set(struct tidings_error *error, enum tidings_status status,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same from a failure of src/client/. */
enum tidings_status error_from(struct tidings_error *error, const struct client_error *from);
enum tidings_status status_from(enum client_status status);

/* One line to the service's log. Any thread; no lock is held. */
void service_log(struct tidings *service, enum tidings_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, for what may come often. */
void service_log_often(struct tidings *service, struct quiet *quiet, enum tidings_log_level level,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The default of options.log. */
void log_to_stderr(void *service, enum tidings_log_level level, const char *message);

/* Somebody wants it to end, or it cannot go on. Any thread, lock not held. */
bool service_is_over(struct tidings *service);

/* Notes what makes tidings_run end. Any thread, lock not held. */
void service_fail(struct tidings *service, const struct client_error *why);

/* What both clients share; context is the service. */
struct connection_settings service_connection(struct tidings *service);

/* --- options.c --- */

struct bound {
    const char *name;
    int64_t value, least, most; /* 0 is the default, and always fine */
};

/* TIDINGS_INVALID names the setting that is wrong. */
enum tidings_status bounds_check(const struct bound *bounds, size_t count,
                                 struct tidings_error *error);
enum tidings_status options_check(const struct tidings_options *options,
                                  struct tidings_error *error);

/* Copies them with their texts into the service's, defaults filled in; and frees those. */
void options_copy(struct tidings *service, const struct tidings_options *options);
void options_free(struct tidings *service);

/* What they are for the lanes: of as many handlers. */
struct lane_settings options_lanes(const struct tidings_options *options, int handler_count);

/* --- sized.c --- */

/* Callers' structs have the size that their header gave them. Copies what is known of one, with 0
 * for what it lacks; false: it has something that is not 0 beyond that. */
bool sized_copy(void *to, size_t to_size, const void *from, size_t from_size);

/* TIDINGS_INVALID, for a struct of this name that has. */
enum tidings_status sized_fail(struct tidings_error *error, const char *what);

/* The message itself, or as much of it as is known in *copy. NULL: TIDINGS_INVALID. */
const struct tidings_message *message_known(const struct tidings_message *message, size_t size,
                                            struct tidings_message *copy,
                                            struct tidings_error *error);

/* --- handlers.c --- */

/* Group and topic names end up in ids, paths and settings of many tools: 1 to 249 letters, digits,
 * '.', '_' or '-'. */
bool name_is_plain(const char *name);

/* The number of the handler for an event, -1: nobody's. context is the service. Any thread. */
int handler_number(void *context, const struct event *event);

/* Somebody handles events of this topic. */
bool handler_has_topic(const struct tidings *service, const char *topic);
void handler_free(struct handler *handler);

/* --- topics.c --- */

/* Fills in service->topics; with patterns it waits until the bus tells which there are and at least
 * one is, or the service is to end. Close with topics_close. */
CHECKED enum client_status topics_open(struct tidings *service, struct client_error *error);
/* Keeps the bus of the lanes informed, until topics_unwatch. */
CHECKED enum client_status topics_watch(struct tidings *service, struct lane_kafka *kafka,
                                        struct client_error *error);
void topics_unwatch(struct tidings *service);
void topics_close(struct tidings *service);

/* --- event.c --- */

/* Fills event, which borrows from the hand and the arena. */
void event_show(const struct lane_hand *hand, struct arena *arena, struct tidings_event *event);

/* --- hand.c --- */

/* lane_runner_settings.handle and .tick; context is the service. */
bool hand_call(void *service, struct lane_hand *hand, struct lane_said *said);
void hand_watch(struct tidings *service);

/* Room for what so many workers have in hand. */
void hands_open(struct tidings *service, int workers);
void hands_close(struct tidings *service);
/* A handler of batches begins (since_ms, monotonic) and ends with an event: in between it is
 * watched over. */
void hand_begin(struct tidings *service, struct tidings_in_hand *in_hand, int64_t since_ms);
void hand_end(struct tidings *service, struct tidings_in_hand *in_hand);
/* What it returned is what it says, with the reason that it gave for that. */
void hand_conclude(enum tidings_verdict returned, struct lane_said *said);
/* Of an event that is said later (lane_runner_later): tells the runner, or leaves that to what the
 * handler published. */
void hand_say(struct tidings *service, struct tidings_in_hand *in_hand);

/* lane_runner_settings.settled; context is the service. */
void hand_settled(void *service, struct lane_hand *hand, const struct lane_said *failed);

/* One more publish of the event in hand. Lock not held. */
struct flight *flight_join(struct tidings_in_hand *in_hand);

/* One publish is settled, and failed if said is not NULL; the flight may be gone then. Lock not
 * held. */
void flight_settle(struct tidings *service, struct flight *flight, const struct lane_said *failed);

/* One more that flights_wait waits for. */
void flight_open(struct tidings *service);
void flight_close(struct tidings *service);

/* Waits until no flight is open. What is not acknowledged when it is time to leave the group is
 * given up then; handlers of batches are waited for, and watched over, however long they take. */
void flights_wait(struct tidings *service);

/* --- transact.c --- */

/* Keeps what is published because of the event in hand. Any thread; lock not held. */
void transact_keep(struct tidings_in_hand *in_hand, const struct event *event, struct span *span,
                   tidings_delivered_fn *delivered, void *context);
/* The handler has said what became of the event. True: it is done, when what it caused is committed
 * with that (hand->publications). */
bool transact_begin(struct tidings_in_hand *in_hand);
/* What became of that (lane_runner_settings.settled): tells who published it, and frees it. */
void transact_end(struct tidings *service, struct lane_hand *hand, const struct lane_said *failed);

/* --- batch.c --- */

/* Starts the threads of handlers that take several events. False: one cannot be had. */
bool batches_begin(struct tidings *service);
/* Ends them, when nothing is handed over any more. */
void batches_end(struct tidings *service);
/* The event is said later, with others. On a worker. */
void batch_add(struct tidings *service, const struct handler *handler, struct lane_hand *hand);

/* --- publish.c --- */

struct publisher_settings service_publisher(struct tidings *service);

/* TIDINGS_INVALID: it can be no event, or its cause is in the hand of another service. */
enum tidings_status message_check(const struct tidings *service,
                                  const struct tidings_message *message,
                                  struct tidings_error *error);

/* The record of a message, a CloudEvent in binary mode; borrows from it and the arena. source and
 * time, where it has none. */
struct event message_event(const struct tidings_message *message, const char *source,
                           int64_t now_ms, struct arena *arena);

/* --- service.c --- */

/* Numbers the handlers and makes the runner, whose bus is still to be set; waits until nothing is
 * in a hand, while the bus is there; and frees it. */
enum client_status service_begin_lanes(struct tidings *service, struct client_error *why);
void service_let_go(struct tidings *service);
void service_end_lanes(struct tidings *service);

#endif
