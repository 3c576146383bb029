#include "broker/clock_mover.h"

#include "base/arena.h"
#include "base/cond.h"
#include "base/logger.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    PATIENCE_MS = 30000,
    STEP_NS = 1000000, /* between two looks at transactions that are being ended */
};

struct clock_mover {
    struct clock_mover_parts parts;
    struct task groups_task;
    struct task txns_task;
    struct task upkeep_task;
    pthread_mutex_t lock; /* guards: */
    pthread_cond_t ended;
    int under_way; /* of the tasks */
};

static void end_one(struct clock_mover *mover)
{
    pthread_mutex_lock(&mover->lock);
    mover->under_way--;
    pthread_cond_signal(&mover->ended);
    pthread_mutex_unlock(&mover->lock);
}

/* Between the ticks of the alarm itself, as it has the same owner. */
static void tick(struct clock_mover *mover, struct alarm *alarm)
{
    int64_t next_ms = alarm->tick(alarm->context, clock_mono_ms(&mover->parts.clock->clock));
    if (next_ms < INT64_MAX) {
        alarm_wake(alarm, next_ms);
    }
}

static void run_groups(struct task *task)
{
    struct clock_mover *mover = container_of(task, struct clock_mover, groups_task);
    tick(mover, mover->parts.groups_alarm);
    group_coordinator_expire_offsets(mover->parts.groups);
    end_one(mover);
}

static void run_txns(struct task *task)
{
    struct clock_mover *mover = container_of(task, struct clock_mover, txns_task);
    tick(mover, mover->parts.txns_alarm);
    end_one(mover);
}

static void run_upkeep(struct task *task)
{
    struct clock_mover *mover = container_of(task, struct clock_mover, upkeep_task);
    catalogue_maintain(mover->parts.catalogue);
    (void)txn_coordinator_reconcile(mover->parts.txns);
    end_one(mover);
}

/* Whether an end that has begun is not in all logs yet. */
static bool is_ending_any(struct clock_mover *mover)
{
    struct arena arena = {0};
    struct txn_listing *all;
    size_t count;
    bool is_ending = false;
    if (txn_coordinator_list(mover->parts.txns, &arena, &all, &count) == ERR_NONE) {
        for (size_t i = 0; i < count; i++) {
            is_ending |=
                all[i].state == TXN_PREPARE_ABORT || all[i].state == TXN_PREPARE_EPOCH_FENCE;
        }
    }
    arena_deinit(&arena);
    return is_ending;
}

static bool wait_for_tasks(struct clock_mover *mover)
{
    struct timespec until = cond_after_ms(PATIENCE_MS);
    int code = 0;
    pthread_mutex_lock(&mover->lock);
    while (mover->under_way > 0 && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&mover->ended, &mover->lock, &until);
    }
    bool have_ended = mover->under_way == 0;
    pthread_mutex_unlock(&mover->lock);
    return have_ended;
}

/* Their markers wait for the disk, on no thread that could be joined. */
static bool wait_for_ends(struct clock_mover *mover)
{
    int64_t until_ns = clock_now_ns() + PATIENCE_MS * INT64_C(1000000);
    while (is_ending_any(mover)) {
        if (clock_now_ns() >= until_ns) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    return true;
}

static void begin(struct clock_mover *mover)
{
    const struct clock_mover_parts *parts = &mover->parts;
    workers_post(parts->workers, (struct worker_owner){.who = parts->groups_alarm}, WORKER_QUICK,
                 &mover->groups_task);
    workers_post(parts->workers, (struct worker_owner){.who = parts->txns_alarm}, WORKER_QUICK,
                 &mover->txns_task);
    workers_post(parts->keepers, (struct worker_owner){.who = parts->upkeep_owner}, WORKER_QUICK,
                 &mover->upkeep_task);
    if (parts->cleaner != NULL) {
        cleaner_look(parts->cleaner);
    }
}

/* True: the tasks are this caller's. */
static bool take_tasks(struct clock_mover *mover)
{
    pthread_mutex_lock(&mover->lock);
    bool is_free = mover->under_way == 0;
    mover->under_way = is_free ? 3 : mover->under_way;
    pthread_mutex_unlock(&mover->lock);
    return is_free;
}

enum err clock_mover_advance(struct clock_mover *mover, int64_t ms, bool calendar_only,
                             bool *is_done, struct reason *reason)
{
    if (!take_tasks(mover)) {
        return reason_fail(reason, ERR_AGAIN,
                           "what was due by the last move is still being done: try again later");
    }
    enum err err = movable_clock_advance(mover->parts.clock, ms, calendar_only, reason);
    if (err != ERR_NONE) {
        pthread_mutex_lock(&mover->lock);
        mover->under_way = 0;
        pthread_mutex_unlock(&mover->lock);
        return err;
    }
    LOG_INFO("broker", "the clock was moved forward", "ms=%lld calendar_only=%s", (long long)ms,
             calendar_only ? "yes" : "no");
    begin(mover);
    *is_done = wait_for_tasks(mover) && wait_for_ends(mover);
    return ERR_NONE;
}

const struct movable_clock *clock_mover_clock(const struct clock_mover *mover)
{
    return mover->parts.clock;
}

struct clock_mover *clock_mover_new(const struct clock_mover_parts *parts)
{
    struct clock_mover *mover = mem_new(struct clock_mover);
    mover->parts = *parts;
    mover->groups_task.run = run_groups;
    mover->txns_task.run = run_txns;
    mover->upkeep_task.run = run_upkeep;
    pthread_mutex_init(&mover->lock, NULL);
    cond_init(&mover->ended);
    return mover;
}

void clock_mover_free(struct clock_mover *mover)
{
    if (mover != NULL) {
        pthread_cond_destroy(&mover->ended);
        pthread_mutex_destroy(&mover->lock);
        free(mover);
    }
}
