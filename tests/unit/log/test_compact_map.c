#include "log/compact_map.h"

#include "base/random.h"

#include "../unit.h"

#include <stdio.h>

enum { KEYS = 5000 };

static struct slice key_of(int number)
{
    static char text[32];
    snprintf(text, sizeof text, "key-%d", number);
    return slice_str(text);
}

static void the_map_keeps_the_newest_of_each_key(void **state)
{
    (void)state;
    struct compact_map map;
    struct random random = {.state = 1};
    int64_t newest[KEYS];
    compact_map_init(&map, 1 << 20, 0.9, KEYS);
    for (int i = 0; i < KEYS; i++) {
        newest[i] = -1;
        assert_int_equal(compact_map_get(&map, key_of(i)), -1);
    }
    for (int64_t i = 0; i < 4 * KEYS; i++) {
        int key = (int)random_below(&random, KEYS);
        assert_true(compact_map_put(&map, key_of(key), i));
        newest[key] = i;
    }
    assert_true(compact_map_put(&map, key_of(3), 5)); /* older: no change */
    newest[3] = newest[3] < 5 ? 5 : newest[3];
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(compact_map_get(&map, key_of(i)), newest[i]);
    }
    assert_true(compact_map_put(&map, slice_of("", 0), 7));
    assert_int_equal(compact_map_get(&map, slice_of("", 0)), 7);
    compact_map_deinit(&map);
}

/* Whatever it is given, it takes no more room than it may, and says when it is full. */
static void the_map_takes_no_more_room_than_it_may(void **state)
{
    (void)state;
    static const size_t sizes[] = {COMPACT_MAP_MIN_BYTES, 100, 1000, 24000};
    static const double factors[] = {0.01, 0.5, 0.9, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < sizeof factors / sizeof factors[0]; k++) {
            struct compact_map map;
            compact_map_init(&map, sizes[i], factors[k], INT64_MAX);
            assert_true(map.slot_count * sizeof *map.slots <= sizes[i]);
            int taken = 0;
            while (compact_map_put(&map, key_of(taken), taken)) {
                taken++;
            }
            assert_true(taken >= 1 && (size_t)taken < map.slot_count);
            assert_int_equal(taken, map.count);
            for (int n = 0; n < taken; n++) { /* what is known may still be renewed */
                assert_true(compact_map_put(&map, key_of(n), 1000 + n));
                assert_int_equal(compact_map_get(&map, key_of(n)), 1000 + n);
            }
            assert_int_equal(compact_map_get(&map, key_of(taken)), -1);
            compact_map_deinit(&map);
        }
    }
}

static void few_keys_take_little(void **state)
{
    (void)state;
    struct compact_map map;
    compact_map_init(&map, (size_t)128 << 20, 0.9, 10);
    assert_true(map.slot_count < 20 && map.most >= 10);
    compact_map_deinit(&map);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_keeps_the_newest_of_each_key),
        cmocka_unit_test(the_map_takes_no_more_room_than_it_may),
        cmocka_unit_test(few_keys_take_little),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
