#include "stream_fixture.h"

#include "base/mem.h"
#include "batch/batch.h"
#include "stream/log_feed.h"
#include "topic/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int sync_when_allowed(void *context, int fd)
{
    struct fixture *fixture = context;
    pthread_mutex_lock(&fixture->sync_lock);
    pthread_mutex_unlock(&fixture->sync_lock);
    if (atomic_load(&fixture->syncs_fail)) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void on_flushed(void *context, struct log *log)
{
    (void)context;
    log_call_user(log, partition_on_flushed);
}

/* No connection comes: there is no listener. */
static void no_frame(void *context, struct conn *conn, struct reply_token token, struct slice frame)
{
    (void)context, (void)conn, (void)token, (void)frame;
}

static void no_open(void *context, struct conn *conn)
{
    (void)context, (void)conn;
}

static void no_close(void *context, struct conn *conn, enum conn_end end)
{
    (void)context, (void)conn, (void)end;
}

static void start_threads(struct fixture *fixture)
{
    struct net_config config;
    struct net_handler handler = {.on_open = no_open, .on_frame = no_frame, .on_close = no_close};
    net_config_init(&config);
    config.reactor_count = 1;
    struct reason *reason = &fixture->reason;
    assert_int_equal(net_new(&config, &handler, &fixture->net, reason), ERR_NONE);
    assert_int_equal(workers_new("worker", 1, &fixture->workers, reason), ERR_NONE);
    struct flush_handler flushed = {.on_flushed = on_flushed};
    assert_int_equal(
        flusher_new(&fixture->disk, fixture->dir_fd, NULL, &flushed, &fixture->flusher, reason),
        ERR_NONE);
    budget_init(&fixture->budget, 1 << 30);
    fixture->fetches = fetch_service_new(fixture->net, fixture->workers, &fixture->budget);
}

/* As the server does it: the feed is one of those who watch. */
static void on_advanced(void *context, struct partition *partition, uint64_t reactors)
{
    struct fixture *fixture = context;
    struct feed *feed = atomic_load(&fixture->feed);
    uint64_t feed_bit = UINT64_C(1) << LOG_FEED_WATCHER;
    if ((reactors & feed_bit) != 0 && feed != NULL) {
        log_feed_on_advanced(feed, partition);
    }
    if ((reactors & ~feed_bit) != 0) {
        fetch_on_advanced(fixture->fetches, partition, reactors & ~feed_bit);
    }
}

void fixture_open_catalogue(struct fixture *fixture)
{
    struct catalogue_recovery recovery;
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->no_defaults,
        .log_env = {.files = &fixture->disk, .clock = clock_system(), .flusher = fixture->flusher},
        .open_threads = 1,
        .advanced = on_advanced,
        .advanced_context = fixture,
    };
    assert_int_equal(catalogue_open(&config, &fixture->catalogue, &recovery, &fixture->reason),
                     ERR_NONE);
}

int fixture_setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/tidings-stream-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture->dir_fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pthread_mutex_init(&fixture->sync_lock, NULL);
    fixture->disk = *file_ops_system();
    fixture->disk.context = fixture;
    fixture->disk.fdatasync = sync_when_allowed;
    fixture->disk.syncfs = sync_when_allowed;
    start_threads(fixture);
    struct reason *reason = &fixture->reason;
    fixture_open_catalogue(fixture);
    struct topic_creation creation = {.name = slice_str("orders"), .partition_count = 4};
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, &fixture->topic, reason),
                     ERR_NONE);
    assert_int_equal(net_start(fixture->net, reason), ERR_NONE);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    fetch_service_drain(fixture->fetches);
    net_stop(fixture->net);
    workers_free(fixture->workers);
    flusher_free(fixture->flusher);
    feed_free(atomic_load(&fixture->feed));
    topic_unref(fixture->topic);
    (void)!catalogue_close(fixture->catalogue, &fixture->reason); /* the disk may be broken */
    fetch_service_free(fixture->fetches);
    net_free(fixture->net);
    close(fixture->dir_fd);
    char *command = mem_sprintf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    pthread_mutex_destroy(&fixture->sync_lock);
    free(fixture);
    return 0;
}

struct reactor *fixture_reactor(struct fixture *fixture)
{
    return net_reactor(fixture->net, 0);
}

struct call {
    struct task task;
    void (*run)(void *context);
    void *context;
    atomic_bool done;
};

static void run_call(struct task *task)
{
    struct call *call = container_of(task, struct call, task);
    call->run(call->context);
    atomic_store(&call->done, true);
}

void on_reactor(struct fixture *fixture, void (*run)(void *context), void *context)
{
    struct call call = {.task.run = run_call, .run = run, .context = context};
    reactor_post(fixture_reactor(fixture), &call.task);
    wait_until(atomic_load(&call.done));
}

struct buf make_batch(int64_t producer_id, int32_t sequence, size_t value_bytes)
{
    struct batch_builder builder;
    struct buf bytes = {0};
    struct reason reason;
    uint8_t *value = mem_alloc(value_bytes + 1);
    memset(value, 'v', value_bytes);
    batch_builder_init(&builder);
    if (producer_id >= 0) {
        builder.producer_id = producer_id;
        builder.producer_epoch = 0;
        builder.base_sequence = sequence;
    }
    batch_builder_add(&builder, 1700000000000, (struct slice){0}, slice_of(value, value_bytes),
                      NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, &reason), ERR_NONE);
    batch_builder_deinit(&builder);
    free(value);
    return bytes;
}

void append_event(struct fixture *fixture, int32_t partition, size_t value_bytes)
{
    struct buf bytes = make_batch(-1, 0, value_bytes);
    struct produce_item item = {.partition = topic_partition(fixture->topic, partition)};
    produce_take(&item, buf_slice(&bytes));
    produce_append(&item, clock_wall_ms(clock_system()));
    if (item.err != ERR_NONE) {
        fail_msg("%s", item.reason.text);
    }
    buf_deinit(&bytes);
}

void publish_event(struct fixture *fixture, int32_t partition, size_t value_bytes)
{
    struct partition *at = topic_partition(fixture->topic, partition);
    append_event(fixture, partition, value_bytes);
    wait_until(partition_high_watermark(at) == log_end_offset(at->log));
}

void fixture_flip_at(const struct fixture *fixture, int64_t position)
{
    uint8_t byte;
    char path[256];
    snprintf(path, sizeof path, "%s/topics/orders-0/00000000000000000000.log", fixture->dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, position), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, position), 1);
    close(fd);
}

void fixture_reopen(struct fixture *fixture)
{
    topic_unref(fixture->topic);
    assert_int_equal(catalogue_close(fixture->catalogue, &fixture->reason), ERR_NONE);
    fixture_open_catalogue(fixture);
    fixture->topic = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_non_null(fixture->topic);
}

void wait_a_bit(unsigned tries, const char *what)
{
    if (tries > 30000) {
        fail_msg("never: %s", what);
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}
