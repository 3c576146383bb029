/* Groups whose coordinator moves, and partitions whose leader does, against librdkafka's mock of a
 * cluster. */
#include "../../unit.h"

#include "client/admin/admin.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { LIST_OFFSETS = 2, OFFSET_COMMIT = 8, OFFSET_FETCH = 9 };

struct world {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    struct connection *connection;
};

static void world_init(struct world *world)
{
    char text[256];
    struct client_error error;
    world->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    world->cluster = rd_kafka_mock_cluster_new(world->rk, 2);
    rd_kafka_mock_topic_create(world->cluster, "orders", 1, 2);
    struct connection_settings settings = {.bootstrap_servers =
                                               rd_kafka_mock_cluster_bootstraps(world->cluster),
                                           .client_id = "test",
                                           .timeout_ms = 10000};
    assert_int_equal(connection_open(&settings, &world->connection, &error), CLIENT_OK);
    struct topic_partitions at = {0};
    topic_partitions_add(&at, "orders", 0, 7);
    assert_int_equal(admin_set_group_offsets(world->connection, "shop", &at, &error), CLIENT_OK);
    topic_partitions_deinit(&at);
}

static void world_deinit(struct world *world)
{
    connection_close(world->connection);
    rd_kafka_mock_cluster_destroy(world->cluster);
    rd_kafka_destroy(world->rk);
}

/* librdkafka writes to memory that is not there, if it is asked by a handle without a group. */
static void test_offsets_are_asked_for_until_the_coordinator_is_found(void **state)
{
    struct world world;
    struct client_error error = {0};
    struct topic_partitions asked = {0}, offsets;
    world_init(&world);
    topic_partitions_add(&asked, "orders", 0, -1);
    rd_kafka_mock_push_request_errors(world.cluster, OFFSET_FETCH, 2,
                                      RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(admin_group_offsets(world.connection, "shop", &asked, &offsets, &error),
                     CLIENT_OK);
    assert_int_equal(offsets.count, 1);
    assert_int_equal(offsets.items[0].offset, 7);
    topic_partitions_deinit(&offsets);
    topic_partitions_deinit(&asked);
    world_deinit(&world);
}

static int64_t committed(struct world *world, const char *group)
{
    struct client_error error = {0};
    struct topic_partitions asked = {0}, offsets;
    topic_partitions_add(&asked, "orders", 0, -1);
    assert_int_equal(admin_group_offsets(world->connection, group, &asked, &offsets, &error),
                     CLIENT_OK);
    assert_int_equal(offsets.count, 1);
    int64_t offset = offsets.items[0].offset;
    topic_partitions_deinit(&offsets);
    topic_partitions_deinit(&asked);
    return offset;
}

/* The mock lets any broker answer for any group; this one does not. */
static void make_other(struct world *world, int32_t broker, int16_t api)
{
    enum { MANY = 500 };
    for (int i = 0; i < MANY; i++) {
        rd_kafka_mock_broker_push_request_error_rtts(world->cluster, broker, api, 1,
                                                     RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 0);
    }
}

/* librdkafka remembers who coordinates a group, and asks that one whatever it answers. */
static void test_a_coordinator_that_moved_is_found_by_who_asked_before(void **state)
{
    struct world world;
    world_init(&world);
    rd_kafka_mock_coordinator_set(world.cluster, "group", "shop", 1);
    assert_int_equal(committed(&world, "shop"), 7);
    rd_kafka_mock_coordinator_set(world.cluster, "group", "shop", 2);
    make_other(&world, 1, OFFSET_FETCH);
    assert_int_equal(committed(&world, "shop"), 7);
    world_deinit(&world);
}

static void test_offsets_are_set_at_a_coordinator_that_moved(void **state)
{
    struct world world;
    struct client_error error = {0};
    struct topic_partitions at = {0};
    world_init(&world);
    rd_kafka_mock_coordinator_set(world.cluster, "group", "shop", 1);
    topic_partitions_add(&at, "orders", 0, 8);
    assert_int_equal(admin_set_group_offsets(world.connection, "shop", &at, &error), CLIENT_OK);
    rd_kafka_mock_coordinator_set(world.cluster, "group", "shop", 2);
    make_other(&world, 1, OFFSET_COMMIT);
    at.items[0].offset = 9;
    assert_int_equal(admin_set_group_offsets(world.connection, "shop", &at, &error), CLIENT_OK);
    assert_int_equal(committed(&world, "shop"), 9);
    topic_partitions_deinit(&at);
    world_deinit(&world);
}

static void test_bounds_are_asked_for_until_the_leader_is_found(void **state)
{
    struct world world;
    struct client_error error = {0};
    struct topic_partitions asked = {0};
    struct admin_bounds bounds[1] = {{-1, -1}};
    world_init(&world);
    topic_partitions_add(&asked, "orders", 0, -1);
    rd_kafka_mock_push_request_errors(world.cluster, LIST_OFFSETS, 2,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH);
    assert_int_equal(admin_bounds(world.connection, &asked, bounds, &error), CLIENT_OK);
    assert_int_equal(bounds[0].start, 0);
    assert_int_equal(bounds[0].end, 0);
    topic_partitions_deinit(&asked);
    world_deinit(&world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_are_asked_for_until_the_coordinator_is_found),
        cmocka_unit_test(test_a_coordinator_that_moved_is_found_by_who_asked_before),
        cmocka_unit_test(test_offsets_are_set_at_a_coordinator_that_moved),
        cmocka_unit_test(test_bounds_are_asked_for_until_the_leader_is_found),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
