#include "../unit.h"

#include "base/budget.h"

#include <pthread.h>
#include <unistd.h>

static void test_the_shares_come_to_the_whole(void **state)
{
    (void)state;
    struct budget budget;
    int64_t sum = 0;
    int permille = 0;
    budget_init(&budget, 1000000);
    for (int i = 0; i < BUDGET_SHARES; i++) {
        sum += budget.shares[i].limit_bytes;
        permille += budget_share_permille((enum budget_share)i);
        assert_true(strlen(budget_share_name((enum budget_share)i)) > 0);
    }
    assert_int_equal(sum, 1000 * permille);
    assert_in_range(permille, 850, 950); /* some is left for the program */
}

static void test_what_does_not_fit_is_refused_and_not_counted(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000000); /* 150,000 for frames */
    assert_true(budget_take(&budget, BUDGET_FRAMES, 100000));
    assert_false(budget_take(&budget, BUDGET_FRAMES, 50001));
    assert_true(budget_take(&budget, BUDGET_FRAMES, 50000));
    assert_false(budget_take(&budget, BUDGET_FRAMES, 1));
    assert_false(budget_take(&budget, BUDGET_FRAMES, SIZE_MAX));
    assert_true(budget_take(&budget, BUDGET_ANSWERS, 150000)); /* the others' is theirs */
    budget_give(&budget, BUDGET_FRAMES, 100000);
    assert_true(budget_take(&budget, BUDGET_FRAMES, 1));
    assert_int_equal(atomic_load(&budget.shares[BUDGET_FRAMES].bytes), 50001);
    assert_int_equal(atomic_load(&budget.shares[BUDGET_FRAMES].most_bytes), 150000);
    assert_int_equal(atomic_load(&budget.shares[BUDGET_FRAMES].refused), 3);
}

static void test_what_is_taken_in_any_case_is_seen(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000000);
    budget_add(&budget, BUDGET_GROUPS, 150000);
    assert_false(budget_is_over(&budget, BUDGET_GROUPS));
    budget_add(&budget, BUDGET_GROUPS, 1);
    assert_true(budget_is_over(&budget, BUDGET_GROUPS));
    assert_false(budget_take(&budget, BUDGET_GROUPS, 1));
    budget_give(&budget, BUDGET_GROUPS, 1);
    assert_false(budget_is_over(&budget, BUDGET_GROUPS));
}

static void test_a_part_of_a_share_leaves_the_rest_to_others(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000000); /* 150,000 for frames */
    assert_false(budget_take_within(&budget, BUDGET_FRAMES, 75001, 50));
    assert_true(budget_take_within(&budget, BUDGET_FRAMES, 75000, 50));
    assert_false(budget_take_within(&budget, BUDGET_FRAMES, 1, 50));
    assert_true(budget_take(&budget, BUDGET_FRAMES, 75000));
    assert_true(budget_is_past(&budget, BUDGET_FRAMES, 99));
    assert_false(budget_is_past(&budget, BUDGET_FRAMES, 100));
}

static void test_a_purse_asks_for_whole_pieces(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 10000000); /* 1,500,000 for frames: 22 pieces */
    struct budget_purse purse = {.budget = &budget, .share = BUDGET_FRAMES};
    const _Atomic int64_t *bytes = &budget.shares[BUDGET_FRAMES].bytes;
    assert_true(budget_purse_add(&purse, 1));
    assert_int_equal(atomic_load(bytes), BUDGET_PIECE_BYTES);
    assert_false(budget_purse_add(&purse, BUDGET_PIECE_BYTES - 1)); /* nobody was asked */
    assert_true(budget_purse_take(&purse, 20 * BUDGET_PIECE_BYTES, 100));
    assert_true(budget_purse_take(&purse, BUDGET_PIECE_BYTES, 100));
    assert_false(budget_purse_take(&purse, 1, 100)); /* a piece more does not fit */
    assert_int_equal(purse.used_bytes, 22 * BUDGET_PIECE_BYTES);
    budget_purse_give(&purse, 2 * BUDGET_PIECE_BYTES); /* kept, as it may be needed again */
    assert_int_equal(atomic_load(bytes), 22 * BUDGET_PIECE_BYTES);
    budget_purse_give(&purse, 20 * BUDGET_PIECE_BYTES);
    assert_in_range(atomic_load(bytes), 1, 2 * BUDGET_PIECE_BYTES);
    assert_int_equal(purse.used_bytes, 0);
    struct budget_purse counter = {.budget = NULL};
    (void)budget_purse_add(&counter, 1 << 30);
    assert_int_equal(counter.used_bytes, 1 << 30);
    budget_purse_give(&counter, 1 << 30);
}

static void test_the_last_eighth_is_for_who_has_little(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000000);
    budget.shares[BUDGET_GROUPS].limit_bytes = 640000;
    assert_false(budget_take_fairly(&budget, BUDGET_GROUPS, 560001, 0));
    assert_true(budget_take_fairly(&budget, BUDGET_GROUPS, 560000, BUDGET_NEW));
    assert_false(budget_take_fairly(&budget, BUDGET_GROUPS, 1, BUDGET_NEW));
    assert_false(budget_take_fairly(&budget, BUDGET_GROUPS, 2, 9999));
    assert_true(budget_has_room(&budget, BUDGET_GROUPS, 1, 9999));
    assert_true(budget_take_fairly(&budget, BUDGET_GROUPS, 1, 9999));
    assert_true(budget_take_fairly(&budget, BUDGET_GROUPS, 10000, 0));
    assert_false(budget_has_room(&budget, BUDGET_GROUPS, 10001, 0));
    assert_int_equal(atomic_load(&budget.shares[BUDGET_GROUPS].bytes), 570001);
    budget_add(&budget, BUDGET_GROUPS, 69999);
    assert_false(budget_take_fairly(&budget, BUDGET_GROUPS, 1, 1));
    assert_false(budget_has_room(&budget, BUDGET_GROUPS, SIZE_MAX, 0));
}

enum { TAKERS = 4, TAKES = 20000 };

static void *take_and_give(void *context)
{
    struct budget *budget = context;
    for (int i = 0; i < TAKES; i++) {
        if (budget_take(budget, BUDGET_FRAMES, 60000)) {
            budget_give(budget, BUDGET_FRAMES, 60000);
        }
    }
    return NULL;
}

static void test_threads_never_hold_more_than_the_share(void **state)
{
    (void)state;
    struct budget budget;
    pthread_t threads[TAKERS];
    budget_init(&budget, 1000000);
    for (int i = 0; i < TAKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &budget), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&budget.shares[BUDGET_FRAMES].bytes), 0);
    assert_in_range(atomic_load(&budget.shares[BUDGET_FRAMES].most_bytes), 60000, 150000);
}

static void test_all_shares_together_are_seen(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 100000);
    assert_false(budget_is_spent(&budget, 0));
    budget_add(&budget, BUDGET_FRAMES, 15000);
    budget_add(&budget, BUDGET_ANSWERS, 25000);
    assert_false(budget_is_spent(&budget, 400));
    assert_true(budget_is_spent(&budget, 399));
}

static void test_the_default_fits_the_machine(void **state)
{
    (void)state;
    int64_t bytes = budget_default_bytes();
    int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    assert_true(bytes >= BUDGET_LEAST_BYTES);
    assert_true(bytes <= machine / 2 || bytes == BUDGET_LEAST_BYTES);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_shares_come_to_the_whole),
        cmocka_unit_test(test_what_does_not_fit_is_refused_and_not_counted),
        cmocka_unit_test(test_what_is_taken_in_any_case_is_seen),
        cmocka_unit_test(test_a_part_of_a_share_leaves_the_rest_to_others),
        cmocka_unit_test(test_a_purse_asks_for_whole_pieces),
        cmocka_unit_test(test_the_last_eighth_is_for_who_has_little),
        cmocka_unit_test(test_threads_never_hold_more_than_the_share),
        cmocka_unit_test(test_all_shares_together_are_seen),
        cmocka_unit_test(test_the_default_fits_the_machine),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
