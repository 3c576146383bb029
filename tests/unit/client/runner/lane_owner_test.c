#include "../../unit.h"

#include "lane_fake.h"

#include <limits.h>

/* How partitions of the runner of key lanes go: revoked, lost, at the end; on a bus in memory. */

static void test_a_refused_commit_is_made_again(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "ok");
    fake->refuses_commits = 3;
    fake_start(fake);
    fake_until(fake, fake_all_committed, 100);
    fake_stop(fake);
}

static bool is_handled(struct fake *fake)
{
    return fake->effects.size > 0 && strstr(buf_cstr(&fake->effects), "a1") != NULL;
}

static void test_refused_commits_do_not_keep_a_partition_that_goes(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "ok");
    fake->settings.revoke_wait_ms = 1;
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake->refuses_commits = INT_MAX;
    fake->refusal_ms = 10000; /* so the next one is due by then */
    fake_publish(fake, 0, "a", "ok");
    fake_until(fake, is_handled, 10);
    fake_revoke(fake, 0, false);
    assert_non_null(strstr(buf_cstr(&fake->lines), "orders/0 is given back before all was done"));
    fake->refuses_commits = 0;
    fake_assign(fake, 0);
    fake_until(fake, fake_all_committed, 10);
    fake_stop(fake);
}

static void *open_later(void *argument)
{
    struct fake *fake = argument;
    pthread_mutex_lock(&fake->lock);
    while (fake->running < 1) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    pthread_mutex_unlock(&fake->lock);
    fake_open_gate(fake);
    return NULL;
}

static void test_what_runs_is_waited_for_when_a_partition_is_taken_away(void **state)
{
    struct fake *fake = *state;
    pthread_t opener;
    fake_publish(fake, 0, "a", "wait");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, fake_is_running, 10);
    assert_int_equal(pthread_create(&opener, NULL, open_later, fake), 0);
    fake_revoke(fake, 0, false);
    pthread_join(opener, NULL);
    fake_assert_effects(fake, "a0 ");
    assert_int_equal(fake->partitions[0].committed, 1);
    fake_assign(fake, 0);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects(fake, "a0 a1 ");
    fake_stop(fake);
}

/* The bus takes no commit, and the end is over all the same: one line for all partitions. */
static void test_the_end_is_over_when_its_time_is(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "ok");
    fake->settings.stop_wait_ms = 1;
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake->refuses_commits = INT_MAX;
    fake->refusal_ms = 10000;
    fake_publish(fake, 0, "a", "ok");
    fake_until(fake, is_handled, 10);
    lane_runner_end(fake->runner);
    assert_int_equal(lane_runner_given_back(fake->runner), 1);
    /* How long it was, and what was waited for last, is as fast as the machine. */
    assert_non_null(strstr(buf_cstr(&fake->lines), "the time to stop is over ("));
    assert_non_null(strstr(buf_cstr(&fake->lines),
                           "1 of 1 partition is given back before all was done and written: "));
    assert_null(strstr(buf_cstr(&fake->lines), "orders/0 is given back"));
    fake_stop(fake);
}

/* What is left is less than the runner's own time, as the deadline began before. */
static void test_the_end_has_what_others_left_of_its_time(void **state)
{
    struct fake *fake = *state;
    struct deadline stop = {0};
    fake_publish(fake, 0, "a", "ok");
    fake->settings.stop = &stop;
    fake->settings.stop_wait_ms = 1000000;
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake->refuses_commits = INT_MAX;
    fake_publish(fake, 0, "a", "ok");
    fake_until(fake, is_handled, 10);
    deadline_begin(&stop, 0);
    lane_runner_end(fake->runner);
    assert_int_equal(lane_runner_given_back(fake->runner), 1);
    fake_stop(fake);
}

static void open_when_late(void *context)
{
    struct fake *fake = context;
    if (fake->lines.size > 0 && strstr(buf_cstr(&fake->lines), "the time to stop") != NULL) {
        fake_open_gate(fake);
    }
}

/* A handler that hangs is told of and waited for, and then there is time to leave the group. */
static void test_the_end_waits_for_handlers_however_long(void **state)
{
    struct fake *fake = *state;
    struct deadline stop = {0};
    fake_publish(fake, 0, "a", "wait");
    fake->settings.stop = &stop;
    fake->settings.stop_wait_ms = 1;
    fake->settings.tick = open_when_late;
    fake_start(fake);
    fake_until(fake, fake_is_running, 10);
    lane_runner_end(fake->runner);
    fake_assert_effects(fake, "a0 ");
    assert_non_null(strstr(buf_cstr(&fake->lines), "1 of 1 partition is given back before all was "
                                                   "done and written: handlers have not returned"));
    assert_int_equal(fake->partitions[0].committed, 0);
    fake_stop(fake);
}

static void test_what_hangs_is_not_waited_for_longer_than_said(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "wait");
    fake_publish(fake, 0, "b", "ok");
    fake->settings.revoke_wait_ms = 1;
    fake_start(fake);
    fake_until(fake, fake_is_running, 10);
    fake_revoke(fake, 0, false);
    assert_int_equal(fake->partitions[0].committed, 0);
    assert_non_null(strstr(buf_cstr(&fake->lines), "orders/0 is given back before all was done"));
    fake_open_gate(fake);
    fake_assign(fake, 0);
    fake_until(fake, fake_all_committed, 10); /* the late result is dropped, and it comes again */
    fake_assert_effects_of(fake, "a", "0 0 ");
    fake_stop(fake);
}

static void test_of_a_lost_partition_nothing_is_committed(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "wait");
    fake_start(fake);
    fake_until(fake, fake_is_running, 10);
    int64_t epoch = fake->partitions[0].epoch;
    fake_revoke(fake, 0, true);
    fake_open_gate(fake);
    fake_turns(fake, 20, 1000);
    assert_int_equal(fake->partitions[0].committed, 0);
    assert_true(epoch > 0);
    fake_stop(fake);
}

/* librdkafka has joined as another member, and others may have had the partition between. */
static void test_who_was_out_of_the_group_begins_anew(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 0, "b", "wait");
    fake_start(fake);
    fake_turns(fake, 20, 100);
    assert_int_equal(fake->partitions[0].committed, 1);
    int64_t epoch = fake->partitions[0].epoch;
    lane_bus_replaced(fake->runner);
    fake_turns(fake, 1, 10);
    assert_true(fake->partitions[0].epoch > epoch);
    fake_open_gate(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects_of(fake, "a", "0 ");
    fake_assert_effects_of(fake, "b", "1 1 ");
    assert_non_null(strstr(buf_cstr(&fake->lines), "last commits is not known for sure"));
    fake_stop(fake);
}

static void test_one_partition_goes_and_the_other_stays(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 1, "z", "ok");
    fake_start(fake);
    fake_assign(fake, 1);
    fake_until(fake, fake_all_committed, 10);
    fake_revoke(fake, 0, false);
    fake_publish(fake, 0, "a", "ok");
    fake_publish(fake, 1, "z", "ok");
    while (fake->partitions[1].committed < 2) {
        fake_turns(fake, 1, 100);
    }
    fake_assert_effects_of(fake, "a", "0 ");
    fake_assert_effects_of(fake, "z", "0 1 ");
    fake_stop(fake);
}

static void test_behind_a_higher_mark_nothing_is_delivered(void **state)
{
    struct fake *fake = *state;
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_turns(fake, 1, 10);
    fake_put_mark(fake, 0, 100); /* another owner's, after this one looked */
    fake_turns(fake, 50, 100);
    fake_assert_effects(fake, "");
    fake_stop(fake);
    fake_start(fake);
    fake_until(fake, fake_all_committed, 10);
    fake_assert_effects(fake, "a0 ");
    fake_stop(fake);
}

static void test_the_end_waits_for_what_runs(void **state)
{
    struct fake *fake = *state;
    pthread_t opener;
    fake_publish(fake, 0, "a", "wait");
    fake_publish(fake, 0, "a", "ok");
    fake_start(fake);
    fake_until(fake, fake_is_running, 10);
    assert_int_equal(pthread_create(&opener, NULL, open_later, fake), 0);
    fake_stop(fake);
    pthread_join(opener, NULL);
    fake_assert_effects(fake, "a0 ");
    assert_int_equal(fake->partitions[0].committed, 1);
}

#define RUNNER_TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(int argc, char **argv)
{

    const struct CMUnitTest tests[] = {
        RUNNER_TEST(test_a_refused_commit_is_made_again),
        RUNNER_TEST(test_refused_commits_do_not_keep_a_partition_that_goes),
        RUNNER_TEST(test_what_runs_is_waited_for_when_a_partition_is_taken_away),
        RUNNER_TEST(test_what_hangs_is_not_waited_for_longer_than_said),
        RUNNER_TEST(test_the_end_is_over_when_its_time_is),
        RUNNER_TEST(test_the_end_has_what_others_left_of_its_time),
        RUNNER_TEST(test_the_end_waits_for_handlers_however_long),
        RUNNER_TEST(test_of_a_lost_partition_nothing_is_committed),
        RUNNER_TEST(test_who_was_out_of_the_group_begins_anew),
        RUNNER_TEST(test_one_partition_goes_and_the_other_stays),
        RUNNER_TEST(test_behind_a_higher_mark_nothing_is_delivered),
        RUNNER_TEST(test_the_end_waits_for_what_runs),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
