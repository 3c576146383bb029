#include "../unit.h"
#include "topic_fixture.h"

#include "base/mem.h"
#include "batch/batch.h"
#include "topic/cleaner.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* What the cleaner says that it is at. */

enum { EVENTS = 12, SEGMENTS_CLEANED = EVENTS - 1 };

static struct cleaner_config config_of(int64_t map_bytes, double bytes_per_second)
{
    return (struct cleaner_config){
        .map_bytes = map_bytes,
        .load_factor = 0.5,
        .io_bytes = 1 << 17,
        .io_bytes_per_second = bytes_per_second,
        .backoff_ms = 3600 * 1000, /* one round */
    };
}

static void append_key(struct partition *partition, const char *key)
{
    struct reason reason;
    struct batch_builder builder;
    struct buf bytes = {0};
    struct batch batch;
    batch_builder_init(&builder);
    batch_builder_add(&builder, 1700000000000, slice_str(key), slice_str("value"), NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, &reason), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, &reason), ERR_NONE);
    struct log_append append = {.batches = &batch, .batch_count = 1};
    assert_int_equal(partition_append(partition, &append, &reason), ERR_NONE);
    buf_deinit(&bytes);
}

/* Partition 1 of "states", one batch a segment, each with a key of its own. */
static struct topic *fill(struct fixture *fixture)
{
    struct topic *topic = create_topic(fixture, "states", 2, "cleanup.policy", "compact");
    struct partition *partition = topic_partition(topic, 1);
    struct log_config small = topic_config(topic)->log;
    small.segment_bytes = 14;
    log_set_config(partition->log, &small);
    for (int i = 0; i < EVENTS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %02d", i);
        append_key(partition, key);
    }
    struct reason reason;
    assert_int_equal(log_flush(partition->log, &reason), ERR_NONE);
    partition_on_flushed(partition);
    catalogue_checkpoint(fixture->catalogue); /* closed segments get their files */
    return topic;
}

static struct cleaner *start(struct fixture *fixture, const struct cleaner_config *config)
{
    struct cleaner *cleaner;
    assert_int_equal(cleaner_new(fixture->catalogue, config, &cleaner, &fixture->reason), ERR_NONE);
    return cleaner;
}

static void test_progress_is_told_while_keys_are_read(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = fill(fixture);
    int64_t active = log_size_bytes(topic_partition(topic, 1)->log) / EVENTS;
    int64_t closed = log_size_bytes(topic_partition(topic, 1)->log) - active;
    struct cleaner_config config = config_of(1 << 20, 1e-3); /* one piece, then as good as none */
    struct cleaner *cleaner = start(fixture, &config);
    struct cleaner_work progress;
    do {
        sched_yield();
        cleaner_work(cleaner, &progress);
    } while (progress.moved_bytes == 0);
    assert_int_equal(progress.phase, CLEANER_READS_KEYS);
    assert_string_equal(progress.topic, "states");
    assert_int_equal(progress.partition, 1);
    assert_int_equal(progress.pass, 1);
    assert_int_equal(progress.moved_bytes, active); /* a batch, a segment */
    assert_int_equal(progress.at_most_bytes, 3 * closed);
    assert_true(progress.busy);
    assert_true(progress.ms >= 0);
    cleaner_free(cleaner);
    topic_unref(topic);
}

/* One key has room in the map, so that each key takes a pass. */
static void test_progress_goes_forward_through_passes(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = fill(fixture);
    struct cleaner_config config = config_of(64, 40000);
    struct cleaner *cleaner = start(fixture, &config);
    struct cleaner_work last = {.busy = false};
    struct cleaner_work now;
    struct cleaner_stats stats;
    bool rewrote = false;
    bool read_again = false;
    for (;;) {
        cleaner_stats(cleaner, &stats); /* first: done before is done */
        cleaner_work(cleaner, &now);
        if (!now.busy && stats.cleanings == 1) {
            break;
        }
        if (!now.busy) {
            continue;
        }
        assert_true(now.pass > last.pass || (now.pass == last.pass && now.phase >= last.phase));
        assert_true(now.moved_bytes >= last.moved_bytes);
        assert_true(now.at_most_bytes >= now.moved_bytes);
        assert_true(now.at_most_bytes >= last.at_most_bytes);
        rewrote = rewrote || now.phase == CLEANER_REWRITES;
        read_again = read_again || (now.pass > 1 && now.phase == CLEANER_READS_KEYS);
        last = now;
        sched_yield();
    }
    assert_true(rewrote);
    assert_true(read_again);
    assert_true(last.pass > 1);
    assert_true(last.pass <= SEGMENTS_CLEANED);
    assert_true((int64_t)stats.bytes_moved >= last.moved_bytes);
    assert_int_equal(stats.failures, 0);
    cleaner_free(cleaner);
    topic_unref(topic);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_progress_is_told_while_keys_are_read, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_progress_goes_forward_through_passes, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
