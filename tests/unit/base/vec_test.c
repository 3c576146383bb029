#include "../unit.h"

#include "base/vec.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The growable array of base. */

struct pair {
    int64_t left;
    const char *right;
};

static void test_items_keep_their_order_and_content_while_it_grows(void **state)
{
    VEC(struct pair) pairs = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        vec_push(&pairs, (struct pair){.left = i, .right = "x"});
        assert_int_equal(pairs.count, i + 1);
        assert_true(pairs.capacity >= pairs.count);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pairs.items[i].left, i);
        assert_string_equal(pairs.items[i].right, "x");
    }
    vec_deinit(&pairs);
}

static void test_room_doubles_when_it_is_full(void **state)
{
    VEC(char) bytes = {0};
    size_t moves = 0;
    size_t copied = 0;
    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        size_t before = bytes.capacity;
        vec_push(&bytes, 'a');
        if (bytes.capacity != before) {
            moves++;
            copied += before;
        }
    }
    assert_true(copied < 2 * bytes.count);
    assert_in_range(moves, 1, 13);
    vec_deinit(&bytes);
}

static void test_a_reserve_is_enough_for_what_was_asked_and_adds_nothing(void **state)
{
    VEC(int) numbers = {0};
    (void)state;
    vec_reserve(&numbers, 0);
    assert_null(numbers.items);
    vec_push(&numbers, 7);
    vec_reserve(&numbers, 1000);
    assert_int_equal(numbers.count, 1);
    assert_true(numbers.capacity - numbers.count >= 1000);
    const int *before = numbers.items;
    for (int i = 0; i < 1000; i++) {
        vec_push(&numbers, i);
    }
    assert_ptr_equal(numbers.items, before);
    assert_int_equal(numbers.items[0], 7);
    assert_int_equal(numbers.items[1000], 999);
    vec_deinit(&numbers);
}

static void test_an_added_item_is_zeroed_even_where_another_lay(void **state)
{
    VEC(struct pair) pairs = {0};
    (void)state;
    vec_push(&pairs, (struct pair){.left = -1, .right = "old"});
    pairs.count = 0;
    struct pair *added = vec_add(&pairs);
    assert_ptr_equal(added, &pairs.items[0]);
    assert_int_equal(added->left, 0);
    assert_null(added->right);
    assert_int_equal(pairs.count, 1);
    vec_deinit(&pairs);
}

static void test_a_pushed_value_is_evaluated_once(void **state)
{
    VEC(int) numbers = {0};
    int next = 0;
    (void)state;
    for (int i = 0; i < 20; i++) {
        vec_push(&numbers, next++);
    }
    assert_int_equal(next, 20);
    assert_int_equal(numbers.items[19], 19);
    vec_deinit(&numbers);
}

static void test_removal_closes_the_gap(void **state)
{
    static const int removed[] = {0, 1, 2, 4};
    static const int left[][4] = {{1, 2, 3, 4}, {0, 2, 3, 4}, {0, 1, 3, 4}, {0, 1, 2, 3}};
    (void)state;
    for (size_t row = 0; row < sizeof removed / sizeof removed[0]; row++) {
        VEC(int) numbers = {0};
        for (int i = 0; i < 5; i++) {
            vec_push(&numbers, i);
        }
        vec_remove(&numbers, (size_t)removed[row]);
        assert_int_equal(numbers.count, 4);
        assert_memory_equal(numbers.items, left[row], sizeof left[row]);
        vec_deinit(&numbers);
    }
}

static void test_a_freed_array_is_an_empty_one(void **state)
{
    VEC(int) numbers = {0};
    (void)state;
    vec_push(&numbers, 1);
    vec_deinit(&numbers);
    assert_null(numbers.items);
    assert_int_equal(numbers.count, 0);
    assert_int_equal(numbers.capacity, 0);
    vec_push(&numbers, 2);
    assert_int_equal(numbers.items[0], 2);
    vec_deinit(&numbers);
}

/* Whether a child that asks for so many items more than one is ended by abort(). */
static bool ends_the_process(size_t more)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        VEC(struct pair) pairs = {0};
        signal(SIGABRT, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        vec_push(&pairs, (struct pair){.left = 1});
        vec_reserve(&pairs, more);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_a_size_beyond_memory_ends_the_process(void **state)
{
    (void)state;
    assert_true(ends_the_process(SIZE_MAX));                       /* count + more overflows */
    assert_true(ends_the_process(SIZE_MAX / sizeof(struct pair))); /* the product overflows */
    assert_false(ends_the_process(10));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_keep_their_order_and_content_while_it_grows),
        cmocka_unit_test(test_room_doubles_when_it_is_full),
        cmocka_unit_test(test_a_reserve_is_enough_for_what_was_asked_and_adds_nothing),
        cmocka_unit_test(test_an_added_item_is_zeroed_even_where_another_lay),
        cmocka_unit_test(test_a_pushed_value_is_evaluated_once),
        cmocka_unit_test(test_removal_closes_the_gap),
        cmocka_unit_test(test_a_freed_array_is_an_empty_one),
        cmocka_unit_test(test_a_size_beyond_memory_ends_the_process),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
