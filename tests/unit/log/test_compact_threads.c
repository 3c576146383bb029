#include "../unit.h"
#include "compact_fixture.h"

#include "base/mem.h"
#include "log/log_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Compaction beside an appender, readers, look-ups by time and upkeep: for the thread sanitizer,
 * and for spans and hints of segments that are swapped away meanwhile. */
enum { CLEANINGS = 10, READERS = 2, KEYS = 40, MOST_BYTES = 60000 };

struct shared {
    struct fixture *fixture;
    atomic_bool stop;
    _Atomic int64_t reads;
    atomic_int tries; /* of cleaning */
};

static void *append_on(void *context)
{
    struct shared *shared = context;
    for (int i = 0; !atomic_load(&shared->stop); i++) {
        char key[16];
        while (log_size_bytes(shared->fixture->log) > MOST_BYTES && !atomic_load(&shared->stop)) {
            sched_yield(); /* cleaning is slower than this */
        }
        snprintf(key, sizeof key, "key-%d", i % KEYS);
        struct kv_batch batch = {.producer_id = 7, .sequence = i};
        append_kv(shared->fixture, &batch, (struct kv[]){{key, "value"}}, 1);
        if (i % 50 == 49) {
            assert_int_equal(log_flush(shared->fixture->log, NULL), ERR_NONE);
            log_finish_rolled(shared->fixture->log);
        }
    }
    return NULL;
}

/* Reads the log from its start; every span must hold whole batches, offsets rising. */
static void read_through(struct shared *shared)
{
    struct log *log = shared->fixture->log;
    int64_t end = log_flushed_offset(log);
    for (int64_t from = log_start_offset(log); from < end;) {
        struct file_span span;
        struct reason reason = {.text = ""};
        enum err err = log_read(log, from, end, 500, true, &span, &reason);
        if (err == ERR_NONE && span.size == 0 && log_flushed_offset(log) > end) {
            end = log_flushed_offset(log); /* all up to the old end was superseded meanwhile */
            continue;
        }
        if (err != ERR_NONE || span.size == 0) {
            fail_msg("read at %lld of %lld: %s: %s", (long long)from, (long long)end, err_name(err),
                     reason.text);
        }
        uint8_t *bytes = mem_alloc(span.size);
        assert_int_equal(pread(span.fd, bytes, span.size, span.position), (ssize_t)span.size);
        for (struct slice left = slice_of(bytes, span.size); left.size > 0;) {
            struct batch batch;
            assert_int_equal(batch_parse(left, &batch, NULL), ERR_NONE);
            assert_int_equal(batch_check_crc(&batch, NULL), ERR_NONE);
            assert_true(batch_last_offset(&batch) >= from);
            from = batch_last_offset(&batch) + 1;
            left = slice_of(left.data + batch.bytes.size, left.size - batch.bytes.size);
        }
        free(bytes);
        file_span_release(&span);
        atomic_fetch_add(&shared->reads, 1);
    }
}

static void *read_on(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->stop)) {
        int64_t offset;
        int64_t timestamp;
        read_through(shared);
        assert_int_equal(
            log_find_time(shared->fixture->log, 1, INT64_MAX, &offset, &timestamp, NULL), ERR_NONE);
    }
    return NULL;
}

static void *keep_on(void *context)
{
    struct shared *shared = context;
    int seen = -1;
    while (!atomic_load(&shared->stop)) {
        struct log_state state;
        if (atomic_load(&shared->tries) == seen) { /* not so often that no one else gets a turn */
            sched_yield();
            continue;
        }
        seen = atomic_load(&shared->tries);
        assert_int_equal(log_maintain(shared->fixture->log, NULL), ERR_NONE);
        assert_int_equal(log_checkpoint(shared->fixture->log, &state, NULL), ERR_NONE);
    }
    return NULL;
}

static void readers_and_writers_go_on_while_it_compacts(void **state)
{
    struct shared shared = {.fixture = *state};
    shared.fixture->config.segment_bytes = 3000;
    shared.fixture->config.index_interval_bytes = 200;
    fixture_open(shared.fixture, NULL);
    pthread_t threads[READERS + 2];
    pthread_create(&threads[0], NULL, append_on, &shared);
    pthread_create(&threads[1], NULL, keep_on, &shared);
    for (int i = 0; i < READERS; i++) {
        pthread_create(&threads[2 + i], NULL, read_on, &shared);
    }
    for (int done = 0; done < CLEANINGS || atomic_load(&shared.reads) < 1000;) {
        struct compact_limits limits = roomy_limits();
        struct compact_result result;
        struct reason reason;
        assert_int_equal(log_compact(shared.fixture->log, log_flushed_offset(shared.fixture->log),
                                     &limits, &result, &reason),
                         ERR_NONE);
        done += result.passes > 0;
        atomic_fetch_add(&shared.tries, 1);
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < READERS + 2; i++) {
        pthread_join(threads[i], NULL);
    }
    read_through(&shared);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        readers_and_writers_go_on_while_it_compacts, fixture_setup, fixture_teardown)};
    return unit_run(tests, NULL, NULL, argc, argv);
}
