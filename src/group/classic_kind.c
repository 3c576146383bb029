#include "group/classic_kind.h"

#include "group/classic_change.h"
#include "group/classic_join.h"
#include "group/classic_rebalance.h"
#include "group/classic_sync.h"
#include "group/classic_topics.h"

/* As Kafka's ClassicGroup: within a transaction the generation counts only when the request names a
 * member, which clients before KIP-447 do not, and a rebalance under way does not matter. */
static enum err check_commit(struct group *group, const struct group_committer *committer,
                             struct clock_time now)
{
    bool by_member = committer->generation >= 0 || committer->member_id.size > 0 ||
                     !slice_is_null(committer->instance_id);
    if (committer->transactional && !by_member) {
        return ERR_NONE;
    }
    struct classic_member *member;
    enum err err = classic_check(group, committer->member_id, committer->instance_id, &member);
    if (err != ERR_NONE) {
        return err;
    }
    if (committer->generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    if (committer->transactional) {
        return ERR_NONE;
    }
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        return ERR_REBALANCE_IN_PROGRESS;
    }
    classic_touch(group, member, now);
    return ERR_NONE;
}

static enum err check_fetch(const struct group *group, struct slice member_id, int32_t member_epoch)
{
    return ERR_NONE; /* a classic group lets everyone */
}

static void forget(struct group *group)
{
    classic_remove_all_pending(group);
    classic_forget(group);
}

/* A simple consumer's group never stored anything. */
static void bury(const struct group *group, struct group_store *store)
{
    if (group->generation > 0) {
        group_store_tombstone(group, store, GROUP_RECORD_METADATA, (struct slice){0});
    }
}

static int32_t generation(const struct group *group)
{
    return group->generation;
}

static size_t member_count(const struct group *group)
{
    return HASH_COUNT(group->members);
}

static struct slice holder(const struct group *group, struct slice instance_id)
{
    const struct classic_member *member = classic_find_static(group, instance_id);
    return member != NULL ? member->id : (struct slice){0};
}

static enum group_state shown_state(const struct group *group)
{
    return group->state;
}

static void describe(const struct group *group, struct arena *arena, struct group_description *out)
{
    bool stable = group->state == GROUP_STABLE;
    struct slice empty = slice_str("");
    *out = (struct group_description){
        .state = group->state,
        .protocol_type = slice_is_null(group->protocol_type)
                             ? empty
                             : group_arena_slice(arena, group->protocol_type),
        .protocol = stable ? group_arena_slice(arena, group->protocol) : empty,
        .members = arena_alloc_array(arena, HASH_COUNT(group->members), sizeof *out->members),
    };
    if (out->members == NULL) {
        return;
    }
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        out->members[out->member_count++] = (struct group_member_description){
            .member_id = group_arena_slice(arena, m->id),
            .instance_id = group_arena_slice(arena, m->instance_id),
            .client_id = group_arena_slice(arena, m->client_id),
            .client_host = group_arena_slice(arena, m->client_host),
            .metadata =
                stable ? group_arena_slice(arena, classic_metadata(m, group->protocol)) : empty,
            .assignment = stable ? group_arena_slice(arena, m->assignment) : empty,
        };
    }
}

const struct group_kind classic_kind = {
    .apply = classic_apply,
    .loaded = classic_loaded,
    .forget = forget,
    .abandon = classic_abandon,
    .tick = classic_tick,
    .find_deadline = classic_find_deadline,
    .join = classic_join,
    .sync = classic_sync,
    .heartbeat = classic_heartbeat,
    .leave = classic_leave,
    .check_commit = check_commit,
    .check_fetch = check_fetch,
    .is_subscribed = classic_is_subscribed,
    .expires_from_empty = true,
    .bury = bury,
    .member_count = member_count,
    .member_bytes = classic_member_bytes,
    .holder = holder,
    .generation = generation,
    .shown_state = shown_state,
    .describe = describe,
};
