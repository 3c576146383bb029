#include "load.h"

#include "base/clock.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "wire/generated/produce.h"
#include "wire/header.h"
#include "wire/kafka_error.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { PRODUCE_TIMEOUT_MS = 30000 };

/* Bytes that neither compress nor repeat from one event to the next. */
static void fill_value(uint8_t *value, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        value[i] = (uint8_t)(seed >> 56);
    }
}

/* Bytes that compress as events in JSON do: fields that repeat around values that do not. */
static void fill_text(uint8_t *value, size_t size, uint64_t seed)
{
    static const char pattern[] = "\"customer\":\"????????\",\"status\":\"placed\",\"price\":????,";
    for (size_t i = 0; i < size; i++) {
        char letter = pattern[i % (sizeof pattern - 1)];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        value[i] = (uint8_t)(letter == '?' ? "0123456789abcdef"[seed >> 60] : letter);
    }
}

/* The same events in the codec that was asked for. */
static enum err compress(const struct load_options *options, struct buf *batch,
                         struct reason *reason)
{
    struct buf compressed = {0};
    struct batch parsed;
    enum err err = batch_parse(buf_slice(batch), &parsed, reason);
    if (err == ERR_NONE) {
        struct slice records =
            slice_of(batch->data + BATCH_HEADER_BYTES, batch->size - BATCH_HEADER_BYTES);
        err =
            batch_recompress(&parsed, records, options->compression, INT_MIN, &compressed, reason);
    }
    if (err == ERR_NONE) {
        buf_deinit(batch);
        *batch = buf_take(&compressed);
    }
    buf_deinit(&compressed);
    return err;
}

/* One batch: batch_events events, or as many as go into batch_bytes. */
static enum err make_batch(const struct load_options *options, struct buf *batch, uint64_t *events,
                           struct reason *reason)
{
    enum { RECORD_MAX_OVERHEAD = 16 };
    struct batch_builder builder;
    uint8_t *value = mem_alloc(options->event_bytes);
    int64_t now_ms = clock_wall_ms(clock_system());
    *events = 0;
    batch_builder_init(&builder);
    for (;;) {
        size_t next =
            BATCH_HEADER_BYTES + builder.records.size + options->event_bytes + RECORD_MAX_OVERHEAD;
        if (options->batch_events > 0 ? *events == (uint64_t)options->batch_events
                                      : *events > 0 && next > options->batch_bytes) {
            break;
        }
        (options->compression == BATCH_COMPRESSION_NONE ? fill_value : fill_text)(
            value, options->event_bytes, *events + 1);
        batch_builder_add(&builder, now_ms, slice_of(NULL, 0),
                          slice_of(value, options->event_bytes), NULL, 0);
        ++*events;
    }
    enum err err = batch_builder_finish(&builder, batch, reason);
    batch_builder_deinit(&builder);
    free(value);
    if (err == ERR_NONE && options->compression != BATCH_COMPRESSION_NONE) {
        err = compress(options, batch, reason);
    }
    return err;
}

static enum err encode_request(const struct load_server *server, const struct load_options *options,
                               int first, int batch_count, struct slice batch, struct buf *frame)
{
    int16_t version = server->highest[API_KEY_PRODUCE];
    struct wire_writer writer;
    struct wire_request_header header = {
        .api_key = API_KEY_PRODUCE, .api_version = version, .client_id = slice_str("bench-load")};
    struct produce_request request;
    struct produce_request_topic topic;
    struct produce_request_partition *partitions =
        mem_new_array(struct produce_request_partition, (size_t)batch_count);
    produce_request_init(&request);
    produce_request_topic_init(&topic);
    for (int i = 0; i < batch_count; i++) {
        produce_request_partition_init(&partitions[i]);
        partitions[i].index = (first + i) % options->partitions;
        partitions[i].records.bytes = batch;
    }
    topic.name = slice_str(options->topic);
    topic.partition_data = partitions;
    topic.partition_data_count = batch_count;
    request.acks = (int16_t)options->acks;
    request.timeout_ms = PRODUCE_TIMEOUT_MS;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    wire_writer_init(&writer, frame);
    size_t begin = wire_frame_begin(&writer);
    wire_request_header_encode(&writer, &header);
    produce_request_encode(&writer, version, &request);
    wire_frame_end(&writer, begin);
    enum err err = writer.err;
    wire_writer_deinit(&writer);
    free(partitions);
    return err;
}

enum err load_request_make(const struct load_server *server, const struct load_options *options,
                           int first, int batch_count, struct load_request *request,
                           struct reason *reason)
{
    struct buf batch = {0};
    uint64_t events;
    *request = (struct load_request){0};
    enum err err = make_batch(options, &batch, &events, reason);
    if (err == ERR_NONE) {
        err =
            encode_request(server, options, first, batch_count, buf_slice(&batch), &request->frame);
        if (err != ERR_NONE) {
            err = reason_fail(reason, err, "cannot encode the produce request");
        }
    }
    if (err == ERR_NONE) {
        const uint8_t *at =
            memmem(request->frame.data, request->frame.size, batch.data, batch.size);
        request->batch_position = (size_t)(at - request->frame.data);
        request->batch_size = batch.size;
        request->events = events * (uint64_t)batch_count;
        request->bytes = batch.size * (uint64_t)batch_count;
    }
    buf_deinit(&batch);
    return err;
}

void load_request_deinit(struct load_request *request)
{
    buf_deinit(&request->frame);
}

static enum err check_partition(const struct produce_response_partition *partition,
                                struct reason *reason)
{
    return partition->error_code == 0
               ? ERR_NONE
               : reason_fail(reason, ERR_IO, "produce to partition %d: %s %.*s", partition->index,
                             kafka_error_name(partition->error_code),
                             SLICE_ARGS(partition->error_message));
}

enum err load_response_check(const struct load_server *server, struct slice frame,
                             struct arena *arena, struct reason *reason)
{
    int16_t version = server->highest[API_KEY_PRODUCE];
    struct wire_reader reader;
    struct produce_response response;
    int32_t correlation_id;
    arena_reset(arena);
    wire_reader_init(&reader, frame, arena);
    enum err err = wire_response_header_decode(&reader, API_KEY_PRODUCE, version, &correlation_id);
    if (err == ERR_NONE) {
        err = produce_response_decode(&reader, version, &response);
    }
    if (err != ERR_NONE) {
        return reason_fail(reason, err, "the answer to a produce request is %s", err_name(err));
    }
    for (int32_t t = 0; t < response.responses_count; t++) {
        const struct produce_response_topic *topic = &response.responses[t];
        for (int32_t p = 0; p < topic->partition_responses_count && err == ERR_NONE; p++) {
            err = check_partition(&topic->partition_responses[p], reason);
        }
    }
    return err;
}
