#include "client/runner/lane_runner_inside.h"

#include "base/clock.h"
#include "base/cond.h"

/*
 * To hand a short handler's event to another thread and have its result back costs more than it
 * does: threads are woken, and what the event and its lane consist of goes from one core's cache to
 * the other's and back. So while events come densely and handlers are short a worker reads, and has
 * each event handled on the spot if its lane is free (lane_may_pass); the machine then hears of it
 * when it is done, and most lanes are never made. Only what fails, or is said later, goes the usual
 * way.
 *
 * The poll thread waits meanwhile, and looks now and then: when a handler does not return it takes
 * the reading, tells the machine that the event is in hand, and goes on as if it had given it to
 * that worker. So a handler that hangs costs its lane its turn and nobody else more than some
 * milliseconds. There is always a worker that reads or none, so there are never more handlers at
 * once than workers.
 */

enum {
    LOOK_NS = 5000000,   /* a handler that takes longer may cost its thread the reading */
    DENSE_EVENTS = 4,    /* or more, */
    DENSE_NS = 10000000, /* in this time: it is worth it */
    REST_NS = 50000000,  /* without any: it is not, any more */
    TURN_NS = 1000000,   /* then there may be other things to do */
    WAIT_MS = 20,        /* for events, in a turn */
    TINY_NS = 2000,      /* handlers that are timed together, */
    UNTIMED_MOST = 16    /* so many */
};

/* --- turns --- */

/* Before a handler is called. */
static void note_begin(struct lane_lead *lead)
{
    if (lead->now_ns == 0) {
        lead->now_ns = lead->turn_ns = clock_now_ns();
    }
}

static void note_end(struct lane_runner *runner)
{
    struct lane_lead *lead = &runner->lead;
    unsigned most = lane_workers_are_below(runner, TINY_NS) ? UNTIMED_MOST : 1;
    if (++lead->untimed < most) {
        return;
    }
    int64_t now_ns = clock_now_ns();
    (void)lane_worker_note(lead->worker, (now_ns - lead->now_ns) / lead->untimed);
    lead->now_ns = now_ns;
    lead->untimed = 0;
    lead->is_turn_over = now_ns - lead->turn_ns >= TURN_NS;
}

/* As for a worker whose event it always was. */
static void end_late(struct lane_runner *runner, struct lane_held *held, bool is_said)
{
    if (is_said) {
        lane_hand_put_down(runner, held);
    }
    lane_runner_wake(runner);
}

/* Calls the handler. False: that took so long that somebody else reads by now. */
static bool call(struct lane_runner *runner, struct lane_held *held, bool *is_said)
{
    struct lane_lead *lead = &runner->lead;
    note_begin(lead);
    lead->held = held;
    struct lane_worker *worker = lead->worker; /* it may be another one from the next step on */
    int64_t began_ns = lead->now_ns;
    uint64_t step = atomic_load_explicit(&lead->step, memory_order_relaxed) + 1;
    atomic_store_explicit(&lead->step, step, memory_order_release);
    *is_said = lane_hand_call(worker, held, began_ns);
    if (!atomic_compare_exchange_strong(&lead->step, &step, step + 1)) {
        end_late(runner, held, *is_said);
        return false;
    }
    return true;
}

/* What became of an event that arrives. */
enum lane_passing {
    PASSED_NOT, /* the machine is to decide; nothing was done */
    PASSED,     /* it was handled, and all is done */
    PASSED_LATE /* and somebody else reads by now: nothing of the runner may be touched */
};

static enum lane_passing pass(struct lane_runner *runner, struct lane_held *held)
{
    struct lane_lead *lead = &runner->lead;
    if (atomic_load_explicit(&lead->leading, memory_order_relaxed) == 0 ||
        !lane_workers_are_short(runner) || !lane_may_pass(runner->machine, &held->event)) {
        return PASSED_NOT;
    }
    held->event.attempt = 1;
    lane_hand_fill(held);
    bool is_said;
    if (!call(runner, held, &is_said)) {
        return PASSED_LATE;
    }
    if (is_said && held->said.verdict == LANE_DONE && held->hand.publications == NULL) {
        lane_passed(runner->machine, &held->event);
        lane_held_free(runner, held);
    } else {
        lane_arrive_in_hand(runner->machine, &held->event);
        if (is_said) {
            lane_take_result(runner, held);
        }
    }
    note_end(runner);
    return PASSED;
}

static void begin_turn(struct lane_lead *lead)
{
    lead->turn_ns = lead->now_ns = 0;
    lead->untimed = 0;
    lead->is_turn_over = false;
}

/*
 * What was queued before a worker had the reading: more is read when that is done, else many keys
 * would have lanes for ever. A few are left to the others: those that are tried again may take
 * long. False: somebody else reads by now.
 */
static bool drain(struct lane_runner *runner, int *count)
{
    enum { FEW = 64 };
    struct lane_held *held;
    bool is_said;
    *count = 0;
    if (atomic_load_explicit(&runner->lead.leading, memory_order_relaxed) == 0) {
        return true;
    }
    while (!runner->lead.is_turn_over && (held = lane_workers_take_queued(runner, FEW)) != NULL) {
        if (!call(runner, held, &is_said)) {
            return false;
        }
        if (is_said) {
            lane_hand_put_down(runner, held);
        }
        note_end(runner);
        ++*count;
    }
    return true;
}

/* False: somebody else reads by now. */
static bool take_all(struct lane_runner *runner, int timeout_ms)
{
    enum { EVENTS_OF_A_TURN = 1000, BESIDE_QUEUED = 16 };
    struct received *received;
    struct client_error error = {0};
    int drained;
    begin_turn(&runner->lead);
    if (!drain(runner, &drained)) {
        return false;
    }
    int most = drained > 0 ? BESIDE_QUEUED : EVENTS_OF_A_TURN;
    for (int n = 0; n < most && (n == 0 || !runner->lead.is_turn_over); n++) {
        int wait_ms = n == 0 && drained == 0 ? timeout_ms : 0;
        enum client_status status =
            runner->bus.take(runner->bus.context, wait_ms, &received, &error);
        if (status == CLIENT_FATAL) {
            runner->failure = error;
        } else if (status != CLIENT_OK) {
            lane_tell(runner, LANE_LOG_WARN, "%s", error.text);
        }
        if (received == NULL) {
            break;
        }
        struct lane_held *held = lane_source_take(runner, received);
        runner->lead.arrived++;
        enum lane_passing passing = held != NULL ? pass(runner, held) : PASSED;
        if (passing == PASSED_LATE) {
            return false;
        }
        if (passing == PASSED_NOT) {
            lane_source_arrive(runner, held);
        }
    }
    return true;
}

bool lane_lead_turn(struct lane_runner *runner, int timeout_ms)
{
    int64_t wait_ms = runner->due_ms - clock_mono_ms(runner->clock);
    wait_ms = wait_ms < 0 ? 0 : wait_ms > timeout_ms ? timeout_ms : wait_ms;
    if (!take_all(runner, lane_workers_wait_ms(runner, (int)wait_ms))) {
        return false;
    }
    lane_read_mail(runner);
    lane_begin_anew_due(runner);
    lane_carry_out(runner);
    return true;
}

/* --- the worker that reads --- */

static bool goes_on(struct lane_runner *runner)
{
    struct lane_lead *lead = &runner->lead;
    int64_t now_ns = clock_now_ns();
    if (lead->arrived != lead->seen_arrived) {
        lead->seen_arrived = lead->arrived;
        lead->seen_ns = now_ns;
    }
    return !atomic_load(&runner->is_stopping) && runner->failure.status == CLIENT_OK &&
           now_ns - lead->seen_ns < REST_NS && lane_workers_are_short(runner) &&
           !lane_workers_are_missed(runner);
}

static void take_turns(struct lane_runner *runner, struct lane_worker *worker)
{
    struct lane_lead *lead = &runner->lead;
    bool has_it = true;
    lead->worker = worker;
    while (has_it && goes_on(runner)) {
        has_it = lane_lead_turn(runner, WAIT_MS);
    }
    if (has_it) {
        pthread_mutex_lock(&runner->workers.lock);
        atomic_store(&lead->leading, 0);
        pthread_cond_signal(&lead->back);
        pthread_mutex_unlock(&runner->workers.lock);
    }
}

/* --- the poll thread --- */

bool lane_lead_is_due(struct lane_runner *runner)
{
    struct lane_lead *lead = &runner->lead;
    int64_t now_ns = clock_now_ns();
    if (now_ns - lead->window_ns > DENSE_NS) {
        lead->window_ns = now_ns;
        lead->window_arrived = lead->arrived;
    }
    return lead->arrived - lead->window_arrived >= DENSE_EVENTS && lane_workers_are_short(runner) &&
           lane_workers_may_lead(runner);
}

static void wait_a_while(struct lane_runner *runner)
{
    struct timespec until = cond_at_ns(clock_now_ns() + LOOK_NS);
    pthread_cond_timedwait(&runner->lead.back, &runner->workers.lock, &until);
}

/* Takes the reading from a worker whose handler was there already when `seen` was. */
static bool take_back(struct lane_lead *lead, uint64_t seen)
{
    if (seen % 2 == 0 || !atomic_compare_exchange_strong(&lead->step, &seen, seen + 1)) {
        return false;
    }
    atomic_store(&lead->leading, 0);
    return true;
}

void lane_lead_lend(struct lane_runner *runner)
{
    struct lane_lead *lead = &runner->lead;
    struct lane_held *taken = NULL;
    lead->seen_arrived = lead->arrived;
    lead->seen_ns = clock_now_ns();
    pthread_mutex_lock(&runner->workers.lock);
    lead->is_offered = true;
    pthread_cond_signal(&runner->workers.work);
    wait_a_while(runner);
    lead->is_offered = false; /* else somebody has it by now */
    uint64_t seen = atomic_load(&lead->step);
    while (atomic_load(&lead->leading) > 0 && taken == NULL) {
        wait_a_while(runner);
        uint64_t before = seen;
        seen = atomic_load(&lead->step);
        if (seen == before && take_back(lead, seen)) {
            taken = lead->held;
        }
    }
    pthread_mutex_unlock(&runner->workers.lock);
    if (taken != NULL) {
        lane_workers_note(runner, LOOK_NS);
        if (!taken->event.is_busy) { /* else it was queued, and the machine has it */
            lane_arrive_in_hand(runner->machine, &taken->event);
        }
    }
}

/* --- life --- */

void lane_lead_init(struct lane_lead *lead)
{
    cond_init(&lead->back);
    lead->take_turns = take_turns;
}

void lane_lead_deinit(struct lane_lead *lead)
{
    pthread_cond_destroy(&lead->back);
}
