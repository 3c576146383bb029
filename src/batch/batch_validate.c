#include "batch/batch.h"

#include "base/mem.h"
#include "base/priority.h"
#include "batch/compression.h"
#include "batch/record.h"

enum { PIECE_RECORDS = 1024 }; /* some hundredths of a millisecond */

/* What a record's timestamp may be, both ends included. */
struct timestamp_range {
    int64_t from_ms;
    int64_t to_ms;
};

static struct timestamp_range timestamp_range_of(const struct batch_rules *rules, int64_t now_ms)
{
    struct timestamp_range range;
    if (__builtin_sub_overflow(now_ms, rules->timestamp_before_max_ms, &range.from_ms)) {
        range.from_ms = INT64_MIN;
    }
    if (__builtin_add_overflow(now_ms, rules->timestamp_after_max_ms, &range.to_ms)) {
        range.to_ms = INT64_MAX;
    }
    return range;
}

/* -1 says that there is no timestamp; it is always allowed. */
static inline bool timestamp_in_range(const struct timestamp_range *range, int64_t timestamp)
{
    return (timestamp >= range->from_ms && timestamp <= range->to_ms) || timestamp == -1;
}

static enum err fail_timestamp(const struct timestamp_range *range, int64_t timestamp,
                               const char *what, int32_t index, struct reason *reason)
{
    return reason_fail(reason, ERR_INVALID_TIMESTAMP,
                       "%s %d: timestamp %lld is outside %lld..%lld (message.timestamp.before/"
                       "after.max.ms around the broker's clock)",
                       what, index, (long long)timestamp, (long long)range->from_ms,
                       (long long)range->to_ms);
}

static enum err check_counts(const struct batch *batch, struct reason *reason)
{
    if (batch->record_count < 1) {
        return reason_fail(reason, ERR_INVALID_RECORD, "record batch: record count is %d",
                           batch->record_count);
    }
    if (batch->last_offset_delta != batch->record_count - 1) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record batch: last offset delta %d does not fit %d records",
                           batch->last_offset_delta, batch->record_count);
    }
    return ERR_NONE;
}

/*
 * A base sequence without a producer id is let pass: sarama and kafkajs send 0 there when they are
 * not idempotent.
 */
static enum err check_producer(const struct batch *batch, struct reason *reason)
{
    if (batch->producer_id < 0) {
        return batch_is_transactional(batch)
                   ? reason_fail(reason, ERR_INVALID_RECORD,
                                 "record batch: transactional, but without a producer id")
                   : ERR_NONE;
    }
    if (batch->base_sequence < 0) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record batch: producer id %lld with base sequence %d",
                           (long long)batch->producer_id, batch->base_sequence);
    }
    if (batch->producer_epoch < 0) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record batch: producer id %lld with producer epoch %d",
                           (long long)batch->producer_id, batch->producer_epoch);
    }
    return ERR_NONE;
}

static enum err check_header(const struct batch *batch, struct reason *reason)
{
    if ((batch->attributes & BATCH_ATTRIBUTE_COMPRESSION_MASK) > BATCH_COMPRESSION_ZSTD) {
        return reason_fail(reason, ERR_UNSUPPORTED_CODEC,
                           "record batch: compression type %d is unknown (0 none, 1 gzip, "
                           "2 snappy, 3 lz4, 4 zstd)",
                           batch->attributes & BATCH_ATTRIBUTE_COMPRESSION_MASK);
    }
    enum err err = check_counts(batch, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (batch_is_control(batch)) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record batch: clients may not write control records");
    }
    err = check_producer(batch, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (batch->attributes & BATCH_ATTRIBUTE_LOG_APPEND_TIME) {
        return reason_fail(reason, ERR_INVALID_TIMESTAMP,
                           "record batch: timestamp type LogAppendTime is the broker's to set");
    }
    return ERR_NONE;
}

static enum err check_max_timestamp(const struct batch *batch, const struct timestamp_range *range,
                                    struct reason *reason)
{
    if (!timestamp_in_range(range, batch->max_timestamp)) {
        return fail_timestamp(range, batch->max_timestamp, "record batch, max of",
                              batch->record_count, reason);
    }
    return ERR_NONE;
}

/* What a topic wants of a well-formed record. */
static enum err check_record_rules(const struct batch *batch, const struct record_fields *fields,
                                   int32_t index, bool keys_required,
                                   const struct timestamp_range *range, struct reason *reason)
{
    int64_t timestamp =
        (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)fields->timestamp_delta);
    if (!timestamp_in_range(range, timestamp)) {
        return fail_timestamp(range, timestamp, "record", index, reason);
    }
    if (keys_required && fields->key_size < 0) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record %d of %d: no key, which a compacted topic needs", index,
                           batch->record_count);
    }
    return ERR_NONE;
}

static enum err check_record_form(const struct batch *batch, int32_t index, const char *problem,
                                  const struct record_fields *fields, struct reason *reason)
{
    if (problem != NULL) {
        return reason_fail(reason, ERR_INVALID_RECORD, "record %d of %d: %s", index,
                           batch->record_count, problem);
    }
    if (fields->offset_delta != index) {
        return reason_fail(reason, ERR_INVALID_RECORD, "record %d of %d: its offset delta is %d",
                           index, batch->record_count, fields->offset_delta);
    }
    return ERR_NONE;
}

/* errors may be NULL. */
static void note_record(struct batch_record_errors *errors, int32_t index)
{
    if (errors != NULL) {
        vec_push(errors, index);
    }
}

/* Walks the uncompressed records of a batch whose counts agree. */
static enum err check_records(const struct batch *batch, struct slice records, bool keys_required,
                              const struct timestamp_range *range,
                              struct batch_record_errors *errors, struct reason *reason)
{
    const uint8_t *at = records.data;
    const uint8_t *end = at + records.size;
    enum err broken = ERR_NONE;
    for (int32_t i = 0; i < batch->record_count; i++) {
        if (i > 0 && i % PIECE_RECORDS == 0) {
            priority_give_way();
        }
        struct record_fields fields;
        const char *problem = record_decode(&at, end, &fields);
        enum err err = check_record_form(batch, i, problem, &fields, reason);
        if (err != ERR_NONE) {
            if (errors != NULL) {
                errors->count = 0;
            }
            note_record(errors, i);
            return err;
        }
        struct reason why;
        err = check_record_rules(batch, &fields, i, keys_required, range, &why);
        if (err == ERR_NONE) {
            continue;
        }
        note_record(errors, i);
        if (broken == ERR_NONE || (err == ERR_INVALID_TIMESTAMP && broken != err)) {
            broken = reason_fail(reason, err, "%s", why.text);
        }
    }
    if (broken == ERR_NONE && at != end) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record batch: %zu bytes follow the last of %d records",
                           (size_t)(end - at), batch->record_count);
    }
    return broken;
}

static struct slice stored_records(const struct batch *batch)
{
    return slice_of(batch->bytes.data + BATCH_HEADER_BYTES, batch->bytes.size - BATCH_HEADER_BYTES);
}

enum err batch_open(const struct batch *batch, size_t max_bytes, struct buf *plain,
                    struct reason *reason)
{
    return compression_decompress(batch_compression(batch), stored_records(batch), max_bytes, plain,
                                  reason);
}

static enum err open_checked(const struct batch *batch, const struct batch_rules *rules,
                             struct buf *plain, struct reason *reason)
{
    struct reason why;
    size_t most = rules->open_max_bytes;
    most = most == 0 || most > BATCH_DECOMPRESSED_MAX_BYTES ? BATCH_DECOMPRESSED_MAX_BYTES : most;
    enum err err = batch_open(batch, most, plain, &why);
    if (err == ERR_CORRUPT) {
        return reason_fail(reason, ERR_INVALID_RECORD,
                           "record batch: its records cannot be decompressed: %s", why.text);
    }
    if (err != ERR_NONE) {
        reason_fail(reason, err, "record batch: %s%s", why.text,
                    most < BATCH_DECOMPRESSED_MAX_BYTES
                        ? ", which is what memory.max and the other batches of its request leave"
                        : "");
    }
    return err;
}

static enum err check_content(const struct batch *batch, const struct batch_rules *rules,
                              const struct timestamp_range *range, struct buf *plain,
                              struct batch_record_errors *errors, struct reason *reason)
{
    struct slice records = stored_records(batch);
    if (batch_compression(batch) != BATCH_COMPRESSION_NONE) {
        enum err err = plain->size > 0 ? ERR_NONE : open_checked(batch, rules, plain, reason);
        if (err != ERR_NONE) {
            return err;
        }
        records = buf_slice(plain);
    }
    return check_records(batch, records, rules->keys_required, range, errors, reason);
}

/* plain NULL: compressed batches are not opened. */
static enum err validate(const struct batch *batch, const struct batch_rules *rules, int64_t now_ms,
                         struct buf *plain, struct batch_record_errors *errors,
                         struct reason *reason)
{
    struct timestamp_range range = timestamp_range_of(rules, now_ms);
    enum err err = ERR_NONE;
    if (batch->bytes.size > rules->max_bytes) {
        err = reason_fail(reason, ERR_TOO_LARGE,
                          "record batch of %zu bytes is larger than max.message.bytes=%zu",
                          batch->bytes.size, rules->max_bytes);
    }
    if (err == ERR_NONE) {
        err = batch_check_crc(batch, reason);
    }
    if (err == ERR_NONE) {
        err = check_header(batch, reason);
    }
    if (err == ERR_NONE && (plain != NULL || batch_compression(batch) == BATCH_COMPRESSION_NONE)) {
        err = check_content(batch, rules, &range, plain, errors, reason);
    }
    if (err == ERR_NONE) { /* after the records, which can say which of them it is */
        err = check_max_timestamp(batch, &range, reason);
    }
    return err;
}

enum err batch_validate_opened(const struct batch *batch, const struct batch_rules *rules,
                               int64_t now_ms, struct buf *plain,
                               struct batch_record_errors *errors, struct reason *reason)
{
    return validate(batch, rules, now_ms, plain, errors, reason);
}

enum err batch_validate(const struct batch *batch, const struct batch_rules *rules, int64_t now_ms,
                        struct batch_record_errors *errors, struct reason *reason)
{
    struct buf plain = {0};
    enum err err =
        validate(batch, rules, now_ms, batch_rules_open(rules) ? &plain : NULL, errors, reason);
    buf_deinit(&plain);
    return err;
}
