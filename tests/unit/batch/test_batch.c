#include "batch/batch.h"

#include "base/bytes.h"
#include "vectors.h"

#include "../unit.h"

#include <stdlib.h>

static void parse_reads_every_field(void **state)
{
    struct buf bytes = from_hex(java_batches[BATCH_COMPRESSION_GZIP]);
    size_t size = bytes.size;
    buf_append_str(&bytes, "what follows is not of this batch");
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    assert_int_equal(batch.bytes.size, size);
    assert_int_equal(batch.base_offset, 0);
    assert_int_equal(batch.leader_epoch, -1);
    assert_int_equal(batch.crc, 0xcce3f906);
    assert_int_equal(batch.attributes, 1);
    assert_int_equal(batch.last_offset_delta, 2);
    assert_int_equal(batch.base_timestamp, 1700000000000);
    assert_int_equal(batch.max_timestamp, 1700000000005);
    assert_int_equal(batch.producer_id, 4000);
    assert_int_equal(batch.producer_epoch, 2);
    assert_int_equal(batch.base_sequence, 17);
    assert_int_equal(batch.record_count, 3);
    assert_int_equal(batch_last_offset(&batch), 2);
    assert_int_equal(batch_compression(&batch), BATCH_COMPRESSION_GZIP);
    buf_deinit(&bytes);
}

static void no_last_offset_is_beyond_the_numbers(void **state)
{
    (void)state;
    struct batch batch = {.base_offset = INT64_MAX - 1, .last_offset_delta = INT32_MAX};
    assert_int_equal(batch_last_offset(&batch), INT64_MAX - 1); /* one more can be added */
    batch.last_offset_delta = 1;
    assert_int_equal(batch_last_offset(&batch), INT64_MAX - 1);
    batch = (struct batch){.base_offset = INT64_MIN, .last_offset_delta = -1};
    assert_int_equal(batch_last_offset(&batch), INT64_MAX - 1);
}

static void parse_wants_all_bytes(void **state)
{
    struct buf bytes = from_hex(java_batches[BATCH_COMPRESSION_NONE]);
    struct batch batch;
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a read past the end */
        memcpy(exact + 1, bytes.data, size);
        assert_int_equal(batch_parse(slice_of(exact + 1, size), &batch, NULL), ERR_TRUNCATED);
        free(exact);
    }
    buf_deinit(&bytes);
}

static enum err parse_with(size_t at, const char *hex)
{
    struct buf bytes = from_hex(java_batches[BATCH_COMPRESSION_NONE]);
    struct buf patch = from_hex(hex);
    memcpy(bytes.data + at, patch.data, patch.size);
    struct batch batch;
    struct reason reason = {{0}};
    enum err err = batch_parse(buf_slice(&bytes), &batch, &reason);
    assert_true((err == ERR_NONE) == (reason.text[0] == '\0'));
    buf_deinit(&patch);
    buf_deinit(&bytes);
    return err;
}

static void parse_refuses_what_cannot_be(void **state)
{
    assert_int_equal(parse_with(16, "00"), ERR_UNSUPPORTED_MAGIC);
    assert_int_equal(parse_with(16, "01"), ERR_UNSUPPORTED_MAGIC);
    assert_int_equal(parse_with(16, "03"), ERR_CORRUPT);
    assert_int_equal(parse_with(16, "ff"), ERR_CORRUPT);
    assert_int_equal(parse_with(8, "00000030"), ERR_CORRUPT); /* 48: less than the header */
    assert_int_equal(parse_with(8, "00000031"), ERR_NONE);    /* 49: an empty batch */
    assert_int_equal(parse_with(8, "ffffffff"), ERR_CORRUPT);
    assert_int_equal(parse_with(8, "80000000"), ERR_CORRUPT);
    assert_int_equal(parse_with(8, "7fffffff"), ERR_TRUNCATED);
}

static void crc_covers_attributes_to_end(void **state)
{
    struct buf bytes = from_hex(java_batches[BATCH_COMPRESSION_NONE]);
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.data[at] ^= 0x10;
        struct batch batch;
        bool outside = at < 8 || (at >= 12 && at < 16); /* base offset, leader epoch */
        if (batch_parse(buf_slice(&bytes), &batch, NULL) == ERR_NONE) {
            assert_int_equal(batch_check_crc(&batch, NULL), outside ? ERR_NONE : ERR_CORRUPT);
        } else {
            assert_true((at >= 8 && at < 12) || at == 16);
        }
        bytes.data[at] ^= 0x10;
    }
    buf_deinit(&bytes);
}

static void header_store_is_the_inverse_of_parse(void **state)
{
    for (int i = 0; i < JAVA_BATCH_COUNT; i++) {
        struct buf bytes = from_hex(java_batches[i]);
        struct batch batch;
        uint8_t header[BATCH_HEADER_BYTES];
        assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
        batch_header_store(&batch, header);
        assert_memory_equal(header, bytes.data, sizeof header);
        batch.base_offset = 0x123456789abc;
        batch.leader_epoch = 7;
        batch_header_store(&batch, header);
        assert_true(load_be64(header) == 0x123456789abc);
        assert_int_equal(load_be32(header + 12), 7);
        assert_memory_equal(header + 16, bytes.data + 16, sizeof header - 16);
        buf_deinit(&bytes);
    }
}

static void append_time_renews_the_crc(void **state)
{
    struct buf bytes = from_hex(java_batches[BATCH_COMPRESSION_NONE]);
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    batch_set_append_time(&batch, 1800000000000);
    batch_header_store(&batch, bytes.data);

    struct batch again;
    assert_int_equal(batch_parse(buf_slice(&bytes), &again, NULL), ERR_NONE);
    assert_int_equal(batch_check_crc(&again, NULL), ERR_NONE);
    assert_int_equal(again.attributes, BATCH_ATTRIBUTE_LOG_APPEND_TIME);
    assert_int_equal(again.max_timestamp, 1800000000000);

    struct record_iterator iterator;
    struct record record;
    bool done;
    assert_int_equal(record_iterator_init(&iterator, &again, 1 << 20, NULL), ERR_NONE);
    assert_int_equal(record_iterator_next(&iterator, &record, &done, NULL), ERR_NONE);
    assert_int_equal(record.timestamp, 1800000000000);
    record_iterator_deinit(&iterator);
    buf_deinit(&bytes);
}

/* Java writes leader epoch -1 as we do: the whole batch must be the same. */
static void builder_writes_what_java_writes(void **state)
{
    static const enum batch_compression same[] = {BATCH_COMPRESSION_NONE, BATCH_COMPRESSION_SNAPPY,
                                                  BATCH_COMPRESSION_LZ4};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct buf expected = from_hex(java_batches[same[i]]);
        struct batch_builder builder;
        batch_builder_init(&builder);
        builder.compression = same[i];
        add_vector_records(&builder);
        struct buf out = {0};
        buf_append_str(&out, "before");
        assert_int_equal(batch_builder_finish(&builder, &out, NULL), ERR_NONE);
        buf_consume(&out, 6);
        /* How hard the library tried may differ by version; the plain one may not. */
        if (same[i] == BATCH_COMPRESSION_NONE) {
            assert_int_equal(out.size, expected.size);
            assert_memory_equal(out.data, expected.data, expected.size);
        }
        assert_memory_equal(out.data + 61, expected.data + 61, 8);
        buf_deinit(&out);
        batch_builder_deinit(&builder);
        buf_deinit(&expected);
    }
}

static void builder_refuses_an_unknown_codec(void **state)
{
    struct batch_builder builder;
    batch_builder_init(&builder);
    builder.compression = (enum batch_compression)5;
    add_vector_records(&builder);
    struct buf out = {0};
    buf_append_str(&out, "kept");
    struct reason reason = {{0}};
    assert_int_equal(batch_builder_finish(&builder, &out, &reason), ERR_UNSUPPORTED_CODEC);
    assert_int_equal(out.size, 4);
    assert_non_null(strstr(reason.text, "5"));
    buf_deinit(&out);
    batch_builder_deinit(&builder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_every_field),
        cmocka_unit_test(no_last_offset_is_beyond_the_numbers),
        cmocka_unit_test(parse_wants_all_bytes),
        cmocka_unit_test(parse_refuses_what_cannot_be),
        cmocka_unit_test(crc_covers_attributes_to_end),
        cmocka_unit_test(header_store_is_the_inverse_of_parse),
        cmocka_unit_test(append_time_renews_the_crc),
        cmocka_unit_test(builder_writes_what_java_writes),
        cmocka_unit_test(builder_refuses_an_unknown_codec),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
