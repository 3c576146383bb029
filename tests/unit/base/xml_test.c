#include "../unit.h"

#include "base/random.h"
#include "base/utf8.h"
#include "base/xml.h"

#include <string.h>

static void check(const void *bytes, size_t size, const char *expected)
{
    struct buf text = {0};
    xml_escape(&text, slice_of(bytes, size));
    assert_string_equal(buf_cstr(&text), expected);
    buf_deinit(&text);
}

#define CHECK(bytes, expected) check(bytes, sizeof(bytes) - 1, expected)

static void test_markup_becomes_text(void **state)
{
    (void)state;
    CHECK("", "");
    CHECK("<a b=\"c\" d='e'>&amp;", "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;");
    CHECK("]]>", "]]&gt;");
}

static void test_what_xml_has_no_place_for_is_written_out(void **state)
{
    (void)state;
    CHECK("a\0b\x1b\n\t\x7f", "a\\x00b\\x1b\n\\x09\\x7f");
    CHECK("\xEF\xBF\xBD \xEF\xBF\xBE \xEF\xBF\xBF", "\xEF\xBF\xBD \\xef\\xbf\\xbe \\xef\\xbf\\xbf");
    CHECK("\xEF\xBF", "\\xef\\xbf");               /* cut off */
    CHECK("\xed\xa0\x80<", "\\xed\\xa0\\x80&lt;"); /* half of a surrogate pair */
    CHECK("\xe2\x80\xae", "\\xe2\\x80\\xae");      /* turns the direction of what follows */
    CHECK("ä€😀", "ä€😀");
}

/* Whatever the bytes are, no markup and nothing but shown UTF-8 comes out. */
static void test_random_bytes_stay_text(void **state)
{
    struct random random = {7};
    (void)state;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[40];
        struct buf text = {0};
        size_t size = random_below(&random, sizeof bytes);
        for (size_t i = 0; i < size; i++) {
            static const char odd[] = "<>&\"'\xEF\xBF\xBE\xe2\x80\n";
            bytes[i] = random_below(&random, 2) == 0
                           ? (uint8_t)odd[random_below(&random, sizeof odd)]
                           : (uint8_t)random_below(&random, 256);
        }
        xml_escape(&text, slice_of(bytes, size));
        for (size_t at = 0; at < text.size;) {
            struct slice rest = slice_of(text.data + at, text.size - at);
            size_t shown = rest.data[0] == '\n' ? 1 : utf8_printable(rest);
            assert_true(shown > 0);
            assert_null(memchr("<>\"'", rest.data[0], 4));
            at += shown;
        }
        buf_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markup_becomes_text),
        cmocka_unit_test(test_what_xml_has_no_place_for_is_written_out),
        cmocka_unit_test(test_random_bytes_stay_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
