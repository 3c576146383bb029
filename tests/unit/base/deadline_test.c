#include "../unit.h"

#include "base/deadline.h"

/* A moment by which all of something is over. */

enum { LONG_MS = 1000000 };

static void test_nobody_hurries_before_it_begins(void **state)
{
    struct deadline deadline = {0};
    assert_false(deadline_has_begun(&deadline));
    assert_false(deadline_has_begun(NULL));
    assert_int_equal(deadline_left_ms(&deadline, 7), 7);
    assert_int_equal(deadline_left_ms(NULL, 7), 7);
}

static void test_what_is_left_is_for_all(void **state)
{
    struct deadline deadline = {0};
    deadline_begin(&deadline, LONG_MS);
    assert_true(deadline_has_begun(&deadline));
    assert_int_equal(deadline_left_ms(&deadline, 7), 7);
    int64_t left_ms = deadline_left_ms(&deadline, 2 * LONG_MS);
    assert_in_range(left_ms, 1, LONG_MS);
    deadline_begin(&deadline, 2 * LONG_MS); /* it has begun, and is not put off */
    assert_in_range(deadline_left_ms(&deadline, 2 * LONG_MS), 1, LONG_MS);
}

static void test_nothing_is_left_when_it_is_over(void **state)
{
    struct deadline deadline = {0};
    deadline_begin(&deadline, -1);
    assert_int_equal(deadline_left_ms(&deadline, 7), 0);
    deadline_grant(&deadline, LONG_MS);
    assert_int_equal(deadline_left_ms(&deadline, 7), 7);
    deadline_grant(&deadline, 1); /* more is left */
    assert_in_range(deadline_left_ms(&deadline, 2 * LONG_MS), 2, LONG_MS);
}

static void test_who_cannot_be_ended_leaves_half_of_it(void **state)
{
    enum { LEAST_MS = 1000, MOST_MS = 5000 };
    const int64_t steps_ms[][2] = {{0, 5000},    {1, 1000},     {1000, 1000}, {2000, 1000},
                                   {5000, 2500}, {30000, 5000}, {9998, 4999}};
    for (size_t i = 0; i < sizeof steps_ms / sizeof steps_ms[0]; i++) {
        struct deadline deadline = {.within_ms = steps_ms[i][0]};
        assert_int_equal(deadline_step_ms(&deadline, LEAST_MS, MOST_MS), steps_ms[i][1]);
    }
    assert_int_equal(deadline_step_ms(NULL, LEAST_MS, MOST_MS), MOST_MS);
    struct deadline deadline = {.within_ms = 1};
    deadline_begin(&deadline, LONG_MS); /* all that is left may be taken */
    assert_int_equal(deadline_step_ms(&deadline, LEAST_MS, MOST_MS), MOST_MS);
    deadline = (struct deadline){.within_ms = 1};
    deadline_begin(&deadline, -1);
    assert_int_equal(deadline_step_ms(&deadline, LEAST_MS, MOST_MS), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_hurries_before_it_begins),
        cmocka_unit_test(test_what_is_left_is_for_all),
        cmocka_unit_test(test_nothing_is_left_when_it_is_over),
        cmocka_unit_test(test_who_cannot_be_ended_leaves_half_of_it),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
