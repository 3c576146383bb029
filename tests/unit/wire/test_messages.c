/*
 * Messages against bytes written out by hand. Each vector is decoded, encoded again to the same
 * bytes, and cut at every byte, which must be told as truncated.
 */
#include "../unit.h"
#include "hex.h"

#include "base/mem.h"
#include "wire/codec.h"
#include "wire/generated/api_versions.h"
#include "wire/generated/consumer_group_heartbeat.h"
#include "wire/generated/consumer_protocol_subscription.h"
#include "wire/generated/describe_topic_partitions.h"
#include "wire/generated/fetch.h"
#include "wire/generated/group_metadata_key.h"
#include "wire/generated/group_metadata_value.h"
#include "wire/generated/join_group.h"
#include "wire/generated/metadata.h"
#include "wire/generated/offset_commit_key.h"
#include "wire/generated/offset_commit_value.h"
#include "wire/generated/produce.h"
#include "wire/generated/transaction_log_value.h"

#include <stdlib.h>

struct vector {
    struct buf bytes;
    struct arena arena;
};

static const struct wire_codec *find_codec(const char *name)
{
    for (int i = 0; i < wire_codecs_count; i++) {
        if (strcmp(wire_codecs[i].name, name) == 0) {
            return &wire_codecs[i];
        }
    }
    fail_msg("no codec %s", name);
    return NULL;
}

static void cut_everywhere(const struct wire_codec *codec, int16_t version, struct slice bytes)
{
    void *message = mem_zalloc(codec->struct_bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        struct arena arena = {.chunks = NULL};
        struct wire_reader reader;
        uint8_t *copy = mem_dup(bytes.data, size);
        wire_reader_init(&reader, slice_of(copy, size), &arena);
        assert_int_equal(codec->decode(&reader, version, message), ERR_TRUNCATED);
        free(copy);
        arena_deinit(&arena);
    }
    free(message);
}

/* Checks the vector all ways and leaves what it means in *message. */
static struct vector check(const char *name, int16_t version, const char *hex, void *message)
{
    const struct wire_codec *codec = find_codec(name);
    struct vector vector = {.bytes = from_hex(hex)};
    struct wire_reader reader;
    wire_reader_init(&reader, buf_slice(&vector.bytes), &vector.arena);
    assert_int_equal(codec->decode(&reader, version, message), ERR_NONE);
    assert_true(wire_reader_at_end(&reader));
    struct buf again = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &again);
    codec->encode(&writer, version, message);
    assert_int_equal(writer.err, ERR_NONE);
    assert_hex(&again, hex);
    buf_deinit(&again);
    cut_everywhere(codec, version, buf_slice(&vector.bytes));
    return vector;
}

static void done(struct vector vector)
{
    buf_deinit(&vector.bytes);
    arena_deinit(&vector.arena);
}

static void test_api_versions_is_read_and_written(void **state)
{
    struct api_versions_request request;
    struct vector vector =
        check("api_versions_request", 3, "0b 6c696272646b61666b61 06 322e302e32 00", &request);
    assert_text(request.client_software_name, "librdkafka");
    assert_text(request.client_software_version, "2.0.2");
    done(vector);

    struct api_versions_response response;
    vector = check("api_versions_response", 0, "0023 00000001 0012 0000 0004", &response);
    assert_int_equal(response.error_code, 35);
    assert_int_equal(response.api_keys[0].max_version, 4);
    assert_int_equal(response.finalized_features_epoch, -1);
    done(vector);

    vector = check("api_versions_response", 4,
                   "0000 02 0012 0000 0004 00 00000000"
                   "02 00 14 02 0e 6b726166742e76657273696f6e 0000 0001 00"
                   "   01 08 0000000000000007",
                   &response);
    assert_int_equal(response.supported_features_count, 1);
    assert_text(response.supported_features[0].name, "kraft.version");
    assert_int_equal(response.supported_features[0].max_version, 1);
    assert_int_equal(response.finalized_features_epoch, 7);
    done(vector);
}

static void test_metadata_is_read_and_written(void **state)
{
    struct metadata_request request;
    struct vector vector =
        check("metadata_request", 12, "02 00000000000000000000000000000000 04 616263 00 01 00 00",
              &request);
    assert_int_equal(request.topics_count, 1);
    assert_true(wire_uuid_is_zero(request.topics[0].topic_id));
    assert_text(request.topics[0].name, "abc");
    assert_true(request.allow_auto_topic_creation);
    done(vector);

    vector = check("metadata_request", 1, "ffffffff", &request);
    assert_int_equal(request.topics_count, -1);
    assert_null(request.topics);
    assert_true(request.allow_auto_topic_creation); /* the default before version 4 */
    done(vector);
    vector = check("metadata_request", 0, "00000000", &request);
    assert_int_equal(request.topics_count, 0);
    done(vector);

    struct metadata_response response;
    vector = check("metadata_response", 12,
                   "00000000 02 00000001 05 686f7374 00002384 00 00 03 6964 00000001"
                   "02 0000 02 74 0102030405060708090a0b0c0d0e0f10 00"
                   "  02 0000 00000000 00000001 00000000 02 00000001 02 00000001 01 00"
                   "  80000000 00  00",
                   &response);
    assert_text(response.brokers[0].host, "host");
    assert_int_equal(response.brokers[0].port, 9092);
    assert_true(slice_is_null(response.brokers[0].rack));
    assert_text(response.cluster_id, "id");
    assert_int_equal(response.topics[0].topic_id.bytes[15], 16);
    assert_int_equal(response.topics[0].partitions[0].isr_nodes[0], 1);
    assert_int_equal(response.topics[0].topic_authorized_operations, INT32_MIN);
    done(vector);
}

static void test_produce_is_read_and_written(void **state)
{
    struct produce_request request;
    struct vector vector =
        check("produce_request", 9, "00 ffff 00007530 02 02 74 02 00000000 05 61626364 00 00 00",
              &request);
    assert_true(slice_is_null(request.transactional_id));
    assert_int_equal(request.acks, -1);
    assert_int_equal(request.timeout_ms, 30000);
    assert_text(request.topic_data[0].name, "t");
    const struct wire_records *records = &request.topic_data[0].partition_data[0].records;
    assert_text(records->bytes, "abcd");
    assert_ptr_equal(records->bytes.data, vector.bytes.data + 16); /* not copied */
    done(vector);
    vector =
        check("produce_request", 3,
              "0002 7478 0001 00007530 00000001 0001 74 00000001 00000005 00000002 6162", &request);
    assert_text(request.transactional_id, "tx");
    assert_int_equal(request.topic_data[0].partition_data[0].index, 5);
    done(vector);

    struct produce_response response;
    vector = check("produce_response", 10,
                   "02 02 74 02 00000000 0006 ffffffffffffffff ffffffffffffffff 0000000000000000"
                   " 02 00000003 00 00 04 6f6f70"
                   " 01 00 09 00000002 00000004 00  00  00000000"
                   "01 00 0d 02 00000002 02 68 00002384 00 00",
                   &response);
    const struct produce_response_partition *partition =
        &response.responses[0].partition_responses[0];
    assert_int_equal(partition->record_errors[0].batch_index, 3);
    assert_text(partition->error_message, "oop");
    assert_int_equal(partition->current_leader.leader_epoch, 4);
    assert_int_equal(response.node_endpoints[0].port, 9092);
    done(vector);
}

static void test_fetch_requests_are_read_and_written(void **state)
{
    struct fetch_request request;
    struct vector vector = check("fetch_request", 12,
                                 "ffffffff 000001f4 00000001 03200000 01 00000000 ffffffff"
                                 "02 02 74 02 00000003 ffffffff 000000000000002a ffffffff"
                                 " ffffffffffffffff 00100000 00 00  01 01  01 00 03 03 6331",
                                 &request);
    assert_text(request.cluster_id, "c1");
    assert_int_equal(request.max_wait_ms, 500);
    assert_int_equal(request.isolation_level, 1);
    assert_int_equal(request.session_epoch, -1);
    assert_int_equal(request.topics[0].partitions[0].fetch_offset, 42);
    assert_int_equal(request.replica_state.replica_id, -1);
    done(vector);

    vector = check("fetch_request", 13,
                   "ffffffff 000001f4 00000001 03200000 01 00000000 ffffffff"
                   "02 0102030405060708090a0b0c0d0e0f10 02 00000003 ffffffff 000000000000002a"
                   " ffffffff ffffffffffffffff 00100000 00 00  01 01  00",
                   &request);
    assert_int_equal(request.topics[0].topic_id.bytes[0], 1);
    assert_int_equal(request.topics[0].partitions[0].partition, 3);
    assert_true(slice_is_null(request.cluster_id));
    done(vector);

    vector = check("fetch_request", 15,
                   "000001f4 00000001 03200000 00 00000000 00000000 01 01 01"
                   "01 01 0d 00000005 0000000000000006 00",
                   &request);
    assert_int_equal(request.replica_id, -1);
    assert_int_equal(request.replica_state.replica_id, 5);
    assert_int_equal(request.replica_state.replica_epoch, 6);
    done(vector);
}

static void test_fetch_responses_are_read_and_written(void **state)
{
    struct fetch_response response;
    struct vector vector =
        check("fetch_response", 12,
              "00000000 0000 00000000 02 02 74 02 00000000 0000 000000000000000a"
              " 000000000000000a 0000000000000000 02 0000000000000007 0000000000000001 00"
              " ffffffff 03 6162 02 00 0d 00000002 0000000000000005 00 01 09 00000001 00000003 00"
              " 00 00",
              &response);
    const struct fetch_response_partition *partition = &response.responses[0].partitions[0];
    assert_int_equal(partition->high_watermark, 10);
    assert_int_equal(partition->aborted_transactions[0].producer_id, 7);
    assert_text(partition->records.bytes, "ab");
    assert_int_equal(partition->diverging_epoch.end_offset, 5);
    assert_int_equal(partition->current_leader.leader_epoch, 3);
    assert_int_equal(partition->snapshot_id.epoch, -1);
    done(vector);

    vector = check("fetch_response", 4,
                   "00000000 00000001 0001 74 00000001 00000000 0001 ffffffffffffffff"
                   " ffffffffffffffff ffffffff ffffffff",
                   &response);
    assert_int_equal(response.responses[0].partitions[0].aborted_transactions_count, -1);
    assert_true(wire_records_is_null(&response.responses[0].partitions[0].records));
    assert_int_equal(response.responses[0].partitions[0].preferred_read_replica, -1);
    done(vector);
}

static void test_join_group_is_read_and_written(void **state)
{
    struct join_group_request request;
    struct vector vector = check("join_group_request", 5,
                                 "0001 67 00002710 0000ea60 0000 0001 69 0008 636f6e73756d6572"
                                 "00000001 0005 72616e6765 00000002 0102",
                                 &request);
    assert_text(request.group_id, "g");
    assert_int_equal(request.rebalance_timeout_ms, 60000);
    assert_text(request.group_instance_id, "i");
    assert_text(request.protocols[0].name, "range");
    assert_int_equal(request.protocols[0].metadata.size, 2);
    done(vector);
    vector = check("join_group_request", 6,
                   "02 67 00002710 0000ea60 01 00 09 636f6e73756d6572 02 06 72616e6765 03 0102 00"
                   "00",
                   &request);
    assert_true(slice_is_null(request.group_instance_id));
    assert_text(request.protocol_type, "consumer");
    done(vector);

    struct join_group_response response;
    vector = check("join_group_response", 6,
                   "00000000 0000 00000001 06 72616e6765 02 6d 02 6d 02 02 6d 00 03 0102 00 00",
                   &response);
    assert_text(response.protocol_name, "range");
    assert_text(response.members[0].member_id, "m");
    done(vector);
}

static void test_structs_may_be_null(void **state)
{
    struct describe_topic_partitions_request request;
    struct vector vector =
        check("describe_topic_partitions_request", 0, "01 000007d0 ff 00", &request);
    assert_null(request.cursor);
    done(vector);
    vector = check("describe_topic_partitions_request", 0,
                   "02 02 74 00 000007d0 01 02 74 00000005 00 00", &request);
    assert_non_null(request.cursor);
    assert_int_equal(request.cursor->partition_index, 5);
    done(vector);

    struct consumer_group_heartbeat_request heartbeat;
    consumer_group_heartbeat_request_init(&heartbeat);
    assert_int_equal(heartbeat.subscribed_topic_names_count, -1);
    assert_int_equal(heartbeat.topic_partitions_count, -1);
    assert_int_equal(heartbeat.rebalance_timeout_ms, -1);
}

static void test_offset_records_are_read_and_written(void **state)
{
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    struct offset_commit_key key = {
        .group = slice_str("g"), .topic = slice_str("t"), .partition = 3};
    offset_commit_key_encode_versioned(&writer, 1, &key);
    assert_hex(&bytes, "0001 0001 67 0001 74 00000003");
    struct group_metadata_key group = {.group = slice_str("g")};
    group_metadata_key_encode_versioned(&writer, 2, &group);
    assert_hex(&bytes, "0002 0001 67");

    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = 8;
    value.metadata = slice_str("m");
    value.commit_timestamp = 9;
    offset_commit_value_encode_versioned(&writer, 3, &value);
    assert_hex(&bytes, "0003 0000000000000008 ffffffff 0001 6d 0000000000000009");
    offset_commit_value_encode_versioned(&writer, 1, &value);
    assert_hex(&bytes, "0001 0000000000000008 0001 6d 0000000000000009 ffffffffffffffff");
    offset_commit_value_encode_versioned(&writer, 4, &value);
    assert_hex(&bytes, "0004 0000000000000008 ffffffff 02 6d 0000000000000009 00");
    buf_deinit(&bytes);

    struct group_metadata_value metadata_value;
    done(check("group_metadata_value", 3,
               "0008 636f6e73756d6572 00000001 0005 72616e6765 0001 6d 0000000000000007 00000001"
               " 0001 6d ffff 0001 63 0002 2f31 0000ea60 00002710 00000001 01 00000001 02",
               &metadata_value));
    done(check("offset_commit_value", 0, "0000000000000008 0000 0000000000000009", &value));
    assert_int_equal(value.leader_epoch, -1);

    struct transaction_log_value transaction;
    done(check("transaction_log_value", 1,
               "0000000000000001 0002 0000ea60 01 00 0000000000000003 0000000000000004"
               "01 00 08 0000000000000009",
               &transaction));
    assert_int_equal(transaction.previous_producer_id, 9);
    assert_int_equal(transaction.next_producer_id, -1);
    assert_int_equal(transaction.transaction_partitions_count, -1);
}

static void a_newer_subscription_is_read_as_ours(void **state)
{
    struct buf bytes = from_hex("0009 00000001 0001 74 ffffffff 00000000 ffffffff ffff  aabb");
    struct arena arena = {.chunks = NULL};
    struct wire_reader reader;
    struct consumer_protocol_subscription subscription;
    int16_t version;
    wire_reader_init(&reader, buf_slice(&bytes), &arena);
    assert_int_equal(
        consumer_protocol_subscription_decode_versioned(&reader, &version, &subscription),
        ERR_NONE);
    assert_int_equal(version, 9);
    assert_text(subscription.topics[0], "t");
    assert_int_equal(wire_reader_remaining(&reader), 2);
    buf_deinit(&bytes);
    arena_deinit(&arena);
}

static void versions_outside_the_schema_are_refused(void **state)
{
    for (int i = 0; i < wire_codecs_count; i++) {
        const struct wire_codec *codec = &wire_codecs[i];
        void *message = mem_zalloc(codec->struct_bytes);
        struct buf bytes = {0};
        struct wire_writer writer;
        struct wire_reader reader;
        wire_reader_init(&reader, slice_of("", 0), NULL);
        int16_t low = (int16_t)(codec->lowest_version - 1);
        assert_int_equal(codec->decode(&reader, low, message), ERR_UNSUPPORTED);
        wire_writer_init(&writer, &bytes);
        codec->init(message);
        codec->encode(&writer, (int16_t)(codec->highest_version + 1), message);
        assert_int_equal(writer.err, ERR_UNSUPPORTED);
        buf_deinit(&bytes);
        free(message);
    }
}

static void hostile_counts_take_no_memory(void **state)
{
    struct buf bytes = from_hex("ffffffff 00000001 00000001 7fffffff 00 7fffffff 0000 0000 0000");
    struct arena arena = {.chunks = NULL};
    struct wire_reader reader;
    struct fetch_request request;
    wire_reader_init(&reader, buf_slice(&bytes), &arena);
    assert_int_equal(fetch_request_decode(&reader, 4, &request), ERR_TRUNCATED);
    assert_int_equal(arena.used_bytes, 0);
    buf_deinit(&bytes);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_versions_is_read_and_written),
        cmocka_unit_test(test_metadata_is_read_and_written),
        cmocka_unit_test(test_produce_is_read_and_written),
        cmocka_unit_test(test_fetch_requests_are_read_and_written),
        cmocka_unit_test(test_fetch_responses_are_read_and_written),
        cmocka_unit_test(test_join_group_is_read_and_written),
        cmocka_unit_test(test_structs_may_be_null),
        cmocka_unit_test(test_offset_records_are_read_and_written),
        cmocka_unit_test(a_newer_subscription_is_read_as_ours),
        cmocka_unit_test(versions_outside_the_schema_are_refused),
        cmocka_unit_test(hostile_counts_take_no_memory),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
