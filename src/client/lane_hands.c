#include "client/lane_runner_inside.h"

#include "base/clock.h"
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

enum {
    SHORT_NS = 20000,   /* a handler that costs less than to wake a thread */
    AHEAD_NS = 2000000, /* of work, that each worker may have waiting */
    AHEAD_MOST = 2000,
    DONE_MOST = 500,    /* results of short handlers that wait to be told together */
    STUCK_NS = 1000000, /* none was taken: those who are awake have long ones in hand */
    LOOK_MS = 5         /* while handlers run the poll thread looks so often */
};

static void note_time(struct lane_workers *workers, int64_t took_ns)
{
    workers->recent_ns += took_ns > workers->recent_ns ? (took_ns - workers->recent_ns) / 2
                                                       : (took_ns - workers->recent_ns) / 16;
}

/* Puts down what the handler is through with; not said: it is somebody else's by now. True: the
 * poll thread is to be woken. */
static bool put_down(struct lane_workers *workers, struct lane_held *held, bool is_said)
{
    workers->busy--;
    if (is_said) {
        DL_APPEND(workers->done, held);
        workers->done_count++;
    }
    bool is_short = workers->recent_ns < SHORT_NS;
    bool may_wait = is_short && workers->queue != NULL && workers->done_count < DONE_MOST;
    bool is_due = workers->done != NULL && !may_wait && !workers->is_told;
    workers->is_told = workers->is_told || is_due;
    return is_due;
}

/* Waits for an event; NULL: the end. */
static struct lane_held *pick_up(struct lane_workers *workers)
{
    while (workers->queue == NULL && !workers->is_ending) {
        workers->idle++;
        pthread_cond_wait(&workers->work, &workers->lock);
        workers->idle--;
    }
    struct lane_held *held = workers->queue;
    if (held != NULL) {
        DL_DELETE(workers->queue, held);
        workers->taken++;
        workers->busy++;
    }
    return held;
}

static void *work(void *argument)
{
    struct lane_runner *runner = argument;
    struct lane_workers *workers = &runner->workers;
    struct lane_held *held;
    pthread_mutex_lock(&workers->lock);
    while ((held = pick_up(workers)) != NULL) {
        pthread_mutex_unlock(&workers->lock);
        int64_t began_ns = clock_now_ns();
        held->said.verdict = LANE_DONE;
        held->said.retry_in_ms = 0;
        held->said.error_class[0] = held->said.message[0] = '\0';
        bool is_said = runner->settings.handle(runner->settings.context, &held->hand, &held->said);
        int64_t took_ns = clock_now_ns() - began_ns;
        pthread_mutex_lock(&workers->lock);
        note_time(workers, took_ns);
        if (put_down(workers, held, is_said)) {
            pthread_mutex_unlock(&workers->lock);
            lane_runner_wake(runner);
            pthread_mutex_lock(&workers->lock);
        }
    }
    pthread_mutex_unlock(&workers->lock);
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
    DL_APPEND(runner->workers.given, held);
}

static bool is_stuck(struct lane_workers *workers)
{
    int64_t now_ns = clock_now_ns();
    if (workers->taken != workers->seen_taken) {
        workers->seen_taken = workers->taken;
        workers->seen_ns = now_ns;
    }
    return now_ns - workers->seen_ns >= STUCK_NS;
}

/* How many idle workers are to be woken. */
static int wanted(struct lane_workers *workers)
{
    const struct lane_held *held;
    int queued = 0;
    DL_COUNT(workers->queue, held, queued);
    if (!is_stuck(workers) && workers->recent_ns < SHORT_NS) {
        queued = queued > 0 && workers->busy == 0 ? 1 : 0;
    }
    return queued < workers->idle ? queued : workers->idle;
}

void lane_workers_flush(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    DL_CONCAT(workers->queue, workers->given);
    workers->given = NULL;
    for (int count = wanted(workers); count > 0; count--) {
        pthread_cond_signal(&workers->work);
    }
    pthread_mutex_unlock(&workers->lock);
}

struct lane_held *lane_workers_take(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    struct lane_held *done = workers->done;
    workers->done = NULL;
    workers->done_count = 0;
    workers->is_told = false;
    pthread_mutex_unlock(&workers->lock);
    return done;
}

size_t lane_workers_hands(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    size_t threads = (size_t)runner->settings.lanes.workers;
    pthread_mutex_lock(&workers->lock);
    int64_t recent_ns = workers->recent_ns;
    bool is_known = workers->taken > 0;
    pthread_mutex_unlock(&workers->lock);
    size_t each = is_known ? (size_t)(AHEAD_NS / (recent_ns + 1)) : 0;
    size_t ahead = each < AHEAD_MOST ? each * threads : AHEAD_MOST;
    return threads + (ahead < AHEAD_MOST ? ahead : AHEAD_MOST);
}

int lane_workers_wait_ms(struct lane_runner *runner, int most_ms)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    bool is_at_work = workers->busy > 0 || workers->queue != NULL;
    bool is_waiting = workers->queue != NULL && workers->idle > 0;
    bool is_due = workers->done != NULL;
    pthread_mutex_unlock(&workers->lock);
    int its_ms = is_due ? 0 : is_waiting ? 1 : is_at_work ? LOOK_MS : most_ms;
    return its_ms < most_ms ? its_ms : most_ms;
}

bool lane_workers_are_busy(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock);
    bool are_busy = workers->busy > 0 || workers->queue != NULL || workers->done != NULL;
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
