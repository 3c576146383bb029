#include "group/consumer_state.h"

#include "base/mem.h"
#include "base/random.h"

#include <stdio.h>

/* JoinGroup. */

struct slice group_make_member_id(const struct group *group, struct slice prefix, char *to,
                                  size_t size)
{
    if (prefix.size > GROUP_MEMBER_ID_PREFIX_BYTES) {
        prefix.size = GROUP_MEMBER_ID_PREFIX_BYTES;
        while (prefix.size > 0 && (prefix.data[prefix.size] & 0xc0) == 0x80) {
            prefix.size--; /* not inside a UTF-8 sequence */
        }
    }
    uint8_t u[16];
    if (group->config->make_uuid != NULL) {
        group->config->make_uuid(group->config->uuid_context, u);
    } else {
        random_uuid(u);
    }
    if (prefix.size > 0) {
        memcpy(to, prefix.data, prefix.size);
    }
    snprintf(to + prefix.size, size - prefix.size,
             "-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
    return slice_of(to, prefix.size + 1 + GROUP_UUID_TEXT_BYTES);
}

/* Whether group.max.size leaves room. Members who are in stay in, so far as they come back in
   time: during a rebalance those who joined count, else all. */
static bool has_room(const struct group *group, const struct group_join_request *request)
{
    const struct group_member *member = group_find_member(group, request->member_id);
    if (request->member_id.size == 0) {
        member = group_find_static(group, request->instance_id);
    }
    size_t max = (size_t)group->config->max_size;
    switch (group->state) {
    case GROUP_EMPTY:
    case GROUP_DEAD:
        return true;
    case GROUP_PREPARING_REBALANCE:
        return (member != NULL && member->awaits_join) || group->joined_count < max;
    case GROUP_COMPLETING_REBALANCE:
    case GROUP_STABLE:
        return member != NULL || HASH_COUNT(group->members) < max;
    case GROUP_ASSIGNING:
    case GROUP_RECONCILING:
        break; /* of consumer groups, whose members do not join here */
    }
    return false;
}

static void begin_rebalance(struct group *group, struct group_time now,
                            struct group_effects *effects)
{
    if (group->state != GROUP_PREPARING_REBALANCE) {
        group_prepare_rebalance(group, now, effects);
    }
}

static void add_member(struct group *group, const struct group_join_request *request,
                       struct slice member_id, struct group_time now, struct group_effects *effects)
{
    struct group_pending *pending = group_find_pending(group, member_id);
    struct group_member *member = mem_new(struct group_member);
    member->id = kept_copy(member_id);
    if (pending == NULL) {
        member->instance_id = kept_copy(request->instance_id);
    } else {
        group_remove_pending(group, pending);
    }
    member->client_id = kept_copy(request->client_id);
    member->client_host = kept_copy(request->client_host);
    member->session_timeout_ms = request->session_timeout_ms;
    member->rebalance_timeout_ms = request->rebalance_timeout_ms;
    member->is_new = true;
    if (group->state == GROUP_PREPARING_REBALANCE && group->generation == 0) {
        group->new_member_added = true;
    }
    group_add_member(group, member, request->protocol_type);
    group_set_protocols(group, member, request->protocols, request->protocol_count);
    group_park_join(group, member, &request->waiter, effects);
    member->deadline_ms = now.mono_ms + GROUP_NEW_MEMBER_TIMEOUT_MS;
    group_wake_by(group, member->deadline_ms);
    begin_rebalance(group, now, effects);
}

static void update_member(struct group *group, struct group_member *member,
                          const struct group_join_request *request, struct group_effects *effects)
{
    group_set_protocols(group, member, request->protocols, request->protocol_count);
    member->session_timeout_ms = request->session_timeout_ms;
    member->rebalance_timeout_ms = request->rebalance_timeout_ms;
    group_park_join(group, member, &request->waiter, effects);
}

/* KIP-394: gives out an id to come back with, so that lost clients leave no members behind. */
static void require_member_id(struct group *group, const struct group_join_request *request,
                              struct slice member_id, struct group_time now,
                              struct group_effects *effects)
{
    if (HASH_COUNT(group->pending) >= GROUP_MAX_PENDING_MEMBERS) {
        group_reply_join_error(effects, &request->waiter, slice_str(""), ERR_GROUP_MAX_SIZE);
        return;
    }
    struct group_pending *pending = mem_new(struct group_pending);
    pending->id = kept_copy(member_id);
    pending->deadline_ms = now.mono_ms + request->session_timeout_ms;
    HASH_ADD_KEYPTR(hh, group->pending, pending->id.data, pending->id.size, pending);
    group_wake_by(group, pending->deadline_ms);
    group_reply_join_error(effects, &request->waiter, member_id, ERR_MEMBER_ID_REQUIRED);
}

/* ---- static members that come back (KIP-345) ---- */

/* Stable, and the same protocol would be chosen: no rebalance, just store the new member id. */
static void store_static(struct group *group, struct group_member *member,
                         const struct group_join_request *request, struct slice old_leader,
                         struct group_effects *effects)
{
    struct group_store *store = group_store_new(group, GROUP_STORE_STATIC);
    store->member_id = group_arena_slice(&store->arena, member->id);
    store->old_leader = group_arena_slice(&store->arena, old_leader);
    store->skip_assignment = request->can_skip_assignment;
    group_store_metadata(group, store);
    group_effects_store(effects, store);
}

static void replace_static(struct group *group, struct group_member *member,
                           const struct group_join_request *request, struct slice new_id,
                           struct group_time now, struct group_effects *effects)
{
    struct slice old_leader = kept_copy(group->leader);
    group_rename_member(group, member, new_id, effects);
    update_member(group, member, request, effects);
    group_touch_member(group, member, now);
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        /* The leader may be assigning to the old id already. */
        group_prepare_rebalance(group, now, effects);
    } else if (group->state == GROUP_STABLE) {
        if (slice_equal(group_select_protocol(group), group->protocol)) {
            store_static(group, member, request, old_leader, effects);
        } else {
            group_prepare_rebalance(group, now, effects);
        }
    }
    kept_free(&old_leader);
}

void group_static_stored(struct group *group, const struct group_store *store, enum err err,
                         struct group_time now, struct group_effects *effects)
{
    struct group_member *member = group_find_member(group, store->member_id);
    if (group->state != GROUP_STABLE || store->generation != group->generation || member == NULL ||
        !member->awaits_join) {
        return; /* a rebalance, or a newer incarnation, took over and answers */
    }
    group_touch_member(group, member, now);
    if (err != ERR_NONE) {
        member->awaits_join = false;
        group->joined_count--;
        group_reply_join_error(effects, &member->join_waiter, slice_str(""),
                               ERR_COORDINATOR_UNAVAILABLE);
        return;
    }
    group_end_join(group, member, ERR_NONE, effects);
    struct group_reply *reply = effects->last_reply;
    if (store->skip_assignment) {
        /* KIP-814: the leader may know that it leads, but must not assign: the group is stable. */
        reply->join.skip_assignment = group_is_leader(group, member);
    } else {
        /* An old client that reads its own id as leader's would assign; it sees the former one. */
        reply->join.leader = group_arena_slice(&reply->arena, store->old_leader);
        reply->join.members = NULL;
        reply->join.member_count = 0;
    }
}

/* ---- the request ---- */

static void join_new(struct group *group, const struct group_join_request *request,
                     struct group_time now, struct group_effects *effects)
{
    char text[GROUP_MEMBER_ID_PREFIX_BYTES + GROUP_UUID_TEXT_BYTES + 2];
    struct slice prefix =
        slice_is_null(request->instance_id) ? request->client_id : request->instance_id;
    struct slice member_id = group_make_member_id(group, prefix, text, sizeof text);
    struct group_member *holder = group_find_static(group, request->instance_id);
    if (holder != NULL) {
        replace_static(group, holder, request, member_id, now, effects);
    } else if (slice_is_null(request->instance_id) && request->member_id_required) {
        require_member_id(group, request, member_id, now, effects);
    } else {
        add_member(group, request, member_id, now, effects);
    }
}

static bool offers_same(const struct group_member *member, const struct group_join_request *request)
{
    if (member->protocol_count != request->protocol_count) {
        return false;
    }
    for (size_t i = 0; i < request->protocol_count; i++) {
        if (!slice_equal(member->protocols[i].name, request->protocols[i].name) ||
            !slice_equal(member->protocols[i].metadata, request->protocols[i].metadata)) {
            return false;
        }
    }
    return true;
}

static void rejoin(struct group *group, struct group_member *member,
                   const struct group_join_request *request, struct group_time now,
                   struct group_effects *effects)
{
    bool same = offers_same(member, request);
    bool current = same && (group->state == GROUP_COMPLETING_REBALANCE ||
                            (group->state == GROUP_STABLE && !group_is_leader(group, member)));
    if (current) {
        /* It may have missed the answer. A leader of a stable group gets its rebalance, since it
           asks for one when topics changed. */
        group_touch_member(group, member, now);
        group_reply_join(group, effects, &request->waiter, member);
        return;
    }
    update_member(group, member, request, effects);
    begin_rebalance(group, now, effects);
}

static void join_known(struct group *group, const struct group_join_request *request,
                       struct group_time now, struct group_effects *effects)
{
    if (group_find_pending(group, request->member_id) != NULL) {
        add_member(group, request, request->member_id, now, effects);
        return;
    }
    struct group_member *member;
    enum err err = group_check_member(group, request->member_id, request->instance_id, &member);
    if (err != ERR_NONE) {
        group_reply_join_error(effects, &request->waiter, request->member_id, err);
        return;
    }
    rejoin(group, member, request, now, effects);
}

/* Over group.max.size: who came too late is out. */
static void turn_away(struct group *group, const struct group_join_request *request,
                      struct group_effects *effects)
{
    struct group_member *member = group_find_member(group, request->member_id);
    struct group_pending *pending = group_find_pending(group, request->member_id);
    if (member != NULL) {
        group_remove_member(group, member, effects);
    }
    if (pending != NULL) {
        group_remove_pending(group, pending);
    }
    group_reply_join_error(effects, &request->waiter, slice_str(""), ERR_GROUP_MAX_SIZE);
}

void group_join(struct group *group, const struct group_join_request *request,
                struct group_time now, struct group_effects *effects)
{
    if (group->consumer != NULL) {
        if (group->state != GROUP_EMPTY) {
            consumer_classic_join(group, request, now, effects);
            return;
        }
        consumer_empty_to_classic(group, effects);
    }
    bool is_new = request->member_id.size == 0;
    if (request->session_timeout_ms < group->config->min_session_timeout_ms ||
        request->session_timeout_ms > group->config->max_session_timeout_ms) {
        group_reply_join_error(effects, &request->waiter, request->member_id,
                               ERR_INVALID_SESSION_TIMEOUT);
    } else if (!has_room(group, request)) {
        turn_away(group, request, effects);
    } else if (request->protocol_count > GROUP_MAX_PROTOCOLS || !group_supports(group, request)) {
        group_reply_join_error(effects, &request->waiter,
                               is_new ? slice_str("") : request->member_id,
                               ERR_INCONSISTENT_PROTOCOL);
    } else if (is_new) {
        join_new(group, request, now, effects);
    } else {
        join_known(group, request, now, effects);
    }
    group_maybe_complete_join(group, now, effects);
}
