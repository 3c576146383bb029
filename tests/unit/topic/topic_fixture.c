#include "topic_fixture.h"

#include "base/buf.h"
#include "base/mem.h"
#include "batch/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_advanced(void *context, struct partition *partition, uint64_t reactors)
{
    struct fixture *fixture = context;
    fixture->advanced_stable = partition_last_stable_offset(partition);
    fixture->advanced++;
    fixture->advanced_reactors |= reactors;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/tidings-topic-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    budget_init(&fixture->budget, INT64_C(1) << 32);
    fixture->fds = segment_fds_new(file_ops_system(), 2);
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->catalogue != NULL) {
        fixture_close(fixture);
    }
    assert_int_equal(fixture->budget.shares[BUDGET_PRODUCERS].bytes, 0);
    assert_int_equal(fixture->budget.shares[BUDGET_PARTITIONS].bytes, 0);
    char *command = mem_sprintf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    overrides_deinit(&fixture->server_defaults);
    segment_fds_free(fixture->fds);
    free(fixture);
    return 0;
}

void fixture_open(struct fixture *fixture)
{
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->server_defaults,
        .log_env = {.files = fixture->files != NULL ? fixture->files : file_ops_system(),
                    .clock = clock_system(),
                    .space = fixture->space,
                    .budget = &fixture->budget,
                    .fds = fixture->fds},
        .open_threads = 3,
        .advanced = on_advanced,
        .advanced_context = fixture,
    };
    enum err err =
        catalogue_open(&config, &fixture->catalogue, &fixture->recovery, &fixture->reason);
    if (err != ERR_NONE) {
        fail_msg("%s", fixture->reason.text);
    }
}

void fixture_close(struct fixture *fixture)
{
    assert_int_equal(catalogue_close(fixture->catalogue, &fixture->reason), ERR_NONE);
    fixture->catalogue = NULL;
}

void fixture_abandon(struct fixture *fixture)
{
    /* Close as usual, then put the checkpoints back that were there: a kill would have left them.
     */
    static const char *const names[] = {"checkpoint", "checkpoint-copy"};
    char *paths[2];
    char *kept[2];
    bool had[2];
    for (int i = 0; i < 2; i++) {
        paths[i] = fixture_path(fixture, names[i]);
        kept[i] = mem_sprintf("%s.kept", paths[i]);
        had[i] = file_exists(paths[i]);
        assert_true(!had[i] || link(paths[i], kept[i]) == 0);
    }
    fixture_close(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(had[i] ? rename(kept[i], paths[i]) : unlink(paths[i]), 0);
        free(paths[i]);
        free(kept[i]);
    }
}

char *fixture_path(const struct fixture *fixture, const char *name)
{
    return mem_sprintf("%s/%s", fixture->dir, name);
}

struct topic *create_topic(struct fixture *fixture, const char *name, int32_t partitions,
                           const char *setting, const char *value)
{
    struct topic_creation creation = {.name = slice_str(name), .partition_count = partitions};
    struct topic *topic;
    if (setting != NULL) {
        overrides_set(&creation.overrides, slice_str(setting), slice_str(value));
    }
    enum err err = catalogue_create(fixture->catalogue, &creation, &topic, &fixture->reason);
    overrides_deinit(&creation.overrides);
    if (err != ERR_NONE) {
        fail_msg("%s", fixture->reason.text);
    }
    return topic;
}

enum err try_create(struct fixture *fixture, const char *name, int32_t partitions)
{
    struct topic_creation creation = {.name = slice_str(name), .partition_count = partitions};
    fixture->reason.text[0] = '\0';
    return catalogue_create(fixture->catalogue, &creation, NULL, &fixture->reason);
}

void append_events(struct partition *partition, int count, bool flush)
{
    struct reason reason;
    for (int i = 0; i < count; i++) {
        struct batch_builder builder;
        struct buf bytes = {0};
        struct batch batch;
        batch_builder_init(&builder);
        batch_builder_add(&builder, 1700000000000, slice_str("key"), slice_str("value"), NULL, 0);
        assert_int_equal(batch_builder_finish(&builder, &bytes, &reason), ERR_NONE);
        batch_builder_deinit(&builder);
        assert_int_equal(batch_parse(buf_slice(&bytes), &batch, &reason), ERR_NONE);
        struct log_append append = {.batches = &batch, .batch_count = 1};
        assert_int_equal(partition_append(partition, &append, &reason), ERR_NONE);
        buf_deinit(&bytes);
    }
    if (flush) {
        assert_int_equal(log_flush(partition->log, &reason), ERR_NONE);
        partition_on_flushed(partition);
    }
}
