#include "batch/batch.h"

#include "base/bytes.h"
#include "base/crc32c.h"

/* Where the fields of the header are. */
enum {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_RECORD_COUNT = 57,
};

static void read_fields(struct slice bytes, struct batch *batch)
{
    const uint8_t *from = bytes.data;
    *batch = (struct batch){
        .bytes = bytes,
        .base_offset = (int64_t)load_be64(from + AT_BASE_OFFSET),
        .leader_epoch = (int32_t)load_be32(from + AT_LEADER_EPOCH),
        .crc = load_be32(from + AT_CRC),
        .attributes = (int16_t)load_be16(from + AT_ATTRIBUTES),
        .last_offset_delta = (int32_t)load_be32(from + AT_LAST_OFFSET_DELTA),
        .base_timestamp = (int64_t)load_be64(from + AT_BASE_TIMESTAMP),
        .max_timestamp = (int64_t)load_be64(from + AT_MAX_TIMESTAMP),
        .producer_id = (int64_t)load_be64(from + AT_PRODUCER_ID),
        .producer_epoch = (int16_t)load_be16(from + AT_PRODUCER_EPOCH),
        .base_sequence = (int32_t)load_be32(from + AT_BASE_SEQUENCE),
        .record_count = (int32_t)load_be32(from + AT_RECORD_COUNT),
    };
}

enum err batch_parse(struct slice bytes, struct batch *batch, struct reason *reason)
{
    if (bytes.size <= AT_MAGIC) {
        return reason_fail(reason, ERR_TRUNCATED,
                           "record batch: %zu bytes end inside the %d-byte header", bytes.size,
                           BATCH_HEADER_BYTES);
    }
    int magic = (int8_t)bytes.data[AT_MAGIC];
    if (magic == 0 || magic == 1) {
        return reason_fail(reason, ERR_UNSUPPORTED_MAGIC,
                           "message format %d is not served; produce in format 2 (Kafka 0.11+)",
                           magic);
    }
    if (magic != BATCH_MAGIC_V2) {
        return reason_fail(reason, ERR_CORRUPT, "record batch: magic %d is unknown", magic);
    }
    int32_t length = (int32_t)load_be32(bytes.data + AT_LENGTH);
    if (length < BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD) {
        return reason_fail(reason, ERR_CORRUPT,
                           "record batch: length %d is less than its header takes (%d)", length,
                           BATCH_HEADER_BYTES - BATCH_LENGTH_OVERHEAD);
    }
    size_t size = (size_t)length + BATCH_LENGTH_OVERHEAD;
    if (size > bytes.size) {
        return reason_fail(reason, ERR_TRUNCATED, "record batch of %zu bytes ends after %zu", size,
                           bytes.size);
    }
    read_fields(slice_of(bytes.data, size), batch);
    return ERR_NONE;
}

enum err batch_check_crc(const struct batch *batch, struct reason *reason)
{
    uint32_t crc = crc32c(0, batch->bytes.data + AT_ATTRIBUTES, batch->bytes.size - AT_ATTRIBUTES);
    if (crc != batch->crc) {
        return reason_fail(reason, ERR_CORRUPT,
                           "record batch: CRC is %08x but the bytes give %08x (%zu bytes, base "
                           "offset %lld)",
                           batch->crc, crc, batch->bytes.size, (long long)batch->base_offset);
    }
    return ERR_NONE;
}

void batch_header_store(const struct batch *batch, uint8_t to[BATCH_HEADER_BYTES])
{
    store_be64(to + AT_BASE_OFFSET, (uint64_t)batch->base_offset);
    store_be32(to + AT_LENGTH, (uint32_t)(batch->bytes.size - BATCH_LENGTH_OVERHEAD));
    store_be32(to + AT_LEADER_EPOCH, (uint32_t)batch->leader_epoch);
    to[AT_MAGIC] = BATCH_MAGIC_V2;
    store_be32(to + AT_CRC, batch->crc);
    store_be16(to + AT_ATTRIBUTES, (uint16_t)batch->attributes);
    store_be32(to + AT_LAST_OFFSET_DELTA, (uint32_t)batch->last_offset_delta);
    store_be64(to + AT_BASE_TIMESTAMP, (uint64_t)batch->base_timestamp);
    store_be64(to + AT_MAX_TIMESTAMP, (uint64_t)batch->max_timestamp);
    store_be64(to + AT_PRODUCER_ID, (uint64_t)batch->producer_id);
    store_be16(to + AT_PRODUCER_EPOCH, (uint16_t)batch->producer_epoch);
    store_be32(to + AT_BASE_SEQUENCE, (uint32_t)batch->base_sequence);
    store_be32(to + AT_RECORD_COUNT, (uint32_t)batch->record_count);
}

void batch_renew_crc(struct batch *batch)
{
    uint8_t header[BATCH_HEADER_BYTES];
    batch_header_store(batch, header);
    uint32_t crc = crc32c(0, header + AT_ATTRIBUTES, BATCH_HEADER_BYTES - AT_ATTRIBUTES);
    batch->crc =
        crc32c(crc, batch->bytes.data + BATCH_HEADER_BYTES, batch->bytes.size - BATCH_HEADER_BYTES);
}

void batch_set_append_time(struct batch *batch, int64_t now_ms)
{
    batch->attributes |= BATCH_ATTRIBUTE_LOG_APPEND_TIME;
    batch->max_timestamp = now_ms;
    batch_renew_crc(batch);
}
