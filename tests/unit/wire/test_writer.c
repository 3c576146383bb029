#include "../unit.h"
#include "hex.h"

#include "base/mem.h"
#include "wire/generated/fetch.h"
#include "wire/header.h"
#include "wire/kafka_error.h"

#include <stdlib.h>

static void values_have_their_bytes(void **state)
{
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    wire_write_bool(&writer, true);
    wire_write_int16(&writer, -2);
    wire_write_int32(&writer, 0x01020304);
    wire_write_int64(&writer, -1);
    wire_write_float64(&writer, 1.5);
    wire_write_uvarint(&writer, 300);
    assert_hex(&bytes, "01 fffe 01020304 ffffffffffffffff 3ff8000000000000 ac02");
    wire_write_string(&writer, slice_str("hi"), false, false);
    wire_write_string(&writer, slice_str("hi"), true, false);
    wire_write_bytes(&writer, slice_str("hi"), false, false);
    wire_write_bytes(&writer, slice_str("hi"), true, false);
    assert_hex(&bytes, "0002 6869 03 6869 00000002 6869 03 6869");
    wire_write_count(&writer, 2, false, false);
    wire_write_count(&writer, 2, true, false);
    assert_hex(&bytes, "00000002 03");
    buf_deinit(&bytes);
}

static void null_is_written_only_where_it_may_be(void **state)
{
    struct buf bytes = {0};
    struct wire_writer writer;
    struct slice null = {.data = NULL};
    struct wire_records no_records = {.bytes = null};
    wire_writer_init(&writer, &bytes);
    for (int flexible = 0; flexible < 2; flexible++) {
        for (int nullable = 0; nullable < 2; nullable++) {
            wire_write_string(&writer, null, flexible, nullable);
            wire_write_bytes(&writer, null, flexible, nullable);
            wire_write_records(&writer, &no_records, flexible, nullable);
            wire_write_count(&writer, -1, flexible, nullable);
        }
    }
    assert_hex(&bytes, "0000 00000000 00000000 00000000   ffff ffffffff ffffffff ffffffff"
                       "01 01 01 01   00 00 00 00");
    assert_int_equal(writer.err, ERR_NONE);
    buf_deinit(&bytes);
}

static void what_is_too_long_sticks_as_an_error(void **state)
{
    struct buf bytes = {0};
    struct wire_writer writer;
    char *text = mem_zalloc(40000);
    wire_writer_init(&writer, &bytes);
    wire_write_string(&writer, slice_of(text, 32767), true, false);
    assert_int_equal(writer.err, ERR_NONE);
    wire_write_string(&writer, slice_of(text, 32768), true, false);
    assert_int_equal(writer.err, ERR_TOO_LARGE);
    wire_write_int8(&writer, 1);
    assert_int_equal(writer.err, ERR_TOO_LARGE);
    free(text);
    buf_deinit(&bytes);
}

static void a_long_tag_has_a_long_size(void **state)
{
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    size_t begin = wire_write_tag_begin(&writer, 3);
    for (int i = 0; i < 200; i++) {
        wire_write_int8(&writer, (int8_t)i);
    }
    wire_write_tag_end(&writer, begin);
    assert_int_equal(bytes.size, 203);
    assert_memory_equal(bytes.data, "\x03\xc8\x01\x00\x01\x02", 6);
    assert_int_equal(bytes.data[202], 199);
    buf_deinit(&bytes);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void file_spans_become_splices(void **state)
{
    int released = 0;
    struct file_span spans[2] = {
        {.fd = 8, .position = 100, .size = 1000, .owner = &released, .release = count_release},
        {.fd = 9, .position = 0, .size = 24, .owner = &released, .release = count_release}};
    struct fetch_response_partition partitions[2];
    struct fetch_response_topic topic;
    struct fetch_response response;
    fetch_response_init(&response);
    fetch_response_topic_init(&topic);
    fetch_response_partition_init(&partitions[0]);
    fetch_response_partition_init(&partitions[1]);
    partitions[0].records = (struct wire_records){.spans = spans, .span_count = 2};
    partitions[1].records = (struct wire_records){.bytes = slice_str("inline")};
    topic.topic = slice_str("t");
    topic.partitions = partitions;
    topic.partitions_count = 2;
    response.responses = &topic;
    response.responses_count = 1;

    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    size_t frame = wire_frame_begin(&writer);
    wire_response_header_encode(&writer, API_KEY_FETCH, 4, 5);
    fetch_response_encode(&writer, 4, &response);
    wire_frame_end(&writer, frame);
    assert_int_equal(writer.err, ERR_NONE);
    assert_int_equal(writer.spliced_bytes, 1024);
    assert_int_equal(writer.splices.count, 2);
    size_t offset = writer.splices.items[0].offset;
    assert_int_equal(writer.splices.items[1].offset, offset);
    assert_int_equal(load_be32(bytes.data + offset - 4), 1024);
    assert_int_equal(load_be32(bytes.data), bytes.size - 4 + 1024);
    assert_int_equal(released, 0);

    size_t count;
    struct wire_splice *splices = wire_writer_take_splices(&writer, &count);
    assert_int_equal(count, 2);
    assert_int_equal(splices[1].span.fd, 9);
    wire_writer_deinit(&writer);
    assert_int_equal(released, 0);
    file_span_release(&splices[0].span);
    free(splices);
    buf_deinit(&bytes);
}

static void spans_not_taken_are_released(void **state)
{
    int released = 0;
    struct file_span span = {.size = 5, .owner = &released, .release = count_release};
    struct wire_records records = {.spans = &span, .span_count = 1};
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    for (int i = 0; i < 9; i++) {
        wire_write_records(&writer, &records, true, true);
    }
    wire_writer_deinit(&writer);
    assert_int_equal(released, 9);
    buf_deinit(&bytes);
}

static void headers_follow_the_version(void **state)
{
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    struct wire_request_header header = {.api_key = API_KEY_FETCH,
                                         .api_version = 11,
                                         .correlation_id = 7,
                                         .client_id = slice_str("me")};
    wire_request_header_encode(&writer, &header);
    assert_hex(&bytes, "0001 000b 00000007 0002 6d65");
    header.api_version = 12;
    wire_request_header_encode(&writer, &header);
    assert_hex(&bytes, "0001 000c 00000007 0002 6d65 00");
    wire_response_header_encode(&writer, API_KEY_FETCH, 11, 7);
    assert_hex(&bytes, "00000007");
    wire_response_header_encode(&writer, API_KEY_FETCH, 12, 7);
    assert_hex(&bytes, "00000007 00");
    wire_response_header_encode(&writer, API_KEY_API_VERSIONS, 4, 7);
    assert_hex(&bytes, "00000007");
    assert_int_equal(writer.err, ERR_NONE);
    header.api_version = 99;
    wire_request_header_encode(&writer, &header);
    assert_int_equal(writer.err, ERR_UNSUPPORTED);
    buf_deinit(&bytes);
}

static enum err read_header(const char *hex, struct wire_request_header *header, size_t *position)
{
    struct buf bytes = from_hex(hex);
    struct wire_reader reader;
    wire_reader_init(&reader, buf_slice(&bytes), NULL);
    enum err err = wire_request_header_decode(&reader, header);
    *position = reader.position;
    header->client_id = (struct slice){.data = NULL};
    buf_deinit(&bytes);
    return err;
}

static void request_headers_are_read(void **state)
{
    struct wire_request_header header;
    size_t position;
    assert_int_equal(read_header("0003 000c 00000009 ffff 01 05 01 aa 77", &header, &position),
                     ERR_NONE);
    assert_int_equal(header.api_key, API_KEY_METADATA);
    assert_int_equal(header.correlation_id, 9);
    assert_int_equal(position, 14); /* at the body */

    /* What is not known is told, with what an answer needs. */
    assert_int_equal(read_header("0012 0063 0000002a 0001 61", &header, &position),
                     ERR_UNSUPPORTED);
    assert_int_equal(header.api_key, API_KEY_API_VERSIONS);
    assert_int_equal(header.api_version, 99);
    assert_int_equal(header.correlation_id, 42);
    assert_int_equal(read_header("7fff 0000 0000002a", &header, &position), ERR_UNSUPPORTED);
    assert_int_equal(read_header("0001 0013 0000002a", &header, &position), ERR_UNSUPPORTED);

    assert_int_equal(read_header("0003 0001 000000", &header, &position), ERR_TRUNCATED);
    assert_int_equal(read_header("0003 0001 00000001 0005 61", &header, &position), ERR_TRUNCATED);
    assert_int_equal(read_header("0003 0001 00000001 8000", &header, &position), ERR_CORRUPT);
    assert_int_equal(read_header("0003 000c 00000001 ffff", &header, &position), ERR_TRUNCATED);
}

static void tables_know_the_apis(void **state)
{
    for (int i = 0; i < wire_api_info_count; i++) {
        const struct wire_api_info *info = &wire_api_info[i];
        assert_ptr_equal(wire_api_find(info->key), info);
        assert_true(i == 0 || info->key > wire_api_info[i - 1].key);
        assert_true(info->lowest_version <= info->highest_version);
        assert_int_equal(wire_api_is_flexible(info->key, info->highest_version),
                         info->flexible_version >= 0);
    }
    assert_null(wire_api_find(4));
    assert_null(wire_api_find(-1));
    assert_string_equal(wire_api_find(API_KEY_LIST_OFFSETS)->name, "ListOffsets");
    assert_false(wire_api_is_flexible(API_KEY_PRODUCE, 8));
    assert_true(wire_api_is_flexible(API_KEY_PRODUCE, 9));
    assert_string_equal(kafka_error_name(KAFKA_ERROR_UNKNOWN_TOPIC_ID), "UNKNOWN_TOPIC_ID");
    assert_string_equal(kafka_error_name(-1), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(kafka_error_name(99), "UNKNOWN_ERROR_CODE");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_their_bytes),
        cmocka_unit_test(null_is_written_only_where_it_may_be),
        cmocka_unit_test(what_is_too_long_sticks_as_an_error),
        cmocka_unit_test(a_long_tag_has_a_long_size),
        cmocka_unit_test(file_spans_become_splices),
        cmocka_unit_test(spans_not_taken_are_released),
        cmocka_unit_test(headers_follow_the_version),
        cmocka_unit_test(request_headers_are_read),
        cmocka_unit_test(tables_know_the_apis),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
