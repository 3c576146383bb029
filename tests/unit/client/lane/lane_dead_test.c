#include "../../unit.h"

#include "client/lane/lane_dead.h"

static const char *header(const struct event *event, const char *name)
{
    const struct event_header *found = event_header_find(event, name);
    return found != NULL ? (const char *)found->value.data : NULL;
}

static void test_a_dead_letter_is_the_event_and_says_why(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event_header own = {"ce_id", slice_str("77")};
    struct event event = event_blank(), letter;
    char fingerprint[LANE_FINGERPRINT_SIZE];
    event.topic = "orders";
    event.partition = 3;
    event.offset = 41;
    event.timestamp_ms = 1700000000000;
    event.key = slice_str("anna");
    event.value = slice_str("{}");
    event.headers = &own;
    event.header_count = 1;
    struct lane_death death = {.group = "email",
                               .handler = "orders",
                               .error_class = "smtp",
                               .message = "550 no such user",
                               .attempts = 10,
                               .first_failure_ms = 1700000001000,
                               .last_failure_ms = 1700000002500,
                               .closes_lane = true};
    lane_dead_letter(&event, &death, "dlq.email", &arena, &letter);
    assert_string_equal(letter.topic, "dlq.email");
    assert_int_equal(letter.partition, -1);
    assert_true(slice_equal_str(letter.key, "anna"));
    assert_true(slice_equal_str(letter.value, "{}"));
    assert_string_equal(letter.headers[0].name, "ce_id");
    assert_string_equal(header(&letter, "__dlq.errors.topic"), "orders");
    assert_string_equal(header(&letter, "__dlq.errors.partition"), "3");
    assert_string_equal(header(&letter, "__dlq.errors.offset"), "41");
    assert_string_equal(header(&letter, "__dlq.errors.group"), "email");
    assert_string_equal(header(&letter, "__dlq.errors.delivery.count"), "10");
    assert_string_equal(header(&letter, "__dlq.errors.message"), "550 no such user");
    assert_string_equal(header(&letter, "tidings-dead-version"), "1");
    assert_string_equal(header(&letter, "tidings-dead-first-failure"), "2023-11-14T22:13:21.000Z");
    assert_string_equal(header(&letter, "tidings-dead-last-failure"), "2023-11-14T22:13:22.500Z");
    assert_string_equal(header(&letter, "tidings-dead-published"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(header(&letter, "tidings-dead-attempts"), "10");
    assert_string_equal(header(&letter, "tidings-dead-handler"), "orders");
    assert_string_equal(header(&letter, "tidings-dead-error-class"), "smtp");
    assert_string_equal(header(&letter, "tidings-dead-fingerprint"),
                        lane_dead_fingerprint("smtp", "550 no such user", fingerprint));
    assert_string_equal(header(&letter, "tidings-dead-lane"), "closed");
    assert_int_equal(event.header_count, 1);
    arena_deinit(&arena);
}

static void test_the_event_comes_out_of_its_letter_as_it_was(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event_header own[] = {{"ce_id", slice_str("77")},
                                 {"__dlq.errors.topic", slice_str("x")}};
    struct event event = event_blank(), letter, again;
    struct lane_dead_place place;
    event.topic = "orders";
    event.partition = 3;
    event.offset = 41;
    event.timestamp_ms = 1700000000123;
    event.key = slice_str("anna");
    event.headers = own;
    event.header_count = 2; /* one was dead elsewhere before */
    struct lane_death death = {.group = "email", .closes_lane = true, .redrive = 2};
    assert_false(lane_dead_event(&event, &again, &place));
    lane_dead_letter(&event, &death, "dlq.email", &arena, &letter);
    assert_string_equal(header(&letter, "tidings-dead-redrive"), "2");
    letter.partition = 1;
    letter.offset = 99;
    assert_true(lane_dead_event(&letter, &again, &place));
    assert_string_equal(place.topic, "orders");
    assert_int_equal(place.partition, 3);
    assert_int_equal(place.offset, 41);
    assert_true(place.closes_lane);
    assert_string_equal(again.topic, "orders");
    assert_int_equal(again.partition, 3);
    assert_int_equal(again.offset, 41);
    assert_int_equal(again.timestamp_ms, 1700000000123);
    assert_true(slice_equal_str(again.key, "anna"));
    assert_true(slice_is_null(again.value));
    assert_int_equal(again.header_count, 2);
    assert_true(slice_equal_str(again.headers[1].value, "x"));
    arena_deinit(&arena);
}

static void test_what_is_not_known_is_left_out(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event event = event_blank(), letter;
    struct lane_death death = {.group = "email", .handler = "h"};
    event.topic = "orders";
    lane_dead_letter(&event, &death, "dlq.email", &arena, &letter);
    assert_true(slice_is_null(letter.key));
    assert_true(slice_is_null(letter.value));
    assert_null(event_header_find(&letter, "__dlq.errors.delivery.count"));
    assert_null(event_header_find(&letter, "__dlq.errors.message"));
    assert_null(event_header_find(&letter, "tidings-dead-first-failure"));
    assert_null(event_header_find(&letter, "tidings-dead-error-class"));
    assert_string_equal(header(&letter, "tidings-dead-lane"), "open");
    arena_deinit(&arena);
}

static void test_one_cause_has_one_fingerprint(void **state)
{
    (void)state;
    char a[LANE_FINGERPRINT_SIZE], b[LANE_FINGERPRINT_SIZE];
    lane_dead_fingerprint("db", "order 17 of f81d4fae-7dec-41d0  is locked", a);
    assert_int_equal(strlen(a), 32);
    assert_string_equal(
        a, lane_dead_fingerprint("db", "order 9931 of 00aa11bb-1111-2222 is locked", b));
    assert_string_not_equal(
        a, lane_dead_fingerprint("db", "order 17 of f81d4fae-7dec-41d0 is gone", b));
    assert_string_not_equal(
        a, lane_dead_fingerprint("web", "order 17 of f81d4fae-7dec-41d0 is locked", b));
    assert_string_not_equal(lane_dead_fingerprint("a", "b", a), lane_dead_fingerprint("ab", "", b));
    assert_string_equal(lane_dead_fingerprint(NULL, NULL, a), lane_dead_fingerprint("", "", b));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dead_letter_is_the_event_and_says_why),
        cmocka_unit_test(test_the_event_comes_out_of_its_letter_as_it_was),
        cmocka_unit_test(test_what_is_not_known_is_left_out),
        cmocka_unit_test(test_one_cause_has_one_fingerprint),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
