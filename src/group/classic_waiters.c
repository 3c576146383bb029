#include "group/classic_waiters.h"

#include "base/mem.h"

#include <assert.h>

static void list_members(const struct group *group, struct group_reply *reply)
{
    size_t count = HASH_COUNT(group->members);
    reply->join.members = arena_alloc_array(&reply->arena, count, sizeof(struct group_join_member));
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        reply->join.members[reply->join.member_count++] = (struct group_join_member){
            .member_id = group_arena_slice(&reply->arena, m->id),
            .instance_id = group_arena_slice(&reply->arena, m->instance_id),
            .metadata = group_arena_slice(&reply->arena, classic_metadata(m, group->protocol)),
        };
    }
}

void classic_reply_join(const struct group *group, struct group_effects *effects,
                        const struct completion *waiter, const struct classic_member *member)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_JOIN, waiter, ERR_NONE);
    reply->join.generation = group->generation;
    reply->join.protocol_type = group_arena_slice(&reply->arena, group->protocol_type);
    reply->join.protocol = group_arena_slice(&reply->arena, group->protocol);
    reply->join.leader = group_arena_slice(&reply->arena, group->leader);
    reply->join.member_id = group_arena_slice(&reply->arena, member->id);
    if (classic_is_leader(group, member)) {
        list_members(group, reply);
    }
    group_effects_reply(effects, reply);
}

void classic_reply_sync(const struct group *group, struct group_effects *effects,
                        const struct completion *waiter, const struct classic_member *member)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_SYNC, waiter, ERR_NONE);
    reply->sync.protocol_type = group_arena_slice(&reply->arena, group->protocol_type);
    reply->sync.protocol = group_arena_slice(&reply->arena, group->protocol);
    reply->sync.assignment = group_arena_slice(&reply->arena, member->assignment);
    group_effects_reply(effects, reply);
}

/* ---- parked requests ---- */

void classic_end_join(struct group *group, struct classic_member *member, enum err err,
                      struct group_effects *effects)
{
    if (!member->awaits_join) {
        return;
    }
    member->awaits_join = false;
    group->joined_count--;
    if (err == ERR_NONE) {
        classic_reply_join(group, effects, &member->join_waiter, member);
    } else {
        /* A client told that it is unknown starts over, so it gets no id to keep. */
        struct slice id = err == ERR_UNKNOWN_MEMBER ? slice_str("") : member->id;
        group_reply_join_error(effects, &member->join_waiter, id, err);
    }
}

void classic_end_sync(struct group *group, struct classic_member *member, enum err err,
                      struct group_effects *effects)
{
    if (member->awaits_sync) {
        member->awaits_sync = false;
        if (err == ERR_NONE) {
            classic_reply_sync(group, effects, &member->sync_waiter, member);
        } else {
            group_reply_sync_error(effects, &member->sync_waiter, err);
        }
    }
}

void classic_park_join(struct group *group, struct classic_member *member,
                       const struct completion *waiter, struct group_effects *effects)
{
    classic_end_join(group, member, ERR_REBALANCE_IN_PROGRESS, effects);
    member->awaits_join = true;
    member->join_waiter = *waiter;
    group->joined_count++;
}

void classic_park_sync(struct group *group, struct classic_member *member,
                       const struct completion *waiter, struct group_effects *effects)
{
    classic_end_sync(group, member, ERR_REBALANCE_IN_PROGRESS, effects);
    member->awaits_sync = true;
    member->sync_waiter = *waiter;
}

void classic_abandon(struct group *group, enum err err, struct group_effects *effects)
{
    assert(err != ERR_NONE);
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        classic_end_join(group, m, err, effects);
        classic_end_sync(group, m, err, effects);
    }
}

void classic_remove(struct group *group, struct classic_member *member,
                    struct group_effects *effects)
{
    classic_end_join(group, member, ERR_UNKNOWN_MEMBER, effects);
    classic_end_sync(group, member, ERR_UNKNOWN_MEMBER, effects);
    classic_take_out(group, member);
}

void classic_rename(struct group *group, struct classic_member *member, struct slice new_id,
                    struct group_effects *effects)
{
    classic_end_join(group, member, ERR_FENCED_INSTANCE, effects);
    classic_end_sync(group, member, ERR_FENCED_INSTANCE, effects);
    classic_set_id(group, member, new_id);
}
