#include "base/bytes.h"
#include "batch/marker.h"

#include "../unit.h"

/* What Kafka's MemoryRecords.withEndTransactionMarker writes, and what of it is read. */

static void build(bool commit, struct buf *bytes, struct batch *batch)
{
    struct batch_marker marker = {
        .producer_id = 0x1122, .producer_epoch = 3, .coordinator_epoch = 77, .commit = commit};
    batch_marker_build(&marker, 1700000000000, bytes);
    assert_int_equal(batch_parse(buf_slice(bytes), batch, NULL), ERR_NONE);
}

static void test_a_marker_is_laid_out_as_kafka_does(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct batch batch;
    build(true, &bytes, &batch);
    assert_int_equal(bytes.size, BATCH_MARKER_BYTES);
    assert_int_equal(batch_check_crc(&batch, NULL), ERR_NONE);
    assert_int_equal(batch.attributes, BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL);
    assert_int_equal(batch.producer_id, 0x1122);
    assert_int_equal(batch.producer_epoch, 3);
    assert_int_equal(batch.base_sequence, -1);
    assert_int_equal(batch.record_count, 1);
    assert_int_equal(batch.last_offset_delta, 0);
    assert_int_equal(batch.max_timestamp, 1700000000000);
    /* length, attributes, two deltas, key of 4 bytes, value of 6, no headers */
    static const uint8_t record[] = {0x20, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 77, 0};
    assert_int_equal(bytes.size - BATCH_HEADER_BYTES, sizeof record);
    assert_memory_equal(bytes.data + BATCH_HEADER_BYTES, record, sizeof record);
    buf_deinit(&bytes);
}

static void test_a_marker_says_commit_or_abort(void **state)
{
    (void)state;
    for (int commit = 0; commit < 2; commit++) {
        struct buf bytes = {0};
        struct batch batch;
        struct batch_marker marker;
        build(commit != 0, &bytes, &batch);
        assert_true(batch_marker_read(&batch, &marker));
        assert_int_equal(marker.commit, commit);
        assert_int_equal(marker.producer_id, 0x1122);
        assert_int_equal(marker.producer_epoch, 3);
        assert_int_equal(marker.coordinator_epoch, 77);
        bytes.data[BATCH_HEADER_BYTES + 11] = 9; /* a newer value version is read all the same */
        assert_true(batch_marker_read(&batch, &marker));
        buf_deinit(&bytes);
    }
}

static void test_other_batches_are_no_markers(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct batch batch;
    struct batch_marker marker;
    build(true, &bytes, &batch);
    bytes.data[BATCH_HEADER_BYTES + 8] = 2; /* a leader change */
    assert_false(batch_marker_read(&batch, &marker));
    bytes.data[BATCH_HEADER_BYTES + 8] = 1;
    bytes.data[BATCH_HEADER_BYTES + 5] = 0xff; /* key version -1 */
    assert_false(batch_marker_read(&batch, &marker));
    bytes.data[BATCH_HEADER_BYTES + 5] = 0;
    assert_true(batch_marker_read(&batch, &marker));
    batch.attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    assert_false(batch_marker_read(&batch, &marker));
    batch.attributes |= BATCH_ATTRIBUTE_CONTROL;
    batch.producer_id = -1;
    assert_false(batch_marker_read(&batch, &marker));
    batch.producer_id = 1;
    batch.record_count = 0; /* compacted away */
    batch.bytes.size = BATCH_HEADER_BYTES;
    assert_false(batch_marker_read(&batch, &marker));
    buf_deinit(&bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_marker_is_laid_out_as_kafka_does),
        cmocka_unit_test(test_a_marker_says_commit_or_abort),
        cmocka_unit_test(test_other_batches_are_no_markers),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
