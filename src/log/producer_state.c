#include "log/producer_state.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- coming and going ---- */

/* Tells the budget of one entry more or less. hash: it is the only one. */
static void count_entry(const struct producer_state *state, bool more, bool hash)
{
    if (state->budget == NULL) {
        return;
    }
    size_t bytes = mem_cost(sizeof(struct producer_entry)) + (hash ? MEM_HASH_COST : 0);
    if (more) {
        budget_add(state->budget, BUDGET_PRODUCERS, bytes);
    } else {
        budget_give(state->budget, BUDGET_PRODUCERS, bytes);
    }
}

static void drop(struct producer_state *state, struct producer_entry *entry)
{
    HASH_DEL(state->entries, entry);
    DL_DELETE2(state->by_use, entry, use_prev, use_next);
    if (entry->txn_first_offset >= 0 &&
        entry->open_prev != NULL) { /* one that is read is not yet */
        DL_DELETE2(state->open, entry, open_prev, open_next);
    }
    free(entry);
    count_entry(state, false, state->entries == NULL);
}

void producer_state_deinit(struct producer_state *state)
{
    while (state->by_use != NULL) {
        drop(state, state->by_use);
    }
}

struct producer_entry *producer_put_new(struct producer_state *state, int64_t producer_id)
{
    struct producer_entry *old = producer_find(state, producer_id);
    if (old != NULL) {
        drop(state, old);
    }
    struct producer_entry *entry = mem_new(struct producer_entry);
    entry->producer_id = producer_id;
    entry->txn_first_offset = -1;
    count_entry(state, true, state->entries == NULL);
    HASH_ADD(hh, state->entries, producer_id, sizeof entry->producer_id, entry);
    DL_APPEND2(state->by_use, entry, use_prev, use_next);
    return entry;
}

/* One that was not used for so long and has no transaction open; looks at the first few. */
static struct producer_entry *find_idle(const struct producer_state *state, int64_t now_ms,
                                        int64_t idle_ms)
{
    struct producer_entry *entry = state->by_use;
    for (int i = 0; i < 32 && entry != NULL && now_ms - entry->used_ms >= idle_ms; i++) {
        if (entry->txn_first_offset < 0) {
            return entry;
        }
        entry = entry->use_next;
    }
    return NULL;
}

enum err producer_check_room(struct producer_state *state, int64_t producer_id, int64_t now_ms,
                             struct reason *reason)
{
    if (state->budget == NULL) {
        return ERR_NONE;
    }
    const struct budget_used *share = &state->budget->shares[BUDGET_PRODUCERS];
    size_t part = (size_t)share->limit_bytes / PRODUCER_LOG_PART;
    size_t here = HASH_COUNT(state->entries) * mem_cost(sizeof(struct producer_entry));
    if (here + PRODUCER_COST <= part &&
        budget_has_room(state->budget, BUDGET_PRODUCERS, PRODUCER_COST, here)) {
        return ERR_NONE;
    }
    struct producer_entry *idle = find_idle(state, now_ms, PRODUCER_SPARED_MS);
    if (idle != NULL) {
        drop(state, idle);
        state->changes++;
        return ERR_NONE;
    }
    return reason_fail(
        reason, ERR_LIMIT,
        "there is no memory for producer %lld beside %u others: share=%s has %lld of "
        "%lld bytes in use, one partition gets a quarter; see memory.max",
        (long long)producer_id, HASH_COUNT(state->entries), budget_share_name(BUDGET_PRODUCERS),
        (long long)share->bytes, (long long)share->limit_bytes);
}

/* ---- looking ---- */

struct producer_entry *producer_find(const struct producer_state *state, int64_t producer_id)
{
    struct producer_entry *entry;
    HASH_FIND(hh, state->entries, &producer_id, sizeof producer_id, entry);
    return entry;
}

int64_t producer_first_open(const struct producer_state *state)
{
    return state->open == NULL ? INT64_MAX : state->open->txn_first_offset;
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

static enum err check_epoch(const struct producer_entry *entry, const struct batch *batch,
                            struct reason *reason)
{
    if (batch->producer_epoch < entry->epoch) {
        return reason_fail(reason, ERR_PRODUCER_FENCED,
                           "producer %lld has epoch %d, the log has seen %d",
                           (long long)entry->producer_id, batch->producer_epoch, entry->epoch);
    }
    return ERR_NONE;
}

static enum err check_txn(const struct producer_entry *entry, const struct batch *batch,
                          struct reason *reason)
{
    if (entry->txn_first_offset >= 0 && !batch_is_transactional(batch)) {
        return reason_fail(reason, ERR_INVALID_TXN_STATE,
                           "producer %lld has a transaction open since offset %lld and sent a "
                           "batch outside of it",
                           (long long)entry->producer_id, (long long)entry->txn_first_offset);
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
    enum err err = check_epoch(entry, batch, reason);
    if (err == ERR_NONE) {
        err = check_sequence(entry, batch, reason);
    }
    return err == ERR_NONE ? check_txn(entry, batch, reason) : err;
}

enum err producer_check_own(const struct producer_state *state, const struct batch *batch,
                            struct reason *reason)
{
    const struct producer_entry *entry =
        batch->producer_id < 0 ? NULL : producer_find(state, batch->producer_id);
    if (entry == NULL) {
        return ERR_NONE;
    }
    enum err err = check_epoch(entry, batch, reason);
    struct batch_marker marker;
    if (err != ERR_NONE || !batch_is_control(batch)) {
        return err == ERR_NONE ? check_txn(entry, batch, reason) : err;
    }
    if (batch_marker_read(batch, &marker) && marker.coordinator_epoch < entry->coordinator_epoch) {
        return reason_fail(reason, ERR_COORDINATOR_FENCED,
                           "the marker of producer %lld is of coordinator epoch %d, the log has "
                           "seen %d",
                           (long long)entry->producer_id, marker.coordinator_epoch,
                           entry->coordinator_epoch);
    }
    return ERR_NONE;
}

static struct producer_entry *find_or_add(struct producer_state *state, int64_t producer_id)
{
    struct producer_entry *entry = producer_find(state, producer_id);
    if (entry == NULL) {
        entry = producer_put_new(state, producer_id);
        entry->epoch = -1;
        entry->coordinator_epoch = -1;
    }
    return entry;
}

static void use(struct producer_state *state, struct producer_entry *entry, int64_t now_ms)
{
    entry->used_ms = now_ms;
    if (entry->use_next != NULL) {
        DL_DELETE2(state->by_use, entry, use_prev, use_next);
        DL_APPEND2(state->by_use, entry, use_prev, use_next);
    }
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
    use(state, entry, now_ms);
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
        /* Offsets rise, so the list stays in order. */
        DL_APPEND2(state->open, entry, open_prev, open_next);
    }
    state->changes++;
}

static bool end_txn(struct producer_state *state, struct producer_entry *entry,
                    struct producer_txn *ended)
{
    if (entry->txn_first_offset < 0) {
        return false; /* a transaction without records here */
    }
    ended->producer_id = entry->producer_id;
    ended->first_offset = entry->txn_first_offset;
    entry->txn_first_offset = -1;
    DL_DELETE2(state->open, entry, open_prev, open_next);
    int64_t next_open = producer_first_open(state);
    ended->last_stable_offset = next_open < ended->last_offset ? next_open : ended->last_offset + 1;
    return true;
}

bool producer_apply(struct producer_state *state, const struct batch *batch, int64_t now_ms,
                    struct producer_txn *ended)
{
    struct batch_marker marker;
    if (!batch_is_control(batch)) {
        producer_update(state, batch, now_ms);
        return false;
    }
    if (!batch_marker_read(batch, &marker)) {
        return false;
    }
    struct producer_entry *entry = find_or_add(state, batch->producer_id);
    take_epoch(entry, batch->producer_epoch);
    entry->coordinator_epoch = marker.coordinator_epoch;
    entry->last_timestamp = batch->max_timestamp;
    use(state, entry, now_ms);
    state->changes++;
    *ended =
        (struct producer_txn){.last_offset = batch_last_offset(batch), .aborted = !marker.commit};
    return end_txn(state, entry, ended);
}

void producer_forget_txns(struct producer_state *state)
{
    struct producer_entry *entry;
    struct producer_entry *next;
    DL_FOREACH_SAFE2(state->open, entry, next, open_next)
    {
        entry->txn_first_offset = -1;
        DL_DELETE2(state->open, entry, open_prev, open_next);
        state->changes++;
    }
}

void producer_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms)
{
    bool tight =
        state->budget != NULL && state->budget->shares[BUDGET_PRODUCERS].bytes >
                                     state->budget->shares[BUDGET_PRODUCERS].limit_bytes / 8 * 7;
    if (tight && expiration_ms > PRODUCER_SPARED_MS) {
        expiration_ms = PRODUCER_SPARED_MS;
    }
    struct producer_entry *entry;
    struct producer_entry *next;
    DL_FOREACH_SAFE2(state->by_use, entry, next, use_next)
    {
        if (entry->used_ms > now_ms - expiration_ms) {
            break;
        }
        if (entry->txn_first_offset < 0) {
            drop(state, entry);
            state->changes++;
        }
    }
}
