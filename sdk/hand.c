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

void hand_begin(struct tidings *service, struct tidings_in_hand *in_hand, int64_t since_ms)
{
    in_hand->since_ms = since_ms;
    if (service->meter.is_on && in_hand->since_ns == 0) {
        in_hand->since_ns = clock_now_ns();
    }
    pthread_mutex_lock(&service->hands_lock);
    in_hand->warn_at_ms = in_hand->since_ms + service->options.handler_warn_ms;
    DL_APPEND(service->hands, in_hand);
    pthread_mutex_unlock(&service->hands_lock);
}

void hand_end(struct tidings *service, struct tidings_in_hand *in_hand)
{
    char name[NAME_SIZE];
    if (service->meter.is_on) {
        meter_called(service, in_hand->hand->handler, clock_now_ns() - in_hand->since_ns);
    }
    pthread_mutex_lock(&service->hands_lock);
    DL_DELETE(service->hands, in_hand);
    pthread_mutex_unlock(&service->hands_lock);
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

static void append_others(const struct tidings_in_hand *in_hand, char name[NAME_SIZE])
{
    size_t size = strlen(name);
    if (in_hand->others > 0) {
        snprintf(name + size, NAME_SIZE - size, " and %zu others", in_hand->others);
    }
}

/* One that takes long and was not told of lately; 0: there is none. Else how long, and its name.
 * The hand stays while the poll thread is here, as it alone frees. */
static int64_t find_slow(struct tidings *service, char name[NAME_SIZE],
                         const struct lane_hand **hand)
{
    struct tidings_in_hand *in_hand;
    int64_t now_ms = clock_mono_ms(service->clock), taken_ms = 0;
    pthread_mutex_lock(&service->hands_lock);
    DL_FOREACH (service->hands, in_hand) {
        if (now_ms >= in_hand->warn_at_ms) {
            taken_ms = now_ms - in_hand->since_ms;
            in_hand->warn_at_ms = now_ms + taken_ms; /* again after twice the time, and so on */
            in_hand->is_told = true;
            *hand = in_hand->hand;
            name_of(in_hand->hand, name);
            append_others(in_hand, name);
            break;
        }
    }
    pthread_mutex_unlock(&service->hands_lock);
    return taken_ms;
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
    char name[NAME_SIZE];
    int64_t taken_ms;
    const struct lane_hand *hand;
    while ((taken_ms = find_slow(service, name, &hand)) > 0) {
        service_log(service, TIDINGS_LOG_WARN,
                    "the handler has been at %s for %lld.%lld s; its key waits", name,
                    (long long)(taken_ms / 1000), (long long)(taken_ms % 1000 / 100));
        tell_story(service, hand, taken_ms);
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
    struct tidings_event event;
    struct tidings_in_hand in_hand = {
        .service = service, .hand = hand, .event = &event, .said = said};
    event_show(hand, hand->scratch, &event);
    event.in_hand = &in_hand;
    span_begin(service, &event, hand);
    hand_begin(service, &in_hand, began_ms(service, hand));
    hand_conclude(handler->call(service, &event, handler->context), said);
    hand_end(service, &in_hand);
    span_returned(hand);
    bool is_later = transact_begin(&in_hand);
    bool is_said = in_hand.flight == NULL || end_flight(service, hand, in_hand.flight, said);
    if (is_said && !is_later) {
        tell_said(service, hand, said);
    }
    return is_said;
}
