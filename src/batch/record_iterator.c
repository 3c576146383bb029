#include "batch/batch.h"
#include "batch/compression.h"
#include "batch/record.h"

enum err record_iterator_init(struct record_iterator *iterator, const struct batch *batch,
                              size_t max_bytes, struct reason *reason)
{
    *iterator = (struct record_iterator){.batch = *batch};
    if (batch->record_count < 0) {
        return reason_fail(reason, ERR_CORRUPT, "record batch at offset %lld: record count is %d",
                           (long long)batch->base_offset, batch->record_count);
    }
    iterator->records =
        slice_of(batch->bytes.data + BATCH_HEADER_BYTES, batch->bytes.size - BATCH_HEADER_BYTES);
    if (batch_compression(batch) == BATCH_COMPRESSION_NONE || batch->record_count == 0) {
        return ERR_NONE;
    }
    enum err err = compression_decompress(batch_compression(batch), iterator->records, max_bytes,
                                          &iterator->decompressed, reason);
    iterator->records = buf_slice(&iterator->decompressed);
    return err;
}

static struct slice nullable(const uint8_t *data, int32_t size)
{
    return size < 0 ? slice_of(NULL, 0) : slice_of(data, (size_t)size);
}

static void fill(const struct batch *batch, const struct record_fields *fields,
                 struct record *record)
{
    /* Unsigned sums: hostile deltas wrap instead of overflowing. */
    int64_t timestamp =
        (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)fields->timestamp_delta);
    *record = (struct record){
        .offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)fields->offset_delta),
        .timestamp =
            batch->attributes & BATCH_ATTRIBUTE_LOG_APPEND_TIME ? batch->max_timestamp : timestamp,
        .key = nullable(fields->key, fields->key_size),
        .value = nullable(fields->value, fields->value_size),
        .headers = slice_of(fields->headers, (size_t)(fields->end - fields->headers)),
        .header_count = fields->header_count,
    };
}

enum err record_iterator_next(struct record_iterator *iterator, struct record *record, bool *done,
                              struct reason *reason)
{
    const struct batch *batch = &iterator->batch;
    const uint8_t *at = iterator->records.data + iterator->position;
    const uint8_t *end = iterator->records.data + iterator->records.size;
    *done = iterator->index >= batch->record_count;
    if (*done) {
        if (at != end) {
            return reason_fail(reason, ERR_CORRUPT,
                               "record batch at offset %lld: %zu bytes follow the last of %d "
                               "records",
                               (long long)batch->base_offset, (size_t)(end - at),
                               batch->record_count);
        }
        return ERR_NONE;
    }
    struct record_fields fields;
    const char *problem = record_decode(&at, end, &fields);
    if (problem != NULL) {
        return reason_fail(reason, ERR_CORRUPT, "record batch at offset %lld, record %d of %d: %s",
                           (long long)batch->base_offset, iterator->index, batch->record_count,
                           problem);
    }
    fill(batch, &fields, record);
    iterator->position = (size_t)(at - iterator->records.data);
    iterator->index++;
    return ERR_NONE;
}

void record_iterator_deinit(struct record_iterator *iterator)
{
    buf_deinit(&iterator->decompressed);
}

bool record_header_next(struct slice headers, size_t *position, struct record_header *header)
{
    if (*position >= headers.size) {
        return false;
    }
    const uint8_t *end = headers.data + headers.size;
    int32_t size;
    const uint8_t *at = record_length(headers.data + *position, end, &size);
    if (at == NULL || size < 0) {
        return false;
    }
    header->key = slice_of(at, (size_t)size);
    at = record_length(at + size, end, &size);
    if (at == NULL) {
        return false;
    }
    header->value = nullable(at, size);
    *position = (size_t)(at - headers.data) + header->value.size;
    return true;
}
