#include "api_fixture.h"

#include "stream/fetch.h"
#include "wire/generated/api_versions.h"
#include "wire/generated/fetch.h"
#include "wire/generated/produce.h"

/* Fetches as requests. One of MANY partitions goes to a worker and comes back in pieces. */
enum { MANY = 2 * FETCH_QUICK_ITEMS + 10, LONG_MS = 3600000, VERSION = 12 };

struct asked {
    struct fetch_request_partition partitions[MANY];
    struct fetch_request_topic topic;
    struct fetch_request request;
};

/* From all partitions of "wide", for which there is nothing. */
static void ask(struct asked *asked, int32_t max_wait_ms)
{
    fetch_request_init(&asked->request);
    fetch_request_topic_init(&asked->topic);
    for (int32_t i = 0; i < MANY; i++) {
        fetch_request_partition_init(&asked->partitions[i]);
        asked->partitions[i].partition = i;
        asked->partitions[i].partition_max_bytes = 1000;
    }
    asked->topic.topic = slice_str("wide");
    asked->topic.partitions = asked->partitions;
    asked->topic.partitions_count = MANY;
    asked->request.topics = &asked->topic;
    asked->request.topics_count = 1;
    asked->request.max_wait_ms = max_wait_ms;
    asked->request.min_bytes = 1;
}

static int setup(void **state)
{
    fixture_setup(state);
    struct fixture *fixture = *state;
    fixture->api.budget = &fixture->budget;
    struct topic_plan plan = {.name = "wide", .partitions = MANY};
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
    return 0;
}

static bool send_fetch(struct client *client, const struct asked *asked)
{
    return client_send(client, API_KEY_FETCH, VERSION, &asked->request);
}

static void publish(struct client *client, int32_t partition)
{
    struct batch_plan plan = {.producer_id = -1, .count = 1, .value_bytes = 20};
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data = {.index = partition,
                                             .records.bytes = buf_slice(&batch)};
    struct produce_request_topic topic = {slice_str("wide"), &data, 1};
    struct produce_request request;
    struct produce_response response;
    produce_request_init(&request);
    request.acks = -1;
    request.timeout_ms = 10000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    assert_true(client_call(client, API_KEY_PRODUCE, 8, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    buf_deinit(&batch);
}

/* Until so much of the share for requests is used: fetches wait. */
static void wait_for_waiting(struct fixture *fixture, bool wanted)
{
    struct budget_used *share = &fixture->budget.shares[BUDGET_REQUESTS];
    for (int i = 0; (atomic_load(&share->bytes) > MANY * 100) != wanted; i++) {
        assert_in_range(i, 0, 30000);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void test_many_partitions_are_answered_in_their_order(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    static struct asked asked;
    struct fetch_response response;
    struct api_versions_request versions;
    struct api_versions_response answered;
    ask(&asked, 20);
    asked.partitions[7].partition = 3; /* again */
    asked.partitions[MANY - 1].partition = MANY;
    asked.partitions[9].partition = MANY;
    api_versions_request_init(&versions);
    assert_true(send_fetch(client, &asked));
    assert_true(client_send(client, API_KEY_API_VERSIONS, 0, &versions));
    assert_true(client_receive(client, API_KEY_FETCH, VERSION, &response));
    assert_int_equal(response.responses_count, 1);
    assert_true(slice_equal(response.responses[0].topic, slice_str("wide")));
    assert_int_equal(response.responses[0].partitions_count, MANY);
    for (int32_t i = 0; i < MANY; i++) {
        const struct fetch_response_partition *seen = &response.responses[0].partitions[i];
        bool unknown = asked.partitions[i].partition == MANY;
        assert_int_equal(seen->partition_index, asked.partitions[i].partition);
        assert_int_equal(seen->error_code, unknown  ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                           : i == 7 ? KAFKA_ERROR_INVALID_REQUEST
                                                    : 0);
        assert_int_equal(seen->high_watermark, unknown || i == 7 ? -1 : 0);
    }
    assert_true(client_receive(client, API_KEY_API_VERSIONS, 0, &answered));
}

static void test_an_event_in_one_of_many_is_answered(void **state)
{
    struct fixture *fixture = *state;
    static struct asked asked;
    struct client other = {.fd = -1};
    struct fetch_response response;
    assert_true(client_connect(&other, fixture->port));
    ask(&asked, LONG_MS);
    assert_true(send_fetch(&fixture->client, &asked));
    wait_for_waiting(fixture, true);
    publish(&other, MANY - 2);
    assert_true(client_receive(&fixture->client, API_KEY_FETCH, VERSION, &response));
    for (int32_t i = 0; i < MANY; i++) {
        const struct fetch_response_partition *seen = &response.responses[0].partitions[i];
        assert_int_equal(seen->error_code, 0);
        assert_int_equal(seen->records.bytes.size > 0, i == MANY - 2);
    }
    client_deinit(&other);
}

static void test_a_session_of_many_is_declined(void **state)
{
    struct fixture *fixture = *state;
    static struct asked asked;
    struct fetch_response response;
    ask(&asked, LONG_MS);
    asked.request.session_id = 7;
    asked.request.session_epoch = 1;
    assert_true(send_fetch(&fixture->client, &asked));
    assert_true(client_receive(&fixture->client, API_KEY_FETCH, VERSION, &response));
    assert_int_equal(response.error_code, KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(response.responses_count, 0);
    ask(&asked, 0);
    asked.request.session_epoch = 0; /* asks for one */
    assert_true(send_fetch(&fixture->client, &asked));
    assert_true(client_receive(&fixture->client, API_KEY_FETCH, VERSION, &response));
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.session_id, 0);
}

/* Wherever its fetch is when the client goes, all that it held comes back. */
static void test_clients_that_go_leave_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    static struct asked asked;
    ask(&asked, LONG_MS);
    for (int i = 0; i < 50; i++) {
        struct client client = {.fd = -1};
        assert_true(client_connect(&client, fixture->port));
        assert_true(send_fetch(&client, &asked));
        if (i % 10 == 0) {
            wait_for_waiting(fixture, true);
        }
        client_deinit(&client);
    }
    wait_for_waiting(fixture, false);
    assert_int_equal(client_delete_topic(&fixture->client, "wide"), 0);
    struct topic_plan plan = {.name = "wide", .partitions = MANY};
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
}

/* A fetch that memory does not allow is answered all the same, others in time. */
static void test_without_memory_many_are_refused_and_few_are_answered(void **state)
{
    struct fixture *fixture = *state;
    static struct asked asked;
    struct fetch_response response;
    int64_t limit = fixture->budget.shares[BUDGET_REQUESTS].limit_bytes;
    ask(&asked, 20);
    fixture->budget.shares[BUDGET_REQUESTS].limit_bytes = 100;
    assert_true(send_fetch(&fixture->client, &asked));
    assert_true(client_receive(&fixture->client, API_KEY_FETCH, VERSION, &response));
    assert_int_equal(response.error_code, KAFKA_ERROR_REQUEST_TIMED_OUT);
    asked.topic.partitions_count = 1;
    assert_true(send_fetch(&fixture->client, &asked));
    assert_true(client_receive(&fixture->client, API_KEY_FETCH, VERSION, &response));
    assert_int_equal(response.responses[0].partitions[0].error_code, 0);
    /* The request has room, what it becomes has not: it is answered with what there is. */
    asked.topic.partitions_count = MANY;
    fixture->budget.shares[BUDGET_REQUESTS].limit_bytes = 2 * MANY * 60;
    assert_true(send_fetch(&fixture->client, &asked));
    assert_true(client_receive(&fixture->client, API_KEY_FETCH, VERSION, &response));
    assert_int_equal(response.responses[0].partitions[MANY - 1].error_code, 0);
    fixture->budget.shares[BUDGET_REQUESTS].limit_bytes = limit;
    wait_for_waiting(fixture, false);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_partitions_are_answered_in_their_order),
        cmocka_unit_test(test_a_session_of_many_is_declined),
        cmocka_unit_test(test_clients_that_go_leave_nothing_behind),
        cmocka_unit_test(test_without_memory_many_are_refused_and_few_are_answered),
        cmocka_unit_test(test_an_event_in_one_of_many_is_answered),
    };
    return unit_run(tests, setup, fixture_teardown, argc, argv);
}
