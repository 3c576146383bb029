#ifndef TIDINGS_BATCH_BATCH_H
#define TIDINGS_BATCH_BATCH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The record batch, message format v2 (documentation "Record Batch"; KIP-98). Byte layout:
 *   0 base offset i64 | 8 batch length i32 (bytes after this field) | 12 partition leader epoch i32
 *   16 magic i8 | 17 crc u32 (CRC-32C of byte 21 to the end) | 21 attributes i16
 *   23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64 | 43 producer id i64
 *   51 producer epoch i16 | 53 base sequence i32 | 57 records count i32 | 61 records
 * Base offset and leader epoch are outside the CRC, so a broker patches them in place.
 */
enum {
    BATCH_HEADER_BYTES = 61,
    BATCH_LENGTH_OVERHEAD = 12, /* what batch length does not count */
    BATCH_MAGIC_V2 = 2,
    /* What is decompressed of one batch at most where its records must be looked at. */
    BATCH_DECOMPRESSED_MAX_BYTES = 64 << 20,
};

enum batch_compression {
    BATCH_COMPRESSION_NONE = 0,
    BATCH_COMPRESSION_GZIP = 1,
    BATCH_COMPRESSION_SNAPPY = 2,
    BATCH_COMPRESSION_LZ4 = 3,
    BATCH_COMPRESSION_ZSTD = 4
};

enum {
    BATCH_ATTRIBUTE_COMPRESSION_MASK = 0x07,
    BATCH_ATTRIBUTE_LOG_APPEND_TIME = 0x08,
    BATCH_ATTRIBUTE_TRANSACTIONAL = 0x10,
    BATCH_ATTRIBUTE_CONTROL = 0x20,
    BATCH_ATTRIBUTE_DELETE_HORIZON = 0x40, /* the base timestamp is one: batch_filter.h */
};

/* A parsed header; `bytes` borrows the whole batch (header included). */
struct batch {
    struct slice bytes;
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence; /* -1: none */
    int32_t record_count;
};

/* The offset of the last record, which compaction may have taken away. */
static inline int64_t batch_last_offset(const struct batch *batch)
{
    int64_t last;
    bool over = __builtin_add_overflow(batch->base_offset, batch->last_offset_delta, &last);
    return over || last == INT64_MAX ? INT64_MAX - 1 : last;
}

/* The codec by the attributes; may be one that is not known. */
static inline enum batch_compression batch_compression(const struct batch *batch)
{
    return (enum batch_compression)(batch->attributes & BATCH_ATTRIBUTE_COMPRESSION_MASK);
}

/* Whether it belongs to a transaction, or is the marker that ends one. */
static inline bool batch_is_transactional(const struct batch *batch)
{
    return (batch->attributes & BATCH_ATTRIBUTE_TRANSACTIONAL) != 0;
}

/* Whether its records are control records, which consumers do not show. */
static inline bool batch_is_control(const struct batch *batch)
{
    return (batch->attributes & BATCH_ATTRIBUTE_CONTROL) != 0;
}

/*
 * Parses the batch at the front of bytes: sizes and magic only, no CRC. On success batch->bytes
 * covers exactly this batch. ERR_TRUNCATED when bytes end before the batch does (including fewer
 * than BATCH_HEADER_BYTES), ERR_UNSUPPORTED_MAGIC for message format 0 or 1, ERR_CORRUPT when the
 * length or magic cannot be; *batch is then untouched. Pure, as all of this header; any thread.
 */
CHECKED enum err batch_parse(struct slice bytes, struct batch *batch, struct reason *reason);

/* ERR_CORRUPT unless the CRC of the fields fits the bytes as they are: check before changing them.
 */
CHECKED enum err batch_check_crc(const struct batch *batch, struct reason *reason);

/* What a topic allows of the batches that producers send it. */
struct batch_rules {
    size_t max_bytes;                /* max.message.bytes: of one whole batch */
    bool keys_required;              /* compacted topic: a null key is ERR_INVALID_RECORD */
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms; INT64_MAX: any */
    int64_t timestamp_after_max_ms;
    bool open; /* compressed batches are opened and looked into, whatever else is asked */
    size_t open_max_bytes; /* what one may decompress into; 0: BATCH_DECOMPRESSED_MAX_BYTES */
};

/* Whether compressed batches must be decompressed: the rules say so, or speak of single records. */
static inline bool batch_rules_open(const struct batch_rules *rules)
{
    return rules->open || rules->keys_required || rules->timestamp_before_max_ms != INT64_MAX ||
           rules->timestamp_after_max_ms != INT64_MAX;
}

/* The records that broke a rule: for the response's RecordErrors (KIP-467). All zero at first;
 * indexes in the batch, rising; none: the batch as a whole is at fault, or nothing. vec_deinit it.
 */
struct batch_record_errors {
    VEC_FIELDS(int32_t);
};

/*
 * All that must hold before a parsed batch of a producer may be appended. Checked in this order:
 *   size within rules                                              ERR_TOO_LARGE
 *   CRC                                                            ERR_CORRUPT
 *   known codec                                                    ERR_UNSUPPORTED_CODEC
 *   one record or more, last offset delta = count - 1, no control batch, a producer id comes with
 *   epoch and base sequence, transactional with a producer id      ERR_INVALID_RECORD
 *   timestamp type is CreateTime, max timestamp within rules       ERR_INVALID_TIMESTAMP
 *   each record: lengths fit, offset deltas are 0, 1, 2..., a key where rules want one
 *                                                                  ERR_INVALID_RECORD
 *                its timestamp within rules                        ERR_INVALID_TIMESTAMP
 * Records of compressed batches are looked at only when batch_rules_open; then bytes that are not
 * of the codec give ERR_INVALID_RECORD, as the CRC has shown that they are the producer's own, and
 * more than the rules' open_max_bytes ERR_TOO_LARGE. Unknown attribute bits are ignored, and
 * timestamp -1 (none) is always allowed, as Kafka's broker does. Records without a key or with a
 * bad timestamp are all found, and reason tells of the first; the error is ERR_INVALID_TIMESTAMP
 * when there is one of that kind. Of malformed records only the first. now_ms: the wall clock.
 * errors may be NULL.
 */
CHECKED enum err batch_validate(const struct batch *batch, const struct batch_rules *rules,
                                int64_t now_ms, struct batch_record_errors *errors,
                                struct reason *reason);

/*
 * Appends the uncompressed records of a compressed batch to *plain, at most max_bytes of them:
 * ERR_TOO_LARGE past that, ERR_CORRUPT for bytes that are not of the codec, ERR_UNSUPPORTED_CODEC.
 */
CHECKED enum err batch_open(const struct batch *batch, size_t max_bytes, struct buf *plain,
                            struct reason *reason);

/*
 * The same, but looks at the records of compressed batches too, and leaves what it decompressed in
 * *plain for batch_recompress. *plain is empty at first, or what batch_open gave; it stays empty
 * when the batch is not compressed; it is to be freed also after an error.
 */
CHECKED enum err batch_validate_opened(const struct batch *batch, const struct batch_rules *rules,
                                       int64_t now_ms, struct buf *plain,
                                       struct batch_record_errors *errors, struct reason *reason);

/*
 * The same records in another codec: appends the new batch to *out and makes *batch it, with its
 * CRC; everything but codec, sizes and CRC stays. plain: the uncompressed records. level: of the
 * codec, INT_MIN for its default. ERR_UNSUPPORTED_CODEC, ERR_INVALID (a level that the codec does
 * not have); *batch and *out are then as they were.
 */
CHECKED enum err batch_recompress(struct batch *batch, struct slice plain,
                                  enum batch_compression compression, int level, struct buf *out,
                                  struct reason *reason);

/*
 * Writes the header that the fields of *batch describe: how a batch gets its offset and leader
 * epoch without touching the producer's bytes. The records behind it are batch->bytes from
 * BATCH_HEADER_BYTES on.
 */
void batch_header_store(const struct batch *batch, uint8_t to[BATCH_HEADER_BYTES]);

/*
 * message.timestamp.type=LogAppendTime: sets the attribute and max timestamp, renews the CRC.
 * Fields only: batch->bytes stay the producer's, batch_header_store writes what must replace them.
 */
void batch_set_append_time(struct batch *batch, int64_t now_ms);

/* The CRC over the header that the fields describe and the records of batch->bytes. */
void batch_renew_crc(struct batch *batch);

/*
 * Computes the max timestamp from the records when the header lacks it (-1), and renews the CRC.
 * The batch was validated. ERR_CORRUPT, ERR_INVALID_RECORD, ERR_TOO_LARGE when the records are bad.
 */
CHECKED enum err batch_mend_max_timestamp(struct batch *batch, struct reason *reason);

/* One record. Slices borrow the batch (or the iterator's decompressed buffer). */
struct record {
    int64_t offset;
    int64_t timestamp;    /* absolute */
    struct slice key;     /* null slice: no key */
    struct slice value;   /* null slice: tombstone */
    struct slice headers; /* encoded headers; see record_header_next */
    int32_t header_count;
};

/*
 * Walks the records of a batch. Decompresses into its own memory, at most max_bytes of it
 * (ERR_TOO_LARGE past it). Usage: init, next until *done, deinit (always). Hostile bytes give
 * ERR_CORRUPT and never a slice outside the records; the CRC is not looked at. Offsets are what the
 * records say, with gaps after compaction.
 */
struct record_iterator {
    struct batch batch;
    struct slice records; /* uncompressed records */
    struct buf decompressed;
    size_t position;
    int32_t index; /* of the next record */
};

/* Begins before the first record; decompresses at most max_bytes. ERR_CORRUPT,
 * ERR_UNSUPPORTED_CODEC, ERR_TOO_LARGE; record_iterator_deinit also after an error. The batch
 * outlives it. */
CHECKED enum err record_iterator_init(struct record_iterator *iterator, const struct batch *batch,
                                      size_t max_bytes, struct reason *reason);
/* ERR_NONE with *done false and the next record, or *done true at the end; ERR_CORRUPT. */
CHECKED enum err record_iterator_next(struct record_iterator *iterator, struct record *record,
                                      bool *done, struct reason *reason);
void record_iterator_deinit(struct record_iterator *iterator);

struct record_header {
    struct slice key;
    struct slice value; /* may be null */
};

/*
 * Reads the header at *position (0 at first) of record->headers and moves on; false at the end.
 * The iterator has checked that header_count well-formed ones are there.
 */
CHECKED bool record_header_next(struct slice headers, size_t *position,
                                struct record_header *header);

/*
 * Builds one batch. Usage: init, add records, finish, deinit. Records get offsets base + 0, 1, 2...
 * and the batch is complete with CRC; the appender patches the base offset.
 */
struct batch_builder {
    struct buf records;
    enum batch_compression compression;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int16_t extra_attributes; /* transactional, control */
    int32_t record_count;
};

/* producer id, epoch and base sequence start as -1, compression as none. Set fields after it. */
void batch_builder_init(struct batch_builder *builder);
/* Copies. At most 2 GiB of records; header keys are not null. headers may be NULL when none. */
void batch_builder_add(struct batch_builder *builder, int64_t timestamp, struct slice key,
                       struct slice value, const struct record_header *headers,
                       int32_t header_count);
/*
 * Appends the finished batch (base offset 0, leader epoch -1) to *out. At least one record was
 * added. ERR_UNSUPPORTED_CODEC and out as it was. The builder is then only good for deinit.
 */
CHECKED enum err batch_builder_finish(struct batch_builder *builder, struct buf *out,
                                      struct reason *reason);
void batch_builder_deinit(struct batch_builder *builder);

#endif
