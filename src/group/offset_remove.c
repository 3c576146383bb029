#include "group/group_offsets.h"

#include "base/mem.h"
#include "group/offset_reply.h"
#include "group/offset_table.h"

/* OffsetDelete, offsets of deleted topics, expiry, and the end of a group. */

/* The tombstones are in the log. */
static void removed(struct group *group, struct group_store *store, struct clock_time now,
                    struct group_effects *effects)
{
    for (size_t i = 0; i < store->offset_count; i++) {
        store->offsets[i].entry->pending--;
        group_remove_offset(group, store->offsets[i].entry);
    }
    store->offset_count = 0;
    if (store->ends_group) {
        group_tell(group, effects, GROUP_EVENT_GONE, NULL,
                   store->reply != NULL ? "DeleteGroups" : "its offsets expired");
        group_set_state(group, GROUP_DEAD, now);
    }
}

/* What could not be appended stays as it is. */
static void removal_stored(struct group *group, struct group_store *store, enum err err,
                           struct clock_time now, struct group_effects *effects)
{
    for (size_t i = 0; i < store->offset_count; i++) {
        store->offsets[i].entry->pending--;
    }
    struct group_reply *reply = store->reply;
    store->reply = NULL;
    if (reply == NULL) {
        return;
    }
    if (reply->kind == GROUP_REPLY_DELETE_GROUPS) {
        if (err != ERR_NONE) {
            reply->groups.items[store->result].err = ERR_COORDINATOR_UNAVAILABLE;
        }
        group_reply_give(reply, effects);
        return;
    }
    reply->err = err != ERR_NONE ? ERR_COORDINATOR_UNAVAILABLE : ERR_NONE;
    group_effects_reply(effects, reply);
}

/* A store with room for so many removals. */
static struct group_store *removal_new(size_t count)
{
    struct group_store *store = group_store_new(removal_stored);
    store->appended = removed;
    store->offsets = mem_new_array(struct group_commit_item, count);
    return store;
}

/* Adds a tombstone; the offset goes when it is appended. */
static void bury(struct group *group, struct group_store *store, struct group_offset_entry *entry)
{
    struct group_change change = group_change_of(group, GROUP_RECORD_OFFSET, entry->topic);
    change.key.partition = entry->partition;
    change.gone = true;
    group_change_store(&change, store);
    entry->pending++; /* it stays, though it be named twice */
    store->offsets[store->offset_count++].entry = entry;
}

/* Has the removal appended; one that the log needs no word of is carried out at once. */
static void emit(struct group *group, struct group_store *store, struct clock_time now,
                 struct group_effects *effects)
{
    if (store->records.count > 0) {
        group_effects_store(effects, store);
        return;
    }
    removed(group, store, now, effects);
    removal_stored(group, store, ERR_NONE, now, effects);
    group_store_free(store);
}

void group_offset_delete(struct group *group, const struct group_offset_delete_request *request,
                         struct clock_time now, struct group_effects *effects)
{
    struct group_reply *reply =
        offset_reply_new(GROUP_REPLY_OFFSET_DELETE, &request->waiter, request->count);
    struct group_store *store = removal_new(request->count);
    bool empty = group->state == GROUP_EMPTY;
    if (!empty && !slice_equal_str(group->protocol_type, "consumer")) {
        reply->err = ERR_GROUP_NOT_EMPTY;
    }
    for (size_t i = 0; i < request->count && reply->err == ERR_NONE; i++) {
        const struct group_partition *target = &request->partitions[i];
        bool used = !empty && group->kind->is_subscribed(group, target->topic);
        enum err err = target->err != ERR_NONE ? target->err : used ? ERR_SUBSCRIBED : ERR_NONE;
        offset_reply_add(reply, target->topic, target->partition, err);
        struct group_offset_entry *entry =
            err != ERR_NONE ? NULL : group_find_offset(group, target->topic, target->partition);
        if (entry != NULL) {
            bury(group, store, entry);
        }
    }
    if (reply->err != ERR_NONE) {
        group_store_free(store);
        group_effects_reply(effects, reply);
        return;
    }
    store->reply = reply;
    emit(group, store, now, effects);
}

void group_topic_deleted(struct group *group, struct slice topic, struct clock_time now,
                         struct group_effects *effects)
{
    struct group_store *store = NULL; /* most groups have none */
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        if (!slice_equal(entry->topic, topic)) {
            continue;
        }
        if (store == NULL) {
            store = removal_new(HASH_COUNT(group->offsets));
        }
        bury(group, store, entry);
    }
    if (store != NULL) {
        emit(group, store, now, effects);
    }
}

/* KIP-211. */
static bool is_expired(const struct group *group, const struct group_offset_entry *entry,
                       struct clock_time now)
{
    if (!entry->present || entry->pending > 0 || entry->txn_pending > 0) {
        return false;
    }
    bool empty = group->state == GROUP_EMPTY;
    bool simple = empty && slice_is_null(group->protocol_type);
    int64_t since = entry->commit_wall_ms;
    if (empty && !simple && group->kind->expires_from_empty && group->state_since_wall_ms >= 0) {
        since = group->state_since_wall_ms;
    }
    bool due = entry->expire_wall_ms >= 0
                   ? now.wall_ms >= entry->expire_wall_ms
                   : since <= now.wall_ms - group->config->offsets_retention_ms;
    return due && (empty || (group->state == GROUP_STABLE &&
                             !group->kind->is_subscribed(group, entry->topic)));
}

void group_expire_offsets(struct group *group, struct clock_time now, struct group_effects *effects)
{
    struct group_store *store = removal_new(HASH_COUNT(group->offsets));
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        if (is_expired(group, entry, now)) {
            bury(group, store, entry);
        }
    }
    bool all = store->offset_count == HASH_COUNT(group->offsets);
    if (group->state == GROUP_EMPTY && all && group->pending == NULL) {
        group->kind->bury(group, store);
        store->ends_group = true;
    }
    emit(group, store, now, effects);
}

void group_delete(struct group *group, struct group_reply *reply, size_t result,
                  struct clock_time now, struct group_effects *effects)
{
    if (group->state != GROUP_EMPTY) {
        reply->groups.items[result].err =
            group->state == GROUP_DEAD ? ERR_GROUP_NOT_FOUND : ERR_GROUP_NOT_EMPTY;
        return;
    }
    struct group_store *store = removal_new(HASH_COUNT(group->offsets));
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        bury(group, store, entry);
    }
    group->kind->bury(group, store);
    store->ends_group = true;
    store->reply = reply;
    store->result = result;
    group_reply_share(reply);
    emit(group, store, now, effects);
}
