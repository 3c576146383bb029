#include "../../unit.h"

#include "client/lane/lane_book.h"

/*
 * A log of records, a compaction that takes what was erased from any part of it, and readers. What
 * a book tells the machine is looked at through a machine: its open lanes and bytes set aside.
 */
struct entry {
    struct lane_record_id id;
    bool is_erasure;
    bool is_gone; /* compacted away */
    struct lane_record record;
};

struct log {
    struct entry entries[200];
    size_t count;
    int64_t serials[10];
};

static struct lane_record_id put(struct log *log, struct lane_record record)
{
    uint64_t writer = (uint64_t)record.fence;
    struct lane_record_id id = {writer, ++log->serials[writer]};
    log->entries[log->count++] = (struct entry){.id = id, .record = record};
    return id;
}

static struct lane_record_id put_mark(struct log *log, int64_t fence)
{
    return put(log, (struct lane_record){.kind = LANE_RECORD_MARK, .fence = fence});
}

static struct lane_record_id put_aside(struct log *log, int64_t fence, int64_t offset,
                                       const char *key)
{
    struct lane_record record = {
        .kind = LANE_RECORD_ASIDE, .fence = fence, .offset = offset, .event = event_blank()};
    record.event.key = slice_str(key);
    return put(log, record);
}

static struct lane_record_id put_forget(struct log *log, int64_t fence, int64_t offset)
{
    return put(log,
               (struct lane_record){.kind = LANE_RECORD_FORGET, .fence = fence, .offset = offset});
}

static struct lane_record_id put_parked(struct log *log, int64_t fence, const char *key)
{
    return put(log, (struct lane_record){.kind = LANE_RECORD_NOTE,
                                         .fence = fence,
                                         .name = {.key = slice_str(key), .offset = -1},
                                         .note = {.offset = 1, .is_parked = true}});
}

static struct lane_record_id put_close(struct log *log, int64_t fence, const char *key)
{
    return put(log, (struct lane_record){.kind = LANE_RECORD_CLOSE,
                                         .fence = fence,
                                         .name = {.key = slice_str(key), .offset = -1}});
}

static struct lane_book *read_from(const struct log *log, struct lane_book *book, size_t from)
{
    for (size_t i = from; i < log->count; i++) {
        const struct entry *entry = &log->entries[i];
        if (!entry->is_gone) {
            lane_book_read(book, entry->id, entry->is_erasure ? NULL : &entry->record,
                           (struct lane_place){.position = (int64_t)i, .bytes = 100});
        }
    }
    return book;
}

/* The owner erases what it may; returns how many records that were. */
static size_t erase_all(struct log *log, struct lane_book *book)
{
    struct lane_record_id id;
    size_t count = 0;
    while (lane_book_next_erased(book, &id)) {
        log->entries[log->count] = (struct entry){.id = id, .is_erasure = true};
        read_from(log, book, log->count++);
        count++;
    }
    return count;
}

static void release(void *context, struct lane_event *event)
{
    (void)context;
    (void)event;
}

/* Open lanes and bytes set aside as a machine has them that is told by the book. */
static struct lane_counts told(struct lane_book *book)
{
    struct lane_settings settings;
    struct lane_effect effect;
    lane_settings_init(&settings);
    struct lane_machine *machine = lane_machine_new(&settings);
    lane_own(machine, 0, 1, 0, NULL);
    lane_book_restore(book, machine, 0);
    lane_restored(machine, 0, 1);
    while (lane_next_effect(machine, &effect)) {
    }
    struct lane_counts counts = lane_counts(machine);
    lane_machine_free(machine, release, NULL);
    return counts;
}

static struct lane_counts told_of(const struct log *log)
{
    struct lane_book *book = read_from(log, lane_book_new(), 0);
    struct lane_counts counts = told(book);
    lane_book_free(book);
    return counts;
}

static void test_the_newest_of_an_event_and_of_a_lane_counts(void **state)
{
    (void)state;
    struct log log = {0};
    put_mark(&log, 1);
    put_aside(&log, 1, 5, "a");
    put_aside(&log, 1, 6, "a");
    put_aside(&log, 1, 7, NULL);
    put_forget(&log, 1, 5);
    put_parked(&log, 1, "b");
    put_parked(&log, 1, "c");
    put_close(&log, 1, "c");
    struct lane_counts counts = told_of(&log);
    assert_int_equal(counts.open_lanes, 3); /* a, b, and that of event 7 */
    assert_int_equal(counts.aside_bytes, 200);
}

static void test_what_an_owner_of_before_wrote_behind_the_mark_is_void(void **state)
{
    (void)state;
    struct log log = {0};
    put_mark(&log, 1);
    put_parked(&log, 1, "a");
    put_aside(&log, 1, 5, "a");
    put_mark(&log, 3);
    put_mark(&log, 2); /* comes late */
    put_close(&log, 1, "a");
    put_forget(&log, 2, 5);
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_int_equal(lane_book_fence(book), 3);
    struct lane_counts counts = told(book);
    assert_int_equal(counts.open_lanes, 1);
    assert_int_equal(counts.aside_bytes, 100);
    lane_book_free(book);
}

static void test_what_is_over_leaves_nothing(void **state)
{
    (void)state;
    struct log log = {0};
    put_mark(&log, 1);
    put_parked(&log, 1, "a");
    put_aside(&log, 1, 5, "a");
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_int_equal(erase_all(&log, book), 0);
    size_t from = log.count;
    put_forget(&log, 1, 5);
    put_close(&log, 1, "a");
    read_from(&log, book, from);
    assert_int_equal(erase_all(&log, book), 4);
    assert_int_equal(lane_book_count(book), 1); /* the mark */
    lane_book_free(book);
}

static void test_void_records_and_old_marks_are_erased_in_this_order(void **state)
{
    (void)state;
    struct log log = {0};
    struct lane_record_id id, first = put_mark(&log, 1);
    put_mark(&log, 2);
    struct lane_record_id foreign = put_close(&log, 1, "a");
    put_mark(&log, 3);
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_true(lane_book_next_erased(book, &id));
    /* mark 1 stood alone when mark 2 came: nothing void depends on it */
    assert_memory_equal(&id, &first, sizeof id);
    assert_true(lane_book_next_erased(book, &id));
    assert_memory_equal(&id, &foreign, sizeof id);
    assert_false(lane_book_next_erased(book, &id)); /* mark 2 waits for it */
    lane_book_read(book, foreign, NULL, (struct lane_place){0});
    assert_true(lane_book_next_erased(book, &id));
    assert_int_equal(id.writer, 2);
    lane_book_read(book, id, NULL, (struct lane_place){0});
    assert_false(lane_book_next_erased(book, &id));
    lane_book_free(book);
}

/* Any part of what was erased may be gone already; compaction goes through the log in pieces. */
static void test_readers_agree_whatever_compaction_took(void **state)
{
    (void)state;
    struct log log = {0};
    put_mark(&log, 1);
    put_parked(&log, 1, "a");
    put_aside(&log, 1, 5, "a");
    put_aside(&log, 1, 6, "b");
    put_mark(&log, 2);
    put_close(&log, 1, "a"); /* void */
    put_forget(&log, 1, 5);  /* void */
    put_forget(&log, 2, 6);
    put_mark(&log, 3);
    put_parked(&log, 2, "b"); /* void */
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_true(erase_all(&log, book) > 0);
    assert_int_equal(lane_book_count(book), 3); /* a's note and event, the last mark */
    lane_book_free(book);
    size_t erased[200], count = 0;
    for (size_t i = 0; i < log.count; i++) {
        for (size_t j = i + 1; j < log.count && !log.entries[i].is_erasure; j++) {
            if (log.entries[j].is_erasure &&
                memcmp(&log.entries[i].id, &log.entries[j].id, sizeof log.entries[i].id) == 0) {
                erased[count++] = i;
            }
        }
    }
    assert_int_equal(count, 7);
    for (unsigned mask = 0; mask < 1u << count; mask++) {
        for (size_t i = 0; i < count; i++) {
            log.entries[erased[i]].is_gone = (mask & 1u << i) != 0;
        }
        book = read_from(&log, lane_book_new(), 0);
        struct lane_record_id id;
        while (lane_book_next_erased(book, &id)) {
            assert_false(id.writer == 1 && (id.serial == 2 || id.serial == 3));
        }
        struct lane_counts counts = told(book);
        assert_int_equal(counts.open_lanes, 1);
        assert_int_equal(counts.aside_bytes, 100);
        lane_book_free(book);
    }
}

/* --- words --- */

static struct lane_record_id put_word(struct log *log)
{
    return put(log, (struct lane_record){.kind = LANE_RECORD_WORD,
                                         .word = {.verb = LANE_SAY_HOLD, .head = -1}});
}

static struct lane_record_id put_answer(struct log *log, int64_t fence, struct lane_record_id word)
{
    return put(log, (struct lane_record){.kind = LANE_RECORD_ANSWER,
                                         .fence = fence,
                                         .answer = {.word = word, .outcome = LANE_CARRIED_OUT}});
}

static struct lane_record_id put_redriven(struct log *log, int64_t fence, int64_t offset,
                                          enum lane_redriven how, int64_t number)
{
    return put(log, (struct lane_record){.kind = LANE_RECORD_REDRIVEN,
                                         .fence = fence,
                                         .offset = offset,
                                         .redriven = how,
                                         .number = number});
}

static void test_a_word_is_open_until_an_owner_answers(void **state)
{
    (void)state;
    struct log log = {0};
    put_mark(&log, 1);
    put_mark(&log, 2);
    struct lane_record_id word = put_word(&log); /* no fence, and not void */
    struct lane_record_id other = put_word(&log);
    put_answer(&log, 1, word); /* of an owner of before, who did not know */
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_true(lane_book_is_open(book, word));
    assert_int_equal(lane_book_open_words(book), 2);
    size_t from = log.count;
    put_answer(&log, 2, word);
    read_from(&log, book, from);
    assert_false(lane_book_is_open(book, word));
    assert_true(lane_book_is_open(book, other));
    assert_int_equal(lane_book_open_words(book), 1);
    lane_book_free(book);
}

/* An answer that went before its word would let the word be carried out once more. */
static void test_an_answer_goes_behind_its_word_and_after_a_while(void **state)
{
    (void)state;
    struct log log = {0};
    struct lane_record_id id;
    put_mark(&log, 1);
    struct lane_record_id word = put_word(&log);
    put_answer(&log, 1, word);
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    lane_book_grow_old(book, LANE_ANSWER_KEPT_MS + 1); /* its word stands there still */
    assert_true(lane_book_next_erased(book, &id));
    assert_memory_equal(&id, &word, sizeof id);
    assert_false(lane_book_next_erased(book, &id));
    lane_book_read(book, word, NULL, (struct lane_place){0});
    assert_int_equal(erase_all(&log, book), 0);
    lane_book_grow_old(book, LANE_ANSWER_KEPT_MS);
    assert_int_equal(erase_all(&log, book), 0);
    lane_book_grow_old(book, LANE_ANSWER_KEPT_MS + 1);
    assert_int_equal(erase_all(&log, book), 1);
    assert_int_equal(lane_book_count(book), 1); /* the mark */
    lane_book_free(book);
}

static void test_ends_of_redrives_are_kept_for_who_asks_again(void **state)
{
    (void)state;
    struct log log = {0};
    enum lane_redriven how;
    int64_t number;
    put_mark(&log, 1);
    put_redriven(&log, 1, 7, LANE_DEAD_AGAIN, 1);
    put_redriven(&log, 1, 7, LANE_REDRIVEN_DONE, 2);
    put_redriven(&log, 1, 8, LANE_LEFT_DEAD, 0);
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_true(lane_book_redriven(book, 7, &how, &number));
    assert_int_equal(how, LANE_REDRIVEN_DONE);
    assert_int_equal(number, 2);
    assert_false(lane_book_redriven(book, 9, &how, &number));
    lane_book_grow_old(book, LANE_REDRIVEN_KEPT_MS + 1);
    assert_int_equal(erase_all(&log, book), 1); /* the first one, which says nothing any more */
    lane_book_grow_old(book, LANE_REDRIVEN_KEPT_MS + 1);
    assert_int_equal(erase_all(&log, book), 1);
    assert_false(lane_book_redriven(book, 7, &how, &number));
    assert_true(lane_book_redriven(book, 8, &how, &number)); /* it may be redriven some day */
    assert_int_equal(how, LANE_LEFT_DEAD);
    lane_book_free(book);
}

static void test_no_more_answers_are_kept_than_said(void **state)
{
    (void)state;
    struct lane_book *book = lane_book_new();
    struct lane_record_id id;
    int erased = 0;
    for (int i = 1; i <= LANE_ANSWERS_KEPT + 3; i++) {
        const struct lane_record record = {.kind = LANE_RECORD_ANSWER,
                                           .fence = 1,
                                           .answer = {.word = {7, i}, .outcome = LANE_REFUSED}};
        lane_book_read(book, (struct lane_record_id){1, i}, &record, (struct lane_place){0});
    }
    lane_book_grow_old(book, 0);
    while (lane_book_next_erased(book, &id)) {
        assert_int_equal(id.serial, ++erased); /* the oldest */
    }
    assert_int_equal(erased, 3);
    lane_book_free(book);
}

static void test_a_lane_is_parked_by_the_event_of_its_last_note(void **state)
{
    (void)state;
    struct log log = {0};
    struct lane_name name = {.key = slice_str("a"), .offset = -1};
    put_mark(&log, 1);
    put_parked(&log, 1, "a");
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_int_equal(lane_book_parked(book, name), 1);
    name.key = slice_str("b");
    assert_int_equal(lane_book_parked(book, name), -1);
    size_t from = log.count;
    put_close(&log, 1, "a");
    read_from(&log, book, from);
    name.key = slice_str("a");
    assert_int_equal(lane_book_parked(book, name), -1);
    lane_book_free(book);
}

static void put_reason(struct log *log, int64_t fence, enum lane_reason_kind kind, const char *text)
{
    put(log, (struct lane_record){.kind = LANE_RECORD_REASON,
                                  .fence = fence,
                                  .name = {.key = slice_str("a"), .offset = -1},
                                  .reason = {kind, 1, slice_str("x"), slice_str(text), 5}});
}

static void join_reason(void *context, const struct lane_entry *entry)
{
    if (entry->kind == LANE_RECORD_REASON) {
        assert_true(slice_equal_str(entry->name.key, "a"));
        assert_true(slice_equal_str(entry->reason.what, "x"));
        buf_append_slice(context, entry->reason.text);
        buf_append_str(context, " ");
    }
}

static void expect_reasons(const struct log *log, const char *reasons)
{
    struct lane_book *book = read_from(log, lane_book_new(), 0);
    struct buf found = {0};
    lane_book_each(book, join_reason, &found);
    assert_string_equal(buf_cstr(&found), reasons);
    buf_deinit(&found);
    lane_book_free(book);
}

static void test_a_reason_goes_with_what_it_is_given_for(void **state)
{
    (void)state;
    struct log log = {0};
    put_mark(&log, 2);
    put_reason(&log, 2, LANE_REASON_FAILED, "early"); /* nothing is remembered of the lane */
    expect_reasons(&log, "");
    put_parked(&log, 2, "a");
    put_reason(&log, 2, LANE_REASON_FAILED, "first");
    put_reason(&log, 1, LANE_REASON_FAILED, "void");
    put_reason(&log, 2, LANE_REASON_FAILED, "second");
    put_reason(&log, 2, LANE_REASON_HELD, "nobody");
    expect_reasons(&log, "second ");
    put(&log, (struct lane_record){.kind = LANE_RECORD_NOTE,
                                   .fence = 2,
                                   .name = {.key = slice_str("a"), .offset = -1},
                                   .note = {.offset = 1, .is_held = true}});
    put_reason(&log, 2, LANE_REASON_HELD, "anna");
    expect_reasons(&log, "anna ");
    put_close(&log, 2, "a");
    expect_reasons(&log, "");
    struct lane_book *book = read_from(&log, lane_book_new(), 0);
    assert_int_equal(told(book).open_lanes, 0);
    while (erase_all(&log, book) > 0) {
    }
    assert_int_equal(lane_book_count(book), 1); /* the mark */
    lane_book_free(book);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_of_an_event_and_of_a_lane_counts),
        cmocka_unit_test(test_what_an_owner_of_before_wrote_behind_the_mark_is_void),
        cmocka_unit_test(test_what_is_over_leaves_nothing),
        cmocka_unit_test(test_void_records_and_old_marks_are_erased_in_this_order),
        cmocka_unit_test(test_readers_agree_whatever_compaction_took),
        cmocka_unit_test(test_a_word_is_open_until_an_owner_answers),
        cmocka_unit_test(test_an_answer_goes_behind_its_word_and_after_a_while),
        cmocka_unit_test(test_ends_of_redrives_are_kept_for_who_asks_again),
        cmocka_unit_test(test_no_more_answers_are_kept_than_said),
        cmocka_unit_test(test_a_lane_is_parked_by_the_event_of_its_last_note),
        cmocka_unit_test(test_a_reason_goes_with_what_it_is_given_for),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
