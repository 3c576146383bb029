#include "api_fixture.h"

#include "../../crash/crash.h"
#include "wire/generated/add_partitions_to_txn.h"
#include "wire/generated/create_partitions.h"
#include "wire/generated/delete_topics.h"
#include "wire/generated/describe_producers.h"
#include "wire/generated/join_group.h"
#include "wire/generated/produce.h"

#include <sched.h>
#include <sys/socket.h>

/* What is refused when the memory for requests is used up, and what goes on. */

static struct budget_used *requests_of(struct fixture *fixture)
{
    return &fixture->budget.shares[BUDGET_REQUESTS];
}

/* Others hold so many hundredths of the share for requests. Returns the bytes. */
static size_t fill(struct fixture *fixture, int64_t percent)
{
    int64_t bytes = requests_of(fixture)->limit_bytes / 100 * percent;
    budget_add(&fixture->budget, BUDGET_REQUESTS, (size_t)bytes);
    return (size_t)bytes;
}

static void empty(struct fixture *fixture, size_t bytes)
{
    budget_give(&fixture->budget, BUDGET_REQUESTS, bytes);
}

static void create_orders(struct fixture *fixture)
{
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
}

static void send_event(struct client *client, int16_t acks)
{
    struct batch_plan plan = {.producer_id = -1, .count = 1, .value_bytes = 20};
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data = {.records.bytes = buf_slice(&batch)};
    struct produce_request_topic topic = {slice_str("orders"), &data, 1};
    struct produce_request request = {
        .acks = acks, .timeout_ms = 1000, .topic_data = &topic, .topic_data_count = 1};
    assert_true(client_send(client, API_KEY_PRODUCE, 9, &request));
    buf_deinit(&batch);
}

/* One event, with acks=all. Returns the code; *offset: where it stands. */
static int16_t publish(struct fixture *fixture, int64_t *offset)
{
    struct produce_response response;
    send_event(&fixture->client, -1);
    assert_true(client_receive(&fixture->client, API_KEY_PRODUCE, 9, &response));
    assert_int_equal(response.responses_count, 1);
    *offset = response.responses[0].partition_responses[0].base_offset;
    return response.responses[0].partition_responses[0].error_code;
}

static void test_what_goes_to_a_worker_is_refused_behind_three_quarters(void **state)
{
    struct fixture *fixture = *state;
    struct create_partitions_request_topic topics[] = {
        {.name = slice_str("orders"), .count = 2, .assignments_count = -1},
        {.name = slice_str("bills"), .count = 2, .assignments_count = -1}};
    struct create_partitions_request request = {.topics = topics, .topics_count = 2};
    struct create_partitions_response answer;
    int64_t offset;
    create_orders(fixture);
    size_t held = fill(fixture, 76);
    assert_true(client_call(&fixture->client, API_KEY_CREATE_PARTITIONS, 3, &request, &answer));
    assert_int_equal(answer.results_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(slice_equal(answer.results[i].name, topics[i].name));
        assert_int_equal(answer.results[i].error_code, KAFKA_ERROR_REQUEST_TIMED_OUT);
    }
    assert_int_equal(requests_of(fixture)->refused, 1);
    /* the last quarter is for who waits for the disk */
    assert_int_equal(publish(fixture, &offset), 0);
    assert_true(ask_versions(&fixture->client));
    empty(fixture, held);
    assert_true(client_call(&fixture->client, API_KEY_CREATE_PARTITIONS, 3, &request, &answer));
    assert_int_equal(answer.results[0].error_code, 0);
}

static void check_told(const struct delete_topics_response *answer, const char *first)
{
    assert_int_equal(answer->responses_count, 2);
    assert_true(slice_equal(answer->responses[0].name, slice_str(first)));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(answer->responses[i].error_code, KAFKA_ERROR_REQUEST_TIMED_OUT);
    }
}

/* Up to version 5 topics are in one array, from 6 on in another, by name or id. */
static void test_a_refused_deletion_tells_of_each_topic_in_every_version(void **state)
{
    struct fixture *fixture = *state;
    struct slice names[] = {slice_str("orders"), slice_str("bills")};
    struct delete_topics_request_topic topics[] = {{.name = names[0]},
                                                   {.topic_id.bytes = {1, 2, 3}}};
    struct delete_topics_request request = {
        .topics = topics, .topics_count = 2, .topic_names = names, .topic_names_count = 2};
    struct delete_topics_response answer;
    size_t held = fill(fixture, 76);
    for (int16_t version = 0; version <= 6; version++) {
        assert_true(
            client_call(&fixture->client, API_KEY_DELETE_TOPICS, version, &request, &answer));
        check_told(&answer, "orders");
    }
    assert_true(slice_is_null(answer.responses[1].name));
    assert_memory_equal(answer.responses[1].topic_id.bytes, topics[1].topic_id.bytes, 16);
    empty(fixture, held);
}

static void test_refused_partitions_of_a_transaction_are_told_in_every_version(void **state)
{
    struct fixture *fixture = *state;
    int32_t partitions[] = {3};
    struct add_partitions_to_txn_request_topic topic = {slice_str("orders"), partitions, 1};
    struct add_partitions_to_txn_request request = {
        .v3_and_below_transactional_id = slice_str("id"),
        .v3_and_below_topics = &topic,
        .v3_and_below_topics_count = 1,
    };
    struct add_partitions_to_txn_response answer;
    size_t held = fill(fixture, 76);
    for (int16_t version = 0; version <= 3; version++) {
        assert_true(client_call(&fixture->client, API_KEY_ADD_PARTITIONS_TO_TXN, version, &request,
                                &answer));
        assert_int_equal(answer.results_by_topic_v3_and_below_count, 1);
        const struct add_partitions_to_txn_response_topic *told =
            answer.results_by_topic_v3_and_below;
        assert_int_equal(told->results_by_partition_count, 1);
        assert_int_equal(told->results_by_partition[0].partition_index, 3);
        assert_int_equal(told->results_by_partition[0].partition_error_code,
                         KAFKA_ERROR_REQUEST_TIMED_OUT);
    }
    empty(fixture, held);
}

static void test_refused_looks_at_producers_are_told(void **state)
{
    struct fixture *fixture = *state;
    int32_t partitions[] = {1, 7};
    struct describe_producers_request_topic topic = {slice_str("orders"), partitions, 2};
    struct describe_producers_request request = {.topics = &topic, .topics_count = 1};
    struct describe_producers_response answer;
    size_t held = fill(fixture, 76);
    assert_true(client_call(&fixture->client, API_KEY_DESCRIBE_PRODUCERS, 0, &request, &answer));
    assert_int_equal(answer.topics_count, 1);
    assert_int_equal(answer.topics[0].partitions_count, 2);
    assert_int_equal(answer.topics[0].partitions[1].partition_index, 7);
    assert_int_equal(answer.topics[0].partitions[1].error_code, KAFKA_ERROR_REQUEST_TIMED_OUT);
    empty(fixture, held);
}

/* Large enough for a worker. Returns the code. */
static int16_t join_with_much(struct fixture *fixture)
{
    enum { BYTES = 64 << 10 };
    uint8_t *metadata = mem_zalloc(BYTES);
    struct join_group_request_protocol protocol = {slice_str("range"), slice_of(metadata, BYTES)};
    struct join_group_request request = {
        .group_id = slice_str("group"),
        .session_timeout_ms = 10000,
        .rebalance_timeout_ms = 10000,
        .protocol_type = slice_str("consumer"),
        .protocols = &protocol,
        .protocols_count = 1,
    };
    struct join_group_response answer;
    assert_true(client_call(&fixture->client, API_KEY_JOIN_GROUP, 4, &request, &answer));
    free(metadata);
    return answer.error_code;
}

/* Members of groups try again behind another error than others do. */
static void test_a_large_join_is_counted_while_it_waits_for_a_worker(void **state)
{
    struct fixture *fixture = *state;
    size_t held = fill(fixture, 76);
    assert_int_equal(join_with_much(fixture), KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE);
    empty(fixture, held);
    assert_int_equal(join_with_much(fixture), KAFKA_ERROR_MEMBER_ID_REQUIRED);
}

/* Each refusal would take memory while it is held back. */
static void test_nothing_is_read_behind_a_refusal_that_is_held(void **state)
{
    struct fixture *fixture = *state;
    struct create_partitions_request_topic topic = {
        .name = slice_str("none"), .count = 2, .assignments_count = -1};
    struct create_partitions_request request = {.topics = &topic, .topics_count = 1};
    struct create_partitions_response answer;
    struct client others[3]; /* one of them at least is on the same reactor */
    fixture->api.unwritten_hold_ms = INT32_MAX;
    size_t held = fill(fixture, 76);
    for (int i = 0; i < 3; i++) {
        assert_true(client_send(&fixture->client, API_KEY_CREATE_PARTITIONS, 3, &request));
    }
    for (int i = 0; i < 3; i++) {
        others[i] = (struct client){.fd = -1};
        assert_true(client_connect(&others[i], fixture->port));
        assert_true(ask_versions(&others[i]));
        assert_true(ask_versions(&others[i]));
    }
    assert_int_equal(requests_of(fixture)->refused, 1);
    empty(fixture, held);
    net_drain(fixture->api.net);
    assert_true(client_receive(&fixture->client, API_KEY_CREATE_PARTITIONS, 3, &answer));
    assert_int_equal(answer.results[0].error_code, KAFKA_ERROR_REQUEST_TIMED_OUT);
    for (int i = 0; i < 3; i++) {
        client_deinit(&others[i]);
    }
}

/* So that the next request of the same client finds as much room as this one did. */
static void test_who_is_answered_holds_nothing_any_more(void **state)
{
    struct fixture *fixture = *state;
    struct create_partitions_request_topic topic = {
        .name = slice_str("none"), .count = 2, .assignments_count = -1};
    struct create_partitions_request request = {.topics = &topic, .topics_count = 1};
    struct create_partitions_response answer;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(join_with_much(fixture), KAFKA_ERROR_MEMBER_ID_REQUIRED);
        assert_int_equal(atomic_load(&requests_of(fixture)->bytes), 0);
        assert_true(client_call(&fixture->client, API_KEY_CREATE_PARTITIONS, 3, &request, &answer));
        assert_int_equal(atomic_load(&requests_of(fixture)->bytes), 0);
    }
}

/* An answer about nothing would look like success. */
static void test_who_cannot_be_told_is_closed(void **state)
{
    struct fixture *fixture = *state;
    struct create_partitions_request nothing = {.topics_count = 0};
    struct client bad = {.fd = -1};
    char byte;
    assert_true(client_connect(&bad, fixture->port));
    size_t held = fill(fixture, 76);
    assert_true(client_send(&bad, API_KEY_CREATE_PARTITIONS, 3, &nothing));
    assert_true(recv(bad.fd, &byte, 1, 0) <= 0);
    assert_true(ask_versions(&fixture->client));
    client_deinit(&bad);
    empty(fixture, held);
}

static void test_a_produce_that_would_wait_is_refused_when_all_is_used(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset;
    create_orders(fixture);
    size_t held = fill(fixture, 100);
    assert_int_equal(publish(fixture, &offset), KAFKA_ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(requests_of(fixture)->refused, 1);
    empty(fixture, held);
    assert_int_equal(publish(fixture, &offset), 0);
    assert_int_equal(offset, 0); /* nothing of the refused one was appended */
}

/* Its batch is to be compressed, by a worker: it is refused, and no answer was asked for. */
static void test_a_refused_produce_without_answer_closes(void **state)
{
    struct fixture *fixture = *state;
    struct topic_plan plan = {"orders", 1, "compression.type", "gzip"};
    struct client bad = {.fd = -1};
    char byte;
    int64_t offset;
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
    assert_true(client_connect(&bad, fixture->port));
    size_t held = fill(fixture, 76);
    send_event(&bad, 0);
    assert_true(recv(bad.fd, &byte, 1, 0) <= 0);
    assert_int_equal(publish(fixture, &offset), KAFKA_ERROR_REQUEST_TIMED_OUT);
    client_deinit(&bad);
    empty(fixture, held);
    assert_int_equal(publish(fixture, &offset), 0);
    assert_int_equal(offset, 0);
}

/* It counts as long as it waits; that all is given back is seen when the fixture ends. */
static void test_a_produce_counts_while_it_waits_for_the_disk(void **state)
{
    struct fixture *fixture = *state;
    struct produce_response response;
    create_orders(fixture);
    assert_int_equal(atomic_load(&requests_of(fixture)->bytes),
                     0); /* the topic's request is gone */
    pthread_mutex_lock(&fixture->sync_lock);
    send_event(&fixture->client, -1);
    while (atomic_load(&requests_of(fixture)->bytes) == 0) {
        sched_yield();
    }
    pthread_mutex_unlock(&fixture->sync_lock);
    assert_true(client_receive(&fixture->client, API_KEY_PRODUCE, 9, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_goes_to_a_worker_is_refused_behind_three_quarters),
        TEST(test_a_refused_deletion_tells_of_each_topic_in_every_version),
        TEST(test_refused_partitions_of_a_transaction_are_told_in_every_version),
        TEST(test_refused_looks_at_producers_are_told),
        TEST(test_a_large_join_is_counted_while_it_waits_for_a_worker),
        TEST(test_nothing_is_read_behind_a_refusal_that_is_held),
        TEST(test_who_is_answered_holds_nothing_any_more),
        TEST(test_who_cannot_be_told_is_closed),
        TEST(test_a_produce_that_would_wait_is_refused_when_all_is_used),
        TEST(test_a_refused_produce_without_answer_closes),
        TEST(test_a_produce_counts_while_it_waits_for_the_disk),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
