#include "../unit.h"

#include "bus/dead/dead_fact.h"

/* Writes it, reads it, and writes what was read: the same bytes. */
static void write_again(const struct dead_fact *fact, struct arena *arena, struct dead_fact *again)
{
    struct buf key = {0}, value = {0}, key_again = {0}, value_again = {0};
    struct event record = event_blank();
    dead_fact_write(fact, &key, &value);
    record.key = slice_of(arena_dup(arena, key.data, key.size), key.size);
    if (!fact->is_erased) {
        record.value = slice_of(arena_dup(arena, value.data, value.size), value.size);
    }
    assert_true(dead_fact_read(&record, arena, again));
    dead_fact_write(again, &key_again, &value_again);
    assert_true(slice_equal(buf_slice(&key), buf_slice(&key_again)));
    assert_true(slice_equal(buf_slice(&value), buf_slice(&value_again)));
    buf_deinit(&key);
    buf_deinit(&value);
    buf_deinit(&key_again);
    buf_deinit(&value_again);
}

static void test_each_kind_comes_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct dead_fact again;
    struct dead_event event = {slice_str("orders"), 3, 41};
    const struct dead_choice choices[] = {{event, {1, 9}, 2},
                                          {{slice_str("paid"), 0, 0}, {0, 0}, 1}};
    const struct dead_fact facts[] = {
        {.kind = DEAD_FACT_REDRIVE,
         .event = event,
         .number = 2,
         .id = "0123456789abcdef",
         .time_ms = 5,
         .who = "anna@x",
         .letter = {1, 9},
         .outcome = DEAD_FAILED,
         .text = "no \"x\"",
         .answered_ms = 7},
        {.kind = DEAD_FACT_REDRIVE, .event = event, .number = 1, .letter = {-1, -1}},
        {.kind = DEAD_FACT_DISCARD, .event = event, .text = "why", .lane = "opened"},
        {.kind = DEAD_FACT_DISCARD, .event = event, .is_erased = true},
        {.kind = DEAD_FACT_NOTE, .event = event, .id = "1", .text = "a note"},
        {.kind = DEAD_FACT_NOTE,
         .id = "1",
         .cause = "0123456789abcdef0123456789abcdef",
         .text = "a note"},
        {.kind = DEAD_FACT_NOTE, .event = {slice_str("cause"), 1, 2}, .id = "1", .text = "t"},
        {.kind = DEAD_FACT_PLAN,
         .id = "77",
         .number = 1,
         .part_count = 2,
         .choices = choices,
         .choice_count = 2},
        {.kind = DEAD_FACT_TASK,
         .id = "77",
         .plan = "78",
         .state = "running",
         .total = 5,
         .sent = 4,
         .done = 3,
         .failed = 2,
         .refused = 1,
         .rate = 10,
         .changed_ms = 99},
        {.kind = DEAD_FACT_CANCEL, .id = "77", .who = "anna"},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        write_again(&facts[i], &arena, &again);
        assert_int_equal(again.kind, facts[i].kind);
        assert_int_equal(again.is_erased, facts[i].is_erased);
    }
    write_again(&facts[0], &arena, &again);
    assert_true(slice_equal_str(again.event.topic, "orders"));
    assert_int_equal(again.event.offset, 41);
    assert_int_equal(again.number, 2);
    assert_int_equal(again.outcome, DEAD_FAILED);
    assert_int_equal(again.letter.offset, 9);
    assert_string_equal(again.text, "no \"x\"");
    write_again(&facts[7], &arena, &again);
    assert_int_equal(again.choice_count, 2);
    assert_int_equal(again.choices[0].number, 2);
    assert_true(slice_equal_str(again.choices[1].event.topic, "paid"));
    arena_deinit(&arena);
}

static void test_what_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"", "{\"version\":1}"},
        {"discard", "{\"version\":1}"},
        {"discard orders 1", "{\"version\":1}"},
        {"discard orders 1 2 3", "{\"version\":1}"},
        {"discard orders 1 -2", "{\"version\":1}"},
        {"discard orders 2147483648 2", "{\"version\":1}"},
        {"discard orders 1 99999999999999999999", "{\"version\":1}"},
        {"discard orders 1 2", "{\"version\":2}"},
        {"discard orders 1 2", "[]"},
        {"discard orders 1 2", "{\"version\":1,\"version\":1}"},
        {"discard orders 1 2", ""},
        {"redrive orders 1 2 0", "{\"version\":1,\"task\":\"\"}"},
        {"redrive orders 1 2 3", "{\"version\":1}"},
        {"redrive orders 1 2 3", "{\"version\":1,\"task\":\"12345678901234567\"}"},
        {"note orders 1 2 a", "{\"version\":1}"},
        {"task 1", "{\"version\":1,\"plan\":\"2\"}"},
        {"plan 1 1", "{\"version\":1,\"parts\":1,\"letters\":[]}"},
        {"plan 1 0", "{\"version\":1,\"parts\":1,\"letters\":[[\"o\",1,2,0,\"1:2\"]]}"},
        {"plan 1 0", "{\"version\":1,\"parts\":1,\"letters\":[[\"o\",-1,2,1,\"1:2\"]]}"},
        {"plan 1 0", "{\"version\":1,\"parts\":1,\"letters\":[[\"o\",1,2,1,\"1\"]]}"},
        {"plan 1 0", "{\"version\":1,\"parts\":1,\"letters\":[7]}"},
        {"else 1", "{\"version\":1}"},
    };
    struct arena arena = {0};
    struct dead_fact fact;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event record = event_blank();
        record.key = slice_str(rows[i].key);
        record.value = slice_str(rows[i].value);
        if (dead_fact_read(&record, &arena, &fact)) {
            fail_msg("a fact: %s %s", rows[i].key, rows[i].value);
        }
    }
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_comes_back),
        cmocka_unit_test(test_what_is_none_is_refused),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
