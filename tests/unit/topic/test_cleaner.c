#include "../unit.h"
#include "topic_fixture.h"

#include "topic/cleaner.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Which logs the cleaner takes after a start. */

static const struct cleaner_config config = {
    .map_bytes = 1 << 20,
    .load_factor = 0.9,
    .io_bytes = 1 << 17,
    .io_bytes_per_second = 1e12,
    .backoff_ms = 3600 * 1000, /* one round */
};

enum { PARTITIONS = 4 };

/* 0 and 2 are dirty, 1 has one segment, 3 nothing. */
static void fill(struct fixture *fixture)
{
    struct topic *topic = create_topic(fixture, "states", PARTITIONS, "cleanup.policy", "compact");
    struct log_config small = topic_config(topic)->log;
    small.segment_bytes = 14; /* one batch each */
    for (int32_t i = 0; i < 3; i++) {
        struct partition *partition = topic_partition(topic, i);
        log_set_config(partition->log, &small);
        append_events(partition, i == 1 ? 1 : 10, true);
    }
    topic_unref(topic);
}

static struct topic *reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("states"));
    assert_non_null(topic);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        assert_false(log_is_loaded(topic_partition(topic, i)->log));
    }
    return topic;
}

/* Until that many were cleaned. */
static struct cleaner_stats run_cleaner(struct fixture *fixture, uint64_t cleanings)
{
    struct cleaner *cleaner;
    struct cleaner_stats stats;
    assert_int_equal(cleaner_new(fixture->catalogue, &config, &cleaner, &fixture->reason),
                     ERR_NONE);
    do {
        sched_yield();
        cleaner_stats(cleaner, &stats);
    } while (stats.cleanings < cleanings);
    cleaner_free(cleaner);
    return stats;
}

static void test_idle_dirty_logs_are_cleaned(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    struct topic *topic = reopen(fixture);
    int64_t before = log_size_bytes(topic_partition(topic, 0)->log);
    struct cleaner_stats stats = run_cleaner(fixture, 2);
    assert_int_equal(stats.failures, 0);
    assert_true(log_size_bytes(topic_partition(topic, 0)->log) < before);
    assert_true(log_size_bytes(topic_partition(topic, 2)->log) < before);
    assert_int_equal(log_end_offset(topic_partition(topic, 2)->log), 10);
    assert_false(log_is_loaded(topic_partition(topic, 1)->log));
    assert_false(log_is_loaded(topic_partition(topic, 3)->log));
    topic_unref(topic);

    topic = reopen(fixture); /* clean ones stay idle, the others do not wait for them */
    append_events(topic_partition(topic, 1), 1, true);
    struct log_config small = topic_config(topic)->log;
    small.segment_bytes = 14;
    log_set_config(topic_partition(topic, 1)->log, &small);
    append_events(topic_partition(topic, 1), 1, true);
    catalogue_checkpoint(fixture->catalogue); /* closed segments get their files */
    run_cleaner(fixture, 1);
    assert_false(log_is_loaded(topic_partition(topic, 0)->log));
    assert_false(log_is_loaded(topic_partition(topic, 2)->log));
    topic_unref(topic);
}

/* One that cannot be loaded is tried once; the cleaner goes on to the next. */
static void test_an_idle_log_that_cannot_be_loaded_is_tried_once(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    struct topic *topic = reopen(fixture);
    char *log = fixture_path(fixture, "topics/states-0/00000000000000000009.log");
    assert_int_equal(truncate(log, 1), 0);
    free(log);
    run_cleaner(fixture, 1);
    assert_false(log_is_loaded(topic_partition(topic, 0)->log));
    assert_true(log_is_loaded(topic_partition(topic, 2)->log));
    topic_unref(topic);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_dirty_logs_are_cleaned, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_idle_log_that_cannot_be_loaded_is_tried_once,
                                        fixture_setup, fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
