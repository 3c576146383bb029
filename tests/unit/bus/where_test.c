#include "../unit.h"

#include "base/buf.h"
#include "bus/event/where.h"

/* A thing with a name, a size, a time and headers. */
struct thing {
    const char *name;
    int64_t size; /* below 0: none */
    int64_t at_ms;
    const char *tenant; /* a header */
};

static const struct where_field fields[] = {{"name", WHERE_TEXT},
                                            {"size", WHERE_NUMBER},
                                            {"at", WHERE_TIME},
                                            {"data.", WHERE_OPEN},
                                            {NULL, WHERE_TEXT}};

static struct where_value get(const void *context, size_t field, const char *rest)
{
    const struct thing *thing = context;
    if (field == 3) { /* says what it is asked for */
        return (struct where_value){.is_there = strcmp(rest, "none") != 0, .text = slice_str(rest)};
    }
    if (field == WHERE_HEADER) {
        bool is_it = strcmp(rest, "tenant") == 0 && thing->tenant != NULL;
        return (struct where_value){.is_there = is_it, .text = slice_str(thing->tenant)};
    }
    switch (field) {
    case 0:
        return (struct where_value){.is_there = thing->name != NULL,
                                    .text = slice_str(thing->name)};
    case 1:
        return (struct where_value){.is_there = thing->size >= 0, .number = thing->size};
    default:
        return (struct where_value){.is_there = true, .number = thing->at_ms};
    }
}

enum { NOW_MS = 1700000000 };

static bool holds(const char *text, const struct thing *thing)
{
    struct where *where = where_new(fields);
    struct reason reason = {0};
    if (where_add(where, text, NOW_MS, &reason) != ERR_NONE) {
        print_message("%s: %s\n", text, reason.text);
        fail();
    }
    bool result = where_holds(where, get, thing);
    where_free(where);
    return result;
}

static void test_what_holds(void **state)
{
    (void)state;
    const struct thing thing = {"order.placed", 42, NOW_MS - 60000, "acme"};
    static const char *const yes[] = {
        "name = order.placed",
        "name=order.placed",
        "  name  ==  'order.placed'  ",
        "name ~ order.*",
        "name ~ '*placed'",
        "name ~ order?pl*d",
        "name !~ paid",
        "data.a.b = a.b",
        "data.10 > 9", /* as numbers */
        "data.12.5 < 100",
        "data.-1e3 < -12.5",
        "data.1.10 != 1.1",
        "data.0x20 < 100", /* no number: as texts */
        "data.x ~ x",
        "data.x and not data.none",
        "name != x",
        "name < p and name > a",
        "size = 42 and size >= 42 and size <= 42 and size > 7 and size < 100",
        "size != 7",
        "at < now and at > -1h",
        "at >= -60s and at <= -60s",
        "header.tenant = acme",
        "header.tenant",
        "not header.shop",
        "header.shop != x",
        "header.shop !~ *",
        "name",
        "NOT (name = a OR name = b) AND size = 42",
        "name = a or name = order.placed and size = 42",
        "(name = a or name = order.placed) and size = 42",
        "not not name",
        "((((name))))",
    };
    static const char *const no[] = {
        "name = order",
        "name ~ placed",
        "name = ''",
        "size = 7",
        "size > 42",
        "at > now",
        "header.shop",
        "header.shop = ''",
        "header.shop < z",
        "header.shop ~ *",
        "not name",
        "name = a or name = b",
        "name = order.placed and size = 7",
        "header.tenant = ACME",
    };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!holds(yes[i], &thing)) {
            fail_msg("does not hold: %s", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (holds(no[i], &thing)) {
            fail_msg("holds: %s", no[i]);
        }
    }
}

static void test_quotes_and_numbers(void **state)
{
    (void)state;
    const struct thing quoted = {"it's a \"b\\c\" (d)", -1, 0, "10"};
    assert_true(holds("name = 'it\\'s a \"b\\\\c\" (d)'", &quoted));
    assert_true(holds("name = \"it's a \\\"b\\\\c\\\" (d)\"", &quoted));
    assert_false(holds("size = 0", &quoted));
    assert_true(holds("size != 0", &quoted));
    assert_true(holds("header.tenant > 9", &quoted));   /* as numbers */
    assert_false(holds("header.tenant > 9x", &quoted)); /* as texts */
    const struct thing digits = {"007", 7, 0, "007"};
    assert_false(holds("name = 7", &digits)); /* a text is no number */
    assert_true(holds("header.tenant = 7", &digits));
}

static void test_what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"", "it ends where the name of a field should come"},
        {"name =", "it ends where a value should come"},
        {"name = )", "at letter 8"},
        {"colour = red",
         "there is no field 'colour'; there are: name, size, at, data.NAME, header.NAME"},
        {"header. = x", "there is no field 'header.'"},
        {"size = big", "size is a number, 'big' is none"},
        {"size ~ 4*", "size is no text"},
        {"at > soon", "at: "},
        {"name = 'x", "a quote is not closed"},
        {"name = 'x\\", "a quote is not closed"},
        {"(name = x", "')' should come"},
        {"name = x name = y", "'and', 'or' or the end should come"},
        {"name = x and", "it ends where the name of a field should come"},
        {"and", "there is no field 'and'"},
        {"= x", "the name of a field should come"},
    };
    const struct thing thing = {"order.placed", 42, 0, NULL};
    struct where *where = where_new(fields);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reason reason = {0};
        assert_int_equal(where_add(where, rows[i].text, NOW_MS, &reason), ERR_INVALID);
        if (strstr(reason.text, rows[i].told) == NULL) {
            fail_msg("%s: said '%s'", rows[i].text, reason.text);
        }
    }
    assert_true(where_is_empty(where));
    assert_true(where_holds(where, get, &thing));
    where_free(where);
}

static void test_what_is_too_much_is_refused(void **state)
{
    (void)state;
    struct where *where = where_new(fields);
    char deep[WHERE_MAX_DEPTH * 4 + 8];
    char *wide = calloc(1, WHERE_MAX_BYTES + 2);
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(where_add(where, deep, 0, NULL), ERR_INVALID);
    memset(deep, '\0', sizeof deep);
    for (int i = 0; i < WHERE_MAX_DEPTH; i++) {
        strcpy(deep + strlen(deep), "not ");
    }
    assert_int_equal(where_add(where, deep, 0, NULL), ERR_INVALID);
    memset(wide, ' ', WHERE_MAX_BYTES + 1);
    assert_int_equal(where_add(where, wide, 0, NULL), ERR_INVALID);
    const char *const values[] = {"a", "b"};
    int added = 0;
    while (where_add_any(where, "name", "=", values, 2, 0, NULL) == ERR_NONE) {
        assert_true(++added < WHERE_MAX_NODES);
    }
    assert_true(added > WHERE_MAX_NODES / 5);
    const struct thing thing = {"b", 0, 0, NULL};
    assert_true(where_holds(where, get, &thing)); /* what was taken before still counts */
    free(wide);
    where_free(where);
}

static void test_what_is_added_narrows(void **state)
{
    (void)state;
    struct where *where = where_new(fields);
    const struct thing thing = {"b", 3, 0, NULL};
    const char *const names[] = {"a", "b"}, *const sizes[] = {"4"};
    assert_int_equal(where_add_any(where, "name", "=", NULL, 0, 0, NULL), ERR_NONE);
    assert_true(where_is_empty(where));
    assert_int_equal(where_add_any(where, "name", "=", names, 2, 0, NULL), ERR_NONE);
    assert_true(where_holds(where, get, &thing));
    assert_int_equal(where_add(where, "size = 3 or size = 4", 0, NULL), ERR_NONE);
    assert_true(where_holds(where, get, &thing));
    assert_true(where_uses(where, "size"));
    assert_false(where_uses(where, "at"));
    assert_int_equal(where_add_any(where, "size", ">=", sizes, 1, 0, NULL), ERR_NONE);
    assert_false(where_holds(where, get, &thing));
    assert_int_equal(where_add_any(where, "size", "=", names, 1, 0, NULL), ERR_INVALID);
    where_free(where);
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool fits;
    } rows[] = {
        {"", "", true},
        {"*", "", true},
        {"?", "", false},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "abcabc", true},
        {"a*b*c", "acb", false},
        {"**a", "ba", true},
        {"a?", "ab", true},
        {"a?", "a", false},
        {"*aab", "aaaaaab", true},
        {"[a]", "a", false},
        {"[a]", "[a]", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(where_glob(rows[i].pattern, slice_str(rows[i].text)), rows[i].fits);
    }
    assert_true(where_glob("a*", slice_of("a\0b", 3)));
    assert_false(where_glob("a", slice_of("a\0b", 3)));
}

/* The same by the definition: a star is nothing, or a letter and the star. */
static bool fits_by_definition(const char *pattern, const char *text)
{
    if (*pattern == '*') {
        return fits_by_definition(pattern + 1, text) ||
               (*text != '\0' && fits_by_definition(pattern, text + 1));
    }
    return *pattern == '\0' ? *text == '\0'
                            : *text != '\0' && (*pattern == '?' || *pattern == *text) &&
                                  fits_by_definition(pattern + 1, text + 1);
}

/* Of few letters, so that much of it fits. Behind many others, which a star takes, so that the text
 * is a large one: then as many of those as the pattern has letters may be the pattern's as well. */
static void test_patterns_fit_as_defined(void **state)
{
    (void)state;
    enum { ROUNDS = 300, LARGE = 200000, LETTERS = 12 };
    unsigned random = 1;
    char *large = calloc(1, LARGE + LETTERS + 1);
    size_t fitting = 0;
    memset(large, 'x', LARGE);
    for (int round = 0; round < ROUNDS; round++) {
        char pattern[LETTERS + 1] = "", behind[LETTERS + 8], *text = large + LARGE;
        memset(text, '\0', LETTERS);
        for (size_t i = 0; i < LETTERS; i++) {
            random = random * 1103515245U + 12345U;
            pattern[i] = i <= (size_t)round % LETTERS ? "ab?*"[random >> 20 & 3] : '\0';
            text[i] = i <= random >> 28 ? "ab"[random >> 16 & 1] : '\0';
        }
        bool fits = fits_by_definition(pattern, text), fits_behind = false;
        for (size_t i = 0; i <= LETTERS; i++) {
            fits_behind |= fits_by_definition(pattern, text - i);
        }
        snprintf(behind, sizeof behind, "*xx%s", pattern);
        assert_int_equal(where_glob(pattern, slice_str(text)), fits);
        assert_int_equal(where_glob(behind, slice_str(large)), fits_behind);
        fitting += fits_behind;
    }
    assert_true(fitting > ROUNDS / 10 && fitting < ROUNDS);
    free(large);
}

/* One at a time they would take minutes. */
static void test_a_pattern_that_nearly_fits_a_large_text_is_quick(void **state)
{
    (void)state;
    enum { TEXT = 1000000, PATTERN = 4000, TIMES = 40 };
    char *text = malloc(TEXT), pattern[PATTERN + 1];
    memset(text, 'a', TEXT);
    memset(pattern, 'a', PATTERN);
    pattern[0] = '*';
    pattern[PATTERN / 2] = '?';
    pattern[PATTERN] = '\0';
    assert_true(where_glob(pattern, slice_of(text, TEXT)));
    pattern[PATTERN - 1] = 'b';
    for (int i = 0; i < TIMES; i++) {
        assert_false(where_glob(pattern, slice_of(text, TEXT)));
    }
    text[TEXT - 1] = 'b';
    assert_true(where_glob(pattern, slice_of(text, TEXT)));
    free(text);
}

static void note_part(void *context, const struct where_part *part)
{
    struct buf *said = context;
    buf_printf(said, "%s%s%s|", part->holds ? "+" : "-", part->text,
               part->is_test && !part->value.is_there ? " (none)" : "");
}

static void test_each_part_is_told_in_words_of_the_language(void **state)
{
    (void)state;
    const struct thing thing = {"order.placed", 42, NOW_MS, "acme"};
    struct where *where = where_new(fields);
    struct buf said = {0};
    struct reason reason;
    assert_int_equal(where_tell(where, get, &thing, note_part, &said), 0);
    assert_int_equal(where_add(where,
                               "name='it\\'s' and size >= 42 and not header.none and "
                               "(size<3 or data.none and not name ~ 'o*')",
                               NOW_MS, &reason),
                     ERR_NONE);
    assert_int_equal(where_tell(where, get, &thing, note_part, &said), 2);
    assert_string_equal(buf_cstr(&said), "-name = 'it\\'s'|+size >= '42'|+not header.none (none)|"
                                         "-(size < '3' or (data.none and not name ~ 'o*'))|");
    buf_deinit(&said);
    where_free(where);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_holds),
        cmocka_unit_test(test_each_part_is_told_in_words_of_the_language),
        cmocka_unit_test(test_quotes_and_numbers),
        cmocka_unit_test(test_what_is_wrong_is_told),
        cmocka_unit_test(test_what_is_too_much_is_refused),
        cmocka_unit_test(test_what_is_added_narrows),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_fit_as_defined),
        cmocka_unit_test(test_a_pattern_that_nearly_fits_a_large_text_is_quick),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
