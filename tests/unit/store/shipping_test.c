/* The store's Shipping, on a bus in memory: it waits for order and pieces, in whichever order. */
#include "saga.h"

#include "../unit.h"

#include <unistd.h>

static void placed(struct saga *saga)
{
    saga_tell(saga, "orders", "OrderPlaced", "1", "placed", "MUG 3, TIN 2");
}

static void reserved(struct saga *saga)
{
    saga_tell(saga, "stock", "StockReserved", "1", "reserved", NULL);
}

static void cancelled(struct saga *saga)
{
    saga_tell(saga, "orders", "OrderCancelled", "1", "cancelled", "MUG -3, TIN -2");
}

static void test_a_delivery_waits_for_order_and_pieces(void **state)
{
    struct saga saga;
    saga_start(&saga, &shipping_service, NULL);
    placed(&saga);
    saga_expect(&saga, "");
    assert_false(saga_has_label(&saga, "1"));
    reserved(&saga);
    saga_expect(&saga, "ShipmentPrepared 1.prepared");
    assert_true(saga_has_label(&saga, "1"));
    saga_end(&saga);
}

static void test_the_pieces_may_come_before_the_order(void **state)
{
    struct saga saga;
    saga_start(&saga, &shipping_service, NULL);
    reserved(&saga);
    saga_restart(&saga);
    saga_expect(&saga, "");
    placed(&saga);
    saga_expect(&saga, "ShipmentPrepared 1.prepared");
    assert_true(saga_has_label(&saga, "1"));
    saga_end(&saga);
}

/* Each of the ways in which a cancellation may come before both. */
static void test_what_was_cancelled_before_is_not_shipped(void **state)
{
    void (*const ways[][3])(struct saga *) = {
        {placed, cancelled, reserved},
        {cancelled, placed, reserved},
        {reserved, cancelled, placed},
        {cancelled, reserved, placed},
    };
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct saga saga;
        saga_start(&saga, &shipping_service, NULL);
        for (int i = 0; i < 3; i++) {
            ways[way][i](&saga);
        }
        saga_expect(&saga, "");
        assert_false(saga_has_label(&saga, "1"));
        saga_end(&saga);
    }
}

static void test_what_is_cancelled_later_has_left(void **state)
{
    struct saga saga;
    saga_start(&saga, &shipping_service, NULL);
    placed(&saga);
    reserved(&saga);
    cancelled(&saga);
    saga_expect(&saga, "ShipmentPrepared 1.prepared");
    assert_true(saga_has_label(&saga, "1"));
    saga_end(&saga);
}

static void test_events_that_come_again_prepare_nothing_more(void **state)
{
    struct saga saga;
    saga_start(&saga, &shipping_service, NULL);
    for (int i = 0; i < 2; i++) {
        placed(&saga);
        reserved(&saga);
        saga_restart(&saga);
    }
    saga_expect(&saga, "ShipmentPrepared 1.prepared");
    saga_end(&saga);
}

static void test_a_return_is_nobodys_delivery(void **state)
{
    struct saga saga;
    saga_start(&saga, &shipping_service, NULL);
    saga_tell(&saga, "orders", "OrderCancelled", "C1", "cancelled", "MUG -3");
    saga_expect(&saga, "");
    assert_int_equal(saga_number(&saga, "select count(*) from deliveries"), 0);
    saga_end(&saga);
}

/* The service died between the label and the commit, and then the order was cancelled. */
static void test_a_label_without_a_delivery_is_taken_away(void **state)
{
    struct saga saga;
    char path[160];
    saga_start(&saga, &shipping_service, NULL);
    placed(&saga);
    snprintf(path, sizeof path, "%s/1.txt", saga.labels);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof path, "%s/1.txt.new", saga.labels);
    fclose(fopen(path, "w"));
    assert_true(saga_has_label(&saga, "1"));
    cancelled(&saga);
    reserved(&saga);
    assert_false(saga_has_label(&saga, "1"));
    assert_int_equal(rmdir(saga.labels), 0); /* there is nothing in it */
    saga_expect(&saga, "");
    saga_end(&saga);
}

/* A full disk, say: it is tried again, and nothing was prepared meanwhile. */
static void test_a_label_that_cannot_be_written_is_tried_again(void **state)
{
    struct saga saga;
    char elsewhere[160];
    saga_start(&saga, &shipping_service, NULL);
    snprintf(elsewhere, sizeof elsewhere, "%s/away", saga.folder);
    assert_int_equal(rename(saga.labels, elsewhere), 0);
    placed(&saga);
    reserved(&saga);
    saga_expect(&saga, "");
    assert_int_equal(rename(elsewhere, saga.labels), 0);
    assert_int_equal(tidings_test_advance(saga.bus, 60000, NULL), TIDINGS_OK);
    saga_expect(&saga, "ShipmentPrepared 1.prepared");
    assert_true(saga_has_label(&saga, "1"));
    saga_end(&saga);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delivery_waits_for_order_and_pieces),
        cmocka_unit_test(test_the_pieces_may_come_before_the_order),
        cmocka_unit_test(test_what_was_cancelled_before_is_not_shipped),
        cmocka_unit_test(test_what_is_cancelled_later_has_left),
        cmocka_unit_test(test_events_that_come_again_prepare_nothing_more),
        cmocka_unit_test(test_a_return_is_nobodys_delivery),
        cmocka_unit_test(test_a_label_without_a_delivery_is_taken_away),
        cmocka_unit_test(test_a_label_that_cannot_be_written_is_tried_again),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
