/* Connection, administration, publisher and reader against a server. */
#include "bus_server.h"

#include "client/reader.h"

#include "../unit.h"

/* What became of the event that was published last. */
static void on_done(void *context, const struct publication *publication)
{
    *(struct publication *)context = *publication;
}

/* What a reader told. */
struct seen {
    struct reader *reader;
    int assigned, revoked, ended, gaps;
    bool was_lost;
    struct reader_gap gap;
    char notice[512];
    char metadata[40]; /* of what was given last */
    int stored;        /* commits of which the bus said that it has them */
    int64_t stored_epoch;
};

static void on_assigned(void *context, const struct topic_partitions *partitions)
{
    struct seen *seen = context;
    seen->assigned += (int)partitions->count;
    for (size_t i = 0; i < partitions->count; i++) {
        const char *metadata = partitions->items[i].metadata;
        snprintf(seen->metadata, sizeof seen->metadata, "%s", metadata != NULL ? metadata : "");
    }
}

static void on_committed(void *context, const struct reader_commit_answer *answer)
{
    struct seen *seen = context;
    seen->stored += answer->is_stored;
    seen->stored_epoch = answer->epoch;
}

static void on_revoked(void *context, const struct topic_partitions *partitions, bool is_lost)
{
    struct seen *seen = context;
    seen->revoked += (int)partitions->count;
    seen->was_lost |= is_lost;
}

static void on_ended(void *context, const char *topic, int32_t partition, int64_t offset)
{
    ((struct seen *)context)->ended++;
}

static void on_gone(void *context, const struct reader_gap *gap)
{
    struct seen *seen = context;
    seen->gaps++;
    seen->gap = *gap;
}

static void on_notice(void *context, const struct client_error *what)
{
    struct seen *seen = context;
    snprintf(seen->notice, sizeof seen->notice, "%s", what->text);
}

static const struct reader_callbacks callbacks = {.assigned = on_assigned,
                                                  .revoked = on_revoked,
                                                  .committed = on_committed,
                                                  .ended = on_ended,
                                                  .gone = on_gone};

static void join_as(const struct reader_settings *as, struct bus_server *bus, struct seen *seen,
                    const char *property)
{
    struct reader_settings settings = *as;
    settings.connection = bus_server_settings(bus);
    settings.is_cooperative = true;
    settings.commit_interval_ms = settings.fetch_wait_ms = 20;
    settings.callbacks = callbacks;
    settings.context = seen;
    *seen = (struct seen){0};
    settings.connection.notice = on_notice;
    settings.connection.notice_context = seen;
    settings.connection.timeout_ms = as->connection.timeout_ms;
    settings.connection.properties = &property;
    settings.connection.property_count = property != NULL;
    struct client_error error;
    if (reader_open(&settings, &seen->reader, &error) != CLIENT_OK) {
        fail_msg("%s", error.text);
    }
}

static void join(struct bus_server *bus, struct seen *seen, const char *group,
                 const char *const *topics, size_t topic_count, enum position_kind from)
{
    struct reader_settings settings = {.group = group,
                                       .topics = topics,
                                       .topic_count = topic_count,
                                       .from = {.kind = from},
                                       .session_timeout_ms = 30000};
    join_as(&settings, bus, seen, NULL);
}

/* The next event; fails the test when the reader does. */
static struct received *take(struct seen *seen)
{
    struct received *received = NULL;
    struct client_error error;
    while (received == NULL) {
        if (reader_take(seen->reader, 100, &received, &error) != CLIENT_OK) {
            fail_msg("%s", error.text);
        }
    }
    return received;
}

/* Takes events with values first, first + 1, ... of one partition and marks each as done. */
static void expect(struct seen *seen, int first, int count, const char *metadata)
{
    for (int i = first; i < first + count; i++) {
        struct received *received = take(seen);
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        assert_string_equal((const char *)received->event.value.data, value);
        assert_true(reader_mark(seen->reader, received->event.topic, received->event.partition,
                                received->epoch, received->event.offset + 1, metadata));
        received_free(received);
    }
}

/* Serves the reader until it has so many partitions. */
static void wait_assigned(struct seen *seen, int count)
{
    while (seen->assigned < count) {
        struct received *received;
        assert_int_equal(reader_take(seen->reader, 20, &received, NULL), CLIENT_OK);
        assert_null(received);
    }
}

static void expect_committed(struct bus_server *bus, const char *group, const char *topic,
                             int32_t partition, int64_t offset, const char *metadata)
{
    struct topic_partitions offsets;
    assert_int_equal(admin_group_offsets(bus->connection, group, NULL, &offsets, NULL), CLIENT_OK);
    const struct topic_partition *found = topic_partitions_find(&offsets, topic, partition);
    assert_non_null(found);
    assert_int_equal(found->offset, offset);
    assert_int_equal(found->metadata == NULL, metadata == NULL);
    if (metadata != NULL) {
        assert_string_equal(found->metadata, metadata);
    }
    topic_partitions_deinit(&offsets);
}

static void test_topics_and_their_settings_are_made_changed_and_deleted(void **state)
{
    struct bus_server *bus = *state;
    struct admin_topics topics;
    struct admin_topic_settings settings;
    struct admin_outcomes outcomes;
    struct client_error error;
    const struct admin_setting own[] = {{"retention.ms", "86400000"}};
    const struct admin_new_topic new_topic = {"settings", 2, own, 1};
    for (int round = 0; round < 2; round++) {
        assert_int_equal(admin_create_topics(bus->connection, &new_topic, 1, &outcomes, &error),
                         CLIENT_OK);
        assert_int_equal(outcomes.count, 1);
        assert_string_equal(outcomes.items[0].name, "settings");
        assert_int_equal(outcomes.items[0].error.status, round == 0 ? CLIENT_OK : CLIENT_CONFLICT);
        admin_outcomes_deinit(&outcomes);
    }
    assert_int_equal(admin_add_partitions(bus->connection, "settings", 3, &error), CLIENT_OK);
    assert_int_equal(admin_topic(bus->connection, "settings", false, &topics, &error), CLIENT_OK);
    assert_int_equal(topics.items[0].partitions.count, 3);
    admin_topics_deinit(&topics);
    assert_int_equal(admin_topics(bus->connection, &topics, &error), CLIENT_OK);
    assert_true(topics.count > 0);
    admin_topics_deinit(&topics);
    const struct admin_setting other[] = {{"max.message.bytes", "2000"}};
    assert_int_equal(admin_replace_topic_settings(bus->connection, "settings", other, 1, &error),
                     CLIENT_OK);
    assert_int_equal(admin_topic_settings(bus->connection, "settings", &settings, &error),
                     CLIENT_OK);
    int own_count = 0;
    for (size_t i = 0; i < settings.count; i++) {
        own_count += settings.items[i].is_own;
        if (strcmp(settings.items[i].name, "max.message.bytes") == 0) {
            assert_string_equal(settings.items[i].value, "2000");
        }
    }
    assert_int_equal(own_count, 1);
    admin_topic_settings_deinit(&settings);
    bus_server_delete_topic(bus, "settings");
    assert_int_equal(admin_topic_settings(bus->connection, "settings", &settings, &error),
                     CLIENT_NOT_FOUND);
    assert_non_null(strstr(error.hint, "topic list"));
}

static void test_offsets_of_a_group_are_set_read_and_forgotten(void **state)
{
    struct bus_server *bus = *state;
    struct client_error error;
    struct admin_group group;
    struct admin_group_listings listings;
    struct admin_outcomes outcomes;
    struct topic_partitions offsets = {0};
    struct admin_bounds bounds[1];
    bus_server_topic(bus, "moved", 1);
    bus_server_put_numbers(bus, "moved", 0, 0, 5);
    topic_partitions_add(&offsets, "moved", 0, 3)->metadata = strdup("here");
    assert_int_equal(admin_set_group_offsets(bus->connection, "movers", &offsets, &error),
                     CLIENT_OK);
    expect_committed(bus, "movers", "moved", 0, 3, "here");
    assert_int_equal(admin_bounds(bus->connection, &offsets, bounds, &error), CLIENT_OK);
    assert_int_equal(bounds[0].start, 0);
    assert_int_equal(bounds[0].end, 5);
    struct position last = {POSITION_LAST, 2};
    assert_int_equal(position_resolve(bus->connection, &offsets, &last, bounds, &error), CLIENT_OK);
    assert_int_equal(offsets.items[0].offset, 3);
    struct position at_first = {POSITION_TIME, 1};
    assert_int_equal(position_resolve(bus->connection, &offsets, &at_first, bounds, &error),
                     CLIENT_OK);
    assert_int_equal(offsets.items[0].offset, 0);
    topic_partitions_deinit(&offsets);
    assert_int_equal(admin_group(bus->connection, "movers", &group, &error), CLIENT_OK);
    assert_string_equal(group.state, "Empty");
    admin_group_deinit(&group);
    assert_int_equal(admin_groups(bus->connection, &listings, &error), CLIENT_OK);
    assert_true(listings.count > 0);
    admin_group_listings_deinit(&listings);
    const char *names[] = {"movers", "nobody"};
    assert_int_equal(admin_delete_groups(bus->connection, names, 2, &outcomes, &error), CLIENT_OK);
    assert_int_equal(outcomes.count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool is_there = strcmp(outcomes.items[i].name, "movers") == 0;
        assert_int_equal(outcomes.items[i].error.status, is_there ? CLIENT_OK : CLIENT_NOT_FOUND);
    }
    admin_outcomes_deinit(&outcomes);
}

static void test_many_groups_are_asked_at_once_and_told_apart(void **state)
{
    enum { COUNT = 40 };
    struct bus_server *bus = *state;
    struct client_error error;
    struct admin_group_answer answers[COUNT];
    const char *names[COUNT];
    char texts[COUNT][16];
    bus_server_topic(bus, "shared", 1);
    bus_server_put_numbers(bus, "shared", 0, 0, COUNT);
    for (int i = 0; i < COUNT; i++) {
        struct topic_partitions offsets = {0};
        snprintf(texts[i], sizeof texts[i], "many-%d", i);
        names[i] = texts[i];
        topic_partitions_add(&offsets, "shared", 0, i);
        if (i % 7 != 3) { /* these are groups that do not exist */
            assert_int_equal(admin_set_group_offsets(bus->connection, names[i], &offsets, &error),
                             CLIENT_OK);
        }
        topic_partitions_deinit(&offsets);
    }
    admin_describe_groups(bus->connection, names, COUNT, answers);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(answers[i].error.status, CLIENT_OK);
        assert_int_equal(answers[i].group.is_dead, i % 7 == 3);
        assert_int_equal(answers[i].offsets.count, i % 7 == 3 ? 0 : 1);
        if (i % 7 != 3) {
            assert_string_equal(answers[i].group.state, "Empty");
            assert_int_equal(answers[i].offsets.items[0].offset, i);
        }
        admin_group_deinit(&answers[i].group);
        topic_partitions_deinit(&answers[i].offsets);
    }
    admin_describe_groups(bus->connection, names, 0, answers);
}

static void test_an_address_where_nobody_listens_fails_at_once(void **state)
{
    struct connection_settings settings = {
        .bootstrap_servers = "127.0.0.1:1", .client_id = "x", .timeout_ms = 2000};
    struct connection *connection;
    struct client_error error;
    assert_int_equal(connection_open(&settings, &connection, &error), CLIENT_OK);
    assert_int_equal(connection_reach(connection, &error), CLIENT_UNREACHABLE);
    assert_non_null(strstr(error.text, "127.0.0.1:1"));
    assert_non_null(strstr(error.text, "refused"));
    assert_non_null(strstr(error.hint, "tidings serve"));
    connection_close(connection);
    const char *bad[] = {"no.such.setting=1"};
    settings.properties = bad;
    settings.property_count = 1;
    assert_int_equal(connection_open(&settings, &connection, &error), CLIENT_INVALID);
    assert_non_null(strstr(error.text, "no.such.setting"));
    assert_null(connection);
    settings.property_count = 0;
    settings.security.protocol = "carrier_pigeon";
    assert_int_equal(connection_open(&settings, &connection, &error), CLIENT_INVALID);
    struct publisher_settings publisher = {.connection = settings, .done = on_done};
    assert_int_equal(publisher_check(&publisher, &error), CLIENT_INVALID);
    publisher.connection.security.protocol = "ssl";
    assert_int_equal(publisher_check(&publisher, &error), CLIENT_OK);
}

static void test_a_probe_tells_why_nobody_is_there(void **state)
{
    (void)state;
    struct reason reason;
    assert_int_equal(connection_probe("127.0.0.1:1", 1000, &reason), ERR_IO);
    assert_non_null(strstr(reason.text, "refused"));
    assert_int_equal(connection_probe("127.0.0.1:99999", 1000, &reason), ERR_INVALID);
    assert_int_equal(connection_probe("127.0.0.1:", 1000, &reason), ERR_INVALID);
    assert_int_equal(connection_probe("", 1000, &reason), ERR_INVALID);
}

static void test_each_event_has_one_completion(void **state)
{
    struct bus_server *bus = *state;
    struct client_error error;
    struct publication last = {.offset = -1};
    struct publisher *publisher;
    struct publisher_settings settings = {
        .connection = bus_server_settings(bus), .done = on_done, .done_context = &last};
    int mark;
    struct event event = event_blank();
    struct event_header headers[] = {{"h", slice_str("v")}, {"null", {NULL, 0}}};
    bus_server_topic(bus, "done", 1);
    assert_int_equal(publisher_open(&settings, &publisher, &error), CLIENT_OK);
    event.topic = "done";
    event.key = slice_str("k");
    event.headers = headers;
    event.header_count = 2;
    assert_int_equal(publisher_publish(publisher, &event, &mark, &error), CLIENT_OK);
    assert_int_equal(publisher_flush(publisher, 30000), CLIENT_OK);
    assert_ptr_equal(last.context, &mark);
    assert_int_equal(last.status, CLIENT_OK);
    assert_int_equal(last.offset, 0);
    assert_int_equal(last.size_bytes, 1);
    event.partition = 7;
    assert_int_equal(publisher_publish(publisher, &event, NULL, &error), CLIENT_NOT_FOUND);
    assert_true(client_is_about_event(error.code));
    event.partition = -1;
    event.timestamp_ms = 0;
    assert_int_equal(publisher_publish(publisher, &event, NULL, &error), CLIENT_INVALID);
    event.timestamp_ms = -1;
    event.topic = NULL;
    assert_int_equal(publisher_publish(publisher, &event, NULL, &error), CLIENT_INVALID);
    bus_server_alter(bus, "done", "max.message.bytes", "1");
    event.topic = "done";
    assert_int_equal(publisher_publish(publisher, &event, &mark, &error), CLIENT_OK);
    assert_int_equal(publisher_flush(publisher, 30000), CLIENT_OK);
    assert_int_equal(last.status, CLIENT_REFUSED);
    assert_int_equal(last.offset, -1);
    assert_int_equal(publisher_pending(publisher), 0);
    publisher_close(publisher);
}

static void test_closing_a_publisher_gives_up_what_waits(void **state)
{
    for (int has_thread = 0; has_thread < 2; has_thread++) {
        struct publication last = {.status = CLIENT_OK};
        struct publisher *publisher;
        struct publisher_settings settings = {
            .connection = {.bootstrap_servers = "127.0.0.1:1", .client_id = "x"},
            .has_thread = has_thread,
            .done = on_done,
            .done_context = &last};
        struct event event = event_blank();
        event.topic = "nowhere";
        assert_int_equal(publisher_open(&settings, &publisher, NULL), CLIENT_OK);
        assert_int_equal(publisher_publish(publisher, &event, NULL, NULL), CLIENT_OK);
        assert_int_equal(publisher_flush(publisher, 10), CLIENT_TIMED_OUT);
        assert_int_equal(publisher_pending(publisher), 1);
        publisher_close(publisher);
        assert_int_equal(last.status, CLIENT_CLOSED);
    }
}

static void test_a_direct_reader_begins_where_it_is_told(void **state)
{
    struct bus_server *bus = *state;
    struct seen seen = {0};
    struct topic_partitions partitions = {0};
    struct client_error error;
    bus_server_topic(bus, "direct", 2);
    bus_server_put_numbers(bus, "direct", 0, 0, 10);
    topic_partitions_add(&partitions, "direct", 0, 4);
    struct reader_settings settings = {.connection = bus_server_settings(bus),
                                       .partitions = &partitions,
                                       .callbacks = callbacks,
                                       .context = &seen};
    assert_int_equal(reader_open(&settings, &seen.reader, &error), CLIENT_OK);
    expect(&seen, 4, 6, NULL);
    while (seen.ended == 0) {
        struct received *received;
        assert_int_equal(reader_take(seen.reader, 100, &received, &error), CLIENT_OK);
        assert_null(received);
    }
    assert_int_equal(reader_seek(seen.reader, "direct", 0, 8, &error), CLIENT_OK);
    expect(&seen, 8, 2, NULL);
    assert_int_equal(reader_seek(seen.reader, "direct", 1, 0, &error), CLIENT_NOT_FOUND);
    assert_int_equal(reader_close(seen.reader, &error), CLIENT_OK);
    topic_partitions_deinit(&partitions);
}

static void test_a_group_goes_on_where_it_committed(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"steps"};
    struct seen seen;
    bus_server_topic(bus, "steps", 1);
    bus_server_put_numbers(bus, "steps", 0, 0, 6);
    join(bus, &seen, "walkers", topics, 1, POSITION_START);
    expect(&seen, 0, 3, "so far");
    struct received *unmarked = take(&seen);
    received_free(unmarked);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    assert_int_equal(seen.revoked, 1);
    assert_false(seen.was_lost);
    expect_committed(bus, "walkers", "steps", 0, 3, "so far");
    join(bus, &seen, "walkers", topics, 1, POSITION_START);
    expect(&seen, 3, 3, NULL);
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    expect_committed(bus, "walkers", "steps", 0, 6, NULL);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    assert_int_equal(seen.gaps, 0);
}

static void test_a_member_is_told_what_the_group_has(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"told"};
    struct seen seen;
    bus_server_topic(bus, "told", 1);
    join(bus, &seen, "listeners", topics, 1, POSITION_START);
    wait_assigned(&seen, 1);
    assert_string_equal(seen.metadata, "");
    bus_server_put_numbers(bus, "told", 0, 0, 3);
    int64_t epoch = reader_epoch(seen.reader, "told", 0);
    assert_int_equal(seen.stored, 0);
    assert_true(reader_mark(seen.reader, "told", 0, epoch, 3, "so far"));
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    assert_int_equal(seen.stored, 1);
    assert_int_equal(seen.stored_epoch, epoch);
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    assert_int_equal(seen.stored, 1); /* each mark once */
    assert_true(reader_mark(seen.reader, "told", 0, epoch, 3, "so far"));
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    assert_int_equal(seen.stored, 2); /* though the bus had it already */
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    join(bus, &seen, "listeners", topics, 1, POSITION_START);
    wait_assigned(&seen, 1);
    assert_string_equal(seen.metadata, "so far");
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_a_reader_that_waits_is_woken(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"quiet"};
    enum { FOR_LONG_MS = 600000 }; /* far beyond the time that this program has */
    struct received *received;
    struct seen seen;
    bus_server_topic(bus, "quiet", 1);
    join(bus, &seen, "sleepers", topics, 1, POSITION_START);
    wait_assigned(&seen, 1);
    reader_wake(seen.reader);
    assert_int_equal(reader_take(seen.reader, FOR_LONG_MS, &received, NULL), CLIENT_OK);
    assert_null(received);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_an_old_epoch_cannot_mark(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"moving"};
    struct seen first, second;
    bus_server_topic(bus, "moving", 2);
    join(bus, &first, "movers2", topics, 1, POSITION_START);
    wait_assigned(&first, 2);
    int64_t epochs[2] = {reader_epoch(first.reader, "moving", 0),
                         reader_epoch(first.reader, "moving", 1)};
    assert_int_not_equal(epochs[0], epochs[1]);
    join(bus, &second, "movers2", topics, 1, POSITION_START);
    while (second.assigned == 0) {
        struct received *received;
        assert_int_equal(reader_take(first.reader, 20, &received, NULL), CLIENT_OK);
        assert_int_equal(reader_take(second.reader, 20, &received, NULL), CLIENT_OK);
    }
    assert_int_equal(first.revoked, 1); /* cooperative: the other one stays */
    int32_t moved = reader_epoch(first.reader, "moving", 0) == 0 ? 0 : 1;
    assert_false(reader_mark(first.reader, "moving", moved, epochs[moved], 1, NULL));
    assert_true(reader_mark(first.reader, "moving", 1 - moved, epochs[1 - moved], 0, NULL));
    assert_int_equal(reader_pause(first.reader, "moving", moved, NULL), CLIENT_NOT_FOUND);
    assert_int_equal(reader_close(second.reader, NULL), CLIENT_OK);
    while (first.assigned < 3) {
        struct received *received;
        assert_int_equal(reader_take(first.reader, 20, &received, NULL), CLIENT_OK);
    }
    int64_t again = reader_epoch(first.reader, "moving", moved);
    assert_true(again > epochs[moved]);
    assert_false(reader_mark(first.reader, "moving", moved, epochs[moved], 1, NULL));
    assert_true(reader_mark(first.reader, "moving", moved, again, 0, NULL));
    assert_int_equal(reader_close(first.reader, NULL), CLIENT_OK);
}

/* Takes, and marks whatever it holds of the topic's two partitions, so that there is a commit to
 * send all the time. */
static void take_and_mark(struct seen *seen, const char *topic, int64_t *mark)
{
    struct received *received;
    assert_int_equal(reader_take(seen->reader, 2, &received, NULL), CLIENT_OK);
    assert_null(received);
    for (int32_t p = 0; p < 2; p++) {
        reader_mark(seen->reader, topic, p, reader_epoch(seen->reader, topic, p), ++*mark, NULL);
    }
}

/* A commit that arrives behind a JoinGroup is refused, and librdkafka up to 2.1 gives up all. */
static void test_no_commit_meets_a_rebalance(void **state)
{
    enum { TIMES = 6 };
    struct bus_server *bus = *state;
    static const char *const topics[] = {"busy"};
    static const char quick[] = "heartbeat.interval.ms=200";
    const struct reader_settings settings = {
        .group = "committers", .topics = topics, .topic_count = 1, .session_timeout_ms = 30000};
    struct seen first, second;
    int64_t mark = 0;
    bus_server_topic(bus, "busy", 2);
    join_as(&settings, bus, &first, quick);
    while (first.assigned < 2) {
        take_and_mark(&first, "busy", &mark);
    }
    for (int i = 0; i < TIMES; i++) {
        join_as(&settings, bus, &second, quick);
        while (second.assigned == 0) {
            take_and_mark(&first, "busy", &mark);
            take_and_mark(&second, "busy", &mark);
        }
        assert_int_equal(reader_close(second.reader, NULL), CLIENT_OK);
        assert_string_equal(second.notice, "");
        while (first.assigned < 3 + i) {
            take_and_mark(&first, "busy", &mark);
        }
    }
    assert_string_equal(first.notice, "");
    assert_false(first.was_lost);
    assert_int_equal(reader_close(first.reader, NULL), CLIENT_OK);
    assert_false(first.was_lost);
    assert_int_equal(first.revoked, TIMES + 2);
}

/* The bus is away for a session, with a commit on its way to it. Whether the member was fenced when
 * the bus was back; else it came so late that the bus had forgotten it, and just joined. */
static bool is_fenced_after_a_kill(struct bus_server *bus, struct seen *seen)
{
    struct received *received;
    int assigned = seen->assigned;
    seen->was_lost = false;
    bus_server_kill(bus);
    assert_true(
        reader_mark(seen->reader, "away", 0, reader_epoch(seen->reader, "away", 0), 1, NULL));
    assert_int_not_equal(reader_commit(seen->reader, true, NULL), CLIENT_OK);
    while (!seen->was_lost) {
        (void)!reader_take(seen->reader, 20, &received, NULL);
    }
    bus_server_start_again(bus);
    bool is_fenced = false;
    while (seen->assigned == assigned) {
        (void)!reader_take(seen->reader, 20, &received, NULL);
        is_fenced |= strstr(seen->notice, "'one' of group 'stayers' was away longer") != NULL;
    }
    return is_fenced;
}

/* A commit of before is sent when the bus is back: under no member id, with the instance id of a
 * member that the bus still knows. */
static void test_a_fenced_static_member_joins_again(void **state)
{
    struct bus_server *bus = *state;
    enum { TURNS = 20 };
    static const char *const topics[] = {"away"};
    const struct reader_settings settings = {.connection.timeout_ms = 500,
                                             .group = "stayers",
                                             .instance = "one",
                                             .topics = topics,
                                             .topic_count = 1,
                                             .session_timeout_ms = 2000};
    struct seen seen;
    if (bus_server_is_foreign()) {
        print_message("skip: sessions begin anew when all nodes of a cluster come back\n");
        skip();
    }
    bus_server_topic(bus, "away", 1);
    join_as(&settings, bus, &seen, NULL);
    wait_assigned(&seen, 1);
    bool is_fenced = false;
    for (int i = 0; i < TURNS && !is_fenced; i++) {
        is_fenced = is_fenced_after_a_kill(bus, &seen);
    }
    assert_true(is_fenced);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_paused_partitions_wait(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"paused"};
    struct seen seen;
    bus_server_topic(bus, "paused", 2);
    join(bus, &seen, "pausers", topics, 1, POSITION_START);
    wait_assigned(&seen, 2);
    assert_int_equal(reader_pause(seen.reader, "paused", 0, NULL), CLIENT_OK);
    bus_server_put_numbers(bus, "paused", 0, 0, 1);
    bus_server_put_numbers(bus, "paused", 1, 100, 1);
    expect(&seen, 100, 1, NULL);
    assert_int_equal(reader_resume(seen.reader, "paused", 0, NULL), CLIENT_OK);
    expect(&seen, 0, 1, NULL);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

/* The end is for the group's first start only: what comes later is never skipped. */
static void test_a_group_from_the_end_loses_nothing_later(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"ends", "late"};
    struct seen seen;
    bus_server_topic(bus, "ends", 1);
    bus_server_put_numbers(bus, "ends", 0, 0, 3);
    join(bus, &seen, "enders", topics, 2, POSITION_END);
    while (seen.assigned < 1) { /* the topic that is missing is told */
        struct received *received;
        (void)!reader_take(seen.reader, 20, &received, NULL);
    }
    expect_committed(bus, "enders", "ends", 0, 3, NULL); /* before any event */
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    bus_server_put_numbers(bus, "ends", 0, 3, 1); /* while nobody reads */
    assert_int_equal(admin_add_partitions(bus->connection, "ends", 2, NULL), CLIENT_OK);
    struct admin_topics grown;
    assert_int_equal(admin_topic(publisher_connection(bus->publisher), "ends", false, &grown, NULL),
                     CLIENT_OK); /* by which the publisher learns of the new partition */
    admin_topics_deinit(&grown);
    bus_server_put_numbers(bus, "ends", 1, 4, 2);
    bus_server_topic(bus, "late", 1);
    bus_server_put_numbers(bus, "late", 0, 6, 2);
    join(bus, &seen, "enders", topics, 2, POSITION_END);
    bool got[8] = {false};
    for (int i = 0; i < 5; i++) {
        struct received *received = take(&seen);
        got[atoi((const char *)received->event.value.data)] = true;
        received_free(received);
    }
    for (int i = 3; i < 8; i++) {
        assert_true(got[i]);
    }
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    assert_int_equal(seen.gaps, 0);
}

static void test_events_that_are_gone_are_told(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"expiring"};
    struct seen seen;
    bus_server_topic(bus, "expiring", 1);
    bus_server_put_numbers(bus, "expiring", 0, 0, 10);
    join(bus, &seen, "slow", topics, 1, POSITION_END); /* whatever `from` says */
    wait_assigned(&seen, 1);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    bus_server_put_numbers(bus, "expiring", 0, 10, 10);
    bus_server_delete_records(bus, "expiring", 15);
    join(bus, &seen, "slow", topics, 1, POSITION_END);
    expect(&seen, 15, 5, NULL);
    assert_int_equal(seen.gaps, 1);
    assert_string_equal(seen.gap.topic, "expiring");
    assert_int_equal(seen.gap.partition, 0);
    assert_int_equal(seen.gap.from, 10);
    assert_int_equal(seen.gap.to, 15);
    assert_false(seen.gap.is_new_topic);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

static void test_a_topic_made_anew_is_read_from_its_start(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"reborn"};
    struct topic_partitions offsets = {0};
    struct seen seen;
    bus_server_topic(bus, "reborn", 1);
    bus_server_put_numbers(bus, "reborn", 0, 0, 2);
    /* as a group has it whose commit came behind the new topic */
    topic_partitions_add(&offsets, "reborn", 0, 7);
    assert_int_equal(admin_set_group_offsets(bus->connection, "old", &offsets, NULL), CLIENT_OK);
    topic_partitions_deinit(&offsets);
    join(bus, &seen, "old", topics, 1, POSITION_END);
    expect(&seen, 0, 2, NULL);
    assert_int_equal(seen.gaps, 1);
    assert_true(seen.gap.is_new_topic);
    assert_int_equal(seen.gap.from, 7);
    assert_int_equal(seen.gap.to, 0);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    expect_committed(bus, "old", "reborn", 0, 2, NULL);
    /* deleted and made again: the bus forgot the group's commit with the topic */
    bus_server_delete_topic(bus, "reborn");
    bus_server_topic(bus, "reborn", 1);
    bus_server_put_numbers(bus, "reborn", 0, 10, 3);
    join(bus, &seen, "old", topics, 1, POSITION_START);
    expect(&seen, 10, 3, NULL);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
}

/* Deleted and made again behind the reader's back, with more events than it had read. */
static void test_a_position_is_not_reused_in_a_new_topic(void **state)
{
    struct bus_server *bus = *state;
    static const char *const topics[] = {"swapped"};
    struct seen seen;
    bus_server_topic(bus, "swapped", 1);
    bus_server_put_numbers(bus, "swapped", 0, 0, 3);
    join(bus, &seen, "swappers", topics, 1, POSITION_START);
    expect(&seen, 0, 3, NULL);
    assert_int_equal(reader_commit(seen.reader, true, NULL), CLIENT_OK);
    bus_server_delete_topic(bus, "swapped");
    bus_server_topic(bus, "swapped", 1);
    bus_server_put_numbers(bus, "swapped", 0, 100, 6);
    bool got[6] = {false};
    int in_order = 0;
    while (in_order < 6) { /* some from the middle perhaps, then all of them from the start */
        struct received *received = take(&seen);
        int value = atoi((const char *)received->event.value.data);
        assert_in_range(value, 100, 105);
        got[value - 100] = true;
        in_order = value == 100 ? 1 : in_order + (value == 100 + in_order);
        reader_mark(seen.reader, "swapped", 0, received->epoch, received->event.offset + 1, NULL);
        received_free(received);
    }
    for (int i = 0; i < 6; i++) {
        assert_true(got[i]);
    }
    assert_int_equal(seen.gaps, 1);
    assert_true(seen.gap.is_new_topic);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    expect_committed(bus, "swappers", "swapped", 0, 6, NULL);
}

static void test_a_direct_reader_tells_gaps_too(void **state)
{
    struct bus_server *bus = *state;
    struct seen seen = {0};
    struct topic_partitions partitions = {0};
    bus_server_topic(bus, "cut", 1);
    bus_server_put_numbers(bus, "cut", 0, 0, 6);
    bus_server_delete_records(bus, "cut", 4);
    topic_partitions_add(&partitions, "cut", 0, 1);
    struct reader_settings settings = {.connection = bus_server_settings(bus),
                                       .partitions = &partitions,
                                       .callbacks = callbacks,
                                       .context = &seen};
    assert_int_equal(reader_open(&settings, &seen.reader, NULL), CLIENT_OK);
    expect(&seen, 4, 2, NULL);
    assert_int_equal(seen.gaps, 1);
    assert_int_equal(seen.gap.from, 1);
    assert_int_equal(seen.gap.to, 4);
    assert_int_equal(reader_close(seen.reader, NULL), CLIENT_OK);
    topic_partitions_deinit(&partitions);
}

static int set_up(void **state)
{
    struct bus_server *bus = calloc(1, sizeof *bus);
    bus_server_start(bus);
    *state = bus;
    return 0;
}

static int tear_down(void **state)
{
    bus_server_stop(*state);
    free(*state);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics_and_their_settings_are_made_changed_and_deleted),
        cmocka_unit_test(test_offsets_of_a_group_are_set_read_and_forgotten),
        cmocka_unit_test(test_many_groups_are_asked_at_once_and_told_apart),
        cmocka_unit_test(test_an_address_where_nobody_listens_fails_at_once),
        cmocka_unit_test(test_a_probe_tells_why_nobody_is_there),
        cmocka_unit_test(test_each_event_has_one_completion),
        cmocka_unit_test(test_closing_a_publisher_gives_up_what_waits),
        cmocka_unit_test(test_a_direct_reader_begins_where_it_is_told),
        cmocka_unit_test(test_a_group_goes_on_where_it_committed),
        cmocka_unit_test(test_no_commit_meets_a_rebalance),
        cmocka_unit_test(test_a_fenced_static_member_joins_again),
        cmocka_unit_test(test_a_member_is_told_what_the_group_has),
        cmocka_unit_test(test_a_reader_that_waits_is_woken),
        cmocka_unit_test(test_an_old_epoch_cannot_mark),
        cmocka_unit_test(test_paused_partitions_wait),
        cmocka_unit_test(test_a_group_from_the_end_loses_nothing_later),
        cmocka_unit_test(test_events_that_are_gone_are_told),
        cmocka_unit_test(test_a_topic_made_anew_is_read_from_its_start),
        cmocka_unit_test(test_a_position_is_not_reused_in_a_new_topic),
        cmocka_unit_test(test_a_direct_reader_tells_gaps_too),
    };
    return unit_run(tests, set_up, tear_down, argc, argv);
}
