#include "group/classic_sync.h"

#include "group/classic_change.h"
#include "group/classic_rebalance.h"
#include "group/room.h"

#include <assert.h>

/* SyncGroup, Heartbeat, LeaveGroup. */

static enum err check_sync(const struct group *group, const struct group_sync_request *request,
                           struct classic_member **member)
{
    enum err err = classic_check(group, request->member_id, request->instance_id, member);
    if (err != ERR_NONE) {
        return err;
    }
    if (request->generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    if (!slice_is_null(request->protocol_type) &&
        !slice_equal(request->protocol_type, group->protocol_type)) {
        return ERR_INCONSISTENT_PROTOCOL;
    }
    if (!slice_is_null(request->protocol) && !slice_equal(request->protocol, group->protocol)) {
        return ERR_INCONSISTENT_PROTOCOL;
    }
    return ERR_NONE;
}

/* Has the leader's assignment stored, as the change that makes the group stable; members without a
 * part in it get none. */
static void take_assignment(struct group *group, const struct group_sync_request *request,
                            struct group_effects *effects)
{
    struct arena arena = {0};
    struct group_change change = classic_change(group, &arena);
    for (int32_t i = 0; i < change.metadata.members_count; i++) {
        change.metadata.members[i].assignment = slice_str("");
    }
    for (size_t i = 0; i < request->assignment_count; i++) {
        const struct group_assignment *item = &request->assignments[i];
        const struct classic_member *member = classic_find(group, item->member_id);
        if (member != NULL && !slice_is_null(item->assignment)) {
            change.metadata.members[member->index].assignment = item->assignment;
        }
    }
    struct group_store *store = group_store_new(classic_assignment_stored);
    store->generation = group->generation;
    group_change_store(&change, store);
    group_effects_store(effects, store);
    group->assignment_stored = true;
    arena_deinit(&arena);
}

/* Whether there is memory for what the leader assigns, in the place of what was assigned before. */
static bool has_memory(struct group *group, const struct group_sync_request *request,
                       const struct classic_member *leader, struct group_effects *effects)
{
    struct group_who who = classic_who(leader);
    size_t had = 0, wanted = 0, most = 0;
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        had += kept_cost(m->assignment);
    }
    for (size_t i = 0; i < request->assignment_count; i++) {
        size_t bytes = kept_cost(request->assignments[i].assignment);
        most = bytes > most ? bytes : most;
        wanted += bytes;
    }
    return group_take_member_room(group, most, wanted > had ? wanted - had : 0, &who, "SyncGroup",
                                  effects);
}

void classic_sync(struct group *group, const struct group_sync_request *request,
                  struct clock_time now, struct group_effects *effects)
{
    struct classic_member *member = NULL;
    enum err err = check_sync(group, request, &member);
    if (err == ERR_NONE && group->state == GROUP_PREPARING_REBALANCE) {
        err = ERR_REBALANCE_IN_PROGRESS;
    }
    if (err == ERR_FENCED_INSTANCE) {
        struct group_who who = {.member_id = request->member_id,
                                .instance_id = request->instance_id};
        group_tell_fenced(group, effects, &who, "SyncGroup");
    }
    if (err != ERR_NONE) {
        group_reply_sync_error(effects, &request->waiter, err);
        return;
    }
    assert(group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE);
    if (group->state == GROUP_STABLE) {
        classic_settle_sync(group, member);
        classic_touch(group, member, now);
        classic_reply_sync(group, effects, &request->waiter, member);
        return;
    }
    /* A leader that asks again while its assignment is being stored only waits. */
    bool assigns = classic_is_leader(group, member) && !group->assignment_stored;
    if (assigns && !has_memory(group, request, member, effects)) {
        group_reply_sync_error(effects, &request->waiter, ERR_GROUP_MAX_SIZE);
        return;
    }
    classic_settle_sync(group, member);
    classic_park_sync(group, member, &request->waiter, effects);
    if (assigns) {
        take_assignment(group, request, effects);
    }
}

enum err classic_heartbeat(struct group *group, struct slice member_id, struct slice instance_id,
                           int32_t generation, struct clock_time now)
{
    struct classic_member *member;
    enum err err = classic_check(group, member_id, instance_id, &member);
    if (err != ERR_NONE) {
        return err;
    }
    if (generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    classic_touch(group, member, now);
    return group->state == GROUP_PREPARING_REBALANCE ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

enum err classic_leave(struct group *group, const struct group_leaving *leaving,
                       struct clock_time now, struct group_effects *effects)
{
    struct slice member_id = leaving->member_id;
    struct classic_member *member = NULL;
    if (member_id.size == 0) {
        member = classic_find_static(group, leaving->instance_id);
    } else {
        struct classic_pending *pending = classic_find_pending(group, member_id);
        if (pending != NULL) {
            classic_remove_pending(group, pending);
            classic_maybe_complete_join(group, now, effects);
            return ERR_NONE;
        }
        enum err err = classic_check(group, member_id, leaving->instance_id, &member);
        if (err != ERR_NONE) {
            return err;
        }
    }
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER;
    }
    struct group_who who = classic_who(member);
    group_event_say(group_tell(group, effects, GROUP_EVENT_LEFT, &who, NULL), leaving->reason);
    classic_drop(group, member, now, effects);
    return ERR_NONE;
}
