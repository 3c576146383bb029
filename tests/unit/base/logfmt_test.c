#include "../unit.h"

#include "base/logfmt.h"
#include "base/slice.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Log lines' pairs: as vprintf formats them, but for texts that would pass for something else. */

__attribute__((format(printf, 2, 3))) static void expect(const char *line, const char *format, ...)
{
    struct buf out = {0};
    va_list args;
    va_start(args, format);
    logfmt_append(&out, format, args);
    va_end(args);
    assert_string_equal(buf_cstr(&out), line);
    buf_deinit(&out);
}

static void test_numbers_are_as_printf_writes_them(void **state)
{
    (void)state;
    expect("a=-1 b=2 c=ff d=0755", "a=%d b=%u c=%x d=%04o", -1, 2U, 255U, 0755U);
    expect("a=-9000000000 b=18446744073709551615", "a=%lld b=%llu", -9000000000LL,
           (unsigned long long)UINT64_MAX);
    expect("a=-9000000000 b=7", "a=%" PRId64 " b=%" PRIu64, (int64_t)-9000000000, (uint64_t)7);
    expect("a=12 b=-3 c=1.50 d=x e=100%", "a=%zu b=%hhd c=%.2f d=%c e=%d%%", (size_t)12,
           (signed char)-3, 1.5, 'x', 100);
    expect("a=00000000000000000042 b=    7 c=7    .", "a=%020lld b=%5d c=%-*d.", 42LL, 7, 5, 7);
}

static void test_plain_texts_stay_bare(void **state)
{
    (void)state;
    expect("topic=orders.v1 peer=127.0.0.1:9092", "topic=%s peer=%s:%d", "orders.v1", "127.0.0.1",
           9092);
    expect("client=abc", "client=%.*s", 3, "abcdef");
    expect("", "%s", "");
}

static void test_a_text_that_needs_quotes_gets_them(void **state)
{
    (void)state;
    expect("group=\"my group\" n=1", "group=%s n=%d", "my group", 1);
    expect("group=\"\" n=1", "group=%s n=%d", "", 1);
    expect("group=\"a=b\"", "group=%s", "a=b");
    expect("group=\"größe\"", "group=%s", "größe");
}

static void test_a_text_cannot_pass_for_another_pair(void **state)
{
    (void)state;
    expect("reason=\"a\\\" level=error x=\\\"\" n=1", "reason=\"%s\" n=%d", "a\" level=error x=\"",
           1);
    expect("group=\"a\\\" level=error x=\\\"\"", "group=%s", "a\" level=error x=\"");
    expect("path=\"\\\\\" next=\"x\"", "path=\"%s\" next=\"%s\"", "\\", "x");
    expect("both=\"a: \\\"b\\\"\"", "both=\"%s: %s\"", "a", "\"b\"");
}

static void test_a_text_does_nothing_to_a_terminal(void **state)
{
    (void)state;
    expect("name=\"\\x1b[31m\\x0a\\x7f\"", "name=\"%s\"", "\x1b[31m\n\x7f");
    expect("name=\"\\xc2\\x9b1m\"", "name=%s",
           "\xc2\x9b"
           "1m"); /* C1: a CSI of one character */
    expect("name=\"\\xff\\xc3\"", "name=%s", "\xff\xc3");
    const char *volatile none = NULL; /* the compiler would warn */
    expect("name=(null)", "name=%s", none);
}

static void test_a_long_text_leaves_room_for_the_others(void **state)
{
    (void)state;
    char wide[2000];
    char line[LOGFMT_VALUE_BYTES + 32];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    snprintf(line, sizeof line, "v=%.*s... n=1", LOGFMT_VALUE_BYTES, wide);
    expect(line, "v=%s n=%d", wide, 1);
    memcpy(wide + LOGFMT_VALUE_BYTES - 1, "\xc3\xbc", 2); /* not cut in the middle of it */
    snprintf(line, sizeof line, "v=\"%.*s...\"", LOGFMT_VALUE_BYTES - 1, wide);
    expect(line, "v=%s", wide);
}

static void test_a_pair_is_put_behind_others(void **state)
{
    (void)state;
    struct buf pairs = {0};
    logfmt_pair(&pairs, "group", slice_str("a\" b=\\"));
    logfmt_pair(&pairs, "said", slice_of("\n\0\xff", 3));
    assert_string_equal(buf_cstr(&pairs), "group=\"a\\\" b=\\\\\" said=\"\\x0a\\x00\\xff\"");
    buf_deinit(&pairs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_as_printf_writes_them),
        cmocka_unit_test(test_plain_texts_stay_bare),
        cmocka_unit_test(test_a_text_that_needs_quotes_gets_them),
        cmocka_unit_test(test_a_text_cannot_pass_for_another_pair),
        cmocka_unit_test(test_a_text_does_nothing_to_a_terminal),
        cmocka_unit_test(test_a_long_text_leaves_room_for_the_others),
        cmocka_unit_test(test_a_pair_is_put_behind_others),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
