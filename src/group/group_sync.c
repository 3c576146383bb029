#include "group/consumer_state.h"

#include <assert.h>

/* SyncGroup, Heartbeat, LeaveGroup. */

static enum err check_sync(const struct group *group, const struct group_sync_request *request,
                           struct group_member **member)
{
    enum err err = group_check_member(group, request->member_id, request->instance_id, member);
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

/* Takes the leader's assignment and has it stored; members without a part in it get none. */
static void take_assignment(struct group *group, const struct group_sync_request *request,
                            struct group_effects *effects)
{
    for (struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        kept_set(&m->assignment, slice_str(""));
    }
    for (size_t i = 0; i < request->assignment_count; i++) {
        const struct group_assignment *item = &request->assignments[i];
        struct group_member *member = group_find_member(group, item->member_id);
        if (member != NULL && !slice_is_null(item->assignment)) {
            kept_set(&member->assignment, item->assignment);
        }
    }
    struct group_store *store = group_store_new(group, GROUP_STORE_ASSIGNMENT);
    group_store_metadata(group, store);
    group_effects_store(effects, store);
    group->assignment_stored = true;
}

void group_sync(struct group *group, const struct group_sync_request *request,
                struct group_time now, struct group_effects *effects)
{
    if (group->consumer != NULL) {
        consumer_classic_sync(group, request, now, effects);
        return;
    }
    struct group_member *member = NULL;
    enum err err = check_sync(group, request, &member);
    if (err == ERR_NONE && group->state == GROUP_PREPARING_REBALANCE) {
        err = ERR_REBALANCE_IN_PROGRESS;
    }
    if (err != ERR_NONE) {
        group_reply_sync(group, effects, &request->waiter, member, err);
        return;
    }
    assert(group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE);
    group_settle_sync(group, member);
    if (group->state == GROUP_STABLE) {
        group_touch_member(group, member, now);
        group_reply_sync(group, effects, &request->waiter, member, ERR_NONE);
        return;
    }
    group_park_sync(group, member, &request->waiter, effects);
    /* A leader that asks again while its assignment is being stored only waits. */
    if (group_is_leader(group, member) && !group->assignment_stored) {
        take_assignment(group, request, effects);
    }
}

enum err group_heartbeat(struct group *group, struct slice member_id, struct slice instance_id,
                         int32_t generation, struct group_time now)
{
    if (group->consumer != NULL) {
        return consumer_classic_heartbeat(group, member_id, instance_id, generation, now);
    }
    struct group_member *member;
    enum err err = group_check_member(group, member_id, instance_id, &member);
    if (err != ERR_NONE) {
        return err;
    }
    if (generation != group->generation) {
        return ERR_ILLEGAL_GENERATION;
    }
    group_touch_member(group, member, now);
    return group->state == GROUP_PREPARING_REBALANCE ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

enum err group_leave(struct group *group, struct slice member_id, struct slice instance_id,
                     struct group_time now, struct group_effects *effects)
{
    if (group->consumer != NULL) {
        return consumer_classic_leave(group, member_id, instance_id, now, effects);
    }
    struct group_member *member = NULL;
    if (member_id.size == 0) {
        member = group_find_static(group, instance_id);
    } else {
        struct group_pending *pending = group_find_pending(group, member_id);
        if (pending != NULL) {
            group_remove_pending(group, pending);
            group_maybe_complete_join(group, now, effects);
            return ERR_NONE;
        }
        enum err err = group_check_member(group, member_id, instance_id, &member);
        if (err != ERR_NONE) {
            return err;
        }
    }
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER;
    }
    group_drop_member(group, member, now, effects);
    return ERR_NONE;
}
