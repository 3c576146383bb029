#include "group/consumer_state.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

/* Replies, stores and parked requests. */

struct slice group_arena_slice(struct arena *arena, struct slice slice)
{
    if (slice_is_null(slice)) {
        return slice;
    }
    void *copy = arena_dup(arena, slice.data, slice.size);
    return slice_of(copy, copy != NULL ? slice.size : 0);
}

struct group_reply *group_reply_new(enum group_reply_kind kind, const struct group_waiter *waiter,
                                    enum err err)
{
    struct group_reply *reply = mem_new(struct group_reply);
    reply->kind = kind;
    reply->waiter = *waiter;
    reply->err = err;
    return reply;
}

void group_reply_free(struct group_reply *reply)
{
    if (reply != NULL) {
        arena_deinit(&reply->arena);
        free(reply);
    }
}

struct group_store *group_store_new(const struct group *group, enum group_store_kind kind)
{
    struct group_store *store = mem_new(struct group_store);
    store->kind = kind;
    store->generation = group->generation;
    store->producer_id = -1;
    store->producer_epoch = -1;
    return store;
}

void group_store_free(struct group_store *store)
{
    if (store != NULL) {
        group_reply_free(store->reply);
        arena_deinit(&store->arena);
        free(store->records);
        free(store->offsets);
        free(store);
    }
}

void group_effects_reply(struct group_effects *effects, struct group_reply *reply)
{
    if (effects->replies == NULL) {
        effects->replies = reply;
    } else {
        effects->last_reply->next = reply;
    }
    effects->last_reply = reply;
}

void group_effects_store(struct group_effects *effects, struct group_store *store)
{
    if (effects->stores == NULL) {
        effects->stores = store;
    } else {
        effects->last_store->next = store;
    }
    effects->last_store = store;
}

void group_effects_deinit(struct group_effects *effects)
{
    struct group_reply *reply, *next_reply;
    LL_FOREACH_SAFE (effects->replies, reply, next_reply) {
        group_reply_free(reply);
    }
    struct group_store *store, *next_store;
    LL_FOREACH_SAFE (effects->stores, store, next_store) {
        group_store_free(store);
    }
    *effects = (struct group_effects){0};
}

/* ---- answers ---- */

void group_reply_join_error(struct group_effects *effects, const struct group_waiter *waiter,
                            struct slice member_id, enum err err)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_JOIN, waiter, err);
    reply->join.generation = -1;
    reply->join.leader = slice_str("");
    reply->join.member_id = group_arena_slice(&reply->arena, member_id);
    group_effects_reply(effects, reply);
}

static void list_members(const struct group *group, struct group_reply *reply)
{
    size_t count = HASH_COUNT(group->members);
    reply->join.members = arena_alloc_array(&reply->arena, count, sizeof(struct group_join_member));
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        reply->join.members[reply->join.member_count++] = (struct group_join_member){
            .member_id = group_arena_slice(&reply->arena, m->id),
            .instance_id = group_arena_slice(&reply->arena, m->instance_id),
            .metadata = group_arena_slice(&reply->arena, group_member_metadata(m, group->protocol)),
        };
    }
}

void group_reply_join(const struct group *group, struct group_effects *effects,
                      const struct group_waiter *waiter, const struct group_member *member)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_JOIN, waiter, ERR_NONE);
    reply->join.generation = group->generation;
    reply->join.protocol_type = group_arena_slice(&reply->arena, group->protocol_type);
    reply->join.protocol = group_arena_slice(&reply->arena, group->protocol);
    reply->join.leader = group_arena_slice(&reply->arena, group->leader);
    reply->join.member_id = group_arena_slice(&reply->arena, member->id);
    if (group_is_leader(group, member)) {
        list_members(group, reply);
    }
    group_effects_reply(effects, reply);
}

void group_reply_sync(const struct group *group, struct group_effects *effects,
                      const struct group_waiter *waiter, const struct group_member *member,
                      enum err err)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_SYNC, waiter, err);
    reply->sync.assignment = slice_str("");
    if (err == ERR_NONE) {
        reply->sync.protocol_type = group_arena_slice(&reply->arena, group->protocol_type);
        reply->sync.protocol = group_arena_slice(&reply->arena, group->protocol);
        reply->sync.assignment = group_arena_slice(&reply->arena, member->assignment);
    }
    group_effects_reply(effects, reply);
}

/* ---- parked requests ---- */

void group_end_join(struct group *group, struct group_member *member, enum err err,
                    struct group_effects *effects)
{
    if (!member->awaits_join) {
        return;
    }
    member->awaits_join = false;
    group->joined_count--;
    if (err == ERR_NONE) {
        group_reply_join(group, effects, &member->join_waiter, member);
    } else {
        /* A client told that it is unknown starts over, so it gets no id to keep. */
        struct slice id = err == ERR_UNKNOWN_MEMBER ? slice_str("") : member->id;
        group_reply_join_error(effects, &member->join_waiter, id, err);
    }
}

void group_end_sync(struct group *group, struct group_member *member, enum err err,
                    struct group_effects *effects)
{
    if (member->awaits_sync) {
        member->awaits_sync = false;
        group_reply_sync(group, effects, &member->sync_waiter, member, err);
    }
}

void group_park_join(struct group *group, struct group_member *member,
                     const struct group_waiter *waiter, struct group_effects *effects)
{
    group_end_join(group, member, ERR_REBALANCE_IN_PROGRESS, effects);
    member->awaits_join = true;
    member->join_waiter = *waiter;
    group->joined_count++;
}

void group_park_sync(struct group *group, struct group_member *member,
                     const struct group_waiter *waiter, struct group_effects *effects)
{
    group_end_sync(group, member, ERR_REBALANCE_IN_PROGRESS, effects);
    member->awaits_sync = true;
    member->sync_waiter = *waiter;
}

void group_abandon(struct group *group, enum err err, struct group_effects *effects)
{
    assert(err != ERR_NONE);
    for (struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        group_end_join(group, m, err, effects);
        group_end_sync(group, m, err, effects);
    }
}

void group_stored(struct group *group, struct group_store *store, enum err err,
                  struct group_time now, struct group_effects *effects)
{
    switch (store->kind) {
    case GROUP_STORE_ASSIGNMENT:
        group_assignment_stored(group, store, err, now, effects);
        break;
    case GROUP_STORE_STATIC:
        group_static_stored(group, store, err, now, effects);
        break;
    case GROUP_STORE_OFFSETS:
    case GROUP_STORE_OFFSET_DELETE:
        group_offsets_stored(group, store, err, effects);
        break;
    case GROUP_STORE_TXN_OFFSETS:
        group_txn_stored(group, store, err, effects);
        break;
    case GROUP_STORE_CONSUMER:
        consumer_stored(group, store, err, effects);
        break;
    case GROUP_STORE_EMPTY:
    case GROUP_STORE_TOMBSTONES:
    case GROUP_STORE_DELETE:
        /* Lost, the log holds an older generation or what has expired: the next start finds the
           members gone, or the offsets expired, again. */
        break;
    }
    group_store_free(store);
}
