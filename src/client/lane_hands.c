#include "client/lane_runner_inside.h"

#include "base/mem.h"

/* --- events --- */

/* What an event costs beside its bytes: ours, the reader's, and librdkafka's. */
enum { OVERHEAD_BYTES = 600, HEADER_BYTES = 24 };

struct lane_held *lane_held_of(struct lane_event *event)
{
    return container_of(event, struct lane_held, event);
}

const struct received *lane_held_received(const struct lane_held *held)
{
    return held->received != NULL ? held->received : &held->own;
}

size_t lane_event_cost(const struct event *event)
{
    size_t bytes = OVERHEAD_BYTES + event->key.size + event->value.size;
    for (size_t i = 0; i < event->header_count; i++) {
        bytes += HEADER_BYTES + strlen(event->headers[i].name) + event->headers[i].value.size;
    }
    return bytes;
}

static void describe(struct lane_runner *runner, struct lane_held *held)
{
    const struct event *event = &lane_held_received(held)->event;
    held->event.partition = held->source->id;
    held->event.epoch = held->source->epoch;
    held->event.offset = event->offset;
    held->event.key = event->key;
    held->event.bytes = lane_event_cost(event);
    held->event.handler = runner->settings.classify(runner->settings.context, event);
}

struct lane_held *lane_held_new(struct lane_runner *runner, struct lane_source *source,
                                struct received *received)
{
    struct lane_held *held = mem_new(struct lane_held);
    held->source = source;
    held->received = received;
    describe(runner, held);
    held->event.epoch = received->epoch;
    return held;
}

struct lane_held *lane_held_load(struct lane_runner *runner, struct lane_source *source,
                                 struct lane_mail *mail)
{
    struct lane_held *held = mem_new(struct lane_held);
    held->source = source;
    held->own.event = mail->record.event;
    held->own.event.topic = source->topic;
    held->own.event.partition = source->number;
    held->own.epoch = source->epoch;
    held->arena = mail->arena;
    mail->arena = (struct arena){0};
    describe(runner, held);
    lane_failure_recall(runner, held);
    return held;
}

void lane_held_free(struct lane_runner *runner, struct lane_held *held)
{
    if (held->received != NULL) {
        runner->bus.release(runner->bus.context, held->received);
    }
    arena_deinit(&held->arena);
    free(held);
}

/* --- workers --- */

/* The next event, NULL: the end. */
static struct lane_held *next(struct lane_workers *workers, bool had_one)
{
    pthread_mutex_lock(&workers->lock);
    workers->busy -= had_one;
    while (workers->queue == NULL && !workers->is_ending) {
        pthread_cond_wait(&workers->work, &workers->lock);
    }
    struct lane_held *held = workers->queue;
    if (held != NULL) {
        DL_DELETE(workers->queue, held);
        workers->busy++;
    }
    pthread_mutex_unlock(&workers->lock);
    return held;
}

static void *work(void *argument)
{
    struct lane_runner *runner = argument;
    struct lane_held *held;
    for (bool had_one = false; (held = next(&runner->workers, had_one)) != NULL; had_one = true) {
        memset(&held->said, 0, sizeof held->said);
        if (runner->settings.handle(runner->settings.context, &held->hand, &held->said)) {
            lane_runner_post(runner, lane_mail_new(LANE_MAIL_RESULT, held));
        }
    }
    return NULL;
}

void lane_runner_later(struct lane_runner *runner, struct lane_hand *hand)
{
    lane_runner_post(runner,
                     lane_mail_new(LANE_MAIL_LATER, container_of(hand, struct lane_held, hand)));
}

void lane_runner_say(struct lane_runner *runner, struct lane_hand *hand,
                     const struct lane_said *said)
{
    struct lane_held *held = container_of(hand, struct lane_held, hand);
    held->said = *said;
    lane_runner_post(runner, lane_mail_new(LANE_MAIL_RESULT, held));
}

bool lane_workers_start(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    int wanted = runner->settings.lanes.workers;
    workers->threads = mem_new_array(pthread_t, (size_t)wanted);
    while (workers->count < wanted &&
           pthread_create(&workers->threads[workers->count], NULL, work, runner) == 0) {
        workers->count++;
    }
    return workers->count == wanted;
}

void lane_workers_give(struct lane_runner *runner, struct lane_held *held)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    DL_APPEND(workers->queue, held);
    pthread_cond_signal(&workers->work);
    pthread_mutex_unlock(&workers->lock);
}

bool lane_workers_are_busy(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    bool are_busy = workers->busy > 0 || workers->queue != NULL;
    pthread_mutex_unlock(&workers->lock);
    return are_busy;
}

void lane_workers_end(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->lock);
    while (workers->count > 0) {
        pthread_join(workers->threads[--workers->count], NULL);
    }
    free(workers->threads);
    workers->threads = NULL;
}
