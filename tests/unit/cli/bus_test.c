#include "../unit.h"

#include "cli/base/cli.h"
#include "cli/bus/bus.h"
#include "cli/bus/last_events.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The commands against librdkafka's mock cluster, which plays a bus inside this process. */
struct fixture {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
};

static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, drop_log);
    fixture->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->rk, 1);
    rd_kafka_mock_topic_create(fixture->cluster, "orders", 3, 1);
    setenv("TIDINGS_BOOTSTRAP_SERVER", rd_kafka_mock_cluster_bootstraps(fixture->cluster), 1);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    rd_kafka_destroy(fixture->rk);
    free(fixture);
    return 0;
}

/* Runs a command with the words of the line; what it printed goes to out. */
static int run(int (*command)(int, char **), const char *line, char *out, size_t size)
{
    char copy[256];
    char *words[32];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    words[count] = NULL;
    FILE *real_out = stdout;
    FILE *real_err = stderr;
    memset(out, 0, size);
    stdout = tmpfile();
    stderr = stdout;
    int code = command(count, words);
    rewind(stdout);
    size_t got = fread(out, 1, size - 1, stdout);
    out[got] = '\0';
    fclose(stdout);
    stdout = real_out;
    stderr = real_err;
    return code;
}

static void test_published_events_are_read_back(void **state)
{
    (void)state;
    char out[4096];
    assert_int_equal(run(cli_publish, "publish orders -p 1 a b --key k", out, sizeof out), EXIT_OK);
    assert_non_null(strstr(out, "published 2 events to orders"));
    assert_int_equal(run(cli_publish, "publish orders -p 1 c --ce-type t", out, sizeof out),
                     EXIT_OK);
    assert_non_null(strstr(out, "partition 1, offset 2"));
    assert_int_equal(run(cli_subscribe, "subscribe orders --until-end -v", out, sizeof out),
                     EXIT_OK);
    assert_string_equal(out, "a\nb\nc\n");
    assert_int_equal(run(cli_subscribe, "subscribe orders -e -v --type t", out, sizeof out),
                     EXIT_OK);
    assert_string_equal(out, "c\n");
    assert_int_equal(run(cli_subscribe, "subscribe orders -e -v --from -1", out, sizeof out),
                     EXIT_OK);
    assert_string_equal(out, "c\n");
    assert_int_equal(
        run(cli_subscribe, "subscribe orders -v --max 1 --from 1 -p 1", out, sizeof out), EXIT_OK);
    assert_string_equal(out, "b\n");
    assert_int_equal(run(cli_subscribe, "subscribe orders -e --from end", out, sizeof out),
                     EXIT_OK);
    assert_string_equal(out, "");
}

/* What the group has committed for a partition of orders, or below zero. */
static int64_t committed(const char *group, int32_t partition)
{
    struct bus_options options = bus_options_default();
    struct connection *connection;
    struct topic_partitions asked = {0}, offsets;
    topic_partitions_add(&asked, "orders", partition, -1);
    assert_int_equal(bus_open(&options, &connection), EXIT_OK);
    assert_int_equal(admin_group_offsets(connection, group, &asked, &offsets, NULL), CLIENT_OK);
    const struct topic_partition *found = topic_partitions_find(&offsets, "orders", partition);
    int64_t offset = found != NULL ? found->offset : -1;
    topic_partitions_deinit(&asked);
    topic_partitions_deinit(&offsets);
    connection_close(connection);
    return offset;
}

/* The mock cluster does not let a group form twice; tests/cli has a group go on. */
static void test_a_group_commits_what_it_printed(void **state)
{
    (void)state;
    char out[4096];
    assert_int_equal(run(cli_publish, "publish orders -p 0 a b c", out, sizeof out), EXIT_OK);
    assert_int_equal(run(cli_subscribe, "subscribe orders -g g -v --max 2", out, sizeof out),
                     EXIT_OK);
    assert_string_equal(out, "a\nb\n");
    assert_int_equal(committed("g", 0), 2);
}

static void test_a_refused_event_is_named(void **state)
{
    struct fixture *fixture = *state;
    char out[4096];
    rd_kafka_mock_push_request_errors(fixture->cluster, 0, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    assert_int_equal(
        run(cli_publish, "publish orders -p 0 a -X enable.idempotence=false", out, sizeof out),
        EXIT_FAILED);
    assert_non_null(strstr(out, "1 event was NOT acknowledged"));
    assert_non_null(strstr(out, "event 1: Broker: Broker failed to validate record"));
}

static void test_missing_things_are_told(void **state)
{
    (void)state;
    char out[4096];
    assert_int_equal(run(cli_publish, "publish orders -p 9 a", out, sizeof out), EXIT_NOT_FOUND);
    assert_non_null(strstr(out, "no partition 9, only 0 to 2"));
    assert_int_equal(run(cli_publish, "publish orders -b 127.0.0.1:1 a", out, sizeof out),
                     EXIT_UNREACHABLE);
    assert_non_null(strstr(out, "connection refused"));
}

static void test_last_events_are_counted(void **state)
{
    (void)state;
    char out[1024];
    assert_int_equal(run(cli_publish, "publish orders -p 2 a b c", out, sizeof out), EXIT_OK);
    struct bus_options options = bus_options_default();
    struct connection_settings settings = bus_settings(&options);
    struct topic_partitions list = {0};
    topic_partitions_add(&list, "orders", 0, -1);
    topic_partitions_add(&list, "orders", 2, -1);
    const struct admin_bounds bounds[] = {{.start = 0, .end = 0}, {.start = 0, .end = 3}};
    static const int64_t expected[] = {3, 2, 1, 0, 0};
    for (int64_t count = 0; count < 5; count++) {
        assert_int_equal(last_events(&settings, &list, bounds, count, NULL), CLIENT_OK);
        assert_int_equal(list.items[0].offset, 0);
        assert_int_equal(list.items[1].offset, expected[count]);
    }
    topic_partitions_deinit(&list);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_published_events_are_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_group_commits_what_it_printed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_refused_event_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_things_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_events_are_counted, set_up, tear_down),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
