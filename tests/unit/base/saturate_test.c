#include "../unit.h"

#include "base/saturate.h"

static void test_sums_stop_at_the_ends(void **state)
{
    (void)state;
    assert_true(add_saturated(2, 3) == 5);
    assert_true(add_saturated(INT64_MAX, 1) == INT64_MAX);
    assert_true(add_saturated(INT64_MIN, -1) == INT64_MIN);
    assert_true(add_saturated(INT64_MIN, INT64_MIN) == INT64_MIN);
    assert_true(add_saturated(INT64_MAX, INT64_MIN) == -1);
}

static void test_differences_stop_at_the_ends(void **state)
{
    (void)state;
    assert_true(subtract_saturated(2, 3) == -1);
    assert_true(subtract_saturated(0, INT64_MIN) == INT64_MAX);
    assert_true(subtract_saturated(-1, INT64_MIN) == INT64_MAX);
    assert_true(subtract_saturated(INT64_MIN, 1) == INT64_MIN);
    assert_true(subtract_saturated(INT64_MIN, INT64_MAX) == INT64_MIN);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_stop_at_the_ends),
        cmocka_unit_test(test_differences_stop_at_the_ends),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
