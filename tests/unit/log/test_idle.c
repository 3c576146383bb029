#include "../unit.h"
#include "log_fixture.h"

#include "log/producer_state.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Logs that are not loaded before their first use, and checkpoints of what changed. */

static void open_idle(struct fixture *fixture)
{
    fixture_open_only(fixture, &fixture->state);
    assert_false(log_is_loaded(fixture->log));
}

static void fill_and_close(struct fixture *fixture, int count)
{
    fixture_open(fixture, NULL);
    append_many(fixture, count, 10);
    fixture_close(fixture);
}

static void test_an_idle_log_answers_its_offsets_without_files(void **state)
{
    struct fixture *fixture = *state;
    fill_and_close(fixture, 20);
    open_idle(fixture);
    struct segment_fds_stats before;
    struct segment_fds_stats after;
    segment_fds_stats(fixture->fds, &before);
    assert_int_equal(log_end_offset(fixture->log), 20);
    assert_int_equal(log_flushed_offset(fixture->log), 20);
    assert_int_equal(log_start_offset(fixture->log), 0);
    assert_int_equal(log_size_bytes(fixture->log), size_of(file_of(fixture, 0, ".log")));
    assert_true(log_first_unstable_offset(fixture->log) == INT64_MAX);
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_false(log_retention_may_be_due(fixture->log));
    fixture_close(fixture);
    segment_fds_stats(fixture->fds, &after);
    assert_int_equal(before.opened, after.opened);
    assert_true(fixture->state.clean && fixture->state.end_offset == 20);
}

static void test_the_first_use_loads_it(void **state)
{
    struct fixture *fixture = *state;
    fill_and_close(fixture, 20);
    open_idle(fixture);
    fixture_load(fixture);
    assert_true(log_is_loaded(fixture->log));
    assert_int_equal(read_all(fixture, 0, 20, 1000), 20);
    fixture_close(fixture);
    open_idle(fixture);
    fixture_load(fixture);
    append_many(fixture, 1, 10);
    assert_int_equal(log_end_offset(fixture->log), 21);
    fixture_close(fixture);
    open_idle(fixture);
    fixture_load(fixture);
    int64_t offset;
    int64_t timestamp;
    assert_int_equal(log_find_time(fixture->log, 0, 21, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, 0);
    fixture_close(fixture);
    open_idle(fixture);
    fixture_load(fixture);
    assert_int_equal(log_set_start_offset(fixture->log, 5, NULL), ERR_NONE);
    assert_int_equal(log_start_offset(fixture->log), 5);
    fixture_close(fixture);
    open_idle(fixture);
    assert_int_equal(log_start_offset(fixture->log), 5);
    fixture_load(fixture);
    assert_int_equal(read_all(fixture, 5, 21, 1000), 16);
}

/* A producer's batches are recognised by a log that was idle. */
static void test_a_producers_batches_are_recognised(void **state)
{
    struct fixture *fixture = *state;
    struct batch_spec spec = {.timestamp = 1000, .producer_id = 7};
    struct log_append append;
    fixture_open(fixture, NULL);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    fixture_close(fixture);
    open_idle(fixture);
    fixture_load(fixture);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_DUPLICATE_SEQUENCE);
    assert_int_equal(append.base_offset, 0);
}

/* Whoever finishes transactions after a start must find the open ones. */
static void test_a_log_with_an_open_transaction_is_loaded(void **state)
{
    struct fixture *fixture = *state;
    struct batch_spec spec = {.timestamp = 1000, .producer_id = 7, .transactional = true};
    struct log_append append;
    fixture_open(fixture, NULL);
    append_many(fixture, 2, 10);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    fixture_close(fixture);
    assert_true(fixture->state.open_txns);
    fixture_open_only(fixture, &fixture->state);
    assert_true(log_is_loaded(fixture->log));
    assert_int_equal(log_first_unstable_offset(fixture->log), 2);
    assert_int_equal(append_marker(fixture, 7, 0, 0, true), ERR_NONE);
    fixture_close(fixture);
    assert_false(fixture->state.open_txns);
    open_idle(fixture);
}

/* After a crash, too, a log whose files end where the checkpoint says is not read. */
static void test_a_log_that_fits_its_checkpoint_is_not_read_after_a_crash(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 400;
    fixture_open(fixture, NULL);
    append_many(fixture, 20, 10);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, NULL), ERR_NONE);
    fixture_kill(fixture);
    open_idle(fixture);
    fixture_load(fixture);
    assert_int_equal(read_all(fixture, 0, 20, 1000), 20);
    append_many(fixture, 1, 10);
    fixture_kill(fixture);
    fixture_open_only(fixture,
                      &fixture->state); /* it went on: into the last segment or a new one */
    assert_true(log_is_loaded(fixture->log));
    assert_int_equal(log_end_offset(fixture->log), 21);
    assert_true(fixture->recovery.scanned_bytes > 0);
    fixture_kill(fixture);
    fixture_open(fixture, NULL);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, NULL), ERR_NONE);
    int64_t first = log_start_offset(fixture->log);
    fixture_kill(fixture);
    unlink(file_of(fixture, first, ".log"));
    fixture_open_only(fixture, &fixture->state); /* retention took the first segment */
    assert_true(log_is_loaded(fixture->log));
    assert_true(log_start_offset(fixture->log) > first);
}

/* A last segment that went on, was closed and was compacted to the size that the checkpoint knows:
 * only the one behind it tells. */
static void test_a_segment_compacted_to_the_same_size_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 3, 10);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, NULL), ERR_NONE);
    int64_t size = fixture->state.active_size;
    append_many(fixture, 3, 10);
    fixture->config.segment_bytes = 1;
    log_set_config(fixture->log, &fixture->config);
    append_many(fixture, 1, 10);
    assert_int_equal(log_flush(fixture->log, NULL), ERR_NONE);
    fixture_kill(fixture);
    cut_file(file_of(fixture, 0, ".log"), size);
    fixture_open_only(fixture, &fixture->state);
    assert_true(log_is_loaded(fixture->log));
}

static void test_cut_and_rolled_files_are_seen(void **state)
{
    struct fixture *fixture = *state;
    fill_and_close(fixture, 5);
    int64_t size = size_of(file_of(fixture, 0, ".log"));
    cut_file(file_of(fixture, 0, ".log"), size - 1);
    fixture_open_only(fixture, &fixture->state);
    assert_true(log_is_loaded(fixture->log));
    append_many(fixture, 1, 10);
    fixture_close(fixture);
    FILE *file = fopen(file_of(fixture, fixture->state.end_offset, ".log"), "wb");
    assert_non_null(file);
    fclose(file);
    fixture_open_only(fixture, &fixture->state); /* rolled, and nothing appended yet */
    assert_true(log_is_loaded(fixture->log));
}

/* An error of the first use is told; a later one tries again. */
static void test_a_load_that_failed_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    fill_and_close(fixture, 5);
    open_idle(fixture);
    char away[128];
    snprintf(away, sizeof away, "%s.away", fixture->log_dir);
    assert_int_equal(rename(fixture->log_dir, away), 0);
    assert_int_equal(log_load(fixture->log, &fixture->reason), ERR_IO);
    assert_false(log_is_loaded(fixture->log));
    assert_int_equal(rename(away, fixture->log_dir), 0);
    fixture_load(fixture);
    assert_int_equal(read_all(fixture, 0, 5, 1000), 5);
}

static void test_an_idle_log_knows_when_retention_is_due(void **state)
{
    struct fixture *fixture = *state;
    fill_and_close(fixture, 5);
    fixture->config.retention_ms = 3600 * 1000;
    int64_t oldest = fixture->state.oldest_ms;
    fixture->now_ms = oldest + fixture->config.retention_ms;
    open_idle(fixture);
    assert_false(log_retention_may_be_due(fixture->log));
    assert_false(log_is_loaded(fixture->log));
    fixture->now_ms++;
    assert_true(log_retention_may_be_due(fixture->log));
    fixture_load(fixture);
    assert_int_equal(log_retention_start(fixture->log, 5), 5);
    assert_true(log_is_loaded(fixture->log));
}

/* A log that did not change since the last checkpoint writes nothing. */
static void test_an_unchanged_log_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct log_checkpointing taken;
    struct log_append append;
    struct batch_spec spec = {.timestamp = 1000, .producer_id = 7};
    bool changed;
    fixture_open(fixture, NULL);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    assert_int_equal(log_flush(fixture->log, NULL), ERR_NONE);
    assert_int_equal(log_checkpoint_begin(fixture->log, &taken, &changed, NULL), ERR_NONE);
    assert_true(changed);
    assert_int_equal(taken.state.end_offset, 1);
    log_checkpoint_finish(&taken, false); /* the sync failed: nothing counts */
    assert_int_equal(log_last_checkpoint(fixture->log).end_offset, 0);
    assert_int_equal(log_checkpoint_begin(fixture->log, &taken, &changed, NULL), ERR_NONE);
    assert_true(changed);
    log_checkpoint_finish(&taken, true);
    assert_int_equal(log_last_checkpoint(fixture->log).end_offset, 1);
    unlink(file_of(fixture, 1, ".snapshot"));
    assert_int_equal(log_checkpoint_begin(fixture->log, &taken, &changed, NULL), ERR_NONE);
    assert_false(changed);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, NULL), ERR_NONE);
    assert_int_equal(size_of(file_of(fixture, 1, ".snapshot")), -1);
    assert_int_equal(log_set_start_offset(fixture->log, 1, NULL), ERR_NONE);
    assert_int_equal(log_checkpoint(fixture->log, &fixture->state, NULL), ERR_NONE);
    assert_int_equal(fixture->state.start_offset, 1);
}

static void *read_first(void *context)
{
    struct fixture *fixture = context;
    struct file_span span;
    enum err err = log_load(fixture->log, NULL);
    if (err == ERR_NONE) {
        err = log_read(fixture->log, 0, 20, 1000, true, &span, NULL);
    }
    if (err == ERR_NONE) {
        file_span_release(&span);
    } else if (err != ERR_CLOSED && err != ERR_IO) {
        abort();
    }
    return NULL;
}

/* Many first users at once, and a deletion among them. */
static void test_many_first_users_race_with_a_deletion(void **state)
{
    enum { THREADS = 4 };
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 400;
    for (int round = 0; round < 20; round++) {
        fill_and_close(fixture, 20);
        open_idle(fixture);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, read_first, fixture), 0);
        }
        assert_int_equal(log_delete(fixture->log, NULL), ERR_NONE);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        struct file_span span;
        enum err err = log_load(fixture->log, NULL); /* it was before the deletion, or never is */
        if (err == ERR_NONE) {
            err = log_read(fixture->log, 0, 20, 1000, true, &span, NULL);
        }
        assert_int_equal(err, ERR_CLOSED);
        fixture_kill(fixture);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_idle_log_answers_its_offsets_without_files,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_first_use_loads_it, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_producers_batches_are_recognised, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_log_with_an_open_transaction_is_loaded,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_log_that_fits_its_checkpoint_is_not_read_after_a_crash, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_segment_compacted_to_the_same_size_is_noticed,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_cut_and_rolled_files_are_seen, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_load_that_failed_is_tried_again, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_idle_log_knows_when_retention_is_due, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_unchanged_log_writes_nothing, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many_first_users_race_with_a_deletion, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
