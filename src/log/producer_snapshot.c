#include "log/producer_state.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <string.h>
#include <utlist.h>

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_CRC_AT = 2,
    SNAPSHOT_ENTRIES_AT = 6,
    ENTRY_BYTES = 46,         /* of Kafka's part */
    BATCH_BYTES = 24,         /* of our section */
    OLDER_MAGIC = 0x54494435, /* "TID5" */
};

static const struct producer_batch no_batch = {.last_sequence = -1, .last_offset = -1};

static void encode_entry(const struct producer_entry *entry, struct buf *out)
{
    const struct producer_batch *last =
        entry->batch_count > 0 ? &entry->batches[entry->batch_count - 1] : &no_batch;
    buf_append_be64(out, (uint64_t)entry->producer_id);
    buf_append_be16(out, (uint16_t)entry->epoch);
    buf_append_be32(out, (uint32_t)last->last_sequence);
    buf_append_be64(out, (uint64_t)last->last_offset);
    buf_append_be32(out, (uint32_t)last->offset_delta);
    buf_append_be64(out, (uint64_t)entry->last_timestamp);
    buf_append_be32(out, (uint32_t)entry->coordinator_epoch);
    buf_append_be64(out, (uint64_t)entry->txn_first_offset);
}

/* The older batches of each entry, in the order of the entries: count u8, then the batches. */
static void encode_older(const struct producer_entry *entry, struct buf *out)
{
    int32_t older = entry->batch_count > 0 ? entry->batch_count - 1 : 0;
    buf_append_u8(out, (uint8_t)older);
    for (int32_t i = 0; i < older; i++) {
        const struct producer_batch *batch = &entry->batches[i];
        buf_append_be32(out, (uint32_t)batch->last_sequence);
        buf_append_be32(out, (uint32_t)batch->offset_delta);
        buf_append_be64(out, (uint64_t)batch->last_offset);
        buf_append_be64(out, (uint64_t)batch->timestamp);
    }
}

void producer_snapshot_encode(const struct producer_state *state, struct buf *out)
{
    size_t start = out->size;
    buf_append_be16(out, SNAPSHOT_VERSION);
    buf_append_be32(out, 0);
    buf_append_be32(out, HASH_COUNT(state->entries));
    for (const struct producer_entry *entry = state->entries; entry; entry = entry->hh.next) {
        encode_entry(entry, out);
    }
    buf_append_be32(out, OLDER_MAGIC);
    for (const struct producer_entry *entry = state->entries; entry; entry = entry->hh.next) {
        encode_older(entry, out);
    }
    uint8_t *file = out->data + start;
    uint32_t crc = crc32c(0, file + SNAPSHOT_ENTRIES_AT, out->size - start - SNAPSHOT_ENTRIES_AT);
    store_be32(file + SNAPSHOT_CRC_AT, crc);
}

static void decode_entry(struct producer_state *state, const uint8_t *from, int64_t now_ms)
{
    struct producer_entry *entry = producer_put_new(state, (int64_t)load_be64(from));
    entry->epoch = (int16_t)load_be16(from + 8);
    struct producer_batch last = {
        .last_sequence = (int32_t)load_be32(from + 10),
        .last_offset = (int64_t)load_be64(from + 14),
        .offset_delta = (int32_t)load_be32(from + 22),
        .timestamp = (int64_t)load_be64(from + 26),
    };
    entry->last_timestamp = last.timestamp;
    entry->coordinator_epoch = (int32_t)load_be32(from + 34);
    entry->txn_first_offset = (int64_t)load_be64(from + 38);
    entry->used_ms = now_ms;
    if (last.last_offset >= 0) {
        entry->batches[0] = last;
        entry->batch_count = 1;
    }
}

/* False when the section is not whole. */
static bool decode_older(struct producer_entry *entry, struct slice bytes, size_t *position)
{
    if (bytes.size - *position < 1) {
        return false;
    }
    int32_t count = bytes.data[(*position)++];
    if (count >= PRODUCER_BATCHES_KEPT || (count > 0 && entry->batch_count == 0) ||
        bytes.size - *position < (size_t)count * BATCH_BYTES) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    entry->batches[count] = entry->batches[0];
    entry->batch_count = count + 1;
    for (int32_t i = 0; i < count; i++, *position += BATCH_BYTES) {
        const uint8_t *from = bytes.data + *position;
        entry->batches[i] = (struct producer_batch){
            .last_sequence = (int32_t)load_be32(from),
            .offset_delta = (int32_t)load_be32(from + 4),
            .last_offset = (int64_t)load_be64(from + 8),
            .timestamp = (int64_t)load_be64(from + 16),
        };
    }
    return true;
}

static int by_first_offset(const struct producer_entry *a, const struct producer_entry *b)
{
    return a->txn_first_offset < b->txn_first_offset ? -1
                                                     : a->txn_first_offset > b->txn_first_offset;
}

static void list_open(struct producer_state *state)
{
    for (struct producer_entry *entry = state->entries; entry; entry = entry->hh.next) {
        if (entry->txn_first_offset >= 0) {
            DL_APPEND2(state->open, entry, open_prev, open_next);
        }
    }
    DL_SORT2(state->open, by_first_offset, open_prev, open_next);
}

static enum err check_head(struct slice bytes, uint32_t *count, struct reason *reason)
{
    if (bytes.size < SNAPSHOT_ENTRIES_AT + 4) {
        return reason_fail(reason, ERR_CORRUPT, "a producer snapshot of %zu bytes is too short",
                           bytes.size);
    }
    uint16_t version = load_be16(bytes.data);
    if (version != SNAPSHOT_VERSION) {
        return reason_fail(reason, ERR_UNSUPPORTED, "producer snapshot version %u is not known",
                           version);
    }
    if (load_be32(bytes.data + SNAPSHOT_CRC_AT) !=
        crc32c(0, bytes.data + SNAPSHOT_ENTRIES_AT, bytes.size - SNAPSHOT_ENTRIES_AT)) {
        return reason_fail(reason, ERR_CORRUPT, "the CRC of a producer snapshot does not fit");
    }
    *count = load_be32(bytes.data + SNAPSHOT_ENTRIES_AT);
    if (*count > (bytes.size - SNAPSHOT_ENTRIES_AT - 4) / ENTRY_BYTES) {
        return reason_fail(reason, ERR_CORRUPT, "a producer snapshot ends before its entries do");
    }
    return ERR_NONE;
}

enum err producer_snapshot_decode(struct producer_state *state, struct slice bytes, int64_t now_ms,
                                  struct reason *reason)
{
    producer_state_deinit(state);
    uint32_t count = 0;
    enum err err = check_head(bytes, &count, reason);
    if (err != ERR_NONE) {
        return err;
    }
    size_t position = SNAPSHOT_ENTRIES_AT + 4;
    for (uint32_t i = 0; i < count; i++, position += ENTRY_BYTES) {
        decode_entry(state, bytes.data + position, now_ms);
    }
    list_open(state);
    if (bytes.size - position < 4 || load_be32(bytes.data + position) != OLDER_MAGIC) {
        return ERR_NONE; /* written by Kafka */
    }
    position += 4;
    for (struct producer_entry *entry = state->entries; entry; entry = entry->hh.next) {
        if (!decode_older(entry, bytes, &position)) {
            producer_state_deinit(state);
            return reason_fail(reason, ERR_CORRUPT, "a producer snapshot ends inside its batches");
        }
    }
    return ERR_NONE;
}
