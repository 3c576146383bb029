#include "../coordinator/state_data.h"
#include "../unit.h"
#include "txn/txn_logs.h"

/* Markers and open transactions in the partitions of a real catalogue. */

struct bench {
    struct state_data data; /* its topic serves as one that transactions write to */
    struct txn_logs logs;
    struct txn_participants participants;
    pthread_mutex_t lock; /* guards what is below */
    int marked;
    int32_t marked_partition;
    bool marked_commit;
};

static const struct txn_producer producer = {41, 3};

static void on_marker(void *context, const struct partition *partition, int64_t producer_id,
                      bool commit)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    assert_int_equal(producer_id, producer.id);
    bench->marked++;
    bench->marked_partition = partition->index;
    bench->marked_commit = commit;
    pthread_mutex_unlock(&bench->lock);
}

static int set_up(void **state)
{
    struct bench *bench = mem_new(struct bench);
    state_data_init(&bench->data, 3);
    pthread_mutex_init(&bench->lock, NULL);
    bench->logs = (struct txn_logs){.catalogue = bench->data.catalogue,
                                    .flusher = bench->data.flusher,
                                    .on_marker = on_marker,
                                    .context = bench};
    bench->participants = txn_logs_participants(&bench->logs);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    state_data_deinit(&bench->data);
    pthread_mutex_destroy(&bench->lock);
    free(bench);
    return 0;
}

/* An event of the producer's transaction. */
static void write_event(struct bench *bench, int32_t partition)
{
    struct state_record record = {slice_str("key"), slice_str("value")};
    struct state_batch batch = {.records = &record,
                                .record_count = 1,
                                .producer_id = producer.id,
                                .producer_epoch = producer.epoch};
    assert_int_equal(state_data_append(&bench->data, partition, &batch), ERR_NONE);
}

struct marking {
    struct txn_markers markers;
    struct state_done done;
};

static void on_marked(struct txn_markers *markers)
{
    state_done_set(&container_of(markers, struct marking, markers)->done, ERR_NONE);
}

static void write_markers(struct bench *bench, struct txn_marker *items, size_t count,
                          int16_t epoch)
{
    struct marking marking = {.markers = {.producer_id = producer.id,
                                          .producer_epoch = epoch,
                                          .commit = true,
                                          .items = items,
                                          .count = count,
                                          .done = on_marked},
                              .done = state_done_new()};
    bench->participants.write_markers(bench->participants.context, &marking.markers);
    assert_int_equal(state_done_await(&marking.done), ERR_NONE);
}

static size_t count_open(struct bench *bench, struct txn_open *first)
{
    struct arena arena = {0};
    size_t count;
    struct txn_open *open =
        bench->participants.list_open(bench->participants.context, &arena, &count);
    if (count > 0) {
        *first = open[0];
        assert_true(slice_equal_str(open[0].topic, "__state"));
        first->topic = slice_str("__state");
    }
    free(open);
    arena_deinit(&arena);
    return count;
}

static void an_open_transaction_is_found_until_its_marker(void **state)
{
    struct bench *bench = *state;
    struct txn_open open;
    assert_int_equal(count_open(bench, &open), 0);
    write_event(bench, 1);
    write_event(bench, 1);
    assert_int_equal(count_open(bench, &open), 1);
    assert_int_equal(open.partition, 1);
    assert_int_equal(open.producer.id, producer.id);
    assert_int_equal(open.producer.epoch, producer.epoch);
    assert_int_equal(open.first_offset, 0);
    assert_true(bench->participants.is_open(bench->participants.context, &open));
    struct txn_marker marker = {.topic = slice_str("__state"), .partition = 1, .again = true};
    write_markers(bench, &marker, 1, producer.epoch);
    assert_false(marker.again);
    assert_false(bench->participants.is_open(bench->participants.context, &open));
    assert_int_equal(count_open(bench, &open), 0);
    assert_int_equal(bench->marked, 1);
    assert_int_equal(bench->marked_partition, 1);
    assert_true(bench->marked_commit);
}

static void a_later_transaction_of_the_producer_is_another(void **state)
{
    struct bench *bench = *state;
    struct txn_open open;
    write_event(bench, 0);
    assert_int_equal(count_open(bench, &open), 1);
    struct txn_marker marker = {.topic = slice_str("__state"), .partition = 0};
    write_markers(bench, &marker, 1, producer.epoch);
    write_event(bench, 0);
    assert_false(bench->participants.is_open(bench->participants.context, &open));
}

static void partitions_that_are_gone_need_no_marker(void **state)
{
    struct bench *bench = *state;
    write_event(bench, 2);
    struct txn_marker markers[] = {{.topic = slice_str("none"), .partition = 0, .again = true},
                                   {.topic = slice_str("__state"), .partition = 7, .again = true},
                                   {.topic = slice_str("__state"), .partition = 2, .again = true}};
    write_markers(bench, markers, 3, producer.epoch);
    for (int i = 0; i < 3; i++) {
        assert_false(markers[i].again);
    }
    assert_int_equal(bench->marked, 1);
    write_markers(bench, markers, 1, producer.epoch); /* nothing to wait for: done at once */
    assert_int_equal(bench->marked, 1);
}

static void a_marker_of_an_old_epoch_is_not_tried_again(void **state)
{
    struct bench *bench = *state;
    write_event(bench, 0);
    struct txn_marker marker = {.topic = slice_str("__state"), .partition = 0};
    write_markers(bench, &marker, 1, producer.epoch - 1);
    assert_false(marker.again);
    assert_int_equal(bench->marked, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_transaction_is_found_until_its_marker),
        TEST(a_later_transaction_of_the_producer_is_another),
        TEST(partitions_that_are_gone_need_no_marker),
        TEST(a_marker_of_an_old_epoch_is_not_tried_again),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
