#include "group/classic_join.h"

#include "base/mem.h"
#include "group/classic_change.h"
#include "group/classic_rebalance.h"
#include "group/classic_topics.h"
#include "group/member_id.h"
#include "group/room.h"

/* Whether group.max.size leaves room. Members who are in stay in, so far as they come back in
   time: during a rebalance those who joined count, else all. */
static bool has_room(const struct group *group, const struct group_join_request *request)
{
    const struct classic_member *member = classic_find(group, request->member_id);
    if (request->member_id.size == 0) {
        member = classic_find_static(group, request->instance_id);
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

/* Whether there is memory for what the member says of itself. Its assignment stays as it is. */
static bool has_memory(struct group *group, const struct group_join_request *request,
                       struct group_effects *effects)
{
    const struct classic_member *member = classic_find(group, request->member_id);
    if (request->member_id.size == 0) {
        member = classic_find_static(group, request->instance_id);
    }
    size_t had = kept_cost(group->protocol_type);
    if (member != NULL) {
        had += member->counted_bytes - kept_cost(member->assignment) + mem_cost(0);
    }
    struct group_who who = {request->member_id, request->instance_id, request->client_id,
                            request->client_host};
    size_t id_size = request->member_id.size > 0 ? request->member_id.size : MEMBER_ID_BYTES;
    size_t bytes = classic_join_cost(request, id_size) + kept_cost(request->protocol_type);
    return group_take_member_room(group, bytes, bytes > had ? bytes - had : 0, &who, "JoinGroup",
                                  effects);
}

static void begin_rebalance(struct group *group, const char *reason, struct slice said,
                            struct clock_time now, struct group_effects *effects)
{
    if (group->state != GROUP_PREPARING_REBALANCE) {
        classic_prepare_rebalance_as_said(group, reason, said, now, effects);
    }
}

static void add_member(struct group *group, const struct group_join_request *request,
                       struct slice member_id, struct clock_time now, struct group_effects *effects)
{
    struct classic_pending *pending = classic_find_pending(group, member_id);
    struct classic_member *member = mem_new(struct classic_member);
    member->id = kept_copy(member_id);
    if (pending == NULL) {
        member->instance_id = kept_copy(request->instance_id);
    } else {
        classic_remove_pending(group, pending);
    }
    member->client_id = kept_copy(request->client_id);
    member->client_host = kept_copy(request->client_host);
    member->session_timeout_ms = request->session_timeout_ms;
    member->rebalance_timeout_ms = request->rebalance_timeout_ms;
    member->is_new = true;
    if (group->state == GROUP_PREPARING_REBALANCE && group->generation == 0) {
        group->new_member_added = true;
    }
    classic_add(group, member, request->protocol_type);
    classic_set_protocols(group, member, request->protocols, request->protocol_count);
    classic_park_join(group, member, &request->waiter, effects);
    member->deadline_ms = now.mono_ms + CLASSIC_NEW_MEMBER_TIMEOUT_MS;
    group_wake_by(group, member->deadline_ms);
    struct group_who who = classic_who(member);
    group_event_say(group_tell(group, effects, GROUP_EVENT_JOINED, &who, NULL), request->reason);
    begin_rebalance(group, "a member joined", (struct slice){0}, now, effects);
}

static void update_member(struct group *group, struct classic_member *member,
                          const struct group_join_request *request, struct group_effects *effects)
{
    classic_set_protocols(group, member, request->protocols, request->protocol_count);
    member->session_timeout_ms = request->session_timeout_ms;
    member->rebalance_timeout_ms = request->rebalance_timeout_ms;
    classic_park_join(group, member, &request->waiter, effects);
}

/* KIP-394: gives out an id to come back with, so that lost clients leave no members behind. */
static void require_member_id(struct group *group, const struct group_join_request *request,
                              struct slice member_id, struct clock_time now,
                              struct group_effects *effects)
{
    if (HASH_COUNT(group->pending) >= CLASSIC_MAX_PENDING_MEMBERS) {
        group_reply_join_error(effects, &request->waiter, slice_str(""), ERR_GROUP_MAX_SIZE);
        return;
    }
    classic_add_pending(group, member_id, now.mono_ms + request->session_timeout_ms);
    group_reply_join_error(effects, &request->waiter, member_id, ERR_MEMBER_ID_REQUIRED);
}

/* ---- static members that come back (KIP-345) ---- */

static void static_stored(struct group *group, struct group_store *store, enum err err,
                          struct clock_time now, struct group_effects *effects)
{
    struct classic_member *member = classic_find(group, store->member_id);
    if (group->state != GROUP_STABLE || store->generation != group->generation || member == NULL ||
        !member->awaits_join) {
        return; /* a rebalance, or a newer incarnation, took over and answers */
    }
    classic_touch(group, member, now);
    if (err != ERR_NONE) {
        member->awaits_join = false;
        group->joined_count--;
        group_reply_join_error(effects, &member->join_waiter, slice_str(""),
                               ERR_COORDINATOR_UNAVAILABLE);
        return;
    }
    classic_end_join(group, member, ERR_NONE, effects);
    struct group_reply *reply = effects->last_reply;
    if (store->skip_assignment) {
        /* KIP-814: the leader may know that it leads, but must not assign: the group is stable. */
        reply->join.skip_assignment = classic_is_leader(group, member);
    } else {
        /* An old client that reads its own id as leader's would assign; it sees the former one. */
        reply->join.leader = group_arena_slice(&reply->arena, store->old_leader);
        reply->join.members = NULL;
        reply->join.member_count = 0;
    }
}

/* Stable, and the same protocol would be chosen: no rebalance, just store the new member id. */
static void store_static(struct group *group, struct classic_member *member,
                         const struct group_join_request *request, struct slice old_leader,
                         struct group_effects *effects)
{
    struct group_store *store = group_store_new(static_stored);
    store->generation = group->generation;
    store->member_id = group_arena_slice(&store->arena, member->id);
    store->old_leader = group_arena_slice(&store->arena, old_leader);
    store->skip_assignment = request->can_skip_assignment;
    classic_store(group, store);
    group_effects_store(effects, store);
}

/*
 * Why a stable group cannot go on with the assignment that it has, now that a static member is
 * back; NULL: it can. A member that is to give partitions up joins again when it did, and the next
 * generation hands them on (KIP-429). One that died before that is back without them and has
 * nothing to give up, so nobody would ever join again. Apache Kafka leaves it at that.
 */
static const char *why_rebalance(const struct group *group)
{
    if (!slice_equal(classic_select_protocol(group), group->protocol)) {
        return "a static member came back with other protocols";
    }
    if (classic_has_gap(group)) {
        return "a static member came back while partitions were nobody's";
    }
    return NULL;
}

static void replace_static(struct group *group, struct classic_member *member,
                           const struct group_join_request *request, struct slice new_id,
                           struct clock_time now, struct group_effects *effects)
{
    struct slice old_leader = kept_copy(group->leader);
    struct group_who who = classic_who(member);
    who.member_id = new_id;
    struct group_event *event = group_tell(group, effects, GROUP_EVENT_RETURNED, &who, NULL);
    event->other = group_arena_slice(&event->arena, member->id);
    group_event_say(event, request->reason);
    classic_rename(group, member, new_id, effects);
    update_member(group, member, request, effects);
    classic_touch(group, member, now);
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        /* The leader may be assigning to the old id already. */
        classic_prepare_rebalance(group, "a static member came back", now, effects);
    } else if (group->state == GROUP_STABLE) {
        const char *reason = why_rebalance(group);
        if (reason == NULL) {
            store_static(group, member, request, old_leader, effects);
        } else {
            classic_prepare_rebalance(group, reason, now, effects);
        }
    }
    kept_free(&old_leader);
}

/* ---- the request ---- */

static void join_new(struct group *group, const struct group_join_request *request,
                     struct clock_time now, struct group_effects *effects)
{
    char text[MEMBER_ID_BYTES];
    struct slice prefix =
        slice_is_null(request->instance_id) ? request->client_id : request->instance_id;
    struct slice member_id = member_id_make(group->config, prefix, text, sizeof text);
    struct classic_member *holder = classic_find_static(group, request->instance_id);
    if (holder != NULL) {
        replace_static(group, holder, request, member_id, now, effects);
    } else if (slice_is_null(request->instance_id) && request->member_id_required) {
        require_member_id(group, request, member_id, now, effects);
    } else {
        add_member(group, request, member_id, now, effects);
    }
}

static bool offers_same(const struct classic_member *member,
                        const struct group_join_request *request)
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

static void rejoin(struct group *group, struct classic_member *member,
                   const struct group_join_request *request, struct clock_time now,
                   struct group_effects *effects)
{
    bool same = offers_same(member, request);
    bool current = same && (group->state == GROUP_COMPLETING_REBALANCE ||
                            (group->state == GROUP_STABLE && !classic_is_leader(group, member)));
    if (current) {
        /* It may have missed the answer. A leader of a stable group gets its rebalance, since it
           asks for one when topics changed. */
        classic_touch(group, member, now);
        classic_reply_join(group, effects, &request->waiter, member);
        return;
    }
    update_member(group, member, request, effects);
    begin_rebalance(group, "a member joined again", request->reason, now, effects);
}

static void join_known(struct group *group, const struct group_join_request *request,
                       struct clock_time now, struct group_effects *effects)
{
    if (classic_find_pending(group, request->member_id) != NULL) {
        add_member(group, request, request->member_id, now, effects);
        return;
    }
    struct classic_member *member;
    enum err err = classic_check(group, request->member_id, request->instance_id, &member);
    if (err == ERR_FENCED_INSTANCE) {
        struct group_who who = {request->member_id, request->instance_id, request->client_id,
                                request->client_host};
        group_tell_fenced(group, effects, &who, "JoinGroup");
    }
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
    struct classic_member *member = classic_find(group, request->member_id);
    struct classic_pending *pending = classic_find_pending(group, request->member_id);
    if (member != NULL) {
        struct group_who who = classic_who(member);
        group_tell(group, effects, GROUP_EVENT_LEFT, &who, "the group is full: group.max.size");
        classic_remove(group, member, effects);
    }
    if (pending != NULL) {
        classic_remove_pending(group, pending);
    }
    group_reply_join_error(effects, &request->waiter, slice_str(""), ERR_GROUP_MAX_SIZE);
}

void classic_join(struct group *group, const struct group_join_request *request,
                  struct clock_time now, struct group_effects *effects)
{
    bool is_new = request->member_id.size == 0;
    if (request->session_timeout_ms < group->config->min_session_timeout_ms ||
        request->session_timeout_ms > group->config->max_session_timeout_ms) {
        group_reply_join_error(effects, &request->waiter, request->member_id,
                               ERR_INVALID_SESSION_TIMEOUT);
    } else if (!has_room(group, request)) {
        turn_away(group, request, effects);
    } else if (request->protocol_count > CLASSIC_MAX_PROTOCOLS ||
               !classic_supports(group, request)) {
        group_reply_join_error(effects, &request->waiter,
                               is_new ? slice_str("") : request->member_id,
                               ERR_INCONSISTENT_PROTOCOL);
    } else if (!has_memory(group, request, effects)) {
        group_reply_join_error(effects, &request->waiter,
                               is_new ? slice_str("") : request->member_id, ERR_GROUP_MAX_SIZE);
    } else if (is_new) {
        join_new(group, request, now, effects);
    } else {
        join_known(group, request, now, effects);
    }
    classic_maybe_complete_join(group, now, effects);
}
