#ifndef TIDINGS_SDK_METER_H
#define TIDINGS_SDK_METER_H

/*
 * What a service counts of itself, and how it shows that: meter.c counts, meter_text.c writes it
 * down for Prometheus, show.c serves it by HTTP. Nothing is counted unless it is shown.
 *
 * Threads: workers count with relaxed atomics. Numbers of the lanes are the poll thread's: it
 * copies them, under the meter's lock, in its next turn after somebody asked.
 */

#include "tidings.h"
#include "tidings_once.h"

#include "client/runner/lane_runner.h"

#include "base/buf.h"
#include "base/vec.h"

#include <pthread.h>
#include <stdatomic.h>

enum { METER_BUCKETS = 12 };

/* Of one handler. */
struct meter_handler {
    _Atomic uint64_t verdicts[LANE_REJECT + 1];
    _Atomic uint64_t calls[METER_BUCKETS + 1]; /* by how long they took; the last one: longer */
    _Atomic uint64_t took_us;
    atomic_bool is_down;
};

/* Upper bounds of `calls`, and what the tables of the text say of them. */
extern const int64_t meter_bounds_us[METER_BUCKETS];

/* An outbox of the service, as it was when it looked last. */
struct meter_outbox {
    struct meter_outbox *next, *prev;
    struct tidings_outbox_counts counts;
};

/* A partition, as it was when the numbers were copied. */
struct meter_share {
    char *topic;
    struct lane_share_numbers numbers;
};

enum meter_state {
    METER_NEW,     /* tidings_run was not called */
    METER_OPENING, /* it looks for its topics */
    METER_RUNNING,
    METER_OVER
};

struct meter {
    bool is_on; /* set before there are other threads */
    const struct clock *clock;
    _Atomic enum meter_state state;
    _Atomic int64_t turned_ms;  /* monotonic: the poll thread moved */
    atomic_bool has_done;       /* a handler said done since the last turn */
    _Atomic int64_t success_ms; /* wall clock, of a turn: one did; 0: none ever */
    atomic_bool has_handlers;
    atomic_bool is_bus_away;
    atomic_bool is_wanted;                  /* somebody wants the numbers below anew */
    _Atomic uint64_t acknowledged, refused; /* publishes */
    _Atomic int64_t kept;                   /* those that wait for their transaction */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t copied;
    uint64_t copies;
    struct lane_numbers numbers;
    VEC(struct meter_share) shares;
    struct meter_outbox *outboxes;
};

struct tidings;

void meter_init(struct meter *meter);
void meter_deinit(struct meter *meter);

/* --- counting; each costs nothing while the meter is off --- */

/* A handler was called and took so long. Any thread. */
void meter_called(struct tidings *service, int handler, int64_t took_ns);
/* An event has its verdict. Any thread. */
void meter_said(struct tidings *service, int handler, enum lane_verdict verdict);
/* A publish has its end. Any thread. */
void meter_published(struct tidings *service, bool is_kept);
/* So many more wait for their transaction, which then says what became of them. Any thread. */
void meter_kept(struct tidings *service, int more);
/* An outbox has looked; the first time, too. And it is gone. */
void meter_outbox(struct tidings *service, struct meter_outbox *outbox,
                  const struct tidings_outbox_counts *counts);
void meter_outbox_end(struct tidings *service, struct meter_outbox *outbox);
/* On the poll thread, each turn. */
void meter_turn(struct tidings *service);

/* --- showing; any thread --- */

/* Has the poll thread copy its numbers, and waits for that, up to most_ms. */
void meter_refresh(struct tidings *service, int most_ms);
/* Appends all of it in Prometheus's text format 0.0.4. */
void meter_text(struct tidings *service, struct buf *text);
/* False: the process does not work; `why` says what is wrong, or how it is. */
bool meter_is_healthy(struct tidings *service, char *why, size_t size);
/* False: it cannot handle events, if it has handlers. The same. Whether the bus answers is to be
 * asked. */
bool meter_is_ready(struct tidings *service, char *why, size_t size);

/* --- show.c --- */

struct show;

/*
 * Serves /metrics, /healthz and /readyz at options.http_listen, or where the environment's
 * TIDINGS_HTTP_LISTEN says; neither: *show is NULL. TIDINGS_INVALID: what the option names cannot
 * be had; what the environment names is only warned of. Turns the meter on.
 */
enum tidings_status show_open(struct tidings *service, struct show **show,
                              struct tidings_error *error);
/* NULL is fine. */
void show_close(struct show *show);

#endif
