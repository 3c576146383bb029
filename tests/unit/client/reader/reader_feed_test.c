/* The feed of any cluster, against a server: each committed event once and in order, as the feed of
 * a server's own log gives them (unit-stream-log_feed). */
#include "bus_server.h"

#include "base/mem.h"
#include "client/reader/reader_feed.h"

#include "../../unit.h"

#include <stdatomic.h>

enum { PARTITIONS = 3, LONG_MS = 60000 };

struct story {
    struct bus_server server;
    struct connection_settings settings;
    struct feed *feed;
    int64_t begin[PARTITIONS];
    int seen[PARTITIONS];     /* events of "orders" */
    int64_t next[PARTITIONS]; /* and up to where it was told */
    int64_t ends[PARTITIONS]; /* what was told of it; -1: nothing yet */
    int last_value[PARTITIONS];
    int seen_later; /* events of "later" */
    int gone;
    bool may_repeat; /* partitions are met anew when a topic goes */
    bool may_fail;   /* the bus was away: the feed is opened anew as often as need be */
};

static int64_t begin_at(void *context, const struct feed_source *source)
{
    struct story *story = context;
    if (strcmp(source->topic, "orders") == 0) {
        return story->begin[source->partition];
    }
    return strcmp(source->topic, "later") == 0 ? FEED_FROM_START : FEED_NOT_WANTED;
}

static struct story *begin(void)
{
    struct story *story = mem_new(struct story);
    bus_server_start(&story->server);
    bus_server_topic(&story->server, "orders", PARTITIONS);
    story->settings = bus_server_settings(&story->server);
    for (int i = 0; i < PARTITIONS; i++) {
        story->begin[i] = FEED_FROM_START;
        story->last_value[i] = -1;
        story->ends[i] = -1;
    }
    return story;
}

static void open_feed(struct story *story)
{
    story->feed = reader_feed_new(&story->settings, begin_at, story);
}

static void end(struct story *story)
{
    feed_free(story->feed);
    bus_server_stop(&story->server);
    free(story);
}

/* Values are numbers that go up in each partition. */
static void note_events(struct story *story, const struct feed_piece *piece)
{
    char text[32];
    int partition = piece->source.partition;
    assert_true(piece->next_offset <= piece->end_offset);
    bool is_new = story->ends[partition] < 0; /* then where it ends is told, if nothing else is */
    assert_true(piece->next_offset > story->next[partition] || piece->count == 0);
    assert_true(piece->next_offset > story->next[partition] || is_new || story->may_repeat ||
                story->may_fail);
    for (size_t i = 0; i < piece->count; i++) {
        const struct event *event = &piece->events[i].event;
        assert_true(event->offset >= story->next[partition]);
        assert_true(event->offset < piece->next_offset);
        assert_true(event->value.size < sizeof text);
        memcpy(text, event->value.data, event->value.size);
        text[event->value.size] = '\0';
        assert_true(atoi(text) > story->last_value[partition]);
        story->last_value[partition] = atoi(text);
        story->seen[partition]++;
    }
    story->next[partition] = piece->next_offset;
    story->ends[partition] = piece->end_offset;
}

/* The next piece, noted. */
static enum feed_kind_of_piece take(struct story *story, int timeout_ms, bool *is_level)
{
    struct feed_piece piece;
    struct reason reason = {""};
    *is_level = false;
    if (feed_next(story->feed, timeout_ms, &piece, &reason) != ERR_NONE) {
        if (!story->may_fail) {
            fail_msg("%s", reason.text);
        }
        feed_free(story->feed);
        open_feed(story);
        return FEED_NOTHING;
    }
    bool is_orders = piece.kind != FEED_NOTHING && strcmp(piece.source.topic, "orders") == 0;
    if (piece.kind == FEED_EVENTS && is_orders) {
        note_events(story, &piece);
    } else if (piece.kind == FEED_EVENTS) {
        story->seen_later += (int)piece.count;
    } else if (piece.kind == FEED_GONE) {
        story->gone++;
    }
    *is_level = piece.kind == FEED_NOTHING && piece.level_ms > 0;
    return piece.kind;
}

#define read_until(story, condition)                                                               \
    do {                                                                                           \
        bool level_ = false;                                                                       \
        int tries_ = 0;                                                                            \
        while (!(condition)) {                                                                     \
            (void)take(story, 200, &level_);                                                       \
            assert_true(tries_++ < 1000);                                                          \
        }                                                                                          \
    } while (0)

static void read_until_level(struct story *story)
{
    bool level = false;
    for (int tries = 0; !level; tries++) {
        (void)take(story, 200, &level);
        assert_true(tries < 1000);
    }
}

static void on_done(void *context, const struct publication *publication)
{
    (void)context, (void)publication;
}

static void write_txn(struct story *story, int partition, int first, bool commits)
{
    static const char *const transactional[] = {"transactional.id=feed-test"};
    struct publisher *publisher;
    struct client_error error = {.text = ""};
    struct publisher_settings settings = {.connection = story->settings, .done = on_done};
    char value[32];
    settings.connection.properties = transactional;
    settings.connection.property_count = 1;
    assert_int_equal(publisher_open(&settings, &publisher, &error), CLIENT_OK);
    assert_int_equal(publisher_txn_start(publisher, LONG_MS, &error), CLIENT_OK);
    assert_int_equal(publisher_txn_begin(publisher, &error), CLIENT_OK);
    for (int i = 0; i < 5; i++) {
        struct event event = event_blank();
        snprintf(value, sizeof value, "%d", first + i);
        event.topic = "orders";
        event.partition = partition;
        event.value = slice_str(value);
        assert_int_equal(publisher_publish(publisher, &event, NULL, &error), CLIENT_OK);
    }
    assert_int_equal(publisher_flush(publisher, LONG_MS), CLIENT_OK);
    assert_int_equal(commits ? publisher_txn_commit(publisher, LONG_MS, &error)
                             : publisher_txn_abort(publisher, LONG_MS, &error),
                     CLIENT_OK);
    publisher_close(publisher);
}

static void test_each_committed_event_comes_once_and_in_order(void **state)
{
    struct story *story = begin();
    (void)state;
    for (int i = 0; i < PARTITIONS; i++) {
        bus_server_put_numbers(&story->server, "orders", i, 0, 1000 * (i + 1));
    }
    open_feed(story);
    read_until_level(story);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(story->seen[i], 1000 * (i + 1));
    }
    write_txn(story, 0, 5000, true);
    write_txn(story, 0, 6000, false);
    bus_server_put_numbers(&story->server, "orders", 0, 7000, 5);
    write_txn(story, 1, 8000, false); /* the end of the log is none of an event */
    read_until(story, story->seen[0] == 1010);
    read_until(story, story->next[1] == 2006);
    read_until_level(story);
    assert_int_equal(story->seen[0], 1010);
    assert_int_equal(story->seen[1], 2000);
    end(story);
}

static void test_it_begins_where_it_is_told_and_leaves_out_what_is_not_wanted(void **state)
{
    struct story *story = begin();
    (void)state;
    for (int i = 0; i < PARTITIONS; i++) {
        bus_server_put_numbers(&story->server, "orders", i, 0, 100);
    }
    bus_server_delete_records(&story->server, "orders", 40); /* of partition 0 */
    story->begin[1] = story->next[1] = 70;
    story->begin[2] = FEED_NOT_WANTED;
    open_feed(story);
    read_until_level(story);
    assert_int_equal(story->seen[0], 60);
    assert_int_equal(story->seen[1], 30);
    assert_int_equal(story->seen[2], 0);
    end(story);
}

static void test_where_a_partition_ends_is_told_though_nothing_comes_of_it(void **state)
{
    struct story *story = begin();
    (void)state;
    bus_server_put_numbers(&story->server, "orders", 0, 0, 100);
    bus_server_put_numbers(&story->server, "orders", 1, 0, 100);
    story->begin[0] = story->next[0] = 100;
    story->begin[1] = FEED_NOT_WANTED;
    open_feed(story);
    read_until_level(story);
    assert_int_equal(story->ends[0], 100);
    assert_int_equal(story->ends[1], -1);
    assert_int_equal(story->ends[2], 0);
    assert_int_equal(story->seen[0], 0);
    end(story);
}

static void test_topics_that_come_and_go_are_told(void **state)
{
    struct story *story = begin();
    (void)state;
    bus_server_put_numbers(&story->server, "orders", 0, 0, 10);
    open_feed(story);
    read_until_level(story);
    bus_server_topic(&story->server, "later", 1);
    bus_server_put_numbers(&story->server, "later", 0, 0, 7);
    read_until(story, story->seen_later == 7);
    bus_server_delete_topic(&story->server, "later");
    story->may_repeat = true;
    for (int i = 0; i < PARTITIONS; i++) {
        story->begin[i] = story->next[i]; /* as who remembers where he stands */
    }
    read_until(story, story->gone == 1);
    bus_server_topic(&story->server, "later", 1);
    bus_server_put_numbers(&story->server, "later", 0, 0, 3);
    bus_server_put_numbers(&story->server, "orders", 0, 10, 10);
    read_until(story, story->seen_later == 10);
    read_until(story, story->seen[0] == 20);
    assert_int_equal(story->gone, 1);
    end(story);
}

static void test_a_bus_that_is_away_is_told(void **state)
{
    struct story *story = begin();
    struct feed_piece piece;
    struct reason reason = {""};
    (void)state;
    story->settings.timeout_ms = 5000;
    bus_server_put_numbers(&story->server, "orders", 0, 0, 10);
    open_feed(story);
    read_until_level(story);
    bus_server_kill(&story->server);
    enum err err = ERR_NONE;
    for (int tries = 0; err == ERR_NONE; tries++) {
        err = feed_next(story->feed, 200, &piece, &reason);
        assert_true(tries < 1000);
    }
    assert_int_equal(err, ERR_IO);
    assert_true(reason.text[0] != '\0');
    feed_free(story->feed);
    bus_server_start_again(&story->server);
    story->settings = bus_server_settings(&story->server); /* the address is another text now */
    story->begin[0] = story->next[0];
    story->may_fail = true;
    bus_server_put_numbers(&story->server, "orders", 0, 10, 10);
    open_feed(story);
    read_until(story, story->seen[0] == 20);
    end(story);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_committed_event_comes_once_and_in_order),
        cmocka_unit_test(test_it_begins_where_it_is_told_and_leaves_out_what_is_not_wanted),
        cmocka_unit_test(test_where_a_partition_ends_is_told_though_nothing_comes_of_it),
        cmocka_unit_test(test_topics_that_come_and_go_are_told),
        cmocka_unit_test(test_a_bus_that_is_away_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
