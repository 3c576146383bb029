#include "fetcher.h"

#include "wire/generated/fetch.h"
#include "wire/header.h"
#include "wire/kafka_error.h"

enum {
    VERSION_HIGHEST = 11,
    VERSION_LOWEST = 7,
    WAIT_MAX_MS = 500,
    /* A mark that finds the field in the frame; replaced before anything is sent. */
    OFFSET_MARK_SIZE = 8
};

static const int64_t offset_mark = 0x7b9d53c1a8e6f024;

static void encode(struct wire_writer *writer, int16_t version, const struct load_options *options,
                   int partition_index)
{
    struct fetch_request request;
    struct fetch_request_topic topic;
    struct fetch_request_partition partition;
    struct wire_request_header header = {
        .api_key = API_KEY_FETCH, .api_version = version, .client_id = slice_str("bench-load")};
    fetch_request_init(&request);
    fetch_request_topic_init(&topic);
    fetch_request_partition_init(&partition);
    partition.partition = partition_index;
    partition.fetch_offset = offset_mark;
    partition.partition_max_bytes = options->fetch_bytes;
    topic.topic = slice_str(options->topic);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.max_wait_ms = WAIT_MAX_MS;
    request.min_bytes = 1;
    request.max_bytes = options->fetch_bytes;
    request.topics = &topic;
    request.topics_count = 1;
    size_t begin = wire_frame_begin(writer);
    wire_request_header_encode(writer, &header);
    fetch_request_encode(writer, version, &request);
    wire_frame_end(writer, begin);
}

enum err fetcher_init(struct fetcher *fetcher, const struct load_server *server,
                      const struct load_options *options, int partition, struct reason *reason)
{
    struct wire_writer writer;
    int16_t highest = server->highest[API_KEY_FETCH];
    uint8_t mark[OFFSET_MARK_SIZE];
    *fetcher = (struct fetcher){.version = highest < VERSION_HIGHEST ? highest : VERSION_HIGHEST};
    if (fetcher->version < VERSION_LOWEST) {
        return reason_fail(reason, ERR_UNSUPPORTED, "the server has no Fetch of version %d to %d",
                           VERSION_LOWEST, VERSION_HIGHEST);
    }
    wire_writer_init(&writer, &fetcher->frame);
    encode(&writer, fetcher->version, options, partition);
    enum err err = writer.err;
    wire_writer_deinit(&writer);
    if (err != ERR_NONE) {
        return reason_fail(reason, err, "cannot encode the fetch request");
    }
    store_be64(mark, (uint64_t)offset_mark);
    const uint8_t *at = memmem(fetcher->frame.data, fetcher->frame.size, mark, sizeof mark);
    fetcher->offset_position = (size_t)(at - fetcher->frame.data);
    return ERR_NONE;
}

void fetcher_deinit(struct fetcher *fetcher)
{
    buf_deinit(&fetcher->frame);
}

enum err fetcher_ask(struct fetcher *fetcher, struct load_conn *conn, struct reason *reason)
{
    struct iovec iov = {fetcher->frame.data, fetcher->frame.size};
    store_be64(fetcher->frame.data + fetcher->offset_position, (uint64_t)fetcher->offset);
    return load_conn_send(conn, &iov, 1, reason);
}

/* The fields between the size and the records, of the one topic and partition asked for. */
static void decode(struct wire_reader *reader, int16_t version, int16_t *error_code,
                   struct fetch_head *head)
{
    enum { ABORTED_BYTES = 16 };
    wire_read_int32(reader); /* correlation id */
    wire_read_int32(reader); /* throttle time */
    *error_code = wire_read_int16(reader);
    wire_read_int32(reader); /* session */
    int32_t topic_count = wire_read_int32(reader);
    wire_read_string(reader, false, false);
    int32_t partition_count = wire_read_int32(reader);
    wire_read_int32(reader); /* partition */
    int16_t partition_error = wire_read_int16(reader);
    head->high_watermark = wire_read_int64(reader);
    wire_read_int64(reader); /* last stable offset */
    wire_read_int64(reader); /* log start offset */
    int32_t aborted_count = wire_read_int32(reader);
    if (aborted_count > 0) {
        wire_reader_take(reader, (size_t)aborted_count * ABORTED_BYTES);
    }
    if (version >= VERSION_HIGHEST) {
        wire_read_int32(reader); /* preferred read replica */
    }
    int32_t records_bytes = wire_read_int32(reader);
    head->records_bytes = records_bytes > 0 ? (uint32_t)records_bytes : 0;
    *error_code = *error_code != 0 ? *error_code : partition_error;
    if (topic_count != 1 || partition_count != 1) {
        wire_reader_fail(reader, ERR_CORRUPT);
    }
}

enum err fetcher_head(struct fetcher *fetcher, struct load_conn *conn, struct fetch_head *head,
                      struct reason *reason)
{
    enum { HEAD_MAX_BYTES = 400 }; /* 66 and the topic's name, which has 249 at most */
    const uint8_t *bytes;
    struct wire_reader reader;
    int16_t error_code;
    enum err err = load_conn_peek(conn, 4, &bytes, reason);
    if (err != ERR_NONE) {
        return err;
    }
    uint32_t size = load_be32(bytes);
    uint32_t head_size = size < HEAD_MAX_BYTES ? size : HEAD_MAX_BYTES;
    err = load_conn_peek(conn, 4 + (size_t)head_size, &bytes, reason);
    if (err != ERR_NONE) {
        return err;
    }
    wire_reader_init(&reader, slice_of(bytes + 4, head_size), NULL);
    decode(&reader, fetcher->version, &error_code, head);
    if (error_code != 0) {
        return reason_fail(reason, ERR_IO, "fetch at offset %lld: %s", (long long)fetcher->offset,
                           kafka_error_name(error_code));
    }
    if (reader.err != ERR_NONE || head->records_bytes > size - reader.position) {
        return reason_fail(reason, ERR_CORRUPT, "the answer to a fetch request is not one");
    }
    head->tail_bytes = size - (uint32_t)reader.position - head->records_bytes;
    return load_conn_discard(conn, 4 + reader.position, reason);
}
