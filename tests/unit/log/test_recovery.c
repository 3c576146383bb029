#include "../unit.h"
#include "log_fixture.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opening after damage of every kind; the seeded faults test plays the crashes. */

static atomic_int data_reads;

static ssize_t counting_pread(void *context, int fd, void *to, size_t size, int64_t position)
{
    (void)context;
    atomic_fetch_add(&data_reads, 1);
    return pread(fd, to, size, position);
}

static void test_a_clean_start_reads_no_data(void **state)
{
    struct fixture *fixture = *state;
    struct file_ops counting = *file_ops_system();
    counting.pread = counting_pread;
    fixture->env.files = &counting;
    fixture->config.segment_bytes = 20000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    fixture_close(fixture);
    atomic_store(&data_reads, 0);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(atomic_load(&data_reads), 0);
    assert_int_equal(log_end_offset(fixture->log), 100);
    fixture_kill(fixture);
    /* The count is real: another size is noticed and scanned. */
    cut_file(file_of(fixture, fixture->state.active_base, ".log"), fixture->state.active_size - 1);
    fixture_open(fixture, &fixture->state);
    assert_true(atomic_load(&data_reads) > 0);
    fixture_kill(fixture);
    fixture->env.files = file_ops_system();
}

static void check_readable(struct fixture *fixture, int64_t count)
{
    for (int64_t from = 0; from < count; from += 13) {
        assert_int_equal(read_all(fixture, from, count, 7000), count - from);
    }
}

/* Closes with index files, spoils them by `spoil`, and all is still found. */
static void spoiled_index(struct fixture *fixture, bool clean, void (*spoil)(const char *path))
{
    fixture->config.segment_bytes = 60000;
    fixture_open(fixture, NULL);
    append_many(fixture, 200, 1000);
    fixture_close(fixture);
    char path[200];
    snprintf(path, sizeof path, "%s", file_of(fixture, 0, ".index"));
    spoil(path);
    snprintf(path, sizeof path, "%s", file_of(fixture, 0, ".timeindex"));
    spoil(path);
    fixture->state.clean = clean;
    fixture_open(fixture, &fixture->state);
    check_readable(fixture, 200);
    int64_t offset;
    int64_t timestamp;
    assert_int_equal(log_find_time(fixture->log, 1700000000000, 200, &offset, &timestamp, NULL),
                     ERR_NONE);
    assert_int_equal(offset, 0);
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE); /* rebuilds */
    check_readable(fixture, 200);
}

static void spoil_delete(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void spoil_cut(const char *path)
{
    cut_file(path, size_of(path) - 3);
}

static void spoil_zero(const char *path)
{
    int64_t size = size_of(path);
    cut_file(path, 0);
    cut_file(path, size);
}

static void spoil_rubbish(const char *path)
{
    int64_t size = size_of(path);
    uint8_t *bytes = mem_alloc((size_t)size);
    memset(bytes, 0x5a, (size_t)size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
    close(fd);
    free(bytes);
}

static void test_a_missing_index_is_made_anew(void **state)
{
    spoiled_index(*state, true, spoil_delete);
}

static void test_an_index_that_was_cut_is_made_anew(void **state)
{
    spoiled_index(*state, true, spoil_cut);
}

static void test_an_index_of_zeros_is_made_anew(void **state)
{
    spoiled_index(*state, true, spoil_zero);
}

static void test_an_index_of_rubbish_is_made_anew(void **state)
{
    spoiled_index(*state, false, spoil_rubbish);
}

static void test_an_index_of_rubbish_is_made_anew_after_a_clean_stop(void **state)
{
    spoiled_index(*state, true, spoil_rubbish);
}

static int64_t damage_offset_10(struct fixture *fixture, int64_t into)
{
    fixture_open(fixture, NULL);
    append_many(fixture, 20, 1000);
    int64_t batch_bytes = log_size_bytes(fixture->log) / 20;
    fixture_kill(fixture);
    flip_byte(file_of(fixture, 0, ".log"), 10 * batch_bytes + into);
    return batch_bytes;
}

static void check_damage_at_10(struct fixture *fixture)
{
    struct file_span span;
    assert_int_equal(read_all(fixture, 0, 10, 100000), 10);
    assert_int_equal(log_read(fixture->log, 10, 20, 100000, true, &span, NULL), ERR_CORRUPT);
    assert_int_equal(read_all(fixture, 11, 20, 100000), 9);
    assert_int_equal(log_read(fixture->log, 5, 20, 100000, true, &span, NULL), ERR_NONE);
    assert_int_equal(span.size, 5 * (log_size_bytes(fixture->log) / 20)); /* up to the damage */
    file_span_release(&span);
}

static void damaged_middle(struct fixture *fixture, int64_t into)
{
    damage_offset_10(fixture, into);
    fixture_open(fixture, NULL);
    assert_int_equal(fixture->recovery.damaged_batches, 1);
    assert_int_equal(fixture->recovery.truncated_at, -1);
    assert_int_equal(log_end_offset(fixture->log), 20);
    check_damage_at_10(fixture);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state); /* it is remembered without a scan */
    assert_int_equal(fixture->recovery.scanned_bytes, 0);
    check_damage_at_10(fixture);
}

static void test_a_damaged_value_is_passed_over(void **state)
{
    damaged_middle(*state, 500);
}

static void test_a_damaged_length_is_passed_over(void **state)
{
    damaged_middle(*state, 9);
}

static void test_a_damaged_magic_is_passed_over(void **state)
{
    damaged_middle(*state, 16);
}

static void test_a_damaged_base_offset_is_passed_over(void **state)
{
    damaged_middle(*state, 7);
}

/* Damage that comes later is found by whoever reads. */
static void test_damage_while_running_is_found_by_who_reads(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 30000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    int64_t batch_bytes = log_size_bytes(fixture->log) / 100;
    flip_byte(file_of(fixture, 0, ".log"), 10 * batch_bytes + 16);
    struct file_span span;
    assert_int_equal(log_read(fixture->log, 10, 100, 1000, true, &span, NULL), ERR_CORRUPT);
    assert_int_equal(read_all(fixture, 11, 100, 100000), 89);
}

static void test_offsets_of_a_vanished_tail_are_not_given_out_again(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 20, 1000);
    int64_t batch_bytes = log_size_bytes(fixture->log) / 20;
    struct log_state known;
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    fixture_kill(fixture);
    cut_file(file_of(fixture, 0, ".log"), 15 * batch_bytes);
    fixture_open(fixture, &known); /* offsets that were given out are not given out again */
    assert_int_equal(log_end_offset(fixture->log), 20);
    assert_int_equal(fixture->recovery.damaged_batches, 1);
    append_many(fixture, 1, 10);
    assert_int_equal(read_all(fixture, 0, 15, 100000), 15);
    assert_int_equal(read_all(fixture, 20, 21, 100000), 1);
    struct file_span span;
    for (int64_t gone = 15; gone < 20; gone++) { /* nobody is led over them without a word */
        assert_int_equal(log_read(fixture->log, gone, 21, 100, true, &span, &fixture->reason),
                         ERR_CORRUPT);
        assert_non_null(strstr(fixture->reason.text, "offsets 15 to 19 are gone"));
    }
}

/* Whether a start reads all, or trusts a checkpoint or a clean stop. */
static void test_nobody_is_led_over_a_missing_segment(void **state)
{
    struct fixture *fixture = *state;
    struct file_span span;
    fixture->config.segment_bytes = 10000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    struct log_state known;
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    fixture_close(fixture);
    int64_t first = 1; /* of the third segment */
    for (int number = 0; number < 2; first++) {
        number += size_of(file_of(fixture, first, ".log")) >= 0;
    }
    first--;
    int64_t next = first + 1;
    while (size_of(file_of(fixture, next, ".log")) < 0) {
        next++;
    }
    assert_int_equal(unlink(file_of(fixture, first, ".log")), 0);
    const struct log_state *states[] = {&fixture->state, &known};
    for (size_t i = 0; i < 2; i++) {
        fixture_open(fixture, states[i]);
        assert_int_equal(fixture->recovery.damaged_batches, 1); /* told at the start */
        assert_int_equal(log_end_offset(fixture->log), 100);
        assert_int_equal(read_all(fixture, 0, first, 3000), first);
        assert_int_equal(read_all(fixture, next, 100, 3000), 100 - next);
        for (int64_t gone = first; gone < next; gone++) {
            assert_int_equal(log_read(fixture->log, gone, 100, 3000, true, &span, NULL),
                             ERR_CORRUPT);
        }
        fixture_kill(fixture);
    }
}

static void test_foreign_files_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 3, 10);
    fixture_kill(fixture);
    char path[200];
    static const char *const names[] = {"notes.txt",
                                        "00000000000000000000.log.bak",
                                        "123.log",
                                        "0000000000000000000a.log",
                                        "09223372036854775807.log",
                                        "x.tmp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->log_dir, names[i]);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    }
    fixture_open(fixture, NULL);
    assert_int_equal(log_end_offset(fixture->log), 3);
    assert_false(file_exists(path)); /* x.tmp is a leftover of ours */
    snprintf(path, sizeof path, "%s/notes.txt", fixture->log_dir);
    assert_true(file_exists(path));
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_a_clean_start_reads_no_data),
        LOG_TEST(test_a_missing_index_is_made_anew),
        LOG_TEST(test_an_index_that_was_cut_is_made_anew),
        LOG_TEST(test_an_index_of_zeros_is_made_anew),
        LOG_TEST(test_an_index_of_rubbish_is_made_anew),
        LOG_TEST(test_an_index_of_rubbish_is_made_anew_after_a_clean_stop),
        LOG_TEST(test_a_damaged_value_is_passed_over),
        LOG_TEST(test_a_damaged_length_is_passed_over),
        LOG_TEST(test_a_damaged_magic_is_passed_over),
        LOG_TEST(test_a_damaged_base_offset_is_passed_over),
        LOG_TEST(test_damage_while_running_is_found_by_who_reads),
        LOG_TEST(test_offsets_of_a_vanished_tail_are_not_given_out_again),
        LOG_TEST(test_nobody_is_led_over_a_missing_segment),
        LOG_TEST(test_foreign_files_are_left_alone),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
