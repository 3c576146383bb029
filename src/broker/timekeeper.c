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

/* Calls tick when it wants to be called. */
struct alarm {
    struct reactor *reactor;
    int64_t (*tick)(void *context, int64_t now_ms); /* when next; INT64_MAX: when woken */
    void *context;
    struct reactor_timer timer; /* the reactor's thread */
    struct task task;
    atomic_bool posted;
    _Atomic int64_t wanted_ms; /* the earliest deadline asked for since the last look */
};

struct timekeeper {
    struct reactor *reactor;
    struct workers *workers;
    struct catalogue *catalogue;
    struct txn_coordinator *txns;
    int64_t upkeep_interval_ms;
    struct alarm groups_alarm;
    struct alarm txns_alarm;
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

/* ---- alarms ---- */

static void on_time(struct reactor_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    int64_t next_ms = alarm->tick(alarm->context, reactor_now_ms(alarm->reactor));
    if (next_ms < INT64_MAX) {
        reactor_timer_set(alarm->reactor, timer, next_ms);
    }
}

static void on_wake(struct task *task)
{
    struct alarm *alarm = container_of(task, struct alarm, task);
    atomic_store(&alarm->posted, false);
    int64_t wanted_ms = atomic_exchange(&alarm->wanted_ms, INT64_MAX);
    struct reactor_timer *timer = &alarm->timer;
    if (wanted_ms < INT64_MAX && (!heap_has(&timer->node) || wanted_ms < timer->node.key)) {
        reactor_timer_set(alarm->reactor, timer, wanted_ms);
    }
}

static void alarm_init(struct alarm *alarm, struct reactor *reactor)
{
    alarm->reactor = reactor;
    alarm->timer.fire = on_time;
    alarm->task.run = on_wake;
    atomic_init(&alarm->wanted_ms, INT64_MAX);
}

static void alarm_wake(struct alarm *alarm, int64_t deadline_ms)
{
    int64_t wanted_ms = atomic_load(&alarm->wanted_ms);
    while (deadline_ms < wanted_ms &&
           !atomic_compare_exchange_weak(&alarm->wanted_ms, &wanted_ms, deadline_ms)) {
    }
    if (!atomic_exchange(&alarm->posted, true)) {
        reactor_post(alarm->reactor, &alarm->task);
    }
}

void timekeeper_wake_groups(struct timekeeper *timekeeper, int64_t deadline_ms)
{
    alarm_wake(&timekeeper->groups_alarm, deadline_ms);
}

void timekeeper_wake_txns(struct timekeeper *timekeeper, int64_t deadline_ms)
{
    alarm_wake(&timekeeper->txns_alarm, deadline_ms);
}

static int64_t tick_groups(void *context, int64_t now_ms)
{
    return group_coordinator_tick(context, now_ms);
}

static int64_t tick_txns(void *context, int64_t now_ms)
{
    return txn_coordinator_tick(context, now_ms);
}

/* ---- upkeep ---- */

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
        workers_post(timekeeper->workers, &timekeeper->upkeep_task);
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
    reactor_timer_set(timekeeper->reactor, &timekeeper->groups_alarm.timer, now_ms);
    reactor_timer_set(timekeeper->reactor, &timekeeper->txns_alarm.timer, now_ms);
    /* First a checkpoint, soon: after a crash, so that another crash does not scan it all again. */
    int64_t first_ms = timekeeper->upkeep_interval_ms < FIRST_CHECKPOINT_MS
                           ? timekeeper->upkeep_interval_ms
                           : FIRST_CHECKPOINT_MS;
    reactor_timer_set(timekeeper->reactor, &timekeeper->upkeep_timer, now_ms + first_ms);
    reactor_timer_set(timekeeper->reactor, &timekeeper->checkpoint_timer,
                      now_ms + CHECKPOINT_LOOK_MS);
    reactor_timer_set(timekeeper->reactor, &timekeeper->left_out_timer, now_ms);
}

struct timekeeper *timekeeper_new(struct reactor *reactor, struct workers *workers,
                                  struct catalogue *catalogue, int64_t upkeep_interval_ms)
{
    struct timekeeper *timekeeper = mem_new(struct timekeeper);
    timekeeper->reactor = reactor;
    timekeeper->workers = workers;
    timekeeper->catalogue = catalogue;
    timekeeper->upkeep_interval_ms = upkeep_interval_ms;
    alarm_init(&timekeeper->groups_alarm, reactor);
    alarm_init(&timekeeper->txns_alarm, reactor);
    timekeeper->upkeep_timer.fire = on_upkeep_time;
    timekeeper->checkpoint_timer.fire = on_checkpoint_time;
    timekeeper->left_out_timer.fire = on_left_out_time;
    timekeeper->start_task.run = on_start;
    timekeeper->upkeep_task.run = run_upkeep;
    return timekeeper;
}

void timekeeper_start(struct timekeeper *timekeeper, struct group_coordinator *groups,
                      struct txn_coordinator *txns)
{
    timekeeper->groups_alarm.tick = tick_groups;
    timekeeper->groups_alarm.context = groups;
    timekeeper->txns_alarm.tick = tick_txns;
    timekeeper->txns_alarm.context = txns;
    timekeeper->txns = txns;
    reactor_post(timekeeper->reactor, &timekeeper->start_task);
}

void timekeeper_free(struct timekeeper *timekeeper)
{
    free(timekeeper);
}
