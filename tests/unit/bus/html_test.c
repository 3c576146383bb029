#include "../unit.h"

#include "bus/console/html.h"

#include <stdlib.h>
#include <string.h>

static void check_text(const char *text, const char *expected)
{
    struct html html = {0};
    html_text(&html, text);
    assert_string_equal(buf_cstr(&html.out), expected);
    html_deinit(&html);
}

static void test_texts_of_others_are_no_markup(void **state)
{
    (void)state;
    check_text("<script>alert('x')</script> & \"so\"",
               "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;so&quot;");
    check_text("Größe 東京 😀", "Größe 東京 😀");
    check_text("a\nb\tc", "a\nb\tc");
    check_text("bell\a esc\x1b[31m del\x7f", "bell␇ esc␛[31m del␡");
    check_text("bad \xff\xc0\x80 end", "bad \\xff\\xc0\\x80 end");
    check_text("\xe2\x80\xae"
               "gnp.exe",
               "\\xe2\\x80\\xaegnp.exe"); /* right-to-left override */
    check_text(NULL, "");
}

static void test_any_bytes_stay_inside_of_a_text_and_a_value(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        struct html html = {0};
        char text[] = {'a', (char)byte, 'b', '\0'};
        html_element(&html, "p", text, "title", text, NULL);
        const char *out = buf_cstr(&html.out);
        assert_memory_equal(out, "<p title=\"a", 11);
        const char *quote = strchr(out + 11, '"');
        assert_non_null(quote);
        assert_memory_equal(quote, "\">a", 3);
        assert_null(strpbrk(quote + 2, "\"'"));
        const char *less = strchr(quote + 2, '<');
        assert_non_null(less);
        assert_string_equal(less, "</p>");
        html_deinit(&html);
    }
}

static void test_elements_and_attributes(void **state)
{
    (void)state;
    struct html html = {0};
    html_begin(&html, "a", "href", "/topics/x", "class", NULL, "title", "\"><b>", NULL);
    html_textf(&html, "%d < %s", 3, "4");
    html_end(&html, "a");
    html_void(&html, "input", "name", "q", "value", "'\"", NULL);
    html_begin(&html, "ul", NULL);
    html_element(&html, "li", "x", NULL);
    html_end(&html, "ul");
    assert_int_equal(html.depth, 0);
    assert_string_equal(buf_cstr(&html.out),
                        "<a href=\"/topics/x\" title=\"&quot;&gt;&lt;b&gt;\">3 &lt; 4</a>"
                        "<input name=\"q\" value=\"&#39;&quot;\"><ul><li>x</li></ul>");
    html_deinit(&html);
}

static void test_long_texts_are_whole(void **state)
{
    (void)state;
    struct html html = {0};
    char *text = malloc(5001);
    memset(text, '<', 5000);
    text[5000] = '\0';
    html_textf(&html, "%s", text);
    assert_int_equal(html.out.size, 5000 * 4);
    free(text);
    html_deinit(&html);
}

static void test_links_stay_here(void **state)
{
    static const char *const others[] = {"javascript:alert(1)",
                                         "//evil.example/",
                                         "/\\evil.example",
                                         "http://evil.example",
                                         "data:text/html,x",
                                         "x",
                                         ""};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct html html = {0};
        html_element(&html, "a", "x", "href", others[i], NULL);
        assert_string_equal(buf_cstr(&html.out), "<a>x</a>");
        html_deinit(&html);
    }
    assert_true(html_is_own_url("/"));
    assert_true(html_is_own_url("?a=b"));
    assert_true(html_is_own_url("#x"));
}

static void test_urls_and_command_lines_keep_words_whole(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_string_equal(html_url(&arena, "/topics/{}?key={}", "a/b?c", "x&y=\"ä #"),
                        "/topics/a%2Fb%3Fc?key=x%26y%3D%22%C3%A4%20%23");
    assert_string_equal(html_url(&arena, "/plain"), "/plain");
    assert_string_equal(html_shell(&arena, "tidings topic describe {} --x {}", "orders", "a b"),
                        "tidings topic describe orders --x 'a b'");
    assert_string_equal(html_shell(&arena, "{}", "it's; rm -rf $HOME `x`"),
                        "'it'\\''s; rm -rf $HOME `x`'");
    assert_string_equal(html_shell(&arena, "{}", ""), "''");
    assert_string_equal(html_shell(&arena, "{}", "~root"), "'~root'");
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_of_others_are_no_markup),
        cmocka_unit_test(test_any_bytes_stay_inside_of_a_text_and_a_value),
        cmocka_unit_test(test_elements_and_attributes),
        cmocka_unit_test(test_long_texts_are_whole),
        cmocka_unit_test(test_links_stay_here),
        cmocka_unit_test(test_urls_and_command_lines_keep_words_whole),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
