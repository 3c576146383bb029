#include "../unit.h"
#include "log_fixture.h"

#include "log/segment.h"

#include <stdlib.h>
#include <string.h>

/* Bytes that rotted while the server was down: found by the first read after the start. */

enum { BATCHES = 20, VALUE = 1000, MANY_BYTES = 1 << 20, AT_VALUE = 500, AT_BASE_OFFSET = 7 };

/* A log of BATCHES batches of one event, stopped cleanly. Returns the size of a batch. */
static int64_t fill(struct fixture *fixture)
{
    fixture_open(fixture, NULL);
    append_many(fixture, BATCHES, VALUE);
    int64_t batch_bytes = log_size_bytes(fixture->log) / BATCHES;
    fixture_close(fixture);
    return batch_bytes;
}

static void reopen(struct fixture *fixture)
{
    fixture_open(fixture, &fixture->state);
    assert_int_equal(fixture->recovery.scanned_bytes, 0);
}

static struct file_span read_span(struct fixture *fixture, int64_t from, size_t max_bytes,
                                  int64_t *end_offset)
{
    struct file_span span;
    struct log_range range;
    assert_int_equal(log_read_records(fixture->log, from, log_end_offset(fixture->log), max_bytes,
                                      true, &span, &range, &fixture->reason),
                     ERR_NONE);
    assert_true(span.size > 0);
    *end_offset = range.end_offset;
    return span;
}

/* Reads and verifies. The span's number of batches, which begin at `from`; or the error. */
static enum err verified_read(struct fixture *fixture, int64_t from, size_t max_bytes,
                              int64_t batch_bytes, int64_t *batches)
{
    int64_t end_offset;
    struct file_span span = read_span(fixture, from, max_bytes, &end_offset);
    enum err err = log_verify_span(fixture->log, from, &span, &end_offset, &fixture->reason);
    *batches = (int64_t)span.size / batch_bytes;
    assert_int_equal((int64_t)span.size, *batches * batch_bytes);
    if (span.size > 0) {
        assert_int_equal(end_offset, from + *batches);
    }
    file_span_release(&span);
    return err;
}

static bool is_verified(struct fixture *fixture, int64_t from, size_t max_bytes)
{
    int64_t end_offset;
    struct file_span span = read_span(fixture, from, max_bytes, &end_offset);
    file_span_release(&span);
    return span.verified;
}

static void test_what_is_read_once_is_verified(void **state)
{
    struct fixture *fixture = *state;
    int64_t batch_bytes = fill(fixture);
    int64_t batches;
    reopen(fixture);
    assert_false(is_verified(fixture, 0, MANY_BYTES));
    assert_int_equal(verified_read(fixture, 0, (size_t)(5 * batch_bytes), batch_bytes, &batches),
                     ERR_NONE);
    assert_int_equal(batches, 5);
    assert_true(is_verified(fixture, 0, (size_t)(5 * batch_bytes)));
    assert_true(is_verified(fixture, 3, (size_t)(2 * batch_bytes)));
    assert_false(is_verified(fixture, 0, (size_t)(6 * batch_bytes)));
    assert_false(is_verified(fixture, 5, (size_t)batch_bytes));
    /* What is written now needs no check, also in one span with what was checked. */
    append_many(fixture, 2, VALUE);
    assert_true(is_verified(fixture, BATCHES, MANY_BYTES));
    assert_false(is_verified(fixture, 5, MANY_BYTES));
    assert_int_equal(verified_read(fixture, 5, MANY_BYTES, batch_bytes, &batches), ERR_NONE);
    assert_int_equal(batches, BATCHES + 2 - 5);
    assert_true(is_verified(fixture, 0, MANY_BYTES));
}

static void test_what_was_written_or_scanned_is_verified(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 200, VALUE); /* more than the newest ones that are known by heart */
    assert_true(is_verified(fixture, 0, MANY_BYTES));
    fixture_kill(fixture);
    fixture_open(fixture, NULL); /* scanned */
    assert_true(is_verified(fixture, 0, MANY_BYTES));
}

/* The batch of offset 10 is bad: the ones around it stay readable, before and after a restart. */
static void check_damage_at_10(struct fixture *fixture, int64_t batch_bytes)
{
    struct file_span span;
    int64_t batches;
    assert_int_equal(verified_read(fixture, 5, MANY_BYTES, batch_bytes, &batches), ERR_NONE);
    assert_int_equal(batches, 5);
    assert_int_equal(log_read(fixture->log, 10, BATCHES, MANY_BYTES, true, &span, &fixture->reason),
                     ERR_CORRUPT);
    assert_non_null(strstr(fixture->reason.text, "offsets 10 to 10 are damaged"));
    assert_int_equal(verified_read(fixture, 11, MANY_BYTES, batch_bytes, &batches), ERR_NONE);
    assert_int_equal(batches, BATCHES - 11);
}

static void rotten(struct fixture *fixture, int64_t into)
{
    int64_t batch_bytes = fill(fixture);
    flip_byte(file_of(fixture, 0, ".log"), 10 * batch_bytes + into);
    reopen(fixture);
    check_damage_at_10(fixture, batch_bytes);
    check_damage_at_10(fixture, batch_bytes);
    fixture_close(fixture);
    reopen(fixture);
    check_damage_at_10(fixture, batch_bytes);
}

static void test_a_rotten_value_ends_the_span(void **state)
{
    rotten(*state, AT_VALUE);
}

static void test_a_rotten_crc_ends_the_span(void **state)
{
    rotten(*state, 18);
}

static void test_a_rotten_last_offset_ends_the_span(void **state)
{
    rotten(*state, 26);
}

static void test_a_rotten_length_ends_the_span(void **state)
{
    rotten(*state, 9);
}

static void test_a_rotten_base_offset_ends_the_span(void **state)
{
    rotten(*state, AT_BASE_OFFSET);
}

/* The very batch that is asked for, reached by a walk or by a place that an earlier read noted. */
static void test_a_rotten_batch_that_is_asked_for_is_told(void **state)
{
    struct fixture *fixture = *state;
    int64_t batch_bytes = fill(fixture);
    flip_byte(file_of(fixture, 0, ".log"), 10 * batch_bytes + AT_VALUE);
    reopen(fixture);
    int64_t batches;
    assert_int_equal(verified_read(fixture, 10, MANY_BYTES, batch_bytes, &batches), ERR_CORRUPT);
    assert_int_equal(batches, 0);
    assert_non_null(strstr(fixture->reason.text, "offsets 10 to 10 are damaged"));
    check_damage_at_10(fixture, batch_bytes);
}

static void test_a_rotten_base_offset_that_is_asked_for_is_told(void **state)
{
    struct fixture *fixture = *state;
    int64_t batch_bytes = fill(fixture);
    flip_byte(file_of(fixture, 0, ".log"), 10 * batch_bytes + AT_BASE_OFFSET);
    reopen(fixture);
    int64_t end_offset;
    struct file_span span = read_span(fixture, 0, (size_t)(10 * batch_bytes), &end_offset);
    assert_int_equal(end_offset, 10); /* leaves a note of where the next read begins */
    file_span_release(&span);
    assert_int_equal(log_read(fixture->log, 10, BATCHES, MANY_BYTES, true, &span, &fixture->reason),
                     ERR_CORRUPT);
    check_damage_at_10(fixture, batch_bytes);
}

/* More readers than a segment remembers: each gets on, whatever is forgotten. */
static void test_more_readers_than_ranges_get_on(void **state)
{
    struct fixture *fixture = *state;
    int64_t batch_bytes = fill(fixture);
    reopen(fixture);
    enum { READERS = 2 * SEGMENT_VERIFIED_RANGES, STRIDE = BATCHES / READERS };
    for (int64_t step = 0; step < STRIDE; step++) {
        for (int64_t reader = 0; reader < READERS; reader++) {
            int64_t batches;
            assert_int_equal(verified_read(fixture, reader * STRIDE + step, (size_t)batch_bytes,
                                           batch_bytes, &batches),
                             ERR_NONE);
            assert_int_equal(batches, 1);
        }
    }
    /* What is remembered is true: rot is found wherever a span is not called verified. */
    for (int64_t i = 0; i < BATCHES; i++) {
        int64_t batches;
        if (!is_verified(fixture, i, (size_t)batch_bytes)) {
            assert_int_equal(verified_read(fixture, i, (size_t)batch_bytes, batch_bytes, &batches),
                             ERR_NONE);
        }
    }
}

static void test_verified_ranges_join_where_they_meet(void **state)
{
    (void)state;
    struct segment segment = {.written_from = 1000};
    segment_note_verified(&segment, 0, 100);
    segment_note_verified(&segment, 200, 300);
    assert_true(segment_is_verified(&segment, 0, 100));
    assert_false(segment_is_verified(&segment, 50, 250));
    segment_note_verified(&segment, 100, 200); /* joins the two */
    assert_true(segment_is_verified(&segment, 0, 300));
    assert_false(segment_is_verified(&segment, 0, 301));
    for (int64_t i = 0; i < SEGMENT_VERIFIED_RANGES; i++) {
        segment_note_verified(&segment, 400 + 20 * i, 410 + 20 * i);
    }
    assert_true(segment_is_verified(&segment, 0, 300)); /* the smallest are forgotten */
    assert_false(segment_is_verified(&segment, 410, 420));
    segment_note_verified(&segment, 300, 1000);
    assert_true(segment_is_verified(&segment, 0, 5000));
    assert_true(segment_is_verified(&segment, 1000, 5000));
    free(segment.verified);
}

/* A reader that holds a span of a segment that goes meanwhile looks at the log again. */
static void test_a_segment_that_goes_meanwhile_is_looked_for_again(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 5000;
    int64_t batch_bytes = fill(fixture);
    flip_byte(file_of(fixture, 0, ".log"), AT_VALUE);
    reopen(fixture);
    int64_t end_offset;
    struct file_span span = read_span(fixture, 0, MANY_BYTES, &end_offset);
    assert_int_equal(log_set_start_offset(fixture->log, 10, &fixture->reason), ERR_NONE);
    assert_int_equal(log_verify_span(fixture->log, 0, &span, &end_offset, &fixture->reason),
                     ERR_NONE);
    assert_int_equal(span.size, 0);
    int64_t batches;
    assert_int_equal(verified_read(fixture, 10, (size_t)batch_bytes, batch_bytes, &batches),
                     ERR_NONE);
    assert_int_equal(batches, 1);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_what_is_read_once_is_verified),
        LOG_TEST(test_what_was_written_or_scanned_is_verified),
        LOG_TEST(test_a_rotten_value_ends_the_span),
        LOG_TEST(test_a_rotten_crc_ends_the_span),
        LOG_TEST(test_a_rotten_last_offset_ends_the_span),
        LOG_TEST(test_a_rotten_length_ends_the_span),
        LOG_TEST(test_a_rotten_base_offset_ends_the_span),
        LOG_TEST(test_a_rotten_batch_that_is_asked_for_is_told),
        LOG_TEST(test_a_rotten_base_offset_that_is_asked_for_is_told),
        LOG_TEST(test_more_readers_than_ranges_get_on),
        cmocka_unit_test(test_verified_ranges_join_where_they_meet),
        LOG_TEST(test_a_segment_that_goes_meanwhile_is_looked_for_again),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
