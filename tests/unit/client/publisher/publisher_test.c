/* A publisher against a server. */
#include "bus_server.h"

#include "client/admin/admin.h"

#include "../../unit.h"

/* What became of the event that was published last. */
static void on_done(void *context, const struct publication *publication)
{
    *(struct publication *)context = *publication;
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

static enum client_status publish_to(struct bus_server *bus, const char *topic, int32_t partition)
{
    struct event event = event_blank();
    event.topic = topic;
    event.partition = partition;
    event.value = slice_str("x");
    return publisher_publish(bus->publisher, &event, NULL, NULL);
}

/* Until the publisher has found out that the topic is gone. */
static void publish_until_denied(struct bus_server *bus, const char *topic)
{
    enum client_status status;
    while ((status = publish_to(bus, topic, -1)) == CLIENT_OK) {
        publisher_serve(bus->publisher, 10);
    }
    assert_int_equal(status, CLIENT_NOT_FOUND);
    while (publisher_pending(bus->publisher) > 0) { /* given up, or kept before it went */
        publisher_serve(bus->publisher, 10);
    }
}

static void test_a_topic_that_was_gone_is_published_to_at_once(void **state)
{
    struct bus_server *bus = *state;
    for (int i = 0; i < 2; i++) {
        bus_server_topic(bus, "again", 1);
        bus_server_put(bus, "again", 0, "new"); /* must be kept */
        bus_server_delete_topic(bus, "again");
        publish_until_denied(bus, "again");
    }
}

static void test_a_partition_that_was_added_is_published_to_at_once(void **state)
{
    struct bus_server *bus = *state;
    bus_server_topic(bus, "grown", 1);
    bus_server_put(bus, "grown", 0, "first");
    assert_int_equal(publish_to(bus, "grown", 1), CLIENT_NOT_FOUND);
    assert_int_equal(admin_add_partitions(bus->connection, "grown", 2, NULL), CLIENT_OK);
    bus_server_put(bus, "grown", 1, "second");
    assert_int_equal(publish_to(bus, "grown", 2), CLIENT_NOT_FOUND);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_event_has_one_completion),
        cmocka_unit_test(test_closing_a_publisher_gives_up_what_waits),
        cmocka_unit_test(test_a_topic_that_was_gone_is_published_to_at_once),
        cmocka_unit_test(test_a_partition_that_was_added_is_published_to_at_once),
    };
    return unit_run(tests, bus_server_set_up, bus_server_tear_down, argc, argv);
}
