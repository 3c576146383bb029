/* Connections and administration against a server. */
#include "reader_fixture.h"

#include "../../unit.h"

/* What became of the event that was published last. */
static void on_done(void *context, const struct publication *publication)
{
    *(struct publication *)context = *publication;
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
    seen_expect_committed(bus, "movers", "moved", 0, 3, "here");
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

static void ask_until_answered(struct connection *connection, const char *group)
{
    struct topic_partitions offsets;
    while (admin_group_offsets(connection, group, NULL, &offsets, NULL) != CLIENT_OK) {
    }
    assert_int_equal(offsets.count, 1);
    topic_partitions_deinit(&offsets);
}

static bool deletes(struct connection *connection, const char *group)
{
    struct admin_outcomes outcomes;
    bool is_deleted = admin_delete_groups(connection, &group, 1, &outcomes, NULL) == CLIENT_OK &&
                      outcomes.items[0].error.status == CLIENT_OK;
    admin_outcomes_deinit(&outcomes);
    return is_deleted;
}

/* librdkafka (2.0.2 and later ones) uses memory that it has freed when the coordinator is there
 * again after a question to it has timed out. */
static void test_a_question_that_was_given_up_harms_nobody_later(void **state)
{
    struct bus_server *bus = *state;
    struct connection_settings settings = bus_server_settings(bus);
    static const char *const group = "given-up";
    struct connection *connection;
    struct topic_partitions offsets = {0};
    settings.timeout_ms = 1000;
    bus_server_topic(bus, "given-up", 1);
    topic_partitions_add(&offsets, "given-up", 0, 7);
    assert_int_equal(admin_set_group_offsets(bus->connection, group, &offsets, NULL), CLIENT_OK);
    assert_int_equal(connection_open(&settings, &connection, NULL), CLIENT_OK);
    ask_until_answered(connection, group);
    bus_server_kill(bus);
    assert_int_not_equal(admin_set_group_offsets(connection, group, &offsets, NULL), CLIENT_OK);
    topic_partitions_deinit(&offsets);
    assert_int_not_equal(admin_group_offsets(connection, group, NULL, &offsets, NULL), CLIENT_OK);
    assert_false(deletes(connection, group));
    bus_server_start_again(bus);
    ask_until_answered(connection, group);
    while (!deletes(connection, group)) {
    }
    connection_close(connection);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics_and_their_settings_are_made_changed_and_deleted),
        cmocka_unit_test(test_offsets_of_a_group_are_set_read_and_forgotten),
        cmocka_unit_test(test_many_groups_are_asked_at_once_and_told_apart),
        cmocka_unit_test(test_a_question_that_was_given_up_harms_nobody_later),
        cmocka_unit_test(test_an_address_where_nobody_listens_fails_at_once),
        cmocka_unit_test(test_a_probe_tells_why_nobody_is_there),
    };
    return unit_run(tests, bus_server_set_up, bus_server_tear_down, argc, argv);
}
