#include "meter.h"

#include "service.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

void meter_init(struct meter *meter)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&meter->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&meter->copied, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void shares_clear(struct meter *meter)
{
    for (size_t i = 0; i < meter->shares.count; i++) {
        free(meter->shares.items[i].topic);
    }
    meter->shares.count = 0;
}

void meter_deinit(struct meter *meter)
{
    shares_clear(meter);
    vec_deinit(&meter->shares);
    pthread_cond_destroy(&meter->copied);
    pthread_mutex_destroy(&meter->lock);
}

/* --- counting --- */

static void add(_Atomic uint64_t *to, uint64_t more)
{
    atomic_fetch_add_explicit(to, more, memory_order_relaxed);
}

/* clang-format off */
const int64_t meter_bounds_us[METER_BUCKETS] = {100,   500,    1000,   5000,    10000,   50000,
                                                100000, 500000, 1000000, 5000000, 10000000, 60000000};
/* clang-format on */

void meter_called(struct tidings *service, int handler, int64_t took_ns)
{
    struct meter_handler *its = &service->numbered[handler]->meter;
    int64_t took_us = took_ns / 1000;
    size_t bucket = 0;
    while (bucket < METER_BUCKETS && took_us > meter_bounds_us[bucket]) {
        bucket++;
    }
    add(&its->calls[bucket], 1);
    add(&its->took_us, (uint64_t)took_us);
}

void meter_said(struct tidings *service, int handler, enum lane_verdict verdict)
{
    struct meter *meter = &service->meter;
    if (!meter->is_on) {
        return;
    }
    add(&service->numbered[handler]->meter.verdicts[verdict], 1);
    if (verdict == LANE_DONE) {
        atomic_store_explicit(&meter->has_done, true, memory_order_relaxed);
    }
}

void meter_published(struct tidings *service, bool is_kept)
{
    if (service->meter.is_on) {
        add(is_kept ? &service->meter.acknowledged : &service->meter.refused, 1);
    }
}

void meter_kept(struct tidings *service, int more)
{
    if (service->meter.is_on) {
        atomic_fetch_add_explicit(&service->meter.kept, more, memory_order_relaxed);
    }
}

void meter_outbox(struct tidings *service, struct meter_outbox *outbox,
                  const struct tidings_outbox_counts *counts)
{
    struct meter *meter = &service->meter;
    pthread_mutex_lock(&meter->lock);
    if (outbox->prev == NULL) {
        DL_APPEND(meter->outboxes, outbox);
    }
    outbox->counts = *counts;
    pthread_mutex_unlock(&meter->lock);
}

void meter_outbox_end(struct tidings *service, struct meter_outbox *outbox)
{
    struct meter *meter = &service->meter;
    pthread_mutex_lock(&meter->lock);
    if (outbox->prev != NULL) {
        DL_DELETE(meter->outboxes, outbox);
    }
    pthread_mutex_unlock(&meter->lock);
}

static void copy_share(void *context, const struct lane_share_numbers *numbers)
{
    struct meter *meter = context;
    struct meter_share share = {.topic = mem_strdup(numbers->topic), .numbers = *numbers};
    share.numbers.topic = NULL;
    vec_push(&meter->shares, share);
}

void meter_turn(struct tidings *service)
{
    struct meter *meter = &service->meter;
    struct handler *handler;
    if (!meter->is_on) {
        return;
    }
    atomic_store_explicit(&meter->turned_ms, clock_mono_ms(clock_system()), memory_order_relaxed);
    if (atomic_exchange_explicit(&meter->has_done, false, memory_order_relaxed)) {
        atomic_store(&meter->success_ms, clock_wall_ms(service->clock));
    }
    if (!atomic_load_explicit(&meter->is_wanted, memory_order_relaxed) ||
        !atomic_exchange(&meter->is_wanted, false)) {
        return;
    }
    LL_FOREACH (service->handlers, handler) {
        atomic_store(&handler->meter.is_down,
                     lane_runner_is_down(service->runner, handler->number));
    }
    pthread_mutex_lock(&meter->lock);
    lane_runner_numbers(service->runner, &meter->numbers);
    shares_clear(meter);
    lane_runner_each_share(service->runner, copy_share, meter);
    meter->copies++;
    pthread_cond_broadcast(&meter->copied);
    pthread_mutex_unlock(&meter->lock);
}

/* --- showing --- */

void meter_refresh(struct tidings *service, int most_ms)
{
    struct meter *meter = &service->meter;
    int64_t until_ms = clock_mono_ms(clock_system()) + most_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    if (atomic_load(&meter->state) != METER_RUNNING) {
        return;
    }
    pthread_mutex_lock(&meter->lock);
    uint64_t copies = meter->copies;
    atomic_store(&meter->is_wanted, true);
    while (meter->copies == copies &&
           pthread_cond_timedwait(&meter->copied, &meter->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&meter->lock);
}

bool meter_is_healthy(struct tidings *service, char *why, size_t size)
{
    enum { STUCK_MS = 15000 };
    struct meter *meter = &service->meter;
    int64_t stood_ms = clock_mono_ms(clock_system()) - atomic_load(&meter->turned_ms);
    pthread_mutex_lock(&service->lock);
    bool is_fatal = service->fatal;
    if (is_fatal) {
        snprintf(why, size, "cannot go on: %s", service->fatal_error.text);
    }
    pthread_mutex_unlock(&service->lock);
    if (is_fatal) {
        return false;
    }
    if (atomic_load(&meter->state) == METER_RUNNING && stood_ms > STUCK_MS) {
        snprintf(why, size, "the polling thread has not moved for %lld s",
                 (long long)(stood_ms / 1000));
        return false;
    }
    snprintf(why, size, "it works");
    return true;
}

bool meter_is_ready(struct tidings *service, char *why, size_t size)
{
    struct meter *meter = &service->meter;
    enum meter_state state = atomic_load(&meter->state);
    if (!meter_is_healthy(service, why, size)) {
        return false;
    }
    if (!atomic_load(&meter->has_handlers)) {
        snprintf(why, size, "it has no handlers");
        return true;
    }
    pthread_mutex_lock(&meter->lock);
    bool has_joined = meter->numbers.has_joined;
    pthread_mutex_unlock(&meter->lock);
    const char *lacks = state == METER_NEW       ? "tidings_run was not called yet"
                        : state == METER_OPENING ? "it looks for its topics"
                        : state == METER_OVER    ? "tidings_run has returned"
                        : !has_joined            ? "it is not in its group yet"
                                                 : NULL;
    snprintf(why, size, "%s", lacks != NULL ? lacks : "it is in its group");
    return lacks == NULL;
}
