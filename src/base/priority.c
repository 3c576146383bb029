#include "base/priority.h"

#include "base/clock.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* struct sched_attr of sched_setattr(2), version 0: older libraries do not have it, newer ones have
 * it in a header that the kernel's own collides with. */
struct thread_schedule {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

void priority_set_nice(int nice)
{
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}

void priority_set_turn(int64_t turn_ns)
{
    struct thread_schedule schedule = {.size = sizeof schedule};
    if (syscall(SYS_sched_getattr, 0, &schedule, sizeof schedule, 0) == 0) {
        schedule.runtime_ns = (uint64_t)turn_ns;
        (void)syscall(SYS_sched_setattr, 0, &schedule, 0);
    }
}

void priority_give_way(void)
{
    (void)sched_yield();
}

static atomic_llong awaited_until_ns;

void priority_stand_back(void)
{
    enum { LATELY_NS = 20000000, PAUSE_NS = 300000 };
    if (clock_now_ns() - LATELY_NS <
        atomic_load_explicit(&awaited_until_ns, memory_order_relaxed)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    } else {
        priority_give_way();
    }
}

void priority_await(int64_t now_ns)
{
    enum { AWAITED_NS = 1000000 };
    atomic_store_explicit(&awaited_until_ns, now_ns + AWAITED_NS, memory_order_relaxed);
}

bool priority_is_awaited(int64_t now_ns)
{
    return now_ns < atomic_load_explicit(&awaited_until_ns, memory_order_relaxed);
}
