#include "batch/batch_filter.h"

#include "base/varint.h"
#include "batch/compression.h"
#include "batch/record.h"

#include <assert.h>
#include <limits.h>

/* A record with another timestamp delta. */
static void append_record(struct buf *out, const struct record_fields *fields, const uint8_t *start,
                          int64_t timestamp_delta)
{
    /* From the offset delta on all stays; before it stand length, attributes and timestamp. */
    const uint8_t *at = start;
    int32_t size;
    int64_t old_delta;
    at = record_length(at, fields->end, &size);
    uint8_t attributes = at[0];
    at = record_varlong(at + 1, fields->end, &old_delta);
    size_t rest = (size_t)(fields->end - at);
    buf_append_varlong(out, (int64_t)(1 + varlong_size(timestamp_delta) + rest));
    buf_append_u8(out, attributes);
    buf_append_varlong(out, timestamp_delta);
    buf_append(out, at, rest);
}

/* The records that are left, with deltas from header->base_timestamp; completes the header. */
static void keep_records(const struct batch *batch, struct slice records, const uint8_t *keep,
                         struct batch *header, struct buf *out)
{
    const uint8_t *at = records.data;
    const uint8_t *end = at + records.size;
    uint64_t shift = (uint64_t)batch->base_timestamp - (uint64_t)header->base_timestamp;
    int64_t largest = INT64_MIN;
    header->record_count = 0;
    for (int32_t i = 0; i < batch->record_count; i++) {
        const uint8_t *start = at;
        struct record_fields fields;
        const char *problem = record_decode(&at, end, &fields);
        assert(problem == NULL);
        if (!keep[i]) {
            continue;
        }
        int64_t timestamp =
            (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)fields.timestamp_delta);
        largest = timestamp > largest ? timestamp : largest;
        if (shift == 0) {
            buf_append(out, start, (size_t)(at - start));
        } else {
            append_record(out, &fields, start, (int64_t)((uint64_t)fields.timestamp_delta + shift));
        }
        header->record_count++;
    }
    assert(header->record_count > 0);
    if (!(batch->attributes & BATCH_ATTRIBUTE_LOG_APPEND_TIME)) {
        header->max_timestamp = largest;
    }
}

static void finish(struct batch *header, struct buf *out, size_t start)
{
    header->bytes = slice_of(out->data + start, out->size - start);
    batch_renew_crc(header);
    batch_header_store(header, out->data + start);
}

enum err batch_filter(const struct batch *batch, struct slice records, const uint8_t *keep,
                      int64_t delete_horizon_ms, struct buf *out, struct reason *reason)
{
    struct batch header = *batch;
    if (delete_horizon_ms >= 0) {
        header.attributes |= BATCH_ATTRIBUTE_DELETE_HORIZON;
        header.base_timestamp = delete_horizon_ms;
    }
    size_t start = out->size;
    buf_extend(out, BATCH_HEADER_BYTES);
    if (batch_compression(batch) == BATCH_COMPRESSION_NONE) {
        keep_records(batch, records, keep, &header, out);
        finish(&header, out, start);
        return ERR_NONE;
    }
    struct buf plain = {0};
    keep_records(batch, records, keep, &header, &plain);
    enum err err =
        compression_compress(batch_compression(batch), INT_MIN, buf_slice(&plain), out, reason);
    buf_deinit(&plain);
    if (err != ERR_NONE) {
        out->size = start;
        return err;
    }
    finish(&header, out, start);
    return ERR_NONE;
}

void batch_filter_all(const struct batch *batch, struct buf *out)
{
    struct batch header = *batch;
    header.attributes &=
        BATCH_ATTRIBUTE_LOG_APPEND_TIME | BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    header.base_timestamp = -1;
    header.record_count = 0;
    size_t start = out->size;
    buf_extend(out, BATCH_HEADER_BYTES);
    finish(&header, out, start);
}
