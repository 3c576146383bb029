/* Records of __tidings_outcomes, and who writes them when nobody answers. */
#include "../../unit.h"

#include "client/lane_kafka/outcome_log.h"

static struct outcome full(enum outcome_kind kind)
{
    struct outcome outcome = outcome_blank(kind);
    outcome.time_ms = 1767225600123;
    outcome.group = "email";
    outcome.member = "host/17";
    outcome.instance = "email-1";
    outcome.handler = "orders OrderPlaced";
    outcome.topic = "orders";
    outcome.partition = 3;
    outcome.offset = 0;
    outcome.key = "anna";
    outcome.id = "17.placed";
    outcome.source = "/shop";
    outcome.type = "OrderPlaced";
    outcome.verdict = "retry";
    outcome.attempt = 4;
    outcome.counted = 0;
    outcome.most = 10;
    outcome.next_ms = 1767225601000;
    outcome.is_down = true;
    outcome.error_class = "smtp";
    outcome.message = "no answer \"yet\"";
    outcome.took_ms = 12;
    outcome.behind = 7;
    outcome.letter_partition = 0;
    outcome.letter_offset = 9;
    outcome.closes_lane = 1;
    outcome.redrive = 2;
    outcome.who = "anna";
    outcome.why = "mended";
    outcome.count = 5;
    outcome.since_ms = 1767225600000;
    return outcome;
}

static void check_text(const char *text, const char *wanted)
{
    assert_non_null(text);
    assert_string_equal(text, wanted);
}

static void test_a_record_says_what_was_put_into_it(void **state)
{
    (void)state;
    for (int kind = 0; kind < OUTCOME_KINDS; kind++) {
        struct arena arena = {0};
        struct buf key = {0}, value = {0};
        struct outcome in = full((enum outcome_kind)kind), out;
        in.of = OUTCOME_WAITS;
        outcome_encode(&in, &key, &value);
        assert_string_equal(buf_cstr(&key), "orders/3/0");
        assert_true(outcome_decode(buf_slice(&value), &arena, &out));
        assert_int_equal(out.kind, kind);
        assert_int_equal(out.of, kind == OUTCOME_LEFT_OUT ? OUTCOME_WAITS : 0);
        check_text(out.group, in.group);
        check_text(out.member, in.member);
        check_text(out.instance, in.instance);
        check_text(out.handler, in.handler);
        check_text(out.topic, in.topic);
        check_text(out.key, in.key);
        check_text(out.id, in.id);
        check_text(out.source, in.source);
        check_text(out.type, in.type);
        check_text(out.verdict, in.verdict);
        check_text(out.error_class, in.error_class);
        check_text(out.message, in.message);
        check_text(out.who, in.who);
        check_text(out.why, in.why);
        assert_int_equal(out.partition, in.partition);
        assert_int_equal(out.offset, in.offset);
        assert_int_equal(out.attempt, in.attempt);
        assert_int_equal(out.counted, in.counted);
        assert_int_equal(out.most, in.most);
        assert_int_equal(out.next_ms, in.next_ms);
        assert_int_equal(out.time_ms, in.time_ms);
        assert_true(out.is_down);
        assert_int_equal(out.took_ms, in.took_ms);
        assert_int_equal(out.behind, in.behind);
        assert_int_equal(out.letter_partition, in.letter_partition);
        assert_int_equal(out.letter_offset, in.letter_offset);
        assert_int_equal(out.closes_lane, in.closes_lane);
        assert_int_equal(out.redrive, in.redrive);
        assert_int_equal(out.count, in.count);
        assert_int_equal(out.since_ms, in.since_ms);
        buf_deinit(&key);
        buf_deinit(&value);
        arena_deinit(&arena);
    }
}

static void test_what_is_not_known_is_left_out(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buf key = {0}, value = {0};
    struct outcome in = outcome_blank(OUTCOME_DOWN), out;
    in.group = "email";
    outcome_encode(&in, &key, &value);
    assert_string_equal(buf_cstr(&key), "email");
    assert_string_equal(buf_cstr(&value), "{\"version\":1,\"what\":\"down\",\"group\":\"email\"}");
    assert_true(outcome_decode(buf_slice(&value), &arena, &out));
    assert_null(out.topic);
    assert_int_equal(out.offset, -1);
    assert_int_equal(out.behind, -1);
    assert_false(out.is_down);
    buf_deinit(&key);
    buf_deinit(&value);
    arena_deinit(&arena);
}

static void test_any_bytes_are_told(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buf key = {0}, value = {0};
    char longer[2000];
    struct outcome in = outcome_blank(OUTCOME_FAILED), out;
    memset(longer, '\xff', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    in.topic = "orders";
    in.key = "a\xc3";
    in.id = longer;
    in.message = "line\n\x1b[2J";
    outcome_encode(&in, &key, &value);
    assert_true(value.size < 4000);
    assert_true(outcome_decode(buf_slice(&value), &arena, &out));
    check_text(out.key, "a\\xc3");
    check_text(out.message, "line\\n\\x1b[2J");
    assert_int_equal(strlen(out.id), 4 * 400);
    buf_deinit(&key);
    buf_deinit(&value);
    arena_deinit(&arena);
}

static void test_what_is_no_record_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"version\":2,\"what\":\"dead\"}",
        "{\"version\":1}",
        "{\"version\":1,\"what\":\"cold\"}",
        "{\"version\":1,\"what\":7}",
        "{\"version\":1,\"what\":\"left-out\"}",
        "{\"version\":\"1\",\"what\":\"dead\"}",
    };
    struct outcome out;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct arena arena = {0};
        assert_false(outcome_decode(slice_str(texts[i]), &arena, &out));
        arena_deinit(&arena);
    }
    struct arena arena = {0};
    assert_false(outcome_decode(slice_of(NULL, 0), &arena, &out));
    assert_true(outcome_decode(slice_str("{\"version\":1,\"what\":\"dead\",\"offset\":\"x\","
                                         "\"partition\":-7,\"attempt\":1e30,\"new\":[1]}"),
                               &arena, &out));
    assert_int_equal(out.offset, -1);
    assert_int_equal(out.partition, -1);
    arena_deinit(&arena);
}

static void say_nothing(void *context, enum lane_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

static void test_nobody_waits_for_a_bus_that_is_away(void **state)
{
    (void)state;
    enum { STORIES = 10000 };
    struct outcome_log_settings settings = {
        .connection = {.bootstrap_servers = "127.0.0.1:1", .client_id = "x"},
        .group = "x",
        .log = say_nothing};
    struct outcome_log *log = outcome_log_new(&settings);
    struct event event = event_blank();
    struct lane_said said = {.verdict = LANE_RETRY, .message = "no"};
    struct lane_story story = {.kind = OUTCOME_FAILED, .event = &event, .said = &said};
    struct outcome_log_counts counts;
    event.topic = "orders";
    for (int i = 0; i < STORIES; i++) {
        event.offset = i;
        outcome_log_story(log, &story);
    }
    outcome_log_counts(log, &counts);
    assert_int_equal(counts.told, 0);
    assert_true(counts.left_out >= STORIES / 2); /* 500 at once, and as many as 50 a second give */
    assert_true(counts.left_out <= STORIES - 500);
    outcome_log_free(log);
}

static bool read_text(const char *text, struct arena *arena, struct outcome *outcome)
{
    return outcome_decode(slice_str(text), arena, outcome);
}

static void test_times_and_spans_of_others_are_bounded(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct outcome outcome;
    assert_true(read_text("{\"version\":1,\"what\":\"slow\",\"time\":9223372036854775807,"
                          "\"took\":9223372036854775807,\"next\":9223372036854775807,"
                          "\"offset\":9223372036854775807}",
                          &arena, &outcome));
    assert_int_equal(outcome.time_ms, INT64_C(253402300799999));
    assert_int_equal(outcome.took_ms, INT64_C(253402300799999));
    assert_int_equal(outcome.next_ms, INT64_C(253402300799999));
    assert_true(outcome.offset == INT64_MAX);
    assert_true(read_text("{\"version\":1,\"what\":\"slow\",\"time\":-9223372036854775808}", &arena,
                          &outcome));
    assert_int_equal(outcome.time_ms, 0);
    arena_deinit(&arena);
}

/* Filters that a record would not have as they are would tell of events that are passed over. */
static void test_filters_that_do_not_fit(void **state)
{
    char most[OUTCOME_TEXT_MAX + 2];
    struct outcome_filter many[OUTCOME_FILTERS_MAX + 1];
    (void)state;
    memset(most, 'a', sizeof most);
    most[OUTCOME_TEXT_MAX] = '\0';
    struct outcome_filter filter = {"orders", most};
    assert_true(outcome_filters_fit(&filter, 1));
    most[OUTCOME_TEXT_MAX] = 'a';
    most[OUTCOME_TEXT_MAX + 1] = '\0';
    assert_false(outcome_filters_fit(&filter, 1));
    filter.type = "a\xff";
    assert_false(outcome_filters_fit(&filter, 1));
    filter = (struct outcome_filter){"^a\\.b", "\xc3\xa4"};
    assert_true(outcome_filters_fit(&filter, 1));
    for (size_t i = 0; i < OUTCOME_FILTERS_MAX + 1; i++) {
        many[i] = filter;
    }
    assert_true(outcome_filters_fit(many, OUTCOME_FILTERS_MAX));
    assert_false(outcome_filters_fit(many, OUTCOME_FILTERS_MAX + 1));
}

static void test_what_a_member_takes_is_told(void **state)
{
    (void)state;
    static const struct outcome_filter filters[] = {{"orders", "OrderPlaced"}, {"^eu-", NULL}};
    struct arena arena = {0};
    struct buf key = {0}, value = {0};
    struct outcome in = outcome_blank(OUTCOME_HANDLES), out;
    in.group = "email";
    in.filters = filters;
    in.filter_count = 2;
    outcome_encode(&in, &key, &value);
    assert_string_equal(buf_cstr(&key), "email");
    assert_true(outcome_decode(buf_slice(&value), &arena, &out));
    assert_int_equal(out.filter_count, 2);
    check_text(out.filters[0].topic, "orders");
    check_text(out.filters[0].type, "OrderPlaced");
    check_text(out.filters[1].topic, "^eu-");
    assert_null(out.filters[1].type);
    static const char *const bad[] = {
        "{\"version\":1,\"what\":\"handles\"}",
        "{\"version\":1,\"what\":\"handles\",\"handles\":{}}",
        "{\"version\":1,\"what\":\"handles\",\"handles\":[{}]}",
        "{\"version\":1,\"what\":\"handles\",\"handles\":[{\"topic\":\"a\",\"type\":1}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(read_text(bad[i], &arena, &out));
    }
    buf_deinit(&key);
    buf_deinit(&value);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_that_do_not_fit),
        cmocka_unit_test(test_a_record_says_what_was_put_into_it),
        cmocka_unit_test(test_what_is_not_known_is_left_out),
        cmocka_unit_test(test_any_bytes_are_told),
        cmocka_unit_test(test_what_is_no_record_is_refused),
        cmocka_unit_test(test_times_and_spans_of_others_are_bounded),
        cmocka_unit_test(test_what_a_member_takes_is_told),
        cmocka_unit_test(test_nobody_waits_for_a_bus_that_is_away),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
