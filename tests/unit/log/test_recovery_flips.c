#include "../unit.h"
#include "log_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bits that flip in a header, where a start without a checkpoint might take the batch for torn. */

enum { COUNT = 20, FIRST_COVERED = 21 /* by the CRC */ };

static void flip_bit(const char *path, int64_t position, int bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, position), 1);
    byte = (uint8_t)(byte ^ (1 << bit));
    assert_int_equal(pwrite(fd, &byte, 1, position), 1);
    close(fd);
}

static bool is_leader_epoch(int64_t into)
{
    return into >= 12 && into < 16; /* no part of what was sent; nobody looks at it */
}

/* Opens without a checkpoint: all is there but what begins at the offset, and the log goes on. */
static void check_only_lost(struct fixture *fixture, int64_t offset)
{
    struct file_span span;
    fixture_open(fixture, NULL);
    assert_int_equal(fixture->recovery.truncated_at, -1);
    assert_int_equal(fixture->recovery.damaged_batches, 1);
    assert_int_equal(log_end_offset(fixture->log), COUNT);
    append_many(fixture, 3, 500);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(read_all(fixture, 0, offset, 3000), offset);
        assert_int_equal(log_read(fixture->log, offset, COUNT + 3, 3000, true, &span, NULL),
                         ERR_CORRUPT);
        assert_int_equal(read_all(fixture, offset + 1, COUNT + 3, 3000), COUNT + 2 - offset);
        if (again == 0) {
            fixture_close(fixture);
            fixture_open(fixture, &fixture->state);
        }
    }
    fixture_kill(fixture);
}

static void remove_log(struct fixture *fixture)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->log_dir);
    assert_int_equal(system(command), 0);
}

/* COUNT batches; returns the size of one. Segments of four batches when `rolls`. */
static int64_t prepare(struct fixture *fixture, bool rolls)
{
    fixture->config.segment_bytes = rolls ? 4400 : 1 << 30;
    fixture_open(fixture, NULL);
    append_many(fixture, COUNT, 1000);
    int64_t batch = log_size_bytes(fixture->log) / COUNT;
    fixture_kill(fixture);
    return batch;
}

static void test_a_flip_in_the_last_header_of_a_segment_is_damage(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t into = 0; into < 61; into++) {
        for (int bit = 0; bit < 8; bit += into < FIRST_COVERED ? 1 : 7) {
            int64_t batch = prepare(fixture, true);
            assert_int_equal(size_of(file_of(fixture, 0, ".log")), 4 * batch);
            flip_bit(file_of(fixture, 0, ".log"), 3 * batch + into, bit);
            if (!is_leader_epoch(into)) {
                check_only_lost(fixture, 3);
            }
            remove_log(fixture);
        }
    }
}

/* Behind the last batch of all nothing is good: only its CRC tells that it was whole. */
static void test_a_flip_in_the_front_of_the_last_batch_is_damage(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t into = 0; into < 17; into++) {
        for (int bit = 0; bit < 8 && !is_leader_epoch(into); bit++) {
            int64_t batch = prepare(fixture, false);
            flip_bit(file_of(fixture, 0, ".log"), (COUNT - 1) * batch + into, bit);
            check_only_lost(fixture, COUNT - 1);
            remove_log(fixture);
        }
    }
}

static void test_a_torn_last_batch_is_still_cut(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t missing = 1; missing < 1061; missing += 53) {
        int64_t batch = prepare(fixture, false);
        cut_file(file_of(fixture, 0, ".log"), COUNT * batch - missing);
        fixture_open(fixture, NULL);
        assert_int_equal(fixture->recovery.truncated_at, COUNT - 1);
        assert_int_equal(fixture->recovery.damaged_batches, 0);
        fixture_kill(fixture);
        remove_log(fixture);
    }
}

/* The first is noted, the second is met by a later start: neither hides the other. */
static void test_two_flips_beside_each_other_at_the_end_of_a_segment_are_damage(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t places[] = {3, 9, 16, 24, 300};
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++) {
            int64_t batch = prepare(fixture, true);
            flip_byte(file_of(fixture, 0, ".log"), 2 * batch + places[i]);
            fixture_open(fixture, NULL);
            fixture_kill(fixture);
            flip_byte(file_of(fixture, 0, ".log"), 3 * batch + places[k]);
            fixture_open(fixture, NULL);
            assert_int_equal(fixture->recovery.truncated_at, -1);
            assert_int_equal(log_end_offset(fixture->log), COUNT);
            assert_int_equal(read_all(fixture, 0, 2, 3000), 2);
            assert_int_equal(read_all(fixture, 4, COUNT, 3000), COUNT - 4);
            fixture_kill(fixture);
            remove_log(fixture);
        }
    }
}

/* Producers are made anew from the batches below the checkpoint: the damage that this meets ends
 * there. */
static void test_a_flip_before_the_checkpoint_hides_nothing_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    struct file_span span;
    fixture_open(fixture, NULL);
    append_many(fixture, 10, 1000);
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    append_many(fixture, COUNT - 10, 1000);
    int64_t batch = log_size_bytes(fixture->log) / COUNT;
    fixture_kill(fixture);
    flip_byte(file_of(fixture, 0, ".log"), 9 * batch + 9);
    unlink(file_of(fixture, 10, ".snapshot"));
    flip_byte(file_of(fixture, 0, ".log"), 9 * batch);
    int fd = open(file_of(fixture, 0, ".snapshot"), O_CREAT | O_WRONLY, 0600); /* no good one */
    close(fd);
    fixture_open(fixture, &known);
    assert_int_equal(log_end_offset(fixture->log), COUNT);
    assert_int_equal(read_all(fixture, 0, 9, 3000), 9);
    assert_int_equal(log_read(fixture->log, 9, COUNT, 3000, true, &span, NULL), ERR_CORRUPT);
    assert_int_equal(read_all(fixture, 10, COUNT, 3000), COUNT - 10);
    fixture_kill(fixture);
}

/* A length that leads into the next batch: that one is not taken for damaged as well. */
static void test_a_flipped_length_below_the_checkpoint_hides_one_batch(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    fixture_open(fixture, NULL);
    append_many(fixture, COUNT, 1000);
    int64_t batch = log_size_bytes(fixture->log) / COUNT;
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    append_many(fixture, 1, 1000);
    fixture_kill(fixture);
    flip_bit(file_of(fixture, 0, ".log"), 5 * batch + 10, 0); /* 256 bytes more */
    unlink(file_of(fixture, COUNT, ".snapshot"));
    int fd = open(file_of(fixture, 0, ".snapshot"), O_CREAT | O_WRONLY, 0600); /* no good one */
    close(fd);
    fixture_open(fixture, &known);
    assert_int_equal(read_all(fixture, 0, 5, 3000), 5);
    assert_int_equal(read_all(fixture, 6, COUNT + 1, 3000), COUNT - 5);
    fixture_kill(fixture);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_a_flip_in_the_last_header_of_a_segment_is_damage),
        LOG_TEST(test_a_flip_in_the_front_of_the_last_batch_is_damage),
        LOG_TEST(test_a_torn_last_batch_is_still_cut),
        LOG_TEST(test_two_flips_beside_each_other_at_the_end_of_a_segment_are_damage),
        LOG_TEST(test_a_flip_before_the_checkpoint_hides_nothing_behind_it),
        LOG_TEST(test_a_flipped_length_below_the_checkpoint_hides_one_batch),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
