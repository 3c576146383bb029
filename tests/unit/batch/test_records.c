#include "batch/batch.h"
#include "batch/compression.h"

#include "base/random.h"
#include "vectors.h"

#include "../unit.h"

#include <stdlib.h>

static void next(struct record_iterator *iterator, struct record *record, bool expected_done)
{
    bool done;
    struct reason reason = {{0}};
    enum err err = record_iterator_next(iterator, record, &done, &reason);
    if (err != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    assert_int_equal(done, expected_done);
}

static void check_vector_headers(const struct record *record)
{
    struct record_header header;
    size_t position = 0;
    assert_int_equal(record->header_count, 2);
    assert_true(record_header_next(record->headers, &position, &header));
    assert_true(slice_equal_str(header.key, "ce_type"));
    assert_true(slice_equal_str(header.value, "OrderPlaced"));
    assert_true(record_header_next(record->headers, &position, &header));
    assert_true(slice_equal_str(header.key, "n"));
    assert_true(slice_is_null(header.value));
    assert_int_equal(position, record->headers.size);
    assert_false(record_header_next(record->headers, &position, &header));
}

static void check_vector_records(const struct batch *batch)
{
    struct record_iterator iterator;
    struct record record;
    assert_int_equal(record_iterator_init(&iterator, batch, 1 << 20, NULL), ERR_NONE);
    next(&iterator, &record, false);
    assert_int_equal(record.offset, batch->base_offset);
    assert_int_equal(record.timestamp, 1700000000000);
    assert_true(slice_equal_str(record.key, "k1"));
    assert_true(slice_equal_str(record.value, "value one value one value one"));
    check_vector_headers(&record);
    next(&iterator, &record, false);
    assert_int_equal(record.offset, batch->base_offset + 1);
    assert_int_equal(record.timestamp, 1700000000005);
    assert_true(slice_equal_str(record.key, "k2"));
    assert_true(slice_is_null(record.value));
    assert_int_equal(record.header_count, 0);
    next(&iterator, &record, false);
    assert_int_equal(record.offset, batch->base_offset + 2);
    assert_int_equal(record.timestamp, 1699999999000);
    assert_true(slice_is_null(record.key));
    assert_true(slice_equal_str(record.value, "third"));
    next(&iterator, &record, true);
    next(&iterator, &record, true);
    record_iterator_deinit(&iterator);
}

static void reads_what_java_wrote(void **state)
{
    for (int i = 0; i < JAVA_BATCH_COUNT; i++) {
        struct buf bytes = from_hex(java_batches[i]);
        struct batch batch;
        assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
        batch.base_offset = 5000000000;
        check_vector_records(&batch);
        buf_deinit(&bytes);
    }
}

static void reads_what_it_builds(void **state)
{
    for (int i = 0; i < JAVA_BATCH_COUNT; i++) {
        struct batch_builder builder;
        batch_builder_init(&builder);
        builder.compression = (enum batch_compression)i;
        builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
        add_vector_records(&builder);
        struct buf out = {0};
        assert_int_equal(batch_builder_finish(&builder, &out, NULL), ERR_NONE);
        struct batch batch;
        assert_int_equal(batch_parse(buf_slice(&out), &batch, NULL), ERR_NONE);
        assert_int_equal(batch.bytes.size, out.size);
        assert_int_equal(batch_check_crc(&batch, NULL), ERR_NONE);
        assert_int_equal(batch_compression(&batch), i);
        assert_true(batch_is_transactional(&batch));
        assert_false(batch_is_control(&batch));
        assert_int_equal(batch.producer_id, 4000);
        assert_int_equal(batch.max_timestamp, 1700000000005);
        check_vector_records(&batch);
        buf_deinit(&out);
        batch_builder_deinit(&builder);
    }
}

/* Lengths around the varint sizes 1, 2 and 3; timestamps that use all of a varlong. */
static void keeps_sizes_and_extreme_timestamps(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 8191, 8192, 8193, 100000};
    static const int64_t timestamps[] = {5, INT64_MAX, -1, INT64_MIN, 0, 5, 6, 7, 8};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    uint8_t *value = calloc(1, 100000);
    struct batch_builder builder;
    batch_builder_init(&builder);
    for (int i = 0; i < COUNT; i++) {
        batch_builder_add(&builder, timestamps[i], slice_of(value, sizes[COUNT - 1 - i]),
                          slice_of(value, sizes[i]), NULL, 0);
    }
    struct buf out = {0};
    assert_int_equal(batch_builder_finish(&builder, &out, NULL), ERR_NONE);
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&out), &batch, NULL), ERR_NONE);
    struct record_iterator iterator;
    struct record record;
    assert_int_equal(record_iterator_init(&iterator, &batch, 0, NULL), ERR_NONE);
    for (int i = 0; i < COUNT; i++) {
        next(&iterator, &record, false);
        assert_int_equal(record.offset, i);
        assert_true(record.timestamp == timestamps[i]);
        assert_int_equal(record.key.size, sizes[COUNT - 1 - i]);
        assert_int_equal(record.value.size, sizes[i]);
        assert_false(slice_is_null(record.value));
    }
    next(&iterator, &record, true);
    record_iterator_deinit(&iterator);
    buf_deinit(&out);
    batch_builder_deinit(&builder);
    free(value);
}

/* Walks to the end or the first error; touches every byte that the iterator hands out. */
static unsigned walk(const struct batch *batch, size_t max_bytes, enum err *err)
{
    struct record_iterator iterator;
    struct record record;
    bool done = false;
    unsigned sum = 0;
    *err = record_iterator_init(&iterator, batch, max_bytes, NULL);
    while (*err == ERR_NONE) {
        *err = record_iterator_next(&iterator, &record, &done, NULL);
        if (*err != ERR_NONE || done) {
            break;
        }
        struct slice parts[] = {record.key, record.value, record.headers};
        for (size_t i = 0; i < 3; i++) {
            for (size_t j = 0; j < parts[i].size; j++) {
                sum += parts[i].data[j];
            }
        }
        struct record_header header;
        size_t position = 0;
        int32_t header_count = 0;
        while (record_header_next(record.headers, &position, &header)) {
            sum += (unsigned)(header.key.size + header.value.size);
            header_count++;
        }
        assert_int_equal(header_count, record.header_count);
    }
    record_iterator_deinit(&iterator);
    return sum;
}

static void limits_what_it_decompresses(void **state)
{
    for (int i = BATCH_COMPRESSION_GZIP; i < JAVA_BATCH_COUNT; i++) {
        struct buf bytes = from_hex(java_batches[i]);
        struct batch batch;
        enum err err;
        assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
        walk(&batch, 83, &err);
        assert_int_equal(err, ERR_NONE);
        walk(&batch, 82, &err);
        assert_int_equal(err, ERR_TOO_LARGE);
        buf_deinit(&bytes);
    }
}

static void counts_must_fit_the_records(void **state)
{
    struct buf bytes = from_hex(java_batches[BATCH_COMPRESSION_NONE]);
    struct batch batch;
    enum err err;
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    static const int32_t wrong[] = {-1, 0, 2, 4, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        batch.record_count = wrong[i];
        walk(&batch, 1 << 20, &err);
        assert_int_equal(err, ERR_CORRUPT);
    }
    batch.record_count = 0; /* what compaction leaves of a batch whose records all went */
    batch.bytes.size = BATCH_HEADER_BYTES;
    batch.attributes = BATCH_COMPRESSION_ZSTD;
    walk(&batch, 1 << 20, &err);
    assert_int_equal(err, ERR_NONE);
    buf_deinit(&bytes);
}

/* Seeded damage: under ASan no byte outside may be read, and every walk must end. */
static void survives_hostile_bytes(void **state)
{
    struct random random = {20240607};
    static const struct batch_rules rules = {1 << 20, true, INT64_MAX, INT64_MAX};
    unsigned ended[ERR_COUNT] = {0};
    for (int round = 0; round < 40000; round++) {
        struct buf bytes = from_hex(java_batches[round % JAVA_BATCH_COUNT]);
        size_t size = bytes.size - random_below(&random, 3) * random_below(&random, 20);
        uint8_t *exact = malloc(size);
        memcpy(exact, bytes.data, size);
        exact[11] = (uint8_t)(size - BATCH_LENGTH_OVERHEAD);
        uint64_t changes = 1 + random_below(&random, 4);
        for (uint64_t i = 0; i < changes; i++) {
            size_t at =
                BATCH_HEADER_BYTES - 8 + random_below(&random, size - BATCH_HEADER_BYTES + 8);
            exact[at] = (uint8_t)random_next(&random);
        }
        struct batch batch;
        enum err err;
        assert_int_equal(batch_parse(slice_of(exact, size), &batch, NULL), ERR_NONE);
        walk(&batch, 1 << 16, &err);
        ended[err]++;
        batch_renew_crc(&batch);
        err = batch_validate(&batch, &rules, 1700000000000, NULL, NULL);
        ended[err]++;
        free(exact);
        buf_deinit(&bytes);
    }
    /* The damage reached both outcomes, or this test would prove nothing. */
    assert_true(ended[ERR_NONE] > 100 && ended[ERR_CORRUPT] > 100);
    assert_true(ended[ERR_INVALID_RECORD] > 100);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_java_wrote),
        cmocka_unit_test(reads_what_it_builds),
        cmocka_unit_test(keeps_sizes_and_extreme_timestamps),
        cmocka_unit_test(limits_what_it_decompresses),
        cmocka_unit_test(counts_must_fit_the_records),
        cmocka_unit_test(survives_hostile_bytes),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
