#ifndef TIDINGS_COORDINATOR_ALARM_H
#define TIDINGS_COORDINATOR_ALARM_H

#include "base/clock.h"
#include "base/task.h"
#include "net/net.h"
#include "net/workers.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Calls a tick by the time that was last asked for: the deadlines of a coordinator. The time is
 * kept by a reactor; the tick runs on a worker, as much may be due at once, one at a time. Lives
 * until the workers are gone and that reactor has run its last task.
 */
struct alarm {
    struct reactor *reactor;
    const struct clock *clock;
    struct workers *workers;
    int64_t (*tick)(void *context, int64_t now_ms); /* when next; INT64_MAX: when woken */
    void *context;
    struct reactor_timer timer; /* the reactor's thread */
    struct task task;
    atomic_bool posted;
    struct task tick_task;
    atomic_bool ticking;       /* it waits for a worker */
    _Atomic int64_t now_ms;    /* when it was posted last */
    _Atomic int64_t wanted_ms; /* the earliest deadline asked for since the last look */
};

/* Before the reactors run. From now on it may be woken. clock: that of the deadlines; who moves it
 * forward wakes the alarm. */
void alarm_init(struct alarm *alarm, const struct clock *clock, struct reactor *reactor,
                struct workers *workers);

/* Before the reactors run: they begin with one tick. */
void alarm_start(struct alarm *alarm, int64_t (*tick)(void *context, int64_t now_ms),
                 void *context);

/* Tick is called by deadline_ms (the clock's mono), or earlier. alarm: a struct alarm. Any thread.
 */
void alarm_wake(void *alarm, int64_t deadline_ms);

#endif
