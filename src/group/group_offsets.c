#include "group/consumer_state.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* OffsetCommit, OffsetFetch, OffsetDelete, expiry, and the end of a group. */

/* ---- the table ---- */

static struct slice make_key(struct slice topic, int32_t partition)
{
    uint8_t *key = mem_alloc(4 + topic.size);
    store_be32(key, (uint32_t)partition);
    if (topic.size > 0) {
        memcpy(key + 4, topic.data, topic.size);
    }
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

struct group_offset_entry *group_take_offset(struct group *group, struct slice topic,
                                             int32_t partition)
{
    struct group_offset_entry *entry = group_find_offset(group, topic, partition);
    if (entry == NULL) {
        entry = mem_new(struct group_offset_entry);
        entry->key = make_key(topic, partition);
        entry->topic = slice_of(entry->key.data + 4, topic.size);
        entry->partition = partition;
        HASH_ADD_KEYPTR(hh, group->offsets, entry->key.data, entry->key.size, entry);
    }
    return entry;
}

void group_free_offset_if_unused(struct group *group, struct group_offset_entry *entry)
{
    if (!entry->present && entry->pending == 0 && entry->txn_pending == 0) {
        HASH_DEL(group->offsets, entry);
        kept_free(&entry->key);
        kept_free(&entry->metadata);
        free(entry);
    }
}

void group_remove_offset(struct group *group, struct group_offset_entry *entry)
{
    entry->present = false;
    entry->sequence = ++group->sequence; /* commits under way are older: they stay out */
    group_txn_forget_offset(group, entry);
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

void group_put_offset(const struct group_commit_item *item, uint64_t sequence,
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
    kept_set(&entry->metadata, item->metadata);
    entry->commit_wall_ms = commit_wall_ms;
    entry->expire_wall_ms = item->expire_wall_ms;
}

/* ---- commit ---- */

static struct group_reply *partitions_reply(enum group_reply_kind kind,
                                            const struct group_waiter *waiter, size_t count)
{
    struct group_reply *reply = group_reply_new(kind, waiter, ERR_NONE);
    reply->partitions.items =
        arena_alloc_array(&reply->arena, count, sizeof(struct group_partition_result));
    return reply;
}

static struct group_partition_result *add_result(struct group_reply *reply, struct slice topic,
                                                 int32_t partition, enum err err)
{
    struct group_partition_result *items = reply->partitions.items;
    size_t count = reply->partitions.count++;
    /* A run of partitions of one topic shares the name. */
    items[count].topic = count > 0 && slice_equal(items[count - 1].topic, topic)
                             ? items[count - 1].topic
                             : group_arena_slice(&reply->arena, topic);
    items[count].partition = partition;
    items[count].err = err;
    return &items[count];
}

void group_reply_offsets_error(struct group_effects *effects, enum group_reply_kind kind,
                               const struct group_waiter *waiter,
                               const struct group_offset_commit *offsets, size_t count,
                               enum err err)
{
    struct group_reply *reply = partitions_reply(kind, waiter, count);
    reply->err = err;
    for (size_t i = 0; i < count; i++) {
        add_result(reply, offsets[i].topic, offsets[i].partition,
                   offsets[i].err != ERR_NONE ? offsets[i].err : err);
    }
    group_effects_reply(effects, reply);
}

void group_reply_commit_error(struct group_effects *effects,
                              const struct group_commit_request *request, enum err err)
{
    group_reply_offsets_error(effects, GROUP_REPLY_OFFSET_COMMIT, &request->waiter,
                              request->offsets, request->count, err);
}

static enum err check_commit(struct group *group, const struct group_commit_request *request,
                             struct group_time now)
{
    if (request->generation < 0 && group->state == GROUP_EMPTY) {
        return ERR_NONE; /* a consumer that assigns by hand, or an administrator */
    }
    if (group->consumer != NULL) {
        return consumer_check_commit(group, request->member_id, request->generation,
                                     request->waiter.api_version, false);
    }
    struct group_member *member;
    enum err err = group_check_member(group, request->member_id, request->instance_id, &member);
    if (err != ERR_NONE) {
        return err;
    }
    if (request->generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        return ERR_REBALANCE_IN_PROGRESS;
    }
    group_touch_member(group, member, now);
    return ERR_NONE;
}

static void stage_offset(struct group *group, struct group_store *store,
                         const struct group_offset_commit *commit, size_t result,
                         int64_t expire_wall_ms, struct group_time now)
{
    struct slice metadata = slice_is_null(commit->metadata) ? slice_str("") : commit->metadata;
    struct group_commit_item *item = &store->offsets[store->offset_count++];
    *item = (struct group_commit_item){
        .entry = group_take_offset(group, commit->topic, commit->partition),
        .result = result,
        .offset = commit->offset,
        .leader_epoch = commit->leader_epoch,
        .metadata = group_arena_slice(&store->arena, metadata),
        .expire_wall_ms = expire_wall_ms,
    };
    item->entry->pending++;
    group_store_offset(group, store, item, now);
}

struct group_reply *group_stage_offsets(struct group *group, struct group_store *store,
                                        enum group_reply_kind kind,
                                        const struct group_waiter *waiter,
                                        const struct group_offset_commit *offsets, size_t count,
                                        int64_t expire_wall_ms, struct group_time now)
{
    struct group_reply *reply = partitions_reply(kind, waiter, count);
    store->offsets = mem_new_array(struct group_commit_item, count);
    store->sequence = ++group->sequence;
    store->commit_wall_ms = now.wall_ms;
    for (size_t i = 0; i < count; i++) {
        const struct group_offset_commit *commit = &offsets[i];
        enum err own = commit->err;
        if (own == ERR_NONE &&
            commit->metadata.size > (size_t)group->config->offset_metadata_max_bytes) {
            own = ERR_METADATA_TOO_LARGE;
        }
        add_result(reply, commit->topic, commit->partition, own);
        if (own == ERR_NONE) {
            stage_offset(group, store, commit, i, expire_wall_ms, now);
        }
    }
    return reply;
}

void group_emit_offsets(struct group_store *store, struct group_reply *reply,
                        struct group_effects *effects)
{
    if (store->offset_count == 0) {
        group_store_free(store);
        group_effects_reply(effects, reply);
        return;
    }
    store->reply = reply;
    group_effects_store(effects, store);
}

void group_commit(struct group *group, const struct group_commit_request *request,
                  struct group_time now, struct group_effects *effects)
{
    enum err err = check_commit(group, request, now);
    if (err != ERR_NONE) {
        group_reply_commit_error(effects, request, err);
        return;
    }
    struct group_store *store = group_store_new(group, GROUP_STORE_OFFSETS);
    int64_t expire_wall_ms = request->retention_ms < 0 ? -1 : now.wall_ms + request->retention_ms;
    struct group_reply *reply =
        group_stage_offsets(group, store, GROUP_REPLY_OFFSET_COMMIT, &request->waiter,
                            request->offsets, request->count, expire_wall_ms, now);
    group_emit_offsets(store, reply, effects);
}

/* What a client is told: its own fault as it is, all else as a fault of the store. */
static enum err told(enum err err)
{
    return err == ERR_NONE || err == ERR_PRODUCER_FENCED || err == ERR_INVALID_TXN_STATE
               ? err
               : ERR_COORDINATOR_UNAVAILABLE;
}

void group_settle_offsets(struct group *group, struct group_store *store, enum err err,
                          struct group_effects *effects)
{
    struct group_reply *reply = store->reply;
    store->reply = NULL;
    for (size_t i = 0; i < store->offset_count; i++) {
        const struct group_commit_item *item = &store->offsets[i];
        item->entry->pending--;
        if (err != ERR_NONE) {
            reply->partitions.items[item->result].err = told(err);
        }
        group_free_offset_if_unused(group, item->entry);
    }
    group_effects_reply(effects, reply);
}

void group_offsets_stored(struct group *group, struct group_store *store, enum err err,
                          struct group_effects *effects)
{
    for (size_t i = 0; i < store->offset_count && err == ERR_NONE; i++) {
        group_put_offset(&store->offsets[i], store->sequence, store->commit_wall_ms);
    }
    if (store->kind == GROUP_STORE_OFFSET_DELETE && err != ERR_NONE) {
        store->reply->err = ERR_COORDINATOR_UNAVAILABLE;
    }
    group_settle_offsets(group, store, err, effects);
}

/* ---- removal ---- */

/* Stores a tombstone and takes the offset out. */
static void bury(struct group *group, struct group_store *store, struct group_offset_entry *entry)
{
    group_store_offset_tombstone(group, store, entry);
    group_remove_offset(group, entry);
}

static void emit_or_free(struct group_store *store, struct group_effects *effects)
{
    if (store->record_count > 0) {
        group_effects_store(effects, store);
    } else {
        group_store_free(store);
    }
}

void group_offset_delete(struct group *group, const struct group_offset_delete_request *request,
                         struct group_time now, struct group_effects *effects)
{
    struct group_reply *reply =
        partitions_reply(GROUP_REPLY_OFFSET_DELETE, &request->waiter, request->count);
    struct group_store *store = group_store_new(group, GROUP_STORE_OFFSET_DELETE);
    bool empty = group->state == GROUP_EMPTY;
    if (!empty && !slice_equal_str(group->protocol_type, "consumer")) {
        reply->err = ERR_GROUP_NOT_EMPTY;
    }
    for (size_t i = 0; i < request->count && reply->err == ERR_NONE; i++) {
        const struct group_partition *target = &request->partitions[i];
        bool used = !empty && group_is_subscribed(group, target->topic);
        enum err err = target->err != ERR_NONE ? target->err : used ? ERR_SUBSCRIBED : ERR_NONE;
        add_result(reply, target->topic, target->partition, err);
        struct group_offset_entry *entry =
            err != ERR_NONE ? NULL : group_find_offset(group, target->topic, target->partition);
        if (entry != NULL) {
            bury(group, store, entry);
        }
    }
    if (store->record_count == 0) {
        group_store_free(store);
        group_effects_reply(effects, reply);
        return;
    }
    store->reply = reply;
    group_effects_store(effects, store);
}

void group_topic_deleted(struct group *group, struct slice topic, struct group_time now,
                         struct group_effects *effects)
{
    struct group_store *store = group_store_new(group, GROUP_STORE_TOMBSTONES);
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        if (slice_equal(entry->topic, topic)) {
            bury(group, store, entry);
        }
    }
    emit_or_free(store, effects);
}

/* KIP-211. */
static bool is_expired(const struct group *group, const struct group_offset_entry *entry,
                       struct group_time now)
{
    if (!entry->present || entry->pending > 0 || entry->txn_pending > 0) {
        return false;
    }
    bool empty = group->state == GROUP_EMPTY;
    bool simple = empty && slice_is_null(group->protocol_type);
    int64_t since = entry->commit_wall_ms;
    if (empty && !simple && group->consumer == NULL && group->state_since_wall_ms >= 0) {
        since = group->state_since_wall_ms;
    }
    bool due = entry->expire_wall_ms >= 0
                   ? now.wall_ms >= entry->expire_wall_ms
                   : now.wall_ms - since >= group->config->offsets_retention_ms;
    return due &&
           (empty || (group->state == GROUP_STABLE && !group_is_subscribed(group, entry->topic)));
}

/* Tombstones for the group itself; a simple consumer's group never stored anything. */
static void bury_group(struct group *group, struct group_store *store)
{
    if (group->consumer != NULL) {
        consumer_store_tombstones(group, store);
    } else if (group->generation > 0) {
        group_store_metadata_tombstone(group, store);
    }
}

void group_expire_offsets(struct group *group, struct group_time now, struct group_effects *effects)
{
    struct group_store *store = group_store_new(group, GROUP_STORE_TOMBSTONES);
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        if (is_expired(group, entry, now)) {
            bury(group, store, entry);
        }
    }
    if (group->state == GROUP_EMPTY && group->offsets == NULL && group->pending == NULL) {
        bury_group(group, store);
        group_set_state(group, GROUP_DEAD, now);
    }
    emit_or_free(store, effects);
}

enum err group_delete(struct group *group, struct group_time now, struct group_effects *effects)
{
    if (group->state != GROUP_EMPTY) {
        return group->state == GROUP_DEAD ? ERR_GROUP_NOT_FOUND : ERR_GROUP_NOT_EMPTY;
    }
    struct group_store *store = group_store_new(group, GROUP_STORE_DELETE);
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        bury(group, store, entry);
    }
    bury_group(group, store);
    group_set_state(group, GROUP_DEAD, now);
    emit_or_free(store, effects);
    return ERR_NONE;
}
