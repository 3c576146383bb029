#include "group/offset_table.h"

#include "base/bytes.h"
#include "group/group_offsets.h"
#include "group/room.h"

#include <stdlib.h>

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

#define TXN_COST (mem_cost(sizeof(struct group_txn)) + MEM_HASH_COST)

/* ---- what they take ---- */

static size_t entry_cost(size_t topic_size)
{
    return mem_cost(sizeof(struct group_offset_entry)) + mem_cost(4 + topic_size);
}

static size_t held_cost(struct slice metadata)
{
    return mem_cost(sizeof(struct group_txn_offset)) + kept_cost(metadata);
}

size_t group_offset_growth(const struct group_offset_entry *entry, struct slice topic,
                           struct slice metadata, bool held)
{
    size_t bytes = entry == NULL ? entry_cost(topic.size) : 0;
    if (held) {
        return bytes + held_cost(metadata);
    }
    size_t had = entry == NULL ? 0 : kept_cost(entry->metadata);
    size_t note = mem_cost(metadata.size);
    return bytes + (note > had ? note - had : 0);
}

/* ---- the table ---- */

static struct slice make_key(struct slice topic, int32_t partition)
{
    uint8_t *key = mem_alloc(4 + topic.size);
    store_be32(key, (uint32_t)partition);
    slice_copy(key + 4, topic);
    return slice_of(key, 4 + topic.size);
}

struct group_offset_entry *group_find_offset(const struct group *group, struct slice topic,
                                             int32_t partition)
{
    struct group_offset_entry *entry = NULL;
    struct slice key = make_key(topic, partition);
    HASH_FIND(hh, group->offsets, key.data, key.size, entry);
    kept_free(&key);
    return entry;
}

struct group_offset_entry *group_add_offset(struct group *group, struct slice topic,
                                            int32_t partition)
{
    struct group_offset_entry *entry = mem_new(struct group_offset_entry);
    entry->key = make_key(topic, partition);
    entry->topic = slice_of(entry->key.data + 4, topic.size);
    entry->partition = partition;
    HASH_ADD_KEYPTR(hh, group->offsets, entry->key.data, entry->key.size, entry);
    group->offset_bytes += entry_cost(topic.size);
    return entry;
}

struct group_offset_entry *group_take_offset(struct group *group, struct slice topic,
                                             int32_t partition)
{
    struct group_offset_entry *entry = group_find_offset(group, topic, partition);
    return entry != NULL ? entry : group_add_offset(group, topic, partition);
}

void group_free_offset_if_unused(struct group *group, struct group_offset_entry *entry)
{
    if (!entry->present && entry->pending == 0 && entry->txn_pending == 0) {
        HASH_DEL(group->offsets, entry);
        group->offset_bytes -= entry_cost(entry->topic.size) + kept_cost(entry->metadata);
        kept_free(&entry->key);
        kept_free(&entry->metadata);
        free(entry);
    }
}

void group_put_offset(struct group *group, const struct group_commit_item *item, uint64_t sequence,
                      int64_t commit_wall_ms)
{
    struct group_offset_entry *entry = item->entry;
    if (sequence < entry->sequence) { /* equal: named twice in one commit, the last holds */
        return;
    }
    entry->present = true;
    entry->sequence = sequence;
    entry->offset = item->offset;
    entry->leader_epoch = item->leader_epoch;
    group->offset_bytes += kept_cost(item->metadata) - kept_cost(entry->metadata);
    kept_set(&entry->metadata, item->metadata);
    entry->commit_wall_ms = commit_wall_ms;
    entry->expire_wall_ms = item->expire_wall_ms;
}

/* ---- what transactions hold ---- */

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
static void forget_earlier(struct group *group, struct group_txn_offset *held)
{
    while (held->earlier != NULL) {
        struct group_txn_offset *earlier = held->earlier;
        held->earlier = earlier->earlier;
        group->offset_bytes -= held_cost(earlier->metadata);
        kept_free(&earlier->metadata);
        free(earlier);
    }
}

static void drop_offset(struct group *group, struct group_txn *txn, struct group_txn_offset *held)
{
    struct group_offset_entry *entry = held->entry;
    HASH_DEL(txn->offsets, held);
    forget_earlier(group, held);
    group->offset_bytes -= held_cost(held->metadata);
    kept_free(&held->metadata);
    free(held);
    entry->txn_pending--;
    group_free_offset_if_unused(group, entry);
}

static void free_txn_if_empty(struct group *group, struct group_txn *txn)
{
    if (txn->offsets == NULL) {
        HASH_DEL(group->txns, txn);
        group->offset_bytes -= TXN_COST;
        free(txn);
    }
}

void group_hold_offset(struct group *group, int64_t producer_id,
                       const struct group_commit_item *item, uint64_t sequence,
                       int64_t commit_wall_ms)
{
    struct group_txn *txn = find_txn(group, producer_id);
    if (txn == NULL) {
        txn = mem_new(struct group_txn);
        txn->producer_id = producer_id;
        HASH_ADD(hh, group->txns, producer_id, sizeof txn->producer_id, txn);
        group->offset_bytes += TXN_COST;
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
    group->offset_bytes += held_cost(held->metadata);
    held->commit_wall_ms = commit_wall_ms;
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
        group->offset_bytes += kept_cost(lost->metadata) - kept_cost(held->metadata);
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
        group->offset_bytes -= held_cost(lost->metadata);
        kept_free(&lost->metadata);
        free(lost);
    }
}

void group_settle_held(struct group *group, int64_t producer_id,
                       const struct group_commit_item *items, size_t count, uint64_t sequence,
                       bool stored)
{
    struct group_txn *txn = find_txn(group, producer_id);
    for (size_t i = 0; i < count && txn != NULL; i++) {
        struct group_txn_offset *held;
        HASH_FIND_PTR(txn->offsets, &items[i].entry, held);
        if (held != NULL && stored && held->sequence == sequence) {
            forget_earlier(group, held);
        } else if (held != NULL && !stored) {
            take_back(group, txn, held, sequence);
        }
    }
    if (txn != NULL) {
        free_txn_if_empty(group, txn);
    }
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
            group_put_offset(group, &item, held->sequence, held->commit_wall_ms);
        }
        drop_offset(group, txn, held);
    }
    free_txn_if_empty(group, txn);
    return true;
}

/* ---- removal ---- */

/* No transaction holds an offset for this partition any more. The entry stays. */
static void forget_held(struct group *group, struct group_offset_entry *entry)
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

void group_remove_offset(struct group *group, struct group_offset_entry *entry)
{
    entry->present = false;
    entry->sequence = ++group->sequence; /* commits under way are older: they stay out */
    forget_held(group, entry);
    group_free_offset_if_unused(group, entry);
}

void group_free_offsets(struct group *group)
{
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        entry->pending = 0;
        group_remove_offset(group, entry);
    }
}
