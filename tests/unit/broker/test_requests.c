#include "../unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "broker/server.h"
#include "broker/server_config.h"
#include "wire/api_key.h"
#include "wire/kafka_error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests that ask for more than they look, spoken to a whole broker. */

struct fixture {
    char dir[64];
    struct server *server;
    struct sockaddr_in address;
};

static void set(struct overrides *settings, const char *name, const char *value)
{
    overrides_set(settings, slice_str(name), slice_str(value));
}

static int setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    struct overrides settings = {0};
    struct reason reason;
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/tidings-broker-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    set(&settings, "log.dirs", fixture->dir);
    set(&settings, "listeners", "127.0.0.1:0");
    set(&settings, "num.network.threads", "1");
    set(&settings, "log.level", "error");
    set(&settings, "num.partitions", "100");
    if (server_start(&settings, file_ops_system(), &fixture->server, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    overrides_deinit(&settings);
    const char *port = strrchr(server_addresses(fixture->server), ':') + 1;
    fixture->address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    struct reason reason;
    assert_int_equal(server_stop(fixture->server, &reason), ERR_NONE);
    char *command = mem_sprintf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    free(fixture);
    return 0;
}

static int connect_to(const struct fixture *fixture)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&fixture->address, sizeof fixture->address), 0);
    return fd;
}

/* A request up to its body; flexible ones have tags in the header. */
static struct buf begin(int16_t key, int16_t version, bool flexible)
{
    struct buf request = {0};
    buf_append_be16(&request, (uint16_t)key);
    buf_append_be16(&request, (uint16_t)version);
    buf_append_be32(&request, 1);
    buf_append_be16(&request, 0xffff); /* no client id */
    if (flexible) {
        buf_append_u8(&request, 0);
    }
    return request;
}

static void append_string(struct buf *request, const char *text)
{
    buf_append_be16(request, (uint16_t)strlen(text));
    buf_append_str(request, text);
}

static void append_compact(struct buf *request, const char *text)
{
    buf_append_u8(request, (uint8_t)(strlen(text) + 1));
    buf_append_str(request, text);
}

static void send_request(int fd, struct buf *request)
{
    uint8_t size[4];
    store_be32(size, (uint32_t)request->size);
    assert_int_equal(send(fd, size, sizeof size, MSG_NOSIGNAL), sizeof size);
    for (size_t sent = 0; sent < request->size;) {
        ssize_t part = send(fd, request->data + sent, request->size - sent, MSG_NOSIGNAL);
        assert_true(part > 0);
        sent += (size_t)part;
    }
    buf_deinit(request);
}

static bool receive_all(int fd, uint8_t *to, size_t size)
{
    return recv(fd, to, size, MSG_WAITALL) == (ssize_t)size;
}

/* The next response; size 0: the connection was closed. */
static struct buf receive(int fd)
{
    struct buf response = {0};
    uint8_t prefix[4];
    if (receive_all(fd, prefix, sizeof prefix)) {
        size_t size = load_be32(prefix);
        uint8_t *bytes = mem_alloc(size);
        assert_true(receive_all(fd, bytes, size));
        buf_append(&response, bytes, size);
        free(bytes);
    }
    return response;
}

static void assert_closed(int fd)
{
    struct buf response = receive(fd);
    assert_int_equal(response.size, 0);
    close(fd);
}

/* The size of the metadata answer for a topic that is named so many times; creates it. */
static size_t metadata_size(struct fixture *fixture, int times)
{
    int fd = connect_to(fixture);
    struct buf request = begin(API_KEY_METADATA, 1, false);
    buf_append_be32(&request, (uint32_t)times);
    for (int i = 0; i < times; i++) {
        append_string(&request, "orders");
    }
    send_request(fd, &request);
    struct buf response = receive(fd);
    size_t size = response.size;
    assert_true(size > 0);
    buf_deinit(&response);
    close(fd);
    return size;
}

static void test_a_topic_named_many_times_is_answered_once(void **state)
{
    size_t once = metadata_size(*state, 1);
    assert_int_equal(metadata_size(*state, 5000), once);
}

static void test_settings_asked_for_too_many_times_end_the_connection(void **state)
{
    struct fixture *fixture = *state;
    metadata_size(fixture, 1);
    int fd = connect_to(fixture);
    struct buf request = begin(API_KEY_DESCRIBE_CONFIGS, 0, false);
    int32_t times = 100000;
    buf_append_be32(&request, (uint32_t)times);
    for (int32_t i = 0; i < times; i++) {
        buf_append_u8(&request, 2);
        append_string(&request, "orders");
        buf_append_be32(&request, 0xffffffff); /* all of them */
    }
    send_request(fd, &request);
    assert_closed(fd);
    metadata_size(fixture, 1);
}

static void test_a_cursor_before_the_first_partition_is_refused(void **state)
{
    struct fixture *fixture = *state;
    metadata_size(fixture, 1);
    for (int i = 0; i < 2; i++) {
        int fd = connect_to(fixture);
        struct buf request = begin(API_KEY_DESCRIBE_TOPIC_PARTITIONS, 0, true);
        buf_append_u8(&request, 2);
        append_compact(&request, "orders");
        buf_append_u8(&request, 0);
        buf_append_be32(&request, 100);
        buf_append_u8(&request, 1);
        append_compact(&request, "orders");
        buf_append_be32(&request, i == 0 ? 0x80000000 : 0xffffffff);
        buf_append_be16(&request, 0);
        send_request(fd, &request);
        struct buf response = receive(fd);
        /* After correlation id, tags, throttle time and count: the only topic's error code. */
        assert_true(response.size > 12);
        assert_int_equal(response.data[10] << 8 | response.data[11], KAFKA_ERROR_INVALID_REQUEST);
        buf_deinit(&response);
        close(fd);
    }
    metadata_size(fixture, 1);
}

static struct buf event(bool transactional)
{
    struct batch_builder builder;
    struct buf bytes = {0};
    struct reason reason;
    batch_builder_init(&builder);
    if (transactional) {
        builder.producer_id = 7;
        builder.producer_epoch = 0;
        builder.base_sequence = 0;
        builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    }
    batch_builder_add(&builder, 1700000000000, slice_str("k"), slice_str("v"), NULL, 0);
    assert_int_equal(batch_builder_finish(&builder, &bytes, &reason), ERR_NONE);
    batch_builder_deinit(&builder);
    return bytes;
}

/* Produce version 3 of one event to one partition. */
static void produce(int fd, int16_t acks, const char *topic, bool transactional)
{
    struct buf batch = event(transactional);
    struct buf request = begin(API_KEY_PRODUCE, 3, false);
    buf_append_be16(&request, 0xffff);
    buf_append_be16(&request, (uint16_t)acks);
    buf_append_be32(&request, 1000);
    buf_append_be32(&request, 1);
    append_string(&request, topic);
    buf_append_be32(&request, 1);
    buf_append_be32(&request, 0);
    buf_append_be32(&request, (uint32_t)batch.size);
    buf_append_slice(&request, buf_slice(&batch));
    buf_deinit(&batch);
    send_request(fd, &request);
}

/* correlation id, one topic "orders", one partition: index, then its error. */
static int16_t produce_error(int fd)
{
    struct buf response = receive(fd);
    enum { AT = 4 + 4 + 2 + 6 + 4 + 4 };
    assert_true(response.size > AT + 2);
    int16_t code = (int16_t)load_be16(response.data + AT);
    buf_deinit(&response);
    return code;
}

static void test_errors_without_acks_end_the_connection(void **state)
{
    struct fixture *fixture = *state;
    metadata_size(fixture, 1);
    int fd = connect_to(fixture);
    produce(fd, 0, "orders", false);
    produce(fd, 1, "orders", false); /* the only answer, so the connection is still there */
    assert_int_equal(produce_error(fd), KAFKA_ERROR_NONE);
    produce(fd, 0, "nowhere", false);
    assert_closed(fd);
}

static void test_a_batch_outside_of_its_transaction_is_refused(void **state)
{
    struct fixture *fixture = *state;
    metadata_size(fixture, 1);
    int fd = connect_to(fixture);
    produce(fd, -1, "orders", true);
    assert_int_equal(produce_error(fd), KAFKA_ERROR_INVALID_TXN_STATE);
    produce(fd, -1, "orders", false);
    assert_int_equal(produce_error(fd), KAFKA_ERROR_NONE);
    close(fd);
}

static void check_settings(const char *name, const char *value, const char *advertised,
                           enum err expected)
{
    struct settings_table *table = server_settings_new();
    struct server_config config;
    struct overrides given = {0};
    struct reason reason;
    struct server_addresses addresses;
    set(&given, name, value);
    enum err err = server_config_build(&config, table, &given, &reason);
    assert_int_equal(
        server_addresses_parse("advertised.listeners", advertised, &addresses, &reason), ERR_NONE);
    if (err == ERR_NONE) {
        err = server_config_check(&config, &addresses, &reason);
    }
    assert_int_equal(err, expected);
    server_addresses_deinit(&addresses);
    server_config_deinit(&config, table);
    overrides_deinit(&given);
    server_settings_free(table);
}

static void test_settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    check_settings("log.dirs", "here", "bus:9092", ERR_NONE);
    check_settings("log.dirs", "", "", ERR_CONFIG);
    check_settings("log.dirs", "a,b", "", ERR_CONFIG);
    check_settings("log.dirs", "a", ":9092", ERR_CONFIG);
    check_settings("log.dirs", "a", "bus:0", ERR_CONFIG);
    check_settings("group.max.session.timeout.ms", "5", "", ERR_CONFIG);
    /* Added to the clock they would lie in the past. */
    check_settings("log.retention.check.interval.ms", "9223372036854775807", "", ERR_CONFIG);
    check_settings("shutdown.timeout.ms", "9223372036854775807", "", ERR_CONFIG);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_topic_named_many_times_is_answered_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_settings_asked_for_too_many_times_end_the_connection,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cursor_before_the_first_partition_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_errors_without_acks_end_the_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_batch_outside_of_its_transaction_is_refused, setup,
                                        teardown),
        cmocka_unit_test(test_settings_that_cannot_work_are_refused),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
