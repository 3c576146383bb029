/* What a publisher remembers of topics is not what it denies them by. */
#include "bus_server.h"

#include "client/admin.h"

#include "../unit.h"

static int set_up(void **state)
{
    static struct bus_server bus;
    bus_server_start(&bus);
    *state = &bus;
    return 0;
}

static int tear_down(void **state)
{
    bus_server_stop(*state);
    return 0;
}

static enum client_status publish(struct bus_server *bus, const char *topic, int32_t partition)
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
    while ((status = publish(bus, topic, -1)) == CLIENT_OK) {
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
    assert_int_equal(publish(bus, "grown", 1), CLIENT_NOT_FOUND);
    assert_int_equal(admin_add_partitions(bus->connection, "grown", 2, NULL), CLIENT_OK);
    bus_server_put(bus, "grown", 1, "second");
    assert_int_equal(publish(bus, "grown", 2), CLIENT_NOT_FOUND);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_topic_that_was_gone_is_published_to_at_once),
        cmocka_unit_test(test_a_partition_that_was_added_is_published_to_at_once),
    };
    return unit_run(tests, set_up, tear_down, argc, argv);
}
