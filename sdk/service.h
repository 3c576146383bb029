#ifndef TIDINGS_SDK_SERVICE_H
#define TIDINGS_SDK_SERVICE_H

/*
 * The inside of libtidings, on src/client/, from the ground up: report.c tells callers and log;
 * handlers.c knows who handles what; event.c shows events as handlers see them; progress.c knows
 * the partitions and what may be committed; publish.c has the publisher; feed.c is the thread that
 * reads, so that the group sees this process alive while a handler works; run.c is the caller's
 * thread, which handles; service.c makes, runs and frees it all.
 */

#include "tidings.h"

#include "client/publisher.h"
#include "client/reader.h"

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
 * The publishes that one handled event caused. Lives until the event's partition has passed it (or
 * was taken away) and all its publishes are settled.
 */
struct flight {
    int64_t offset; /* of the handled event */
    int pending;    /* publishes not settled yet */
    bool failed;    /* one of them failed */
    bool abandoned; /* no partition looks at it any more: who settles the last publish frees it */
    struct flight *next;
};

/* An event that its handler has. On the stack of the handling thread; its flight under the lock. */
struct tidings_in_hand {
    struct tidings *service;
    int64_t offset;
    struct flight *flight; /* NULL: nothing published yet */
};

/* A partition that this process holds. */
struct partition {
    char *name; /* "topic/partition", the hash key */
    char *topic;
    int32_t number;
    int64_t epoch;          /* the reader's */
    uint64_t turn;          /* changes when it is rewound: results of before are dropped */
    bool is_busy;           /* its event is with a handler */
    bool is_leaving;        /* it is being taken away: nothing new is begun */
    bool is_gone;           /* it was taken away while busy: who is busy with it frees it */
    bool is_paused;         /* at the reader; the feeding thread's own */
    int64_t next_offset;    /* after the last event handled; -1: none yet */
    int64_t rewind_offset;  /* to be read again from here; -1: no */
    struct received *queue; /* read and not handled, in order */
    size_t queued_count, queued_bytes;
    struct flight *flights; /* oldest first */
    int64_t failed_offset;  /* the event that failed last */
    int attempts;           /* how often in a row it did; 0: none waits */
    int64_t retry_at_ms;    /* monotonic */
    UT_hash_handle hh;
};

/* What the handling thread is at, for who watches over it. */
struct work {
    int64_t since_ms; /* monotonic; 0: at nothing */
    int64_t warn_at_ms;
    char text[400]; /* names the event */
};

struct tidings {
    char *name;
    char *instance;
    char *source;
    char *client_id;
    char *bootstrap_servers;
    char **client_settings;
    size_t client_setting_count;
    int publish_timeout_ms;
    int retry_first_ms;
    int retry_max_ms;
    int commit_interval_ms;
    int session_timeout_ms;
    int handler_warn_ms;
    bool from_end;
    tidings_log_fn *log;
    void *log_context;
    pthread_mutex_t log_lock;     /* held while log is called */
    _Atomic int64_t said_down_ms; /* when "no bus answers" was last logged */

    struct handler *handlers;
    atomic_bool stopping;
    bool ran;

    pthread_mutex_t lock;        /* guards all below but reader */
    pthread_cond_t work;         /* there may be something to handle; monotonic clock */
    pthread_cond_t progress;     /* something was handled or settled; monotonic clock */
    struct publisher *publisher; /* NULL until the first publish */
    bool fatal;
    struct tidings_error fatal_error;
    bool is_handling_over; /* the handling thread is done */
    bool has_failed_flight;
    struct partition *partitions;
    struct partition *cursor; /* handled last */
    int cursor_run;           /* so many of its events in a row */
    struct work at;

    struct reader *reader; /* the feeding thread's own */
};

/* --- report.c --- */

/* Formats into error (NULL is fine) and returns status. */
enum tidings_status error_set(struct tidings_error *error, enum tidings_status status,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same from a failure of src/client/. */
enum tidings_status error_from(struct tidings_error *error, const struct client_error *from);
enum tidings_status status_from(enum client_status status);

/* One line to the service's log. Any thread; the lock may be held. */
void service_log(struct tidings *service, enum tidings_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes what makes tidings_run end. Any thread, lock not held. */
void service_fail(struct tidings *service, const struct client_error *why);

/* What both clients share; context is the service. */
struct connection_settings service_connection(struct tidings *service);

/* --- handlers.c --- */

/* Group and topic names end up in ids, paths and settings of many tools: 1 to 249 letters, digits,
 * '.', '_' or '-'. */
bool name_is_plain(const char *name);

/* The handler for an event, or NULL. */
const struct handler *handler_find(const struct tidings *service, const char *topic,
                                   const char *type);

/* --- event.c --- */

/* Fills event, which borrows from received and arena. */
void event_show(const struct received *received, int attempt, struct arena *arena,
                struct tidings_event *event);

/* --- progress.c: the lock is held in all of these --- */

/* Waits on a condition until deadline_ms (monotonic). False when time is over. */
bool service_wait(struct tidings *service, pthread_cond_t *condition, int64_t deadline_ms);

/* One more publish of the event in hand. */
struct flight *flight_join(struct tidings_in_hand *in_hand);

/* One publish of the flight is settled; the flight may be gone afterwards. */
void flight_settle(struct tidings *service, struct flight *flight, bool ok);

/* Nobody asks for it any more. NULL is fine. */
void flight_abandon(struct flight *flight);

/*
 * Forgets flights that are settled, from the oldest on. When the oldest one failed, its event is
 * to be handled again and what came behind it is forgotten: rewind_offset is set.
 */
void partition_reap(struct tidings *service, struct partition *partition);

/* What may be committed: the offset of the first event with unsettled publishes, else of the next
 * event; -1 when nothing was handled. */
int64_t partition_done_offset(const struct partition *partition);

/* The event at this offset failed: when it is tried again. */
void partition_fail(struct tidings *service, struct partition *partition, int64_t offset);

/* NULL when it is not held. */
struct partition *partition_find(struct tidings *service, const char *topic, int32_t number);
struct partition *partition_add(struct tidings *service, const char *topic, int32_t number,
                                int64_t epoch);

/* Forgets what is queued and in flight; what is with a handler is dropped when it returns. */
void partition_clear(struct partition *partition);

/* Takes it out of the service; frees it, or leaves that to who is busy with it. */
void partition_drop(struct tidings *service, struct partition *partition);
void partition_free(struct partition *partition);

void partition_queue(struct partition *partition, struct received *received);
struct received *partition_dequeue(struct partition *partition);
void partition_queue_again(struct partition *partition, struct received *received);

/* --- publish.c --- */

struct publisher_settings service_publisher(struct tidings *service);

/* --- feed.c --- */

/* Borrows topics, an array of the caller's with room for the service's handlers. */
struct reader_settings service_reader(struct tidings *service, const char **topics);

/* The reading thread, from opening the reader to closing it; argument and result as pthreads have
 * it: the service, NULL. */
void *feed_main(void *service);

/* --- run.c --- */

/* Handles events until the service stops or fails. */
void handle_all(struct tidings *service);

#endif
