#include "outbox.h"

#include "service.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* The thread of an outbox, and its face. */

enum {
    BATCH_BYTES = 4 * 1024 * 1024,
    AGAIN_FIRST_MS = 50, /* after a failure of bus or database, then twice that, up to ... */
    AGAIN_MAX_MS = 2000,
    STEP_MAX_MS = 500,    /* while it waits for the bus it renews its lease in steps */
    LAST_BATCH_MS = 5000, /* how long a stop waits for it */
    TELL_DOWN_MS = 3000,  /* a wait for the bus is told after so long */
    TELL_HELD_MS = 10000  /* an open transaction that holds rows back */
};

struct tidings_outbox {
    struct tidings *service;
    pthread_t thread; /* none, on a bus that a test plays: */
    struct tidings_outbox *next, *prev;
    int64_t due_ms;

    /* the thread's own */
    struct sql sql;
    struct outbox_owner owner;
    struct outbox_sender sender;
    struct outbox_batch batch;
    int poll_ms, again_ms;
    int64_t rows_max, rows_now; /* less after a refusal that could not be told from others */
    int64_t renew_at_ms, wait_since_ms;
    bool is_held, has_failed, is_foreign;
    void (*at)(void *context, enum outbox_step step);
    void *at_context;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool is_stopping, is_woken;
    int64_t stop_ms;            /* monotonic */
    uint64_t looks, empty_look; /* looks that began; the last one that found no row */
    struct tidings_outbox_counts counts;
    struct meter_outbox shown; /* under the meter's lock */
};

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

static void step(struct tidings_outbox *outbox, enum outbox_step at)
{
    if (outbox->at != NULL) {
        outbox->at(outbox->at_context, at);
    }
}

/* --- what is told --- */

static void show_counts(struct tidings_outbox *outbox)
{
    struct tidings_outbox_counts counts;
    tidings_outbox_get_counts(outbox, &counts);
    meter_outbox(outbox->service, &outbox->shown, &counts);
}

static void tell_down(struct tidings_outbox *outbox, const char *why)
{
    pthread_mutex_lock(&outbox->lock);
    bool was_down = outbox->counts.is_down;
    outbox->counts.is_down = true;
    pthread_mutex_unlock(&outbox->lock);
    show_counts(outbox);
    if (!was_down) {
        service_log(outbox->service, TIDINGS_LOG_WARN,
                    "outbox: cannot publish, its rows wait: %.400s", why);
    }
}

static void tell_up(struct tidings_outbox *outbox, size_t published)
{
    pthread_mutex_lock(&outbox->lock);
    bool was_down = outbox->counts.is_down;
    outbox->counts.is_down = false;
    outbox->counts.published += published;
    pthread_mutex_unlock(&outbox->lock);
    show_counts(outbox);
    if (was_down) {
        service_log(outbox->service, TIDINGS_LOG_INFO, "outbox: publishes again");
    }
}

static void tell_refused(struct tidings_outbox *outbox, const struct outbox_row *row)
{
    struct event_attributes attributes = event_attributes(&row->event);
    if (row->attempts == 0) {
        service_log(
            outbox->service, TIDINGS_LOG_WARN,
            "outbox: row %lld, %.100s %.100s for %.100s, is refused: %.300s; it is kept and "
            "tried again, what is behind it %s waits",
            (long long)row->seq, attributes.type != NULL ? attributes.type : "",
            attributes.id != NULL ? attributes.id : "", row->event.topic, row->error.text,
            client_is_about_topic(row->error.code) ? "for its topic"
            : slice_is_null(row->event.key)        ? "goes on, as it has no key: nothing"
                                                   : "in its key");
    }
}

static void tell_held(struct tidings_outbox *outbox, const struct outbox_look *look)
{
    bool is_held = look->unsettled_ms > TELL_HELD_MS;
    if (is_held && !outbox->is_held) {
        service_log(outbox->service, TIDINGS_LOG_WARN,
                    "outbox: rows wait for %lld s for a transaction that is still open (process "
                    "%lld of the database has written first of all)",
                    (long long)(look->unsettled_ms / 1000), (long long)look->holder);
    } else if (!is_held && outbox->is_held) {
        service_log(outbox->service, TIDINGS_LOG_INFO,
                    "outbox: no transaction holds rows back any more");
    }
    outbox->is_held = is_held;
}

/* --- a round --- */

/* For the sender, while it waits for the bus. */
static bool go_on(void *context)
{
    struct tidings_outbox *outbox = context;
    bool is_mine = true;
    int64_t now = now_ms();
    if (now - outbox->wait_since_ms > TELL_DOWN_MS) {
        tell_down(outbox, "the bus does not answer");
    }
    if (now >= outbox->renew_at_ms) {
        outbox->renew_at_ms = now + outbox->owner.lease_ms / 3;
        if (outbox_renew(&outbox->sql, &outbox->owner, &is_mine, NULL) != SQL_OK) {
            is_mine = true; /* nobody knows; if not, the bus says so */
        }
    }
    pthread_mutex_lock(&outbox->lock);
    bool is_over =
        outbox->is_stopping && (now > outbox->stop_ms + LAST_BATCH_MS ||
                                deadline_left_ms(&outbox->service->stop, LAST_BATCH_MS) == 0);
    pthread_mutex_unlock(&outbox->lock);
    return is_mine && !is_over;
}

static void note_look(struct tidings_outbox *outbox, const struct outbox_look *look,
                      uint64_t number)
{
    pthread_mutex_lock(&outbox->lock);
    outbox->counts.failing = look->failing;
    outbox->counts.oldest_ms = look->oldest_ms;
    if (look->is_foreign) {
        outbox->counts.is_publishing = false;
    }
    if (!look->has_row) {
        outbox->empty_look = number;
        pthread_cond_broadcast(&outbox->changed);
    }
    pthread_mutex_unlock(&outbox->lock);
    show_counts(outbox);
    tell_held(outbox, look);
}

/* The fate of the batch of an earlier owner, or of one whose commit was not answered. */
static enum client_status settle(struct tidings_outbox *outbox, struct client_error *why)
{
    int64_t committed;
    struct tidings_error error;
    enum client_status status =
        outbox_sender_committed(&outbox->sender, &outbox->owner, &committed, why);
    if (status == CLIENT_OK &&
        outbox_settle(&outbox->sql, &outbox->owner, committed, &error) != SQL_OK) {
        status = client_fail(why, CLIENT_UNREACHABLE, NULL, "%s", error.text);
    }
    return status;
}

/* True: rows may be sent by this process. */
static bool own(struct tidings_outbox *outbox, struct tidings_error *error)
{
    bool is_mine, is_new;
    struct client_error why;
    if (outbox_own(&outbox->sql, &outbox->owner, &is_mine, &is_new, error) != SQL_OK) {
        return false;
    }
    outbox->renew_at_ms = now_ms() + outbox->owner.lease_ms / 3;
    if (!is_mine) {
        outbox_sender_close(&outbox->sender);
        return false;
    }
    step(outbox, OUTBOX_OWNED);
    if (!is_new && outbox->sender.publisher != NULL) {
        return true;
    }
    outbox->wait_since_ms = now_ms();
    enum client_status status = outbox_sender_start(&outbox->sender, &outbox->owner, &why);
    status = status == CLIENT_OK ? settle(outbox, &why) : status;
    if (status != CLIENT_OK) {
        outbox_sender_close(&outbox->sender);
        error_set(error, TIDINGS_UNREACHABLE, "%s", why.text);
        return false;
    }
    step(outbox, OUTBOX_SETTLED);
    pthread_mutex_lock(&outbox->lock);
    outbox->counts.is_publishing = true;
    pthread_mutex_unlock(&outbox->lock);
    return true;
}

/* A batch was refused: what is to be held is; if nobody can tell which, it goes in smaller ones. */
static bool undo(struct tidings_outbox *outbox, struct tidings_error *error)
{
    size_t refused = 0;
    for (size_t i = 0; i < outbox->batch.count; i++) {
        if (outbox->batch.rows[i].is_refused) {
            tell_refused(outbox, &outbox->batch.rows[i]);
            refused++;
        }
    }
    if (refused == 0) {
        outbox->rows_now = (int64_t)(outbox->batch.count + 1) / 2;
    }
    return outbox_undo(&outbox->sql, &outbox->owner, &outbox->batch, error) == SQL_OK;
}

static bool finish(struct tidings_outbox *outbox, struct tidings_error *error)
{
    const struct outbox_batch *batch = &outbox->batch;
    if (outbox_done(&outbox->sql, &outbox->owner, batch, error) != SQL_OK) {
        return false;
    }
    if (batch->is_retry && batch->count > 0) {
        service_log(outbox->service, TIDINGS_LOG_INFO,
                    "outbox: row %lld went through, what waited behind it goes on",
                    (long long)batch->rows[0].seq);
    }
    outbox->rows_now =
        outbox->rows_now * 2 > outbox->rows_max ? outbox->rows_max : outbox->rows_now * 2;
    tell_up(outbox, batch->count);
    step(outbox, OUTBOX_DONE);
    return true;
}

/* Sends what is next; *is_more: there may be more at once. False: something is wrong. */
static bool send(struct tidings_outbox *outbox, bool *is_more, struct tidings_error *error)
{
    struct client_error why = {.status = CLIENT_OK};
    if (outbox_take(&outbox->sql, &outbox->owner, outbox->rows_now, BATCH_BYTES, &outbox->batch,
                    error) != SQL_OK) {
        return false;
    }
    *is_more = outbox->batch.number > 0;
    if (!*is_more) {
        return true;
    }
    step(outbox, OUTBOX_TAKEN);
    outbox->wait_since_ms = now_ms();
    switch (outbox_sender_send(&outbox->sender, &outbox->owner, &outbox->batch, &why)) {
    case CLIENT_OK:
        return finish(outbox, error);
    case CLIENT_REFUSED:
        return undo(outbox, error);
    default:
        error_set(error, TIDINGS_UNREACHABLE, "%s", why.text);
        return false;
    }
}

/* After a failure. The first one may only be that another process has taken over. */
static int wait_again(struct tidings_outbox *outbox, const char *why)
{
    int wait_ms = outbox->again_ms;
    outbox->has_failed = true;
    if (wait_ms > AGAIN_FIRST_MS && why[0] != '\0') {
        tell_down(outbox, why);
    }
    outbox->again_ms = 2 * wait_ms < AGAIN_MAX_MS ? 2 * wait_ms : AGAIN_MAX_MS;
    return wait_ms;
}

/* One look and what it asks for; how long to wait for the next one. */
static int round_once(struct tidings_outbox *outbox)
{
    struct tidings_error error;
    struct outbox_look look;
    pthread_mutex_lock(&outbox->lock);
    uint64_t number = ++outbox->looks;
    pthread_mutex_unlock(&outbox->lock);
    outbox->has_failed = false;
    if (!sql_revive(&outbox->sql, &error) ||
        outbox_look(&outbox->sql, &outbox->owner, &look, &error) != SQL_OK) {
        outbox_sender_close(&outbox->sender);
        return wait_again(outbox, error.text);
    }
    note_look(outbox, &look, number);
    outbox->is_foreign = look.is_foreign;
    if (look.is_foreign || !look.has_work) {
        return outbox->poll_ms;
    }
    bool is_more = false;
    error.text[0] = '\0';
    if (!own(outbox, &error)) {
        return wait_again(outbox, error.text);
    }
    if (!send(outbox, &is_more, &error)) {
        outbox_sender_close(&outbox->sender); /* its fate is asked for by the next start */
        return wait_again(outbox, error.text);
    }
    outbox->again_ms = AGAIN_FIRST_MS;
    return is_more ? 0 : outbox->poll_ms;
}

/* --- the thread --- */

/* False: it is to end. */
static bool pause_for(struct tidings_outbox *outbox, int pause_ms)
{
    int64_t until_ms = now_ms() + pause_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&outbox->lock);
    while (pause_ms > 0 && !outbox->is_stopping && !outbox->is_woken &&
           pthread_cond_timedwait(&outbox->changed, &outbox->lock, &until) == 0) {
    }
    outbox->is_woken = false;
    bool goes_on = !outbox->is_stopping;
    pthread_mutex_unlock(&outbox->lock);
    return goes_on;
}

static void end(struct tidings_outbox *outbox)
{
    outbox_sender_close(&outbox->sender);
    (void)outbox_disown(&outbox->sql, &outbox->owner, NULL);
}

static void *outbox_main(void *argument)
{
    struct tidings_outbox *outbox = argument;
    while (pause_for(outbox, round_once(outbox))) {
    }
    end(outbox);
    return NULL;
}

/* --- on a bus that a test plays --- */

struct tidings_outbox *outbox_play(struct tidings_outbox *outbox)
{
    int wait_ms;
    do {
        sql_set_clock(&outbox->sql, outbox->service->clock);
        wait_ms = round_once(outbox);
    } while (wait_ms == 0);
    if (outbox->has_failed || outbox->is_foreign ||
        outbox_due(&outbox->sql, &outbox->owner, &outbox->due_ms, NULL) != SQL_OK) {
        outbox->due_ms = clock_wall_ms(outbox->service->clock) + wait_ms;
    }
    return outbox->next;
}

int64_t outboxes_due_ms(const struct tidings *service)
{
    int64_t due_ms = INT64_MAX;
    const struct tidings_outbox *outbox;
    DL_FOREACH (service->outboxes, outbox) {
        due_ms = outbox->due_ms < due_ms ? outbox->due_ms : due_ms;
    }
    return due_ms;
}

/* --- the face --- */

enum tidings_status tidings_outbox_add_sized(struct tidings *service, struct tidings_db db,
                                             const struct tidings_message *message,
                                             size_t message_size, struct tidings_error *error)
{
    struct sql sql;
    struct arena arena = {0};
    struct tidings_message its;
    struct tidings_error why = {.status = TIDINGS_FATAL};
    message = message_known(message, message_size, &its, error);
    enum tidings_status status =
        message != NULL ? message_check(service, message, error) : TIDINGS_INVALID;
    if (status == TIDINGS_OK && !name_is_plain(message->topic)) {
        status = error_set(error, TIDINGS_INVALID,
                           "a topic name is 1 to 249 letters, digits, '.', '_' or '-'");
    }
    status = status == TIDINGS_OK ? sql_begin(db, &sql, error) : status;
    if (status == TIDINGS_OK && !sql_in_transaction(&sql)) {
        status = error_set(error, TIDINGS_INVALID,
                           "begin a transaction first: the event belongs to what it tells of");
    }
    if (status == TIDINGS_OK) {
        struct event event =
            message_event(message, service->source, clock_wall_ms(service->clock), &arena);
        sql_set_clock(&sql, service->clock);
        if (outbox_add(&sql, service->options.name, &event, &why) != SQL_OK) {
            status = error_set(error, why.status, "%s", why.text);
        }
    }
    arena_deinit(&arena);
    return status;
}

static void outbox_free(struct tidings_outbox *outbox)
{
    meter_outbox_end(outbox->service, &outbox->shown);
    arena_deinit(&outbox->batch.arena);
    free(outbox->batch.rows);
    pthread_cond_destroy(&outbox->changed);
    pthread_mutex_destroy(&outbox->lock);
    free(outbox);
}

static struct tidings_outbox *outbox_new(struct tidings *service,
                                         const struct tidings_outbox_options *options)
{
    struct tidings_outbox *outbox = mem_new(struct tidings_outbox);
    outbox->service = service;
    outbox->owner.service = service->options.name;
    outbox->owner.lease_ms = options->lease_ms > 0 ? options->lease_ms : 5000;
    random_uuid_text(outbox->owner.name);
    outbox->again_ms = AGAIN_FIRST_MS;
    outbox->owner.retry_ms = options->retry_ms > 0 ? options->retry_ms : 1000;
    outbox->poll_ms = options->poll_ms > 0 ? options->poll_ms : 100;
    outbox->rows_max = outbox->rows_now = options->batch_events > 0 ? options->batch_events : 500;
    int step_ms = (int)outbox->owner.lease_ms / 3 + 1;
    outbox->sender =
        (struct outbox_sender){.service = service,
                               .step_ms = step_ms < STEP_MAX_MS ? step_ms : STEP_MAX_MS,
                               .go_on = go_on,
                               .context = outbox};
    pthread_condattr_t monotonic;
    pthread_mutex_init(&outbox->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&outbox->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return outbox;
}

static void sender_at(void *context, enum outbox_step at)
{
    step(context, at);
}

enum tidings_status outbox_start(struct tidings *service, struct tidings_db db,
                                 const struct tidings_outbox_options *options,
                                 void (*at)(void *context, enum outbox_step step), void *at_context,
                                 struct tidings_outbox **outbox, struct tidings_error *error)
{
    struct sql sql;
    *outbox = NULL;
    enum tidings_status status = sql_begin(db, &sql, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    const struct bound bounds[] = {
        {"poll_ms", options->poll_ms, 1, INT32_MAX},
        {"lease_ms", options->lease_ms, 1, INT32_MAX},
        {"batch_events", options->batch_events, 1, INT32_MAX},
        {"retry_ms", options->retry_ms, 1, INT32_MAX},
    };
    status = bounds_check(bounds, sizeof bounds / sizeof bounds[0], error);
    if (status != TIDINGS_OK) {
        return status;
    }
    struct tidings_outbox *made = outbox_new(service, options);
    made->sql = sql;
    made->at = at;
    made->at_context = at_context;
    made->sender.at = sender_at;
    if (service->played != NULL) {
        made->due_ms = INT64_MAX;
        DL_APPEND(service->outboxes, made);
    } else if (pthread_create(&made->thread, NULL, outbox_main, made) != 0) {
        outbox_free(made);
        return error_set(error, TIDINGS_FATAL, "no thread for the outbox");
    }
    *outbox = made;
    return TIDINGS_OK;
}

enum tidings_status tidings_outbox_start_sized(struct tidings *service, struct tidings_db db,
                                               const struct tidings_outbox_options *options,
                                               size_t options_size, struct tidings_outbox **outbox,
                                               struct tidings_error *error)
{
    struct tidings_outbox_options its = {0};
    *outbox = NULL;
    if (options != NULL && !sized_copy(&its, sizeof its, options, options_size)) {
        return sized_fail(error, "tidings_outbox_options");
    }
    return outbox_start(service, db, &its, NULL, NULL, outbox, error);
}

void tidings_outbox_wake(struct tidings_outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    outbox->is_woken = true;
    pthread_cond_broadcast(&outbox->changed);
    pthread_mutex_unlock(&outbox->lock);
}

enum tidings_status tidings_outbox_wait(struct tidings_outbox *outbox, int timeout_ms,
                                        struct tidings_error *error)
{
    int64_t until_ms = now_ms() + timeout_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    bool is_played = outbox->service->played != NULL;
    pthread_mutex_lock(&outbox->lock);
    uint64_t looks = outbox->looks; /* one that began before this call does not count */
    outbox->is_woken = true;
    pthread_cond_broadcast(&outbox->changed);
    if (is_played) {
        pthread_mutex_unlock(&outbox->lock);
        (void)outbox_play(outbox);
        pthread_mutex_lock(&outbox->lock);
    }
    while (!is_played && outbox->empty_look <= looks &&
           pthread_cond_timedwait(&outbox->changed, &outbox->lock, &until) == 0) {
    }
    bool is_empty = outbox->empty_look > looks;
    pthread_mutex_unlock(&outbox->lock);
    return is_empty ? TIDINGS_OK
                    : error_set(error, TIDINGS_UNREACHABLE,
                                "rows of the outbox still wait after %d ms", timeout_ms);
}

void tidings_outbox_get_counts_sized(struct tidings_outbox *outbox,
                                     struct tidings_outbox_counts *counts, size_t counts_size)
{
    pthread_mutex_lock(&outbox->lock);
    struct tidings_outbox_counts its = outbox->counts;
    pthread_mutex_unlock(&outbox->lock);
    size_t known = counts_size < sizeof its ? counts_size : sizeof its;
    memcpy(counts, &its, known);
    memset((char *)counts + known, 0, counts_size - known);
}

void tidings_outbox_stop(struct tidings_outbox *outbox)
{
    if (outbox == NULL) {
        return;
    }
    pthread_mutex_lock(&outbox->lock);
    outbox->is_stopping = true;
    outbox->stop_ms = now_ms();
    pthread_cond_broadcast(&outbox->changed);
    pthread_mutex_unlock(&outbox->lock);
    if (outbox->service->played != NULL) {
        DL_DELETE(outbox->service->outboxes, outbox);
        end(outbox);
    } else {
        pthread_join(outbox->thread, NULL);
    }
    outbox_free(outbox);
}
