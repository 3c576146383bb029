#include "../unit.h"
#include "log_fixture.h"

#include "base/bytes.h"
#include "log/flush.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Open, append, read, roll, close: what holds without faults. */

static void test_an_empty_log_begins_and_ends_at_zero(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    struct file_span span;
    assert_int_equal(log_end_offset(fixture->log), 0);
    assert_int_equal(log_read(fixture->log, 0, 10, 100, true, &span, NULL), ERR_NONE);
    assert_int_equal(span.size, 0);
    assert_int_equal(log_read(fixture->log, 1, 10, 100, true, &span, NULL), ERR_OUT_OF_RANGE);
    fixture_close(fixture);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(log_end_offset(fixture->log), 0);
}

static void test_what_is_appended_is_read(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    struct batch_spec spec = {.records = 3, .timestamp = 1000};
    struct log_append append;
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    assert_int_equal(append.base_offset, 0);
    assert_int_equal(append.end_offset, 3);
    assert_int_equal(append_spec(fixture, &spec, &append), ERR_NONE);
    assert_int_equal(append.base_offset, 3);
    assert_int_equal(log_end_offset(fixture->log), 6);
    assert_int_equal(log_flushed_offset(fixture->log), 0);
    assert_int_equal(log_flush(fixture->log, NULL), ERR_NONE);
    assert_int_equal(log_flushed_offset(fixture->log), 6);
    assert_int_equal(read_all(fixture, 0, 6, 1 << 20), 6);
    assert_int_equal(read_all(fixture, 0, 6, 1), 6);
    assert_int_equal(read_all(fixture, 4, 6, 1), 3); /* the whole batch that holds 4 */
}

/* Kafka's layout: the bytes of the header stand where its documentation says. */
static void test_the_file_has_kafkas_layout(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 2, 10);
    fixture_close(fixture);
    int fd = open(file_of(fixture, 0, ".log"), O_RDONLY | O_CLOEXEC);
    uint8_t head[61];
    int64_t half = size_of(file_of(fixture, 0, ".log")) / 2;
    assert_int_equal(pread(fd, head, sizeof head, half), sizeof head);
    close(fd);
    assert_int_equal(load_be64(head), 1);             /* base offset */
    assert_int_equal(load_be32(head + 8), half - 12); /* batch length */
    assert_int_equal(load_be32(head + 12), 0);        /* leader epoch */
    assert_int_equal(head[16], 2);                    /* magic */
    assert_int_equal(load_be32(head + 23), 0);        /* last offset delta */
    assert_int_equal(load_be64(head + 43), UINT64_MAX);
    assert_int_equal(load_be32(head + 57), 1);
}

static void test_a_read_keeps_to_its_limits(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    struct file_span span;
    int64_t batch_bytes = log_size_bytes(fixture->log) / 100;
    /* Exactly two and a half batches: two are given. */
    size_t limit = (size_t)(batch_bytes * 5 / 2);
    assert_int_equal(log_read(fixture->log, 10, 100, limit, false, &span, NULL), ERR_NONE);
    assert_int_equal(span.position, 10 * batch_bytes);
    assert_int_equal(span.size, 2 * batch_bytes);
    file_span_release(&span);
    assert_int_equal(log_read(fixture->log, 10, 11, limit, false, &span, NULL), ERR_NONE);
    assert_int_equal(span.size, batch_bytes);
    file_span_release(&span);
    assert_int_equal(log_read(fixture->log, 10, 100, 10, false, &span, NULL), ERR_NONE);
    assert_int_equal(span.size, 0);
    assert_int_equal(log_read(fixture->log, 10, 100, 10, true, &span, NULL), ERR_NONE);
    assert_int_equal(span.size, batch_bytes);
    file_span_release(&span);
    assert_int_equal(log_read(fixture->log, 10, 10, 10, true, &span, NULL), ERR_NONE);
    assert_int_equal(span.size, 0);
}

static void test_a_full_segment_is_rolled(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 10000;
    fixture_open(fixture, NULL);
    append_many(fixture, 200, 1000);
    assert_int_equal(log_flush(fixture->log, NULL), ERR_NONE);
    assert_int_equal(read_all(fixture, 0, 200, 5000), 200);
    fixture_close(fixture);
    assert_true(size_of(file_of(fixture, 0, ".log")) <= 10000);
    assert_true(size_of(file_of(fixture, 0, ".index")) > 0);
    assert_true(size_of(file_of(fixture, 0, ".timeindex")) > 0);
    fixture_open(fixture, &fixture->state);
    assert_int_equal(fixture->recovery.scanned_bytes, 0);
    assert_int_equal(log_end_offset(fixture->log), 200);
    assert_int_equal(read_all(fixture, 0, 200, 3000), 200);
    for (int64_t from = 0; from < 200; from += 7) {
        assert_int_equal(read_all(fixture, from, 200, 100000), 200 - from);
    }
    append_many(fixture, 10, 1000);
    assert_int_equal(read_all(fixture, 195, 210, 100000), 15);
}

static void test_a_log_is_whole_after_a_kill(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.segment_bytes = 10000;
    fixture_open(fixture, NULL);
    append_many(fixture, 50, 1000);
    struct log_state known;
    assert_int_equal(log_checkpoint(fixture->log, &known, NULL), ERR_NONE);
    append_many(fixture, 50, 1000);
    fixture_kill(fixture);
    fixture_open(fixture, &known);
    assert_int_equal(log_end_offset(fixture->log), 100);
    assert_int_equal(fixture->recovery.truncated_at, -1);
    assert_true(fixture->recovery.scanned_bytes < 60 * 1100);
    assert_int_equal(read_all(fixture, 0, 100, 3000), 100);
    fixture_kill(fixture);
    fixture_open(fixture, NULL);
    assert_int_equal(log_end_offset(fixture->log), 100);
    assert_int_equal(read_all(fixture, 0, 100, 3000), 100);
}

static void test_a_torn_tail_is_cut(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture, NULL);
    append_many(fixture, 10, 1000);
    fixture_kill(fixture);
    const char *path = file_of(fixture, 0, ".log");
    cut_file(path, size_of(path) - 1);
    fixture_open(fixture, NULL);
    assert_int_equal(log_end_offset(fixture->log), 9);
    assert_int_equal(fixture->recovery.truncated_at, 9);
    assert_true(fixture->recovery.truncated_bytes > 1000);
    append_many(fixture, 1, 100);
    assert_int_equal(read_all(fixture, 0, 10, 3000), 10);
}

struct done_waiter {
    struct flush_waiter waiter;
    atomic_int done;
};

static void on_done(struct flush_waiter *waiter)
{
    atomic_store(&((struct done_waiter *)(void *)waiter)->done, 1);
}

static void test_the_flusher_tells_who_waits(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct flush_handler handler = {.context = NULL};
    assert_int_equal(
        flusher_new(file_ops_system(), fd, NULL, &handler, &fixture->env.flusher, NULL), ERR_NONE);
    fixture->config.segment_bytes = 10000;
    fixture_open(fixture, NULL);
    append_many(fixture, 100, 1000);
    struct flush_target target = {.log = fixture->log, .end_offset = 100};
    struct done_waiter waiter = {
        .waiter = {.targets = &target, .target_count = 1, .done = on_done}};
    flush_wait(fixture->env.flusher, &waiter.waiter);
    struct flusher *flusher = fixture->env.flusher;
    flusher_free(flusher); /* completes every waiter */
    assert_int_equal(atomic_load(&waiter.done), 1);
    assert_int_equal(log_flushed_offset(fixture->log), 100);
    assert_true(size_of(file_of(fixture, 0, ".index")) > 0); /* rolled segments were finished */
    close(fd);
    fixture_kill(fixture);
}

/* A disk whose syncs fail for one file. */
struct bad_disk {
    struct file_ops ops;
    atomic_int bad_fd;
};

static int bad_fdatasync(void *context, int fd)
{
    struct bad_disk *disk = context;
    if (fd == atomic_load(&disk->bad_fd)) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static int bad_syncfs(void *context, int fd)
{
    struct bad_disk *disk = context;
    if (atomic_load(&disk->bad_fd) >= 0) {
        errno = EIO;
        return -1;
    }
    return syncfs(fd);
}

/* Bytes in a file that somebody removed are not acknowledged, whichever way the flusher takes. */
static void test_a_removed_file_fails_its_log(void **state)
{
    enum { LOGS = 8 }; /* enough for one syncfs */
    struct fixture *fixture = *state;
    for (int count = 1; count <= LOGS; count += LOGS - 1) {
        int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct flush_handler handler = {.context = NULL};
        struct log_env env = {.files = file_ops_system(), .clock = &fixture->clock};
        assert_int_equal(flusher_new(env.files, fd, NULL, &handler, &env.flusher, NULL), ERR_NONE);
        struct log *logs[LOGS];
        struct flush_target targets[LOGS];
        struct buf bytes = {0};
        struct batch batch;
        struct batch_spec spec = {.timestamp = 1};
        build_batch(&spec, &bytes, &batch);
        for (int i = 0; i < count; i++) {
            char dir[100];
            char file[140];
            snprintf(dir, sizeof dir, "%s/removed-%d-%d", fixture->dir, count, i);
            snprintf(file, sizeof file, "%s/%020d.log", dir, 0);
            assert_int_equal(log_open(dir, &fixture->config, &env, NULL, &logs[i], NULL, NULL),
                             ERR_NONE);
            assert_int_equal(i == 0 ? unlink(file) : 0, 0);
        }
        for (int i = 0; i < count; i++) {
            struct log_append append = {.batches = &batch, .batch_count = 1};
            assert_int_equal(log_append(logs[i], &append, NULL), ERR_NONE);
            targets[i] = (struct flush_target){.log = logs[i], .end_offset = append.end_offset};
        }
        struct done_waiter waiter = {
            .waiter = {.targets = targets, .target_count = (size_t)count, .done = on_done}};
        flush_wait(env.flusher, &waiter.waiter);
        flusher_free(env.flusher);
        assert_int_equal(atomic_load(&waiter.done), 1);
        for (int i = 0; i < count; i++) {
            assert_int_equal(log_failed(logs[i]), i == 0);
            assert_int_equal(log_flushed_offset(logs[i]), i == 0 ? 0 : 1);
            log_unref(logs[i]);
        }
        buf_deinit(&bytes);
        close(fd);
    }
}

/* The file system as a whole is synced for what was appended only: others' bytes take long. */
static void test_what_has_nothing_to_sync_syncs_nothing(void **state)
{
    enum { LOGS = 8 }; /* enough for one syncfs */
    struct fixture *fixture = *state;
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct flush_handler handler = {.context = NULL};
    struct log_env env = {.files = file_ops_system(), .clock = &fixture->clock};
    assert_int_equal(flusher_new(env.files, fd, NULL, &handler, &env.flusher, NULL), ERR_NONE);
    struct log *logs[LOGS];
    struct flush_target targets[LOGS];
    struct flush_stats stats;
    struct buf bytes = {0};
    struct batch batch;
    struct batch_spec spec = {.timestamp = 1};
    build_batch(&spec, &bytes, &batch);
    for (int i = 0; i < LOGS; i++) {
        char dir[100];
        snprintf(dir, sizeof dir, "%s/quiet-%d", fixture->dir, i);
        assert_int_equal(log_open(dir, &fixture->config, &env, NULL, &logs[i], NULL, NULL),
                         ERR_NONE);
        struct log_append append = {.batches = &batch, .batch_count = 1};
        assert_int_equal(log_append(logs[i], &append, NULL), ERR_NONE);
        targets[i] = (struct flush_target){.log = logs[i], .end_offset = append.end_offset};
        flush_wait_blocking(env.flusher, &targets[i], 1); /* one by one */
    }
    for (int i = 0; i < LOGS; i++) {
        flusher_mark(env.flusher, logs[i]);
        assert_int_equal(log_delete(logs[i], NULL), ERR_NONE);
        assert_int_equal(log_flushed_offset(logs[i]), 1);
    }
    struct log *last;
    char dir[100];
    snprintf(dir, sizeof dir, "%s/quiet-last", fixture->dir);
    assert_int_equal(log_open(dir, &fixture->config, &env, NULL, &last, NULL, NULL), ERR_NONE);
    struct log_append append = {.batches = &batch, .batch_count = 1};
    assert_int_equal(log_append(last, &append, NULL), ERR_NONE);
    struct flush_target target = {.log = last, .end_offset = append.end_offset};
    flush_wait_blocking(env.flusher, &target, 1); /* behind all others */
    flusher_stats(env.flusher, &stats);
    assert_int_equal(stats.whole_syncs, 0);
    assert_int_equal(stats.files_synced, LOGS + 1);
    flusher_free(env.flusher);
    for (int i = 0; i < LOGS; i++) {
        log_unref(logs[i]);
    }
    log_unref(last);
    buf_deinit(&bytes);
    close(fd);
}

/* A failed sync fails the logs that it hit, and no other, whichever way the flusher takes. */
static void test_a_failed_sync_fails_only_its_logs(void **state)
{
    enum { LOGS = 8, BAD = 3 };
    struct fixture *fixture = *state;
    struct bad_disk disk = {.ops = *file_ops_system(), .bad_fd = -1};
    disk.ops.context = &disk;
    disk.ops.fdatasync = bad_fdatasync;
    disk.ops.syncfs = bad_syncfs;
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct flush_handler handler = {.context = NULL};
    struct log_env env = {.files = &disk.ops, .clock = &fixture->clock};
    assert_int_equal(flusher_new(&disk.ops, fd, NULL, &handler, &env.flusher, NULL), ERR_NONE);
    struct log *logs[LOGS];
    struct flush_target targets[LOGS];
    struct buf bytes = {0};
    struct batch batch;
    struct batch_spec spec = {.timestamp = 1};
    build_batch(&spec, &bytes, &batch);
    for (int i = 0; i < LOGS; i++) {
        char dir[100];
        snprintf(dir, sizeof dir, "%s/logs-%d", fixture->dir, i);
        assert_int_equal(log_open(dir, &fixture->config, &env, NULL, &logs[i], NULL, NULL),
                         ERR_NONE);
        struct log_append append = {.batches = &batch, .batch_count = 1};
        if (i == BAD) { /* the descriptor is known from a span of its first batch */
            struct file_span span;
            assert_int_equal(log_append(logs[i], &append, NULL), ERR_NONE);
            assert_int_equal(log_read(logs[i], 0, 1, 1000, true, &span, NULL), ERR_NONE);
            atomic_store(&disk.bad_fd, span.fd);
            file_span_release(&span);
        }
        assert_int_equal(log_append(logs[i], &append, NULL), ERR_NONE);
        targets[i] = (struct flush_target){.log = logs[i], .end_offset = append.end_offset};
    }
    struct done_waiter waiter = {
        .waiter = {.targets = targets, .target_count = LOGS, .done = on_done}};
    flush_wait(env.flusher, &waiter.waiter);
    flusher_free(env.flusher);
    assert_int_equal(atomic_load(&waiter.done), 1); /* told, one way or the other */
    for (int i = 0; i < LOGS; i++) {
        struct file_span span;
        struct log_append append = {.batches = &batch, .batch_count = 1};
        assert_int_equal(log_failed(logs[i]), i == BAD);
        assert_int_equal(log_flushed_offset(logs[i]) == log_end_offset(logs[i]), i != BAD);
        assert_int_equal(log_read(logs[i], 0, 1, 1000, true, &span, NULL), ERR_NONE);
        file_span_release(&span);
        if (i == BAD) {
            assert_int_equal(log_append(logs[i], &append, NULL), ERR_CLOSED);
        }
        log_unref(logs[i]);
    }
    buf_deinit(&bytes);
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_empty_log_begins_and_ends_at_zero, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_appended_is_read, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_file_has_kafkas_layout, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_read_keeps_to_its_limits, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_full_segment_is_rolled, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_log_is_whole_after_a_kill, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_tail_is_cut, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_removed_file_fails_its_log, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_has_nothing_to_sync_syncs_nothing, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_sync_fails_only_its_logs, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_flusher_tells_who_waits, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
