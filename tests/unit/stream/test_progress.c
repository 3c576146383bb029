#include "../unit.h"
#include "stream_fixture.h"

#include "base/mem.h"
#include "batch/batch.h"
#include "log/compact.h"
#include "topic/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * An answer that has no record for its reader although newer ones can be read leaves many clients
 * where they are. Every offset of compacted logs is asked for, within narrow and wide limits.
 */
enum { TIMES = 100, LONG_MS = 3600000, WIDE = 1 << 20 };

struct asked {
    struct fetch fetch; /* first */
    struct fetch_item items[2];
    struct fixture *fixture;
    atomic_int done;
};

static void on_done(struct fetch *fetch)
{
    atomic_fetch_add(&((struct asked *)fetch)->done, 1);
}

static void start_now(void *context)
{
    struct asked *asked = context;
    fetch_start(asked->fixture->fetches, fixture_reactor(asked->fixture), &asked->fetch);
}

static struct asked *ask(struct fixture *fixture, int64_t offset, int32_t max_bytes,
                         int64_t wait_ms)
{
    struct asked *asked = mem_new(struct asked);
    asked->fixture = fixture;
    asked->fetch = (struct fetch){.items = asked->items,
                                  .item_count = 1,
                                  .max_bytes = max_bytes,
                                  .min_bytes = 1,
                                  .max_wait_ms = wait_ms,
                                  .done = on_done};
    for (int32_t i = 0; i < 2; i++) {
        asked->items[i].partition = topic_partition(fixture->topic, i);
        asked->items[i].offset = offset;
        asked->items[i].max_bytes = max_bytes;
    }
    return asked;
}

static void start(struct asked *asked)
{
    on_reactor(asked->fixture, start_now, asked);
}

static void wait_done(struct asked *asked)
{
    wait_until(atomic_load(&asked->done) > 0);
}

static void end(struct asked *asked)
{
    fetch_release(&asked->fetch);
    free(asked);
}

/* The first record of the answer's first item at or behind the offset; -1 when it has none. */
static int64_t first_record(const struct asked *asked)
{
    const struct file_span *span = &asked->items[0].span;
    uint8_t *bytes = mem_alloc(span->size + 1);
    int64_t first = -1;
    if (span->size > 0) {
        assert_int_equal(pread(span->fd, bytes, span->size, span->position), (ssize_t)span->size);
    }
    for (struct slice left = slice_of(bytes, span->size); left.size > 0 && first < 0;) {
        struct batch batch;
        assert_int_equal(batch_parse(left, &batch, NULL), ERR_NONE);
        if (batch.record_count > 0 && batch_last_offset(&batch) >= asked->items[0].offset) {
            first = batch.base_offset;
        }
        left = slice_of(left.data + batch.bytes.size, left.size - batch.bytes.size);
    }
    free(bytes);
    return first;
}

static int64_t answer_to(struct fixture *fixture, int64_t offset, int32_t max_bytes)
{
    struct asked *asked = ask(fixture, offset, max_bytes, 0);
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].err, ERR_NONE);
    int64_t first = first_record(asked);
    assert_int_equal(asked->items[0].emptied, asked->items[0].span.size > 0 && first < 0);
    end(asked);
    return first;
}

/* Until nothing is left to do; whatever cleanup.policy says. */
static void compact(struct fixture *fixture)
{
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct compact_limits limits = {.map_bytes = 1 << 20, .load_factor = 0.9, .io_bytes = 65536};
    struct compact_result result;
    do {
        assert_int_equal(log_compact(partition->log, partition_last_stable_offset(partition),
                                     &limits, &result, &fixture->reason),
                         ERR_NONE);
    } while (result.from < result.to);
}

struct event {
    int64_t producer_id; /* 0: none */
    const char *key;     /* NULL: none */
    size_t value_bytes;
    bool transactional;
};

/* One batch to partition 0. */
static void put(struct fixture *fixture, const struct event *event)
{
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct batch_builder builder;
    struct batch batch;
    struct buf bytes = {0};
    uint8_t value[1000] = "value";
    int64_t now_ms = clock_wall_ms(clock_system());
    batch_builder_init(&builder);
    if (event->producer_id > 0) {
        builder.producer_id = event->producer_id;
        builder.producer_epoch = 0;
        builder.base_sequence = 0;
    }
    batch_builder_add(&builder, now_ms,
                      event->key == NULL ? (struct slice){0} : slice_str(event->key),
                      slice_of(value, event->value_bytes), NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, &fixture->reason), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    batch.attributes |= event->transactional ? BATCH_ATTRIBUTE_TRANSACTIONAL : 0;
    batch_renew_crc(&batch);
    struct log_append append = {.batches = &batch, .batch_count = 1, .check_producer = true};
    assert_int_equal(partition_append(partition, &append, &fixture->reason), ERR_NONE);
    wait_until(partition_high_watermark(partition) == append.end_offset);
    buf_deinit(&bytes);
}

static void make_topic(struct fixture *fixture)
{
    struct topic_creation creation = {.name = slice_str("small"), .partition_count = 2};
    overrides_set(&creation.overrides, slice_str("segment.bytes"), slice_str("1000"));
    topic_unref(fixture->topic);
    assert_int_equal(
        catalogue_create(fixture->catalogue, &creation, &fixture->topic, &fixture->reason),
        ERR_NONE);
    overrides_deinit(&creation.overrides);
}

static void a_reader_gets_past_one_key_written_often(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture);
    for (int i = 0; i < TIMES; i++) {
        put(fixture, &(struct event){.key = "key", .value_bytes = 10});
    }
    compact(fixture);
    int64_t newest = answer_to(fixture, 0, WIDE);
    assert_true(newest > TIMES / 2); /* what the active segment holds */
    for (int64_t offset = 0; offset < TIMES; offset++) {
        int64_t due = offset < newest ? newest : offset;
        assert_int_equal(answer_to(fixture, offset, WIDE), due);
        assert_int_equal(answer_to(fixture, offset, 1), due);
    }
    assert_int_equal(answer_to(fixture, TIMES, WIDE), -1);
}

/* The last batch of each producer stays, empty, as it holds the producer's sequence. */
static void a_reader_gets_past_the_empty_batches_of_many_producers(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture);
    for (int i = 0; i < TIMES; i++) {
        char own_key[16];
        snprintf(own_key, sizeof own_key, "key-%d", i);
        put(fixture, &(struct event){.producer_id = 1000 + i,
                                     .key = i % 10 == 3 ? own_key : "key",
                                     .value_bytes = 10});
    }
    compact(fixture);
    int64_t active = TIMES;
    while (active > 0 && answer_to(fixture, active - 1, WIDE) == active - 1) {
        active--; /* what was not looked at: the active segment, at least */
    }
    assert_in_range(active, TIMES / 2, TIMES - 1);
    for (int64_t offset = TIMES - 1, due = TIMES; offset >= 0; offset--) {
        due = offset >= active || offset % 10 == 3 ? offset : due;
        assert_int_equal(answer_to(fixture, offset, WIDE), due);
        assert_int_equal(answer_to(fixture, offset, 1), due);
        assert_int_equal(answer_to(fixture, offset, 70), due);
    }
}

/* Where nothing but empty batches is left they are given, so that a reader comes to the end; but
 * they end no wait, as a reader that does not get past them would ask again at once. */
static void empty_batches_alone_are_given_but_end_no_wait(void **state)
{
    struct fixture *fixture = *state;
    make_topic(fixture);
    for (int i = 0; i < TIMES; i++) {
        put(fixture, &(struct event){.producer_id = 1000 + i}); /* no key: goes */
    }
    /* Begins a segment, and readers of committed events stop there. */
    put(fixture, &(struct event){.producer_id = 7, .value_bytes = 1000, .transactional = true});
    compact(fixture);
    assert_int_equal(answer_to(fixture, 0, WIDE), TIMES);

    struct asked *asked = ask(fixture, 0, WIDE, 20);
    asked->fetch.read_committed = true;
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].err, ERR_NONE);
    assert_true(asked->items[0].emptied && asked->items[0].end_offset > 0);
    end(asked);

    asked = ask(fixture, 0, WIDE, LONG_MS);
    struct asked *beside = ask(fixture, 0, WIDE, LONG_MS);
    asked->fetch.read_committed = beside->fetch.read_committed = true;
    beside->fetch.item_count = 2;
    beside->items[1].max_bytes = 1; /* and what has records must not be held back by them */
    start(asked);
    start(beside);
    assert_int_equal(atomic_load(&asked->done), 0);
    struct partition *second = topic_partition(fixture->topic, 1);
    publish_event(fixture, 1, 500);
    wait_done(beside);
    assert_int_equal(partition_high_watermark(second), 1);
    assert_true(beside->items[1].span.size > 500);
    end(beside);
    assert_int_equal(atomic_load(&asked->done), 0);
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct partition_marker marker = {.producer_id = 7, .commit = true};
    assert_int_equal(partition_append_marker(partition, &marker, &fixture->reason), ERR_NONE);
    wait_done(asked);
    assert_int_equal(first_record(asked), TIMES);
    end(asked);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_gets_past_one_key_written_often, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_reader_gets_past_the_empty_batches_of_many_producers,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(empty_batches_alone_are_given_but_end_no_wait,
                                        fixture_setup, fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
