#include "batch/compression.h"

#include "base/random.h"
#include "vectors.h"

#include "../unit.h"

#include <limits.h>
#include <stdlib.h>

enum { FIRST = BATCH_COMPRESSION_NONE, LAST = BATCH_COMPRESSION_ZSTD };

/* Half noise, half repetition. */
static struct buf sample(size_t size, uint64_t seed)
{
    struct random random = {seed};
    struct buf bytes = {0};
    while (bytes.size < size) {
        uint64_t word = random_below(&random, 2) ? random_next(&random) : 0x6f7264657264ull;
        buf_append(&bytes, &word, size - bytes.size < 8 ? size - bytes.size : 8);
    }
    return bytes;
}

static void test_every_codec_gives_back_what_it_took(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 32767, 32768, 32769, 65536, 65537, 1000000};
    for (int codec = FIRST; codec <= LAST; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct buf plain = sample(sizes[i], i);
            struct buf packed = {0};
            struct buf out = {0};
            buf_append_str(&out, "kept");
            assert_int_equal(compression_compress((enum batch_compression)codec, INT_MIN,
                                                  buf_slice(&plain), &packed, NULL),
                             ERR_NONE);
            assert_int_equal(compression_decompress((enum batch_compression)codec,
                                                    buf_slice(&packed), sizes[i], &out, NULL),
                             ERR_NONE);
            assert_int_equal(out.size, 4 + sizes[i]);
            assert_memory_equal(out.data, "kept", 4);
            assert_true(slice_equal(slice_of(out.data + 4, sizes[i]), buf_slice(&plain)));
            buf_deinit(&out);
            buf_deinit(&packed);
            buf_deinit(&plain);
        }
    }
}

/* 64 MiB of zeros in little: refused at the limit, without memory for more than that. */
static void test_bombs_are_refused(void **state)
{
    size_t size = 64 << 20;
    uint8_t *zeros = calloc(1, size);
    for (int codec = FIRST; codec <= LAST; codec++) {
        struct buf packed = {0};
        struct buf out = {0};
        struct reason reason = {{0}};
        assert_int_equal(compression_compress((enum batch_compression)codec, INT_MIN,
                                              slice_of(zeros, size), &packed, NULL),
                         ERR_NONE);
        assert_int_equal(compression_decompress((enum batch_compression)codec, buf_slice(&packed),
                                                1 << 20, &out, &reason),
                         ERR_TOO_LARGE);
        assert_non_null(strstr(reason.text, "1048576"));
        assert_int_equal(out.size, 0);
        assert_true(out.capacity <= 4 << 20);
        assert_int_equal(compression_decompress((enum batch_compression)codec, buf_slice(&packed),
                                                size - 1, &out, NULL),
                         ERR_TOO_LARGE);
        buf_deinit(&out);
        buf_deinit(&packed);
    }
    free(zeros);
}

static enum err decompress_hex(enum batch_compression codec, const char *hex, struct buf *out)
{
    struct buf bytes = from_hex(hex);
    enum err err = compression_decompress(codec, buf_slice(&bytes), 1 << 20, out, NULL);
    buf_deinit(&bytes);
    return err;
}

/* From python-snappy: the raw form, as librdkafka sends it. */
static void reads_raw_snappy(void **state)
{
    struct buf out = {0};
    assert_int_equal(
        decompress_hex(BATCH_COMPRESSION_SNAPPY, "202872617720736e6170707920520b00", &out),
        ERR_NONE);
    assert_true(slice_equal_str(buf_slice(&out), "raw snappy raw snappy raw snappy"));
    buf_deinit(&out);
}

static void bad_snappy_is_refused(void **state)
{
    static const char *const bad[] = {
        "",                                           /* no length */
        "ffffffff0f00",                               /* claims 4 GiB in one byte */
        "202872617720736e6170707920520b",             /* cut */
        "82534e4150505900000000010000000100",         /* cut in a block's length */
        "82534e4150505900000000010000000100000010aa", /* block past the end */
        "82534e41505059000000000100000001ffffffffaa", /* the same, by 4 GiB */
        "82534e4150505900000000010000000100000000",   /* empty block */
    };
    struct buf out = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(decompress_hex(BATCH_COMPRESSION_SNAPPY, bad[i], &out), ERR_CORRUPT);
        assert_int_equal(out.size, 0);
    }
    buf_deinit(&out);
}

static void gzip_members_may_follow_each_other(void **state)
{
    struct buf packed = {0};
    struct buf out = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            compression_compress(BATCH_COMPRESSION_GZIP, 9, slice_str("abc"), &packed, NULL),
            ERR_NONE);
    }
    assert_int_equal(
        compression_decompress(BATCH_COMPRESSION_GZIP, buf_slice(&packed), 9, &out, NULL),
        ERR_NONE);
    assert_true(slice_equal_str(buf_slice(&out), "abcabcabc"));
    assert_int_equal(
        compression_decompress(BATCH_COMPRESSION_GZIP, buf_slice(&packed), 8, &out, NULL),
        ERR_TOO_LARGE);
    assert_int_equal(out.size, 9);
    buf_deinit(&out);
    buf_deinit(&packed);
}

/* Java's reader: magic, version 01, independent blocks, no dictionary; 64 KiB blocks. */
static void lz4_is_what_java_reads(void **state)
{
    struct buf packed = {0};
    assert_int_equal(
        compression_compress(BATCH_COMPRESSION_LZ4, INT_MIN, slice_str("abc"), &packed, NULL),
        ERR_NONE);
    assert_memory_equal(packed.data, "\x04\x22\x4d\x18\x60\x40\x82", 7);
    buf_deinit(&packed);
}

/* A stream cut anywhere, or followed by more, is not the stream. */
static void cut_and_extended_streams_are_refused(void **state)
{
    struct buf plain = sample(300, 1);
    for (int codec = BATCH_COMPRESSION_GZIP; codec <= LAST; codec++) {
        struct buf packed = {0};
        struct buf out = {0};
        assert_int_equal(compression_compress((enum batch_compression)codec, INT_MIN,
                                              buf_slice(&plain), &packed, NULL),
                         ERR_NONE);
        for (size_t size = 0; size < packed.size; size++) {
            if (codec == BATCH_COMPRESSION_SNAPPY && size == 16) {
                continue; /* the xerial form of nothing */
            }
            uint8_t *exact = malloc(size + 1);
            memcpy(exact + 1, packed.data, size);
            enum err err = compression_decompress((enum batch_compression)codec,
                                                  slice_of(exact + 1, size), 1 << 20, &out, NULL);
            assert_int_equal(err, ERR_CORRUPT);
            free(exact);
        }
        buf_append_str(&packed, "xyzw");
        assert_int_equal(compression_decompress((enum batch_compression)codec, buf_slice(&packed),
                                                1 << 20, &out, NULL),
                         ERR_CORRUPT);
        assert_int_equal(out.size, 0);
        buf_deinit(&out);
        buf_deinit(&packed);
    }
    buf_deinit(&plain);
}

static void test_codecs_have_levels_and_names(void **state)
{
    struct buf plain = sample(50000, 2);
    struct buf out = {0};
    for (int codec = BATCH_COMPRESSION_GZIP; codec <= LAST; codec++) {
        assert_int_equal(
            compression_compress((enum batch_compression)codec, 9, buf_slice(&plain), &out, NULL),
            ERR_NONE);
        enum batch_compression parsed;
        assert_true(compression_parse(compression_name((enum batch_compression)codec), &parsed));
        assert_int_equal(parsed, codec);
    }
    buf_clear(&out);
    assert_int_equal(
        compression_compress(BATCH_COMPRESSION_GZIP, 10, buf_slice(&plain), &out, NULL),
        ERR_INVALID);
    enum batch_compression parsed;
    assert_false(compression_parse("brotli", &parsed));
    assert_false(compression_parse("", &parsed));
    assert_string_equal(compression_name((enum batch_compression)7), "unknown");
    assert_int_equal(
        compression_decompress((enum batch_compression)7, buf_slice(&plain), 1 << 20, &out, NULL),
        ERR_UNSUPPORTED_CODEC);
    buf_deinit(&out);
    buf_deinit(&plain);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec_gives_back_what_it_took),
        cmocka_unit_test(test_bombs_are_refused),
        cmocka_unit_test(reads_raw_snappy),
        cmocka_unit_test(bad_snappy_is_refused),
        cmocka_unit_test(gzip_members_may_follow_each_other),
        cmocka_unit_test(lz4_is_what_java_reads),
        cmocka_unit_test(cut_and_extended_streams_are_refused),
        cmocka_unit_test(test_codecs_have_levels_and_names),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
