#include "../unit.h"
#include "stream_fixture.h"

#include "base/mem.h"
#include "topic/topic.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct produce_item produce(struct fixture *fixture, int32_t partition, struct slice records)
{
    struct produce_item item = {.partition = topic_partition(fixture->topic, partition)};
    produce_take(&item, records);
    produce_append(&item, clock_wall_ms(clock_system()));
    return item;
}

/* Waits for a row of items as a request does. */
struct waiting {
    struct produce_wait wait; /* first */
    struct flush_target targets[4];
    atomic_int done;
};

static void on_done(struct produce_wait *wait)
{
    struct waiting *waiting = (struct waiting *)wait;
    atomic_fetch_add(&waiting->done, 1);
}

static bool begin(struct fixture *fixture, struct waiting *waiting,
                  const struct produce_item *items, size_t count)
{
    *waiting = (struct waiting){.wait.done = on_done};
    return produce_wait_begin(&waiting->wait, fixture->flusher, fixture_reactor(fixture), items,
                              count, waiting->targets);
}

static void test_a_producer_waits_until_its_events_are_on_disk(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes = make_batch(-1, 0, 10);
    struct produce_item items[3];
    struct waiting waiting;
    pthread_mutex_lock(&fixture->sync_lock);
    items[0] = produce(fixture, 0, buf_slice(&bytes));
    items[1] = (struct produce_item){.partition = NULL}; /* not found: not waited for */
    items[2] = produce(fixture, 2, buf_slice(&bytes));
    assert_int_equal(items[0].err, ERR_NONE);
    assert_int_equal(items[0].base_offset, 0);
    assert_int_equal(items[0].end_offset, 1);
    assert_int_equal(items[0].append_time_ms, -1);
    assert_true(begin(fixture, &waiting, items, 3));
    assert_int_equal(atomic_load(&waiting.done), 0);
    pthread_mutex_unlock(&fixture->sync_lock);
    wait_until(atomic_load(&waiting.done) == 1);
    produce_settle(&items[0]);
    produce_settle(&items[2]);
    assert_int_equal(items[0].err, ERR_NONE);
    assert_int_equal(items[2].err, ERR_NONE);
    assert_int_equal(partition_high_watermark(items[0].partition), 1);
    buf_deinit(&bytes);
}

static void test_what_was_refused_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    struct produce_item items[2] = {{.partition = NULL}};
    items[1] = produce(fixture, 0, slice_str("no batch"));
    assert_int_not_equal(items[1].err, ERR_NONE);
    assert_false(begin(fixture, &waiting, items, 2));
    assert_false(begin(fixture, &waiting, items, 0));
}

/* A failed sync: who waits is told, and nobody is told otherwise afterwards (promise 1). */
static void test_a_failed_sync_is_told_to_who_waits(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes = make_batch(-1, 0, 10);
    struct waiting waiting;
    publish_event(fixture, 0, 10);
    atomic_store(&fixture->syncs_fail, true);
    struct produce_item item = produce(fixture, 0, buf_slice(&bytes));
    assert_int_equal(item.err, ERR_NONE);
    assert_true(begin(fixture, &waiting, &item, 1));
    wait_until(atomic_load(&waiting.done) == 1);
    produce_settle(&item);
    assert_int_equal(item.err, ERR_IO);
    assert_non_null(strstr(item.reason.text, "not acknowledged"));
    assert_int_equal(partition_high_watermark(item.partition), 1);
    /* The disk answers again, but this log is not trusted before the next start. */
    atomic_store(&fixture->syncs_fail, false);
    item = produce(fixture, 0, buf_slice(&bytes));
    assert_int_not_equal(item.err, ERR_NONE);
    assert_int_equal(partition_high_watermark(item.partition), 1);
    /* Others go on. */
    publish_event(fixture, 1, 10);
    buf_deinit(&bytes);
}

static void refuse(struct fixture *fixture, struct slice records, enum err err, const char *why)
{
    struct partition *partition = topic_partition(fixture->topic, 0);
    int64_t end = log_end_offset(partition->log);
    struct produce_item item = produce(fixture, 0, records);
    assert_int_equal(item.err, err);
    if (strstr(item.reason.text, why) == NULL) {
        fail_msg("'%s' does not say '%s'", item.reason.text, why);
    }
    assert_int_equal(log_end_offset(partition->log), end);
}

static void test_bad_batches_are_refused_with_a_reason(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes = make_batch(-1, 0, 10);
    refuse(fixture, (struct slice){0}, ERR_INVALID_RECORD, "no record batch");
    refuse(fixture, slice_of("", 0), ERR_INVALID_RECORD, "no record batch");
    refuse(fixture, slice_of(bytes.data, bytes.size - 1), ERR_CORRUPT, "");
    refuse(fixture, slice_of(bytes.data, 11), ERR_CORRUPT, "");
    bytes.data[bytes.size - 2] ^= 1;
    refuse(fixture, buf_slice(&bytes), ERR_CORRUPT, "CRC");
    bytes.data[bytes.size - 2] ^= 1;
    size_t size = bytes.size;
    uint8_t *copy = mem_dup(bytes.data, size);
    buf_append(&bytes, copy, size);
    free(copy);
    refuse(fixture, buf_slice(&bytes), ERR_INVALID_RECORD, "one record batch");
    buf_deinit(&bytes);
    bytes = make_batch(-1, 0, 1100000);
    refuse(fixture, buf_slice(&bytes), ERR_TOO_LARGE, "max.message.bytes");
    buf_deinit(&bytes);
}

static void test_a_repeated_batch_is_not_appended_twice(void **state)
{
    struct fixture *fixture = *state;
    struct buf first = make_batch(7, 0, 10);
    struct buf second = make_batch(7, 1, 10);
    struct buf later = make_batch(7, 5, 10);
    append_event(fixture, 0, 10);
    struct produce_item item = produce(fixture, 0, buf_slice(&first));
    assert_int_equal(item.err, ERR_NONE);
    assert_int_equal(item.base_offset, 1);
    item = produce(fixture, 0, buf_slice(&second));
    assert_int_equal(item.base_offset, 2);
    /* Again: the offsets of the first time, and nothing appended. */
    item = produce(fixture, 0, buf_slice(&first));
    assert_int_equal(item.err, ERR_NONE);
    assert_int_equal(item.base_offset, 1);
    assert_int_equal(item.end_offset, 2);
    assert_int_equal(log_end_offset(item.partition->log), 3);
    item = produce(fixture, 0, buf_slice(&later));
    assert_int_equal(item.err, ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(log_end_offset(item.partition->log), 3);
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&later);
}

/* A duplicate waits for the first one's sync: it is acknowledged no sooner. */
static void test_a_duplicate_waits_for_the_first_ones_sync(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes = make_batch(7, 0, 10);
    struct waiting waiting;
    pthread_mutex_lock(&fixture->sync_lock);
    produce(fixture, 0, buf_slice(&bytes));
    struct produce_item again = produce(fixture, 0, buf_slice(&bytes));
    assert_int_equal(again.err, ERR_NONE);
    assert_true(begin(fixture, &waiting, &again, 1));
    assert_int_equal(atomic_load(&waiting.done), 0);
    pthread_mutex_unlock(&fixture->sync_lock);
    wait_until(atomic_load(&waiting.done) == 1);
    produce_settle(&again);
    assert_int_equal(again.err, ERR_NONE);
    buf_deinit(&bytes);
}

static enum err edit_to_gzip(void *context, struct overrides *overrides, struct reason *reason)
{
    (void)context;
    (void)reason;
    overrides_set(overrides, slice_str("compression.type"), slice_str("gzip"));
    overrides_set(overrides, slice_str("max.message.bytes"), slice_str("2000"));
    return ERR_NONE;
}

/* The batch that holds the offset, as stored. */
static struct buf stored_batch(struct partition *partition, int64_t offset, struct batch *batch)
{
    struct file_span span;
    struct buf bytes = {0};
    struct reason reason;
    size_t got;
    assert_int_equal(
        log_read(partition->log, offset, log_end_offset(partition->log), 1, true, &span, &reason),
        ERR_NONE);
    assert_int_equal(file_read_at(file_ops_system(), span.fd, buf_extend(&bytes, span.size),
                                  span.size, span.position, &got, &reason),
                     ERR_NONE);
    file_span_release(&span);
    assert_int_equal(batch_parse(buf_slice(&bytes), batch, &reason), ERR_NONE);
    assert_int_equal(batch_check_crc(batch, &reason), ERR_NONE);
    return bytes;
}

static bool is_slow(struct partition *partition, const struct buf *batch)
{
    struct produce_item item = {.partition = partition};
    size_t quick_bytes = PRODUCE_QUICK_BYTES;
    produce_take(&item, buf_slice(batch));
    bool slow = produce_is_slow(&item, &quick_bytes);
    buf_deinit(&item.plain);
    return slow;
}

/* One event of value_bytes equal bytes, in zstd. */
static struct buf make_compressed(size_t value_bytes)
{
    struct buf plain = make_batch(-1, 0, value_bytes);
    struct buf out = {0};
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&plain), &batch, NULL), ERR_NONE);
    struct slice records =
        slice_of(batch.bytes.data + BATCH_HEADER_BYTES, batch.bytes.size - BATCH_HEADER_BYTES);
    assert_int_equal(batch_recompress(&batch, records, BATCH_COMPRESSION_ZSTD, INT_MIN, &out, NULL),
                     ERR_NONE);
    buf_deinit(&plain);
    return out;
}

/* Spoils the codec's magic, and gives it the CRC that fits: what a broken producer sends. */
static void break_records(struct buf *bytes)
{
    struct batch batch;
    bytes->data[BATCH_HEADER_BYTES] ^= 1;
    assert_int_equal(batch_parse(buf_slice(bytes), &batch, NULL), ERR_NONE);
    batch_renew_crc(&batch);
    batch_header_store(&batch, bytes->data);
}

static enum err edit_to_unchecked(void *context, struct overrides *overrides, struct reason *reason)
{
    (void)context;
    (void)reason;
    overrides_set(overrides, slice_str("compression.check.enable"), slice_str("false"));
    return ERR_NONE;
}

static void test_a_compressed_batch_that_nobody_can_read_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct buf good = make_compressed(1000);
    struct buf bad = make_compressed(1000);
    break_records(&bad);
    assert_int_equal(produce(fixture, 0, buf_slice(&good)).err, ERR_NONE);
    struct produce_item item = produce(fixture, 0, buf_slice(&bad));
    assert_int_equal(item.err, ERR_INVALID_RECORD);
    assert_non_null(strstr(item.reason.text, "cannot be decompressed"));
    assert_int_equal(log_end_offset(partition->log), 1);
    assert_int_equal(catalogue_edit_overrides(fixture->catalogue, fixture->topic, edit_to_unchecked,
                                              NULL, false, &fixture->reason),
                     ERR_NONE);
    assert_int_equal(produce(fixture, 0, buf_slice(&bad)).err, ERR_NONE); /* as it was asked for */
    buf_deinit(&good);
    buf_deinit(&bad);
}

static void test_only_small_batches_are_opened_on_a_reactor(void **state)
{
    struct fixture *fixture = *state;
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct buf small = make_compressed(1000);
    struct buf bomb = make_compressed(PRODUCE_QUICK_BYTES); /* some bytes more with its header */
    struct buf bad = make_compressed(1000);
    break_records(&bad);
    assert_true(bomb.size < 1000);
    assert_false(is_slow(partition, &small));
    assert_true(is_slow(partition, &bomb));
    assert_false(is_slow(partition, &bad)); /* soon told */
    /* What was opened for one is used, and counts for the next. */
    struct produce_item item = {.partition = partition};
    size_t quick_bytes = 1500;
    produce_take(&item, buf_slice(&small));
    assert_false(produce_is_slow(&item, &quick_bytes));
    assert_in_range(item.plain.size, 1000, 1100);
    assert_int_equal(quick_bytes, 1500 - item.plain.size);
    produce_append(&item, clock_wall_ms(clock_system()));
    assert_int_equal(item.err, ERR_NONE);
    assert_in_range(item.opened_bytes, 1000, 1100);
    assert_int_equal(item.plain.size, 0);
    assert_true(produce_is_slow(&item, &quick_bytes));
    item.open_max_bytes = 500;
    produce_append(&item, clock_wall_ms(clock_system()));
    assert_int_equal(item.err, ERR_TOO_LARGE);
    buf_deinit(&small);
    buf_deinit(&bomb);
    buf_deinit(&bad);
}

static void test_a_topics_own_codec_makes_a_batch_slow(void **state)
{
    struct fixture *fixture = *state;
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct buf bytes = make_batch(7, 0, 1000);
    struct buf long_one = make_batch(-1, 0, 3000);
    struct batch batch;
    assert_false(is_slow(partition, &bytes));
    assert_int_equal(catalogue_edit_overrides(fixture->catalogue, fixture->topic, edit_to_gzip,
                                              NULL, false, &fixture->reason),
                     ERR_NONE);
    assert_true(is_slow(partition, &bytes));
    assert_int_equal(produce(fixture, 0, buf_slice(&bytes)).err, ERR_NONE);
    struct buf stored = stored_batch(partition, 0, &batch);
    assert_int_equal(batch_compression(&batch), BATCH_COMPRESSION_GZIP);
    assert_true(batch.bytes.size < 200); /* of 1000 times the same byte */
    /* A resend is known again although the stored bytes differ. */
    assert_int_equal(produce(fixture, 0, buf_slice(&bytes)).base_offset, 0);
    assert_int_equal(log_end_offset(partition->log), 1);
    /* The limit holds for what was sent, however small it gets. */
    assert_int_equal(produce(fixture, 0, buf_slice(&long_one)).err, ERR_TOO_LARGE);
    /* What is in the codec already is taken as it is. */
    batch.producer_id = -1;
    batch_renew_crc(&batch);
    batch_header_store(&batch, stored.data);
    assert_false(is_slow(partition, &stored));
    assert_int_equal(produce(fixture, 0, buf_slice(&stored)).err, ERR_NONE);
    buf_deinit(&stored);
    buf_deinit(&long_one);
    buf_deinit(&bytes);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_producer_waits_until_its_events_are_on_disk),
        TEST(test_what_was_refused_is_not_waited_for),
        TEST(test_a_failed_sync_is_told_to_who_waits),
        TEST(test_bad_batches_are_refused_with_a_reason),
        TEST(test_a_repeated_batch_is_not_appended_twice),
        TEST(test_a_duplicate_waits_for_the_first_ones_sync),
        TEST(test_a_topics_own_codec_makes_a_batch_slow),
        TEST(test_a_compressed_batch_that_nobody_can_read_is_refused),
        TEST(test_only_small_batches_are_opened_on_a_reactor),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
