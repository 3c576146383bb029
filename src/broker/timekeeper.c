#include "broker/timekeeper.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FIRST_CHECKPOINT_MS = 1000 };

struct timekeeper {
    struct reactor *reactor;
    struct workers *workers;
    struct catalogue *catalogue;
    struct group_coordinator *groups;
    int64_t upkeep_interval_ms;

    /* the reactor's thread */
    struct reactor_timer group_timer;
    struct reactor_timer upkeep_timer;
    struct task start_task;

    struct task wake_task;
    atomic_bool wake_posted;
    _Atomic int64_t wanted_ms; /* the earliest deadline asked for since the last look */

    struct task upkeep_task;
    atomic_bool upkeep_running;
    bool checkpointed; /* the first upkeep is over; whoever runs upkeep */
};

static void on_group_time(struct reactor_timer *timer)
{
    struct timekeeper *timekeeper = container_of(timer, struct timekeeper, group_timer);
    int64_t next_ms =
        group_coordinator_tick(timekeeper->groups, reactor_now_ms(timekeeper->reactor));
    if (next_ms < INT64_MAX) {
        reactor_timer_set(timekeeper->reactor, timer, next_ms);
    }
}

static void run_upkeep(struct task *task)
{
    struct timekeeper *timekeeper = container_of(task, struct timekeeper, upkeep_task);
    if (timekeeper->checkpointed) {
        catalogue_maintain(timekeeper->catalogue);
    } else {
        catalogue_checkpoint(timekeeper->catalogue);
    }
    timekeeper->checkpointed = true;
    atomic_store(&timekeeper->upkeep_running, false);
}

static void on_upkeep_time(struct reactor_timer *timer)
{
    struct timekeeper *timekeeper = container_of(timer, struct timekeeper, upkeep_timer);
    if (!atomic_exchange(&timekeeper->upkeep_running, true)) {
        workers_post(timekeeper->workers, &timekeeper->upkeep_task);
    }
    reactor_timer_set(timekeeper->reactor, timer,
                      reactor_now_ms(timekeeper->reactor) + timekeeper->upkeep_interval_ms);
}

static void on_wake(struct task *task)
{
    struct timekeeper *timekeeper = container_of(task, struct timekeeper, wake_task);
    atomic_store(&timekeeper->wake_posted, false);
    int64_t wanted_ms = atomic_exchange(&timekeeper->wanted_ms, INT64_MAX);
    struct reactor_timer *timer = &timekeeper->group_timer;
    if (wanted_ms < INT64_MAX && (!heap_has(&timer->node) || wanted_ms < timer->node.key)) {
        reactor_timer_set(timekeeper->reactor, timer, wanted_ms);
    }
}

void timekeeper_wake(struct timekeeper *timekeeper, int64_t deadline_ms)
{
    int64_t wanted_ms = atomic_load(&timekeeper->wanted_ms);
    while (deadline_ms < wanted_ms &&
           !atomic_compare_exchange_weak(&timekeeper->wanted_ms, &wanted_ms, deadline_ms)) {
    }
    if (!atomic_exchange(&timekeeper->wake_posted, true)) {
        reactor_post(timekeeper->reactor, &timekeeper->wake_task);
    }
}

static void on_start(struct task *task)
{
    struct timekeeper *timekeeper = container_of(task, struct timekeeper, start_task);
    int64_t now_ms = reactor_now_ms(timekeeper->reactor);
    reactor_timer_set(timekeeper->reactor, &timekeeper->group_timer, now_ms);
    /* First a checkpoint, soon: after a crash, so that another crash does not scan it all again. */
    int64_t first_ms = timekeeper->upkeep_interval_ms < FIRST_CHECKPOINT_MS
                           ? timekeeper->upkeep_interval_ms
                           : FIRST_CHECKPOINT_MS;
    reactor_timer_set(timekeeper->reactor, &timekeeper->upkeep_timer, now_ms + first_ms);
}

struct timekeeper *timekeeper_new(struct reactor *reactor, struct workers *workers,
                                  struct catalogue *catalogue, int64_t upkeep_interval_ms)
{
    struct timekeeper *timekeeper = mem_new(struct timekeeper);
    timekeeper->reactor = reactor;
    timekeeper->workers = workers;
    timekeeper->catalogue = catalogue;
    timekeeper->upkeep_interval_ms = upkeep_interval_ms;
    timekeeper->group_timer.fire = on_group_time;
    timekeeper->upkeep_timer.fire = on_upkeep_time;
    timekeeper->start_task.run = on_start;
    timekeeper->wake_task.run = on_wake;
    timekeeper->upkeep_task.run = run_upkeep;
    atomic_init(&timekeeper->wanted_ms, INT64_MAX);
    return timekeeper;
}

void timekeeper_start(struct timekeeper *timekeeper, struct group_coordinator *groups)
{
    timekeeper->groups = groups;
    reactor_post(timekeeper->reactor, &timekeeper->start_task);
}

void timekeeper_free(struct timekeeper *timekeeper)
{
    free(timekeeper);
}
