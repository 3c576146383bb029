#include "base/varint.h"
#include "batch/batch.h"
#include "batch/compression.h"

#include <assert.h>
#include <limits.h>

void batch_builder_init(struct batch_builder *builder)
{
    *builder = (struct batch_builder){
        .compression = BATCH_COMPRESSION_NONE,
        .base_timestamp = -1,
        .max_timestamp = -1,
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
    };
}

static size_t nullable_size(struct slice slice)
{
    return slice_is_null(slice) ? varlong_size(-1) : varlong_size((int64_t)slice.size) + slice.size;
}

static void append_nullable(struct buf *buf, struct slice slice)
{
    buf_append_varlong(buf, slice_is_null(slice) ? -1 : (int64_t)slice.size);
    buf_append_slice(buf, slice);
}

void batch_builder_add(struct batch_builder *builder, int64_t timestamp, struct slice key,
                       struct slice value, const struct record_header *headers,
                       int32_t header_count)
{
    if (builder->record_count == 0) {
        builder->base_timestamp = timestamp;
        builder->max_timestamp = timestamp;
    }
    if (timestamp > builder->max_timestamp) {
        builder->max_timestamp = timestamp;
    }
    int64_t timestamp_delta = (int64_t)((uint64_t)timestamp - (uint64_t)builder->base_timestamp);
    size_t size = 1 + varlong_size(timestamp_delta) + varlong_size(builder->record_count) +
                  nullable_size(key) + nullable_size(value) + varlong_size(header_count);
    for (int32_t i = 0; i < header_count; i++) {
        assert(!slice_is_null(headers[i].key));
        size += nullable_size(headers[i].key) + nullable_size(headers[i].value);
    }
    assert(size + builder->records.size < INT32_MAX);

    struct buf *to = &builder->records;
    buf_reserve(to, size + VARINT_MAX_BYTES);
    buf_append_varlong(to, (int64_t)size);
    buf_append_u8(to, 0);
    buf_append_varlong(to, timestamp_delta);
    buf_append_varlong(to, builder->record_count);
    append_nullable(to, key);
    append_nullable(to, value);
    buf_append_varlong(to, header_count);
    for (int32_t i = 0; i < header_count; i++) {
        append_nullable(to, headers[i].key);
        append_nullable(to, headers[i].value);
    }
    builder->record_count++;
}

enum err batch_builder_finish(struct batch_builder *builder, struct buf *out, struct reason *reason)
{
    assert(builder->record_count > 0);
    size_t start = out->size;
    buf_extend(out, BATCH_HEADER_BYTES);
    enum err err = compression_compress(builder->compression, INT_MIN, buf_slice(&builder->records),
                                        out, reason);
    if (err != ERR_NONE) {
        out->size = start;
        return err;
    }
    struct batch batch = {
        .bytes = slice_of(out->data + start, out->size - start),
        .leader_epoch = -1,
        .attributes = (int16_t)(builder->compression | builder->extra_attributes),
        .last_offset_delta = builder->record_count - 1,
        .base_timestamp = builder->base_timestamp,
        .max_timestamp = builder->max_timestamp,
        .producer_id = builder->producer_id,
        .producer_epoch = builder->producer_epoch,
        .base_sequence = builder->base_sequence,
        .record_count = builder->record_count,
    };
    batch_renew_crc(&batch);
    batch_header_store(&batch, out->data + start);
    return ERR_NONE;
}

void batch_builder_deinit(struct batch_builder *builder)
{
    buf_deinit(&builder->records);
}
