#include "../unit.h"

#include "bus/dead/dead_letter.h"
#include "client/lane/lane_dead.h"

static bool is_text(struct slice slice, const char *text)
{
    return !slice_is_null(slice) && slice_equal_str(slice, text);
}

static void test_what_a_service_wrote_is_read_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event_header own[] = {{"ce_id", slice_str("77")},
                                 {"ce_type", slice_str("order.placed")}};
    struct event event = event_blank(), record;
    struct dead_letter letter;
    char fingerprint[LANE_FINGERPRINT_SIZE];
    event.topic = "orders";
    event.partition = 3;
    event.offset = 41;
    event.timestamp_ms = 1700000000000;
    event.key = slice_str("anna");
    event.headers = own;
    event.header_count = 2;
    const struct lane_death death = {.group = "email",
                                     .handler = "mailer",
                                     .error_class = "smtp",
                                     .message = "550 no such user 7",
                                     .attempts = 10,
                                     .first_failure_ms = 1700000001000,
                                     .last_failure_ms = 1700000002500,
                                     .closes_lane = true};
    lane_dead_letter(&event, &death, "dlq.email", &arena, &record);
    record.partition = 1;
    record.offset = 9;
    record.timestamp_ms = 1700000003000;
    dead_letter_read(&record, &arena, &letter);
    assert_int_equal(letter.kind, DEAD_OURS);
    assert_int_equal(letter.place.partition, 1);
    assert_int_equal(letter.place.offset, 9);
    assert_int_equal(letter.died_ms, 1700000003000);
    assert_true(is_text(letter.topic, "orders"));
    assert_int_equal(letter.partition, 3);
    assert_int_equal(letter.offset, 41);
    assert_true(is_text(letter.group, "email"));
    assert_true(is_text(letter.handler, "mailer"));
    assert_true(is_text(letter.error_class, "smtp"));
    assert_true(is_text(letter.message, "550 no such user 7"));
    assert_int_equal(letter.attempts, 10);
    assert_int_equal(letter.first_failure_ms, 1700000001000);
    assert_int_equal(letter.last_failure_ms, 1700000002500);
    assert_int_equal(letter.published_ms, 1700000000000);
    assert_int_equal(letter.lane, DEAD_LANE_CLOSED);
    assert_int_equal(letter.redrive, 0);
    assert_int_equal(letter.edit_of.partition, -1);
    assert_true(is_text(letter.type, "order.placed"));
    assert_true(is_text(letter.id, "77"));
    assert_string_equal(letter.fingerprint,
                        lane_dead_fingerprint("smtp", "550 no such user 8", fingerprint));
    for (size_t i = 0; i < record.header_count; i++) {
        assert_int_equal(dead_letter_adds(record.headers[i].name), i >= 2);
    }
    arena_deinit(&arena);
}

static void test_what_others_wrote_is_what_it_is(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event record = event_blank();
    struct dead_letter letter;
    char fingerprint[LANE_FINGERPRINT_SIZE];
    dead_letter_read(&record, &arena, &letter);
    assert_int_equal(letter.kind, DEAD_FOREIGN);
    assert_true(slice_is_null(letter.topic));
    assert_int_equal(letter.attempts, -1);
    assert_string_equal(letter.fingerprint, lane_dead_fingerprint(NULL, NULL, fingerprint));
    static const struct event_header headers[] = {
        {"__dlq.errors.topic", {(const uint8_t *)"or\0ers", 6}},
        {"__dlq.errors.partition", {(const uint8_t *)"99999999999", 11}},
        {"__dlq.errors.offset", {(const uint8_t *)"9223372036854775808", 19}},
        {"__dlq.errors.message", {(const uint8_t *)"a\0b\xff", 4}},
        {"__dlq.errors.delivery.count", {(const uint8_t *)"-1", 2}},
        {"tidings-dead-first-failure", {(const uint8_t *)"2026-02-01Tnever.....", 21}},
        {"tidings-dead-last-failure", {NULL, 0}},
        {"tidings-dead-lane", {(const uint8_t *)"", 0}},
        {"tidings-dead-redrive", {(const uint8_t *)"3", 1}},
        {"tidings-dead-edit-of", {(const uint8_t *)":", 1}},
        {"tidings-dead-fingerprint", {(const uint8_t *)"0123456789ABCDEF0123456789ABCDEF", 32}},
    };
    record.headers = (struct event_header *)(uintptr_t)headers;
    record.header_count = sizeof headers / sizeof headers[0];
    dead_letter_read(&record, &arena, &letter);
    assert_int_equal(letter.kind, DEAD_KAFKA);
    assert_true(slice_is_null(letter.topic));
    assert_int_equal(letter.message.size, 4);
    assert_int_equal(letter.attempts, -1);
    assert_int_equal(letter.first_failure_ms, -1);
    assert_int_equal(letter.last_failure_ms, -1);
    assert_int_equal(letter.lane, DEAD_LANE_UNKNOWN);
    assert_int_equal(letter.redrive, 3);
    assert_int_equal(letter.edit_of.partition, -1);
    assert_string_equal(letter.fingerprint, lane_dead_fingerprint("", "a", fingerprint));
    arena_deinit(&arena);
}

static void test_a_structured_event_tells_its_type(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event_header type = {"content-type", slice_str("application/cloudevents+json")};
    struct event record = event_blank();
    struct dead_letter letter;
    record.headers = &type;
    record.header_count = 1;
    record.value =
        slice_str("{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/shop\",\"type\":\"t\"}");
    dead_letter_read(&record, &arena, &letter);
    assert_true(is_text(letter.type, "t"));
    assert_true(is_text(letter.source, "/shop"));
    assert_true(is_text(letter.id, "7"));
    arena_deinit(&arena);
}

static void test_places(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",     ":",   "1",    "1:",           ":1",   "1:2:3",
        "-1:2", "1:x", "+1:2", "2147483648:0", "1: 2", "1:9223372036854775808"};
    struct dead_place place;
    char text[DEAD_PLACE_SIZE];
    assert_true(dead_place_parse("2147483647:9223372036854775807", &place));
    assert_string_equal(dead_place_text(place, text), "2147483647:9223372036854775807");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (dead_place_parse(wrong[i], &place)) {
            fail_msg("a place: %s", wrong[i]);
        }
    }
}

static void test_each_field_is_asked_by_its_name(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event_header headers[] = {
        {"__dlq.errors.topic", slice_str("orders")},
        {"__dlq.errors.partition", slice_str("3")},
        {"__dlq.errors.offset", slice_str("41")},
        {"__dlq.errors.message", slice_str("M")},
        {"__dlq.errors.delivery.count", slice_str("5")},
        {"tidings-dead-handler", slice_str("H")},
        {"tidings-dead-error-class", slice_str("C")},
        {"tidings-dead-lane", slice_str("open")},
        {"tidings-dead-version", slice_str("1")},
        {"ce_type", slice_str("T")},
        {"ce_source", slice_str("S")},
        {"ce_id", slice_str("I")},
        {"tidings-dead-first-failure", slice_str("2026-02-01T12:00:00Z")},
        {"tidings-dead-last-failure", slice_str("2026-02-01T12:00:01Z")},
        {"tidings-dead-published", slice_str("2026-02-01T11:00:00Z")},
    };
    struct event record = event_blank();
    struct dead_letter letter;
    struct where *where = where_new(dead_fields());
    struct reason reason;
    record.key = slice_str("K");
    record.timestamp_ms = 1769947202000; /* 12:00:02 */
    record.headers = headers;
    record.header_count = sizeof headers / sizeof headers[0];
    dead_letter_read(&record, &arena, &letter);
    const struct dead_subject subject = {&letter, "failed", 2};
    assert_int_equal(
        where_add(where,
                  "state = failed and cause ~ ???????????????????????????????? and class = C "
                  "and message = M and type = T and source = S and id = I and key = K and "
                  "handler = H and attempts = 5 and lane = open and topic = orders and "
                  "partition = 3 and offset = 41 and first = 2026-02-01T12:00:00Z and "
                  "last = 2026-02-01T12:00:01Z and published = 2026-02-01T11:00:00Z and "
                  "died = 2026-02-01T12:00:02Z and failed_again = 2 and kind = tidings and "
                  "header.ce_id = I and not header.x",
                  0, &reason),
        ERR_NONE);
    assert_true(where_holds(where, dead_field_get, &subject));
    where_free(where);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_service_wrote_is_read_back),
        cmocka_unit_test(test_what_others_wrote_is_what_it_is),
        cmocka_unit_test(test_a_structured_event_tells_its_type),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_each_field_is_asked_by_its_name),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
