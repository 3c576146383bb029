#include "service.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Events in their handlers' hands, and what these publish: until all of it is acknowledged the
 * event is in hand, while its worker goes on with others. */

enum { NAME_SIZE = 512, KEY_SHOWN = 60 };

/* "OrderPlaced 17 (orders/0 offset 4, key anna)" */
static const char *name_of(const struct lane_hand *hand, char name[NAME_SIZE])
{
    struct arena arena = {0};
    struct tidings_event event;
    struct buf key = {0};
    event_show(hand, &arena, &event);
    if (event.key != NULL) {
        buf_append_str(&key, ", key ");
        utf8_escape(&key,
                    slice_of(event.key, event.key_size < KEY_SHOWN ? event.key_size : KEY_SHOWN));
    }
    snprintf(name, NAME_SIZE, "%.100s%s%.100s (%.100s/%d offset %lld%s)", event.type,
             event.type[0] != '\0' ? " " : "", event.id, event.topic, (int)event.partition,
             (long long)event.offset, buf_cstr(&key));
    buf_deinit(&key);
    arena_deinit(&arena);
    return name;
}

/* --- what handlers say --- */

static void give_reason(const struct tidings_event *event, enum lane_verdict verdict,
                        int64_t after_ms, const char *error_class, const char *message,
                        va_list arguments) __attribute__((format(printf, 5, 0)));

static void give_reason(const struct tidings_event *event, enum lane_verdict verdict,
                        int64_t after_ms, const char *error_class, const char *message,
                        va_list arguments)
{
    if (event->in_hand == NULL) {
        return; /* one that the caller made */
    }
    struct lane_said *said = event->in_hand->said;
    *said = (struct lane_said){.verdict = verdict, .retry_in_ms = after_ms > 0 ? after_ms : 0};
    snprintf(said->error_class, sizeof said->error_class, "%s",
             error_class != NULL ? error_class : "");
    vsnprintf(said->message, sizeof said->message, message, arguments);
}

enum tidings_verdict tidings_retry(const struct tidings_event *event, int64_t after_ms,
                                   const char *error_class, const char *message, ...)
{
    va_list arguments;
    va_start(arguments, message);
    give_reason(event, LANE_RETRY, after_ms, error_class, message, arguments);
    va_end(arguments);
    return TIDINGS_RETRY;
}

enum tidings_verdict tidings_reject(const struct tidings_event *event, const char *error_class,
                                    const char *message, ...)
{
    va_list arguments;
    va_start(arguments, message);
    give_reason(event, LANE_REJECT, 0, error_class, message, arguments);
    va_end(arguments);
    return TIDINGS_REJECT;
}

void hand_conclude(enum tidings_verdict returned, struct lane_said *said)
{
    enum lane_verdict verdict = returned == TIDINGS_DONE     ? LANE_DONE
                                : returned == TIDINGS_REJECT ? LANE_REJECT
                                                             : LANE_RETRY;
    if (said->verdict != verdict) {
        *said = (struct lane_said){.verdict = verdict};
    }
}

enum { REASON_SIZE = sizeof(struct lane_said) };

static const char *reason_of(const struct lane_said *said, char reason[REASON_SIZE])
{
    bool has_both = said->error_class[0] != '\0' && said->message[0] != '\0';
    snprintf(reason, REASON_SIZE, "%s%s%s", said->error_class, has_both ? ": " : "", said->message);
    return reason[0] != '\0' ? reason : "no reason was given";
}

/* What people want to know of it. The hand is not the runner's again yet. */
static void tell_said(struct tidings *service, const struct lane_hand *hand,
                      const struct lane_said *said)
{
    char name[NAME_SIZE], reason[REASON_SIZE];
    meter_said(service, hand->handler, said->verdict);
    span_said(service, hand, said);
    bool has_failed_before = hand->first_failed_ms != 0;
    if (said->verdict == LANE_DONE && has_failed_before) {
        service_log_often(service, &service->recoveries, TIDINGS_LOG_INFO,
                          "%s is done, at attempt %d", name_of(hand, name), hand->attempt);
    } else if (said->verdict == LANE_REJECT) {
        service_log_often(service, &service->failures, TIDINGS_LOG_WARN, "%s is rejected (%s)",
                          name_of(hand, name), reason_of(said, reason));
    } else if (said->verdict == LANE_RETRY && !has_failed_before &&
               atomic_load(&service->meter.state) != METER_OVER) { /* then the stop is told of */
        service_log_often(service, &service->failures, TIDINGS_LOG_WARN,
                          "%s failed (%s); trying it again, its key waits", name_of(hand, name),
                          reason_of(said, reason));
    }
}

void hand_settled(void *context, struct lane_hand *hand, const struct lane_said *failed)
{
    static const struct lane_said done = {.verdict = LANE_DONE};
    transact_end(context, hand, failed);
    if (failed == NULL || failed->verdict == LANE_RETRY) {
        tell_said(context, hand, failed != NULL ? failed : &done);
    } else {
        span_drop(hand->own);
    }
}

/* --- what they publish --- */

void flight_open(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    service->flights++;
    pthread_mutex_unlock(&service->lock);
}

void flight_close(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    service->flights--;
    pthread_cond_broadcast(&service->landed);
    pthread_mutex_unlock(&service->lock);
}

struct flight *flight_join(struct tidings_in_hand *in_hand)
{
    struct tidings *service = in_hand->service;
    pthread_mutex_lock(&service->lock);
    if (in_hand->flight == NULL) {
        in_hand->flight = mem_new(struct flight);
        in_hand->flight->hand = in_hand->hand;
        in_hand->flight->pending = 1;
        service->flights++;
    }
    in_hand->flight->pending++;
    pthread_mutex_unlock(&service->lock);
    return in_hand->flight;
}

void flight_settle(struct tidings *service, struct flight *flight, const struct lane_said *failed)
{
    pthread_mutex_lock(&service->lock);
    if (failed != NULL && flight->said.verdict == LANE_DONE) {
        flight->said = *failed;
    }
    bool is_last = --flight->pending == 0;
    pthread_mutex_unlock(&service->lock);
    if (!is_last) {
        return;
    }
    if (flight->says) {
        tell_said(service, flight->hand, &flight->said);
        lane_runner_say(service->runner, flight->hand, &flight->said);
    }
    free(flight);
    flight_close(service);
}

/* What is not acknowledged yet: each has its delivery soon (TIDINGS_CLOSED). */
static void give_up_published(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    struct publisher *publisher = service->publisher;
    pthread_mutex_unlock(&service->lock);
    if (publisher != NULL) {
        publisher_give_up(publisher);
    }
}

void flights_wait(struct tidings *service)
{
    enum { LOOK_MS = 200 };
    bool is_late = false;
    pthread_mutex_lock(&service->lock);
    while (service->flights > 0) {
        struct timespec until = cond_after_ms(LOOK_MS);
        pthread_mutex_unlock(&service->lock);
        is_late = lane_runner_left_ms(service->runner) == 0;
        if (is_late) { /* each time: who works on may publish more */
            give_up_published(service);
        }
        hand_watch(service);
        pthread_mutex_lock(&service->lock);
        if (service->flights > 0) {
            pthread_cond_timedwait(&service->landed, &service->lock, &until);
        }
    }
    pthread_mutex_unlock(&service->lock);
    if (is_late) {
        lane_runner_grant(service->runner);
    }
}

/* The handler has returned. False: what it published says the result, later. */
static bool end_flight(struct tidings *service, struct lane_hand *hand, struct flight *flight,
                       struct lane_said *said)
{
    if (said->verdict != LANE_DONE) {
        flight_settle(service, flight, NULL); /* the next attempt publishes anew */
        return true;
    }
    pthread_mutex_lock(&service->lock);
    bool is_over = flight->pending == 1;
    flight->says = !is_over;
    if (is_over) {
        *said = flight->said;
    }
    pthread_mutex_unlock(&service->lock);
    if (!is_over) {
        lane_runner_later(service->runner, hand); /* before anybody says the result */
    }
    flight_settle(service, flight, NULL);
    return is_over;
}

void hand_say(struct tidings *service, struct tidings_in_hand *in_hand)
{
    struct flight *flight = in_hand->flight;
    bool is_over = flight == NULL || in_hand->said->verdict != LANE_DONE;
    if (flight != NULL) {
        pthread_mutex_lock(&service->lock);
        flight->says = !is_over;
        pthread_mutex_unlock(&service->lock);
        flight_settle(service, flight, NULL);
    }
    if (is_over) {
        if (!transact_begin(in_hand)) {
            tell_said(service, in_hand->hand, in_hand->said);
        }
        lane_runner_say(service->runner, in_hand->hand, in_hand->said);
    }
}

/* --- calling, and watching over those who were called --- */

static void note_begin(struct tidings *service, struct tidings_in_hand *in_hand, int64_t since_ms)
{
    in_hand->since_ms = since_ms;
    in_hand->warn_at_ms = since_ms + service->options.handler_warn_ms;
    if (service->meter.is_on && in_hand->since_ns == 0) {
        in_hand->since_ns = clock_now_ns();
    }
}

/* Nobody looks at it any more. */
static void note_end(struct tidings *service, struct tidings_in_hand *in_hand)
{
    char name[NAME_SIZE];
    if (in_hand->is_told || in_hand->said->verdict != LANE_DONE || in_hand->hand->attempt > 1) {
        in_hand->hand->took_ms = clock_mono_ms(service->clock) - in_hand->since_ms;
        in_hand->hand->is_slow = in_hand->is_told;
    }
    if (in_hand->is_told) {
        int64_t taken_ms = in_hand->hand->took_ms;
        service_log(service, TIDINGS_LOG_INFO, "the handler is back from %s after %lld.%lld s",
                    name_of(in_hand->hand, name), (long long)(taken_ms / 1000),
                    (long long)(taken_ms % 1000 / 100));
    }
}

static void note_called(struct tidings *service, const struct tidings_in_hand *in_hand)
{
    if (service->meter.is_on) {
        meter_called(service, in_hand->hand->handler, clock_now_ns() - in_hand->since_ns);
    }
}

void hand_begin(struct tidings *service, struct tidings_in_hand *in_hand, int64_t since_ms)
{
    note_begin(service, in_hand, since_ms);
    pthread_mutex_lock(&service->hands_lock);
    DL_APPEND(service->hands, in_hand);
    pthread_mutex_unlock(&service->hands_lock);
}

void hand_end(struct tidings *service, struct tidings_in_hand *in_hand)
{
    note_called(service, in_hand);
    pthread_mutex_lock(&service->hands_lock);
    DL_DELETE(service->hands, in_hand);
    pthread_mutex_unlock(&service->hands_lock);
    note_end(service, in_hand);
}

/*
 * What workers have in hand stands in a slot of each, which the worker fills and empties without a
 * lock. Who looks at it holds the lock, and marks it so long (IS_LOOKED_AT is added): the worker
 * finds that when it empties the slot, and waits for the lock.
 */
enum { IS_LOOKED_AT = 1 };

void hands_open(struct tidings *service, int workers)
{
    service->slots = mem_new_array(struct hand_slot, (size_t)workers);
    service->slot_count = workers;
}

void hands_close(struct tidings *service)
{
    free(service->slots);
    service->slots = NULL;
    service->slot_count = 0;
}

static void slot_fill(struct hand_slot *slot, struct tidings_in_hand *in_hand)
{
    atomic_store_explicit(&slot->in_hand, (uintptr_t)in_hand, memory_order_release);
}

static void slot_empty(struct tidings *service, struct hand_slot *slot,
                       struct tidings_in_hand *in_hand)
{
    uintptr_t expected = (uintptr_t)in_hand;
    if (!atomic_compare_exchange_strong(&slot->in_hand, &expected, 0)) {
        pthread_mutex_lock(&service->hands_lock); /* nobody looks at it while this is held here */
        atomic_store(&slot->in_hand, 0);
        pthread_mutex_unlock(&service->hands_lock);
    }
}

/* What is in it stays there until slot_let_go; NULL: nothing is. Lock held. */
static struct tidings_in_hand *slot_look(struct hand_slot *slot)
{
    uintptr_t in_hand = atomic_load_explicit(&slot->in_hand, memory_order_relaxed);
    bool has_it = in_hand != 0 &&
                  atomic_compare_exchange_strong(&slot->in_hand, &in_hand, in_hand + IS_LOOKED_AT);
    return has_it ? (struct tidings_in_hand *)in_hand : NULL;
}

static void slot_let_go(struct hand_slot *slot, struct tidings_in_hand *in_hand)
{
    atomic_store(&slot->in_hand, (uintptr_t)in_hand);
}

static void append_others(const struct tidings_in_hand *in_hand, char name[NAME_SIZE])
{
    size_t size = strlen(name);
    if (in_hand->others > 0) {
        snprintf(name + size, NAME_SIZE - size, " and %zu others", in_hand->others);
    }
}

/* One that takes long and was not told of lately. */
struct slow {
    int64_t taken_ms; /* 0: there is none */
    char name[NAME_SIZE];
    const struct lane_hand *hand;
};

/* Whether it is. */
static bool is_slow(struct tidings_in_hand *in_hand, int64_t now_ms, struct slow *slow)
{
    if (now_ms < in_hand->warn_at_ms) {
        return false;
    }
    slow->taken_ms = now_ms - in_hand->since_ms;
    in_hand->warn_at_ms = now_ms + slow->taken_ms; /* again after twice the time, and so on */
    in_hand->is_told = true;
    slow->hand = in_hand->hand;
    name_of(in_hand->hand, slow->name);
    append_others(in_hand, slow->name);
    return true;
}

/* The hand stays while the poll thread is here, as it alone frees. */
static bool find_slow(struct tidings *service, struct slow *slow)
{
    struct tidings_in_hand *in_hand;
    int64_t now_ms = clock_mono_ms(service->clock);
    bool is_found = false;
    pthread_mutex_lock(&service->hands_lock);
    DL_FOREACH (service->hands, in_hand) {
        if ((is_found = is_slow(in_hand, now_ms, slow))) {
            break;
        }
    }
    for (int i = 0; !is_found && i < service->slot_count; i++) {
        if ((in_hand = slot_look(&service->slots[i])) != NULL) {
            is_found = is_slow(in_hand, now_ms, slow);
            slot_let_go(&service->slots[i], in_hand);
        }
    }
    pthread_mutex_unlock(&service->hands_lock);
    return is_found;
}

static void tell_story(struct tidings *service, const struct lane_hand *hand, int64_t taken_ms)
{
    struct lane_story story = {.kind = OUTCOME_SLOW,
                               .event = &hand->received->event,
                               .handler = service->numbered[hand->handler]->name,
                               .attempt = hand->attempt,
                               .counted = -1,
                               .took_ms = taken_ms,
                               .behind = -1,
                               .letter = {-1, -1},
                               .closes_lane = -1,
                               .redrive = hand->redrive > 0 ? hand->redrive : -1};
    if (service->lanes.story != NULL) {
        service->lanes.story(service, &story);
    }
}

void hand_watch(struct tidings *service)
{
    struct slow slow;
    while (find_slow(service, &slow)) {
        service_log(service, TIDINGS_LOG_WARN,
                    "the handler has been at %s for %lld.%lld s; its key waits", slow.name,
                    (long long)(slow.taken_ms / 1000), (long long)(slow.taken_ms % 1000 / 100));
        tell_story(service, slow.hand, slow.taken_ms);
    }
}

/* The worker knows the time already, unless a test has another one. */
static int64_t began_ms(const struct tidings *service, const struct lane_hand *hand)
{
    return service->clock == clock_system() ? hand->began_ns / 1000000
                                            : clock_mono_ms(service->clock);
}

bool hand_call(void *context, struct lane_hand *hand, struct lane_said *said)
{
    struct tidings *service = context;
    const struct handler *handler = service->numbered[hand->handler];
    struct hand_slot *slot = &service->slots[hand->worker];
    struct tidings_event event;
    struct tidings_in_hand in_hand = {
        .service = service, .hand = hand, .event = &event, .said = said};
    event_show(hand, hand->scratch, &event);
    event.in_hand = &in_hand;
    span_begin(service, &event, hand);
    note_begin(service, &in_hand, began_ms(service, hand));
    slot_fill(slot, &in_hand);
    hand_conclude(handler->call(service, &event, handler->context), said);
    note_called(service, &in_hand);
    slot_empty(service, slot, &in_hand);
    note_end(service, &in_hand);
    span_returned(hand);
    bool is_later = transact_begin(&in_hand);
    bool is_said = in_hand.flight == NULL || end_flight(service, hand, in_hand.flight, said);
    if (is_said && !is_later) {
        tell_said(service, hand, said);
    }
    return is_said;
}
