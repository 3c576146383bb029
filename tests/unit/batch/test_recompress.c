#include "batch/batch.h"

#include "../unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 50, NOW_MS = 1700000000 };

static const struct batch_rules any = {
    .max_bytes = 1 << 20,
    .timestamp_before_max_ms = INT64_MAX,
    .timestamp_after_max_ms = INT64_MAX,
};

/* A batch of an idempotent producer with RECORDS records, each a millisecond after the one before;
 * the record numbered keyless has no key. */
static struct buf make(enum batch_compression codec, int32_t keyless, struct batch *batch)
{
    struct batch_builder builder;
    struct buf bytes = {0};
    batch_builder_init(&builder);
    builder.compression = codec;
    builder.producer_id = 7;
    builder.producer_epoch = 3;
    builder.base_sequence = 40;
    builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    for (int i = 0; i < RECORDS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        batch_builder_add(&builder, NOW_MS + i, i == keyless ? slice_of(NULL, 0) : slice_str(key),
                          slice_str("the same value again and again"), NULL, 0);
    }
    assert_int_equal(batch_builder_finish(&builder, &bytes, NULL), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), batch, NULL), ERR_NONE);
    return bytes;
}

static void assert_records(const struct batch *batch)
{
    struct record_iterator iterator;
    struct record record;
    bool done;
    assert_int_equal(record_iterator_init(&iterator, batch, 1 << 20, NULL), ERR_NONE);
    for (int i = 0; i < RECORDS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(record_iterator_next(&iterator, &record, &done, NULL), ERR_NONE);
        assert_false(done);
        assert_true(slice_equal(record.key, slice_str(key)));
        assert_int_equal(record.timestamp, NOW_MS + i);
        assert_int_equal(record.offset, i);
    }
    assert_int_equal(record_iterator_next(&iterator, &record, &done, NULL), ERR_NONE);
    assert_true(done);
    record_iterator_deinit(&iterator);
}

static void every_codec_to_every_other(void **state)
{
    (void)state;
    for (int from = BATCH_COMPRESSION_NONE; from <= BATCH_COMPRESSION_ZSTD; from++) {
        for (int to = BATCH_COMPRESSION_NONE; to <= BATCH_COMPRESSION_ZSTD; to++) {
            struct batch batch;
            struct batch stored;
            struct buf plain = {0};
            struct buf out = {0};
            struct buf bytes = make((enum batch_compression)from, -1, &batch);
            assert_int_equal(batch_validate_opened(&batch, &any, NOW_MS, &plain, NULL, NULL),
                             ERR_NONE);
            struct slice records =
                from == BATCH_COMPRESSION_NONE
                    ? slice_of(bytes.data + BATCH_HEADER_BYTES, bytes.size - BATCH_HEADER_BYTES)
                    : buf_slice(&plain);
            assert_int_equal(
                batch_recompress(&batch, records, (enum batch_compression)to, INT_MIN, &out, NULL),
                ERR_NONE);
            assert_int_equal(batch_parse(buf_slice(&out), &stored, NULL), ERR_NONE);
            assert_int_equal(batch_check_crc(&stored, NULL), ERR_NONE);
            assert_int_equal(batch_compression(&stored), to);
            assert_true(batch_is_transactional(&stored));
            assert_int_equal(stored.producer_id, 7);
            assert_int_equal(stored.producer_epoch, 3);
            assert_int_equal(stored.base_sequence, 40);
            assert_int_equal(stored.max_timestamp, NOW_MS + RECORDS - 1);
            assert_records(&stored);
            buf_deinit(&out);
            buf_deinit(&plain);
            buf_deinit(&bytes);
        }
    }
}

static void a_level_that_is_none_changes_nothing(void **state)
{
    (void)state;
    struct batch batch;
    struct buf bytes = make(BATCH_COMPRESSION_NONE, -1, &batch);
    struct buf out = {0};
    buf_append_str(&out, "kept");
    struct slice records =
        slice_of(bytes.data + BATCH_HEADER_BYTES, bytes.size - BATCH_HEADER_BYTES);
    assert_int_equal(batch_recompress(&batch, records, BATCH_COMPRESSION_GZIP, 99, &out, NULL),
                     ERR_INVALID);
    assert_int_equal(out.size, 4);
    assert_ptr_equal(batch.bytes.data, bytes.data);
    assert_int_equal(batch_compression(&batch), BATCH_COMPRESSION_NONE);
    buf_deinit(&out);
    buf_deinit(&bytes);
}

/* Rules over single records hold inside compressed batches too. */
static void compressed_records_keep_the_rules(void **state)
{
    (void)state;
    struct batch batch;
    struct batch_record_errors errors = {.count = 0};
    struct batch_rules rules = any;
    struct buf bytes = make(BATCH_COMPRESSION_ZSTD, 13, &batch);
    assert_int_equal(batch_validate(&batch, &rules, NOW_MS, &errors, NULL), ERR_NONE);
    rules.keys_required = true;
    assert_int_equal(batch_validate(&batch, &rules, NOW_MS, &errors, NULL), ERR_INVALID_RECORD);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.items[0], 13);
    vec_deinit(&errors);

    rules = any;
    rules.timestamp_before_max_ms = 10; /* the records 0 to 4 are 11 to 15 ms old */
    assert_int_equal(batch_validate(&batch, &rules, NOW_MS + 15, &errors, NULL),
                     ERR_INVALID_TIMESTAMP);
    assert_int_equal(errors.count, 5);
    for (size_t i = 0; i < errors.count; i++) {
        assert_int_equal(errors.items[i], i);
    }
    vec_deinit(&errors);
    assert_int_equal(batch_validate(&batch, &rules, NOW_MS + 10, &errors, NULL), ERR_NONE);
    buf_deinit(&bytes);
}

/* Bytes that are not of the codec are refused when the batch is opened, and kept unseen else. */
static void a_broken_body_is_noticed(void **state)
{
    (void)state;
    for (int codec = BATCH_COMPRESSION_GZIP; codec <= BATCH_COMPRESSION_ZSTD; codec++) {
        struct batch batch;
        struct buf plain = {0};
        struct buf bytes = make((enum batch_compression)codec, -1, &batch);
        for (size_t i = BATCH_HEADER_BYTES; i < bytes.size; i++) {
            bytes.data[i] ^= 0xff;
        }
        batch_renew_crc(&batch);
        assert_int_equal(batch_validate_opened(&batch, &any, NOW_MS, &plain, NULL, NULL),
                         ERR_INVALID_RECORD);
        buf_deinit(&plain);
        buf_deinit(&bytes);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_to_every_other),
        cmocka_unit_test(a_level_that_is_none_changes_nothing),
        cmocka_unit_test(compressed_records_keep_the_rules),
        cmocka_unit_test(a_broken_body_is_noticed),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
