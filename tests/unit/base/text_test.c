#include "../unit.h"

#include "base/base64.h"
#include "base/decimal.h"
#include "base/random.h"
#include "base/text_format.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
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

static void test_what_is_no_utf8_is_told_from_what_is(void **state)
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

static void assert_escaped(struct slice bytes, const char *wanted)
{
    struct buf text = {0};
    utf8_escape(&text, bytes);
    assert_string_equal(buf_cstr(&text), wanted);
    buf_deinit(&text);
}

static void test_no_control_character_reaches_a_terminal(void **state)
{
    (void)state;
    assert_escaped(slice_of("", 0), "");
    assert_escaped(slice_str("caf\xc3\xa9 \xe2\x82\xac"), "caf\xc3\xa9 \xe2\x82\xac");
    assert_escaped(slice_str("a\nb\tc\rd\x1b[2J"), "a\\nb\\tc\\rd\\x1b[2J");
    assert_escaped(slice_str("\xe2\x80\xae right to left \xd8\x9c\xe2\x81\xa6\xe2\x80\xa8"),
                   "\\xe2\\x80\\xae right to left \\xd8\\x9c\\xe2\\x81\\xa6\\xe2\\x80\\xa8");
    assert_escaped(slice_of("\0x", 2), "\\x00x");
    assert_escaped(slice_str("\xc2\x9b"
                             "31m\xc2\xa0"),
                   "\\xc2\\x9b31m\xc2\xa0"); /* C1, not U+A0 */
    assert_escaped(slice_str("\xe2\x82"), "\\xe2\\x82");
    assert_escaped(slice_str("\xc3(\xff"), "\\xc3(\\xff");
    for (int byte = 0; byte < 256; byte++) {
        char wanted[8];
        uint8_t bytes[] = {(uint8_t)byte};
        bool is_named = byte == '\n' || byte == '\t' || byte == '\r';
        bool is_kept = byte >= 0x20 && byte < 0x7f;
        snprintf(wanted, sizeof wanted, is_kept ? "%c" : "\\x%02x", byte);
        assert_escaped(slice_of(bytes, 1), !is_named      ? wanted
                                           : byte == '\n' ? "\\n"
                                           : byte == '\t' ? "\\t"
                                                          : "\\r");
    }
}

static void assert_json(const char *json, const char *wanted)
{
    struct buf text = {0};
    utf8_escape_json(&text, slice_str(json));
    assert_string_equal(buf_cstr(&text), wanted);
    buf_deinit(&text);
}

static void test_json_says_the_same_and_moves_no_terminal(void **state)
{
    (void)state;
    assert_json("{\n  \"caf\xc3\xa9\": 1\n}", "{\n  \"caf\xc3\xa9\": 1\n}");
    assert_json("\"\\u001B \x7f \xc2\x9b\xe2\x80\xae\xe2\x81\xa9 \"",
                "\"\\u001B \\u007F \\u009B\\u202E\\u2069 \"");
}

__attribute__((format(printf, 2, 3))) static void assert_formatted(const char *wanted,
                                                                   const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    text_format_escaped(&text, format, args);
    va_end(args);
    assert_string_equal(buf_cstr(&text), wanted);
    buf_deinit(&text);
}

static void test_texts_of_a_format_are_escaped_and_no_more(void **state)
{
    (void)state;
    assert_formatted("plain\n100% \"x\\x1b[1m\\n\"\t-7 cut\n", "plain\n100%% \"%s\"\t%d %.3s\n",
                     "x\x1b[1m\n", -7, "cut off");
    assert_formatted("1.50 0x2a 12345678901", "%.2f %#x %lld", 1.5, 42U, 12345678901LL);
}

static void test_a_number_is_written_as_printf_does(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 1, -1, 9, 10, 4407354, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char wanted[32];
        struct buf text = {0};
        snprintf(wanted, sizeof wanted, "%" PRId64, numbers[i]);
        decimal_append(&text, numbers[i]);
        assert_string_equal(buf_cstr(&text), wanted);
        buf_deinit(&text);
    }
}

static void test_base64_goes_both_ways_and_refuses_the_rest(void **state)
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

static void test_each_uuid_is_another(void **state)
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_utf8_is_told_from_what_is),
        cmocka_unit_test(test_json_says_the_same_and_moves_no_terminal),
        cmocka_unit_test(test_texts_of_a_format_are_escaped_and_no_more),
        cmocka_unit_test(test_no_control_character_reaches_a_terminal),
        cmocka_unit_test(test_a_number_is_written_as_printf_does),
        cmocka_unit_test(test_base64_goes_both_ways_and_refuses_the_rest),
        cmocka_unit_test(test_each_uuid_is_another),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
