#include "group/group_offsets.h"

#include "group/offset_reply.h"
#include "group/offset_table.h"

/* OffsetDelete, offsets of deleted topics, expiry, and the end of a group. */

/* Stores a tombstone and takes the offset out. */
static void bury(struct group *group, struct group_store *store, struct group_offset_entry *entry)
{
    struct group_change change = group_change_of(group, GROUP_RECORD_OFFSET, entry->topic);
    change.key.partition = entry->partition;
    change.gone = true;
    group_change_store(&change, store);
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

static void deletion_stored(struct group *group, struct group_store *store, enum err err,
                            struct group_time now, struct group_effects *effects)
{
    if (err != ERR_NONE) {
        store->reply->err = ERR_COORDINATOR_UNAVAILABLE;
    }
    group_effects_reply(effects, store->reply);
    store->reply = NULL;
}

void group_offset_delete(struct group *group, const struct group_offset_delete_request *request,
                         struct group_time now, struct group_effects *effects)
{
    struct group_reply *reply =
        offset_reply_new(GROUP_REPLY_OFFSET_DELETE, &request->waiter, request->count);
    struct group_store *store = group_store_new(deletion_stored);
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
    struct group_store *store = group_store_new(NULL);
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
    if (empty && !simple && group->kind->expires_from_empty && group->state_since_wall_ms >= 0) {
        since = group->state_since_wall_ms;
    }
    bool due = entry->expire_wall_ms >= 0
                   ? now.wall_ms >= entry->expire_wall_ms
                   : now.wall_ms - since >= group->config->offsets_retention_ms;
    return due && (empty || (group->state == GROUP_STABLE &&
                             !group->kind->is_subscribed(group, entry->topic)));
}

void group_expire_offsets(struct group *group, struct group_time now, struct group_effects *effects)
{
    struct group_store *store = group_store_new(NULL);
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        if (is_expired(group, entry, now)) {
            bury(group, store, entry);
        }
    }
    if (group->state == GROUP_EMPTY && group->offsets == NULL && group->pending == NULL) {
        group_tell(group, effects, GROUP_EVENT_GONE, NULL, "its offsets expired");
        group->kind->bury(group, store);
        group_set_state(group, GROUP_DEAD, now);
    }
    emit_or_free(store, effects);
}

enum err group_delete(struct group *group, struct group_time now, struct group_effects *effects)
{
    if (group->state != GROUP_EMPTY) {
        return group->state == GROUP_DEAD ? ERR_GROUP_NOT_FOUND : ERR_GROUP_NOT_EMPTY;
    }
    struct group_store *store = group_store_new(NULL);
    struct group_offset_entry *entry, *next;
    HASH_ITER (hh, group->offsets, entry, next) {
        bury(group, store, entry);
    }
    group_tell(group, effects, GROUP_EVENT_GONE, NULL, "DeleteGroups");
    group->kind->bury(group, store);
    group_set_state(group, GROUP_DEAD, now);
    emit_or_free(store, effects);
    return ERR_NONE;
}
