#include "../unit.h"
#include "stream_fixture.h"

#include "batch/batch.h"
#include "batch/compression.h"
#include "stream/log_stretch.h"
#include "topic/topic.h"

/* Who reads a stretch gets the committed events of it, no other, and is told what is hidden. */

struct writing {
    int count;
    int64_t producer_id; /* -1: none; else it is of a transaction */
    enum batch_compression compression;
};

static struct partition *first(struct fixture *fixture)
{
    return topic_partition(fixture->topic, 0);
}

/* One batch; the value of each record is its offset. */
static void write_batch(struct fixture *fixture, const struct writing *writing)
{
    struct batch_builder builder;
    struct buf bytes = {0};
    struct batch batch;
    int64_t base = log_end_offset(first(fixture)->log);
    batch_builder_init(&builder);
    builder.compression = writing->compression;
    builder.producer_id = writing->producer_id;
    builder.producer_epoch = writing->producer_id < 0 ? -1 : 0;
    builder.base_sequence = writing->producer_id < 0 ? -1 : 0;
    builder.extra_attributes = writing->producer_id < 0 ? 0 : BATCH_ATTRIBUTE_TRANSACTIONAL;
    for (int i = 0; i < writing->count; i++) {
        char value[32];
        snprintf(value, sizeof value, "%lld", (long long)(base + i));
        batch_builder_add(&builder, 1700000000000 + i, slice_str("key"), slice_str(value), NULL, 0);
    }
    assert_int_equal(batch_builder_finish(&builder, &bytes, &fixture->reason), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    struct log_append append = {
        .batches = &batch, .batch_count = 1, .check_producer = writing->producer_id >= 0};
    assert_int_equal(partition_append(first(fixture), &append, &fixture->reason), ERR_NONE);
    buf_deinit(&bytes);
    wait_until(partition_high_watermark(first(fixture)) == base + writing->count);
}

static void write_plain(struct fixture *fixture, int count, enum batch_compression compression)
{
    write_batch(fixture, &(struct writing){count, -1, compression});
}

static void end_txn(struct fixture *fixture, int64_t producer_id, bool commits)
{
    struct partition_marker marker = {.producer_id = producer_id, .commit = commits};
    int64_t behind = log_end_offset(first(fixture)->log) + 1;
    assert_int_equal(partition_append_marker(first(fixture), &marker, &fixture->reason), ERR_NONE);
    wait_until(partition_last_stable_offset(first(fixture)) == behind);
}

struct seen {
    int64_t offsets[64];
    size_t count;
    size_t most; /* it wants no more */
};

static bool see(void *context, const struct event *event)
{
    struct seen *seen = context;
    char value[32];
    snprintf(value, sizeof value, "%lld", (long long)event->offset);
    assert_string_equal(event->topic, "orders");
    assert_int_equal(event->partition, 0);
    assert_true(slice_equal_str(event->value, value));
    assert_true(seen->count < 64);
    seen->offsets[seen->count++] = event->offset;
    return seen->count < seen->most;
}

static struct log_stretch read_stretch(struct fixture *fixture, int64_t from, int64_t stop,
                                       struct seen *seen)
{
    struct log_stretch stretch = {
        .topic = "orders", .from = from, .stop = stop, .each = see, .context = seen};
    seen->count = 0;
    seen->most = seen->most > 0 ? seen->most : 64;
    assert_int_equal(log_stretch_read(fixture->catalogue, &stretch, &fixture->reason), ERR_NONE);
    return stretch;
}

/* The event at the offset is there. */
static void check_there(struct fixture *fixture, int64_t offset)
{
    struct seen seen = {0};
    struct log_stretch stretch = read_stretch(fixture, offset, offset + 1, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.offsets[0], offset);
    assert_int_equal(stretch.hidden, 0);
    assert_true(stretch.next_offset > offset);
}

static struct log_stretch check_missing(struct fixture *fixture, int64_t offset, unsigned hidden)
{
    struct seen seen = {0};
    struct log_stretch stretch = read_stretch(fixture, offset, offset + 1, &seen);
    assert_int_equal(seen.count, 0);
    assert_int_equal(stretch.hidden, hidden);
    return stretch;
}

static void test_single_events_are_found_within_batches(void **state)
{
    struct fixture *fixture = *state;
    for (int codec = BATCH_COMPRESSION_NONE; codec <= BATCH_COMPRESSION_ZSTD; codec++) {
        write_plain(fixture, 7, (enum batch_compression)codec);
    }
    for (int64_t offset = 0; offset < log_end_offset(first(fixture)->log); offset++) {
        check_there(fixture, offset);
    }
}

static void test_a_stretch_ends_at_its_stop_and_when_enough_is_seen(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {0};
    for (int i = 0; i < 6; i++) {
        write_plain(fixture, 10, BATCH_COMPRESSION_LZ4);
    }
    struct log_stretch stretch = read_stretch(fixture, 15, 45, &seen);
    assert_int_equal(seen.count, 30);
    for (size_t i = 0; i < seen.count; i++) {
        assert_int_equal(seen.offsets[i], 15 + i);
    }
    assert_int_equal(stretch.start_offset, 0);
    assert_int_equal(stretch.end_offset, 60);
    assert_int_equal(stretch.high_watermark, 60);
    seen.most = 3;
    stretch = read_stretch(fixture, 20, 60, &seen);
    assert_int_equal(seen.count, 3);
    assert_int_equal(stretch.next_offset, 23);
    seen.most = 0;
    (void)read_stretch(fixture, 55, INT64_MAX, &seen);
    assert_int_equal(seen.count, 5);
}

static void test_the_bounds_alone_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {0};
    int64_t low;
    struct log_stretch stretch = read_stretch(fixture, 0, 0, &seen);
    assert_int_equal(stretch.end_offset, 0);
    write_plain(fixture, 20, BATCH_COMPRESSION_NONE);
    write_plain(fixture, 20, BATCH_COMPRESSION_NONE);
    assert_int_equal(
        catalogue_delete_records(fixture->catalogue, first(fixture), 25, &low, &fixture->reason),
        ERR_NONE);
    stretch = read_stretch(fixture, 0, 0, &seen);
    assert_int_equal(seen.count, 0);
    assert_int_equal(stretch.start_offset, 25);
    assert_int_equal(stretch.end_offset, 40);
    assert_int_equal(check_missing(fixture, 24, 0).start_offset, 25);
    check_there(fixture, 25);
}

static void test_aborted_events_and_open_ones_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    write_batch(fixture, &(struct writing){3, 100, BATCH_COMPRESSION_NONE}); /* 0..2, aborted */
    write_plain(fixture, 2, BATCH_COMPRESSION_NONE);                         /* 3, 4 */
    end_txn(fixture, 100, false);                                            /* 5 */
    write_batch(fixture, &(struct writing){2, 101, BATCH_COMPRESSION_NONE}); /* 6, 7, committed */
    end_txn(fixture, 101, true);                                             /* 8 */
    write_batch(fixture, &(struct writing){2, 102, BATCH_COMPRESSION_NONE}); /* 9, 10, open */
    for (int64_t offset = 0; offset < 3; offset++) {
        check_missing(fixture, offset, LOG_HIDDEN_ABORTED);
    }
    check_there(fixture, 3);
    check_there(fixture, 4);
    check_missing(fixture, 5, 0); /* a marker is no event, and never was one */
    check_there(fixture, 6);
    check_missing(fixture, 8, 0);
    struct log_stretch stretch = check_missing(fixture, 9, 0);
    assert_int_equal(stretch.end_offset, 9);
    assert_int_equal(stretch.high_watermark, 11);
    assert_int_equal(stretch.next_offset, 9);
}

/* The batch that stands behind a marker is aborted; the place of the marker is not. */
static void test_what_is_hidden_behind_a_place_is_not_told_of_it(void **state)
{
    struct fixture *fixture = *state;
    write_batch(fixture, &(struct writing){1, 100, BATCH_COMPRESSION_NONE});
    end_txn(fixture, 100, true);                                             /* 1 */
    write_batch(fixture, &(struct writing){1, 101, BATCH_COMPRESSION_NONE}); /* 2 */
    end_txn(fixture, 101, false);
    check_missing(fixture, 1, 0);
    check_missing(fixture, 2, LOG_HIDDEN_ABORTED);
}

static bool goes_on(void *context)
{
    int *turns = context;
    return --*turns > 0;
}

static void test_what_gives_nothing_for_long_can_be_ended(void **state)
{
    enum { EACH = 3000, BATCHES = 4, STOP = BATCHES * (EACH + 1) }; /* a batch fills a piece */
    struct fixture *fixture = *state;
    int64_t before = 0;
    for (int i = 0; i < BATCHES; i++) {
        write_batch(fixture, &(struct writing){EACH, 100 + i, BATCH_COMPRESSION_NONE});
        end_txn(fixture, 100 + i, false);
    }
    for (int turns = 1; turns < BATCHES; turns++) {
        int left = turns;
        struct log_stretch stretch = {
            .topic = "orders", .stop = STOP, .goes_on = goes_on, .context = &left};
        assert_int_equal(log_stretch_read(fixture->catalogue, &stretch, &fixture->reason),
                         ERR_NONE);
        assert_int_equal(left, 0);
        assert_in_range(stretch.next_offset, before + 1, STOP - 1);
        assert_int_equal(stretch.hidden, LOG_HIDDEN_ABORTED);
        before = stretch.next_offset;
    }
}

static void test_what_is_not_there_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {0};
    struct log_stretch stretch = {.topic = "none", .stop = 1, .each = see, .context = &seen};
    assert_int_equal(log_stretch_read(fixture->catalogue, &stretch, &fixture->reason),
                     ERR_NOT_FOUND);
    stretch.topic = "orders";
    stretch.partition = 4;
    assert_int_equal(log_stretch_read(fixture->catalogue, &stretch, &fixture->reason),
                     ERR_NOT_FOUND);
    stretch.partition = -1;
    assert_int_equal(log_stretch_read(fixture->catalogue, &stretch, &fixture->reason),
                     ERR_NOT_FOUND);
}

static void test_damage_is_told_and_what_is_behind_it_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {0};
    write_plain(fixture, 10, BATCH_COMPRESSION_NONE);
    int64_t second = log_size_bytes(first(fixture)->log);
    write_plain(fixture, 10, BATCH_COMPRESSION_NONE);
    write_plain(fixture, 10, BATCH_COMPRESSION_NONE);
    fixture_reopen(fixture);
    fixture_flip_at(fixture, second + BATCH_HEADER_BYTES + 20);
    check_there(fixture, 9);
    check_missing(fixture, 10, LOG_HIDDEN_DAMAGED);
    check_missing(fixture, 19, LOG_HIDDEN_DAMAGED);
    check_there(fixture, 20);
    struct log_stretch stretch = read_stretch(fixture, 5, 30, &seen);
    assert_int_equal(seen.count, 15);
    assert_int_equal(stretch.hidden, LOG_HIDDEN_DAMAGED);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_single_events_are_found_within_batches),
        TEST(test_a_stretch_ends_at_its_stop_and_when_enough_is_seen),
        TEST(test_the_bounds_alone_are_told),
        TEST(test_aborted_events_and_open_ones_are_told_apart),
        TEST(test_what_is_hidden_behind_a_place_is_not_told_of_it),
        TEST(test_what_gives_nothing_for_long_can_be_ended),
        TEST(test_what_is_not_there_is_said),
        TEST(test_damage_is_told_and_what_is_behind_it_is_there),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
