#include "log_fixture.h"

#include "base/mem.h"
#include "batch/marker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t clock_now(void *context)
{
    return ((struct fixture *)context)->now_ms;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    /* In memory where that is possible: the tests sync a lot, and no power fails here. */
    snprintf(fixture->dir, sizeof fixture->dir, "%s/tidings-log-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->log_dir, sizeof fixture->log_dir, "%s/orders-0", fixture->dir);
    fixture->now_ms = 1700000000000;
    fixture->clock = (struct clock){.context = fixture, .wall_ms = clock_now, .mono_ms = clock_now};
    log_config_init(&fixture->config);
    fixture->fds = segment_fds_new(file_ops_system(), 2); /* so that every test opens them anew */
    budget_init(&fixture->budget, INT64_C(1) << 32);
    fixture->env = (struct log_env){.files = file_ops_system(),
                                    .clock = &fixture->clock,
                                    .budget = &fixture->budget,
                                    .fds = fixture->fds};
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->log != NULL) {
        log_unref(fixture->log);
    }
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, 0);
    assert_int_equal(fixture->budget.shares[BUDGET_PARTITIONS].bytes, 0);
    segment_fds_free(fixture->fds);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fixture->dir);
    int result = system(command);
    free(fixture);
    return result;
}

void fixture_open_only(struct fixture *fixture, const struct log_state *known)
{
    enum err err = log_open(fixture->log_dir, &fixture->config, &fixture->env, known, &fixture->log,
                            &fixture->recovery, &fixture->reason);
    if (err != ERR_NONE) {
        fail_msg("log_open: %s", fixture->reason.text);
    }
}

void fixture_load(struct fixture *fixture)
{
    if (log_load(fixture->log, &fixture->reason) != ERR_NONE) {
        fail_msg("log_load: %s", fixture->reason.text);
    }
}

void fixture_open(struct fixture *fixture, const struct log_state *known)
{
    fixture_open_only(fixture, known);
    fixture_load(fixture);
}

void fixture_close(struct fixture *fixture)
{
    enum err err = log_close(fixture->log, &fixture->state, &fixture->reason);
    if (err != ERR_NONE) {
        fail_msg("log_close: %s", fixture->reason.text);
    }
    fixture_kill(fixture);
}

void fixture_kill(struct fixture *fixture)
{
    log_unref(fixture->log);
    fixture->log = NULL;
}

void build_batch(const struct batch_spec *spec, struct buf *out, struct batch *batch)
{
    struct batch_builder builder;
    int32_t records = spec->records == 0 ? 1 : spec->records;
    size_t value_bytes = spec->value_bytes == 0 ? 10 : spec->value_bytes;
    uint8_t *value = mem_alloc(value_bytes);
    memset(value, 'v', value_bytes);
    batch_builder_init(&builder);
    if (spec->producer_id > 0) {
        builder.producer_id = spec->producer_id;
        builder.producer_epoch = spec->epoch;
        builder.base_sequence = spec->own ? -1 : spec->sequence;
        builder.extra_attributes = spec->transactional ? BATCH_ATTRIBUTE_TRANSACTIONAL : 0;
    }
    for (int32_t i = 0; i < records; i++) {
        batch_builder_add(&builder, spec->timestamp + i, slice_str("key"),
                          slice_of(value, value_bytes), NULL, 0);
    }
    assert_int_equal(batch_builder_finish(&builder, out, NULL), ERR_NONE);
    batch_builder_deinit(&builder);
    free(value);
    assert_int_equal(batch_parse(buf_slice(out), batch, NULL), ERR_NONE);
}

enum err append_spec(struct fixture *fixture, const struct batch_spec *spec,
                     struct log_append *append)
{
    struct buf bytes = {0};
    struct batch batch;
    build_batch(spec, &bytes, &batch);
    *append =
        (struct log_append){.batches = &batch, .batch_count = 1, .check_producer = !spec->own};
    enum err err = log_append(fixture->log, append, &fixture->reason);
    append->batches = NULL;
    buf_deinit(&bytes);
    return err;
}

enum err append_marker(struct fixture *fixture, int64_t producer_id, int16_t epoch,
                       int32_t coordinator_epoch, bool commit)
{
    struct batch_marker marker = {.producer_id = producer_id,
                                  .producer_epoch = epoch,
                                  .coordinator_epoch = coordinator_epoch,
                                  .commit = commit};
    struct buf bytes = {0};
    struct batch batch;
    batch_marker_build(&marker, fixture->now_ms, &bytes);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    struct log_append append = {.batches = &batch, .batch_count = 1};
    enum err err = log_append(fixture->log, &append, &fixture->reason);
    buf_deinit(&bytes);
    return err;
}

void append_many(struct fixture *fixture, int count, size_t value_bytes)
{
    for (int i = 0; i < count; i++) {
        struct batch_spec spec = {.value_bytes = value_bytes, .timestamp = fixture->now_ms};
        struct log_append append;
        if (append_spec(fixture, &spec, &append) != ERR_NONE) {
            fail_msg("log_append: %s", fixture->reason.text);
        }
    }
}

const char *file_of(struct fixture *fixture, int64_t base, const char *suffix)
{
    static _Thread_local char path[160];
    snprintf(path, sizeof path, "%s/%020lld%s", fixture->log_dir, (long long)base, suffix);
    return path;
}

int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

void flip_byte(const char *path, int64_t position)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, position), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, position), 1);
    close(fd);
}

void cut_file(const char *path, int64_t size)
{
    assert_int_equal(truncate(path, size), 0);
}

static int64_t count_records(struct slice bytes, int64_t *offset)
{
    int64_t records = 0;
    while (bytes.size > 0) {
        struct batch batch;
        assert_int_equal(batch_parse(bytes, &batch, NULL), ERR_NONE);
        assert_int_equal(batch_check_crc(&batch, NULL), ERR_NONE);
        assert_true(batch.base_offset + batch.last_offset_delta >= *offset);
        *offset = batch_last_offset(&batch) + 1;
        records += batch.record_count;
        bytes = slice_of(bytes.data + batch.bytes.size, bytes.size - batch.bytes.size);
    }
    return records;
}

int64_t read_all(struct fixture *fixture, int64_t from, int64_t to, size_t max_bytes)
{
    int64_t records = 0;
    while (from < to) {
        struct file_span span;
        enum err err = log_read(fixture->log, from, to, max_bytes, true, &span, &fixture->reason);
        if (err != ERR_NONE) {
            fail_msg("log_read at %lld: %s", (long long)from, fixture->reason.text);
        }
        assert_true(span.size > 0);
        uint8_t *bytes = mem_alloc(span.size);
        assert_int_equal(pread(span.fd, bytes, span.size, span.position), (ssize_t)span.size);
        records += count_records(slice_of(bytes, span.size), &from);
        free(bytes);
        file_span_release(&span);
    }
    assert_int_equal(from, to);
    return records;
}
