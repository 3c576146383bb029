/* Where a reader begins and goes on, against a server. */
#include "reader_fixture.h"

#include "../../unit.h"

static void test_a_direct_reader_begins_where_it_is_told(void **state)
{
    struct bus_server *bus = *state;
    struct seen seen = {0};
    struct topic_partitions partitions = {0};
    struct client_error error;
    bus_server_topic(bus, "direct", 2);
    bus_server_put_numbers(bus, "direct", 0, 0, 10);
    topic_partitions_add(&partitions, "direct", 0, 4);
    struct reader_settings settings = {.connection = bus_server_settings(bus),
                                       .partitions = &partitions,
                                       .callbacks = seen_callbacks,
                                       .context = &seen};
    assert_int_equal(reader_open(&settings, &seen.reader, &error), CLIENT_OK);
    seen_expect(&seen, 4, 6, NULL);
    while (seen.ended == 0) {
        struct received *received;
        assert_int_equal(reader_take(seen.reader, 100, &received, &error), CLIENT_OK);
        assert_null(received);
    }
    assert_int_equal(reader_seek(seen.reader, "direct", 0, 8, &error), CLIENT_OK);
    seen_expect(&seen, 8, 2, NULL);
    assert_int_equal(reader_seek(seen.reader, "direct", 1, 0, &error), CLIENT_NOT_FOUND);
    assert_int_equal(reader_close(seen.reader, &error), CLIENT_OK);
    topic_partitions_deinit(&partitions);
}

static void test_a_reader_that_waits_is_woken(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"quiet"};
    enum { FOR_LONG_MS = 600000 }; /* far beyond the time that this program has */
    struct received *received;
    struct seen seen;
    bus_server_topic(bus, "quiet", 1);
    seen_join(bus, &seen, "sleepers", topics, 1, POSITION_START);
    seen_wait_assigned(&seen, 1);
    reader_wake(seen.reader);
    assert_int_equal(reader_take(seen.reader, FOR_LONG_MS, &received, NULL), CLIENT_OK);
    assert_null(received);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_paused_partitions_wait(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"paused"};
    struct seen seen;
    bus_server_topic(bus, "paused", 2);
    seen_join(bus, &seen, "pausers", topics, 1, POSITION_START);
    seen_wait_assigned(&seen, 2);
    assert_int_equal(reader_pause(seen.reader, "paused", 0, NULL), CLIENT_OK);
    bus_server_put_numbers(bus, "paused", 0, 0, 1);
    bus_server_put_numbers(bus, "paused", 1, 100, 1);
    seen_expect(&seen, 100, 1, NULL);
    assert_int_equal(reader_resume(seen.reader, "paused", 0, NULL), CLIENT_OK);
    seen_expect(&seen, 0, 1, NULL);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

/* The end is for the group's first start only: what comes later is never skipped. */
static void test_a_group_from_the_end_loses_nothing_later(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"ends", "late"};
    struct seen seen;
    bus_server_topic(bus, "ends", 1);
    bus_server_put_numbers(bus, "ends", 0, 0, 3);
    seen_join(bus, &seen, "enders", topics, 2, POSITION_END);
    while (seen.assigned < 1) { /* the topic that is missing is told */
        struct received *received;
        (void)!reader_take(seen.reader, 20, &received, NULL);
    }
    seen_expect_committed(bus, "enders", "ends", 0, 3, NULL); /* before any event */
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    bus_server_put_numbers(bus, "ends", 0, 3, 1); /* while nobody reads */
    assert_int_equal(admin_add_partitions(bus->connection, "ends", 2, NULL), CLIENT_OK);
    struct admin_topics grown;
    assert_int_equal(admin_topic(publisher_connection(bus->publisher), "ends", false, &grown, NULL),
                     CLIENT_OK); /* by which the publisher learns of the new partition */
    admin_topics_deinit(&grown);
    bus_server_put_numbers(bus, "ends", 1, 4, 2);
    bus_server_topic(bus, "late", 1);
    bus_server_put_numbers(bus, "late", 0, 6, 2);
    seen_join(bus, &seen, "enders", topics, 2, POSITION_END);
    bool got[8] = {false};
    for (int i = 0; i < 5; i++) {
        struct received *received = seen_take(&seen);
        got[atoi((const char *)received->event.value.data)] = true;
        received_free(received);
    }
    for (int i = 3; i < 8; i++) {
        assert_true(got[i]);
    }
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    assert_int_equal(seen.gaps, 0);
}

static void test_events_that_are_gone_are_told(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"expiring"};
    struct seen seen;
    bus_server_topic(bus, "expiring", 1);
    bus_server_put_numbers(bus, "expiring", 0, 0, 10);
    seen_join(bus, &seen, "slow", topics, 1, POSITION_END); /* whatever `from` says */
    seen_wait_assigned(&seen, 1);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    bus_server_put_numbers(bus, "expiring", 0, 10, 10);
    bus_server_delete_records(bus, "expiring", 15);
    seen_join(bus, &seen, "slow", topics, 1, POSITION_END);
    seen_expect(&seen, 15, 5, NULL);
    assert_int_equal(seen.gaps, 1);
    assert_string_equal(seen.gap.topic, "expiring");
    assert_int_equal(seen.gap.partition, 0);
    assert_int_equal(seen.gap.from, 10);
    assert_int_equal(seen.gap.to, 15);
    assert_false(seen.gap.is_new_topic);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_a_topic_made_anew_is_read_from_its_start(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"reborn"};
    struct topic_partitions offsets = {0};
    struct seen seen;
    bus_server_topic(bus, "reborn", 1);
    bus_server_put_numbers(bus, "reborn", 0, 0, 2);
    /* as a group has it whose commit came behind the new topic */
    topic_partitions_add(&offsets, "reborn", 0, 7);
    assert_int_equal(admin_set_group_offsets(bus->connection, "old", &offsets, NULL), CLIENT_OK);
    topic_partitions_deinit(&offsets);
    seen_join(bus, &seen, "old", topics, 1, POSITION_END);
    seen_expect(&seen, 0, 2, NULL);
    assert_int_equal(seen.gaps, 1);
    assert_true(seen.gap.is_new_topic);
    assert_int_equal(seen.gap.from, 7);
    assert_int_equal(seen.gap.to, 0);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    seen_expect_committed(bus, "old", "reborn", 0, 2, NULL);
    /* deleted and made again: the bus forgot the group's commit with the topic */
    bus_server_delete_topic(bus, "reborn");
    bus_server_topic(bus, "reborn", 1);
    bus_server_put_numbers(bus, "reborn", 0, 10, 3);
    seen_join(bus, &seen, "old", topics, 1, POSITION_START);
    seen_expect(&seen, 10, 3, NULL);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

/* Deleted and made again behind the reader's back, with more events than it had read. */
static void test_a_position_is_not_reused_in_a_new_topic(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"swapped"};
    struct seen seen;
    bus_server_topic(bus, "swapped", 1);
    bus_server_put_numbers(bus, "swapped", 0, 0, 3);
    seen_join(bus, &seen, "swappers", topics, 1, POSITION_START);
    seen_expect(&seen, 0, 3, NULL);
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    bus_server_delete_topic(bus, "swapped");
    bus_server_topic(bus, "swapped", 1);
    bus_server_put_numbers(bus, "swapped", 0, 100, 6);
    bool got[6] = {false};
    int in_order = 0;
    while (in_order < 6) { /* some from the middle perhaps, then all of them from the start */
        struct received *received = seen_take(&seen);
        int value = atoi((const char *)received->event.value.data);
        assert_in_range(value, 100, 105);
        got[value - 100] = true;
        in_order = value == 100 ? 1 : in_order + (value == 100 + in_order);
        reader_mark(seen.reader, "swapped", 0, received->epoch, received->event.offset + 1, NULL);
        received_free(received);
    }
    for (int i = 0; i < 6; i++) {
        assert_true(got[i]);
    }
    assert_int_equal(seen.gaps, 1);
    assert_true(seen.gap.is_new_topic);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    seen_expect_committed(bus, "swappers", "swapped", 0, 6, NULL);
}

static void test_a_direct_reader_tells_gaps_too(void **state)
{
    struct bus_server *bus = *state;
    struct seen seen = {0};
    struct topic_partitions partitions = {0};
    bus_server_topic(bus, "cut", 1);
    bus_server_put_numbers(bus, "cut", 0, 0, 6);
    bus_server_delete_records(bus, "cut", 4);
    topic_partitions_add(&partitions, "cut", 0, 1);
    struct reader_settings settings = {.connection = bus_server_settings(bus),
                                       .partitions = &partitions,
                                       .callbacks = seen_callbacks,
                                       .context = &seen};
    assert_int_equal(reader_open(&settings, &seen.reader, NULL), CLIENT_OK);
    seen_expect(&seen, 4, 2, NULL);
    assert_int_equal(seen.gaps, 1);
    assert_int_equal(seen.gap.from, 1);
    assert_int_equal(seen.gap.to, 4);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    topic_partitions_deinit(&partitions);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_direct_reader_begins_where_it_is_told),
        cmocka_unit_test(test_a_reader_that_waits_is_woken),
        cmocka_unit_test(test_paused_partitions_wait),
        cmocka_unit_test(test_a_group_from_the_end_loses_nothing_later),
        cmocka_unit_test(test_events_that_are_gone_are_told),
        cmocka_unit_test(test_a_topic_made_anew_is_read_from_its_start),
        cmocka_unit_test(test_a_position_is_not_reused_in_a_new_topic),
        cmocka_unit_test(test_a_direct_reader_tells_gaps_too),
    };
    return unit_run(tests, bus_server_set_up, bus_server_tear_down, argc, argv);
}
