#include "broker/timekeeper.h"

#include "base/logger.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    FIRST_CHECKPOINT_MS = 1000,
    CHECKPOINT_LOOK_MS = 250,
    LEFT_OUT_MS = 10000, /* between two lines that count log lines of one kind */
};

struct timekeeper {
    struct reactor *reactor;
    struct workers *keepers;
    struct catalogue *catalogue;
    struct txn_coordinator *txns;
    int64_t upkeep_interval_ms;
    /* the reactor's thread */
    struct reactor_timer upkeep_timer;
    struct reactor_timer checkpoint_timer;
    struct reactor_timer left_out_timer;
    struct task start_task;
    struct task upkeep_task;
    atomic_bool upkeep_running;
    atomic_bool maintain; /* what the upkeep task is to do: retention too, or a checkpoint only */
    bool checkpointed;    /* the first upkeep is over; whoever runs upkeep */
};

static void run_upkeep(struct task *task)
{
    struct timekeeper *timekeeper = container_of(task, struct timekeeper, upkeep_task);
    bool maintain = atomic_exchange(&timekeeper->maintain, false);
    if (timekeeper->checkpointed && maintain) {
        catalogue_maintain(timekeeper->catalogue);
        (void)txn_coordinator_reconcile(timekeeper->txns);
    } else {
        catalogue_checkpoint(timekeeper->catalogue);
    }
    timekeeper->checkpointed = true;
    atomic_store(&timekeeper->upkeep_running, false);
}

static void begin_upkeep(struct timekeeper *timekeeper)
{
    if (!atomic_exchange(&timekeeper->upkeep_running, true)) {
        workers_post(timekeeper->keepers, (struct worker_owner){.who = timekeeper}, WORKER_QUICK,
                     &timekeeper->upkeep_task);
    }
}

/* Much was written: a start after a crash is not to scan all of it. */
static void on_checkpoint_time(struct reactor_timer *timer)
{
    struct timekeeper *timekeeper = container_of(timer, struct timekeeper, checkpoint_timer);
    if (catalogue_checkpoint_due(timekeeper->catalogue)) {
        begin_upkeep(timekeeper);
    }
    reactor_timer_set(timekeeper->reactor, timer,
                      reactor_now_ms(timekeeper->reactor) + CHECKPOINT_LOOK_MS);
}

static void on_upkeep_time(struct reactor_timer *timer)
{
    struct timekeeper *timekeeper = container_of(timer, struct timekeeper, upkeep_timer);
    atomic_store(&timekeeper->maintain, true);
    begin_upkeep(timekeeper);
    reactor_timer_set(timekeeper->reactor, timer,
                      reactor_now_ms(timekeeper->reactor) + timekeeper->upkeep_interval_ms);
}

static void on_left_out_time(struct reactor_timer *timer)
{
    struct timekeeper *timekeeper = container_of(timer, struct timekeeper, left_out_timer);
    logger_tell_left_out();
    reactor_timer_set(timekeeper->reactor, timer,
                      reactor_now_ms(timekeeper->reactor) + LEFT_OUT_MS);
}

static void on_start(struct task *task)
{
    struct timekeeper *timekeeper = container_of(task, struct timekeeper, start_task);
    int64_t now_ms = reactor_now_ms(timekeeper->reactor);
    /* First a checkpoint, soon: after a crash, so that another crash does not scan it all again. */
    int64_t first_ms = timekeeper->upkeep_interval_ms < FIRST_CHECKPOINT_MS
                           ? timekeeper->upkeep_interval_ms
                           : FIRST_CHECKPOINT_MS;
    reactor_timer_set(timekeeper->reactor, &timekeeper->upkeep_timer, now_ms + first_ms);
    reactor_timer_set(timekeeper->reactor, &timekeeper->checkpoint_timer,
                      now_ms + CHECKPOINT_LOOK_MS);
    reactor_timer_set(timekeeper->reactor, &timekeeper->left_out_timer, now_ms);
}

struct timekeeper *timekeeper_new(struct reactor *reactor, struct workers *keepers,
                                  struct catalogue *catalogue, int64_t upkeep_interval_ms)
{
    struct timekeeper *timekeeper = mem_new(struct timekeeper);
    timekeeper->reactor = reactor;
    timekeeper->keepers = keepers;
    timekeeper->catalogue = catalogue;
    timekeeper->upkeep_interval_ms = upkeep_interval_ms;
    timekeeper->upkeep_timer.fire = on_upkeep_time;
    timekeeper->checkpoint_timer.fire = on_checkpoint_time;
    timekeeper->left_out_timer.fire = on_left_out_time;
    timekeeper->start_task.run = on_start;
    timekeeper->upkeep_task.run = run_upkeep;
    return timekeeper;
}

void timekeeper_start(struct timekeeper *timekeeper, struct txn_coordinator *txns)
{
    timekeeper->txns = txns;
    reactor_post(timekeeper->reactor, &timekeeper->start_task);
}

void timekeeper_free(struct timekeeper *timekeeper)
{
    free(timekeeper);
}
