#include "../../unit.h"

#include "client/admin/position.h"

#include <string.h>

static const int64_t NOON_MS = INT64_C(1769947200000); /* 2026-02-01T12:00:00Z */

static void test_a_place_is_read_in_the_forms_that_people_type(void **state)
{
    (void)state;
    struct position at;
    assert_int_equal(position_parse("earliest", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_START);
    assert_int_equal(position_parse("end", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_END);
    assert_int_equal(position_parse("42", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_OFFSET);
    assert_int_equal(at.value, 42);
    assert_int_equal(position_parse("-10", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_LAST);
    assert_int_equal(at.value, 10);
    assert_int_equal(position_parse("-10m", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_TIME);
    assert_int_equal(at.value, NOON_MS - 600000);
    struct reason reason;
    assert_int_equal(position_parse("middle", NOON_MS, &at, &reason), ERR_INVALID);
    assert_non_null(strstr(reason.text, "'middle'"));
    assert_int_equal(position_parse("99999999999999999999", NOON_MS, &at, NULL), ERR_INVALID);
}

static void test_places_stay_within_bounds(void **state)
{
    (void)state;
    struct admin_bounds bounds = {.start = 100, .end = 200};
    static const struct {
        struct position position;
        int64_t offset;
    } cases[] = {{{POSITION_START, 0}, 100},       {{POSITION_END, 0}, 200},
                 {{POSITION_OFFSET, 150}, 150},    {{POSITION_OFFSET, 3}, 100},
                 {{POSITION_OFFSET, 900}, 200},    {{POSITION_LAST, 10}, 190},
                 {{POSITION_LAST, 1000}, 100},     {{POSITION_LAST, 0}, 200},
                 {{POSITION_LAST, INT64_MAX}, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(position_offset(&cases[i].position, bounds), cases[i].offset);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_place_is_read_in_the_forms_that_people_type),
        cmocka_unit_test(test_places_stay_within_bounds),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
