/* The store's orders: JSON, prices, dates. */
#include "intake.h"
#include "order.h"

#include "../unit.h"

#include <stdlib.h>
#include <string.h>

static void test_prices_are_read_exactly(void **state)
{
    const struct {
        const char *text;
        int64_t price;
    } good[] = {
        {"2.55", 25500}, {"0", 0},      {"-11062.06", -110620600}, {"0.001", 10},
        {".5", 5000},    {"7.", 70000}, {"1.25000", 12500},        {"999999999", 9999999990000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t price = 1;
        assert_true(price_parse(good[i].text, &price));
        assert_int_equal(price, good[i].price);
    }
    const char *bad[] = {"", "-", ".", "1,5", "1.2.3", "2.00001", "1e3", " 1", "12345678901", "1x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t price;
        assert_false(price_parse(bad[i], &price));
    }
}

static void test_what_is_not_plain_is_escaped(void **state)
{
    char to[64];
    text_escape(to, "A-b_9", "");
    assert_string_equal(to, "A-b_9");
    text_escape(to, "../\xC3\x9C.", ".");
    assert_string_equal(to, "..%2F%C3%9C.");
    text_escape(to, ".%2E", "");
    assert_string_equal(to, "%2E%252E");
    text_escape(to, "", ".");
    assert_string_equal(to, "");
}

static void test_dates_are_read_in_each_way_of_writing(void **state)
{
    char iso[20];
    assert_true(intake_date("12-01-2010 08:26", iso));
    assert_string_equal(iso, "2010-12-01T08:26:00");
    assert_true(intake_date("12/1/2010 8:26", iso));
    assert_string_equal(iso, "2010-12-01T08:26:00");
    assert_true(intake_date("2010-12-01 08:26:59", iso));
    assert_string_equal(iso, "2010-12-01T08:26:59");
    const char *bad[] = {"",           "yesterday",        "13-01-2010 08:26", "12-32-2010 08:26",
                         "12-01-2010", "12-01-2010 24:00", "12-01-2010 08:26x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(intake_date(bad[i], iso));
    }
}

static void test_an_order_comes_back_from_its_json(void **state)
{
    struct order order = {.id = strdup("C7"), .country = strdup("EIRE")}, read;
    order_add_line(&order, "A1", "CAF\xC3\x89, \"x\"", -3, 8550);
    order_add_line(&order, "B2", "", -7, 10);
    char *json = order_to_json(&order);
    struct order_problem problem;
    assert_true(order_from_event(json, strlen(json), &read, &problem));
    assert_string_equal(read.id, "C7");
    assert_null(read.customer_id);
    assert_true(order_is_return(&read));
    assert_int_equal(read.line_count, 2);
    assert_string_equal(read.lines[0].description, "CAF\xC3\x89, \"x\"");
    assert_true(order_is_clear(&read));
    assert_int_equal(order_amount(&read), -3 * 8550 - 70);
    read.lines[1].quantity = 7;
    assert_false(order_is_clear(&read));
    free(json);
    order_deinit(&order);
    order_deinit(&read);
}

static void test_an_event_may_leave_out_the_lines_but_an_order_not(void **state)
{
    struct order order = {.id = strdup("7"), .country = strdup("EIRE"), .cancels = strdup("7")};
    struct order read;
    char *json = order_to_json(&order);
    struct order_problem problem;
    assert_true(order_from_event(json, strlen(json), &read, &problem));
    assert_string_equal(read.cancels, "7");
    assert_string_equal(order_key(&read), "7");
    assert_false(order_is_return(&read));
    order_deinit(&read);
    assert_false(order_from_json(json, strlen(json), &read, &problem));
    free(json);
    order_deinit(&order);
}

static void expect_refused(const char *json, const char *why)
{
    struct order order;
    struct order_problem problem;
    assert_false(order_from_event(json, strlen(json), &order, &problem));
    if (strstr(problem.text, why) == NULL) {
        fail_msg("expected \"%s\", got \"%s\"", why, problem.text);
    }
    assert_null(order.id);
}

static void test_an_order_of_bad_json_is_refused_with_a_reason(void **state)
{
    expect_refused("{\"orderId\"", "not JSON");
    expect_refused("[]", "an order is a JSON object");
    expect_refused("{\"orderId\": 5, \"country\": \"X\"}", "orderId must be a text");
    expect_refused("{\"orderId\": \"a\\nb\", \"country\": \"X\"}", "orderId must be a text");
    expect_refused("{\"orderId\": \"\", \"country\": \"X\"}", "orderId must be a text");
    expect_refused("{\"orderId\": \"5\"}", "country is missing");
    expect_refused("{\"orderId\": \"5\", \"country\": \"X\", \"lines\": []}",
                   "lines must be a list");
#define LINES(line) "{\"orderId\": \"5\", \"country\": \"X\", \"lines\": [" line "]}"
    expect_refused(LINES("{}"), "line 1: stockCode");
    expect_refused(LINES("{\"stockCode\": \"a\", \"quantity\": 0, \"unitPrice\": 1}"),
                   "line 1: quantity");
    expect_refused(LINES("{\"stockCode\": \"a\", \"quantity\": 1.5, \"unitPrice\": 1}"),
                   "line 1: quantity");
    expect_refused(LINES("{\"stockCode\": \"a\", \"quantity\": 1, \"unitPrice\": \"2\"}"),
                   "line 1: unitPrice");
    expect_refused("{\"country\": \"X\", \"lines\": [{\"stockCode\": \"a\", \"quantity\": 1,"
                   " \"unitPrice\": 2}]}",
                   "orderId is missing");
    struct order order;
    struct order_problem problem;
    assert_false(order_from_event(NULL, 0, &order, &problem));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices_are_read_exactly),
        cmocka_unit_test(test_what_is_not_plain_is_escaped),
        cmocka_unit_test(test_dates_are_read_in_each_way_of_writing),
        cmocka_unit_test(test_an_order_comes_back_from_its_json),
        cmocka_unit_test(test_an_event_may_leave_out_the_lines_but_an_order_not),
        cmocka_unit_test(test_an_order_of_bad_json_is_refused_with_a_reason),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
