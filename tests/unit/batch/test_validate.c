#include "batch/batch.h"

#include "vectors.h"

#include "../unit.h"

#include <limits.h>
#include <stdlib.h>

static const int64_t now_ms = 1700000000000;
static const struct batch_rules lax = {1 << 20, false, INT64_MAX, INT64_MAX};

/* A batch under test: Java's, changed by the test; seal makes sizes and CRC right again. */
struct subject {
    struct buf bytes;
    struct batch batch;
    int32_t index;       /* of the first record at fault */
    int32_t error_count; /* how many are */
    struct reason reason;
};

static void subject_init(struct subject *subject, enum batch_compression compression)
{
    *subject = (struct subject){.bytes = from_hex(java_batches[compression]), .index = -2};
    assert_int_equal(batch_parse(buf_slice(&subject->bytes), &subject->batch, NULL), ERR_NONE);
}

/* Replaces the records by these bytes. */
static void subject_set_records(struct subject *subject, const char *hex, int32_t count)
{
    struct buf records = from_hex(hex);
    subject->bytes.size = BATCH_HEADER_BYTES;
    buf_append_slice(&subject->bytes, buf_slice(&records));
    subject->batch.bytes = buf_slice(&subject->bytes);
    subject->batch.record_count = count;
    subject->batch.last_offset_delta = count - 1;
    buf_deinit(&records);
}

static enum err subject_check(struct subject *subject, const struct batch_rules *rules)
{
    struct batch_record_errors errors = {.count = 0};
    batch_renew_crc(&subject->batch);
    batch_header_store(&subject->batch, subject->bytes.data);
    /* Exact memory, so that a sanitizer sees a read past the end. */
    size_t size = subject->batch.bytes.size;
    uint8_t *exact = malloc(size);
    memcpy(exact, subject->bytes.data, size);
    struct batch batch;
    assert_int_equal(batch_parse(slice_of(exact, size), &batch, NULL), ERR_NONE);
    subject->reason.text[0] = '\0';
    enum err err = batch_validate(&batch, rules, now_ms, &errors, &subject->reason);
    assert_true((err == ERR_NONE) == (subject->reason.text[0] == '\0'));
    assert_int_equal(batch_validate(&batch, rules, now_ms, NULL, NULL), err);
    subject->index = errors.count > 0 ? errors.items[0] : -1;
    subject->error_count = errors.count;
    vec_deinit(&errors);
    free(exact);
    return err;
}

#define assert_fails(subject, rules, expected_err, expected_index, words)                          \
    do {                                                                                           \
        assert_int_equal(subject_check(subject, rules), expected_err);                             \
        assert_int_equal((subject)->index, expected_index);                                        \
        if (strstr((subject)->reason.text, words) == NULL) {                                       \
            fail_msg("'%s' does not say '%s'", (subject)->reason.text, words);                     \
        }                                                                                          \
    } while (0)

static void java_batches_are_valid(void **state)
{
    for (int i = 0; i < JAVA_BATCH_COUNT; i++) {
        struct subject subject;
        subject_init(&subject, (enum batch_compression)i);
        assert_int_equal(subject_check(&subject, &lax), ERR_NONE);
        assert_int_equal(subject.index, -1);
        buf_deinit(&subject.bytes);
    }
}

static void a_header_that_breaks_a_rule_is_refused(void **state)
{
    struct subject s;
    subject_init(&s, BATCH_COMPRESSION_NONE);
    const struct batch good = s.batch;

    s.batch.record_count = 0;
    s.batch.last_offset_delta = -1;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "record count is 0");
    s.batch.record_count = -1;
    s.batch.last_offset_delta = -2;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "record count is -1");
    s.batch.record_count = INT32_MIN;
    s.batch.last_offset_delta = INT32_MAX;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "record count");
    s.batch = good;
    s.batch.last_offset_delta = 3;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "last offset delta 3 does not fit 3 records");
    s.batch = good;
    s.batch.attributes = BATCH_ATTRIBUTE_CONTROL | BATCH_ATTRIBUTE_TRANSACTIONAL;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "control");
    s.batch.attributes = BATCH_ATTRIBUTE_LOG_APPEND_TIME;
    assert_fails(&s, &lax, ERR_INVALID_TIMESTAMP, -1, "LogAppendTime");
    for (int16_t codec = 5; codec <= 7; codec++) {
        s.batch.attributes = codec;
        assert_fails(&s, &lax, ERR_UNSUPPORTED_CODEC, -1, "compression type");
    }
    s.batch.attributes = (int16_t)0xff80; /* unused bits */
    assert_int_equal(subject_check(&s, &lax), ERR_NONE);
    s.batch.attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    assert_int_equal(subject_check(&s, &lax), ERR_NONE);
    buf_deinit(&s.bytes);
}

static void a_producer_id_wants_epoch_and_sequence(void **state)
{
    struct subject s;
    subject_init(&s, BATCH_COMPRESSION_NONE);
    s.batch.base_sequence = -1;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "producer id 4000 with base sequence -1");
    s.batch.base_sequence = 0;
    s.batch.producer_epoch = -1;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "producer epoch -1");
    s.batch.producer_id = -1; /* what sarama and kafkajs send: no id, sequence 0 */
    assert_int_equal(subject_check(&s, &lax), ERR_NONE);
    s.batch.base_sequence = -1;
    assert_int_equal(subject_check(&s, &lax), ERR_NONE);
    s.batch.attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    assert_fails(&s, &lax, ERR_INVALID_RECORD, -1, "transactional");
    buf_deinit(&s.bytes);
}

static void size_and_crc(void **state)
{
    struct subject s;
    subject_init(&s, BATCH_COMPRESSION_NONE);
    struct batch_rules rules = lax;
    rules.max_bytes = s.bytes.size;
    assert_int_equal(subject_check(&s, &rules), ERR_NONE);
    rules.max_bytes--;
    assert_fails(&s, &rules, ERR_TOO_LARGE, -1, "max.message.bytes=143");

    struct reason reason;
    s.bytes.data[100] ^= 1;
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&s.bytes), &batch, NULL), ERR_NONE);
    assert_int_equal(batch_validate(&batch, &lax, now_ms, NULL, &reason), ERR_CORRUPT);
    assert_non_null(strstr(reason.text, "CRC is 96cd45fc"));
    buf_deinit(&s.bytes);
}

static void timestamps_outside_of_the_bounds_are_refused(void **state)
{
    struct subject s;
    subject_init(&s, BATCH_COMPRESSION_NONE); /* from now - 1000 to now + 5 */
    struct batch_rules rules = lax;
    rules.timestamp_before_max_ms = 1000;
    rules.timestamp_after_max_ms = 5;
    assert_int_equal(subject_check(&s, &rules), ERR_NONE);
    rules.timestamp_before_max_ms = 999;
    assert_fails(&s, &rules, ERR_INVALID_TIMESTAMP, 2, "1699999999000");
    rules.timestamp_before_max_ms = 1000;
    rules.timestamp_after_max_ms = 4;
    assert_fails(&s, &rules, ERR_INVALID_TIMESTAMP, 1, "1700000000005");
    s.batch.max_timestamp = 1700000000004; /* a header that lies does not help */
    assert_fails(&s, &rules, ERR_INVALID_TIMESTAMP, 1, "1700000000005");
    rules.timestamp_after_max_ms = 5;
    s.batch.max_timestamp = 1700000000006; /* nor one that names a time no record has */
    assert_fails(&s, &rules, ERR_INVALID_TIMESTAMP, -1, "1700000000006");
    rules.timestamp_after_max_ms = 4;

    s.batch.base_timestamp = -1;
    s.batch.max_timestamp = -1;
    subject_set_records(&s, "0c000000000000", 1); /* timestamp -1: none */
    assert_int_equal(subject_check(&s, &rules), ERR_NONE);
    buf_deinit(&s.bytes);

    subject_init(&s, BATCH_COMPRESSION_ZSTD); /* compressed records count too */
    assert_fails(&s, &rules, ERR_INVALID_TIMESTAMP, 1, "1700000000005");
    buf_deinit(&s.bytes);
}

static void keys_are_required_by_compacted_topics(void **state)
{
    struct batch_rules rules = lax;
    rules.keys_required = true;
    for (int i = 0; i < JAVA_BATCH_COUNT; i++) {
        struct subject s;
        subject_init(&s, (enum batch_compression)i);
        assert_fails(&s, &rules, ERR_INVALID_RECORD, 2, "no key");
        buf_deinit(&s.bytes);
    }
    struct subject s;
    subject_init(&s, BATCH_COMPRESSION_NONE);
    s.batch.attributes = BATCH_COMPRESSION_ZSTD; /* over plain records */
    assert_fails(&s, &rules, ERR_INVALID_RECORD, -1, "zstd");
    assert_int_equal(subject_check(&s, &lax), ERR_NONE); /* not looked into */
    buf_deinit(&s.bytes);
}

static void compressed_records_are_looked_into_when_the_rules_say_so(void **state)
{
    (void)state;
    struct batch_rules rules = lax;
    rules.open = true;
    for (int i = 0; i < JAVA_BATCH_COUNT; i++) {
        struct subject s;
        subject_init(&s, (enum batch_compression)i);
        assert_int_equal(subject_check(&s, &rules), ERR_NONE);
        s.batch.record_count = INT32_MAX; /* would move the offsets by so many */
        s.batch.last_offset_delta = INT32_MAX - 1;
        assert_fails(&s, &rules, ERR_INVALID_RECORD, 3, "record 3 of 2147483647");
        if (i != BATCH_COMPRESSION_NONE) {
            rules.open_max_bytes = 10;
            assert_fails(&s, &rules, ERR_TOO_LARGE, -1, "more than 10 bytes");
            rules.open_max_bytes = 0;
        }
        buf_deinit(&s.bytes);
    }
}

/* Three records: without a key, with one, without one. zigzag -1 is 01. */
static void all_bad_records_are_found(void **state)
{
    (void)state;
    struct batch_rules rules = lax;
    rules.keys_required = true;
    struct subject s;
    subject_init(&s, BATCH_COMPRESSION_NONE);
    subject_set_records(&s,
                        "0c000000010000"
                        "0e00000202610000"
                        "0c000004010000",
                        3);
    assert_fails(&s, &rules, ERR_INVALID_RECORD, 0, "record 0 of 3: no key");
    assert_int_equal(s.error_count, 2);
    /* A bad timestamp weighs more, wherever it is. */
    rules.timestamp_before_max_ms = 0;
    rules.timestamp_after_max_ms = 0;
    s.batch.base_timestamp = now_ms;
    s.batch.max_timestamp = now_ms;
    subject_set_records(&s,
                        "0c000000010000"
                        "0e00020202610000"
                        "0c000004010000",
                        3);
    assert_fails(&s, &rules, ERR_INVALID_TIMESTAMP, 0, "record 1: timestamp");
    assert_int_equal(s.error_count, 3);
    /* A malformed record ends it. */
    subject_set_records(&s,
                        "0c000000010000"
                        "0e00000202610000"
                        "0c000002010000",
                        3);
    assert_fails(&s, &rules, ERR_INVALID_RECORD, 2, "offset delta");
    assert_int_equal(s.error_count, 1);
    buf_deinit(&s.bytes);
}

/* Records: length, attributes, timestamp delta, offset delta, key, value, header count. */
static void a_malformed_record_is_refused(void **state)
{
    static const struct {
        const char *hex;
        int32_t count;
        int32_t index; /* -2: valid */
        const char *words;
    } cases[] = {
        {"0c000000000000", 1, -2, ""},
        {"0c000000010100", 1, -2, ""}, /* key and value null */
        {"0c0000000000000c000002000000", 2, -2, ""},
        {"0c000000000000", 2, 1, "length does not fit"}, /* one record of two */
        {"0c0000000000000c000002000000", 1, -1, "7 bytes follow the last of 1 records"},
        {"0c0000000000000c000000000000", 2, 1, "offset delta is 0"},
        {"0c000002000000", 1, 0, "offset delta is 1"},
        {"0c000001000000", 1, 0, "offset delta is -1"},
        {"", 1, 0, "length does not fit"},
        {"00", 1, 0, "length does not fit"},
        {"01000000000000", 1, 0, "length does not fit"}, /* length -1 */
        {"0e000000000000", 1, 0, "length does not fit"}, /* one more than there is */
        {"ffffffff0f000000", 1, 0, "length does not fit"},
        {"ffffffffff0000", 1, 0, "length does not fit"}, /* a varint of six bytes */
        {"0200", 1, 0, "timestamp delta"},
        {"0400ff", 1, 0, "timestamp delta"},
        {"1a00ffffffffffffffffffff01000000", 1, 0, "timestamp delta"},
        {"040000", 1, 0, "offset delta is not"},
        {"06000000", 1, 0, "key length"},
        {"0c000000030000", 1, 0, "key length"},              /* -2 */
        {"0c000000040000", 1, 0, "value length"},            /* two key bytes, then nothing */
        {"0c000000060000", 1, 0, "key length"},              /* three where two are */
        {"0c000000000300", 1, 0, "value length"},            /* -2 */
        {"0c000000000400", 1, 0, "value length"},            /* two value bytes where one is */
        {"0c000000000200", 1, 0, "header count"},            /* none left for the count */
        {"0c000000000001", 1, 0, "header count"},            /* -1 */
        {"0c000000000002", 1, 0, "headers"},                 /* one header, no bytes */
        {"0e00000000000000", 1, 0, "headers"},               /* no header, a byte */
        {"14000000000002026b0276", 1, -2, ""},               /* one header k=v */
        {"12000000000002026b01", 1, -2, ""},                 /* its value null */
        {"100000000000020000", 1, -2, ""},                   /* both empty */
        {"100000000000020100", 1, 0, "headers"},             /* key null */
        {"0e00000000000201", 1, 0, "headers"},               /* key null, and no more */
        {"14000000000002026b0476", 1, 0, "headers"},         /* value past the end */
        {"16000000000002026b027600", 1, 0, "headers"},       /* a byte too many */
        {"14000000000004026b0276", 1, 0, "headers"},         /* two said, one there */
        {"1c0000000000feffffff0f026b0276", 1, 0, "headers"}, /* 2^31 - 1 of them said */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct subject s;
        subject_init(&s, BATCH_COMPRESSION_NONE);
        subject_set_records(&s, cases[i].hex, cases[i].count);
        if (cases[i].index == -2) {
            assert_int_equal(subject_check(&s, &lax), ERR_NONE);
        } else {
            assert_fails(&s, &lax, ERR_INVALID_RECORD, cases[i].index, cases[i].words);
        }
        buf_deinit(&s.bytes);
    }
}

static void a_missing_max_timestamp_is_computed(void **state)
{
    (void)state;
    for (int codec = BATCH_COMPRESSION_NONE; codec <= BATCH_COMPRESSION_ZSTD; codec++) {
        struct subject s;
        subject_init(&s, (enum batch_compression)codec);
        int64_t right = s.batch.max_timestamp;
        uint32_t crc = s.batch.crc;
        assert_true(right > 0);
        s.batch.max_timestamp = -1;
        assert_int_equal(batch_mend_max_timestamp(&s.batch, NULL), ERR_NONE);
        assert_int_equal(s.batch.max_timestamp, right);
        assert_int_equal(s.batch.crc, crc);
        buf_deinit(&s.bytes);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(java_batches_are_valid),
        cmocka_unit_test(a_header_that_breaks_a_rule_is_refused),
        cmocka_unit_test(a_producer_id_wants_epoch_and_sequence),
        cmocka_unit_test(size_and_crc),
        cmocka_unit_test(timestamps_outside_of_the_bounds_are_refused),
        cmocka_unit_test(keys_are_required_by_compacted_topics),
        cmocka_unit_test(compressed_records_are_looked_into_when_the_rules_say_so),
        cmocka_unit_test(all_bad_records_are_found),
        cmocka_unit_test(a_malformed_record_is_refused),
        cmocka_unit_test(a_missing_max_timestamp_is_computed),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
