#include "canary.h"

#include "base/clock.h"

#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

enum { PERIOD_NS = 2000000, LATE_NS = 1000000, AFTER_NS = 5000000 };

static void *run(void *context)
{
    struct canary *canary = context;
    prctl(PR_SET_TIMERSLACK, 1);
    int64_t woke_ns = clock_now_ns();
    while (!atomic_load_explicit(&canary->ends, memory_order_relaxed)) {
        int64_t due_ns = woke_ns + PERIOD_NS;
        struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        int64_t now_ns = clock_now_ns();
        if (now_ns - due_ns > LATE_NS) {
            vec_push(&canary->gaps, (struct canary_gap){woke_ns, now_ns + AFTER_NS});
        }
        woke_ns = now_ns;
    }
    return NULL;
}

bool canary_start(struct canary *canary, int cpu)
{
    pthread_attr_t attributes;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    canary->cpu = cpu;
    pthread_attr_init(&attributes);
    bool started = pthread_attr_setaffinity_np(&attributes, sizeof set, &set) == 0 &&
                   pthread_create(&canary->thread, &attributes, run, canary) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

void canary_stop(struct canary *canary)
{
    atomic_store(&canary->ends, true);
    pthread_join(canary->thread, NULL);
}

void canary_deinit(struct canary *canary)
{
    vec_deinit(&canary->gaps);
}

bool canary_was_away(const struct canary *canary, int64_t from_ns, int64_t to_ns)
{
    for (size_t i = 0; i < canary->gaps.count; i++) {
        if (from_ns < canary->gaps.items[i].to_ns && to_ns > canary->gaps.items[i].from_ns) {
            return true;
        }
    }
    return false;
}
