#include "../unit.h"
#include "log_fixture.h"

#include "base/mem.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Blocks of the unsynced tail that were never written, with written ones behind them. */

enum { BLOCK = 4096, COUNT = 40 };

static void fill_file(const char *path, int64_t from, int64_t to, int value)
{
    size_t size = (size_t)(to - from);
    uint8_t *bytes = mem_alloc(size);
    memset(bytes, value, size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bytes, size, from), size);
    close(fd);
    free(bytes);
}

static int64_t block_after(int64_t position)
{
    return (position / BLOCK + 1) * BLOCK;
}

/* COUNT batches with a checkpoint in between; returns the size of one. */
static int64_t prepare(struct fixture *fixture, int checkpoint_at, struct log_state *known)
{
    fixture_open(fixture, NULL);
    append_many(fixture, checkpoint_at, 1000);
    assert_int_equal(log_flush(fixture->log, NULL), ERR_NONE);
    assert_int_equal(log_checkpoint(fixture->log, known, NULL), ERR_NONE);
    append_many(fixture, COUNT - checkpoint_at, 1000);
    int64_t batch_bytes = log_size_bytes(fixture->log) / COUNT;
    fixture_kill(fixture);
    return batch_bytes;
}

static size_t count_cut_files(struct fixture *fixture, int64_t *size)
{
    char pattern[160];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.*.*.cut", fixture->log_dir);
    int result = glob(pattern, 0, NULL, &found);
    assert_true(result == 0 || result == GLOB_NOMATCH);
    size_t count = result == 0 ? found.gl_pathc : 0;
    for (size_t i = 0; i < count; i++) {
        *size = size_of(found.gl_pathv[i]);
    }
    globfree(&found);
    return count;
}

/* The log ends at `end`, nothing is damaged, what was cut is kept, and it goes on. */
static void check_cut(struct fixture *fixture, const struct log_state *known, int64_t end,
                      int64_t cut_bytes)
{
    int64_t kept = 0;
    fixture_open(fixture, known);
    assert_int_equal(log_end_offset(fixture->log), end);
    assert_int_equal(fixture->recovery.truncated_at, end);
    assert_int_equal(fixture->recovery.truncated_bytes, cut_bytes);
    assert_int_equal(fixture->recovery.damaged_batches, 0);
    assert_int_equal(count_cut_files(fixture, &kept), 1);
    assert_int_equal(kept, cut_bytes);
    append_many(fixture, 3, 500);
    assert_int_equal(read_all(fixture, 0, end + 3, 7000), end + 3);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(read_all(fixture, 0, end + 3, 7000), end + 3);
    assert_int_equal(count_cut_files(fixture, &kept), 1);
    fixture_kill(fixture);
}

/* Damage at offset 10 that stays, with all behind it. */
static void check_kept(struct fixture *fixture, const struct log_state *known, int64_t next)
{
    struct file_span span;
    int64_t size;
    fixture_open(fixture, known);
    assert_int_equal(log_end_offset(fixture->log), COUNT);
    assert_int_equal(fixture->recovery.truncated_at, -1);
    assert_int_equal(count_cut_files(fixture, &size), 0);
    assert_int_equal(read_all(fixture, 0, 10, 100000), 10);
    assert_int_equal(log_read(fixture->log, 10, COUNT, 1000, true, &span, NULL), ERR_CORRUPT);
    assert_int_equal(read_all(fixture, next, COUNT, 100000), COUNT - next);
    fixture_kill(fixture);
}

/* The first batch that begins at or behind the end of the block that holds `position`. */
static int64_t next_whole(int64_t position, int64_t batch_bytes)
{
    return (block_after(position) + batch_bytes - 1) / batch_bytes;
}

static void test_a_hole_at_a_header_is_cut(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 5, &known);
    const char *path = file_of(fixture, 0, ".log");
    fill_file(path, 10 * batch, block_after(10 * batch), 0);
    check_cut(fixture, &known, 10, (COUNT - 10) * batch);
}

static void test_a_hole_at_the_checkpoint_is_cut(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 10, &known);
    fill_file(file_of(fixture, 0, ".log"), 10 * batch, block_after(10 * batch), 0);
    check_cut(fixture, &known, 10, (COUNT - 10) * batch);
}

static void test_a_hole_without_a_checkpoint_is_cut(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 5, &known);
    fill_file(file_of(fixture, 0, ".log"), 0, BLOCK, 0);
    check_cut(fixture, NULL, 0, COUNT * batch);
}

static void test_a_hole_inside_a_batch_is_cut(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 5, &known);
    int64_t block = block_after(10 * batch);
    int64_t hit = block / batch;
    assert_in_range(block - hit * batch, 61, batch - 1);
    fill_file(file_of(fixture, 0, ".log"), block, block + BLOCK, 0);
    check_cut(fixture, &known, hit, (COUNT - hit) * batch);
}

static void test_garbage_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 5, &known);
    fill_file(file_of(fixture, 0, ".log"), 10 * batch, block_after(10 * batch), 0x5a);
    check_kept(fixture, &known, next_whole(10 * batch, batch));
}

/* Zeros to the end of the block, but not from the batch's first byte on. */
static void test_garbage_before_zeros_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 5, &known);
    const char *path = file_of(fixture, 0, ".log");
    fill_file(path, 10 * batch, block_after(10 * batch), 0);
    flip_byte(path, 10 * batch);
    check_kept(fixture, &known, next_whole(10 * batch, batch));
}

/* Zeros that end inside the block: whatever wrote them was no file system. */
static void test_short_zeros_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 5, &known);
    fill_file(file_of(fixture, 0, ".log"), 10 * batch, 10 * batch + 300, 0);
    check_kept(fixture, &known, 11);
}

static void test_a_hole_below_the_checkpoint_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t batch = prepare(fixture, 30, &known);
    fill_file(file_of(fixture, 0, ".log"), 10 * batch, block_after(10 * batch), 0);
    int64_t next = next_whole(10 * batch, batch);
    known.active_size--; /* does not fit: the segment is scanned as a whole */
    check_kept(fixture, &known, next);
    assert_true(fixture->recovery.scanned_bytes > 30 * batch);
    assert_int_equal(fixture->recovery.damaged_batches, 1);
    known.active_size++;
    assert_int_equal(unlink(file_of(fixture, 0, ".damage")), 0);
    check_kept(fixture, &known, next);
    known.active_size--;
    check_kept(fixture, &known, next); /* notes it again */
    check_kept(fixture, NULL, next);   /* and then it stays even when the checkpoint is lost */
}

static void test_a_hole_in_a_clean_log_is_kept(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, COUNT, 1000);
    int64_t batch = log_size_bytes(fixture->log) / COUNT;
    fixture_close(fixture);
    fill_file(file_of(fixture, 0, ".log"), 10 * batch, block_after(10 * batch), 0);
    check_kept(fixture, &fixture->state, next_whole(10 * batch, batch));
}

/* Two batches, the second of which begins `before` bytes before a block, then some more. */
static int64_t append_split(struct fixture *fixture, int64_t before)
{
    struct log_append append;
    struct buf bytes = {0};
    struct batch batch;
    struct batch_spec spec = {.value_bytes = 3900, .timestamp = fixture->now_ms};
    build_batch(&spec, &bytes, &batch);
    spec.value_bytes += (size_t)(BLOCK - before) - bytes.size;
    buf_deinit(&bytes);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    int64_t position = log_size_bytes(fixture->log);
    assert_int_equal(position, BLOCK - before);
    append_many(fixture, 20, 1000);
    return position;
}

static void hole_in_split_header(struct fixture *fixture, int64_t before, bool first_block)
{
    fixture_open(fixture, NULL);
    int64_t position = append_split(fixture, before);
    int64_t size = log_size_bytes(fixture->log);
    fixture_kill(fixture);
    if (first_block) {
        fill_file(file_of(fixture, 0, ".log"), position, BLOCK, 0);
    } else {
        fill_file(file_of(fixture, 0, ".log"), BLOCK, 2 * BLOCK, 0);
    }
    if (first_block && before < 8) { /* offset 1 has seven zeros before it: nothing is missing */
        fixture_open(fixture, NULL);
        assert_int_equal(log_end_offset(fixture->log), 21);
        fixture_kill(fixture);
    } else {
        check_cut(fixture, NULL, 1, size - position);
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->log_dir);
    assert_int_equal(system(command), 0);
}

static void test_a_hole_that_splits_a_header_is_cut(void **state)
{
    for (int64_t before = 1; before <= 61; before++) {
        hole_in_split_header(*state, before, true);
        hole_in_split_header(*state, before, false);
    }
}

/* The hole is in the last batch of a segment, all good ones are in the next segments. */
static void test_a_hole_at_the_end_of_a_segment_is_cut(void **state)
{
    struct fixture *fixture = *state;
    int64_t kept;
    fixture->config.segment_bytes = 30000;
    fixture_open(fixture, NULL);
    append_many(fixture, 20, 5000);
    fixture_kill(fixture);
    const char *path = file_of(fixture, 0, ".log");
    int64_t size = size_of(path);
    int64_t hit = 4;
    int64_t batch = size / (hit + 1);
    int64_t block = block_after(hit * batch);
    assert_int_equal(size, (hit + 1) * batch);
    fill_file(path, block, block + BLOCK < size ? block + BLOCK : size, 0);
    fixture_open(fixture, NULL);
    assert_int_equal(log_end_offset(fixture->log), hit);
    assert_int_equal(fixture->recovery.damaged_batches, 0);
    assert_int_equal(fixture->recovery.truncated_bytes, (20 - hit) * batch);
    assert_int_equal(count_cut_files(fixture, &kept), 1);
    assert_int_equal(kept, batch);
    assert_true(file_exists(file_of(fixture, hit + 1, ".log.cut")));
    append_many(fixture, 10, 5000);
    assert_int_equal(read_all(fixture, 0, hit + 10, 9000), hit + 10);
}

/* Two crashes at the same place: neither takes away what the other kept. */
static void test_two_cuts_at_one_place_keep_what_each_cut(void **state)
{
    struct fixture *fixture = *state;
    struct log_state known;
    int64_t kept;
    int64_t batch = prepare(fixture, 10, &known);
    for (size_t i = 1; i <= 2; i++) {
        fill_file(file_of(fixture, 0, ".log"), 10 * batch, block_after(10 * batch), 0);
        fixture_open(fixture, &known);
        assert_int_equal(log_end_offset(fixture->log), 10);
        assert_int_equal(count_cut_files(fixture, &kept), i);
        fixture->now_ms += 1000;
        append_many(fixture, COUNT - 10, 1000);
        fixture_kill(fixture);
    }
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_a_hole_at_a_header_is_cut),
        LOG_TEST(test_a_hole_at_the_checkpoint_is_cut),
        LOG_TEST(test_a_hole_without_a_checkpoint_is_cut),
        LOG_TEST(test_a_hole_inside_a_batch_is_cut),
        LOG_TEST(test_garbage_is_kept),
        LOG_TEST(test_garbage_before_zeros_is_kept),
        LOG_TEST(test_short_zeros_are_kept),
        LOG_TEST(test_a_hole_below_the_checkpoint_is_kept),
        LOG_TEST(test_a_hole_in_a_clean_log_is_kept),
        LOG_TEST(test_a_hole_that_splits_a_header_is_cut),
        LOG_TEST(test_a_hole_at_the_end_of_a_segment_is_cut),
        LOG_TEST(test_two_cuts_at_one_place_keep_what_each_cut),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
