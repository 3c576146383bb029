/* A reader as a member of a group, against a server. */
#include "reader_fixture.h"

#include "../../unit.h"

static void test_a_group_goes_on_where_it_committed(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"steps"};
    struct seen seen;
    bus_server_topic(bus, "steps", 1);
    bus_server_put_numbers(bus, "steps", 0, 0, 6);
    seen_join(bus, &seen, "walkers", topics, 1, POSITION_START);
    seen_expect(&seen, 0, 3, "so far");
    struct received *unmarked = seen_take(&seen);
    received_free(unmarked);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    assert_int_equal(seen.revoked, 1);
    assert_false(seen.was_lost);
    seen_expect_committed(bus, "walkers", "steps", 0, 3, "so far");
    seen_join(bus, &seen, "walkers", topics, 1, POSITION_START);
    seen_expect(&seen, 3, 3, NULL);
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    seen_expect_committed(bus, "walkers", "steps", 0, 6, NULL);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    assert_int_equal(seen.gaps, 0);
}

static void test_a_member_is_told_what_the_group_has(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"told"};
    struct seen seen;
    bus_server_topic(bus, "told", 1);
    seen_join(bus, &seen, "listeners", topics, 1, POSITION_START);
    seen_wait_assigned(&seen, 1);
    assert_string_equal(seen.metadata, "");
    bus_server_put_numbers(bus, "told", 0, 0, 3);
    int64_t epoch = reader_epoch(seen.reader, "told", 0);
    assert_int_equal(seen.stored, 0);
    assert_true(reader_mark(seen.reader, "told", 0, epoch, 3, "so far"));
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    assert_int_equal(seen.stored, 1);
    assert_int_equal(seen.stored_epoch, epoch);
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    assert_int_equal(seen.stored, 1); /* each mark once */
    assert_true(reader_mark(seen.reader, "told", 0, epoch, 3, "so far"));
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    assert_int_equal(seen.stored, 2); /* though the bus had it already */
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    seen_join(bus, &seen, "listeners", topics, 1, POSITION_START);
    seen_wait_assigned(&seen, 1);
    assert_string_equal(seen.metadata, "so far");
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_an_old_epoch_cannot_mark(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"moving"};
    struct seen first, second;
    bus_server_topic(bus, "moving", 2);
    seen_join(bus, &first, "movers2", topics, 1, POSITION_START);
    seen_wait_assigned(&first, 2);
    int64_t epochs[2] = {reader_epoch(first.reader, "moving", 0),
                         reader_epoch(first.reader, "moving", 1)};
    assert_int_not_equal(epochs[0], epochs[1]);
    seen_join(bus, &second, "movers2", topics, 1, POSITION_START);
    while (second.assigned == 0) {
        struct received *received;
        assert_int_equal(reader_take(first.reader, 20, &received, NULL), CLIENT_OK);
        assert_int_equal(reader_take(second.reader, 20, &received, NULL), CLIENT_OK);
    }
    assert_int_equal(first.revoked, 1); /* cooperative: the other one stays */
    int32_t moved = reader_epoch(first.reader, "moving", 0) == 0 ? 0 : 1;
    assert_false(reader_mark(first.reader, "moving", moved, epochs[moved], 1, NULL));
    assert_true(reader_mark(first.reader, "moving", 1 - moved, epochs[1 - moved], 0, NULL));
    assert_int_equal(reader_pause(first.reader, "moving", moved, NULL), CLIENT_NOT_FOUND);
    assert_int_equal(reader_close(second.reader, NULL), CLIENT_OK);
    while (first.assigned < 3) {
        struct received *received;
        assert_int_equal(reader_take(first.reader, 20, &received, NULL), CLIENT_OK);
    }
    int64_t again = reader_epoch(first.reader, "moving", moved);
    assert_true(again > epochs[moved]);
    assert_false(reader_mark(first.reader, "moving", moved, epochs[moved], 1, NULL));
    assert_true(reader_mark(first.reader, "moving", moved, again, 0, NULL));
    assert_int_equal(reader_close(first.reader, NULL), CLIENT_OK);
}

/* Takes, and marks whatever it holds of the topic's two partitions, so that there is a commit to
 * send all the time. */
static void take_and_mark(struct seen *seen, const char *topic, int64_t *mark)
{
    struct received *received;
    assert_int_equal(reader_take(seen->reader, 2, &received, NULL), CLIENT_OK);
    assert_null(received);
    for (int32_t p = 0; p < 2; p++) {
        reader_mark(seen->reader, topic, p, reader_epoch(seen->reader, topic, p), ++*mark, NULL);
    }
}

/* A commit that arrives behind a JoinGroup is refused, and librdkafka up to 2.1 gives up all. */
static void test_no_commit_meets_a_rebalance(void **state)
{
    enum { TIMES = 6 };
    struct bus_server *bus = *state;
    static const char *const topics[] = {"busy"};
    static const char quick[] = "heartbeat.interval.ms=200";
    const struct reader_settings settings = {
        .group = "committers", .topics = topics, .topic_count = 1, .session_timeout_ms = 30000};
    struct seen first, second;
    int64_t mark = 0;
    bus_server_topic(bus, "busy", 2);
    seen_join_as(&settings, bus, &first, quick);
    while (first.assigned < 2) {
        take_and_mark(&first, "busy", &mark);
    }
    for (int i = 0; i < TIMES; i++) {
        seen_join_as(&settings, bus, &second, quick);
        while (second.assigned == 0) {
            take_and_mark(&first, "busy", &mark);
            take_and_mark(&second, "busy", &mark);
        }
        assert_int_equal(reader_close(second.reader, NULL), CLIENT_OK);
        assert_string_equal(second.notice, "");
        while (first.assigned < 3 + i) {
            take_and_mark(&first, "busy", &mark);
        }
    }
    assert_string_equal(first.notice, "");
    assert_false(first.was_lost);
    assert_int_equal(reader_close(first.reader, NULL), CLIENT_OK);
    assert_false(first.was_lost);
    assert_int_equal(first.revoked, TIMES + 2);
}

/* The bus is away for a session, with a commit on its way to it. Whether the member was fenced when
 * the bus was back; else it came so late that the bus had forgotten it, and just joined. */
static bool is_fenced_after_a_kill(struct bus_server *bus, struct seen *seen)
{
    struct received *received;
    int assigned = seen->assigned;
    seen->was_lost = false;
    bus_server_kill(bus);
    assert_true(
        reader_mark(seen->reader, "away", 0, reader_epoch(seen->reader, "away", 0), 1, NULL));
    assert_int_not_equal(reader_commit(seen->reader, true, NULL), CLIENT_OK);
    while (!seen->was_lost) {
        (void)!reader_take(seen->reader, 20, &received, NULL);
    }
    bus_server_start_again(bus);
    bool is_fenced = false;
    while (seen->assigned == assigned) {
        (void)!reader_take(seen->reader, 20, &received, NULL);
        is_fenced |= strstr(seen->notice, "'one' of group 'stayers' was away longer") != NULL;
    }
    return is_fenced;
}

/* A commit of before is sent when the bus is back: under no member id, with the instance id of a
 * member that the bus still knows. */
static void test_a_fenced_static_member_joins_again(void **state)
{
    struct bus_server *bus = *state;
    enum { TURNS = 20 };
    static const char *const topics[] = {"away"};
    const struct reader_settings settings = {.connection.timeout_ms = 500,
                                             .group = "stayers",
                                             .instance = "one",
                                             .topics = topics,
                                             .topic_count = 1,
                                             .session_timeout_ms = 2000};
    struct seen seen;
    if (bus_server_is_foreign()) {
        print_message("skip: sessions begin anew when all nodes of a cluster come back\n");
        skip();
    }
    bus_server_topic(bus, "away", 1);
    seen_join_as(&settings, bus, &seen, NULL);
    seen_wait_assigned(&seen, 1);
    bool is_fenced = false;
    for (int i = 0; i < TURNS && !is_fenced; i++) {
        is_fenced = is_fenced_after_a_kill(bus, &seen);
    }
    assert_true(is_fenced);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_goes_on_where_it_committed),
        cmocka_unit_test(test_a_member_is_told_what_the_group_has),
        cmocka_unit_test(test_an_old_epoch_cannot_mark),
        cmocka_unit_test(test_no_commit_meets_a_rebalance),
        cmocka_unit_test(test_a_fenced_static_member_joins_again),
    };
    return unit_run(tests, bus_server_set_up, bus_server_tear_down, argc, argv);
}
