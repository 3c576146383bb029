/* The store's Inventory, on a bus in memory: what is reserved, what falls short, what comes back.
 */
#include "saga.h"

#include "../unit.h"

static void placed(struct saga *saga, const char *order, const char *lines)
{
    saga_tell(saga, "orders", "OrderPlaced", order, "placed", lines);
}

static void cancelled(struct saga *saga, const char *order, const char *lines)
{
    saga_tell(saga, "orders", "OrderCancelled", order, "cancelled", lines);
}

static int64_t level(const struct saga *saga, const char *article)
{
    char sql[128];
    snprintf(sql, sizeof sql, "select level from stock where stock_code = '%s'", article);
    return saga_number(saga, sql);
}

static void test_an_order_is_reserved_whole(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    placed(&saga, "1", "MUG 3, TIN 10, MUG 1");
    saga_expect(&saga, "StockReserved 1.reserved");
    assert_int_equal(level(&saga, "MUG"), 6);
    assert_int_equal(level(&saga, "TIN"), 0);
    saga_end(&saga);
}

static void test_an_order_that_is_short_takes_nothing(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    placed(&saga, "1", "MUG 3, TIN 6, TIN 5");
    saga_expect(&saga, "StockShort 1.short");
    assert_int_equal(level(&saga, "MUG"), 10);
    assert_int_equal(level(&saga, "TIN"), 10);
    placed(&saga, "2", "MUG 10");
    saga_expect(&saga, "StockShort 1.short, StockReserved 2.reserved");
    assert_int_equal(saga_number(&saga, "select count(*) from journal where what = 'short'"), 2);
    saga_end(&saga);
}

static void test_a_cancelled_order_gives_back_what_it_held(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    placed(&saga, "1", "MUG 3, TIN 10");
    cancelled(&saga, "1", "MUG -3, TIN -10");
    saga_expect(&saga, "StockReserved 1.reserved, StockReleased 1.released");
    assert_int_equal(level(&saga, "MUG"), 10);
    assert_int_equal(level(&saga, "TIN"), 10);
    saga_end(&saga);
}

static void test_a_cancelled_order_that_was_short_gives_back_nothing(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    placed(&saga, "1", "MUG 11");
    cancelled(&saga, "1", "MUG -11");
    saga_expect(&saga, "StockShort 1.short");
    assert_int_equal(level(&saga, "MUG"), 10);
    saga_end(&saga);
}

static void test_an_order_that_comes_behind_its_cancellation_takes_nothing(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    cancelled(&saga, "1", "MUG -3");
    placed(&saga, "1", "MUG 3");
    saga_expect(&saga, "");
    assert_int_equal(saga_number(&saga, "select count(*) from journal"), 0);
    saga_end(&saga);
}

static void test_a_return_is_put_on_the_shelf(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    cancelled(&saga, "C1", "MUG -3");
    saga_expect(&saga, "");
    assert_int_equal(level(&saga, "MUG"), 13);
    saga_end(&saga);
}

static void test_events_that_come_again_change_nothing(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    for (int i = 0; i < 2; i++) {
        placed(&saga, "1", "MUG 3");
        placed(&saga, "2", "MUG 2");
        cancelled(&saga, "2", "MUG -2");
        cancelled(&saga, "C3", "MUG -1");
        saga_restart(&saga);
    }
    saga_expect(&saga, "StockReserved 1.reserved, StockReserved 2.reserved, StockReleased "
                       "2.released");
    assert_int_equal(level(&saga, "MUG"), 8);
    assert_int_equal(saga_number(&saga, "select min(deliveries) from processed_events"), 2);
    assert_int_equal(saga_number(&saga, "select sum(repeats) from processed_events"), 0);
    saga_end(&saga);
}

static void test_what_is_no_order_is_given_up(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    struct tidings_message message = {
        .topic = "orders", .type = "OrderPlaced", .id = "x", .data = "no order", .data_size = 8};
    assert_int_equal(tidings_test_publish(saga.bus, &message, NULL), TIDINGS_OK);
    placed(&saga, "1", "MUG 3");
    assert_int_equal(tidings_test_count(saga.bus, "dlq.inventory"), 1);
    saga_expect(&saga, "StockReserved 1.reserved");
    saga_end(&saga);
}

static void test_a_poison_order_holds_back_its_customer_until_it_is_mended(void **state)
{
    struct saga saga;
    saga_start(&saga, &inventory_service, "10");
    saga.common.poison = "BAD";
    placed(&saga, "1", "BAD 1");
    placed(&saga, "2", "MUG 1");
    saga_expect(&saga, "");
    saga.common.poison = NULL;
    saga_restart(&saga);
    assert_int_equal(tidings_test_advance(saga.bus, 60000, NULL), TIDINGS_OK);
    saga_expect(&saga, "StockReserved 1.reserved, StockReserved 2.reserved");
    saga_end(&saga);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_order_is_reserved_whole),
        cmocka_unit_test(test_an_order_that_is_short_takes_nothing),
        cmocka_unit_test(test_a_cancelled_order_gives_back_what_it_held),
        cmocka_unit_test(test_a_cancelled_order_that_was_short_gives_back_nothing),
        cmocka_unit_test(test_an_order_that_comes_behind_its_cancellation_takes_nothing),
        cmocka_unit_test(test_a_return_is_put_on_the_shelf),
        cmocka_unit_test(test_events_that_come_again_change_nothing),
        cmocka_unit_test(test_what_is_no_order_is_given_up),
        cmocka_unit_test(test_a_poison_order_holds_back_its_customer_until_it_is_mended),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
