#include "service.h"

#include "base/clock.h"

#include <stdio.h>
#include <utlist.h>

/* The caller's thread: takes what can be handled, in order within a partition, and handles it. */

enum {
    TURN_MS = 100, /* how long a turn may wait: bounds the time until a stop is seen */
    RUN_MAX = 64   /* events of one partition in a row, while others wait */
};

/* An event may be begun now? Else *wait_ms goes down to when it may. */
static bool is_runnable(struct tidings *service, struct partition *partition, int64_t now_ms,
                        int64_t *wait_ms)
{
    if (partition->queue == NULL || partition->is_leaving || partition->rewind_offset >= 0) {
        return false;
    }
    if (partition->attempts == 0) {
        return true;
    }
    /* After a failure one at a time: what is behind it waits for its publishes too, so that a
     * second failure does not repeat more than the event itself. */
    partition_reap(service, partition);
    if (partition->rewind_offset >= 0 || partition->queue == NULL) {
        return false;
    }
    if (partition->queue->event.offset != partition->failed_offset) {
        if (partition->flights != NULL) {
            return false;
        }
        partition->attempts = 0; /* the failed one is gone from the log, or it is done */
        return true;
    }
    int64_t left_ms = partition->retry_at_ms - now_ms;
    *wait_ms = left_ms < *wait_ms ? left_ms : *wait_ms;
    return left_ms <= 0;
}

/* The partition whose first event is next, or NULL. */
static struct partition *choose(struct tidings *service, int64_t *wait_ms)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    struct partition *cursor = service->cursor;
    if (cursor != NULL && service->cursor_run < RUN_MAX &&
        is_runnable(service, cursor, now_ms, wait_ms)) {
        service->cursor_run++;
        return cursor;
    }
    service->cursor_run = 0;
    struct partition *first =
        cursor != NULL && cursor->hh.next != NULL ? cursor->hh.next : service->partitions;
    struct partition *at = first;
    while (at != NULL) {
        if (is_runnable(service, at, now_ms, wait_ms)) {
            service->cursor = at;
            return at;
        }
        at = at->hh.next != NULL ? at->hh.next : service->partitions;
        at = at == first ? NULL : at;
    }
    return NULL;
}

/* Gives one event to its handler; true when it is done with. Lock not held. */
static bool call_handler(struct tidings *service, const struct received *received, int attempt,
                         struct tidings_in_hand *in_hand, struct arena *arena)
{
    struct tidings_event event;
    event_show(received, attempt, arena, &event);
    const struct handler *handler = handler_find(service, event.topic, event.type);
    if (handler == NULL) {
        return true;
    }
    event.in_hand = in_hand;
    pthread_mutex_lock(&service->lock);
    service->at.since_ms = clock_mono_ms(clock_system());
    service->at.warn_at_ms = service->at.since_ms + service->handler_warn_ms;
    snprintf(service->at.text, sizeof service->at.text, "%.100s %.100s (%.100s/%d offset %lld)",
             event.type, event.id, event.topic, (int)event.partition, (long long)event.offset);
    pthread_mutex_unlock(&service->lock);
    bool done = handler->call(service, &event, handler->context) == TIDINGS_DONE;
    if (!done && attempt == 1) {
        service_log(service, TIDINGS_LOG_WARN,
                    "%s %s (%s/%d offset %lld) failed; trying it again, its partition waits",
                    event.type, event.id, event.topic, (int)event.partition,
                    (long long)event.offset);
    }
    return done;
}

/* The event was handled under `turn`. Takes received. */
static void conclude(struct tidings *service, struct partition *partition, uint64_t turn,
                     struct received *received, struct tidings_in_hand *in_hand, bool done)
{
    int64_t offset = received->event.offset;
    partition->is_busy = false;
    service->at.since_ms = 0;
    if (partition->is_gone || partition->turn != turn) {
        flight_abandon(in_hand->flight); /* a result that comes too late */
        received_free(received);
        if (partition->is_gone) {
            partition_free(partition);
        }
    } else if (!done) {
        flight_abandon(in_hand->flight); /* the next attempt publishes anew */
        partition_queue_again(partition, received);
        partition_fail(service, partition, offset);
    } else {
        if (in_hand->flight == NULL && partition->attempts > 0) {
            in_hand->flight = flight_join(in_hand); /* so that passing it ends the attempts */
            in_hand->flight->pending = 0;
        }
        if (in_hand->flight != NULL) {
            LL_APPEND(partition->flights, in_hand->flight);
        }
        partition->next_offset = offset + 1;
        received_free(received);
    }
    pthread_cond_broadcast(&service->progress);
}

void handle_all(struct tidings *service)
{
    struct arena arena = {0};
    pthread_mutex_lock(&service->lock);
    while (!atomic_load(&service->stopping) && !service->fatal) {
        int64_t wait_ms = TURN_MS;
        struct partition *partition = choose(service, &wait_ms);
        if (partition == NULL) {
            int64_t now_ms = clock_mono_ms(clock_system());
            (void)service_wait(service, &service->work, now_ms + (wait_ms > 0 ? wait_ms : 1));
            continue;
        }
        struct received *received = partition_dequeue(partition);
        struct tidings_in_hand in_hand = {.service = service, .offset = received->event.offset};
        uint64_t turn = partition->turn;
        int attempt = partition->attempts + 1;
        partition->is_busy = true;
        pthread_mutex_unlock(&service->lock);
        bool done = call_handler(service, received, attempt, &in_hand, &arena);
        arena_reset(&arena);
        pthread_mutex_lock(&service->lock);
        conclude(service, partition, turn, received, &in_hand, done);
    }
    pthread_mutex_unlock(&service->lock);
    arena_deinit(&arena);
}
