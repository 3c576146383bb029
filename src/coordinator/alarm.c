#include "coordinator/alarm.h"

#include "base/mem.h"

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

void alarm_init(struct alarm *alarm, struct reactor *reactor)
{
    *alarm = (struct alarm){.reactor = reactor, .timer.fire = on_time, .task.run = on_wake};
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
