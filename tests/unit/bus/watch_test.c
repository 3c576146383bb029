#include "../unit.h"
#include "fake_bus.h"

#include "base/mem.h"

#include <stdatomic.h>

/*
 * Whoever watches gets each event once and in order from where he wants to begin, whatever the
 * others want, ask for again, or fail to do, and whatever becomes of the feed.
 */
struct sink {
    struct watch *watch;
    int64_t from[FAKE_SOURCES];
    atomic_long next[FAKE_SOURCES]; /* what is to come */
    atomic_long ticks;
    atomic_long gone;
    atomic_long begun;
    atomic_bool is_wrong; /* something came twice, or was left out */
    atomic_long again_at; /* asks for all again when this one came; 0: never */
    struct event_mark last;
    atomic_long hole; /* no event comes at this offset; 0: at each one does */
};

struct test {
    struct fake_bus bus;
    struct watch *watch;
    struct sink sinks[3];
};

static int source_index(const struct feed_source *source)
{
    return strcmp(source->topic, "orders") == 0 ? 0 : 1;
}

static int64_t begin(void *context, const struct feed_source *source)
{
    struct sink *sink = context;
    int index = source_index(source);
    int64_t from = sink->from[index];
    atomic_fetch_add(&sink->begun, 1);
    atomic_store(&sink->next[index], from == FEED_FROM_START ? 0 : from);
    return from;
}

static void take(void *context, const struct feed_piece *piece)
{
    struct sink *sink = context;
    int index = source_index(&piece->source);
    if (piece->kind == FEED_GONE) {
        atomic_fetch_add(&sink->gone, 1);
        sink->from[index] = sink->from[index] > 0 ? 0 : sink->from[index];
        sink->last = event_mark_none();
        return;
    }
    for (size_t i = 0; i < piece->count; i++) {
        long expected = atomic_fetch_add(&sink->next[index], 1);
        if (expected != 0 && expected == atomic_load(&sink->hole)) {
            expected = atomic_fetch_add(&sink->next[index], 1);
        }
        if (piece->events[i].event.offset != expected) {
            atomic_store(&sink->is_wrong, true);
        }
    }
    long again_at = atomic_load(&sink->again_at);
    if (again_at != 0 && piece->next_offset > again_at) {
        atomic_store(&sink->again_at, 0);
        watch_again(sink->watch, sink);
    }
}

static void tick(void *context, int64_t now_ms)
{
    struct sink *sink = context;
    assert_true(now_ms > 1700000000000);
    atomic_fetch_add(&sink->ticks, 1);
}

static struct event_mark last(void *context, const struct feed_source *source)
{
    struct sink *sink = context;
    return source_index(source) == 0 ? sink->last : event_mark_none();
}

static struct test *prepare_with(size_t sinks, int retry_ms)
{
    struct test *test = mem_new(struct test);
    fake_bus_init(&test->bus);
    struct watch_settings settings = {
        .open_feed = fake_bus_open_feed, .context = &test->bus, .tick_ms = 1, .retry_ms = retry_ms};
    test->watch = watch_new(&settings);
    for (size_t i = 0; i < sinks; i++) {
        struct sink *sink = &test->sinks[i];
        sink->watch = test->watch;
        sink->last = event_mark_none();
        watch_add(test->watch,
                  &(struct watch_sink){
                      .context = sink, .begin = begin, .take = take, .tick = tick, .last = last});
    }
    return test;
}

static struct test *prepare(size_t sinks)
{
    return prepare_with(sinks, 1);
}

static void start(struct test *test)
{
    struct reason reason = {""};
    assert_int_equal(watch_start(test->watch, &reason), ERR_NONE);
}

static void end(struct test *test)
{
    assert_true(watch_stop(test->watch, 30000));
    for (int i = 0; i < 3; i++) {
        assert_false(atomic_load(&test->sinks[i].is_wrong));
    }
    watch_free(test->watch);
    fake_bus_deinit(&test->bus);
    free(test);
}

static void test_each_sink_gets_what_it_wants_once_and_in_order(void **state)
{
    struct test *test = prepare(3);
    (void)state;
    test->sinks[0].from[0] = FEED_FROM_START;
    test->sinks[1].from[0] = 33;
    test->sinks[1].from[1] = FEED_NOT_WANTED;
    test->sinks[2].from[0] = 250; /* beyond what there is */
    fake_bus_publish(&test->bus, 0, 100);
    fake_bus_publish(&test->bus, 1, 20);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[1].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[2].next[1]) == 20);
    assert_int_equal(atomic_load(&test->sinks[1].next[1]), FEED_NOT_WANTED);
    assert_int_equal(atomic_load(&test->sinks[2].next[0]), 250);
    fake_bus_publish(&test->bus, 0, 160);
    for (int i = 0; i < 3; i++) {
        wait_until(atomic_load(&test->sinks[i].next[0]) == 260);
        wait_until(watch_progress(test->watch, &test->sinks[i]).level_ms > 0);
        assert_int_equal(watch_progress(test->watch, &test->sinks[i]).behind, 0);
        assert_true(atomic_load(&test->sinks[i].ticks) > 0);
    }
    assert_int_equal(test->bus.feeds, 1);
    assert_int_equal(watch_state(test->watch).events, 280);
    end(test);
}

static void test_one_that_asks_again_gets_all_again_and_the_others_do_not(void **state)
{
    struct test *test = prepare(2);
    (void)state;
    atomic_store(&test->sinks[1].again_at, 60);
    fake_bus_publish(&test->bus, 0, 100);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[1].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[1].begun) >= 3); /* this one twice */
    wait_until(atomic_load(&test->sinks[1].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[0].begun) == 2);
    end(test);
}

static void test_a_feed_that_fails_is_opened_anew_where_each_stands(void **state)
{
    struct test *test = prepare(2);
    (void)state;
    test->sinks[1].from[0] = 40;
    fake_bus_publish(&test->bus, 0, 50);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 50);
    fake_bus_set(&test->bus, &test->bus.fails, true);
    wait_until(watch_state(test->watch).is_failing);
    assert_string_equal(watch_state(test->watch).failure, "the fake bus is away");
    long ticks = atomic_load(&test->sinks[0].ticks);
    wait_until(atomic_load(&test->sinks[0].ticks) > ticks); /* who mends himself goes on */
    fake_bus_publish(&test->bus, 0, 50);
    fake_bus_set(&test->bus, &test->bus.fails, false);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[1].next[0]) == 100);
    wait_until(!watch_state(test->watch).is_failing);
    assert_true(test->bus.feeds > 1);
    end(test);
}

/* Whoever is soon back is not waited for as long as one who stays away. */
static void test_a_feed_that_is_soon_back_is_soon_read(void **state)
{
    struct test *test = prepare_with(1, 1 << 30);
    (void)state;
    fake_bus_publish(&test->bus, 0, 50);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 50);
    for (int i = 1; i <= 3; i++) {
        fake_bus_set(&test->bus, &test->bus.fails, true);
        wait_until(watch_state(test->watch).is_failing);
        fake_bus_set(&test->bus, &test->bus.fails, false);
        fake_bus_publish(&test->bus, 0, 50);
        wait_until(atomic_load(&test->sinks[0].next[0]) == 50 + i * 50);
    }
    end(test);
}

static void test_a_topic_that_is_gone_is_told_to_those_who_read_it(void **state)
{
    struct test *test = prepare(2);
    (void)state;
    test->sinks[1].from[0] = FEED_NOT_WANTED;
    fake_bus_publish(&test->bus, 0, 10);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 10);
    fake_bus_set(&test->bus, &test->bus.is_gone[0], true);
    wait_until(atomic_load(&test->sinks[0].gone) == 1);
    assert_int_equal(atomic_load(&test->sinks[1].gone), 0);
    end(test);
}

static void test_who_waits_for_it_has_what_was_there(void **state)
{
    enum { LONG_MS = 60000 };
    struct test *test = prepare(2);
    (void)state;
    assert_false(watch_catch_up(test->watch, LONG_MS)); /* it has not begun: nothing to wait for */
    start(test);
    wait_until(watch_progress(test->watch, &test->sinks[1]).level_ms > 0);
    for (int i = 1; i <= 100; i++) {
        fake_bus_publish(&test->bus, i % 2, 20);
        assert_true(watch_catch_up(test->watch, LONG_MS));
        assert_int_equal(atomic_load(&test->sinks[1].next[i % 2]), (i + 1) / 2 * 20);
    }
    fake_bus_set(&test->bus, &test->bus.fails, true);
    wait_until(watch_state(test->watch).is_failing);
    assert_false(watch_catch_up(test->watch, LONG_MS));
    end(test);
}

static void test_nobody_waits_for_a_feed_that_lags(void **state)
{
    struct test *test = prepare(1);
    (void)state;
    test->bus.lag_ms = 1000;
    start(test);
    wait_until(watch_progress(test->watch, &test->sinks[0]).level_ms > 0);
    assert_false(watch_catch_up(test->watch, 1 << 30));
    end(test);
}

static void test_a_topic_that_went_while_no_feed_was_open_is_told_as_well(void **state)
{
    struct test *test = prepare(2);
    (void)state;
    test->sinks[1].from[0] = FEED_NOT_WANTED;
    fake_bus_publish(&test->bus, 0, 10);
    fake_bus_publish(&test->bus, 1, 10);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 10);
    wait_until(atomic_load(&test->sinks[0].next[1]) == 10);
    assert_int_equal(watch_state(test->watch).partitions, 2);
    fake_bus_set(&test->bus, &test->bus.fails, true);
    wait_until(watch_state(test->watch).is_failing);
    fake_bus_set(&test->bus, &test->bus.is_missing[0], true);
    fake_bus_set(&test->bus, &test->bus.fails, false);
    wait_until(watch_state(test->watch).partitions == 1);
    assert_int_equal(atomic_load(&test->sinks[0].gone), 1);
    assert_int_equal(atomic_load(&test->sinks[1].gone), 0);
    fake_bus_publish(&test->bus, 1, 10); /* the other one is read on where it stands */
    wait_until(atomic_load(&test->sinks[0].next[1]) == 20);
    end(test);
}

/* One that had all of it before begins anew, though another one's place fits what is there now. */
static void test_a_topic_without_id_that_was_made_again_unseen_is_begun_anew(void **state)
{
    static const uint8_t no_id[16];
    struct test *test = prepare(3);
    (void)state;
    memcpy(test->bus.sources[0].topic_id, no_id, sizeof no_id);
    test->sinks[0].from[0] = 167;
    test->sinks[1].from[0] = 40;
    test->sinks[2].from[0] = 100; /* had all that there is: of the same topic, as far as one sees */
    fake_bus_publish(&test->bus, 0, 100);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 100);
    wait_until(atomic_load(&test->sinks[1].next[0]) == 100);
    assert_int_equal(atomic_load(&test->sinks[0].gone), 1);
    fake_bus_publish(&test->bus, 0, 100);
    for (int i = 0; i < 3; i++) {
        wait_until(atomic_load(&test->sinks[i].next[0]) == 200);
        wait_until(watch_progress(test->watch, &test->sinks[i]).level_ms > 0);
    }
    assert_int_equal(atomic_load(&test->sinks[0].gone), 1);
    assert_int_equal(atomic_load(&test->sinks[1].gone), 0);
    assert_int_equal(atomic_load(&test->sinks[2].gone), 0);
    end(test);
}

/* Each has had 50 events, and tells the last of them. */
static struct test *prepare_without_id(size_t sinks)
{
    static const uint8_t no_id[16];
    struct test *test = prepare(sinks);
    memcpy(test->bus.sources[0].topic_id, no_id, sizeof no_id);
    for (size_t i = 0; i < sinks; i++) {
        test->sinks[i].from[0] = 50;
        test->sinks[i].last = fake_bus_mark(0, 49, 0);
    }
    return test;
}

static void test_one_that_was_made_again_and_is_longer_is_begun_anew(void **state)
{
    struct test *test = prepare_without_id(3);
    (void)state;
    test->sinks[0].last = fake_bus_mark(0, 49, 1); /* of another topic */
    test->sinks[2].last = event_mark_none();       /* cannot know */
    fake_bus_publish(&test->bus, 0, 100);
    start(test);
    for (int i = 0; i < 3; i++) {
        wait_until(atomic_load(&test->sinks[i].next[0]) == 100);
        wait_until(watch_progress(test->watch, &test->sinks[i]).level_ms > 0);
        assert_int_equal(atomic_load(&test->sinks[i].gone), i == 0 ? 1 : 0);
    }
    assert_int_equal(test->bus.feeds, 2); /* the second one from the start */
    end(test);
}

/* The same as long as what it had, to the event. */
static void test_one_that_was_made_again_and_is_as_long_is_begun_anew(void **state)
{
    struct test *test = prepare_without_id(2);
    (void)state;
    test->sinks[0].last = fake_bus_mark(0, 49, 1);
    fake_bus_publish(&test->bus, 0, 50);
    start(test);
    wait_until(atomic_load(&test->sinks[0].gone) == 1);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 50);
    wait_until(watch_progress(test->watch, &test->sinks[1]).level_ms > 0);
    assert_int_equal(atomic_load(&test->sinks[1].gone), 0);
    end(test);
}

static void test_one_that_was_made_again_while_no_feed_was_open_is_begun_anew(void **state)
{
    struct test *test = prepare_without_id(2);
    (void)state;
    fake_bus_publish(&test->bus, 0, 60);
    start(test);
    for (int round = 1; round <= 3; round++) {
        bool is_another = round != 2;
        long gone = atomic_load(&test->sinks[0].gone);
        wait_until(atomic_load(&test->sinks[0].next[0]) == 50 + round * 10);
        wait_until(atomic_load(&test->sinks[1].next[0]) == 50 + round * 10);
        fake_bus_set(&test->bus, &test->bus.fails, true);
        wait_until(watch_state(test->watch).is_failing);
        if (is_another) {
            fake_bus_make_again(&test->bus, 0, 60 + round * 10);
        } else {
            fake_bus_publish(&test->bus, 0, 10);
        }
        fake_bus_set(&test->bus, &test->bus.fails, false);
        for (int i = 0; i < 2; i++) {
            wait_until(atomic_load(&test->sinks[i].gone) == gone + is_another);
            wait_until(atomic_load(&test->sinks[i].next[0]) == 60 + round * 10);
        }
    }
    end(test);
}

static void test_what_retention_took_is_no_sign_of_another_topic(void **state)
{
    struct test *test = prepare_without_id(1);
    (void)state;
    test->sinks[0].from[0] = 60;
    test->bus.starts[0] = 55;
    fake_bus_publish(&test->bus, 0, 100);
    start(test);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 100);
    assert_int_equal(atomic_load(&test->sinks[0].gone), 0);
    end(test);
}

static void test_a_last_event_that_is_missing_is_a_sign_of_another_topic(void **state)
{
    struct test *test = prepare_without_id(1);
    (void)state;
    test->bus.holes[0] = 49;
    atomic_store(&test->sinks[0].hole, 49);
    fake_bus_publish(&test->bus, 0, 100);
    start(test);
    wait_until(atomic_load(&test->sinks[0].gone) == 1);
    wait_until(atomic_load(&test->sinks[0].next[0]) == 100);
    end(test);
}

static void test_a_stop_waits_no_longer_than_it_may(void **state)
{
    struct test *test = prepare(1);
    (void)state;
    start(test);
    wait_until(atomic_load(&test->sinks[0].begun) == 2);
    fake_bus_set(&test->bus, &test->bus.hangs, true);
    assert_false(watch_stop(test->watch, 20));
    fake_bus_set(&test->bus, &test->bus.hangs, false);
    end(test);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_sink_gets_what_it_wants_once_and_in_order),
        cmocka_unit_test(test_one_that_asks_again_gets_all_again_and_the_others_do_not),
        cmocka_unit_test(test_a_feed_that_fails_is_opened_anew_where_each_stands),
        cmocka_unit_test(test_a_feed_that_is_soon_back_is_soon_read),
        cmocka_unit_test(test_a_topic_that_is_gone_is_told_to_those_who_read_it),
        cmocka_unit_test(test_who_waits_for_it_has_what_was_there),
        cmocka_unit_test(test_nobody_waits_for_a_feed_that_lags),
        cmocka_unit_test(test_a_topic_that_went_while_no_feed_was_open_is_told_as_well),
        cmocka_unit_test(test_a_topic_without_id_that_was_made_again_unseen_is_begun_anew),
        cmocka_unit_test(test_one_that_was_made_again_and_is_longer_is_begun_anew),
        cmocka_unit_test(test_one_that_was_made_again_and_is_as_long_is_begun_anew),
        cmocka_unit_test(test_one_that_was_made_again_while_no_feed_was_open_is_begun_anew),
        cmocka_unit_test(test_what_retention_took_is_no_sign_of_another_topic),
        cmocka_unit_test(test_a_last_event_that_is_missing_is_a_sign_of_another_topic),
        cmocka_unit_test(test_a_stop_waits_no_longer_than_it_may),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
