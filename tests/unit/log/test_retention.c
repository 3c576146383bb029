#include "../unit.h"
#include "log_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Start offset, retention, deletion, times. */

static void test_the_start_offset_moves_and_takes_segments_along(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 10000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    struct file_span span;
    assert_int_equal(log_read(fixture->log, 0, 100, 100000, true, &span, NULL), ERR_NONE);
    assert_int_equal(log_set_start_offset(fixture->log, 101, NULL), ERR_OUT_OF_RANGE);
    assert_int_equal(log_set_start_offset(fixture->log, 50, NULL), ERR_NONE);
    assert_int_equal(log_start_offset(fixture->log), 50);
    assert_int_equal(size_of(file_of(fixture, 0, ".log")), -1);
    uint8_t *bytes = malloc(span.size); /* whoever has a span goes on reading */
    assert_int_equal(pread(span.fd, bytes, span.size, span.position), (ssize_t)span.size);
    free(bytes);
    file_span_release(&span);
    assert_int_equal(log_read(fixture->log, 49, 100, 100, true, &span, NULL), ERR_OUT_OF_RANGE);
    assert_int_equal(read_all(fixture, 50, 100, 100000), 50);
    assert_int_equal(log_set_start_offset(fixture->log, 10, NULL), ERR_NONE);
    assert_int_equal(log_start_offset(fixture->log), 50); /* never back */
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(log_start_offset(fixture->log), 50);
}

static void test_retention_by_size_takes_the_oldest_segments(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 10000;
    fixture->config.retention_ms = -1;
    fixture->config.retention_bytes = 40000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    int64_t start = log_retention_start(fixture->log, 100);
    assert_true(start > 0 && start < 100);
    assert_int_equal(log_retention_start(fixture->log, 0), 0); /* nothing above max_offset */
    assert_int_equal(log_set_start_offset(fixture->log, start, NULL), ERR_NONE);
    assert_true(log_size_bytes(fixture->log) >= 40000 && log_size_bytes(fixture->log) < 51000);
    assert_int_equal(log_retention_start(fixture->log, 100), start);
}

static void test_retention_by_time_takes_the_oldest_segments(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 10000;
    fixture->config.retention_ms = 1000;
    fixture_open(fixture, NULL);
    append_many(fixture, 50, 1000);
    assert_int_equal(log_retention_start(fixture->log, 50), 0);
    fixture->now_ms += 2000;
    append_many(fixture, 1, 1000);
    int64_t start = log_retention_start(fixture->log, 51);
    assert_true(start > 30 && start <= 50);
    fixture->now_ms += 2000; /* all of it: the active segment is rolled */
    assert_int_equal(log_retention_start(fixture->log, 51), 51);
    assert_int_equal(log_set_start_offset(fixture->log, 51, NULL), ERR_NONE);
    assert_int_equal(log_size_bytes(fixture->log), 0);
    append_many(fixture, 1, 10);
    assert_int_equal(log_end_offset(fixture->log), 52);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(read_all(fixture, 51, 52, 10), 1);
}

static void test_a_segment_is_rolled_by_time(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_ms = 1000;
    fixture_open(fixture, NULL);
    append_many(fixture, 3, 10);
    fixture->now_ms += 1001;
    append_many(fixture, 1, 10);
    assert_true(size_of(file_of(fixture, 3, ".log")) > 0);
    fixture->now_ms += 1001;
    assert_int_equal(log_maintain(fixture->log, NULL), ERR_NONE);
    assert_int_equal(size_of(file_of(fixture, 4, ".log")), 0);
}

static void test_an_offset_is_found_by_time(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset;
    int64_t timestamp;
    fixture->config.segment_bytes = 5000;
    fixture->config.index_interval_bytes = 500;
    fixture_open(fixture, NULL);
    assert_int_equal(log_find_max_time(fixture->log, 0, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, -1);
    for (int i = 0; i < 300; i++) { /* times rise by 10; three records 1 ms apart each */
        struct batch_spec spec = {.records = 3, .timestamp = 1000 + i * 10};
        struct log_append append;
        assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    }
    for (int i = 0; i < 300; i += 7) {
        assert_int_equal(
            log_find_time(fixture->log, 1000 + i * 10 + 1, 900, &offset, &timestamp, NULL),
            ERR_NONE);
        assert_int_equal(offset, i * 3 + 1);
        assert_int_equal(timestamp, 1000 + i * 10 + 1);
        assert_int_equal(
            log_find_time(fixture->log, 1000 + i * 10 - 5, 900, &offset, &timestamp, NULL),
            ERR_NONE);
        assert_int_equal(offset, i * 3);
    }
    assert_int_equal(log_find_time(fixture->log, 9000, 900, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, -1);
    assert_int_equal(log_find_time(fixture->log, 2000, 200, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, -1); /* not below max_offset */
    assert_int_equal(log_find_max_time(fixture->log, 900, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, 899);
    assert_int_equal(timestamp, 1000 + 2990 + 2);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(log_find_time(fixture->log, 2501, 900, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, 451);
    assert_int_equal(log_find_max_time(fixture->log, 600, &offset, &timestamp, NULL), ERR_NONE);
    assert_int_equal(offset, 599);
}

static int entries_of(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count - 2;
}

static void test_a_deleted_log_leaves_no_file(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 3, 10);
    struct file_span span;
    struct log_append append;
    struct batch_spec spec = {.timestamp = 1};
    assert_int_equal(log_read(fixture->log, 0, 3, 1000, true, &span, NULL), ERR_NONE);
    assert_int_equal(log_delete(fixture->log, NULL), ERR_NONE);
    assert_int_equal(entries_of(fixture->dir), 0);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_CLOSED);
    uint8_t byte;
    assert_int_equal(pread(span.fd, &byte, 1, span.position), 1);
    fixture_kill(fixture);
    assert_int_equal(pread(span.fd, &byte, 1, span.position), 1); /* outlives the log */
    file_span_release(&span);
    char path[200];
    snprintf(path, sizeof path, "%s/a-0.17-delete", fixture->dir);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/a-0.17-delete/00000000000000000000.log", fixture->dir);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    log_delete_leftovers(file_ops_system(), fixture->dir);
    assert_int_equal(entries_of(fixture->dir), 0);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_the_start_offset_moves_and_takes_segments_along),
        LOG_TEST(test_retention_by_size_takes_the_oldest_segments),
        LOG_TEST(test_retention_by_time_takes_the_oldest_segments),
        LOG_TEST(test_a_segment_is_rolled_by_time),
        LOG_TEST(test_an_offset_is_found_by_time),
        LOG_TEST(test_a_deleted_log_leaves_no_file),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
