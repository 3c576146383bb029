#include "../unit.h"
#include "stream_fixture.h"

#include "base/mem.h"
#include "batch/batch.h"
#include "topic/topic.h"

#include <stdlib.h>

enum { EVENT = 1000, MOST_ITEMS = 4, LONG_MS = 3600000 };

/* A fetch and what the test knows of it. Bytes of one event in a batch: about EVENT + 80. */
struct asked {
    struct fetch fetch; /* first */
    struct fixture *fixture;
    struct fetch_item items[MOST_ITEMS];
    atomic_int done;
};

static void on_done(struct fetch *fetch)
{
    struct asked *asked = (struct asked *)fetch;
    atomic_fetch_add(&asked->done, 1);
}

static struct asked *ask(struct fixture *fixture, size_t items)
{
    struct asked *asked = mem_new(struct asked);
    asked->fixture = fixture;
    asked->fetch = (struct fetch){
        .items = asked->items,
        .item_count = items,
        .max_bytes = 1 << 20,
        .min_bytes = 1,
        .max_wait_ms = LONG_MS,
        .done = on_done,
    };
    for (size_t i = 0; i < items; i++) {
        asked->items[i].partition = topic_partition(fixture->topic, (int32_t)i);
        asked->items[i].max_bytes = 1 << 20;
    }
    return asked;
}

static void start_now(void *context)
{
    struct asked *asked = context;
    fetch_start(asked->fixture->fetches, fixture_reactor(asked->fixture), &asked->fetch);
}

static void start(struct asked *asked)
{
    on_reactor(asked->fixture, start_now, asked);
}

static void nothing(void *context)
{
    (void)context;
}

static void wait_done(struct asked *asked)
{
    wait_until(atomic_load(&asked->done) > 0);
    on_reactor(asked->fixture, nothing, NULL); /* whoever would call it twice had the time to */
    assert_int_equal(atomic_load(&asked->done), 1);
}

static void end(struct asked *asked)
{
    fetch_release(&asked->fetch);
    free(asked);
}

static void test_what_is_there_is_answered_at_once(void **state)
{
    struct fixture *fixture = *state;
    publish_event(fixture, 0, EVENT);
    publish_event(fixture, 0, EVENT);
    struct asked *asked = ask(fixture, 2);
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].err, ERR_NONE);
    assert_int_equal(asked->items[0].high_watermark, 2);
    assert_int_equal(asked->items[0].last_stable_offset, 2);
    assert_int_equal(asked->items[0].log_start_offset, 0);
    assert_in_range(asked->items[0].span.size, 2 * EVENT, 2 * (EVENT + 100));
    assert_int_equal(asked->items[1].span.size, 0);
    end(asked);
}

static void test_budgets_end_at_whole_batches(void **state)
{
    struct fixture *fixture = *state;
    for (int32_t i = 0; i < 3; i++) {
        publish_event(fixture, i, EVENT);
        publish_event(fixture, i, EVENT);
    }
    /* The whole budget holds one event and a half: the first of the first partition. */
    struct asked *asked = ask(fixture, 3);
    asked->fetch.max_bytes = EVENT + EVENT / 2;
    start(asked);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    assert_int_equal(asked->items[1].span.size, 0);
    assert_int_equal(asked->items[2].span.size, 0);
    assert_int_equal(asked->items[1].high_watermark, 2);
    end(asked);

    /* A partition's own limit; its first batch only comes when nothing came before (KIP-74). */
    asked = ask(fixture, 3);
    asked->items[0].max_bytes = 10;
    asked->items[1].max_bytes = 10;
    start(asked);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    assert_int_equal(asked->items[1].span.size, 0);
    assert_in_range(asked->items[2].span.size, 2 * EVENT, 2 * (EVENT + 100));
    end(asked);

    /* Progress is always made, whatever the limits say. */
    asked = ask(fixture, 2);
    asked->fetch.max_bytes = 0;
    asked->items[0].max_bytes = 0;
    start(asked);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    end(asked);
}

static void test_errors_are_answered_at_once(void **state)
{
    struct fixture *fixture = *state;
    publish_event(fixture, 0, EVENT);
    static const int64_t offsets[] = {-1, 2, INT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct asked *asked = ask(fixture, 2);
        asked->items[1].partition = asked->items[0].partition;
        asked->items[1].offset = 1;
        asked->items[0].offset = offsets[i];
        start(asked);
        wait_done(asked);
        assert_int_equal(asked->items[0].err, ERR_OUT_OF_RANGE);
        assert_int_equal(asked->items[1].err, ERR_NONE);
        end(asked);
    }
    struct asked *asked = ask(fixture, 2);
    asked->items[0].partition = NULL;
    start(asked);
    wait_done(asked);
    end(asked);
}

static void test_who_does_not_wait_is_answered_at_once(void **state)
{
    struct asked *asked = ask(*state, 2);
    asked->fetch.max_wait_ms = 0;
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].span.size, 0);
    assert_int_equal(asked->items[0].err, ERR_NONE);
    end(asked);
}

static void test_time_ends_a_wait(void **state)
{
    struct asked *asked = ask(*state, 2);
    asked->fetch.max_wait_ms = 20;
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].span.size, 0);
    assert_int_equal(asked->fetch.stage, FETCH_AWAY);
    end(asked);
}

static void test_data_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, 4);
    start(asked);
    assert_int_equal(atomic_load(&asked->done), 0);
    publish_event(fixture, 3, EVENT);
    wait_done(asked);
    assert_int_equal(asked->items[0].span.size, 0);
    assert_in_range(asked->items[3].span.size, EVENT, EVENT + 100);
    assert_int_equal(asked->items[3].high_watermark, 1);
    end(asked);
}

static void test_a_fetch_waits_for_its_least_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, 2);
    asked->fetch.min_bytes = 3 * EVENT;
    start(asked);
    publish_event(fixture, 0, EVENT);
    publish_event(fixture, 1, EVENT);
    on_reactor(fixture, nothing, NULL);
    on_reactor(fixture, nothing, NULL);
    assert_int_equal(atomic_load(&asked->done), 0);
    publish_event(fixture, 0, EVENT);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, 2 * EVENT, 2 * (EVENT + 100));
    assert_in_range(asked->items[1].span.size, EVENT, EVENT + 100);
    end(asked);
}

/* Promise 2: nobody sees what a crash may take back. */
static void test_unsynced_events_are_not_seen(void **state)
{
    struct fixture *fixture = *state;
    pthread_mutex_lock(&fixture->sync_lock);
    append_event(fixture, 0, EVENT);
    struct asked *asked = ask(fixture, 1);
    asked->fetch.max_wait_ms = 0;
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].span.size, 0);
    assert_int_equal(asked->items[0].high_watermark, 0);
    end(asked);
    /* Beyond the watermark and not beyond the end: that is no error, it may come. */
    asked = ask(fixture, 1);
    asked->items[0].offset = 1;
    start(asked);
    struct asked *other = ask(fixture, 1);
    start(other);
    on_reactor(fixture, nothing, NULL);
    assert_int_equal(atomic_load(&asked->done), 0);
    assert_int_equal(atomic_load(&other->done), 0);
    pthread_mutex_unlock(&fixture->sync_lock);
    wait_done(other);
    assert_in_range(other->items[0].span.size, EVENT, EVENT + 100);
    end(other);
    publish_event(fixture, 0, EVENT);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    end(asked);
}

static void test_one_event_wakes_all_who_wait(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked[50];
    for (int i = 0; i < 50; i++) {
        asked[i] = ask(fixture, 1 + (size_t)i % 3);
        start(asked[i]);
    }
    publish_event(fixture, 0, EVENT);
    for (int i = 0; i < 50; i++) {
        wait_done(asked[i]);
        assert_in_range(asked[i]->items[0].span.size, EVENT, EVENT + 100);
        end(asked[i]);
    }
}

static void test_one_partition_may_be_in_a_fetch_twice(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, 3);
    asked->items[1].partition = asked->items[0].partition;
    start(asked);
    publish_event(fixture, 0, EVENT);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    assert_in_range(asked->items[1].span.size, EVENT, EVENT + 100);
    end(asked);
}

static void cancel_now(void *context)
{
    struct asked *asked = context;
    fetch_cancel(&asked->fetch);
}

static void test_a_cancelled_fetch_is_not_answered(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, 3);
    struct asked *other = ask(fixture, 3);
    start(asked);
    start(other);
    on_reactor(fixture, cancel_now, asked);
    assert_int_equal(atomic_load(&asked->done), 1);
    assert_true(asked->fetch.cancelled);
    publish_event(fixture, 1, EVENT);
    wait_done(other);
    assert_false(other->fetch.cancelled);
    assert_int_equal(atomic_load(&asked->done), 1);
    end(asked);
    end(other);
}

static void test_a_drain_answers_who_waits(void **state)
{
    struct fixture *fixture = *state;
    struct asked *first = ask(fixture, 2);
    struct asked *second = ask(fixture, 4);
    start(first);
    start(second);
    fetch_service_drain(fixture->fetches);
    wait_done(first);
    wait_done(second);
    end(first);
    end(second);
}

static void test_a_deleted_topic_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, 2);
    start(asked);
    assert_int_equal(catalogue_delete(fixture->catalogue, fixture->topic, &fixture->reason),
                     ERR_NONE);
    wait_done(asked);
    assert_int_equal(asked->items[0].err, ERR_NOT_FOUND);
    end(asked);
}

/* ---- read_committed ----
 * The events are of 2023 and markers of now, so the first marker begins a new segment (segment.ms);
 * a span ends there.
 */

static void append_txn(struct fixture *fixture, int64_t producer_id, int32_t sequence)
{
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct buf bytes = make_batch(producer_id, sequence, EVENT);
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    batch.attributes |= BATCH_ATTRIBUTE_TRANSACTIONAL;
    batch_renew_crc(&batch);
    struct log_append append = {.batches = &batch, .batch_count = 1, .check_producer = true};
    assert_int_equal(partition_append(partition, &append, &fixture->reason), ERR_NONE);
    wait_until(partition_high_watermark(partition) == append.end_offset);
    buf_deinit(&bytes);
}

static void end_txn(struct fixture *fixture, int64_t producer_id, bool commit)
{
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct partition_marker marker = {.producer_id = producer_id, .commit = commit};
    assert_int_equal(partition_append_marker(partition, &marker, &fixture->reason), ERR_NONE);
    wait_until(partition_high_watermark(partition) == marker.end_offset);
}

static struct asked *ask_committed(struct fixture *fixture, int64_t offset)
{
    struct asked *asked = ask(fixture, 1);
    asked->fetch.read_committed = true;
    asked->items[0].offset = offset;
    return asked;
}

static void test_a_read_of_committed_events_ends_at_the_last_stable_offset(void **state)
{
    struct fixture *fixture = *state;
    publish_event(fixture, 0, EVENT);
    append_txn(fixture, 7, 0);
    publish_event(fixture, 0, EVENT);
    struct asked *asked = ask_committed(fixture, 0);
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].end_offset, 1);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    assert_int_equal(asked->items[0].last_stable_offset, 1);
    assert_int_equal(asked->items[0].high_watermark, 3);
    assert_int_equal(asked->items[0].aborted_count, 0);
    end(asked);
    asked = ask(fixture, 1); /* whoever does not ask for committed ones gets all */
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].end_offset, 3);
    assert_int_equal(asked->items[0].last_stable_offset, 1);
    end(asked);
}

/* The list is of what is returned, not of what might follow. */
static void test_the_aborted_are_those_of_what_is_returned(void **state)
{
    struct fixture *fixture = *state;
    publish_event(fixture, 0, EVENT); /* 0 */
    append_txn(fixture, 7, 0);        /* 1 */
    append_txn(fixture, 8, 0);        /* 2 */
    end_txn(fixture, 8, true);        /* 3 */
    end_txn(fixture, 7, false);       /* 4 */
    publish_event(fixture, 0, EVENT); /* 5 */
    append_txn(fixture, 8, 1);        /* 6 */
    end_txn(fixture, 8, false);       /* 7 */
    static const struct {
        int64_t from;
        int32_t max_bytes;
        int64_t end;
        size_t count;
        int64_t first; /* offset of the first one */
    } cases[] = {{0, 1 << 20, 3, 1, 1},
                 {3, 1 << 20, 8, 2, 1},
                 {0, 1, 1, 0, -1},
                 {1, 1, 2, 1, 1},
                 {2, 1, 3, 1, 1},
                 {5, 1, 6, 0, -1},
                 {5, 2 * EVENT + 300, 8, 1, 6},
                 {7, 1, 8, 1, 6}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked = ask_committed(fixture, cases[i].from);
        asked->items[0].max_bytes = cases[i].max_bytes;
        start(asked);
        wait_done(asked);
        assert_int_equal(asked->items[0].err, ERR_NONE);
        assert_int_equal(asked->items[0].end_offset, cases[i].end);
        assert_int_equal(asked->items[0].aborted_count, cases[i].count);
        if (cases[i].count > 0) {
            assert_int_equal(asked->items[0].aborted[0].first_offset, cases[i].first);
        }
        end(asked);
    }
}

/* Events behind an open transaction do not wake whoever waits for it; its end does. */
static void test_the_marker_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    append_txn(fixture, 7, 0);
    struct asked *asked = ask_committed(fixture, 0);
    start(asked);
    publish_event(fixture, 0, EVENT);
    on_reactor(fixture, nothing, NULL);
    assert_int_equal(atomic_load(&asked->done), 0);
    end_txn(fixture, 7, false);
    wait_done(asked);
    assert_int_equal(asked->items[0].end_offset, 2);
    assert_int_equal(asked->items[0].aborted_count, 1);
    assert_int_equal(asked->items[0].aborted[0].producer_id, 7);
    end(asked);
}

/* min_bytes counts what a reader of committed events may have. */
static void test_the_least_bytes_are_of_committed_events(void **state)
{
    struct fixture *fixture = *state;
    publish_event(fixture, 0, EVENT);
    append_txn(fixture, 7, 0);
    struct asked *asked = ask_committed(fixture, 0);
    asked->fetch.min_bytes = 2 * EVENT;
    start(asked);
    publish_event(fixture, 0, EVENT);
    on_reactor(fixture, nothing, NULL);
    assert_int_equal(atomic_load(&asked->done), 0);
    end_txn(fixture, 7, true);
    wait_done(asked);
    assert_int_equal(asked->items[0].end_offset, 3);
    end(asked);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_there_is_answered_at_once),
        TEST(test_budgets_end_at_whole_batches),
        TEST(test_errors_are_answered_at_once),
        TEST(test_who_does_not_wait_is_answered_at_once),
        TEST(test_time_ends_a_wait),
        TEST(test_data_ends_a_wait),
        TEST(test_a_fetch_waits_for_its_least_bytes),
        TEST(test_unsynced_events_are_not_seen),
        TEST(test_one_event_wakes_all_who_wait),
        TEST(test_one_partition_may_be_in_a_fetch_twice),
        TEST(test_a_cancelled_fetch_is_not_answered),
        TEST(test_a_drain_answers_who_waits),
        TEST(test_a_deleted_topic_ends_a_wait),
        TEST(test_a_read_of_committed_events_ends_at_the_last_stable_offset),
        TEST(test_the_aborted_are_those_of_what_is_returned),
        TEST(test_the_marker_ends_a_wait),
        TEST(test_the_least_bytes_are_of_committed_events),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
