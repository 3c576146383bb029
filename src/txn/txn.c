#include "txn/txn.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static const char *const state_names[TXN_STATE_COUNT] = {
    [TXN_EMPTY] = "Empty",
    [TXN_ONGOING] = "Ongoing",
    [TXN_PREPARE_COMMIT] = "PrepareCommit",
    [TXN_PREPARE_ABORT] = "PrepareAbort",
    [TXN_COMPLETE_COMMIT] = "CompleteCommit",
    [TXN_COMPLETE_ABORT] = "CompleteAbort",
    [TXN_DEAD] = "Dead",
    [TXN_PREPARE_EPOCH_FENCE] = "PrepareEpochFence",
};

const char *txn_state_name(enum txn_state state)
{
    return (unsigned)state < TXN_STATE_COUNT ? state_names[state] : "Unknown";
}

bool txn_state_parse(struct slice name, enum txn_state *state)
{
    for (unsigned i = 0; i < TXN_STATE_COUNT; i++) {
        if (slice_equal_str(name, state_names[i])) {
            *state = (enum txn_state)i;
            return true;
        }
    }
    return false;
}

/* ---- partitions ---- */

static int compare(const struct txn_partition *item, struct slice topic, int32_t index)
{
    int order = slice_compare(item->topic, topic);
    return order != 0 ? order : (item->index > index) - (item->index < index);
}

/* Where the partition is, or would go. */
static size_t find(const struct txn_partitions *set, struct slice topic, int32_t index, bool *found)
{
    size_t low = 0;
    size_t high = set->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&set->items[middle], topic, index);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool txn_partitions_has(const struct txn_partitions *set, struct slice topic, int32_t index)
{
    bool found;
    (void)find(set, topic, index, &found);
    return found;
}

bool txn_partitions_add(struct txn_partitions *set, struct slice topic, int32_t index)
{
    bool found;
    size_t at = find(set, topic, index, &found);
    if (found) {
        return false;
    }
    vec_reserve(set, 1);
    memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof *set->items);
    set->items[at] = (struct txn_partition){
        .topic = slice_of(mem_dup(topic.data, topic.size), topic.size),
        .index = index,
    };
    set->topic_bytes += mem_cost(topic.size);
    set->count++;
    return true;
}

void txn_partitions_clear(struct txn_partitions *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free((void *)(uintptr_t)set->items[i].topic.data);
    }
    free(set->items);
    *set = (struct txn_partitions){0};
}

/* ---- life ---- */

struct txn *txn_new(struct slice id, int64_t producer_id, const struct txn_config *config,
                    struct clock_time now)
{
    struct txn *txn = mem_new(struct txn);
    txn->id = slice_of(mem_dup(id.data, id.size), id.size);
    txn->fields = (struct txn_fields){
        .state = TXN_EMPTY,
        .producer_id = producer_id,
        .previous_producer_id = -1,
        .next_producer_id = -1,
        .producer_epoch = -1,
        .last_producer_epoch = -1,
        .started_wall_ms = -1,
        .updated_wall_ms = now.wall_ms,
    };
    txn->deadline_ms = now.mono_ms + config->expiration_ms;
    return txn;
}

void txn_free(struct txn *txn)
{
    txn_partitions_clear(&txn->partitions);
    free((void *)(uintptr_t)txn->id.data);
    free(txn);
}

/* ---- checks ---- */

/* An id in messages: long ones are cut. */
enum { ID_SHOWN_BYTES = 100 };

#define ID_ARGS(txn)                                                                               \
    (int)((txn)->id.size < ID_SHOWN_BYTES ? (txn)->id.size : ID_SHOWN_BYTES),                      \
        (const char *)(txn)->id.data

static enum err fail_fenced(const struct txn *txn, int16_t epoch, struct reason *reason)
{
    return reason_fail(reason, ERR_TXN_PRODUCER_FENCED,
                       "transactional id '%.*s' is at producer epoch %d, the request is of epoch "
                       "%d: a newer producer has the id, or the transaction timed out",
                       ID_ARGS(txn), txn->fields.producer_epoch, epoch);
}

static enum err fail_mapping(const struct txn *txn, struct txn_producer producer,
                             struct reason *reason)
{
    return reason_fail(reason, ERR_PRODUCER_ID_MAPPING,
                       "transactional id '%.*s' has producer %lld (epoch %d), the request is of "
                       "producer %lld (epoch %d)",
                       ID_ARGS(txn), (long long)txn->fields.producer_id, txn->fields.producer_epoch,
                       (long long)producer.id, producer.epoch);
}

static enum err fail_concurrent(const struct txn *txn, int16_t epoch, struct reason *reason)
{
    return reason_fail(reason, ERR_CONCURRENT_TXNS,
                       "transactional id '%.*s' (epoch %d) is still in %s, the request is of epoch "
                       "%d: try again soon",
                       ID_ARGS(txn), txn->fields.producer_epoch, txn_state_name(txn->fields.state),
                       epoch);
}

static enum err fail_state(const struct txn *txn, const struct txn_end_request *request,
                           struct reason *reason)
{
    return reason_fail(reason, ERR_INVALID_TXN_STATE,
                       "transactional id '%.*s' (epoch %d) is in %s and cannot be %s by epoch %d",
                       ID_ARGS(txn), txn->fields.producer_epoch, txn_state_name(txn->fields.state),
                       request->commit ? "committed" : "aborted", request->producer.epoch);
}

enum err txn_check_timeout(const struct txn_config *config, int32_t timeout_ms,
                           struct reason *reason)
{
    if (timeout_ms > 0 && timeout_ms <= config->max_timeout_ms) {
        return ERR_NONE;
    }
    return reason_fail(reason, ERR_INVALID_TXN_TIMEOUT,
                       "a transaction time-out of %d ms is outside 1 to "
                       "transaction.max.timeout.ms=%d",
                       (int)timeout_ms, (int)config->max_timeout_ms);
}

/* ---- changes ---- */

static bool epochs_used_up(const struct txn *txn)
{
    return txn->fields.producer_epoch >= TXN_LAST_EPOCH;
}

/* A change to `state` that keeps the rest; every update notes the producer id before it. */
static void change_to(const struct txn *txn, enum txn_state state, struct clock_time now,
                      struct txn_change *change)
{
    *change = (struct txn_change){.store = true, .fields = txn->fields};
    change->fields.state = state;
    change->fields.previous_producer_id = txn->fields.producer_id;
    change->fields.updated_wall_ms = now.wall_ms;
}

/* What the client is told once the change is on disk. */
static void answer_with_fields(struct txn_change *change)
{
    bool overflow = change->fields.next_producer_id >= 0;
    change->producer_id = overflow ? change->fields.next_producer_id : change->fields.producer_id;
    change->producer_epoch = overflow ? 0 : change->fields.producer_epoch;
}

static bool may_init(const struct txn *txn, const struct txn_init_request *request)
{
    const struct txn_fields *fields = &txn->fields;
    return request->producer_id < 0 || fields->producer_epoch < 0 ||
           request->producer_id == fields->producer_id ||
           (request->producer_id == fields->previous_producer_id &&
            request->producer_epoch >= TXN_LAST_EPOCH);
}

/* The next epoch, or the first of a new producer id when they are used up. */
static enum err rotate_or_raise(const struct txn *txn, const struct txn_init_request *request,
                                struct clock_time now, struct txn_change *change,
                                struct reason *reason)
{
    const struct txn_fields *fields = &txn->fields;
    int16_t epoch = fields->producer_epoch;
    bool expects = request->producer_id >= 0 && epoch >= 0;
    bool current = !expects || request->producer_epoch == epoch;
    change_to(txn, TXN_EMPTY, now, change);
    change->fields.timeout_ms = request->timeout_ms;
    change->fields.started_wall_ms = -1;
    change->clear_partitions = true;
    if (!current && request->producer_epoch != fields->last_producer_epoch) {
        return fail_fenced(txn, request->producer_epoch, reason);
    }
    if (current || epoch > TXN_LAST_EPOCH) {
        if (epochs_used_up(txn) && request->new_producer_id < 0) {
            return ERR_AGAIN;
        }
        change->fields.last_producer_epoch = expects ? request->producer_epoch : -1;
        change->fields.producer_epoch = epochs_used_up(txn) ? 0 : (int16_t)(epoch + 1);
        if (epochs_used_up(txn)) {
            change->fields.producer_id = request->new_producer_id;
        }
    } /* else a retry of a request that was carried out: the same answer (KIP-360) */
    answer_with_fields(change);
    return ERR_NONE;
}

enum err txn_init(const struct txn *txn, const struct txn_init_request *request,
                  struct clock_time now, struct txn_change *change, struct reason *reason)
{
    *change = (struct txn_change){0};
    if (txn_is_prepared(txn)) {
        return fail_concurrent(txn, request->producer_epoch, reason);
    }
    if (!may_init(txn, request)) {
        return fail_fenced(txn, request->producer_epoch, reason);
    }
    if (txn->fields.state == TXN_ONGOING) {
        txn_fence(txn, now, change);
        change->answer = ERR_CONCURRENT_TXNS;
        return ERR_NONE;
    }
    enum err err = rotate_or_raise(txn, request, now, change, reason);
    if (err != ERR_NONE) {
        *change = (struct txn_change){0};
    }
    return err;
}

static bool holds_all(const struct txn *txn, const struct txn_partition *partitions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!txn_partitions_has(&txn->partitions, partitions[i].topic, partitions[i].index)) {
            return false;
        }
    }
    return true;
}

enum err txn_add(const struct txn *txn, struct txn_producer producer, int16_t version,
                 const struct txn_partition *partitions, size_t count, struct clock_time now,
                 struct txn_change *change, struct reason *reason)
{
    *change = (struct txn_change){0};
    /* First: the client may know its next producer id already, which is not in force yet. */
    if (txn_is_prepared(txn)) {
        return fail_concurrent(txn, producer.epoch, reason);
    }
    enum err err = txn_verify(txn, producer, reason);
    bool ongoing = txn->fields.state == TXN_ONGOING;
    if (err != ERR_NONE || (ongoing && holds_all(txn, partitions, count))) {
        return err;
    }
    change_to(txn, TXN_ONGOING, now, change);
    change->fields.client_version = version;
    change->added = partitions;
    change->added_count = count;
    if (!ongoing) {
        change->fields.started_wall_ms = now.wall_ms;
    }
    return ERR_NONE;
}

enum err txn_verify(const struct txn *txn, struct txn_producer producer, struct reason *reason)
{
    if (txn->fields.producer_id != producer.id) {
        return fail_mapping(txn, producer, reason);
    }
    if (txn->fields.producer_epoch != producer.epoch || producer.epoch > TXN_LAST_EPOCH) {
        return fail_fenced(txn, producer.epoch, reason); /* the very last epoch is nobody's */
    }
    if (txn_is_prepared(txn)) {
        return fail_concurrent(txn, producer.epoch, reason);
    }
    return ERR_NONE;
}

/* ---- the end ---- */

static void prepare(const struct txn *txn, bool commit, struct clock_time now,
                    struct txn_change *change)
{
    change_to(txn, commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT, now, change);
    if (txn->fields.state != TXN_ONGOING) {
        change->fields.started_wall_ms = now.wall_ms; /* an abort of nothing (KIP-890) */
    }
}

static void prepare_raised(const struct txn *txn, bool commit, struct clock_time now,
                           struct txn_change *change)
{
    prepare(txn, commit, now, change);
    change->fields.client_version = TXN_VERSION_2;
    change->fields.last_producer_epoch = txn->fields.producer_epoch;
    if (txn->fields.producer_epoch < INT16_MAX) {
        change->fields.producer_epoch = (int16_t)(txn->fields.producer_epoch + 1);
    }
}

static enum err end_version_1(const struct txn *txn, const struct txn_end_request *request,
                              struct clock_time now, struct txn_change *change,
                              struct reason *reason)
{
    const struct txn_fields *fields = &txn->fields;
    if (fields->producer_id != request->producer.id) {
        return fail_mapping(txn, request->producer, reason);
    }
    if (fields->producer_epoch != request->producer.epoch) {
        return fail_fenced(txn, request->producer.epoch, reason);
    }
    if (txn_is_prepared(txn)) {
        return fail_concurrent(txn, request->producer.epoch, reason);
    }
    if (fields->state == TXN_ONGOING) {
        prepare(txn, request->commit, now, change);
        change->fields.client_version = TXN_VERSION_1;
        return ERR_NONE;
    }
    bool repeated = fields->state == (request->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    return repeated ? ERR_NONE : fail_state(txn, request, reason);
}

/*
 * Current epoch: of the producer's next transaction, which only an abort may end while it is not
 * begun. Epoch before (or the last one of the producer id before): a retry.
 *
 *                   abort               commit
 *                   retry     current   retry     current
 *   Empty           fenced    abort     fenced    bad state
 *   CompleteAbort   done      abort     bad state bad state
 *   CompleteCommit  bad state abort     done      bad state
 */
static enum err end_version_2(const struct txn *txn, const struct txn_end_request *request,
                              struct clock_time now, struct txn_change *change,
                              struct reason *reason)
{
    const struct txn_fields *fields = &txn->fields;
    struct txn_producer producer = request->producer;
    bool complete = fields->state == TXN_COMPLETE_COMMIT || fields->state == TXN_COMPLETE_ABORT;
    bool rotated = fields->previous_producer_id == producer.id &&
                   producer.epoch == TXN_LAST_EPOCH && fields->producer_epoch == 0;
    bool retry = complete && (rotated || fields->producer_epoch == producer.epoch + 1);
    if (txn_is_prepared(txn)) {
        return fail_concurrent(txn, producer.epoch, reason);
    }
    if (fields->producer_id != producer.id && !rotated) {
        return fail_mapping(txn, producer, reason);
    }
    bool last = fields->producer_epoch > TXN_LAST_EPOCH; /* there is none to end with after it */
    if (last || (fields->producer_epoch != producer.epoch && !retry)) {
        return fail_fenced(txn, producer.epoch, reason);
    }
    if (retry) {
        bool same = fields->state == (request->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
        return same ? ERR_NONE : fail_state(txn, request, reason);
    }
    if (fields->state != TXN_ONGOING && request->commit) {
        return fail_state(txn, request, reason);
    }
    if (epochs_used_up(txn) && request->new_producer_id < 0) {
        return ERR_AGAIN;
    }
    prepare_raised(txn, request->commit, now, change);
    if (epochs_used_up(txn)) {
        change->fields.next_producer_id = request->new_producer_id;
    }
    return ERR_NONE;
}

enum err txn_end(const struct txn *txn, const struct txn_end_request *request,
                 struct clock_time now, struct txn_change *change, struct reason *reason)
{
    *change = (struct txn_change){.fields = txn->fields};
    enum err err = request->version >= TXN_VERSION_2
                       ? end_version_2(txn, request, now, change, reason)
                       : end_version_1(txn, request, now, change, reason);
    answer_with_fields(change);
    return err;
}

void txn_fence(const struct txn *txn, struct clock_time now, struct txn_change *change)
{
    assert(txn->fields.state == TXN_ONGOING);
    prepare_raised(txn, false, now, change);
    answer_with_fields(change);
}

void txn_complete(const struct txn *txn, struct clock_time now, struct txn_change *change)
{
    assert(txn_is_prepared(txn));
    bool commit = txn->fields.state == TXN_PREPARE_COMMIT;
    change_to(txn, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT, now, change);
    change->clear_partitions = true;
    if (txn->fields.next_producer_id >= 0) {
        change->fields.producer_id = txn->fields.next_producer_id;
        change->fields.next_producer_id = -1;
        change->fields.producer_epoch = 0;
    }
    answer_with_fields(change);
}

void txn_expire(const struct txn *txn, struct txn_change *change)
{
    assert(txn->fields.state != TXN_ONGOING && !txn_is_prepared(txn));
    *change = (struct txn_change){
        .store = true, .dead = true, .fields = txn->fields, .clear_partitions = true};
    change->fields.state = TXN_DEAD;
}

/* ---- what logs show ---- */

enum txn_claim txn_claim(const struct txn *txn, struct txn_producer producer,
                         const struct txn_partition *partition, struct clock_time now,
                         struct txn_change *change)
{
    const struct txn_fields *fields = &txn->fields;
    *change = (struct txn_change){0};
    bool has = txn_partitions_has(&txn->partitions, partition->topic, partition->index);
    if (fields->producer_id != producer.id) {
        return TXN_CLAIM_ORPHAN;
    }
    if (txn_is_prepared(txn)) {
        return has ? TXN_CLAIM_KNOWN : TXN_CLAIM_ORPHAN;
    }
    if (fields->producer_epoch > producer.epoch) {
        return TXN_CLAIM_ORPHAN;
    }
    if (fields->producer_epoch < producer.epoch) {
        change_to(txn, fields->state, now, change);
        change->fields.producer_epoch = producer.epoch;
        change->fields.last_producer_epoch = -1;
        return TXN_CLAIM_ORPHAN;
    }
    if (fields->state == TXN_ONGOING && has) {
        return TXN_CLAIM_KNOWN;
    }
    change_to(txn, TXN_ONGOING, now, change);
    change->added = partition;
    change->added_count = 1;
    if (fields->state != TXN_ONGOING) {
        change->fields.started_wall_ms = now.wall_ms;
    }
    return TXN_CLAIM_ADOPT;
}

/* ---- applying ---- */

/* How much of `whole_ms` is left by the wall clock: clocks jump, so never more than all of it. */
static int64_t left_ms(int64_t whole_ms, int64_t since_wall_ms, struct clock_time now)
{
    int64_t gone_ms;
    if (__builtin_sub_overflow(now.wall_ms, since_wall_ms, &gone_ms)) {
        return since_wall_ms > now.wall_ms ? whole_ms : 0; /* a record that says anything */
    }
    return gone_ms <= 0 ? whole_ms : gone_ms >= whole_ms ? 0 : whole_ms - gone_ms;
}

static void set_deadline(struct txn *txn, const struct txn_config *config, struct clock_time now)
{
    const struct txn_fields *fields = &txn->fields;
    if (fields->state == TXN_ONGOING) {
        txn->deadline_ms = now.mono_ms + left_ms(fields->timeout_ms, fields->started_wall_ms, now);
    } else if (txn_is_prepared(txn) || fields->state == TXN_DEAD) {
        txn->deadline_ms = INT64_MAX;
    } else {
        txn->deadline_ms =
            now.mono_ms + left_ms(config->expiration_ms, fields->updated_wall_ms, now);
    }
}

static void add_all(struct txn_partitions *set, const struct txn_partition *added, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)txn_partitions_add(set, added[i].topic, added[i].index);
    }
}

void txn_apply(struct txn *txn, const struct txn_change *change, const struct txn_config *config,
               struct clock_time now)
{
    assert(change->store);
    bool goes_on = txn->fields.state == TXN_ONGOING && change->fields.state == TXN_ONGOING;
    txn->fields = change->fields;
    if (change->clear_partitions) {
        txn_partitions_clear(&txn->partitions);
    }
    add_all(&txn->partitions, change->added, change->added_count);
    if (!goes_on) { /* more partitions give no more time, whatever the wall clock does */
        set_deadline(txn, config, now);
    }
}
