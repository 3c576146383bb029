#include "../unit.h"
#include "log_fixture.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "log/flush.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Appenders, readers, waiters and upkeep at once; made for ThreadSanitizer, and true without it:
 * each appender's batches are there once and in its order, readers never see a torn batch or a
 * hole, and every waiter is completed when its events are on disk.
 */
enum { APPENDERS = 4, READERS = 3, APPENDS = 2000 };

struct stress {
    struct fixture *fixture;
    struct flusher *flusher;
    atomic_int appenders_left;
    atomic_int number;
    atomic_int waiters_done;
    atomic_int callbacks;
};

struct wait_one {
    struct flush_waiter waiter;
    struct flush_target target;
    struct stress *stress;
};

static void on_done(struct flush_waiter *waiter)
{
    struct wait_one *one = container_of(waiter, struct wait_one, waiter);
    if (log_flushed_offset(one->target.log) < one->target.end_offset) {
        abort();
    }
    atomic_fetch_add(&one->stress->waiters_done, 1);
    free(one);
}

static void on_flushed(void *context, struct log *log)
{
    (void)log;
    struct stress *stress = context;
    atomic_fetch_add(&stress->callbacks, 1);
}

static void *run_appender(void *context)
{
    struct stress *stress = context;
    int number = atomic_fetch_add(&stress->number, 1);
    struct log *log = stress->fixture->log;
    for (int i = 0; i < APPENDS; i++) {
        struct buf bytes = {0};
        struct batch batch;
        struct batch_spec spec = {.timestamp = 1000 + i,
                                  .value_bytes = (size_t)(20 + i % 200),
                                  .producer_id = 100 + number,
                                  .sequence = i};
        build_batch(&spec, &bytes, &batch);
        struct log_append append = {.batches = &batch, .batch_count = 1, .check_producer = true};
        if (log_append(log, &append, NULL) != ERR_NONE) {
            abort();
        }
        struct wait_one *one = mem_new(struct wait_one);
        one->stress = stress;
        one->target = (struct flush_target){.log = log, .end_offset = append.end_offset};
        one->waiter =
            (struct flush_waiter){.targets = &one->target, .target_count = 1, .done = on_done};
        flush_wait(stress->flusher, &one->waiter);
        buf_deinit(&bytes);
    }
    atomic_fetch_sub(&stress->appenders_left, 1);
    return NULL;
}

/* Reads one span and checks it; returns the offset behind it. */
static int64_t read_once(struct log *log, int64_t from, int64_t to, int32_t *sequences)
{
    struct file_span span;
    enum err err = log_read(log, from, to, 3000, true, &span, NULL);
    if (err == ERR_OUT_OF_RANGE && from < log_start_offset(log)) {
        return -1; /* deleted meanwhile */
    }
    if (err != ERR_NONE) {
        abort();
    }
    if (span.size == 0) {
        return from;
    }
    uint8_t *bytes = mem_alloc(span.size);
    if (pread(span.fd, bytes, span.size, span.position) != (ssize_t)span.size) {
        abort();
    }
    for (size_t at = 0; at < span.size;) {
        struct batch batch;
        if (batch_parse(slice_of(bytes + at, span.size - at), &batch, NULL) != ERR_NONE ||
            batch_check_crc(&batch, NULL) != ERR_NONE || batch.base_offset != from) {
            abort();
        }
        int32_t *sequence = &sequences[batch.producer_id - 100];
        if (*sequence >= 0 && batch.base_sequence != *sequence + 1) {
            abort();
        }
        *sequence = batch.base_sequence;
        from = batch_last_offset(&batch) + 1;
        at += batch.bytes.size;
    }
    free(bytes);
    file_span_release(&span);
    return from;
}

static void *run_reader(void *context)
{
    struct stress *stress = context;
    struct log *log = stress->fixture->log;
    int32_t sequences[APPENDERS] = {-1, -1, -1, -1};
    int64_t from = 0;
    bool last_round = false;
    while (!last_round || from < log_flushed_offset(log)) {
        last_round = atomic_load(&stress->appenders_left) == 0;
        int64_t to = log_flushed_offset(log);
        int64_t next = from < to ? read_once(log, from, to, sequences) : from;
        if (next < 0) {
            memset(sequences, 0xff, sizeof sequences);
            next = log_start_offset(log);
        }
        if (next == from) {
            sched_yield();
        }
        from = next;
        if (last_round && from >= (int64_t)APPENDERS * APPENDS) {
            break;
        }
    }
    return NULL;
}

static void *run_upkeep(void *context)
{
    struct stress *stress = context;
    struct log *log = stress->fixture->log;
    struct log_config config = stress->fixture->config;
    while (atomic_load(&stress->appenders_left) > 0) {
        struct log_state state;
        int64_t offset;
        int64_t timestamp;
        int64_t flushed = log_flushed_offset(log);
        if (log_checkpoint(log, &state, NULL) != ERR_NONE || log_maintain(log, NULL) != ERR_NONE ||
            log_find_time(log, 1100, flushed, &offset, &timestamp, NULL) != ERR_NONE ||
            log_find_max_time(log, flushed, &offset, &timestamp, NULL) != ERR_NONE ||
            log_set_start_offset(log, flushed / 4, NULL) != ERR_NONE) {
            abort();
        }
        (void)log_retention_start(log, flushed);
        config.segment_bytes = config.segment_bytes == 10000 ? 20000 : 10000;
        log_set_config(log, &config);
    }
    return NULL;
}

static void test_appenders_readers_and_upkeep_at_once_lose_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct stress stress = {.fixture = fixture, .appenders_left = APPENDERS};
    struct flush_handler handler = {.context = &stress, .on_flushed = on_flushed};
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flusher_new(file_ops_system(), fd, NULL, &handler, &stress.flusher, NULL),
                     ERR_NONE);
    fixture->env.flusher = stress.flusher;
    fixture->config.segment_bytes = 10000;
    fixture->config.index_interval_bytes = 500;
    fixture_open(fixture, NULL);
    pthread_t threads[APPENDERS + READERS + 1];
    for (int i = 0; i < APPENDERS + READERS + 1; i++) {
        void *(*run)(void *) = i < APPENDERS             ? run_appender
                               : i < APPENDERS + READERS ? run_reader
                                                         : run_upkeep;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &stress), 0);
    }
    for (int i = 0; i < APPENDERS + READERS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    flusher_free(stress.flusher);
    close(fd);
    assert_int_equal(atomic_load(&stress.waiters_done), APPENDERS * APPENDS);
    assert_true(atomic_load(&stress.callbacks) > 0);
    assert_int_equal(log_flushed_offset(fixture->log), APPENDERS * APPENDS);
    fixture->env.flusher = NULL;
    int64_t start = log_start_offset(fixture->log);
    assert_int_equal(read_all(fixture, start, APPENDERS * APPENDS, 100000),
                     APPENDERS * APPENDS - start);
}

/* ---- transactions ---- */

enum { TXNS = 400 };

/* Transactions of one to three batches; every third is aborted. */
static void *run_txns(void *context)
{
    struct stress *stress = context;
    int number = atomic_fetch_add(&stress->number, 1);
    struct fixture *fixture = stress->fixture;
    int32_t sequence = 0;
    for (int i = 0; i < TXNS; i++) {
        for (int k = 0; k <= (i + number) % 3; k++) {
            struct buf bytes = {0};
            struct batch batch;
            struct batch_spec spec = {.timestamp = 1000 + i,
                                      .producer_id = 100 + number,
                                      .sequence = sequence++,
                                      .transactional = true};
            build_batch(&spec, &bytes, &batch);
            struct log_append append = {
                .batches = &batch, .batch_count = 1, .check_producer = true};
            if (log_append(fixture->log, &append, NULL) != ERR_NONE) {
                abort();
            }
            buf_deinit(&bytes);
        }
        if (append_marker(fixture, 100 + number, 0, 0, i % 3 != 0) != ERR_NONE) {
            abort();
        }
    }
    atomic_fetch_sub(&stress->appenders_left, 1);
    return NULL;
}

static void decide(void *context, struct log *log)
{
    (void)context;
    log_decide_txns(log, log_flushed_offset(log));
}

/* The last stable offset never falls, and what lies below it stays as it was: a second look at the
 * aborted transactions of a range finds the same. */
static void *run_stable_reader(void *context)
{
    struct stress *stress = context;
    struct log *log = stress->fixture->log;
    int64_t before = 0;
    while (atomic_load(&stress->appenders_left) > 0) {
        int64_t high = log_flushed_offset(log);
        int64_t unstable = log_first_unstable_offset(log);
        int64_t stable = high < unstable ? high : unstable;
        struct aborted_txn *first;
        struct aborted_txn *second;
        size_t first_count;
        size_t second_count;
        int64_t from = stable > 50 ? stable - 50 : 0;
        if (stable < before ||
            log_aborted_txns(log, from, stable, &first, &first_count, NULL) != ERR_NONE ||
            log_aborted_txns(log, from, stable, &second, &second_count, NULL) != ERR_NONE ||
            first_count != second_count) {
            abort();
        }
        for (size_t i = 0; i < first_count; i++) {
            if (memcmp(&first[i], &second[i], sizeof *first) != 0) {
                abort();
            }
        }
        free(first);
        free(second);
        before = stable;
    }
    return NULL;
}

static void *run_checkpoints(void *context)
{
    struct stress *stress = context;
    while (atomic_load(&stress->appenders_left) > 0) {
        struct log_state state;
        if (log_checkpoint(stress->fixture->log, &state, NULL) != ERR_NONE) {
            abort();
        }
    }
    return NULL;
}

static void test_transactions_at_once_are_each_whole(void **state)
{
    struct fixture *fixture = *state;
    struct stress stress = {.fixture = fixture, .appenders_left = APPENDERS};
    struct flush_handler handler = {.context = &stress, .on_flushed = decide};
    int fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flusher_new(file_ops_system(), fd, NULL, &handler, &stress.flusher, NULL),
                     ERR_NONE);
    fixture->env.flusher = stress.flusher;
    fixture->config.segment_bytes = 10000;
    fixture_open(fixture, NULL);
    pthread_t threads[APPENDERS + READERS + 1];
    for (int i = 0; i < APPENDERS + READERS + 1; i++) {
        void *(*run)(void *) = i < APPENDERS             ? run_txns
                               : i < APPENDERS + READERS ? run_stable_reader
                                                         : run_checkpoints;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &stress), 0);
    }
    for (int i = 0; i < APPENDERS + READERS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    flusher_free(stress.flusher);
    close(fd);
    fixture->env.flusher = NULL;
    decide(NULL, fixture->log); /* a checkpoint may have made the last sync: it tells nobody */
    assert_true(log_first_unstable_offset(fixture->log) == INT64_MAX);
    struct aborted_txn *all;
    size_t count;
    assert_int_equal(
        log_aborted_txns(fixture->log, 0, log_end_offset(fixture->log), &all, &count, NULL),
        ERR_NONE);
    assert_int_equal(count, APPENDERS * ((TXNS + 2) / 3));
    free(all);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_appenders_readers_and_upkeep_at_once_lose_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_transactions_at_once_are_each_whole, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
