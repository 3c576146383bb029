#include "coordinator/alarm.h"

#include "base/mem.h"

static void run_tick(struct task *task)
{
    struct alarm *alarm = container_of(task, struct alarm, tick_task);
    atomic_store(&alarm->ticking, false); /* it may be time again before this tick ends */
    int64_t next_ms = alarm->tick(alarm->context, atomic_load(&alarm->now_ms));
    if (next_ms < INT64_MAX) {
        alarm_wake(alarm, next_ms);
    }
}

static void on_time(struct reactor_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    atomic_store(&alarm->now_ms, clock_mono_ms(alarm->clock));
    if (!atomic_exchange(&alarm->ticking, true)) {
        workers_post(alarm->workers, (struct worker_owner){.who = alarm}, WORKER_QUICK,
                     &alarm->tick_task);
    }
}

static void on_wake(struct task *task)
{
    struct alarm *alarm = container_of(task, struct alarm, task);
    atomic_store(&alarm->posted, false);
    int64_t wanted_ms = atomic_exchange(&alarm->wanted_ms, INT64_MAX);
    struct reactor_timer *timer = &alarm->timer;
    if (wanted_ms == INT64_MAX) {
        return;
    }
    /* The reactor goes by the machine's time, of which the clock may be ahead: read in this order,
     * so that it is never taken for more. */
    int64_t now_ms = clock_mono_ms(alarm->clock);
    int64_t ahead_ms = now_ms - clock_mono_ms(clock_system());
    int64_t at_ms = wanted_ms - ahead_ms;
    if (!heap_has(&timer->node) || at_ms < timer->node.key) {
        reactor_timer_set(alarm->reactor, timer, at_ms);
    }
}

void alarm_init(struct alarm *alarm, const struct clock *clock, struct reactor *reactor,
                struct workers *workers)
{
    *alarm = (struct alarm){
        .reactor = reactor,
        .clock = clock,
        .workers = workers,
        .timer.fire = on_time,
        .task.run = on_wake,
        .tick_task.run = run_tick,
    };
    atomic_init(&alarm->wanted_ms, INT64_MAX);
}

void alarm_start(struct alarm *alarm, int64_t (*tick)(void *context, int64_t now_ms), void *context)
{
    alarm->tick = tick;
    alarm->context = context;
    alarm_wake(alarm, 0);
}

void alarm_wake(void *context, int64_t deadline_ms)
{
    struct alarm *alarm = context;
    int64_t wanted_ms = atomic_load(&alarm->wanted_ms);
    while (deadline_ms < wanted_ms &&
           !atomic_compare_exchange_weak(&alarm->wanted_ms, &wanted_ms, deadline_ms)) {
    }
    if (!atomic_exchange(&alarm->posted, true)) {
        reactor_post(alarm->reactor, &alarm->task);
    }
}
