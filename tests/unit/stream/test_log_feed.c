#include "../unit.h"
#include "stream_fixture.h"

#include "base/mem.h"
#include "base/random.h"
#include "batch/batch.h"
#include "batch/compression.h"
#include "stream/log_feed.h"
#include "topic/topic.h"

/*
 * Whoever reads a feed sees each committed event once and in order, whatever codec, transaction or
 * restart is between, and nothing else.
 */
enum { PARTITIONS = 4, LONG_MS = 30000 };

/* What should come of a partition, and what came. */
struct expected {
    VEC(int64_t) offsets; /* value and headers follow from partition and offset */
    size_t seen;
    int64_t next; /* as the feed tells it */
};

struct story {
    struct fixture *fixture;
    struct feed *feed;
    struct expected partitions[PARTITIONS];
    int64_t begin[PARTITIONS];
    int others; /* partitions of other topics that were met */
    int gone;
    struct random random;
};

static int64_t begin_at(void *context, const struct feed_source *source)
{
    struct story *story = context;
    if (strcmp(source->topic, "orders") == 0 && source->partition < PARTITIONS) {
        return story->begin[source->partition];
    }
    story->others++;
    return FEED_FROM_START;
}

static struct story *begin(struct fixture *fixture, uint64_t seed)
{
    struct story *story = mem_new(struct story);
    story->fixture = fixture;
    story->random.state = seed;
    for (int i = 0; i < PARTITIONS; i++) {
        story->begin[i] = FEED_FROM_START;
    }
    return story;
}

static void open_feed(struct story *story)
{
    story->feed = log_feed_new(story->fixture->catalogue, begin_at, story);
    atomic_store(&story->fixture->feed, story->feed);
}

static void end(struct story *story)
{
    for (int i = 0; i < PARTITIONS; i++) {
        vec_deinit(&story->partitions[i].offsets);
    }
    free(story);
}

/* --- what is written --- */

static void add_record(struct batch_builder *builder, int partition, int64_t offset)
{
    char key[32];
    char value[64];
    char number[32];
    snprintf(key, sizeof key, "key-%d-%lld", partition, (long long)offset);
    snprintf(value, sizeof value, "value of %d at %lld", partition, (long long)offset);
    snprintf(number, sizeof number, "%lld", (long long)offset);
    struct record_header headers[] = {
        {slice_str("ce_id"), slice_str(number)},
        {slice_str("empty"), slice_of("", 0)},
        {slice_str("none"), slice_of(NULL, 0)},
    };
    bool has_headers = offset % 3 != 0;
    batch_builder_add(builder, 1700000000000 + offset, slice_str(key), slice_str(value), headers,
                      has_headers ? 3 : 0);
}

struct writing {
    int partition;
    int count;
    int64_t producer_id; /* -1: none */
    bool is_transactional;
    int32_t sequence;
    enum batch_compression compression;
};

/* One batch of some records. */
static void write_batch(struct story *story, const struct writing *writing)
{
    struct fixture *fixture = story->fixture;
    struct partition *partition = topic_partition(fixture->topic, writing->partition);
    struct batch_builder builder;
    struct buf bytes = {0};
    int64_t base = log_end_offset(partition->log);
    batch_builder_init(&builder);
    builder.compression = writing->compression;
    builder.producer_id = writing->producer_id;
    builder.producer_epoch = writing->producer_id < 0 ? -1 : 0;
    builder.base_sequence = writing->producer_id < 0 ? -1 : writing->sequence;
    builder.extra_attributes = writing->is_transactional ? BATCH_ATTRIBUTE_TRANSACTIONAL : 0;
    for (int i = 0; i < writing->count; i++) {
        add_record(&builder, writing->partition, base + i);
    }
    assert_int_equal(batch_builder_finish(&builder, &bytes, &fixture->reason), ERR_NONE);
    batch_builder_deinit(&builder);
    struct batch batch;
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    struct log_append append = {
        .batches = &batch, .batch_count = 1, .check_producer = writing->producer_id >= 0};
    assert_int_equal(partition_append(partition, &append, &fixture->reason), ERR_NONE);
    buf_deinit(&bytes);
}

static void expect_from(struct story *story, int partition, int64_t from)
{
    struct partition *at = topic_partition(story->fixture->topic, partition);
    for (int64_t offset = from; offset < log_end_offset(at->log); offset++) {
        vec_push(&story->partitions[partition].offsets, offset);
    }
}

static void write_some(struct story *story, int partition, int count,
                       enum batch_compression compression)
{
    struct partition *at = topic_partition(story->fixture->topic, partition);
    int64_t from = log_end_offset(at->log);
    write_batch(story, &(struct writing){.partition = partition,
                                         .count = count,
                                         .producer_id = -1,
                                         .compression = compression});
    expect_from(story, partition, from);
}

/* A transaction of two batches, with one of nobody's between. */
static void write_txn(struct story *story, int partition, bool commits)
{
    static int64_t last_producer_id = 100;
    struct partition *at = topic_partition(story->fixture->topic, partition);
    struct writing writing = {.partition = partition,
                              .count = 2,
                              .producer_id = ++last_producer_id,
                              .is_transactional = true};
    int64_t first = log_end_offset(at->log);
    write_batch(story, &writing);
    if (commits) {
        expect_from(story, partition, first);
    }
    write_some(story, partition, 1, BATCH_COMPRESSION_NONE);
    int64_t second = log_end_offset(at->log);
    writing.sequence = 2;
    write_batch(story, &writing);
    if (commits) {
        expect_from(story, partition, second);
    }
    struct partition_marker marker = {.producer_id = writing.producer_id, .commit = commits};
    assert_int_equal(partition_append_marker(at, &marker, &story->fixture->reason), ERR_NONE);
}

/* --- what comes --- */

static void check_event(const struct feed_event *fed, int partition, int64_t offset)
{
    const struct event *event = &fed->event;
    char key[32];
    char value[64];
    char number[32];
    snprintf(key, sizeof key, "key-%d-%lld", partition, (long long)offset);
    snprintf(value, sizeof value, "value of %d at %lld", partition, (long long)offset);
    snprintf(number, sizeof number, "%lld", (long long)offset);
    assert_int_equal(event->offset, offset);
    assert_int_equal(event->timestamp_ms, 1700000000000 + offset);
    assert_true(slice_equal_str(event->key, key));
    assert_true(slice_equal_str(event->value, value));
    assert_int_equal(event->header_count, offset % 3 != 0 ? 3 : 0);
    if (event->header_count > 0) {
        assert_string_equal(event->headers[0].name, "ce_id");
        assert_string_equal((const char *)event->headers[0].value.data, number); /* with its NUL */
        assert_string_equal(event->headers[1].name, "empty");
        assert_false(slice_is_null(event->headers[1].value));
        assert_string_equal((const char *)event->headers[1].value.data, "");
        assert_true(slice_is_null(event->headers[2].value));
    }
}

static void check_piece(struct story *story, const struct feed_piece *piece)
{
    assert_int_equal(piece->damaged_from, -1);
    struct expected *expected = &story->partitions[piece->source.partition];
    assert_memory_equal(piece->source.topic_id, story->fixture->topic->id.bytes, 16);
    assert_true(piece->next_offset > expected->next || piece->count == 0);
    for (size_t i = 0; i < piece->count; i++) {
        assert_true(expected->seen < expected->offsets.count);
        check_event(&piece->events[i], piece->source.partition,
                    expected->offsets.items[expected->seen++]);
        assert_true(piece->events[i].event.offset < piece->next_offset);
    }
    expected->next = piece->next_offset;
}

static bool is_all_seen(const struct story *story)
{
    for (int i = 0; i < PARTITIONS; i++) {
        if (story->begin[i] != FEED_NOT_WANTED &&
            story->partitions[i].seen < story->partitions[i].offsets.count) {
            return false;
        }
    }
    return true;
}

/* Reads until all that is expected came. */
static void read_all(struct story *story)
{
    struct feed_piece piece;
    while (!is_all_seen(story)) {
        assert_int_equal(feed_next(story->feed, LONG_MS, &piece, &story->fixture->reason),
                         ERR_NONE);
        assert_int_not_equal(piece.kind, FEED_NOTHING);
        if (piece.kind == FEED_EVENTS && strcmp(piece.source.topic, "orders") == 0) {
            check_piece(story, &piece);
        }
    }
}

/* Nothing that was written is left, and nothing more comes. */
static void check_silence(struct story *story)
{
    struct feed_piece piece;
    do {
        assert_int_equal(feed_next(story->feed, 0, &piece, &story->fixture->reason), ERR_NONE);
        assert_int_equal(piece.count, 0);
    } while (piece.kind != FEED_NOTHING);
}

static void test_each_committed_event_comes_once_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 1);
    open_feed(story);
    for (int i = 0; i < 200; i++) {
        int partition = (int)random_below(&story->random, PARTITIONS);
        int what = (int)random_below(&story->random, 8);
        if (what < 2) {
            write_txn(story, partition, what == 0);
        } else {
            write_some(story, partition, 1 + (int)random_below(&story->random, 20),
                       (enum batch_compression)random_below(&story->random, 5));
        }
        if (random_below(&story->random, 10) == 0) {
            read_all(story);
        }
    }
    read_all(story);
    check_silence(story);
    end(story);
}

static void test_a_large_partition_holds_up_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 2);
    struct feed_piece piece;
    for (int i = 0; i < 200; i++) {
        write_some(story, 0, 100, BATCH_COMPRESSION_NONE); /* 2 MB and more */
    }
    write_some(story, 1, 1, BATCH_COMPRESSION_NONE);
    wait_until(partition_high_watermark(topic_partition(fixture->topic, 1)) == 1);
    open_feed(story);
    int before = 0;
    do {
        assert_int_equal(feed_next(story->feed, LONG_MS, &piece, NULL), ERR_NONE);
        check_piece(story, &piece);
        before += piece.source.partition == 0;
    } while (piece.source.partition != 1);
    assert_true(before <= 1);
    read_all(story);
    end(story);
}

static void test_it_begins_where_it_is_told_and_leaves_out_what_is_not_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 3);
    for (int i = 0; i < 3; i++) {
        write_some(story, i, 10, BATCH_COMPRESSION_ZSTD);
    }
    story->begin[0] = 7;
    story->partitions[0].seen = 7;
    story->begin[1] = FEED_NOT_WANTED;
    open_feed(story);
    read_all(story);
    write_some(story, 1, 1, BATCH_COMPRESSION_NONE);
    write_some(story, 0, 1, BATCH_COMPRESSION_NONE);
    read_all(story);
    check_silence(story);
    end(story);
}

static void append_at_time(struct fixture *fixture, int64_t time_ms)
{
    struct batch_builder builder;
    struct buf bytes = {0};
    struct batch batch;
    batch_builder_init(&builder);
    batch_builder_add(&builder, time_ms, slice_str("k"), slice_str("v"), NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, &fixture->reason), ERR_NONE);
    batch_builder_deinit(&builder);
    assert_int_equal(batch_parse(buf_slice(&bytes), &batch, NULL), ERR_NONE);
    struct log_append append = {.batches = &batch, .batch_count = 1};
    assert_int_equal(
        partition_append(topic_partition(fixture->topic, 0), &append, &fixture->reason), ERR_NONE);
    buf_deinit(&bytes);
}

/* A producer may write any 64 bits as a time; who reads the feed adds to it and subtracts from it.
 */
static void test_times_are_told_within_bounds(void **state)
{
    static const int64_t told[][2] = {{INT64_MAX, INT64_C(253402300799999)},
                                      {INT64_C(253402300799999), INT64_C(253402300799999)},
                                      {0, 0},
                                      {-1, -1},
                                      {-2, -1},
                                      {INT64_MIN, -1}};
    enum { COUNT = sizeof told / sizeof told[0] };
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 5);
    struct feed_piece piece;
    size_t seen = 0;
    open_feed(story);
    for (size_t i = 0; i < COUNT; i++) {
        append_at_time(fixture, told[i][0]);
    }
    while (seen < COUNT) {
        assert_int_equal(feed_next(story->feed, LONG_MS, &piece, &fixture->reason), ERR_NONE);
        assert_int_not_equal(piece.kind, FEED_NOTHING);
        for (size_t i = 0; i < piece.count; i++) {
            assert_int_equal(piece.events[i].event.timestamp_ms, told[seen++][1]);
        }
    }
    end(story);
}

static void test_an_open_transaction_holds_back_what_is_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 4);
    struct partition *at = topic_partition(fixture->topic, 2);
    struct writing writing = {
        .partition = 2, .count = 2, .producer_id = 7, .is_transactional = true};
    write_batch(story, &writing);
    write_batch(story, &(struct writing){.partition = 2, .count = 1, .producer_id = -1});
    open_feed(story);
    wait_until(partition_high_watermark(at) == 3);
    check_silence(story);
    struct partition_marker marker = {.producer_id = 7, .commit = true};
    assert_int_equal(partition_append_marker(at, &marker, &fixture->reason), ERR_NONE);
    for (int64_t offset = 0; offset < 3; offset++) {
        vec_push(&story->partitions[2].offsets, offset);
    }
    read_all(story);
    check_silence(story);
    end(story);
}

static void test_what_was_deleted_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 5);
    int64_t low;
    write_some(story, 0, 10, BATCH_COMPRESSION_NONE);
    write_some(story, 0, 10, BATCH_COMPRESSION_NONE);
    struct partition *at = topic_partition(fixture->topic, 0);
    wait_until(partition_high_watermark(at) == 20);
    assert_int_equal(catalogue_delete_records(fixture->catalogue, at, 13, &low, &fixture->reason),
                     ERR_NONE);
    story->partitions[0].seen = 13;
    open_feed(story);
    read_all(story);
    end(story);
}

static struct topic *create(struct fixture *fixture, const char *name)
{
    struct topic *topic;
    struct topic_creation creation = {.name = slice_str(name), .partition_count = 1};
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, &topic, &fixture->reason),
                     ERR_NONE);
    return topic;
}

/* The next piece of another topic than "orders". */
static void next_of_others(struct story *story, struct feed_piece *piece)
{
    do {
        assert_int_equal(feed_next(story->feed, LONG_MS, piece, &story->fixture->reason), ERR_NONE);
        assert_int_not_equal(piece->kind, FEED_NOTHING);
    } while (strcmp(piece->source.topic, "orders") == 0);
}

static void publish_to(struct fixture *fixture, struct topic *topic)
{
    struct topic *before = fixture->topic;
    fixture->topic = topic;
    publish_event(fixture, 0, 10);
    fixture->topic = before;
}

static void test_topics_that_come_and_go_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 6);
    struct feed_piece piece;
    uint8_t id[16];
    open_feed(story);
    check_silence(story);
    struct topic *topic = create(fixture, "later");
    memcpy(id, topic->id.bytes, sizeof id);
    publish_to(fixture, topic);
    next_of_others(story, &piece);
    assert_int_equal(piece.kind, FEED_EVENTS);
    assert_int_equal(piece.count, 1);
    assert_string_equal(piece.source.topic, "later");
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
    next_of_others(story, &piece);
    assert_int_equal(piece.kind, FEED_GONE);
    assert_string_equal(piece.source.topic, "later");
    assert_memory_equal(piece.source.topic_id, id, sizeof id);
    topic = create(fixture, "later");
    publish_to(fixture, topic);
    next_of_others(story, &piece);
    assert_int_equal(piece.kind, FEED_EVENTS);
    assert_int_equal(piece.count, 1);
    assert_memory_not_equal(piece.source.topic_id, id, sizeof id);
    topic_unref(topic);
    end(story);
}

static void test_partitions_that_are_added_are_read(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 7);
    struct feed_piece piece;
    open_feed(story);
    check_silence(story);
    assert_int_equal(
        catalogue_add_partitions(fixture->catalogue, fixture->topic, 5, false, &fixture->reason),
        ERR_NONE);
    publish_event(fixture, 4, 10);
    assert_int_equal(feed_next(story->feed, LONG_MS, &piece, NULL), ERR_NONE);
    assert_int_equal(piece.source.partition, 4);
    assert_int_equal(piece.count, 1);
    end(story);
}

/* Reads until it is level with what was there at the time; returns how many events came. */
static size_t read_until_level(struct story *story, int64_t time_ms)
{
    struct feed_piece piece;
    size_t events = 0;
    do {
        assert_int_equal(feed_next(story->feed, 1, &piece, &story->fixture->reason), ERR_NONE);
        events += piece.count;
    } while (piece.level_ms <= time_ms);
    return events;
}

/* Also of a topic that was made so short a time after others that it was not looked for yet. */
static void test_level_means_that_all_of_before_was_given(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 10);
    open_feed(story);
    check_silence(story);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "made-%d", i);
        struct topic *topic = create(fixture, name);
        publish_to(fixture, topic);
        topic_unref(topic);
        publish_event(fixture, i % PARTITIONS, 10);
        assert_int_equal(read_until_level(story, clock_wall_ms(clock_system())), 2);
    }
    end(story);
}

static void test_level_is_not_told_while_some_is_left(void **state)
{
    enum { EVENTS = 20 };
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 11);
    struct feed_piece piece;
    size_t events = 0;
    for (int i = 0; i < EVENTS; i++) {
        publish_event(fixture, i % 2, 600 << 10); /* some pieces */
    }
    open_feed(story);
    while (events < EVENTS) {
        assert_int_equal(feed_next(story->feed, LONG_MS, &piece, NULL), ERR_NONE);
        events += piece.count;
        assert_true(piece.level_ms == 0 || events == EVENTS);
    }
    assert_int_equal(read_until_level(story, 0), 0);
    end(story);
}

static void *wake_it(void *context)
{
    feed_wake(context);
    return NULL;
}

static void test_a_wait_ends_when_it_is_woken(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 8);
    struct feed_piece piece;
    pthread_t thread;
    open_feed(story);
    check_silence(story);
    assert_int_equal(pthread_create(&thread, NULL, wake_it, story->feed), 0);
    assert_int_equal(feed_next(story->feed, 1 << 30, &piece, NULL), ERR_NONE);
    assert_int_equal(piece.kind, FEED_NOTHING);
    pthread_join(thread, NULL);
    end(story);
}

/* --- damage --- */

static void test_what_is_damaged_is_told_and_passed_over(void **state)
{
    struct fixture *fixture = *state;
    struct story *story = begin(fixture, 9);
    struct feed_piece piece;
    int64_t damaged_from = -1;
    int64_t damaged_to = -1;
    write_some(story, 0, 10, BATCH_COMPRESSION_NONE);
    int64_t second = log_size_bytes(topic_partition(fixture->topic, 0)->log);
    write_some(story, 0, 10, BATCH_COMPRESSION_NONE);
    write_some(story, 0, 10, BATCH_COMPRESSION_NONE);
    wait_until(partition_high_watermark(topic_partition(fixture->topic, 0)) == 30);
    fixture_reopen(fixture);
    fixture_flip_at(fixture, second + BATCH_HEADER_BYTES + 20);
    open_feed(story);
    struct expected *expected = &story->partitions[0];
    while (expected->next < 30) {
        assert_int_equal(feed_next(story->feed, LONG_MS, &piece, NULL), ERR_NONE);
        if (piece.damaged_from >= 0) {
            damaged_from = piece.damaged_from;
            damaged_to = piece.next_offset;
            piece.damaged_from = -1;
            expected->seen = 20;
        }
        check_piece(story, &piece);
    }
    assert_int_equal(damaged_from, 10);
    assert_int_equal(damaged_to, 20);
    assert_true(is_all_seen(story));
    end(story);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_committed_event_comes_once_and_in_order),
        TEST(test_a_large_partition_holds_up_no_other),
        TEST(test_it_begins_where_it_is_told_and_leaves_out_what_is_not_wanted),
        TEST(test_times_are_told_within_bounds),
        TEST(test_an_open_transaction_holds_back_what_is_behind_it),
        TEST(test_what_was_deleted_is_passed_over),
        TEST(test_topics_that_come_and_go_are_told),
        TEST(test_partitions_that_are_added_are_read),
        TEST(test_level_means_that_all_of_before_was_given),
        TEST(test_level_is_not_told_while_some_is_left),
        TEST(test_a_wait_ends_when_it_is_woken),
        TEST(test_what_is_damaged_is_told_and_passed_over),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
