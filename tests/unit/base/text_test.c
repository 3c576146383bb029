#include "../unit.h"

#include "base/base64.h"
#include "base/random.h"
#include "base/utf8.h"

#include <string.h>

static bool is_utf8(struct slice bytes)
{
    for (size_t i = 0; i < bytes.size;) {
        size_t size = utf8_sequence(slice_of(bytes.data + i, bytes.size - i));
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(is_utf8(slice_of("a\0\xe2\x82\xac\xf0\x9f\x98\x80", 9)));
    static const char *const bad[] = {
        "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(is_utf8(slice_str(bad[i])));
    }
    assert_int_equal(utf8_length("a\xc3\xa4"), 2);
}

static void test_base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    struct arena arena = {0};
    struct slice bytes;
    for (size_t i = 0; i < 5; i++) {
        struct buf text = {0};
        base64_encode(&text, slice_str(pairs[i][0]));
        assert_string_equal(buf_cstr(&text), pairs[i][1]);
        assert_true(base64_decode(&arena, buf_slice(&text), &bytes));
        assert_true(slice_equal_str(bytes, pairs[i][0]));
        buf_deinit(&text);
    }
    struct buf url = {0};
    base64url_encode(&url, slice_str("~~~?foob"));
    base64url_encode(&url, slice_str("f"));
    assert_string_equal(buf_cstr(&url), "fn5-P2Zvb2IZg");
    buf_deinit(&url);
    static const char *const bad[] = {"Zg", "Zg=", "Z===", "Zg==Zg==", "Z g=", "===="};
    for (size_t i = 0; i < 6; i++) {
        assert_false(base64_decode(&arena, slice_str(bad[i]), &bytes));
    }
    arena_deinit(&arena);
}

static void test_uuid_text(void **state)
{
    (void)state;
    char first[UUID_TEXT_SIZE], second[UUID_TEXT_SIZE];
    assert_ptr_equal(random_uuid_text(first), first);
    random_uuid_text(second);
    assert_string_not_equal(first, second);
    assert_int_equal(strlen(first), 36);
    for (size_t i = 0; i < 36; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        assert_non_null(strchr(is_dash ? "-" : "0123456789abcdef", first[i]));
    }
    assert_int_equal(first[14], '4'); /* a random one, RFC 9562 */
}

static void test_foreign_text_stays_within_its_quotes(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", "\"\""},
        {"plain \xc3\xa4", "\"plain \xc3\xa4\""},
        {"a\" level=error b=\"\\", "\"a\\\" level=error b=\\\"\\\\\""},
        {"\n\x1b[2J\xc2\x9b\xff", "\"\\n\\x1b[2J\\xc2\\x9b\\xff\""},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buf text = {0};
        utf8_quote(&text, slice_str(pairs[i][0]));
        assert_string_equal(buf_cstr(&text), pairs[i][1]);
        buf_deinit(&text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_uuid_text),
        cmocka_unit_test(test_foreign_text_stays_within_its_quotes),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
