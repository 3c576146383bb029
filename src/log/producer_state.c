#include "log/producer_state.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void producer_state_deinit(struct producer_state *state)
{
    struct producer_entry *entry;
    struct producer_entry *next;
    HASH_ITER (hh, state->entries, entry, next) {
        HASH_DEL(state->entries, entry);
        free(entry);
    }
    state->entries = NULL;
}

struct producer_entry *producer_find(const struct producer_state *state, int64_t producer_id)
{
    struct producer_entry *entry;
    HASH_FIND(hh, state->entries, &producer_id, sizeof producer_id, entry);
    return entry;
}

int32_t producer_sequence_add(int32_t sequence, int32_t count)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)count) & INT32_MAX);
}

static int32_t first_sequence(const struct producer_batch *batch)
{
    return (int32_t)(((uint32_t)batch->last_sequence - (uint32_t)batch->offset_delta) & INT32_MAX);
}

static const struct producer_batch *find_duplicate(const struct producer_entry *entry,
                                                   const struct batch *batch)
{
    if (entry->epoch != batch->producer_epoch) {
        return NULL;
    }
    int32_t last = producer_sequence_add(batch->base_sequence, batch->last_offset_delta);
    for (int32_t i = 0; i < entry->batch_count; i++) {
        const struct producer_batch *kept = &entry->batches[i];
        if (kept->last_sequence == last && first_sequence(kept) == batch->base_sequence) {
            return kept;
        }
    }
    return NULL;
}

static enum err check_sequence(const struct producer_entry *entry, const struct batch *batch,
                               struct reason *reason)
{
    if (entry->epoch != batch->producer_epoch) {
        if (batch->base_sequence != 0 && entry->epoch >= 0) {
            return reason_fail(reason, ERR_OUT_OF_ORDER_SEQUENCE,
                               "producer %lld begins epoch %d with sequence %d, not 0",
                               (long long)entry->producer_id, batch->producer_epoch,
                               batch->base_sequence);
        }
        return ERR_NONE;
    }
    int32_t last =
        entry->batch_count > 0 ? entry->batches[entry->batch_count - 1].last_sequence : -1;
    int32_t expected = last < 0 ? 0 : producer_sequence_add(last, 1);
    if (batch->base_sequence != expected) {
        return reason_fail(reason, ERR_OUT_OF_ORDER_SEQUENCE,
                           "producer %lld sent sequence %d where %d comes next",
                           (long long)entry->producer_id, batch->base_sequence, expected);
    }
    return ERR_NONE;
}

enum err producer_check(const struct producer_state *state, const struct batch *batch,
                        int64_t *first_offset, int64_t *last_offset, struct reason *reason)
{
    if (batch->producer_id < 0) {
        return ERR_NONE;
    }
    const struct producer_entry *entry = producer_find(state, batch->producer_id);
    if (entry == NULL) {
        return ERR_NONE;
    }
    const struct producer_batch *duplicate = find_duplicate(entry, batch);
    if (duplicate != NULL) {
        *last_offset = duplicate->last_offset;
        *first_offset = duplicate->last_offset - duplicate->offset_delta;
        return reason_fail(reason, ERR_DUPLICATE_SEQUENCE, "producer %lld sent sequence %d again",
                           (long long)entry->producer_id, batch->base_sequence);
    }
    if (batch->producer_epoch < entry->epoch) {
        return reason_fail(reason, ERR_PRODUCER_FENCED,
                           "producer %lld has epoch %d, the log has seen %d",
                           (long long)entry->producer_id, batch->producer_epoch, entry->epoch);
    }
    return check_sequence(entry, batch, reason);
}

static struct producer_entry *find_or_add(struct producer_state *state, int64_t producer_id)
{
    struct producer_entry *entry = producer_find(state, producer_id);
    if (entry == NULL) {
        entry = mem_new(struct producer_entry);
        entry->producer_id = producer_id;
        entry->epoch = -1;
        entry->coordinator_epoch = -1;
        entry->txn_first_offset = -1;
        HASH_ADD(hh, state->entries, producer_id, sizeof entry->producer_id, entry);
    }
    return entry;
}

static void take_epoch(struct producer_entry *entry, int16_t epoch)
{
    if (entry->epoch != epoch) {
        entry->epoch = epoch;
        entry->batch_count = 0;
    }
}

static void keep_batch(struct producer_entry *entry, const struct producer_batch *batch)
{
    if (entry->batch_count == PRODUCER_BATCHES_KEPT) {
        memmove(&entry->batches[0], &entry->batches[1],
                (PRODUCER_BATCHES_KEPT - 1) * sizeof entry->batches[0]);
        entry->batch_count--;
    }
    entry->batches[entry->batch_count++] = *batch;
}

void producer_update(struct producer_state *state, const struct batch *batch, int64_t now_ms)
{
    if (batch->producer_id < 0) {
        return;
    }
    struct producer_entry *entry = find_or_add(state, batch->producer_id);
    take_epoch(entry, batch->producer_epoch);
    entry->last_timestamp = batch->max_timestamp;
    entry->used_ms = now_ms;
    if (batch->base_sequence >= 0) {
        struct producer_batch kept = {
            .last_sequence = producer_sequence_add(batch->base_sequence, batch->last_offset_delta),
            .offset_delta = batch->last_offset_delta,
            .last_offset = batch_last_offset(batch),
            .timestamp = batch->max_timestamp,
        };
        keep_batch(entry, &kept);
    }
    if (batch_is_transactional(batch) && entry->txn_first_offset < 0) {
        entry->txn_first_offset = batch->base_offset;
    }
    state->changes++;
}

void producer_update_marker(struct producer_state *state, const struct batch *batch,
                            int32_t coordinator_epoch, int64_t now_ms)
{
    if (batch->producer_id < 0) {
        return;
    }
    struct producer_entry *entry = find_or_add(state, batch->producer_id);
    take_epoch(entry, batch->producer_epoch);
    entry->coordinator_epoch = coordinator_epoch;
    entry->last_timestamp = batch->max_timestamp;
    entry->used_ms = now_ms;
    entry->txn_first_offset = -1;
    state->changes++;
}

/* Control record (protocol guide, "Control Batches"): key version i16, type i16 (0 abort, 1
 * commit); value version i16, coordinator epoch i32. */
static bool read_marker(const struct batch *batch, int32_t *coordinator_epoch)
{
    enum { MARKER_BYTES = 4096 };
    struct record_iterator iterator;
    struct record record;
    bool done = true;
    bool found = false;
    if (record_iterator_init(&iterator, batch, MARKER_BYTES, NULL) == ERR_NONE &&
        record_iterator_next(&iterator, &record, &done, NULL) == ERR_NONE && !done &&
        record.key.size >= 4 && record.value.size >= 6) {
        found = load_be16(record.key.data + 2) <= 1;
        *coordinator_epoch = (int32_t)load_be32(record.value.data + 2);
    }
    record_iterator_deinit(&iterator);
    return found;
}

void producer_apply(struct producer_state *state, const struct batch *batch, int64_t now_ms)
{
    int32_t coordinator_epoch;
    if (!batch_is_control(batch)) {
        producer_update(state, batch, now_ms);
    } else if (batch->producer_id >= 0 && read_marker(batch, &coordinator_epoch)) {
        producer_update_marker(state, batch, coordinator_epoch, now_ms);
    }
}

void producer_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms)
{
    struct producer_entry *entry;
    struct producer_entry *next;
    HASH_ITER (hh, state->entries, entry, next) {
        if (entry->txn_first_offset < 0 && now_ms - entry->used_ms >= expiration_ms) {
            HASH_DEL(state->entries, entry);
            free(entry);
            state->changes++;
        }
    }
}
