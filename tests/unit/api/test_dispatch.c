#include "api_fixture.h"

#include "../../crash/crash.h"
#include "api/api.h"
#include "base/mem.h"
#include "wire/generated/api_versions.h"
#include "wire/generated/delete_records.h"
#include "wire/generated/delete_topics.h"
#include "wire/generated/describe_quorum.h"
#include "wire/generated/describe_topic_partitions.h"
#include "wire/generated/fetch.h"
#include "wire/generated/init_producer_id.h"
#include "wire/generated/list_offsets.h"
#include "wire/generated/metadata.h"
#include "wire/generated/offset_commit.h"
#include "wire/generated/offset_for_leader_epoch.h"
#include "wire/generated/produce.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_the_table_rises_and_stays_within_the_schema(void **state)
{
    (void)state;
    for (int i = 0; i < api_table_count; i++) {
        const struct api_entry *entry = &api_table[i];
        const struct wire_api_info *info = wire_api_find(entry->key);
        assert_true(i == 0 || api_table[i - 1].key < entry->key);
        assert_non_null(info);
        assert_non_null(entry->handle);
        assert_true(entry->lowest_version <= entry->highest_version);
        assert_true(entry->lowest_version >= info->lowest_version);
        assert_true(entry->highest_version <= info->highest_version);
        assert_ptr_equal(api_find(entry->key), entry);
    }
    assert_null(api_find(-1));
    assert_null(api_find(999));
}

static void test_every_error_has_a_code_of_kafkas(void **state)
{
    (void)state;
    assert_int_equal(api_error_code(ERR_NONE), 0);
    for (int err = 1; err < ERR_COUNT; err++) {
        if (api_error_code((enum err)err) == 0) {
            fail_msg("%s would be told as success", err_name((enum err)err));
        }
    }
    assert_int_equal(api_error_code(ERR_COUNT), KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(api_error_code((enum err) - 1), KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(api_error_code(ERR_IO), KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(api_error_code(ERR_NO_SPACE), KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(api_error_code(ERR_CORRUPT), KAFKA_ERROR_CORRUPT_MESSAGE);
}

static void check_closes(struct fixture *fixture, const void *bytes, size_t size)
{
    struct client bad = {.fd = -1};
    char byte;
    assert_true(client_connect(&bad, fixture->port));
    send_bytes(&bad, bytes, size);
    assert_true(recv(bad.fd, &byte, 1, 0) <= 0);
    client_deinit(&bad);
    assert_true(ask_versions(&fixture->client)); /* nobody else noticed */
}

static void test_bad_frames_close(void **state)
{
    static const uint8_t unknown_key[] = {0x03, 0xe7, 0, 0, 0, 0, 0, 1, 0xff, 0xff};
    static const uint8_t new_fetch[] = {0, 1, 0, 99, 0, 0, 0, 1, 0xff, 0xff};
    static const uint8_t new_produce[] = {0, 0, 0x7f, 0xff, 0, 0, 0, 1, 0xff, 0xff};
    static const uint8_t short_header[] = {0, 3, 0, 1, 0, 0};
    static const uint8_t client_id_too_long[] = {0, 3, 0, 1, 0, 0, 0, 1, 0, 9, 'x'};
    static const uint8_t no_body[] = {0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff};
    static const uint8_t no_body_on_worker[] = {0, 19, 0, 1, 0, 0, 0, 1, 0xff, 0xff};
    struct fixture *fixture = *state;
    check_closes(fixture, unknown_key, sizeof unknown_key);
    check_closes(fixture, new_fetch, sizeof new_fetch);
    check_closes(fixture, new_produce, sizeof new_produce);
    check_closes(fixture, short_header, sizeof short_header);
    check_closes(fixture, client_id_too_long, sizeof client_id_too_long);
    check_closes(fixture, no_body, sizeof no_body);
    check_closes(fixture, no_body_on_worker, sizeof no_body_on_worker);
}

/* A request of a version that is not served, told where its answer has a place for the error. */
static void test_an_unserved_version_is_answered_with_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct init_producer_id_request producer;
    struct init_producer_id_response refused;
    init_producer_id_request_init(&producer);
    producer.transactional_id = (struct slice){0};
    assert_true(client_call(client, API_KEY_INIT_PRODUCER_ID, 6, &producer, &refused));
    assert_int_equal(refused.error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(refused.producer_id, -1);

    struct describe_quorum_request quorum = {0};
    struct describe_quorum_response unserved;
    assert_true(client_call(client, API_KEY_DESCRIBE_QUORUM, 2, &quorum, &unserved));
    assert_int_equal(unserved.error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_true(ask_versions(client)); /* on the same connection */
}

/* Where the answer has an error for each thing only, each thing asked for gets it. */
static void test_an_unserved_version_gives_each_partition_the_error(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct fetch_request_partition partitions[2] = {{.partition = 3}, {.partition = 5}};
    struct fetch_request_topic topics[2] = {
        {.topic = slice_str("orders"), .partitions = partitions, .partitions_count = 2},
        {.topic = slice_str("bills"), .partitions = partitions, .partitions_count = 1}};
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    request.topics = topics;
    request.topics_count = 2;
    assert_true(client_call(client, API_KEY_FETCH, 3, &request, &response));
    assert_int_equal(response.responses_count, 2);
    assert_true(slice_equal(response.responses[0].topic, slice_str("orders")));
    assert_true(slice_equal(response.responses[1].topic, slice_str("bills")));
    assert_int_equal(response.responses[0].partitions_count, 2);
    assert_int_equal(response.responses[1].partitions_count, 1);
    for (int i = 0; i < 2; i++) {
        const struct fetch_response_partition *seen = &response.responses[0].partitions[i];
        assert_int_equal(seen->partition_index, partitions[i].partition);
        assert_int_equal(seen->error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
        assert_true(wire_records_is_null(&seen->records));
    }
}

/* Nothing was asked for, so the answer would look like success. */
static void test_an_unserved_version_without_room_for_the_error_closes(void **state)
{
    struct fixture *fixture = *state;
    struct client bad = {.fd = -1};
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    assert_true(client_connect(&bad, fixture->port));
    assert_true(client_send(&bad, API_KEY_FETCH, 3, &request));
    assert_false(client_receive(&bad, API_KEY_FETCH, 3, &response));
    client_deinit(&bad);
}

/* KIP-511: whatever the version, the answer is version 0, and the connection stays. */
static void test_any_version_of_api_versions_is_answered(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t frame[] = {0, 18, 0, 99, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct api_versions_response response;
    send_bytes(&fixture->client, frame, sizeof frame);
    fixture->client.next_correlation++;
    assert_true(client_receive(&fixture->client, API_KEY_API_VERSIONS, 0, &response));
    assert_int_equal(response.error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(response.api_keys_count, api_table_count);
    assert_true(ask_versions(&fixture->client));
}

static void fill_metadata(struct metadata_request *request)
{
    metadata_request_init(request);
    request->topics_count = -1;
}

/* A request behind a deferred one sees its effect, though it is sent without waiting. */
static void test_deferred_requests_hold_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct client setup_client = {.fd = -1};
    assert_true(client_connect(&setup_client, fixture->port));
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "topic-%d", i);
        struct topic_plan plan = {.name = name, .partitions = 1};
        assert_int_equal(client_create_topic(&setup_client, &plan), 0);
    }
    client_deinit(&setup_client);
    for (int i = 0; i < 20; i++) {
        char name[16];
        struct metadata_request metadata;
        struct metadata_response seen;
        snprintf(name, sizeof name, "topic-%d", i);
        /* The deletion's frame, then at once the question. */
        fill_metadata(&metadata);
        struct slice wanted = slice_str(name);
        struct delete_topics_request deletion;
        struct delete_topics_response deleted;
        delete_topics_request_init(&deletion);
        deletion.topic_names = &wanted;
        deletion.topic_names_count = 1;
        assert_true(client_send(client, API_KEY_DELETE_TOPICS, 5, &deletion));
        assert_true(client_send(client, API_KEY_METADATA, 9, &metadata));
        assert_true(client_receive(client, API_KEY_DELETE_TOPICS, 5, &deleted));
        assert_int_equal(deleted.responses[0].error_code, 0);
        assert_true(client_receive(client, API_KEY_METADATA, 9, &seen));
        assert_int_equal(seen.topics_count, 19 - i);
    }
}

static void test_answers_come_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    assert_int_equal(client_create_topic(client, &plan), 0);
    struct fetch_request_partition partition;
    fetch_request_partition_init(&partition);
    partition.partition_max_bytes = 1000;
    struct fetch_request_topic topic;
    fetch_request_topic_init(&topic);
    topic.topic = slice_str("orders");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    struct fetch_request fetch;
    fetch_request_init(&fetch);
    fetch.max_wait_ms = 50;
    fetch.min_bytes = 1;
    fetch.topics = &topic;
    fetch.topics_count = 1;
    struct api_versions_request versions;
    api_versions_request_init(&versions);
    /* The first waits, the second could be answered at once: client_receive checks the order. */
    assert_true(client_send(client, API_KEY_FETCH, 12, &fetch));
    assert_true(client_send(client, API_KEY_API_VERSIONS, 0, &versions));
    struct fetch_response fetched;
    struct api_versions_response answered;
    assert_true(client_receive(client, API_KEY_FETCH, 12, &fetched));
    assert_int_equal(fetched.responses[0].partitions[0].error_code, 0);
    assert_true(client_receive(client, API_KEY_API_VERSIONS, 0, &answered));
}

/* acks=0: no answer at all; acks=all to what is not there: its code, and the server lives. */
static void test_acks_0_gets_no_answer_and_what_is_not_there_its_code(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    struct batch_plan batch_plan = {.producer_id = -1, .count = 3, .value_bytes = 20};
    struct buf batch = {0};
    batch_build(&batch_plan, &batch);
    assert_int_equal(client_create_topic(client, &plan), 0);
    struct produce_request_partition data[2] = {{.index = 0, .records.bytes = buf_slice(&batch)},
                                                {.index = 7, .records.bytes = buf_slice(&batch)}};
    struct produce_request_topic topics[2] = {{slice_str("orders"), data, 2},
                                              {slice_str("nowhere"), data, 1}};
    struct produce_request request = {
        .acks = 0, .timeout_ms = 1000, .topic_data = topics, .topic_data_count = 1};
    topics[0].partition_data_count = 1;
    assert_true(client_send(client, API_KEY_PRODUCE, 9, &request));
    client->next_answer++;
    assert_true(ask_versions(client));
    request.acks = -1;
    request.topic_data_count = 2;
    topics[0].partition_data_count = 2;
    struct produce_response response;
    assert_true(client_call(client, API_KEY_PRODUCE, 9, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    assert_int_equal(response.responses[0].partition_responses[0].base_offset, 3);
    assert_int_equal(response.responses[0].partition_responses[1].error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(response.responses[1].partition_responses[0].error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    request.acks = 5;
    assert_true(client_call(client, API_KEY_PRODUCE, 9, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code,
                     KAFKA_ERROR_INVALID_REQUIRED_ACKS);
    buf_deinit(&batch);
}

/* ---- what was acknowledged is told ---- */

/* Publishes an event with acks=1, whose sync then waits for the fixture's lock. */
static void publish_unsynced(struct fixture *fixture)
{
    struct batch_plan plan = {.producer_id = -1, .count = 1, .value_bytes = 20};
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data = {.records.bytes = buf_slice(&batch)};
    struct produce_request_topic topic = {slice_str("orders"), &data, 1};
    struct produce_request request = {
        .acks = 1, .timeout_ms = 1000, .topic_data = &topic, .topic_data_count = 1};
    struct produce_response response;
    pthread_mutex_lock(&fixture->sync_lock);
    assert_true(client_call(&fixture->client, API_KEY_PRODUCE, 9, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    buf_deinit(&batch);
}

/* Sends a request that is not answered before the sync, though everybody else is. */
static void ask_before_the_sync(struct fixture *fixture, int16_t key, int16_t version,
                                const void *request, void *response)
{
    struct client others[4] = {{.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}};
    char byte;
    assert_true(client_send(&fixture->client, key, version, request));
    for (int i = 0; i < 4; i++) { /* of both reactors */
        struct metadata_request metadata;
        struct metadata_response seen;
        fill_metadata(&metadata);
        assert_true(client_connect(&others[i], fixture->port));
        assert_true(client_call(&others[i], API_KEY_METADATA, 9, &metadata, &seen));
        client_deinit(&others[i]);
    }
    assert_int_equal(recv(fixture->client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    pthread_mutex_unlock(&fixture->sync_lock);
    assert_true(client_receive(&fixture->client, key, version, response));
}

static void check_told_offset(struct fixture *fixture, int64_t timestamp, int8_t isolation_level,
                              int64_t due)
{
    struct list_offsets_request_partition wanted;
    list_offsets_request_partition_init(&wanted);
    wanted.timestamp = timestamp;
    struct list_offsets_request_topic topic = {
        .name = slice_str("orders"), .partitions = &wanted, .partitions_count = 1};
    struct list_offsets_request request;
    struct list_offsets_response response;
    list_offsets_request_init(&request);
    request.isolation_level = isolation_level;
    request.topics = &topic;
    request.topics_count = 1;
    publish_unsynced(fixture);
    wanted.timestamp = -2; /* the start is known */
    assert_true(client_call(&fixture->client, API_KEY_LIST_OFFSETS, 7, &request, &response));
    assert_int_equal(response.topics[0].partitions[0].offset, 0);
    wanted.timestamp = timestamp;
    ask_before_the_sync(fixture, API_KEY_LIST_OFFSETS, 7, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, 0);
    assert_int_equal(response.topics[0].partitions[0].offset, due);
}

static void check_told_epoch_end(struct fixture *fixture, int64_t due)
{
    struct offset_for_leader_epoch_request_partition wanted;
    offset_for_leader_epoch_request_partition_init(&wanted);
    struct offset_for_leader_epoch_request_topic topic = {
        .topic = slice_str("orders"), .partitions = &wanted, .partitions_count = 1};
    struct offset_for_leader_epoch_request request;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    publish_unsynced(fixture);
    ask_before_the_sync(fixture, API_KEY_OFFSET_FOR_LEADER_EPOCH, 4, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].end_offset, due);
}

static void check_deleted(struct fixture *fixture, int64_t offset, int64_t due)
{
    struct delete_records_request_partition wanted = {.offset = offset};
    struct delete_records_request_topic topic = {
        .name = slice_str("orders"), .partitions = &wanted, .partitions_count = 1};
    struct delete_records_request request = {
        .topics = &topic, .topics_count = 1, .timeout_ms = 1000};
    struct delete_records_response response;
    publish_unsynced(fixture);
    ask_before_the_sync(fixture, API_KEY_DELETE_RECORDS, 2, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, 0);
    assert_int_equal(response.topics[0].partitions[0].low_watermark, due);
}

/* A producer with acks=1 is answered before the sync; who asks afterwards is told of its event. */
static void test_acknowledged_events_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    assert_int_equal(client_create_topic(&fixture->client, &plan), 0);
    check_told_offset(fixture, -3, 0, 0);
    check_told_offset(fixture, -1, 0, 2);
    check_told_offset(fixture, -1, 1, 3);
    check_told_epoch_end(fixture, 4);
    check_deleted(fixture, 5, 5);
    check_deleted(fixture, -1, 6);
}

static bool refuses_all(void *context, const struct api_connection *who,
                        enum api_operation operation, struct api_resource resource)
{
    (void)context;
    (void)who;
    (void)operation;
    (void)resource;
    return false;
}

/* Who may not know is told at once, and does not wait for what it may not know. */
static void test_who_is_refused_does_not_wait_for_the_sync(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->client;
    static const struct api_authorizer none = {.allows = refuses_all};
    struct topic_plan plan = {.name = "orders", .partitions = 1};
    struct list_offsets_request_partition end = {.timestamp = -1};
    struct list_offsets_request_topic listed = {
        .name = slice_str("orders"), .partitions = &end, .partitions_count = 1};
    struct list_offsets_request list = {.topics = &listed, .topics_count = 1};
    struct delete_records_request_partition all = {.offset = -1};
    struct delete_records_request_topic cut = {
        .name = slice_str("orders"), .partitions = &all, .partitions_count = 1};
    struct delete_records_request deletion = {.topics = &cut, .topics_count = 1};
    struct offset_for_leader_epoch_request_partition first = {.current_leader_epoch = -1};
    struct offset_for_leader_epoch_request_topic asked = {
        .topic = slice_str("orders"), .partitions = &first, .partitions_count = 1};
    struct offset_for_leader_epoch_request epoch = {.topics = &asked, .topics_count = 1};
    struct list_offsets_response ends;
    struct delete_records_response deleted;
    struct offset_for_leader_epoch_response epochs;
    assert_int_equal(client_create_topic(client, &plan), 0);
    publish_unsynced(fixture);
    atomic_store(&fixture->api.authorizer, &none);
    assert_true(client_call(client, API_KEY_LIST_OFFSETS, 7, &list, &ends));
    assert_int_equal(ends.topics[0].partitions[0].error_code,
                     KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED);
    assert_true(client_call(client, API_KEY_DELETE_RECORDS, 2, &deletion, &deleted));
    assert_int_equal(deleted.topics[0].partitions[0].error_code,
                     KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED);
    assert_true(client_call(client, API_KEY_OFFSET_FOR_LEADER_EPOCH, 4, &epoch, &epochs));
    assert_int_equal(epochs.topics[0].partitions[0].error_code,
                     KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED);
    pthread_mutex_unlock(&fixture->sync_lock);
}

/* What one request may decode into is bounded, whatever its counts say. */
static void test_decoding_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    enum { TOPICS = 300000 };
    struct buf frame = {0};
    static const uint8_t header[] = {0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff};
    buf_append(&frame, header, sizeof header);
    buf_append_be32(&frame, TOPICS);
    memset(buf_extend(&frame, (size_t)TOPICS * 2), 0, (size_t)TOPICS * 2);
    check_closes(fixture, frame.data, frame.size);
    buf_deinit(&frame);
}

/* ---- a partition that is offline ---- */

/* It has no leader, and the replica that cannot lead it. */
static void test_a_partition_that_is_offline_has_no_leader(void **state)
{
    struct fixture *fixture = *state;
    struct metadata_request request;
    struct metadata_response response;
    fill_metadata(&request);
    assert_true(client_call(&fixture->client, API_KEY_METADATA, 9, &request, &response));
    assert_int_equal(response.topics[0].error_code, 0);
    const struct metadata_response_partition *seen = response.topics[0].partitions;
    assert_int_equal(seen[0].error_code, KAFKA_ERROR_LEADER_NOT_AVAILABLE);
    assert_int_equal(seen[0].leader_id, -1);
    assert_int_equal(seen[0].replica_nodes[0], 1);
    assert_int_equal(seen[0].offline_replicas_count, 1);
    assert_int_equal(seen[0].offline_replicas[0], 1);
    assert_int_equal(seen[1].error_code, 0);
    assert_int_equal(seen[1].leader_id, 1);
    assert_int_equal(seen[1].offline_replicas_count, 0);
    struct describe_topic_partitions_request description;
    struct describe_topic_partitions_response described;
    describe_topic_partitions_request_init(&description);
    description.response_partition_limit = 10;
    assert_true(client_call(&fixture->client, API_KEY_DESCRIBE_TOPIC_PARTITIONS, 0, &description,
                            &described));
    const struct describe_topic_partitions_response_partition *parts =
        described.topics[0].partitions;
    assert_int_equal(parts[0].error_code, 0);
    assert_int_equal(parts[0].leader_id, -1);
    assert_int_equal(parts[0].offline_replicas_count, 1);
    assert_int_equal(parts[1].leader_id, 1);
    assert_int_equal(parts[1].offline_replicas_count, 0);
}

static void check_offline_offsets(struct client *client)
{
    struct list_offsets_request_partition wanted;
    list_offsets_request_partition_init(&wanted);
    struct list_offsets_request_topic topic = {
        .name = slice_str("orders"), .partitions = &wanted, .partitions_count = 1};
    struct list_offsets_request request;
    struct list_offsets_response response;
    list_offsets_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    for (wanted.timestamp = -3; wanted.timestamp <= 0; wanted.timestamp++) {
        assert_true(client_call(client, API_KEY_LIST_OFFSETS, 7, &request, &response));
        assert_int_equal(response.topics[0].partitions[0].error_code,
                         KAFKA_ERROR_KAFKA_STORAGE_ERROR);
        assert_int_equal(response.topics[0].partitions[0].offset, -1);
    }
}

static void check_offline_fetch(struct client *client)
{
    struct fetch_request_partition partition;
    fetch_request_partition_init(&partition);
    partition.partition_max_bytes = 1000;
    struct fetch_request_topic topic;
    fetch_request_topic_init(&topic);
    topic.topic = slice_str("orders");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    request.max_wait_ms = 60 * 1000;
    request.min_bytes = 1;
    request.topics = &topic;
    request.topics_count = 1;
    assert_true(client_call(client, API_KEY_FETCH, 12, &request, &response));
    assert_int_equal(response.responses[0].partitions[0].error_code,
                     KAFKA_ERROR_KAFKA_STORAGE_ERROR);
}

static void check_offline_produce(struct client *client)
{
    struct batch_plan plan = {.producer_id = -1, .count = 3, .value_bytes = 20};
    struct buf batch = {0};
    batch_build(&plan, &batch);
    struct produce_request_partition data = {.index = 0, .records.bytes = buf_slice(&batch)};
    struct produce_request_topic topic = {slice_str("orders"), &data, 1};
    struct produce_request request = {
        .acks = -1, .timeout_ms = 1000, .topic_data = &topic, .topic_data_count = 1};
    struct produce_response response;
    assert_true(client_call(client, API_KEY_PRODUCE, 9, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code,
                     KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    data.index = 1;
    assert_true(client_call(client, API_KEY_PRODUCE, 9, &request, &response));
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    buf_deinit(&batch);
}

static void check_offline_epoch(struct client *client)
{
    struct offset_for_leader_epoch_request_partition wanted;
    offset_for_leader_epoch_request_partition_init(&wanted);
    struct offset_for_leader_epoch_request_topic topic = {
        .topic = slice_str("orders"), .partitions = &wanted, .partitions_count = 1};
    struct offset_for_leader_epoch_request request;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    assert_true(client_call(client, API_KEY_OFFSET_FOR_LEADER_EPOCH, 4, &request, &response));
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
}

static void test_a_partition_that_is_offline_answers_storage_error(void **state)
{
    struct fixture *fixture = *state;
    check_offline_offsets(&fixture->client);
    check_offline_fetch(&fixture->client);
    check_offline_produce(&fixture->client);
    check_offline_epoch(&fixture->client);
}

static void test_an_answer_about_unwritten_state_is_held_until_the_stop(void **state)
{
    struct fixture *fixture = *state;
    struct offset_commit_request_partition partition;
    struct offset_commit_request_topic topic = {
        .name = slice_str("orders"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    struct offset_commit_response response;
    struct client others[3]; /* one of them at least is on the same reactor */
    char byte;
    assert_int_equal(client_create_topic(&fixture->client, &(struct topic_plan){"orders", 1}), 0);
    fixture->api.unwritten_hold_ms = INT32_MAX;
    atomic_store(&fixture->is_full, true);
    offset_commit_request_init(&request);
    offset_commit_request_partition_init(&partition);
    request.group_id = slice_str("billing");
    request.member_id = slice_str("");
    request.generation_id_or_member_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    assert_true(client_send(&fixture->client, API_KEY_OFFSET_COMMIT, 8, &request));
    for (int i = 0; i < 3; i++) { /* who do not wait */
        others[i] = (struct client){.fd = -1};
        assert_true(client_connect(&others[i], fixture->port));
        assert_true(ask_versions(&others[i]));
        assert_true(ask_versions(&others[i]));
    }
    assert_true(recv(fixture->client.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0);
    net_drain(fixture->api.net);
    assert_true(client_receive(&fixture->client, API_KEY_OFFSET_COMMIT, 8, &response));
    assert_int_equal(response.topics[0].partitions[0].error_code,
                     KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE);
    for (int i = 0; i < 3; i++) {
        client_deinit(&others[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_rises_and_stays_within_the_schema),
        cmocka_unit_test(test_every_error_has_a_code_of_kafkas),
        TEST(test_bad_frames_close),
        TEST(test_any_version_of_api_versions_is_answered),
        TEST(test_an_unserved_version_is_answered_with_an_error),
        TEST(test_an_unserved_version_gives_each_partition_the_error),
        TEST(test_an_unserved_version_without_room_for_the_error_closes),
        TEST(test_deferred_requests_hold_the_next),
        TEST(test_answers_come_in_order),
        TEST(test_acks_0_gets_no_answer_and_what_is_not_there_its_code),
        TEST(test_acknowledged_events_are_counted),
        TEST(test_who_is_refused_does_not_wait_for_the_sync),
        TEST(test_decoding_is_bounded),
        TEST(test_an_answer_about_unwritten_state_is_held_until_the_stop),
        cmocka_unit_test_setup_teardown(test_a_partition_that_is_offline_has_no_leader,
                                        fixture_setup_offline, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_partition_that_is_offline_answers_storage_error,
                                        fixture_setup_offline, fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
