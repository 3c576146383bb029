#include "base/pattern.h"
#include "base/random.h"

#include "../unit.h"
#include <regex.h>

#include <stdio.h>
#include <stdlib.h>

/* Regular expressions of subscriptions. */

static bool ask(bool (*how)(const struct pattern *, struct slice), const char *text,
                const char *name)
{
    struct pattern *pattern;
    struct reason reason = {""};
    if (pattern_new(slice_str(text), &pattern, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    bool result = how(pattern, slice_str(name));
    pattern_free(pattern);
    return result;
}

static bool matches(const char *text, const char *name)
{
    return ask(pattern_matches, text, name);
}

static void names_match_as_a_whole(void **state)
{
    static const struct {
        const char *pattern, *yes, *no;
    } cases[] = {
        {"orders", "orders", "orders2"},
        {"orders.*", "orders.eu", "my-orders"},
        {"^orders$", "orders", "order"},
        {"a|bc", "bc", "ac"},
        {"(a|b)+c?", "abba", "abcc"},
        {"a{2,3}", "aaa", "aaaa"},
        {"a{2}", "aa", "aaa"},
        {"a{2,}", "aaaaa", "a"},
        {"a{,2}", "a{,2}", "aa"}, /* no count: the characters themselves */
        {"[a-c]+", "cab", "cad"},
        {"[^a-c]+", "xyz", "xaz"},
        {"[]a]", "]", "b"},
        {"[a\\-z]", "-", "b"},
        {"[\\w.-]+", "a_b.c-d", "a b"},
        {"[[:digit:]]+", "42", "4x"},
        {"[[:^digit:]]+", "xy", "4x"},
        {"\\d+\\.\\d+", "1.5", "1x5"},
        {"\\D\\W\\S", "a-b", "1-b"},
        {"(?:ab)*", "abab", "aba"},
        {"(?P<name>ab)?", "", "a"},
        {"(?i)Orders-X", "oRDERS-x", "orders_x"},
        {"(?i:a)b", "Ab", "AB"},
        {"a.*?b+?", "axxb", "axxc"},
        {"\\Qa.b*\\E.", "a.b*c", "axb*c"},
        {"\\x41\\x{42}", "AB", "ab"},
        {"orders\\b.*", "orders-eu", "orderseu"},
        {"\\Aab\\z", "ab", "abc"},
        {"", "", "a"},
        {"()*", "", "a"},
        {"(a*)*", "aaa", "ab"},
        {"é?x", "x", "y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].pattern);
        assert_true(matches(cases[i].pattern, cases[i].yes));
        assert_false(matches(cases[i].pattern, cases[i].no));
    }
}

static void a_part_of_a_name_is_found(void **state)
{
    static const struct {
        const char *pattern, *yes, *no;
    } cases[] = {
        {"^orders\\.", "orders.eu", "my.orders.eu"},
        {"ders", "orders.eu", "order"},
        {"eu$", "orders.eu", "eu.orders"},
        {"^a|b$", "ac", "cab-"},
        {"x+y", "xxxxy", "xxxx"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].pattern);
        assert_true(ask(pattern_finds, cases[i].pattern, cases[i].yes));
        assert_false(ask(pattern_finds, cases[i].pattern, cases[i].no));
    }
    assert_true(ask(pattern_finds, "", ""));
}

static void bad_ones_are_refused(void **state)
{
    static const char *const bad[] = {
        "(",
        ")",
        "a)",
        "[a",
        "[z-a]",
        "*a",
        "a**",
        "+",
        "a{3,2}",
        "a{1001}",
        "\\",
        "\\1",
        "(?=a)",
        "(?<=a)b",
        "(?<!a)",
        "(?x)a",
        "\\pL",
        "[[:no:]]",
        "\\x4",
        "(?P<n>",
        "((((a{99}){99}){99}){99})",
        "(((){999}){999}){999}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pattern *pattern;
        struct reason reason = {""};
        print_message("%s\n", bad[i]);
        assert_int_equal(pattern_new(slice_str(bad[i]), &pattern, &reason), ERR_INVALID_REGEX);
        assert_null(pattern);
        assert_true(strlen(reason.text) > 10);
    }
    char deep[201];
    memset(deep, '(', 100);
    memset(deep + 100, ')', 100);
    deep[200] = '\0';
    struct pattern *pattern;
    assert_int_equal(pattern_new(slice_str(deep), &pattern, NULL), ERR_INVALID_REGEX);
    char *long_one = malloc(PATTERN_MAX_BYTES + 2);
    memset(long_one, 'a', PATTERN_MAX_BYTES + 1);
    struct slice text = slice_of(long_one, PATTERN_MAX_BYTES + 1);
    assert_int_equal(pattern_new(text, &pattern, NULL), ERR_INVALID_REGEX);
    text.size--;
    assert_int_equal(pattern_new(text, &pattern, NULL), ERR_NONE);
    pattern_free(pattern);
    free(long_one);
}

/* A backtracking matcher takes ages for these. */
static void hard_ones_take_no_time(void **state)
{
    char name[250];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_false(matches("(a*)*b", name));
    assert_false(matches("(a|a)*(a|a)*(a|aa)*b", name));
    assert_true(matches("(.*a){20}", name));
}

/* A random expression that means the same to the C library. */
static void make(struct random *random, int depth, char *to, size_t size)
{
    char left[200] = "", right[200] = "";
    int kind = depth == 0 ? (int)random_below(random, 4) : (int)random_below(random, 10);
    if (kind >= 4) {
        make(random, depth - 1, left, sizeof left);
        make(random, depth - 1, right, sizeof right);
    }
    switch (kind) {
    case 0:
    case 1:
        snprintf(to, size, "%c", 'a' + (int)random_below(random, 3));
        break;
    case 2:
        snprintf(to, size, ".");
        break;
    case 3:
        snprintf(to, size, "[%s%c-c]", random_below(random, 2) ? "^" : "",
                 'a' + (int)random_below(random, 3));
        break;
    case 4:
    case 5:
        snprintf(to, size, "%s%s", left, right);
        break;
    case 6:
        snprintf(to, size, "(%s|%s)", left, right);
        break;
    case 7:
        snprintf(to, size, "(%s)*", left);
        break;
    case 8:
        snprintf(to, size, "(%s)%s", left, random_below(random, 2) ? "+" : "?");
        break;
    default:
        snprintf(to, size, "(%s){1,%d}", left, 1 + (int)random_below(random, 3));
        break;
    }
}

static void agrees_with_the_c_library(void **state)
{
    struct random random = {7};
    size_t both = 0;
    for (int i = 0; i < 3000; i++) {
        char text[200], anchored[210], name[9];
        make(&random, 3, text, sizeof text);
        if (strlen(text) > 190) {
            continue;
        }
        snprintf(anchored, sizeof anchored, "^(%s)$", text);
        regex_t regex, part;
        assert_int_equal(regcomp(&regex, anchored, REG_EXTENDED | REG_NOSUB), 0);
        anchored[strlen(anchored) - 1] = '\0';
        const char *within = anchored + i % 2; /* with its ^ or without */
        assert_int_equal(regcomp(&part, within, REG_EXTENDED | REG_NOSUB), 0);
        for (int n = 0; n < 10; n++) {
            size_t length = random_below(&random, 7);
            for (size_t c = 0; c < length; c++) {
                name[c] = (char)('a' + random_below(&random, 4));
            }
            name[length] = '\0';
            bool expected = regexec(&regex, name, 0, NULL, 0) == 0;
            if (matches(text, name) != expected) {
                fail_msg("'%s' and '%s': the C library says %d", text, name, expected);
            }
            both += expected;
            expected = regexec(&part, name, 0, NULL, 0) == 0;
            if (ask(pattern_finds, within, name) != expected) {
                fail_msg("'%s' within '%s': the C library says %d", within, name, expected);
            }
        }
        regfree(&regex);
        regfree(&part);
    }
    assert_true(both > 1000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_as_a_whole),    cmocka_unit_test(a_part_of_a_name_is_found),
        cmocka_unit_test(bad_ones_are_refused),      cmocka_unit_test(hard_ones_take_no_time),
        cmocka_unit_test(agrees_with_the_c_library),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
