#include "../unit.h"
#include "base/mem.h"
#include "base/vec.h"
#include "state_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The topic in a directory of its own, with a real flusher. */

struct seen {
    int32_t partition;
    int64_t offset;
    int64_t producer_id;
    bool control;
    char *text; /* "key=value", without a value: "key" */
};

struct bench {
    struct state_data data;
    VEC(struct seen) seen;
    int refuse_from; /* the visit does not understand records from this one on; -1: all */
};

static void forget_seen(struct bench *bench)
{
    for (size_t i = 0; i < bench->seen.count; i++) {
        free(bench->seen.items[i].text);
    }
    vec_deinit(&bench->seen);
}

static int set_up(void **state)
{
    struct bench *bench = mem_new(struct bench);
    bench->refuse_from = -1;
    state_data_init(&bench->data, 3);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    state_data_deinit(&bench->data);
    forget_seen(bench);
    free(bench);
    return 0;
}

static enum err append_batch(struct bench *bench, int32_t partition,
                             const struct state_batch *batch)
{
    return state_data_append(&bench->data, partition, batch);
}

static void put(struct bench *bench, int32_t partition, const char *key, const char *value)
{
    struct state_record record = {.key = slice_str(key),
                                  .value = value != NULL ? slice_str(value) : (struct slice){0}};
    struct state_batch batch = {.records = &record, .record_count = 1, .producer_id = -1};
    assert_int_equal(append_batch(bench, partition, &batch), ERR_NONE);
}

/* ---- replaying ---- */

static enum err visit(void *context, int32_t partition, const struct batch *batch,
                      const struct record *record)
{
    struct bench *bench = context;
    bool control = batch_is_control(batch);
    struct seen seen = {
        .partition = partition,
        .offset = record->offset,
        .producer_id = batch->producer_id,
        .control = control,
        .text = control ? mem_strdup("")
                : slice_is_null(record->value)
                    ? mem_sprintf("%.*s", SLICE_ARGS(record->key))
                    : mem_sprintf("%.*s=%.*s", SLICE_ARGS(record->key), SLICE_ARGS(record->value)),
    };
    vec_push(&bench->seen, seen);
    bool refused = bench->refuse_from >= 0 && (int)bench->seen.count > bench->refuse_from;
    return refused ? ERR_CORRUPT : ERR_NONE;
}

static void replay(struct bench *bench)
{
    forget_seen(bench);
    assert_int_equal(state_topic_replay(&bench->data.topic, file_ops_system(), visit, bench,
                                        &bench->data.reason),
                     ERR_NONE);
}

static void expect(const struct bench *bench, size_t index, int32_t partition, const char *text)
{
    assert_true(index < bench->seen.count);
    assert_int_equal(bench->seen.items[index].partition, partition);
    assert_string_equal(bench->seen.items[index].text, text);
}

static void records_come_back_in_the_order_of_their_partition(void **state)
{
    struct bench *bench = *state;
    put(bench, 1, "a", "1");
    put(bench, 0, "b", "2");
    put(bench, 1, "a", NULL);
    replay(bench);
    assert_int_equal(bench->seen.count, 3);
    expect(bench, 0, 0, "b=2");
    expect(bench, 1, 1, "a=1");
    expect(bench, 2, 1, "a");
    assert_int_equal(bench->seen.items[2].offset, 1);
    state_data_close(&bench->data);
    state_data_open(&bench->data, 7); /* what is there keeps its partitions */
    assert_int_equal(state_topic_log(&bench->data.topic).partition_count, 3);
    replay(bench);
    assert_int_equal(bench->seen.count, 3);
    expect(bench, 2, 1, "a");
}

static void the_topic_is_compacted_and_the_servers_own(void **state)
{
    struct bench *bench = *state;
    struct overrides overrides;
    catalogue_overrides(bench->data.catalogue, bench->data.topic.topic, &overrides);
    assert_string_equal(overrides_get(&overrides, "cleanup.policy"), "compact");
    assert_string_equal(overrides_get(&overrides, "segment.bytes"), "1048576");
    overrides_deinit(&overrides);
    assert_true(bench->data.topic.topic->internal);
}

static void a_batch_of_a_transaction_names_it(void **state)
{
    struct bench *bench = *state;
    struct state_record records[] = {{slice_str("a"), slice_str("1")},
                                     {slice_str("b"), slice_str("2")}};
    struct state_batch batch = {
        .records = records, .record_count = 2, .producer_id = 41, .producer_epoch = 3};
    assert_int_equal(append_batch(bench, 2, &batch), ERR_NONE);
    struct partition_marker marker = {.producer_id = 41, .producer_epoch = 3, .commit = true};
    assert_int_equal(partition_append_marker(topic_partition(bench->data.topic.topic, 2), &marker,
                                             &bench->data.reason),
                     ERR_NONE);
    put(bench, 2, "c", "3");
    replay(bench);
    assert_int_equal(bench->seen.count, 4);
    expect(bench, 1, 2, "b=2");
    assert_int_equal(bench->seen.items[1].producer_id, 41);
    assert_true(bench->seen.items[2].control);
    assert_int_equal(bench->seen.items[3].producer_id, -1);
}

static void a_fenced_producer_stores_nothing(void **state)
{
    struct bench *bench = *state;
    struct state_record record = {slice_str("a"), slice_str("1")};
    struct state_batch batch = {
        .records = &record, .record_count = 1, .producer_id = 41, .producer_epoch = 3};
    assert_int_equal(append_batch(bench, 0, &batch), ERR_NONE);
    batch.producer_epoch = 2;
    assert_int_equal(append_batch(bench, 0, &batch), ERR_PRODUCER_FENCED);
    replay(bench);
    assert_int_equal(bench->seen.count, 1);
}

static void what_is_not_understood_is_skipped(void **state)
{
    struct bench *bench = *state;
    put(bench, 0, "a", "1");
    put(bench, 0, "b", "2");
    bench->refuse_from = 0;
    replay(bench);
    assert_int_equal(bench->seen.count, 2);
}

static void a_damaged_batch_is_skipped_the_rest_is_read(void **state)
{
    struct bench *bench = *state;
    put(bench, 0, "first", "1");
    put(bench, 0, "damaged", "XXXX");
    put(bench, 0, "last", "3");
    char *path = mem_sprintf("%s/topics/__state-0/00000000000000000000.log", bench->data.dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    char bytes[4096];
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    char *at = memmem(bytes, (size_t)size, "XXXX", 4);
    assert_non_null(at);
    assert_int_equal(pwrite(fd, "Y", 1, at - bytes), 1);
    close(fd);
    free(path);
    replay(bench);
    assert_int_equal(bench->seen.count, 2);
    expect(bench, 0, 0, "first=1");
    expect(bench, 1, 0, "last=3");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_back_in_the_order_of_their_partition),
        TEST(the_topic_is_compacted_and_the_servers_own),
        TEST(a_batch_of_a_transaction_names_it),
        TEST(a_fenced_producer_stores_nothing),
        TEST(what_is_not_understood_is_skipped),
        TEST(a_damaged_batch_is_skipped_the_rest_is_read),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
