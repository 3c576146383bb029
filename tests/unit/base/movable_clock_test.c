#include "base/movable_clock.h"

#include "../unit.h"

/* The clock below, which stands still. */
static int64_t wall_ms(void *context)
{
    (void)context;
    return 1000000;
}

static int64_t mono_ms(void *context)
{
    (void)context;
    return 500;
}

static const struct clock still = {.wall_ms = wall_ms, .mono_ms = mono_ms};

static void it_goes_as_the_other_one_until_it_is_moved(void **state)
{
    struct movable_clock movable;
    movable_clock_init(&movable, &still);
    assert_int_equal(clock_wall_ms(&movable.clock), 1000000);
    assert_int_equal(clock_mono_ms(&movable.clock), 500);
}

static void moves_add_up(void **state)
{
    struct movable_clock movable;
    struct reason reason;
    movable_clock_init(&movable, &still);
    assert_int_equal(movable_clock_advance(&movable, 7000, false, &reason), ERR_NONE);
    assert_int_equal(movable_clock_advance(&movable, 0, false, &reason), ERR_NONE);
    assert_int_equal(movable_clock_advance(&movable, 300, false, &reason), ERR_NONE);
    assert_int_equal(clock_wall_ms(&movable.clock), 1007300);
    assert_int_equal(clock_mono_ms(&movable.clock), 7800);
}

static void the_calendar_may_be_moved_alone(void **state)
{
    struct movable_clock movable;
    struct reason reason;
    movable_clock_init(&movable, &still);
    assert_int_equal(movable_clock_advance(&movable, 7000, true, &reason), ERR_NONE);
    assert_int_equal(clock_wall_ms(&movable.clock), 1007000);
    assert_int_equal(clock_mono_ms(&movable.clock), 500);
}

static void it_is_not_moved_back_nor_beyond_its_limit(void **state)
{
    struct movable_clock movable;
    struct reason reason;
    movable_clock_init(&movable, &still);
    assert_int_equal(movable_clock_advance(&movable, -1, false, &reason), ERR_INVALID);
    assert_int_equal(movable_clock_advance(&movable, MOVABLE_CLOCK_MOST_MS - 5, false, &reason),
                     ERR_NONE);
    assert_int_equal(movable_clock_advance(&movable, 6, false, &reason), ERR_INVALID);
    assert_int_equal(movable_clock_advance(&movable, INT64_MAX, true, &reason), ERR_INVALID);
    assert_int_equal(clock_mono_ms(&movable.clock), 500 + MOVABLE_CLOCK_MOST_MS - 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_as_the_other_one_until_it_is_moved),
        cmocka_unit_test(moves_add_up),
        cmocka_unit_test(the_calendar_may_be_moved_alone),
        cmocka_unit_test(it_is_not_moved_back_nor_beyond_its_limit),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
