#include "../unit.h"
#include "log_fixture.h"

#include "log/segment.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Descriptors of segments: the bound, who holds one keeps it, and threads that open the same. */

enum { SEGMENTS = 16, LIMIT = 3 };

struct bench {
    char dir[64];
    struct segment_fds *fds;
    struct segment *segments[SEGMENTS];
};

/* Each file holds its own number. */
static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    snprintf(bench->dir, sizeof bench->dir, "/tmp/tidings-fds-XXXXXX");
    assert_non_null(mkdtemp(bench->dir));
    bench->fds = segment_fds_new(file_ops_system(), LIMIT);
    for (int64_t i = 0; i < SEGMENTS; i++) {
        struct segment *segment;
        assert_int_equal(
            segment_open(file_ops_system(), bench->fds, bench->dir, i, true, &segment, NULL),
            ERR_NONE);
        assert_int_equal(segment_hold(segment, NULL), ERR_NONE);
        assert_int_equal(pwrite(segment->fd, &i, sizeof i, 0), sizeof i);
        segment_let_go(segment);
        bench->segments[i] = segment;
    }
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < SEGMENTS; i++) {
        segment_unref(bench->segments[i]);
    }
    segment_fds_free(bench->fds);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", bench->dir);
    int result = system(command);
    free(bench);
    return result;
}

static struct segment_fds_stats stats_of(const struct bench *bench)
{
    struct segment_fds_stats stats;
    segment_fds_stats(bench->fds, &stats);
    return stats;
}

static bool reads_own_number(struct segment *segment)
{
    int64_t number = -1;
    return pread(segment->fd, &number, sizeof number, 0) == sizeof number &&
           number == segment->base_offset;
}

static void test_open_descriptors_are_bounded(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(stats_of(bench).open, LIMIT);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SEGMENTS; i++) {
            assert_int_equal(segment_hold(bench->segments[i], NULL), ERR_NONE);
            assert_true(reads_own_number(bench->segments[i]));
            segment_let_go(bench->segments[i]);
            assert_true(stats_of(bench).open <= LIMIT);
        }
    }
    assert_true(stats_of(bench).evicted >= 3 * SEGMENTS - LIMIT);
}

/* Held descriptors stay, even beyond the limit, and are given back to it later. */
static void test_held_descriptors_stay_open(void **state)
{
    struct bench *bench = *state;
    int fds[2 * LIMIT];
    for (int i = 0; i < 2 * LIMIT; i++) {
        assert_int_equal(segment_hold(bench->segments[i], NULL), ERR_NONE);
        fds[i] = bench->segments[i]->fd;
    }
    assert_int_equal(stats_of(bench).open, 2 * LIMIT);
    segment_fds_shrink(bench->fds);
    assert_int_equal(stats_of(bench).open, 2 * LIMIT);
    for (int i = 0; i < 2 * LIMIT; i++) {
        assert_int_equal(bench->segments[i]->fd, fds[i]);
        assert_true(reads_own_number(bench->segments[i]));
        segment_let_go(bench->segments[i]);
    }
    for (int i = 2 * LIMIT; i < SEGMENTS; i++) {
        assert_int_equal(segment_hold(bench->segments[i], NULL), ERR_NONE);
        segment_let_go(bench->segments[i]);
    }
    assert_int_equal(stats_of(bench).open, LIMIT);
    segment_fds_shrink(bench->fds);
    assert_true(stats_of(bench).open < LIMIT);
}

/* One that is used all the time is not the one that goes. */
static void test_one_in_steady_use_stays_open(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(segment_hold(bench->segments[0], NULL), ERR_NONE);
    segment_let_go(bench->segments[0]);
    uint64_t opened = stats_of(bench).opened;
    for (int i = 0; i < 50; i++) {
        struct segment *other = bench->segments[1 + i % (SEGMENTS - 1)];
        assert_int_equal(segment_hold(bench->segments[0], NULL), ERR_NONE);
        segment_let_go(bench->segments[0]);
        assert_int_equal(segment_hold(other, NULL), ERR_NONE);
        segment_let_go(other);
    }
    assert_true(stats_of(bench).opened - opened <= 50 + 5);
}

/* What stands in the place of a deleted or replaced file is never taken for it. */
static void test_another_file_in_its_place_is_never_taken_for_it(void **state)
{
    struct bench *bench = *state;
    struct segment *open = bench->segments[SEGMENTS - 1];
    struct segment *closed = bench->segments[0];
    struct reason reason;
    assert_int_equal(segment_hold(open, NULL), ERR_NONE);
    atomic_store(&open->replaced, true);
    atomic_store(&closed->replaced, true);
    assert_int_equal(segment_hold(closed, &reason), ERR_CLOSED);
    assert_non_null(strstr(reason.text, "deleted or replaced"));
    assert_int_equal(segment_hold(open, NULL), ERR_NONE); /* it is the file itself */
    assert_true(reads_own_number(open));
    segment_let_go(open);
    segment_let_go(open);
    char *path = segment_path(bench->dir, 1, ".log");
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_int_equal(segment_hold(bench->segments[1], NULL), ERR_IO);
}

struct racer {
    struct bench *bench;
    unsigned seed;
};

static void *run_racer(void *context)
{
    struct racer *racer = context;
    for (int i = 0; i < 5000; i++) {
        racer->seed = racer->seed * 1103515245 + 12345;
        struct segment *segment = racer->bench->segments[racer->seed >> 16 & (SEGMENTS - 1)];
        segment_ref(segment);
        if (segment_hold(segment, NULL) != ERR_NONE || !reads_own_number(segment)) {
            abort();
        }
        if ((racer->seed & 0x100000) != 0) {
            segment_hold_again(segment);
            segment_let_go(segment);
        }
        segment_release(segment);
        if (i % 500 == 0) {
            segment_fds_shrink(racer->bench->fds);
        }
    }
    return NULL;
}

static void test_many_threads_hold_and_let_go(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct racer racers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.bench = *state, .seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, run_racer, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(stats_of(*state).open <= LIMIT + THREADS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_descriptors_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_descriptors_stay_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_in_steady_use_stays_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_file_in_its_place_is_never_taken_for_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_many_threads_hold_and_let_go, setup, teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
