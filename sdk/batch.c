#include "service.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <utlist.h>

/*
 * Handlers of several events at once. Workers hand theirs over and go on; a thread of the handler's
 * own calls it with what has gathered, one batch at a time. Of each lane there is one event at
 * most, as the lane waits until it is told what became of it.
 */

struct batch_item {
    struct batch_item *next;
    struct tidings_in_hand in_hand;
    struct tidings_event event;
    struct lane_said said;
    struct arena arena;
};

struct batch {
    struct tidings *service;
    const struct handler *handler;
    pthread_mutex_t lock; /* guards items, end and is_ending */
    pthread_cond_t came;
    struct batch_item *items;
    struct batch_item **end; /* of the items: where the next one goes */
    bool is_ending;
    pthread_t thread;
};

void batch_add(struct tidings *service, const struct handler *handler, struct lane_hand *hand)
{
    struct batch *batch = handler->batch;
    struct batch_item *item = mem_new(struct batch_item);
    item->in_hand = (struct tidings_in_hand){
        .service = service, .hand = hand, .event = &item->event, .said = &item->said};
    event_show(hand, &item->arena, &item->event);
    item->event.in_hand = &item->in_hand;
    flight_open(service);
    lane_runner_later(service->runner, hand); /* before anybody says the result */
    pthread_mutex_lock(&batch->lock);
    *batch->end = item;
    batch->end = &item->next;
    pthread_cond_signal(&batch->came);
    pthread_mutex_unlock(&batch->lock);
}

/* What has gathered, as many as the handler takes; NULL: the end. */
static struct batch_item *gather(struct batch *batch, size_t *count)
{
    *count = 0;
    pthread_mutex_lock(&batch->lock);
    while (batch->items == NULL && !batch->is_ending) {
        pthread_cond_wait(&batch->came, &batch->lock);
    }
    struct batch_item *first = batch->items, *last = NULL;
    for (struct batch_item *item = first; item != NULL && *count < batch->handler->most;
         item = item->next) {
        last = item;
        ++*count;
    }
    if (last != NULL) {
        batch->items = last->next;
        batch->end = batch->items != NULL ? batch->end : &batch->items;
        last->next = NULL;
    }
    pthread_mutex_unlock(&batch->lock);
    return first;
}

/* The reason that was given for one of them is that of all which have none of their own. */
static void share_verdict(struct batch_item *items, enum tidings_verdict returned)
{
    struct batch_item *item;
    struct lane_said said = {0};
    hand_conclude(returned, &said);
    LL_FOREACH (items, item) {
        if (said.verdict != LANE_DONE && item->said.verdict == said.verdict) {
            said = item->said;
            break;
        }
    }
    LL_FOREACH (items, item) {
        if (item->said.verdict == LANE_DONE) {
            item->said = said;
        }
    }
}

static void end_all(struct tidings *service, struct batch_item *items)
{
    struct batch_item *item, *next;
    LL_FOREACH_SAFE (items, item, next) {
        hand_say(service, &item->in_hand);
        flight_close(service);
        arena_deinit(&item->arena);
        free(item);
    }
}

static void *run(void *argument)
{
    struct batch *batch = argument;
    const struct handler *handler = batch->handler;
    struct tidings *service = batch->service;
    const struct tidings_event **events =
        mem_new_array(const struct tidings_event *, handler->most);
    struct batch_item *items, *item;
    size_t count, i;
    while ((items = gather(batch, &count)) != NULL) {
        i = 0;
        LL_FOREACH (items, item) {
            events[i++] = &item->event;
            span_begin(service, &item->event, item->in_hand.hand);
        }
        items->in_hand.others = count - 1;
        hand_begin(service, &items->in_hand, clock_mono_ms(service->clock));
        share_verdict(items, handler->call_many(service, events, count, handler->context));
        hand_end(service, &items->in_hand);
        LL_FOREACH (items, item) {
            span_returned(item->in_hand.hand);
        }
        end_all(service, items);
    }
    free(events);
    return NULL;
}

static void batch_free(struct batch *batch)
{
    pthread_cond_destroy(&batch->came);
    pthread_mutex_destroy(&batch->lock);
    free(batch);
}

bool batches_begin(struct tidings *service)
{
    struct handler *handler;
    LL_FOREACH (service->handlers, handler) {
        if (handler->call_many == NULL) {
            continue;
        }
        struct batch *batch = mem_new(struct batch);
        batch->service = service;
        batch->handler = handler;
        batch->end = &batch->items;
        pthread_mutex_init(&batch->lock, NULL);
        pthread_cond_init(&batch->came, NULL);
        if (pthread_create(&batch->thread, NULL, run, batch) != 0) {
            batch_free(batch);
            return false;
        }
        handler->batch = batch;
    }
    return true;
}

void batches_end(struct tidings *service)
{
    struct handler *handler;
    LL_FOREACH (service->handlers, handler) {
        struct batch *batch = handler->batch;
        if (batch != NULL) {
            pthread_mutex_lock(&batch->lock);
            batch->is_ending = true;
            pthread_cond_signal(&batch->came);
            pthread_mutex_unlock(&batch->lock);
            pthread_join(batch->thread, NULL);
            batch_free(batch);
            handler->batch = NULL;
        }
    }
}
