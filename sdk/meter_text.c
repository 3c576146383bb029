#include "meter.h"

#include "service.h"

#include "base/clock.h"
#include "base/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

/* The numbers of a service in Prometheus's text format. */

#define PREFIX "tidings_service_"

enum { NAME_SIZE = 80 };

static void head(struct buf *to, const char *name, const char *type, const char *help)
{
    char whole[NAME_SIZE];
    snprintf(whole, sizeof whole, PREFIX "%s", name);
    prometheus_head(to, whole, type, help);
}

/* Begins a sample. */
static void sample(struct buf *to, const char *name)
{
    prometheus_name(to, PREFIX);
    buf_append_str(to, name);
}

/* Without labels. */
static void one(struct buf *to, const char *name, const char *type, const char *help, double number)
{
    head(to, name, type, help);
    sample(to, name);
    prometheus_value(to, number);
}

static void with(struct buf *to, const char *name, const char *what, const char *is, double number)
{
    sample(to, name);
    prometheus_label(to, what, is);
    prometheus_value(to, number);
}

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

/* --- handlers --- */

static void verdicts(struct tidings *service, struct buf *to)
{
    static const char *const words[] = {
        [LANE_DONE] = "done", [LANE_RETRY] = "retry", [LANE_REJECT] = "reject"};
    const struct handler *handler;
    head(to, "events_total", "counter", "Attempts by handler and what became of them.");
    LL_FOREACH (service->handlers, handler) {
        for (int i = LANE_DONE; i <= LANE_REJECT; i++) {
            sample(to, "events_total");
            prometheus_label(to, "handler", handler->name);
            prometheus_label(to, "verdict", words[i]);
            prometheus_value(to, (double)atomic_load(&handler->meter.verdicts[i]));
        }
    }
}

static void duration(const struct handler *handler, struct buf *to)
{
    uint64_t count = 0;
    for (int i = 0; i <= METER_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < METER_BUCKETS) {
            snprintf(bound, sizeof bound, "%g", (double)meter_bounds_us[i] / 1e6);
        }
        count += atomic_load(&handler->meter.calls[i]);
        sample(to, "handler_duration_seconds_bucket");
        prometheus_label(to, "handler", handler->name);
        prometheus_label(to, "le", bound);
        prometheus_value(to, (double)count);
    }
    with(to, "handler_duration_seconds_sum", "handler", handler->name,
         (double)atomic_load(&handler->meter.took_us) / 1e6);
    with(to, "handler_duration_seconds_count", "handler", handler->name, (double)count);
}

static void handlers(struct tidings *service, struct buf *to)
{
    const struct handler *handler;
    verdicts(service, to);
    head(to, "handler_duration_seconds", "histogram",
         "How long calls of a handler took; a batch is one call.");
    LL_FOREACH (service->handlers, handler) {
        duration(handler, to);
    }
    head(to, "handler_down", "gauge",
         "1: nothing of the handler succeeds; it is tried now and then.");
    LL_FOREACH (service->handlers, handler) {
        with(to, "handler_down", "handler", handler->name,
             atomic_load(&handler->meter.is_down) ? 1 : 0);
    }
}

/* --- lanes; the meter's lock is held --- */

static void memory(const struct lane_counts *counts, struct buf *to)
{
    one(to, "events_in_hand", "gauge", "Events that handlers have, or that wait for a worker.",
        (double)counts->running);
    head(to, "memory_events", "gauge",
         "Events in memory: runnable ones, and those that wait behind a head that failed.");
    with(to, "memory_events", "state", "runnable", (double)counts->runnable_events);
    with(to, "memory_events", "state", "waiting", (double)counts->waiting_events);
    head(to, "memory_bytes", "gauge", "Their bytes.");
    with(to, "memory_bytes", "state", "runnable", (double)counts->runnable_bytes);
    with(to, "memory_bytes", "state", "waiting", (double)counts->waiting_bytes);
    one(to, "aside_bytes", "gauge", "Bytes of events that are set aside in lanes.<group>.",
        (double)counts->aside_bytes);
}

static void lanes(const struct meter *meter, struct buf *to)
{
    size_t waiting = 0, parked = 0, held = 0, aside = 0;
    for (size_t i = 0; i < meter->shares.count; i++) {
        const struct lane_standing *at = &meter->shares.items[i].numbers.standing;
        waiting += at->waiting_lanes;
        parked += at->parked_lanes;
        held += at->held_lanes;
        aside += at->aside_events;
    }
    head(to, "lanes", "gauge",
         "Keys: in memory; waiting, as their head failed; parked, as it was given up; held by "
         "somebody's word; open, parked or with events that are set aside.");
    with(to, "lanes", "state", "memory", (double)meter->numbers.counts.lanes);
    with(to, "lanes", "state", "waiting", (double)waiting);
    with(to, "lanes", "state", "parked", (double)parked);
    with(to, "lanes", "state", "held", (double)held);
    with(to, "lanes", "state", "open", (double)meter->numbers.counts.open_lanes);
    one(to, "aside_events", "gauge", "Events that are set aside and not handled.", (double)aside);
}

static void totals(const struct lane_numbers *numbers, struct buf *to)
{
    head(to, "dead_letters_total", "counter",
         "Events given up, by whether that closed their lane.");
    with(to, "dead_letters_total", "lane", "closed", (double)numbers->parked);
    with(to, "dead_letters_total", "lane", "open", (double)numbers->skipped);
    head(to, "redrives_total", "counter", "Dead events that were tried again, by their end.");
    with(to, "redrives_total", "result", "done", (double)numbers->redone);
    with(to, "redrives_total", "result", "dead", (double)numbers->failed_again);
    one(to, "set_aside_total", "counter", "Events that were set aside.", (double)numbers->aside);
    one(to, "commits_total", "counter", "Commits that the group has stored, a partition each.",
        (double)numbers->commits);
}

static void lag(struct buf *to, const char *name, const struct meter_share *share, int64_t events)
{
    sample(to, name);
    prometheus_label(to, "topic", share->topic);
    prometheus_label_number(to, "partition", share->numbers.partition);
    prometheus_value(to, (double)(events > 0 ? events : 0));
}

static void lags(const struct meter *meter, struct buf *to)
{
    one(to, "partitions", "gauge", "Partitions that are this process's.",
        (double)meter->shares.count);
    head(to, "lag_unhandled", "gauge",
         "Events not handled yet: not read, in memory, or set aside. Offsets without an event "
         "count when they are not read.");
    for (size_t i = 0; i < meter->shares.count; i++) {
        const struct lane_share_numbers *at = &meter->shares.items[i].numbers;
        int64_t unread = at->end > at->standing.next ? at->end - at->standing.next : 0;
        lag(to, "lag_unhandled", &meter->shares.items[i],
            unread + (int64_t)(at->standing.open_events + at->standing.aside_events));
    }
    head(to, "lag_committed", "gauge", "Offsets behind the group's committed one.");
    for (size_t i = 0; i < meter->shares.count; i++) {
        const struct lane_share_numbers *at = &meter->shares.items[i].numbers;
        int64_t end = at->end > at->standing.next ? at->end : at->standing.next;
        lag(to, "lag_committed", &meter->shares.items[i], end - at->standing.committed);
    }
    head(to, "partition_paused", "gauge", "1: nothing is read, as memory or a limit is full.");
    for (size_t i = 0; i < meter->shares.count; i++) {
        lag(to, "partition_paused", &meter->shares.items[i],
            meter->shares.items[i].numbers.is_paused);
    }
}

static void outboxes(const struct meter *meter, struct buf *to)
{
    struct tidings_outbox_counts all = {0};
    const struct meter_outbox *outbox;
    DL_FOREACH (meter->outboxes, outbox) {
        all.published += outbox->counts.published;
        all.failing += outbox->counts.failing;
        all.is_publishing |= outbox->counts.is_publishing;
        all.is_down |= outbox->counts.is_down;
        if (outbox->counts.oldest_ms > all.oldest_ms) {
            all.oldest_ms = outbox->counts.oldest_ms;
        }
    }
    if (meter->outboxes == NULL) {
        return;
    }
    one(to, "outbox_published_total", "counter", "Events of the outbox that are published.",
        (double)all.published);
    one(to, "outbox_refused_rows", "gauge", "Rows of the outbox that the bus refuses.",
        (double)all.failing);
    one(to, "outbox_oldest_seconds", "gauge", "How long the oldest row waits; 0: there is none.",
        seconds(all.oldest_ms));
    one(to, "outbox_publishing", "gauge", "1: this process publishes it.", all.is_publishing);
    one(to, "outbox_down", "gauge", "1: its database or the bus does not answer.", all.is_down);
}

/* --- all of it --- */

static void publishes(struct tidings *service, struct buf *to)
{
    struct meter *meter = &service->meter;
    pthread_mutex_lock(&service->lock);
    struct publisher *publisher = service->publisher;
    pthread_mutex_unlock(&service->lock);
    head(to, "publishes_total", "counter", "Events published, by what became of them.");
    with(to, "publishes_total", "result", "acknowledged",
         (double)atomic_load(&meter->acknowledged));
    with(to, "publishes_total", "result", "failed", (double)atomic_load(&meter->refused));
    one(to, "publishes_pending", "gauge", "Events published that have no answer yet.",
        (double)atomic_load(&meter->kept) +
            (publisher != NULL ? (double)publisher_pending(publisher) : 0));
}

static void outcomes(struct tidings *service, struct buf *to)
{
    struct outcome_log_counts counts;
    if (service->outcomes == NULL) {
        return;
    }
    outcome_log_counts(service->outcomes, &counts);
    head(to, "outcomes_total", "counter",
         "Records for __tidings_outcomes: told; left out, as there were too many; dropped.");
    with(to, "outcomes_total", "result", "told", (double)counts.told);
    with(to, "outcomes_total", "result", "left_out", (double)counts.left_out);
    with(to, "outcomes_total", "result", "dropped", (double)counts.dropped);
}

static void spans(struct tidings *service, struct buf *to)
{
    struct spans_counts counts;
    if (service->spans == NULL) {
        return;
    }
    spans_counts(service->spans, &counts);
    head(to, "spans_total", "counter", "Spans: sent to the collector; dropped, as it took none.");
    with(to, "spans_total", "result", "sent", (double)counts.sent);
    with(to, "spans_total", "result", "dropped", (double)counts.dropped);
}

void meter_text(struct tidings *service, struct buf *text)
{
    struct meter *meter = &service->meter;
    enum meter_state state = atomic_load(&meter->state);
    const struct tidings_options *options = &service->options;
    head(text, "info", "gauge", "Which service it is.");
    sample(text, "info");
    prometheus_label(text, "service", options->name);
    prometheus_label(text, "instance_name", options->instance != NULL ? options->instance : "");
    prometheus_label(text, "version", TIDINGS_VERSION);
    prometheus_value(text, 1);
    publishes(service, text);
    outcomes(service, text);
    spans(service, text);
    pthread_mutex_lock(&meter->lock);
    outboxes(meter, text);
    pthread_mutex_unlock(&meter->lock);
    if (state != METER_RUNNING) {
        return; /* handlers are still being registered, or nothing happens any more */
    }
    handlers(service, text);
    one(text, "last_success_timestamp_seconds", "gauge",
        "When a handler last said that an event is done; 0: none did.",
        seconds(atomic_load(&meter->success_ms)));
    pthread_mutex_lock(&meter->lock);
    one(text, "joined", "gauge", "1: it is in its group.", meter->numbers.has_joined);
    memory(&meter->numbers.counts, text);
    lanes(meter, text);
    totals(&meter->numbers, text);
    lags(meter, text);
    pthread_mutex_unlock(&meter->lock);
}
