#include "group/consumer_state.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * Offsets that a transaction holds (TxnOffsetCommit; KIP-98, KIP-447): nobody sees them until the
 * transaction's marker is in the group's partition of __consumer_offsets. They keep the place in
 * the log that they were stored at: a later plain commit of the same partition outlives them.
 */
struct group_txn_offset {
    struct group_offset_entry *entry; /* its txn_pending counts this */
    struct group_txn_offset *earlier; /* what holds when this cannot be stored; NULL: none */
    uint64_t sequence;
    int64_t offset;
    int32_t leader_epoch;
    struct slice metadata; /* owned */
    int64_t commit_wall_ms;
    UT_hash_handle hh; /* by entry */
};

struct group_txn {
    int64_t producer_id;
    struct group_txn_offset *offsets;
    UT_hash_handle hh;
};

static struct group_txn *find_txn(const struct group *group, int64_t producer_id)
{
    struct group_txn *txn;
    HASH_FIND(hh, group->txns, &producer_id, sizeof producer_id, txn);
    return txn;
}

bool group_has_txn(const struct group *group, int64_t producer_id)
{
    return find_txn(group, producer_id) != NULL;
}

/* What it holds is stored: what was held before is not needed any more. */
static void forget_earlier(struct group_txn_offset *held)
{
    while (held->earlier != NULL) {
        struct group_txn_offset *earlier = held->earlier;
        held->earlier = earlier->earlier;
        kept_free(&earlier->metadata);
        free(earlier);
    }
}

static void drop_offset(struct group *group, struct group_txn *txn, struct group_txn_offset *held)
{
    struct group_offset_entry *entry = held->entry;
    HASH_DEL(txn->offsets, held);
    forget_earlier(held);
    kept_free(&held->metadata);
    free(held);
    entry->txn_pending--;
    group_free_offset_if_unused(group, entry);
}

static void free_txn_if_empty(struct group *group, struct group_txn *txn)
{
    if (txn->offsets == NULL) {
        HASH_DEL(group->txns, txn);
        free(txn);
    }
}

/* The transaction of the producer now holds this for the item's partition. */
static struct group_txn_offset *hold_offset(struct group *group, int64_t producer_id,
                                            const struct group_commit_item *item, uint64_t sequence,
                                            int64_t commit_wall_ms)
{
    struct group_txn *txn = find_txn(group, producer_id);
    if (txn == NULL) {
        txn = mem_new(struct group_txn);
        txn->producer_id = producer_id;
        HASH_ADD(hh, group->txns, producer_id, sizeof txn->producer_id, txn);
    }
    struct group_txn_offset *held;
    HASH_FIND_PTR(txn->offsets, &item->entry, held);
    if (held == NULL) {
        held = mem_new(struct group_txn_offset);
        held->entry = item->entry;
        held->entry->txn_pending++;
        HASH_ADD_PTR(txn->offsets, entry, held);
    } else {
        struct group_txn_offset *earlier = mem_dup(held, sizeof *held);
        held->earlier = earlier;
        held->metadata = (struct slice){0}; /* the copy's now */
    }
    held->sequence = sequence;
    held->offset = item->offset;
    held->leader_epoch = item->leader_epoch;
    kept_set(&held->metadata, item->metadata);
    held->commit_wall_ms = commit_wall_ms;
    return held;
}

void group_txn_forget_offset(struct group *group, struct group_offset_entry *entry)
{
    struct group_txn *txn, *next;
    entry->pending++; /* it stays for whoever called */
    HASH_ITER (hh, group->txns, txn, next) {
        struct group_txn_offset *held;
        HASH_FIND_PTR(txn->offsets, &entry, held);
        if (held != NULL) {
            drop_offset(group, txn, held);
            free_txn_if_empty(group, txn);
        }
    }
    entry->pending--;
}

bool group_txn_end(struct group *group, int64_t producer_id, bool commit)
{
    struct group_txn *txn = find_txn(group, producer_id);
    if (txn == NULL) {
        return false;
    }
    struct group_txn_offset *held, *next;
    HASH_ITER (hh, txn->offsets, held, next) {
        if (commit) {
            struct group_commit_item item = {
                .entry = held->entry,
                .offset = held->offset,
                .leader_epoch = held->leader_epoch,
                .metadata = held->metadata,
                .expire_wall_ms = -1,
            };
            group_put_offset(&item, held->sequence, held->commit_wall_ms);
        }
        drop_offset(group, txn, held);
    }
    free_txn_if_empty(group, txn);
    return true;
}

/* ---- TxnOffsetCommit ---- */

/* As Kafka's ClassicGroup: the generation counts only when the request names a member, which
 * clients before KIP-447 do not, and a rebalance under way does not matter. */
static enum err check_commit(struct group *group, const struct group_txn_commit_request *request)
{
    if (group->consumer != NULL && (request->generation >= 0 || group->state != GROUP_EMPTY)) {
        enum err err =
            consumer_check_commit(group, request->member_id, request->generation, 0, true);
        return err == ERR_STALE_MEMBER_EPOCH ? ERR_ILLEGAL_GENERATION : err;
    }
    bool by_member = request->generation >= 0 || request->member_id.size > 0 ||
                     !slice_is_null(request->instance_id);
    if (!by_member || (request->generation < 0 && group->state == GROUP_EMPTY)) {
        return ERR_NONE;
    }
    struct group_member *member;
    enum err err = group_check_member(group, request->member_id, request->instance_id, &member);
    return err == ERR_NONE && request->generation != group->generation ? ERR_ILLEGAL_GENERATION
                                                                       : err;
}

void group_reply_txn_commit_error(struct group_effects *effects,
                                  const struct group_txn_commit_request *request, enum err err)
{
    group_reply_offsets_error(effects, GROUP_REPLY_TXN_OFFSET_COMMIT, &request->waiter,
                              request->offsets, request->count, err);
}

void group_txn_commit(struct group *group, const struct group_txn_commit_request *request,
                      struct group_time now, struct group_effects *effects)
{
    enum err err = check_commit(group, request);
    if (err != ERR_NONE) {
        group_reply_txn_commit_error(effects, request, err);
        return;
    }
    struct group_store *store = group_store_new(group, GROUP_STORE_TXN_OFFSETS);
    store->producer_id = request->producer_id;
    store->producer_epoch = request->producer_epoch;
    struct group_reply *reply =
        group_stage_offsets(group, store, GROUP_REPLY_TXN_OFFSET_COMMIT, &request->waiter,
                            request->offsets, request->count, -1, now);
    /* From now on, not only once it is on disk: who is to have stable offsets waits from now on. */
    for (size_t i = 0; i < store->offset_count; i++) {
        (void)hold_offset(group, store->producer_id, &store->offsets[i], store->sequence,
                          store->commit_wall_ms);
    }
    group_emit_offsets(store, reply, effects);
}

/* What was held with this sequence could not be stored: what was held before it counts again. */
static void take_back(struct group *group, struct group_txn *txn, struct group_txn_offset *held,
                      uint64_t sequence)
{
    struct group_txn_offset **at = &held->earlier;
    struct group_txn_offset *lost;
    if (held->sequence == sequence && held->earlier == NULL) {
        drop_offset(group, txn, held);
        return;
    }
    if (held->sequence == sequence) {
        lost = held->earlier;
        kept_set(&held->metadata, lost->metadata);
        held->sequence = lost->sequence;
        held->offset = lost->offset;
        held->leader_epoch = lost->leader_epoch;
        held->commit_wall_ms = lost->commit_wall_ms;
    } else {
        while (*at != NULL && (*at)->sequence != sequence) {
            at = &(*at)->earlier;
        }
        lost = *at;
    }
    if (lost != NULL) {
        *at = lost->earlier;
        kept_free(&lost->metadata);
        free(lost);
    }
}

void group_txn_stored(struct group *group, struct group_store *store, enum err err,
                      struct group_effects *effects)
{
    struct group_txn *txn = find_txn(group, store->producer_id);
    for (size_t i = 0; i < store->offset_count && txn != NULL; i++) {
        struct group_txn_offset *held;
        HASH_FIND_PTR(txn->offsets, &store->offsets[i].entry, held);
        if (held != NULL && err == ERR_NONE && held->sequence == store->sequence) {
            forget_earlier(held);
        } else if (held != NULL && err != ERR_NONE) {
            take_back(group, txn, held, store->sequence);
        }
    }
    if (txn != NULL) {
        free_txn_if_empty(group, txn);
    }
    group_settle_offsets(group, store, err, effects);
}

/* ---- replay ---- */

enum err group_apply_txn_record(struct group *group, int64_t producer_id,
                                const struct group_record_key *key, struct slice value)
{
    if (key->kind != GROUP_RECORD_OFFSET || slice_is_null(value)) {
        return ERR_NONE; /* transactions write nothing else */
    }
    struct group_commit_item item = {
        .entry = group_take_offset(group, key->topic, key->partition),
    };
    struct arena arena = {0};
    int64_t commit_wall_ms;
    enum err err = group_read_offset(value, &arena, &item, &commit_wall_ms);
    if (err == ERR_NONE) {
        forget_earlier(hold_offset(group, producer_id, &item, ++group->sequence, commit_wall_ms));
    } else {
        group_free_offset_if_unused(group, item.entry);
    }
    arena_deinit(&arena);
    return err;
}
