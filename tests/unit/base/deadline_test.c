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

static void test_who_waits_leaves_half_of_what_begins_meanwhile(void **state)
{
    struct deadline deadline = {.within_ms = LONG_MS};
    assert_false(deadline_is_pressing(NULL, false));
    assert_false(deadline_is_pressing(&deadline, false));
    deadline_begin(&deadline, LONG_MS / 2 + LONG_MS / 4);
    assert_false(deadline_is_pressing(&deadline, false));
    deadline = (struct deadline){.within_ms = LONG_MS};
    deadline_begin(&deadline, LONG_MS / 2);
    assert_true(deadline_is_pressing(&deadline, false));
    assert_false(deadline_is_pressing(&deadline, true)); /* all that is left may be taken */
    deadline = (struct deadline){.within_ms = LONG_MS};
    deadline_begin(&deadline, -1);
    assert_true(deadline_is_pressing(&deadline, true));
    deadline = (struct deadline){0}; /* how long it is was not said */
    deadline_begin(&deadline, LONG_MS);
    assert_false(deadline_is_pressing(&deadline, false));
    deadline = (struct deadline){0};
    deadline_begin(&deadline, 0);
    assert_true(deadline_is_pressing(&deadline, false));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_hurries_before_it_begins),
        cmocka_unit_test(test_what_is_left_is_for_all),
        cmocka_unit_test(test_nothing_is_left_when_it_is_over),
        cmocka_unit_test(test_who_waits_leaves_half_of_what_begins_meanwhile),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
