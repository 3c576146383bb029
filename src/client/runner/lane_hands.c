#include "client/runner/lane_runner_inside.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <sys/resource.h>

/* --- events --- */

/* What an event costs beside its bytes: ours, the reader's, and librdkafka's. */
enum { OVERHEAD_BYTES = 600, HEADER_BYTES = 24 };
enum { SPARE_MOST = 4000 }; /* that are kept to be used again: what is in hand, and a turn's */

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

/* Few fail: what has no texts is not touched. */
static void say_nothing(struct lane_said *said)
{
    if (said->verdict != LANE_DONE) {
        said->error_class[0] = said->message[0] = '\0';
    }
    said->verdict = LANE_DONE;
    said->retry_in_ms = 0;
}

static struct lane_held *take_spare(struct lane_runner *runner, struct lane_source *source)
{
    struct lane_held *held = runner->spare;
    if (held != NULL) {
        LL_DELETE(runner->spare, held);
        runner->spare_count--;
    } else {
        held = mem_alloc(sizeof *held);
    }
    memset(&held->event, 0, sizeof held->event); /* in pieces that need no loop */
    memset((char *)held + sizeof held->event, 0,
           offsetof(struct lane_held, hand) - sizeof held->event);
    memset(&held->hand, 0, sizeof held->hand);
    held->source = source;
    held->said.verdict = LANE_RETRY;
    say_nothing(&held->said);
    return held;
}

struct lane_held *lane_held_new(struct lane_runner *runner, struct lane_source *source,
                                struct received *received)
{
    struct lane_held *held = take_spare(runner, source);
    held->received = received;
    describe(runner, held);
    held->event.epoch = received->epoch;
    return held;
}

struct lane_held *lane_held_load(struct lane_runner *runner, struct lane_source *source,
                                 struct lane_mail *mail)
{
    struct lane_held *held = take_spare(runner, source);
    held->own = (struct received){.event = mail->record.event};
    held->own.event.topic = source->topic;
    held->own.event.partition = source->number;
    held->own.epoch = source->epoch;
    held->arena = mail->arena;
    mail->arena = (struct arena){0};
    describe(runner, held);
    lane_failure_recall(runner, held);
    return held;
}

void lane_held_detach(struct lane_runner *runner, struct lane_held *held)
{
    if (held->received != NULL) {
        held->own =
            (struct received){.event = held->received->event, .epoch = held->received->epoch};
        event_own(&held->own.event, &held->arena);
        held->own.event.topic = held->source->topic;
        held->event.key = held->own.event.key;
        runner->bus.release(runner->bus.context, held->received);
        held->received = NULL;
    }
}

void lane_held_free(struct lane_runner *runner, struct lane_held *held)
{
    if (held->received != NULL) {
        runner->bus.release(runner->bus.context, held->received);
    }
    arena_deinit(&held->arena);
    if (runner->spare_count < SPARE_MOST) {
        LL_PREPEND(runner->spare, held);
        runner->spare_count++;
    } else {
        free(held);
    }
}

void lane_held_free_spare(struct lane_runner *runner)
{
    struct lane_held *held, *next;
    LL_FOREACH_SAFE (runner->spare, held, next) {
        free(held);
    }
    runner->spare = NULL;
}

void lane_hand_fill(struct lane_held *held)
{
    const struct lane_event *event = &held->event;
    held->hand = (struct lane_hand){
        .received = lane_held_received(held),
        .handler = event->handler,
        .attempt = event->attempt,
        .first_failed_ms = event->first_failed_ms,
        .fence = held->source->fence,
        .redrive = event->keep == LANE_REDRIVEN ? held->redrive : 0,
    };
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

/* Of several workers one may win: it is a guess. */
static int64_t note_time(struct lane_workers *workers, int64_t took_ns)
{
    int64_t recent_ns = atomic_load_explicit(&workers->recent_ns, memory_order_relaxed);
    recent_ns += took_ns > recent_ns ? (took_ns - recent_ns) / 2 : (took_ns - recent_ns) / 16;
    atomic_store_explicit(&workers->recent_ns, recent_ns, memory_order_relaxed);
    return recent_ns;
}

void lane_workers_note(struct lane_runner *runner, int64_t took_ns)
{
    note_time(&runner->workers, took_ns);
}

/* Since this was asked last. Then how long something took tells nothing of it. */
static bool had_to_leave_its_core(struct lane_worker *worker)
{
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0 || usage.ru_nivcsw == worker->switches) {
        return false;
    }
    worker->switches = usage.ru_nivcsw;
    return true;
}

int64_t lane_worker_note(struct lane_worker *worker, int64_t took_ns)
{
    struct lane_workers *workers = &worker->runner->workers;
    bool tells = took_ns < SHORT_NS || !had_to_leave_its_core(worker);
    return tells ? note_time(workers, took_ns)
                 : atomic_load_explicit(&workers->recent_ns, memory_order_relaxed);
}

bool lane_workers_are_below(const struct lane_runner *runner, int64_t ns)
{
    return atomic_load_explicit(&runner->workers.recent_ns, memory_order_relaxed) < ns;
}

bool lane_workers_are_short(const struct lane_runner *runner)
{
    return lane_workers_are_below(runner, SHORT_NS);
}

static bool has_queued(struct lane_workers *workers)
{
    return atomic_load(&workers->taken) != atomic_load(&workers->queued);
}

/* The next one of the queue; NULL: it is empty. */
static struct lane_held *take_queued(struct lane_workers *workers)
{
    uint64_t at = atomic_load(&workers->taken);
    while (at != atomic_load(&workers->queued)) {
        /* Its place is used again only when `taken` is a whole ring further. */
        struct lane_held *held =
            atomic_load_explicit(&workers->ring[at & workers->ring_mask], memory_order_relaxed);
        if (atomic_compare_exchange_weak(&workers->taken, &at, at + 1)) {
            return held;
        }
    }
    return NULL;
}

struct lane_held *lane_workers_take_queued(struct lane_runner *runner, uint64_t few)
{
    struct lane_workers *workers = &runner->workers;
    uint64_t queued = atomic_load(&workers->queued) - atomic_load(&workers->taken);
    return queued > few ? take_queued(workers) : NULL;
}

/* The handler is through with it. */
static void put_down(struct lane_workers *workers, struct lane_held *held)
{
    struct lane_held *before = atomic_load_explicit(&workers->done, memory_order_relaxed);
    do {
        held->next = before;
    } while (!atomic_compare_exchange_weak(&workers->done, &before, held));
    atomic_fetch_add_explicit(&workers->done_count, 1, memory_order_relaxed);
}

/* The poll thread is to be woken: results do not wait, or nobody is going to tell them soon. */
static bool is_due(struct lane_workers *workers, int64_t recent_ns)
{
    bool may_wait = recent_ns < SHORT_NS && has_queued(workers) &&
                    atomic_load_explicit(&workers->done_count, memory_order_relaxed) < DONE_MOST;
    return !may_wait && atomic_load(&workers->done) != NULL &&
           !atomic_exchange(&workers->is_told, true);
}

/* Somebody else is there for what is queued, or nothing is. */
static bool may_lead(struct lane_workers *workers)
{
    return workers->count > 1 || !has_queued(workers);
}

/* Waits for an event, or to be the one who reads; NULL: that, or the end. */
static struct lane_held *wait_for_one(struct lane_runner *runner, bool *reads)
{
    struct lane_workers *workers = &runner->workers;
    struct lane_lead *lead = &runner->lead;
    struct lane_held *held = NULL;
    pthread_mutex_lock(&workers->lock);
    while (!(*reads = lead->is_offered && may_lead(workers)) &&
           (held = take_queued(workers)) == NULL && !workers->is_ending) {
        workers->idle++;
        pthread_cond_wait(&workers->work, &workers->lock);
        workers->idle--;
    }
    if (*reads) {
        lead->is_offered = false;
        atomic_store(&lead->leading, 1);
    }
    pthread_mutex_unlock(&workers->lock);
    return held;
}

bool lane_hand_call(struct lane_worker *worker, struct lane_held *held, int64_t began_ns)
{
    const struct lane_runner_settings *settings = &worker->runner->settings;
    say_nothing(&held->said);
    held->hand.scratch = &worker->scratch;
    held->hand.worker = worker->number;
    held->hand.began_ns = began_ns;
    bool is_said = settings->handle(settings->context, &held->hand, &held->said);
    arena_reset(&worker->scratch);
    return is_said;
}

void lane_hand_put_down(struct lane_runner *runner, struct lane_held *held)
{
    put_down(&runner->workers, held);
}

static int64_t handle(struct lane_worker *worker, struct lane_held *held, int64_t began_ns)
{
    struct lane_runner *runner = worker->runner;
    struct lane_workers *workers = &runner->workers;
    if (lane_hand_call(worker, held, began_ns)) {
        put_down(workers, held); /* else it is somebody else's by now */
    }
    int64_t ended_ns = clock_now_ns();
    if (is_due(workers, lane_worker_note(worker, ended_ns - began_ns))) {
        lane_runner_wake(runner);
    }
    return ended_ns;
}

static void *work(void *argument)
{
    struct lane_worker *worker = argument;
    struct lane_runner *runner = worker->runner;
    struct lane_workers *workers = &runner->workers;
    struct lane_held *held;
    int64_t now_ns = 0;
    bool reads = false;
    do {
        if ((held = take_queued(workers)) == NULL) {
            held = wait_for_one(runner, &reads);
            now_ns = 0;
        }
        if (held != NULL) { /* one begins when that before it ended */
            now_ns = handle(worker, held, now_ns != 0 ? now_ns : clock_now_ns());
        } else if (reads) {
            runner->lead.take_turns(runner, worker);
        }
    } while (held != NULL || reads);
    arena_deinit(&worker->scratch);
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
    size_t size = 1;
    while (size < (size_t)wanted + AHEAD_MOST) {
        size *= 2;
    }
    atomic_store(&workers->recent_ns, SHORT_NS); /* until it is known */
    workers->ring = mem_zalloc_array(size, sizeof *workers->ring);
    workers->ring_mask = size - 1;
    workers->threads = mem_new_array(struct lane_worker, (size_t)wanted);
    bool goes = true;
    while (goes && workers->count < wanted) {
        struct lane_worker *worker = &workers->threads[workers->count];
        worker->runner = runner;
        worker->number = workers->count;
        goes = pthread_create(&worker->thread, NULL, work, worker) == 0;
        workers->count += goes;
    }
    return goes;
}

void lane_workers_give(struct lane_runner *runner, struct lane_held *held)
{
    struct lane_workers *workers = &runner->workers;
    assert(workers->given - atomic_load(&workers->taken) <= workers->ring_mask);
    atomic_store_explicit(&workers->ring[workers->given++ & workers->ring_mask], held,
                          memory_order_relaxed);
}

static bool is_stuck(struct lane_workers *workers)
{
    int64_t now_ns = clock_now_ns();
    uint64_t taken = atomic_load(&workers->taken);
    if (taken != workers->seen_taken) {
        workers->seen_taken = taken;
        workers->seen_ns = now_ns;
    }
    return now_ns - workers->seen_ns >= STUCK_NS;
}

/* How many idle workers are to be woken. */
static int wanted(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    int idle = atomic_load(&workers->idle);
    int queued = (int)(atomic_load(&workers->queued) - atomic_load(&workers->taken));
    if (!is_stuck(workers) &&
        atomic_load_explicit(&workers->recent_ns, memory_order_relaxed) < SHORT_NS) {
        queued = queued > 0 && idle + atomic_load(&runner->lead.leading) == workers->count ? 1 : 0;
    }
    return queued < idle ? queued : idle;
}

void lane_workers_flush(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    atomic_store(&workers->queued, workers->given);
    pthread_mutex_lock(&workers->lock); /* who saw an empty queue waits by now */
    for (int count = wanted(runner); count > 0; count--) {
        pthread_cond_signal(&workers->work);
    }
    pthread_mutex_unlock(&workers->lock);
}

struct lane_held *lane_workers_take(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    struct lane_held *first = NULL;
    size_t count = 0;
    atomic_store(&workers->is_told, false);
    struct lane_held *done = atomic_exchange(&workers->done, NULL);
    while (done != NULL) {
        struct lane_held *before = done->next;
        done->next = first;
        first = done;
        done = before;
        count++;
    }
    atomic_fetch_sub_explicit(&workers->done_count, count, memory_order_relaxed);
    return first;
}

size_t lane_workers_hands(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    size_t threads = (size_t)runner->settings.lanes.workers;
    int64_t recent_ns = atomic_load_explicit(&workers->recent_ns, memory_order_relaxed);
    bool is_known = atomic_load(&workers->taken) > 0;
    size_t each = is_known ? (size_t)(AHEAD_NS / (recent_ns + 1)) : 0;
    size_t ahead = each < AHEAD_MOST ? each * threads : AHEAD_MOST;
    return threads + (ahead < AHEAD_MOST ? ahead : AHEAD_MOST);
}

/* Somebody has an event in hand, or is about to wait. */
static bool is_at_work(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    return has_queued(workers) ||
           atomic_load(&workers->idle) + atomic_load(&runner->lead.leading) < workers->count;
}

int lane_workers_wait_ms(struct lane_runner *runner, int most_ms)
{
    struct lane_workers *workers = &runner->workers;
    bool is_waiting = has_queued(workers) && atomic_load(&workers->idle) > 0;
    bool is_due = atomic_load(&workers->done) != NULL;
    int its_ms = is_due ? 0 : is_waiting ? 1 : is_at_work(runner) ? LOOK_MS : most_ms;
    return its_ms < most_ms ? its_ms : most_ms;
}

bool lane_workers_are_idle(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    return workers->given == atomic_load(&workers->taken) &&
           atomic_load(&workers->idle) + atomic_load(&runner->lead.leading) > 0;
}

bool lane_workers_may_lead(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    return atomic_load(&workers->idle) > 0 && may_lead(workers);
}

bool lane_workers_are_missed(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    return has_queued(workers) && atomic_load(&workers->idle) == 0;
}

bool lane_workers_are_busy(struct lane_runner *runner)
{
    struct lane_workers *workers = &runner->workers;
    pthread_mutex_lock(&workers->lock); /* who becomes idle has told all results */
    bool are_busy = is_at_work(runner) || atomic_load(&workers->done) != NULL;
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
        pthread_join(workers->threads[--workers->count].thread, NULL);
    }
    free(workers->threads);
    free(workers->ring);
    workers->threads = NULL;
    workers->ring = NULL;
}
