#include "client/lane_kafka/outcome_log.h"

#include "client/admin/admin.h"
#include "client/publisher/publisher.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum {
    QUEUE_MOST = 4096,
    FLIGHT_MOST = 4096,
    LOOK_MS = 200,      /* so often the thread takes what is queued */
    SUM_MS = 1000,      /* and so often it tells what was left out */
    IDLE_MS = 10000,    /* nothing was told for so long: the connections are closed */
    AGAIN_MS = 5000,    /* after a bus that did not answer */
    REFUSED_MS = 300000 /* after one that does not allow it */
};

struct record {
    struct record *next, *prev;
    struct buf key, value;
};

/* So many at once, so many a second behind them. */
struct measure {
    double left, most, per_second;
};

struct outcome_log {
    struct outcome_log_settings settings;
    char *member; /* "HOST/PID" */

    pthread_mutex_t lock; /* guards all below but the thread's own */
    pthread_cond_t ends;
    struct measure steps, ends_of;
    int64_t filled_ms;
    struct record *queue;
    size_t queued;
    uint64_t left_out[OUTCOME_KINDS]; /* and not told yet */
    int64_t left_since_ms[OUTCOME_KINDS];
    uint64_t left_out_ever, dropped;
    bool has_thread, is_ending;
    pthread_t thread;
    struct arena filters_arena; /* the filters, and their texts */
    const struct outcome_filter *filters;
    size_t filter_count;
    int64_t filters_since_ms; /* wall clock; 0: none are told */
    int64_t filters_at_ms;    /* they are told then */

    atomic_uint_fast64_t told, refused;
    atomic_bool is_gone; /* the topic */
    atomic_bool is_told; /* that the bus does not want them */

    /* the thread's own */
    struct connection *connection;
    struct publisher *publisher;
    int64_t open_at_ms, sum_at_ms, published_ms;
};

/* --- its clock --- */

static int64_t mono_ms(const struct outcome_log *log)
{
    return clock_mono_ms(log->settings.clock);
}

static int64_t wall_ms(const struct outcome_log *log)
{
    return clock_wall_ms(log->settings.clock);
}

/* --- how much is told --- */

static bool is_step(enum outcome_kind kind)
{
    return kind == OUTCOME_FAILED || kind == OUTCOME_WAITS || kind == OUTCOME_DONE ||
           kind == OUTCOME_SLOW;
}

static void fill(struct measure *measure, double seconds)
{
    measure->left += seconds * measure->per_second;
    measure->left = measure->left < measure->most ? measure->left : measure->most;
}

static void *run(void *argument);

/* Under the lock. */
static void begin_thread(struct outcome_log *log)
{
    if (!log->has_thread && !log->is_ending) {
        log->has_thread = pthread_create(&log->thread, NULL, run, log) == 0;
    }
}

bool outcome_log_allows(struct outcome_log *log, enum outcome_kind kind)
{
    int64_t now_ms = mono_ms(log);
    pthread_mutex_lock(&log->lock);
    double seconds = (double)(now_ms - log->filled_ms) / 1000;
    log->filled_ms = now_ms;
    fill(&log->steps, seconds);
    fill(&log->ends_of, seconds);
    struct measure *measure = is_step(kind) ? &log->steps : &log->ends_of;
    bool may = measure->left >= 1;
    if (may) {
        measure->left -= 1;
    } else {
        log->left_since_ms[kind] =
            log->left_out[kind] == 0 ? wall_ms(log) : log->left_since_ms[kind];
        log->left_out[kind]++;
        log->left_out_ever++;
    }
    begin_thread(log);
    pthread_mutex_unlock(&log->lock);
    return may;
}

static void record_free(struct record *record)
{
    buf_deinit(&record->key);
    buf_deinit(&record->value);
    free(record);
}

void outcome_log_add(struct outcome_log *log, const struct outcome *outcome)
{
    struct record *record = mem_new(struct record);
    outcome_encode(outcome, &record->key, &record->value);
    pthread_mutex_lock(&log->lock);
    bool has_room = log->queued < QUEUE_MOST && log->has_thread;
    if (has_room) {
        DL_APPEND(log->queue, record);
        log->queued++;
    } else {
        log->dropped++;
    }
    pthread_mutex_unlock(&log->lock);
    if (!has_room) {
        record_free(record);
    }
}

/* --- what the member takes --- */

static const char *copy(struct outcome_log *log, const char *text)
{
    return text != NULL ? arena_cstr(&log->filters_arena, slice_str(text)) : NULL;
}

void outcome_log_handles(struct outcome_log *log, const struct outcome_filter *filters,
                         size_t count)
{
    enum { FIRST_MS = 1000 }; /* a start has other things to do */
    if (!outcome_filters_fit(filters, count)) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    struct outcome_filter *own = arena_alloc_array(&log->filters_arena, count + 1, sizeof *own);
    for (size_t i = 0; i < count; i++) {
        own[i] = (struct outcome_filter){copy(log, filters[i].topic), copy(log, filters[i].type)};
    }
    log->filters = own;
    log->filter_count = count;
    log->filters_since_ms = wall_ms(log);
    log->filters_at_ms = mono_ms(log) + FIRST_MS;
    begin_thread(log);
    pthread_mutex_unlock(&log->lock);
}

static void tell_filters(struct outcome_log *log)
{
    const int64_t again_ms = (int64_t)6 * 3600 * 1000;
    int64_t now_ms = mono_ms(log);
    struct outcome outcome = outcome_log_blank(log, OUTCOME_HANDLES);
    pthread_mutex_lock(&log->lock);
    bool is_due = log->filters_since_ms != 0 && now_ms >= log->filters_at_ms && !log->is_ending;
    log->filters_at_ms = is_due ? now_ms + again_ms : log->filters_at_ms;
    outcome.time_ms = log->filters_since_ms;
    outcome.filters = log->filters;
    outcome.filter_count = log->filter_count;
    pthread_mutex_unlock(&log->lock);
    if (is_due) {
        outcome_log_add(log, &outcome);
    }
}

/* --- the topic --- */

static void say(const struct outcome_log *log, const char *why)
{
    char text[700];
    snprintf(text, sizeof text, "%s: %.500s; what becomes of events is not told there",
             OUTCOME_TOPIC, why);
    log->settings.log(log->settings.context, LANE_LOG_WARN, text);
}

/* Bounded in time and in bytes: 1 GiB of four partitions. */
static enum client_status make_topic(struct outcome_log *log, struct client_error *error)
{
    static const struct admin_setting settings[] = {{"cleanup.policy", "delete"},
                                                    {"retention.ms", "604800000"},
                                                    {"retention.bytes", "268435456"},
                                                    {"segment.bytes", "67108864"}};
    const struct admin_new_topic topic = {OUTCOME_TOPIC, 4, settings,
                                          sizeof settings / sizeof settings[0]};
    struct admin_topics found;
    struct admin_outcomes made;
    enum client_status status = admin_topic(log->connection, OUTCOME_TOPIC, false, &found, error);
    admin_topics_deinit(&found);
    if (status != CLIENT_NOT_FOUND) {
        return status;
    }
    status = admin_create_topics(log->connection, &topic, 1, &made, error);
    if (status == CLIENT_OK && made.items[0].error.status != CLIENT_OK &&
        made.items[0].error.status != CLIENT_CONFLICT) {
        status = made.items[0].error.status;
        *error = made.items[0].error;
    }
    admin_outcomes_deinit(&made);
    return status;
}

static void tell_refused(struct outcome_log *log, const struct client_error *why)
{
    if (!atomic_exchange(&log->is_told, true)) {
        say(log, why->text);
    }
}

static void on_done(void *context, const struct publication *publication)
{
    struct outcome_log *log = context;
    record_free(publication->context);
    atomic_fetch_add(publication->status == CLIENT_OK ? &log->told : &log->refused, 1);
    if (publication->status == CLIENT_NOT_FOUND) {
        atomic_store(&log->is_gone, true);
    } else if (publication->status == CLIENT_REFUSED || publication->status == CLIENT_INVALID) {
        tell_refused(log, publication->error);
    }
}

static enum client_status open_all(struct outcome_log *log, struct client_error *error)
{
    enum { EVENT_TIMEOUT_MS = 30000, LINGER_MS = 100 };
    struct publisher_settings settings = {.connection = log->settings.connection,
                                          .event_timeout_ms = EVENT_TIMEOUT_MS,
                                          .compression = "lz4",
                                          .linger_ms = LINGER_MS,
                                          .has_thread = true,
                                          .done = on_done,
                                          .done_context = log};
    enum client_status status = CLIENT_OK;
    if (log->connection == NULL) {
        status = connection_open(&log->settings.connection, &log->connection, error);
    }
    if (status == CLIENT_OK) {
        status = make_topic(log, error);
    }
    return status == CLIENT_OK ? publisher_open(&settings, &log->publisher, error) : status;
}

static void close_all(struct outcome_log *log)
{
    publisher_close(log->publisher);
    connection_close(log->connection);
    log->publisher = NULL;
    log->connection = NULL;
}

/* True: records may be published. */
static bool open_due(struct outcome_log *log)
{
    struct client_error error;
    int64_t now_ms = mono_ms(log);
    if (atomic_exchange(&log->is_gone, false)) {
        close_all(log); /* it is made again */
    }
    if (log->publisher != NULL) {
        return true;
    }
    if (now_ms < log->open_at_ms) {
        return false;
    }
    enum client_status status = open_all(log, &error);
    if (status == CLIENT_OK) {
        return true;
    }
    close_all(log);
    bool is_passing = status == CLIENT_UNREACHABLE || status == CLIENT_TIMED_OUT;
    log->open_at_ms = now_ms + (is_passing ? AGAIN_MS : REFUSED_MS);
    if (!is_passing) {
        tell_refused(log, &error);
    }
    return false;
}

/* --- the thread --- */

static void publish(struct outcome_log *log, struct record *record)
{
    struct client_error error;
    struct event event = event_blank();
    event.topic = OUTCOME_TOPIC;
    event.key = buf_slice(&record->key);
    event.value = buf_slice(&record->value);
    if (publisher_pending(log->publisher) >= FLIGHT_MOST ||
        publisher_publish(log->publisher, &event, record, &error) != CLIENT_OK) {
        record_free(record);
        atomic_fetch_add(&log->refused, 1);
    }
}

/* Counts of what was left out, as records. */
static void sum_up(struct outcome_log *log)
{
    int64_t now_ms = mono_ms(log);
    if (now_ms < log->sum_at_ms) {
        return;
    }
    log->sum_at_ms = now_ms + SUM_MS;
    for (int kind = 0; kind < OUTCOME_KINDS; kind++) {
        struct outcome outcome = outcome_log_blank(log, OUTCOME_LEFT_OUT);
        pthread_mutex_lock(&log->lock);
        outcome.count = (int64_t)log->left_out[kind];
        outcome.since_ms = log->left_since_ms[kind];
        log->left_out[kind] = 0;
        pthread_mutex_unlock(&log->lock);
        outcome.of = (enum outcome_kind)kind;
        if (outcome.count > 0) {
            outcome_log_add(log, &outcome);
        }
    }
}

static bool has_records(struct outcome_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool has_any = log->queue != NULL;
    pthread_mutex_unlock(&log->lock);
    return has_any;
}

static void close_if_idle(struct outcome_log *log, int64_t now_ms)
{
    if (log->publisher != NULL && publisher_pending(log->publisher) == 0 &&
        now_ms - log->published_ms >= IDLE_MS) {
        close_all(log);
    }
}

static void publish_all(struct outcome_log *log)
{
    struct record *records, *record, *next;
    int64_t now_ms = mono_ms(log);
    if (!has_records(log)) {
        close_if_idle(log, now_ms);
        return;
    }
    if (!open_due(log)) {
        return; /* they wait, as far as there is room */
    }
    log->published_ms = now_ms;
    pthread_mutex_lock(&log->lock);
    records = log->queue;
    log->queue = NULL;
    log->queued = 0;
    pthread_mutex_unlock(&log->lock);
    DL_FOREACH_SAFE (records, record, next) {
        DL_DELETE(records, record);
        publish(log, record);
    }
}

static bool wait_a_while(struct outcome_log *log)
{
    struct timespec until = cond_after_ms(LOOK_MS);
    pthread_mutex_lock(&log->lock);
    while (!log->is_ending && pthread_cond_timedwait(&log->ends, &log->lock, &until) == 0) {
    }
    bool is_ending = log->is_ending;
    pthread_mutex_unlock(&log->lock);
    return !is_ending;
}

static void *run(void *argument)
{
    enum { FLUSH_MS = 2000 };
    struct outcome_log *log = argument;
    while (wait_a_while(log)) {
        sum_up(log);
        tell_filters(log);
        publish_all(log);
    }
    log->sum_at_ms = 0;
    sum_up(log);
    publish_all(log);
    if (log->publisher != NULL) {
        (void)!publisher_flush(log->publisher,
                               (int)deadline_left_ms(log->settings.connection.deadline, FLUSH_MS));
    }
    close_all(log);
    return NULL;
}

/* --- life --- */

struct outcome_log *outcome_log_new(const struct outcome_log_settings *settings)
{
    enum { ASK_MS = 3000, STEPS = 500, STEPS_A_SECOND = 50, ENDS = 2000, ENDS_A_SECOND = 200 };
    struct outcome_log *log = mem_new(struct outcome_log);
    char host[65] = "";
    (void)!gethostname(host, sizeof host - 1);
    log->settings = *settings;
    log->settings.clock = settings->clock != NULL ? settings->clock : clock_system();
    log->settings.connection.notice = NULL; /* others tell the same */
    log->settings.connection.timeout_ms = ASK_MS;
    log->member = mem_sprintf("%s/%ld", host, (long)getpid());
    log->steps = (struct measure){STEPS, STEPS, STEPS_A_SECOND};
    log->ends_of = (struct measure){ENDS, ENDS, ENDS_A_SECOND};
    log->filled_ms = mono_ms(log);
    pthread_mutex_init(&log->lock, NULL);
    cond_init(&log->ends);
    return log;
}

void outcome_log_free(struct outcome_log *log)
{
    struct record *record, *next;
    if (log == NULL) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    log->is_ending = true;
    pthread_cond_broadcast(&log->ends);
    bool has_thread = log->has_thread;
    pthread_mutex_unlock(&log->lock);
    if (has_thread) {
        pthread_join(log->thread, NULL);
    }
    DL_FOREACH_SAFE (log->queue, record, next) {
        DL_DELETE(log->queue, record);
        record_free(record);
    }
    pthread_cond_destroy(&log->ends);
    pthread_mutex_destroy(&log->lock);
    arena_deinit(&log->filters_arena);
    free(log->member);
    free(log);
}

void outcome_log_counts(struct outcome_log *log, struct outcome_log_counts *counts)
{
    pthread_mutex_lock(&log->lock);
    counts->left_out = log->left_out_ever;
    counts->dropped = log->dropped;
    pthread_mutex_unlock(&log->lock);
    counts->told = atomic_load(&log->told);
    counts->dropped += atomic_load(&log->refused);
}

struct outcome outcome_log_blank(const struct outcome_log *log, enum outcome_kind kind)
{
    struct outcome outcome = outcome_blank(kind);
    outcome.time_ms = wall_ms(log);
    outcome.group = log->settings.group;
    outcome.instance = log->settings.instance;
    outcome.member = log->member;
    return outcome;
}

const struct outcome_log_settings *outcome_log_settings(const struct outcome_log *log)
{
    return &log->settings;
}
