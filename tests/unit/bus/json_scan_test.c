#include "../unit.h"

#include "bus/event/json_scan.h"

#include <string.h>

/* The elements with | between, and ! with what is wrong. */
static void check_array(const char *text, const char *expected)
{
    char found[256] = "";
    struct json_scan_array array = {.text = slice_str(text)};
    struct slice element;
    while (json_scan_next(&array, &element)) {
        strncat(found, (const char *)element.data, element.size);
        strcat(found, "|");
    }
    if (array.wrong != NULL) {
        strcat(found, "!");
        strcat(found, array.wrong);
    }
    assert_string_equal(found, expected);
    assert_false(json_scan_next(&array, &element));
}

static void test_arrays_come_apart(void **state)
{
    (void)state;
    check_array("[]", "");
    check_array(" [ \n] ", "");
    check_array("[1,2]", "1|2|");
    check_array("[ {\"a\": [1, {\"b\": 2}]} ,\t\"x,]\\\"]\" ]",
                "{\"a\": [1, {\"b\": 2}]} |\"x,]\\\"]\" |");
    check_array("[1,]", "1||"); /* an element that is empty is no JSON */
    check_array("[,]", "||");
    check_array("[{]}]", "!a } closes what no { opened");
}

static void test_what_is_no_array_is_told(void **state)
{
    (void)state;
    check_array("", "!it does not begin with [");
    check_array("{\"a\": []}", "!it does not begin with [");
    check_array("[", "!it ends before its ]");
    check_array("[1, \"2]", "1|!it ends before its ]");
    check_array("[\"\\", "!it ends before its ]");
    check_array("[[[[", "!it ends before its ]");
    check_array("[1}", "!a } closes what no { opened");
    check_array("[] []", "!something stands behind its end");
    check_array("[1], 2]", "!something stands behind its end");
}

static void test_size_of_a_tree(void **state)
{
    (void)state;
    assert_true(json_scan_is_small(slice_str("17"), 1));
    assert_true(json_scan_is_small(slice_str("{\"a\": 1, \"b\": [2, 3]}"), 7));
    assert_false(json_scan_is_small(slice_str("{\"a\": 1, \"b\": [2, 3]}"), 6));
    assert_true(json_scan_is_small(slice_str("\"[[[[[,,,,,\\\"{{{{\""), 1));
    assert_false(json_scan_is_small(slice_str("[[[["), 8));
    assert_true(json_scan_is_small(slice_str("\"not closed \\"), 1));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_come_apart),
        cmocka_unit_test(test_what_is_no_array_is_told),
        cmocka_unit_test(test_size_of_a_tree),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
