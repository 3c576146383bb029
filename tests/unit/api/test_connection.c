#include "api_fixture.h"

#include "base/mem.h"
#include "wire/generated/api_versions.h"
#include "wire/generated/list_offsets.h"
#include "wire/generated/produce.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* What is kept of a connection, and of a request that leaves it for a while. */

static int16_t tell_software(struct client *client, const char *name, const char *version)
{
    struct api_versions_request request = {.client_software_name = slice_str(name),
                                           .client_software_version = slice_str(version)};
    struct api_versions_response response;
    assert_true(client_call(client, API_KEY_API_VERSIONS, 3, &request, &response));
    assert_int_equal(response.api_keys_count, response.error_code == 0 ? api_table_count : 0);
    return response.error_code;
}

/* What was kept when the newest request was taken in; a request behind it has been answered. */
static struct seen_client seen_by(struct fixture *fixture)
{
    assert_true(ask_versions(&fixture->client));
    pthread_mutex_lock(&fixture->lock);
    struct seen_client seen = fixture->seen;
    pthread_mutex_unlock(&fixture->lock);
    return seen;
}

static void test_the_connection_keeps_who_is_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct sockaddr_in own;
    char peer[64];
    socklen_t size = sizeof own;
    assert_int_equal(getsockname(client->fd, (struct sockaddr *)&own, &size), 0);
    snprintf(peer, sizeof peer, "127.0.0.1:%d", ntohs(own.sin_port));
    struct seen_client seen = seen_by(fixture);
    assert_string_equal(seen.name, "-");
    assert_string_equal(seen.version, "-");
    assert_string_equal(seen.peer, peer);
    assert_string_equal(seen.principal, "User:ANONYMOUS");
    assert_int_equal(seen.listener, 0);
    assert_int_equal(tell_software(client, "apache-kafka-java", "3.9.1"), 0);
    seen = seen_by(fixture);
    assert_string_equal(seen.name, "apache-kafka-java");
    assert_string_equal(seen.version, "3.9.1");
}

/* KIP-511: letters and digits, and inside "-" and "."; what was told before stays. */
static void test_a_name_of_software_is_judged_as_kafka_does(void **state)
{
    static const char *const bad[] = {"", "a b", "-a", "a-", ".a", "a.", "a_b", "\xc3\xa9", "a\n"};
    static const char *const good[] = {"a", "7", "a-b", "a..b", "A-.-z", "librdkafka"};
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    assert_int_equal(tell_software(client, "before", "1.0"), 0);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tell_software(client, bad[i], "1"), KAFKA_ERROR_INVALID_REQUEST);
        assert_int_equal(tell_software(client, "a", bad[i]), KAFKA_ERROR_INVALID_REQUEST);
        assert_string_equal(seen_by(fixture).name, "before");
        assert_string_equal(seen_by(fixture).version, "1.0");
    }
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(tell_software(client, good[i], good[i]), 0);
        assert_string_equal(seen_by(fixture).name, good[i]);
        assert_string_equal(seen_by(fixture).version, good[i]);
    }
}

static void test_the_newest_client_id_is_kept_within_bounds(void **state)
{
    struct fixture *fixture = *state;
    struct api_connection connection = {.client_id = NULL};
    char *longest = mem_sprintf("%0*d", 20000, 7);
    api_connection_set_client_id(&connection, slice_str("a"));
    assert_string_equal(connection.client_id, "a");
    api_connection_set_client_id(&connection, slice_str(longest));
    assert_int_equal(strlen(connection.client_id), API_CLIENT_TEXT_BYTES);
    const char *kept = connection.client_id;
    api_connection_set_client_id(&connection, slice_str(longest));
    assert_ptr_equal(connection.client_id, kept); /* the same text is not copied again */
    api_connection_set_client_id(&connection, slice_str(""));
    assert_string_equal(connection.client_id, "");
    api_connection_set_client_id(&connection, (struct slice){0});
    assert_null(connection.client_id);
    free(longest);
    assert_string_equal(seen_by(fixture).id, "crash");
}

/* Keeps the workers from what is posted behind it. */
struct gate {
    struct task tasks[2]; /* as many as there are workers */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
    unsigned waiting;
};
static struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

static void wait_at_gate(struct task *task)
{
    (void)task;
    pthread_mutex_lock(&gate.lock);
    while (!gate.open) {
        pthread_cond_wait(&gate.opened, &gate.lock);
    }
    gate.waiting--;
    pthread_cond_signal(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
}

static void close_gate(struct fixture *fixture)
{
    gate.open = false;
    gate.waiting = 2;
    for (unsigned i = 0; i < 2; i++) {
        gate.tasks[i].run = wait_at_gate;
        workers_post(fixture->api.workers, (struct worker_owner){.who = &gate.tasks[i]},
                     WORKER_QUICK, &gate.tasks[i]);
    }
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.opened);
    while (gate.waiting > 0) {
        pthread_cond_wait(&gate.opened, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
}

/* Fills the memory that frames are received in with other bytes, on both reactors. */
static void overwrite_frames(struct fixture *fixture)
{
    enum { NOISE_BYTES = 30000 };
    uint8_t frame[10 + NOISE_BYTES] = {
        0, 18, 0, 0, 0, 0, 0, 0, NOISE_BYTES >> 8, NOISE_BYTES & 255};
    memset(frame + 10, 'z', NOISE_BYTES); /* the client.id of an ApiVersions */
    struct client others[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}}; /* at least one on each */
    for (unsigned i = 0; i < 3; i++) {
        struct api_versions_response response;
        assert_true(client_connect(&others[i], fixture->port));
        send_bytes(&others[i], frame, sizeof frame);
        others[i].next_correlation++;
        assert_true(client_receive(&others[i], API_KEY_API_VERSIONS, 0, &response));
    }
    for (unsigned i = 0; i < 3; i++) {
        client_deinit(&others[i]);
    }
}

/* What is done later, on a worker, sees the request's bytes, not those of frames that came since.
 */
static void test_a_parked_request_keeps_its_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct topic_plan plan = {
        .name = "orders", .partitions = 1, .setting = "compression.type", .value = "gzip"};
    struct batch_plan batch_plan = {.producer_id = -1, .count = 3, .value_bytes = 2000};
    struct buf batch = {0};
    batch_build(&batch_plan, &batch);
    assert_int_equal(client_create_topic(client, &plan), 0);
    struct produce_request_partition data = {.index = 0, .records.bytes = buf_slice(&batch)};
    struct produce_request_topic topic = {slice_str("orders"), &data, 1};
    struct produce_request request = {
        .acks = -1, .timeout_ms = 1000, .topic_data = &topic, .topic_data_count = 1};
    struct produce_response response;
    struct list_offsets_request_partition wanted;
    list_offsets_request_partition_init(&wanted);
    struct list_offsets_request_topic of_topic = {
        .name = slice_str("orders"), .partitions = &wanted, .partitions_count = 1};
    struct list_offsets_request look_up;
    struct list_offsets_response found;
    list_offsets_request_init(&look_up);
    look_up.topics = &of_topic;
    look_up.topics_count = 1;
    close_gate(fixture);
    assert_true(client_send(client, API_KEY_PRODUCE, 9, &request));
    overwrite_frames(fixture);
    open_gate();
    assert_true(client_receive(client, API_KEY_PRODUCE, 9, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    close_gate(fixture);
    assert_true(client_send(client, API_KEY_LIST_OFFSETS, 7, &look_up));
    overwrite_frames(fixture);
    open_gate();
    assert_true(client_receive(client, API_KEY_LIST_OFFSETS, 7, &found));
    assert_true(slice_equal_str(found.topics[0].name, "orders"));
    assert_int_equal(found.topics[0].partitions[0].error_code, 0);
    assert_int_equal(found.topics[0].partitions[0].offset, 0);
    buf_deinit(&batch);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_connection_keeps_who_is_behind_it),
        TEST(test_a_name_of_software_is_judged_as_kafka_does),
        TEST(test_the_newest_client_id_is_kept_within_bounds),
        TEST(test_a_parked_request_keeps_its_bytes),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
