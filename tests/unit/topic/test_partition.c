#include "topic_fixture.h"

/* What readers may see of a partition, and who is told. */

static void test_watermark_is_what_is_on_disk(void **state)
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
static void test_acknowledged_between_sync_and_notice(void **state)
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

static void test_append_time(void **state)
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_watermark_is_what_is_on_disk),
        TEST(test_acknowledged_between_sync_and_notice),
        TEST(test_flush_messages_above_one_shows_at_once),
        TEST(test_watchers_are_told_once),
        TEST(test_a_held_partition_outlives_its_topic),
        TEST(test_append_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
