#include "broker/trimmer.h"

#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    LOOK_MS = 250,
    PART = 128, /* of memory.max: worth the work */
    /* What the allocator keeps at the end of each of its arenas, which it has for each thread: */
    KEPT_BYTES = 3 << 20,
    /* What is as large as that is mapped by itself. With less, the requests that clients send would
     * be mapped and unmapped each time, which holds up all threads. */
    MAPPED_BYTES = 8 << 20
};

struct trimmer {
    struct reactor *reactor;
    struct workers *keepers;
    struct budget *budget;
    struct reactor_timer timer;
    struct task start_task;
    struct task trim_task;
    atomic_bool running;
    int64_t most_bytes; /* since the last trim */
    int64_t last_bytes;
};

/* What the shares hold, and the most that they held since the last look. */
static int64_t held_bytes(struct budget *budget, int64_t *most_bytes)
{
    int64_t sum = 0;
    *most_bytes = 0;
    for (int i = 0; i < BUDGET_SHARES; i++) {
        sum += atomic_load_explicit(&budget->shares[i].bytes, memory_order_relaxed);
        *most_bytes += budget_recent_most(budget, (enum budget_share)i);
    }
    return sum;
}

static void trim(struct task *task)
{
    struct trimmer *trimmer = container_of(task, struct trimmer, trim_task);
    malloc_trim(0);
    atomic_store(&trimmer->running, false);
}

static void on_time(struct reactor_timer *timer)
{
    struct trimmer *trimmer = container_of(timer, struct trimmer, timer);
    int64_t recent_bytes;
    int64_t now_bytes = held_bytes(trimmer->budget, &recent_bytes);
    if (recent_bytes > trimmer->most_bytes) {
        trimmer->most_bytes = recent_bytes;
    }
    bool fell = trimmer->most_bytes - now_bytes >= trimmer->budget->max_bytes / PART;
    if (fell && now_bytes <= trimmer->last_bytes && !atomic_exchange(&trimmer->running, true)) {
        trimmer->most_bytes = now_bytes;
        workers_post(trimmer->keepers, (struct worker_owner){.who = trimmer}, WORKER_QUICK,
                     &trimmer->trim_task);
    }
    trimmer->last_bytes = now_bytes;
    reactor_timer_set(trimmer->reactor, timer, reactor_now_ms(trimmer->reactor) + LOOK_MS);
}

static void on_start(struct task *task)
{
    struct trimmer *trimmer = container_of(task, struct trimmer, start_task);
    reactor_timer_set(trimmer->reactor, &trimmer->timer, reactor_now_ms(trimmer->reactor));
}

/*
 * malloc_trim leaves the ends of arenas alone but for the first one's, and by itself the allocator
 * keeps there twice as much as the largest buffer that was ever freed, up to 64 MiB.
 */
static void limit_what_is_kept(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

struct trimmer *trimmer_new(struct reactor *reactor, struct workers *keepers, struct budget *budget)
{
    struct trimmer *trimmer = mem_new(struct trimmer);
    limit_what_is_kept();
    trimmer->reactor = reactor;
    trimmer->keepers = keepers;
    trimmer->budget = budget;
    trimmer->timer.fire = on_time;
    trimmer->start_task.run = on_start;
    trimmer->trim_task.run = trim;
    return trimmer;
}

void trimmer_start(struct trimmer *trimmer)
{
    reactor_post(trimmer->reactor, &trimmer->start_task);
}

void trimmer_free(struct trimmer *trimmer)
{
    free(trimmer);
}
