#include "../unit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "broker/clock_mover.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What a move of the clock has done, by parts that are played here: each counts, and one can be
 * held up. */

enum { STEP_MS = 5000, NEXT_MS = 777 };

struct played {
    struct movable_clock clock;
    struct workers *workers, *keepers;
    struct alarm groups_alarm, txns_alarm;
    struct clock_mover *mover;
    int64_t groups_ms,
        txns_ms; /* when each was last called for, and when it says that it is next */
    int64_t groups_next_ms, txns_next_ms;
    pthread_mutex_t lock; /* guards: */
    pthread_cond_t changed;
    int expired, maintained, reconciled, cleaned, listed;
    int woken_groups, woken_txns;
    int64_t woken_ms;
    int endings;              /* so many looks still find a transaction that ends */
    bool is_held, is_waiting; /* maintenance */
};

/* ---- in place of the rooms that the mover calls ---- */

static struct played *here;

static void count(int *what)
{
    pthread_mutex_lock(&here->lock);
    (*what)++;
    pthread_mutex_unlock(&here->lock);
}

void group_coordinator_expire_offsets(struct group_coordinator *coordinator)
{
    (void)coordinator;
    count(&here->expired);
}

size_t txn_coordinator_reconcile(struct txn_coordinator *coordinator)
{
    (void)coordinator;
    count(&here->reconciled);
    return 0;
}

void cleaner_look(struct cleaner *cleaner)
{
    (void)cleaner;
    count(&here->cleaned);
}

void catalogue_maintain(struct catalogue *catalogue)
{
    (void)catalogue;
    pthread_mutex_lock(&here->lock);
    here->is_waiting = here->is_held;
    pthread_cond_broadcast(&here->changed);
    while (here->is_held) {
        pthread_cond_wait(&here->changed, &here->lock);
    }
    here->maintained++;
    pthread_mutex_unlock(&here->lock);
}

enum err txn_coordinator_list(struct txn_coordinator *coordinator, struct arena *arena,
                              struct txn_listing **out, size_t *count_out)
{
    static struct txn_listing listing[2];
    (void)coordinator, (void)arena;
    pthread_mutex_lock(&here->lock);
    listing[0].state = TXN_ONGOING; /* which is nobody's to wait for */
    listing[1].state = here->endings == 0       ? TXN_COMPLETE_ABORT
                       : here->endings % 2 == 0 ? TXN_PREPARE_ABORT
                                                : TXN_PREPARE_EPOCH_FENCE;
    here->endings -= here->endings > 0;
    here->listed++;
    pthread_mutex_unlock(&here->lock);
    *out = listing;
    *count_out = 2;
    return ERR_NONE;
}

void alarm_wake(void *alarm, int64_t deadline_ms)
{
    pthread_mutex_lock(&here->lock);
    here->woken_groups += alarm == &here->groups_alarm;
    here->woken_txns += alarm == &here->txns_alarm;
    here->woken_ms = deadline_ms;
    pthread_mutex_unlock(&here->lock);
}

static int64_t tick_groups(void *context, int64_t now_ms)
{
    struct played *played = context;
    played->groups_ms = now_ms;
    return played->groups_next_ms;
}

static int64_t tick_txns(void *context, int64_t now_ms)
{
    struct played *played = context;
    played->txns_ms = now_ms;
    return played->txns_next_ms;
}

/* ---- */

static int setup(void **state)
{
    struct played *played = mem_new(struct played);
    struct reason reason;
    here = played;
    movable_clock_init(&played->clock, clock_system());
    assert_int_equal(workers_new("worker", 2, &played->workers, &reason), ERR_NONE);
    assert_int_equal(workers_new("keeper", 1, &played->keepers, &reason), ERR_NONE);
    pthread_mutex_init(&played->lock, NULL);
    pthread_cond_init(&played->changed, NULL);
    played->groups_alarm = (struct alarm){.tick = tick_groups, .context = played};
    played->txns_alarm = (struct alarm){.tick = tick_txns, .context = played};
    played->groups_next_ms = played->txns_next_ms = INT64_MAX;
    /* The coordinators, the catalogue and the cleaner are only handed on. */
    const struct clock_mover_parts parts = {.clock = &played->clock,
                                            .workers = played->workers,
                                            .keepers = played->keepers,
                                            .upkeep_owner = played,
                                            .groups_alarm = &played->groups_alarm,
                                            .txns_alarm = &played->txns_alarm,
                                            .cleaner = (struct cleaner *)played};
    played->mover = clock_mover_new(&parts);
    *state = played;
    return 0;
}

static int teardown(void **state)
{
    struct played *played = *state;
    workers_free(played->workers);
    workers_free(played->keepers);
    clock_mover_free(played->mover);
    pthread_cond_destroy(&played->changed);
    pthread_mutex_destroy(&played->lock);
    free(played);
    return 0;
}

static void move(struct played *played, int64_t ms)
{
    struct reason reason;
    bool is_done = false;
    assert_int_equal(clock_mover_advance(played->mover, ms, false, &is_done, &reason), ERR_NONE);
    assert_true(is_done);
}

static void test_all_that_is_due_is_done_when_a_move_returns(void **state)
{
    struct played *played = *state;
    int64_t before_ms = clock_mono_ms(&played->clock.clock);
    move(played, STEP_MS);
    assert_true(played->groups_ms >= before_ms + STEP_MS);
    assert_true(played->txns_ms >= before_ms + STEP_MS);
    assert_int_equal(played->expired, 1);
    assert_int_equal(played->maintained, 1);
    assert_int_equal(played->reconciled, 1);
    assert_int_equal(played->cleaned, 1);
    assert_int_equal(played->woken_groups + played->woken_txns, 0); /* nothing more is due */
    move(played, 0);
    assert_int_equal(played->maintained, 2);
    assert_ptr_equal(clock_mover_clock(played->mover), &played->clock);
}

static void test_the_calendar_alone_can_be_moved(void **state)
{
    struct played *played = *state;
    struct reason reason;
    bool is_done = false;
    int64_t ahead_ms = clock_wall_ms(&played->clock.clock) - clock_wall_ms(clock_system());
    assert_int_equal(clock_mover_advance(played->mover, STEP_MS, true, &is_done, &reason),
                     ERR_NONE);
    assert_true(is_done);
    assert_int_equal(played->clock.wall_ahead_ms, STEP_MS);
    assert_int_equal(played->clock.mono_ahead_ms, 0);
    assert_true(ahead_ms < STEP_MS);
    assert_int_equal(played->maintained, 1);
}

static void test_alarms_are_woken_for_what_comes_next(void **state)
{
    struct played *played = *state;
    played->txns_next_ms = NEXT_MS;
    move(played, STEP_MS);
    assert_int_equal(played->woken_txns, 1);
    assert_int_equal(played->woken_groups, 0);
    assert_int_equal(played->woken_ms, NEXT_MS);
    played->txns_next_ms = INT64_MAX;
    played->groups_next_ms = NEXT_MS + 1;
    move(played, STEP_MS);
    assert_int_equal(played->woken_groups, 1);
    assert_int_equal(played->woken_ms, NEXT_MS + 1);
}

static void test_transactions_that_end_are_waited_for(void **state)
{
    struct played *played = *state;
    played->endings = 4;
    move(played, STEP_MS);
    assert_int_equal(played->endings, 0);
    assert_int_equal(played->listed, 5);
}

static void test_a_move_that_is_no_move_leaves_the_next_one_free(void **state)
{
    struct played *played = *state;
    struct reason reason;
    bool is_done = false;
    assert_int_equal(clock_mover_advance(played->mover, -1, false, &is_done, &reason), ERR_INVALID);
    assert_int_equal(
        clock_mover_advance(played->mover, MOVABLE_CLOCK_MOST_MS + 1, false, &is_done, &reason),
        ERR_INVALID);
    assert_int_equal(played->expired + played->maintained + played->cleaned, 0);
    move(played, STEP_MS);
}

static void *move_it(void *context)
{
    move(context, STEP_MS);
    return NULL;
}

static void test_one_move_at_a_time(void **state)
{
    struct played *played = *state;
    struct reason reason;
    pthread_t thread;
    bool is_done = false;
    played->is_held = true;
    assert_int_equal(pthread_create(&thread, NULL, move_it, played), 0);
    pthread_mutex_lock(&played->lock);
    while (!played->is_waiting) {
        pthread_cond_wait(&played->changed, &played->lock);
    }
    pthread_mutex_unlock(&played->lock);
    assert_int_equal(clock_mover_advance(played->mover, STEP_MS, false, &is_done, &reason),
                     ERR_AGAIN);
    assert_non_null(strstr(reason.text, "try again later"));
    pthread_mutex_lock(&played->lock);
    played->is_held = false;
    pthread_cond_broadcast(&played->changed);
    pthread_mutex_unlock(&played->lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(played->clock.mono_ahead_ms, STEP_MS); /* the second one moved nothing */
    move(played, STEP_MS);
    assert_int_equal(played->clock.mono_ahead_ms, 2 * STEP_MS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_that_is_due_is_done_when_a_move_returns, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_calendar_alone_can_be_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alarms_are_woken_for_what_comes_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transactions_that_end_are_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_move_that_is_no_move_leaves_the_next_one_free, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_move_at_a_time, setup, teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
