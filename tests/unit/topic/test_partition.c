#include "../unit.h"
#include "topic_fixture.h"

#include "batch/batch.h"

/* What readers may see of a partition, and who is told. */

static void test_the_watermark_is_what_is_on_disk(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    append_events(partition, 3, false);
    assert_int_equal(partition_high_watermark(partition), 0);
    assert_int_equal(partition_last_stable_offset(partition), 0);
    assert_false(partition_acknowledged(partition, 3));
    append_events(partition, 1, true);
    assert_int_equal(partition_high_watermark(partition), 4);
    assert_true(partition_acknowledged(partition, 4));
    assert_false(partition_acknowledged(partition, 5));
    topic_unref(topic);
}

/* The flusher publishes the offset before it tells the partition: asking between is no failure. */
static void test_what_is_synced_is_acknowledged_before_the_notice(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    append_events(partition, 2, false);
    partition_watch(partition, 1);
    assert_int_equal(log_flush(partition->log, &fixture->reason), ERR_NONE);
    assert_true(partition_acknowledged(partition, 2));
    assert_int_equal(partition_high_watermark(partition), 2);
    assert_int_equal(fixture->advanced, 1);
    topic_unref(topic);
}

static void test_flush_messages_above_one_shows_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, "flush.messages", "2");
    struct partition *partition = topic_partition(topic, 0);
    partition_watch(partition, 0);
    append_events(partition, 3, false);
    assert_int_equal(partition_high_watermark(partition), 3);
    assert_true(partition_acknowledged(partition, 3));
    assert_int_equal(fixture->advanced, 1);
    topic_unref(topic);
}

static void test_watchers_are_told_once(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    append_events(partition, 1, true);
    assert_int_equal(fixture->advanced, 0);
    partition_watch(partition, 3);
    partition_watch(partition, 63);
    partition_on_flushed(partition); /* nothing moved */
    assert_int_equal(fixture->advanced, 0);
    append_events(partition, 1, true);
    assert_int_equal(fixture->advanced, 1);
    assert_true(fixture->advanced_reactors == (UINT64_C(1) << 3 | UINT64_C(1) << 63));
    append_events(partition, 1, true);
    assert_int_equal(fixture->advanced, 1);
    topic_unref(topic);
}

static void test_a_held_partition_outlives_its_topic(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    append_events(partition, 1, true);
    partition_ref(partition);
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
    assert_int_equal(partition_high_watermark(partition), 1);
    assert_int_equal(partition_config(partition)->flush_messages, 1);
    partition_unref(partition);
}

static void test_append_time_replaces_the_events_own(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic =
        create_topic(fixture, "orders", 1, "message.timestamp.type", "LogAppendTime");
    assert_true(topic_config_append_time(topic_config(topic)));
    append_events(topic_partition(topic, 0), 1, true);
    int64_t offset;
    int64_t timestamp;
    assert_int_equal(
        log_find_max_time(topic_partition(topic, 0)->log, 1, &offset, &timestamp, &fixture->reason),
        ERR_NONE);
    assert_int_equal(offset, 0);
    assert_true(timestamp > 1700000000000); /* the event itself says 1700000000000 */
    topic_unref(topic);
}

/* One transactional batch. */
static void append_txn(struct partition *partition, int64_t producer_id, int32_t sequence)
{
    struct reason reason;
    struct batch_builder builder;
    struct buf bytes = {0};
    struct batch batch;
    batch_builder_init(&builder);
    builder.producer_id = producer_id;
    builder.producer_epoch = 3;
    builder.base_sequence = sequence;
    builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    batch_builder_add(&builder, 1700000000000, slice_str("key"), slice_str("value"), NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, &reason), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, &reason), ERR_NONE);
    struct log_append append = {.batches = &batch, .batch_count = 1, .check_producer = true};
    assert_int_equal(partition_append(partition, &append, &reason), ERR_NONE);
    buf_deinit(&bytes);
}

static void flush(struct partition *partition)
{
    assert_int_equal(log_flush(partition->log, NULL), ERR_NONE);
    partition_on_flushed(partition);
}

static enum err mark(struct partition *partition, int64_t producer_id, int16_t epoch, bool commit,
                     int64_t *end_offset)
{
    struct partition_marker marker = {.producer_id = producer_id,
                                      .producer_epoch = epoch,
                                      .coordinator_epoch = 5,
                                      .commit = commit};
    struct reason reason;
    enum err err = partition_append_marker(partition, &marker, &reason);
    *end_offset = marker.end_offset;
    return err;
}

/* It moves when the marker is on disk, and before anybody who waits is told. */
static void test_the_last_stable_offset_waits_for_the_marker_on_disk(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    int64_t end_offset;
    append_events(partition, 2, true);
    append_txn(partition, 7, 0);
    append_txn(partition, 8, 0);
    append_events(partition, 1, true);
    assert_int_equal(partition_high_watermark(partition), 5);
    assert_int_equal(partition_last_stable_offset(partition), 2);
    assert_int_equal(mark(partition, 7, 3, true, &end_offset), ERR_NONE);
    assert_int_equal(end_offset, 6);
    assert_int_equal(partition_last_stable_offset(partition), 2);
    partition_watch(partition, 0);
    flush(partition);
    assert_int_equal(fixture->advanced, 1);
    assert_int_equal(fixture->advanced_stable, 3);
    assert_int_equal(mark(partition, 8, 3, false, &end_offset), ERR_NONE);
    partition_watch(partition, 0);
    assert_int_equal(log_flush(partition->log, NULL), ERR_NONE);
    assert_true(partition_acknowledged(partition, end_offset)); /* before the flusher tells */
    assert_int_equal(fixture->advanced, 2);
    assert_int_equal(fixture->advanced_stable, 7);
    int64_t high_watermark;
    int64_t last_stable;
    partition_readable(partition, &high_watermark, &last_stable);
    assert_int_equal(high_watermark, 7);
    assert_int_equal(last_stable, 7);
    topic_unref(topic);
}

static void test_a_bad_marker_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    int64_t end_offset;
    append_txn(partition, 7, 0);
    assert_int_equal(mark(partition, -1, 3, true, &end_offset), ERR_INVALID);
    assert_int_equal(mark(partition, 7, -1, true, &end_offset), ERR_INVALID);
    assert_int_equal(mark(partition, 7, 2, true, &end_offset), ERR_PRODUCER_FENCED);
    assert_int_equal(log_end_offset(partition->log), 1);
    assert_int_equal(mark(partition, 9, 0, true, &end_offset), ERR_NONE); /* no records: fine */
    topic_unref(topic);
}

static void test_flush_messages_above_one_is_stable_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, "flush.messages", "2");
    struct partition *partition = topic_partition(topic, 0);
    int64_t end_offset;
    append_txn(partition, 7, 0);
    assert_int_equal(partition_last_stable_offset(partition), 0);
    assert_int_equal(mark(partition, 7, 3, true, &end_offset), ERR_NONE);
    assert_int_equal(partition_last_stable_offset(partition), 2);
    topic_unref(topic);
}

static void test_an_open_transaction_outlives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    append_events(topic_partition(topic, 0), 1, true);
    append_txn(topic_partition(topic, 0), 7, 0);
    append_events(topic_partition(topic, 0), 1, true);
    topic_unref(topic);
    fixture_close(fixture);
    fixture_open(fixture);
    topic = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_int_equal(partition_high_watermark(topic_partition(topic, 0)), 3);
    assert_int_equal(partition_last_stable_offset(topic_partition(topic, 0)), 1);
    topic_unref(topic);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_watermark_is_what_is_on_disk),
        TEST(test_what_is_synced_is_acknowledged_before_the_notice),
        TEST(test_flush_messages_above_one_shows_at_once),
        TEST(test_watchers_are_told_once),
        TEST(test_a_held_partition_outlives_its_topic),
        TEST(test_append_time_replaces_the_events_own),
        TEST(test_the_last_stable_offset_waits_for_the_marker_on_disk),
        TEST(test_a_bad_marker_is_refused),
        TEST(test_flush_messages_above_one_is_stable_at_once),
        TEST(test_an_open_transaction_outlives_a_restart),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
