#include "base/logger.h"
#include "base/mem.h"
#include "log/flush.h"
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * bench-flush [--dir DIR] [--json] [--rounds N]: what one flush of many dirty partitions costs.
 *
 * Each round appends one small batch to each of N logs and waits until all are on disk, by the
 * server's own flusher. Three ways: as built (fdatasync for a few files, syncfs for many), with
 * fdatasync only, and with syncfs only. The figure is the median of the rounds, after a first one
 * that creates the files.
 */
enum way { WAY_BUILT, WAY_EACH, WAY_WHOLE, WAY_COUNT };

static const char *const way_names[WAY_COUNT] = {"built", "fdatasync", "syncfs"};
static const int sizes[] = {1, 2, 4, 8, 16, 32, 64, 100, 1000, 5000};

enum { SIZE_COUNT = sizeof sizes / sizeof sizes[0], ROUNDS_MAX = 1000 };

/* File operations that force one way. */
struct forced {
    struct file_ops ops;
    enum way way;
    atomic_bool synced; /* this round of the flusher, as a whole */
};

static int forced_fdatasync(void *context, int fd)
{
    struct forced *forced = context;
    if (forced->way != WAY_WHOLE) {
        return fdatasync(fd);
    }
    return atomic_exchange(&forced->synced, true) ? 0 : syncfs(fd);
}

static void on_round(void *context)
{
    struct forced *forced = context;
    atomic_store(&forced->synced, false);
}

static int forced_syncfs(void *context, int fd)
{
    struct forced *forced = context;
    if (forced->way == WAY_EACH) {
        errno = EIO; /* the flusher then syncs each file */
        return -1;
    }
    return atomic_exchange(&forced->synced, true) ? 0 : syncfs(fd);
}

struct bench {
    struct forced forced;
    struct flusher *flusher;
    struct log **logs;
    struct flush_target *targets;
    int count;
    struct buf bytes;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
    struct flush_waiter waiter;
};

static void on_done(struct flush_waiter *waiter)
{
    struct bench *bench = container_of(waiter, struct bench, waiter);
    pthread_mutex_lock(&bench->lock);
    bench->done = true;
    pthread_cond_signal(&bench->wake);
    pthread_mutex_unlock(&bench->lock);
}

static void stop_on(enum err err, const struct reason *reason)
{
    if (err != ERR_NONE) {
        fprintf(stderr, "bench-flush: %s\n", reason->text);
        exit(1);
    }
}

static double round_ms(struct bench *bench)
{
    struct reason reason;
    bench->done = false;
    int64_t start = clock_now_ns();
    for (int i = 0; i < bench->count; i++) {
        struct batch batch;
        stop_on(batch_parse(buf_slice(&bench->bytes), &batch, &reason), &reason);
        struct log_append append = {.batches = &batch, .batch_count = 1};
        stop_on(log_append(bench->logs[i], &append, &reason), &reason);
        bench->targets[i] =
            (struct flush_target){.log = bench->logs[i], .end_offset = append.end_offset};
    }
    bench->waiter = (struct flush_waiter){
        .targets = bench->targets, .target_count = (size_t)bench->count, .done = on_done};
    flush_wait(bench->flusher, &bench->waiter);
    pthread_mutex_lock(&bench->lock);
    while (!bench->done) {
        pthread_cond_wait(&bench->wake, &bench->lock);
    }
    pthread_mutex_unlock(&bench->lock);
    return (double)(clock_now_ns() - start) / 1e6;
}

static void open_logs(struct bench *bench, const char *root)
{
    struct reason reason;
    struct log_config config;
    struct log_env env = {
        .files = &bench->forced.ops, .clock = clock_system(), .flusher = bench->flusher};
    log_config_init(&config);
    bench->logs = mem_new_array(struct log *, (size_t)bench->count);
    bench->targets = mem_new_array(struct flush_target, (size_t)bench->count);
    for (int i = 0; i < bench->count; i++) {
        char *dir = mem_sprintf("%s/bench-%d", root, i);
        stop_on(log_open(dir, &config, &env, NULL, &bench->logs[i], NULL, &reason), &reason);
        free(dir);
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median_ms(const char *parent, enum way way, int count, int rounds)
{
    struct reason reason;
    struct bench bench = {.forced = {.ops = *file_ops_system(), .way = way}, .count = count};
    struct flush_handler handler = {.context = &bench.forced, .on_round = on_round};
    char *root = mem_sprintf("%s/bench-flush-XXXXXX", parent);
    if (mkdtemp(root) == NULL) {
        perror(root);
        exit(1);
    }
    bench.forced.ops.context = &bench.forced;
    bench.forced.ops.fdatasync = forced_fdatasync;
    bench.forced.ops.syncfs = forced_syncfs;
    pthread_mutex_init(&bench.lock, NULL);
    pthread_cond_init(&bench.wake, NULL);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stop_on(flusher_new(&bench.forced.ops, fd, NULL, &handler, &bench.flusher, &reason), &reason);
    struct batch_builder builder;
    uint8_t value[900] = {0};
    batch_builder_init(&builder);
    batch_builder_add(&builder, 1700000000000, slice_str("key"), slice_of(value, sizeof value),
                      NULL, 0);
    stop_on(batch_builder_finish(&builder, &bench.bytes, &reason), &reason);
    batch_builder_deinit(&builder);
    open_logs(&bench, root);
    double times[ROUNDS_MAX];
    (void)round_ms(&bench);
    for (int i = 0; i < rounds; i++) {
        times[i] = round_ms(&bench);
    }
    qsort(times, (size_t)rounds, sizeof times[0], compare);
    for (int i = 0; i < count; i++) {
        stop_on(log_delete(bench.logs[i], &reason), &reason);
    }
    flusher_free(bench.flusher);
    for (int i = 0; i < count; i++) {
        log_unref(bench.logs[i]);
    }
    close(fd);
    rmdir(root);
    free(root);
    free(bench.logs);
    free(bench.targets);
    buf_deinit(&bench.bytes);
    return times[rounds / 2];
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void print_row(int count, const double *ms, bool json, bool last)
{
    if (json) {
        printf("  {\"partitions\": %d", count);
        for (int way = 0; way < WAY_COUNT; way++) {
            printf(", \"%s_ms\": %.3f", way_names[way], ms[way]);
        }
        printf("}%s\n", last ? "" : ",");
    } else {
        printf("%10d %12.3f %12.3f %12.3f %14.2f\n", count, ms[WAY_BUILT], ms[WAY_EACH],
               ms[WAY_WHOLE], ms[WAY_BUILT] * 1000 / count);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *dir = ".";
    bool json = false;
    int rounds = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc) {
            dir = argv[++i];
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = atoi(argv[++i]);
        } else {
            fprintf(stderr, "usage: bench-flush [--dir DIR] [--rounds N] [--json]\n");
            return 2;
        }
    }
    logger_set_level(LOG_LEVEL_WARN);
    raise_file_limit();
    if (json) {
        printf("[\n");
    } else {
        printf("%10s %12s %12s %12s %14s\n", "partitions", "built ms", "fdatasync ms", "syncfs ms",
               "us/partition");
    }
    for (int i = 0; i < SIZE_COUNT; i++) {
        double ms[WAY_COUNT];
        int count = rounds > 0 ? rounds : sizes[i] >= 1000 ? 5 : 40;
        count = count < ROUNDS_MAX ? count : (int)ROUNDS_MAX;
        for (int way = 0; way < WAY_COUNT; way++) {
            ms[way] = median_ms(dir, (enum way)way, sizes[i], count);
        }
        print_row(sizes[i], ms, json, i + 1 == SIZE_COUNT);
    }
    if (json) {
        printf("]\n");
    }
    return 0;
}
