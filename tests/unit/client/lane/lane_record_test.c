#include "../../unit.h"

#include "client/lane/lane_record.h"

#include "base/mem.h"

static struct lane_record round_trip(const struct lane_record *record, struct arena *arena)
{
    struct buf bytes = {0};
    struct lane_record read;
    lane_record_write(record, &bytes);
    assert_int_equal(lane_record_read(buf_slice(&bytes), arena, &read), ERR_NONE);
    buf_deinit(&bytes);
    return read;
}

static struct lane_record full_aside(struct event_header *headers)
{
    headers[0] = (struct event_header){"ce_type", slice_str("Order")};
    headers[1] = (struct event_header){"", {0}};
    struct lane_record record = {
        .kind = LANE_RECORD_ASIDE, .fence = 7, .offset = 12345678901, .event = event_blank()};
    record.event.timestamp_ms = 1700000000000;
    record.event.key = slice_of("a\0b", 3);
    record.event.value = slice_str("");
    record.event.headers = headers;
    record.event.header_count = 2;
    return record;
}

static void test_an_event_set_aside_comes_back_as_it_was(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct event_header headers[2];
    struct lane_record record = full_aside(headers);
    struct lane_record read = round_trip(&record, &arena);
    assert_int_equal(read.kind, LANE_RECORD_ASIDE);
    assert_int_equal(read.fence, 7);
    assert_int_equal(read.offset, 12345678901);
    assert_int_equal(read.event.offset, 12345678901);
    assert_int_equal(read.event.timestamp_ms, 1700000000000);
    assert_true(slice_equal(read.event.key, slice_of("a\0b", 3)));
    assert_false(slice_is_null(read.event.value));
    assert_int_equal(read.event.value.size, 0);
    assert_int_equal(read.event.header_count, 2);
    assert_string_equal(read.event.headers[0].name, "ce_type");
    assert_string_equal((const char *)read.event.headers[0].value.data, "Order");
    assert_string_equal(read.event.headers[1].name, "");
    assert_true(slice_is_null(read.event.headers[1].value));
    arena_deinit(&arena);
}

static void test_an_event_without_key_and_value_comes_back_without(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct lane_record record = {.kind = LANE_RECORD_ASIDE, .fence = 1, .event = event_blank()};
    struct lane_record read = round_trip(&record, &arena);
    assert_true(slice_is_null(read.event.key));
    assert_true(slice_is_null(read.event.value));
    assert_int_equal(read.event.header_count, 0);
    assert_int_equal(read.event.timestamp_ms, -1);
    arena_deinit(&arena);
}

static void test_notes_come_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct lane_record record = {
        .kind = LANE_RECORD_NOTE,
        .fence = INT64_MAX - 1,
        .name = {.key = slice_str(""), .offset = -1},
        .note = {.offset = 9, .attempts = 3, .first_failed_ms = 77, .is_held = true}};
    struct lane_record read = round_trip(&record, &arena);
    assert_false(slice_is_null(read.name.key));
    assert_int_equal(read.name.offset, -1);
    assert_int_equal(read.note.offset, 9);
    assert_int_equal(read.note.attempts, 3);
    assert_int_equal(read.note.first_failed_ms, 77);
    assert_true(read.note.is_held);
    assert_false(read.note.is_parked);
    record.name = (struct lane_name){.offset = 5};
    record.note = (struct lane_note){.offset = -1, .is_parked = true};
    read = round_trip(&record, &arena);
    assert_true(slice_is_null(read.name.key));
    assert_int_equal(read.name.offset, 5);
    assert_true(read.note.is_parked);
    arena_deinit(&arena);
}

static void test_the_small_ones_come_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct lane_record records[] = {
        {.kind = LANE_RECORD_MARK, .fence = 4},
        {.kind = LANE_RECORD_CLOSE, .fence = 4, .name = {.key = slice_str("k"), .offset = -1}},
        {.kind = LANE_RECORD_FORGET, .fence = 4, .offset = 8},
        {.kind = LANE_RECORD_DONE, .fence = 4, .offset = 8, .event.key = slice_str("k")},
        {.kind = LANE_RECORD_DONE, .fence = 4, .offset = 8},
        {.kind = LANE_RECORD_REDRIVEN,
         .fence = 4,
         .offset = 8,
         .redriven = LANE_REDRIVEN_DONE,
         .number = 3},
        {.kind = LANE_RECORD_REASON,
         .fence = 4,
         .name = {.key = slice_str("k"), .offset = -1},
         .reason = {LANE_REASON_FAILED, 8, slice_str("smtp"), slice_str("no route"), 1700}},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct lane_record read = round_trip(&records[i], &arena);
        assert_int_equal(read.kind, records[i].kind);
        assert_int_equal(read.offset, records[i].offset);
        assert_int_equal(read.redriven, records[i].redriven);
        assert_true(slice_is_null(records[i].event.key)
                        ? slice_is_null(read.event.key)
                        : slice_equal(read.event.key, records[i].event.key));
        assert_int_equal(read.number, records[i].number);
        assert_true(slice_equal(read.name.key, records[i].name.key));
        assert_int_equal(read.reason.offset, records[i].reason.offset);
        assert_int_equal(read.reason.time_ms, records[i].reason.time_ms);
        assert_true(slice_equal(read.reason.what, records[i].reason.what));
        assert_true(slice_equal(read.reason.text, records[i].reason.text));
    }
    arena_deinit(&arena);
}

static struct lane_record full_word(void)
{
    return (struct lane_record){.kind = LANE_RECORD_WORD,
                                .word = {.verb = LANE_SAY_REDRIVE,
                                         .name = {.key = slice_of("a\0b", 3), .offset = -1},
                                         .head = 12345678901,
                                         .letter = {3, 77},
                                         .number = 2,
                                         .who = slice_str("anna"),
                                         .why = slice_str("mended"),
                                         .time_ms = 1700000000000}};
}

static bool is_read(const struct lane_record *record)
{
    struct arena arena = {0};
    struct buf bytes = {0};
    struct lane_record read;
    lane_record_write(record, &bytes);
    enum err err = lane_record_read(buf_slice(&bytes), &arena, &read);
    buf_deinit(&bytes);
    arena_deinit(&arena);
    return err == ERR_NONE;
}

static void test_words_and_answers_come_back(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct lane_record record = full_word();
    struct lane_record read = round_trip(&record, &arena);
    assert_int_equal(read.kind, LANE_RECORD_WORD);
    assert_int_equal(read.fence, 0);
    assert_int_equal(read.word.verb, LANE_SAY_REDRIVE);
    assert_true(slice_equal(read.word.name.key, slice_of("a\0b", 3)));
    assert_int_equal(read.word.head, 12345678901);
    assert_int_equal(read.word.letter.partition, 3);
    assert_int_equal(read.word.letter.offset, 77);
    assert_int_equal(read.word.number, 2);
    assert_true(slice_equal_str(read.word.who, "anna"));
    assert_true(slice_equal_str(read.word.why, "mended"));
    assert_int_equal(read.word.time_ms, 1700000000000);
    record = (struct lane_record){.kind = LANE_RECORD_ANSWER,
                                  .fence = 4,
                                  .answer = {.word = {UINT64_MAX, 9},
                                             .outcome = LANE_FAILED_AGAIN,
                                             .letter = {-1, -1},
                                             .text = slice_str("no"),
                                             .time_ms = 5}};
    read = round_trip(&record, &arena);
    assert_int_equal(read.fence, 4);
    assert_true(read.answer.word.writer == UINT64_MAX);
    assert_int_equal(read.answer.word.serial, 9);
    assert_int_equal(read.answer.outcome, LANE_FAILED_AGAIN);
    assert_int_equal(read.answer.letter.partition, -1);
    assert_true(slice_equal_str(read.answer.text, "no"));
    assert_int_equal(read.answer.time_ms, 5);
    arena_deinit(&arena);
}

static void test_a_word_that_means_nothing_is_no_word(void **state)
{
    (void)state;
    struct lane_record record = full_word();
    assert_true(is_read(&record));
    record.fence = 1; /* it would be void behind a mark */
    assert_false(is_read(&record));
    record = full_word();
    record.word.number = 0;
    assert_false(is_read(&record));
    record = full_word();
    record.word.letter.partition = -1;
    assert_false(is_read(&record));
    record = full_word();
    record.word.verb = LANE_SAY_SKIP;
    assert_true(is_read(&record));
    record.word.head = -1; /* it might hit another event than the one that was seen */
    assert_false(is_read(&record));
    record.word.verb = LANE_SAY_HOLD;
    assert_true(is_read(&record));
    record.word.verb = (enum lane_verb)9;
    assert_false(is_read(&record));
}

static void test_what_is_cut_or_longer_is_no_record(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct buf bytes = {0};
    struct event_header headers[2];
    struct lane_record record = full_aside(headers), read;
    lane_record_write(&record, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *cut = mem_dup(bytes.data, size); /* a sanitizer sees what is read beyond */
        assert_int_equal(lane_record_read(slice_of(cut, size), &arena, &read), ERR_CORRUPT);
        free(cut);
    }
    buf_append_u8(&bytes, 0);
    assert_int_equal(lane_record_read(buf_slice(&bytes), &arena, &read), ERR_CORRUPT);
    bytes.data[0] = 2;
    assert_int_equal(lane_record_read(buf_slice(&bytes), &arena, &read), ERR_UNSUPPORTED);
    bytes.data[0] = 1;
    bytes.data[1] = 99;
    assert_int_equal(lane_record_read(buf_slice(&bytes), &arena, &read), ERR_UNSUPPORTED);
    buf_deinit(&bytes);
    arena_deinit(&arena);
}

static void test_a_key_comes_back_and_nothing_else_is_one(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct lane_record_key key = {
        .id = {UINT64_MAX, 300}, .topic = slice_str("orders"), .partition = 12};
    struct lane_record_key read;
    lane_record_key_write(&key, &bytes);
    assert_true(lane_record_key_read(buf_slice(&bytes), &read));
    assert_true(read.id.writer == UINT64_MAX);
    assert_int_equal(read.id.serial, 300);
    assert_int_equal(read.partition, 12);
    assert_true(slice_equal_str(read.topic, "orders"));
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *cut = mem_dup(bytes.data, size);
        assert_false(lane_record_key_read(slice_of(cut, size), &read));
        free(cut);
    }
    buf_append_u8(&bytes, 0);
    assert_false(lane_record_key_read(buf_slice(&bytes), &read));
    buf_deinit(&bytes);
}

static void test_names_of_groups_become_names_of_topics(void **state)
{
    (void)state;
    char name[LANE_TOPIC_SIZE], other[LANE_TOPIC_SIZE], group[300];
    assert_string_equal(lane_topic_name("lanes.", "email_v2", name), "lanes.email_v2");
    memset(group, 'g', sizeof group);
    group[243] = '\0';
    assert_int_equal(strlen(lane_topic_name("lanes.", group, name)), 249);
    assert_string_equal(name + 6, group);
    group[243] = 'g';
    group[244] = '\0';
    assert_true(strlen(lane_topic_name("lanes.", group, name)) <= 249);
    assert_memory_equal(name, "lanes.-x-", 9);
    const char *const odd[] = {"a b", "a/b", "", "-x-a", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        lane_topic_name("dlq.", odd[i], name);
        assert_memory_equal(name, "dlq.-x-", 7);
        for (const char *at = name; *at != '\0'; at++) {
            assert_non_null(
                strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *at));
        }
        assert_string_not_equal(name, lane_topic_name("dlq.", odd[(i + 1) % 5], other));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_set_aside_comes_back_as_it_was),
        cmocka_unit_test(test_an_event_without_key_and_value_comes_back_without),
        cmocka_unit_test(test_notes_come_back),
        cmocka_unit_test(test_the_small_ones_come_back),
        cmocka_unit_test(test_words_and_answers_come_back),
        cmocka_unit_test(test_a_word_that_means_nothing_is_no_word),
        cmocka_unit_test(test_what_is_cut_or_longer_is_no_record),
        cmocka_unit_test(test_a_key_comes_back_and_nothing_else_is_one),
        cmocka_unit_test(test_names_of_groups_become_names_of_topics),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
