#include "group/consumer_classic.h"

#include "base/mem.h"
#include "group/classic_join.h"
#include "group/classic_members.h"
#include "group/consumer_change.h"
#include "group/consumer_downgrade.h"
#include "group/consumer_leave.h"
#include "group/consumer_members.h"
#include "group/consumer_pieces.h"
#include "group/consumer_protocol.h"
#include "group/consumer_reconcile.h"
#include "group/consumer_target.h"
#include "group/consumer_topics.h"
#include "group/member_id.h"
#include "group/room.h"

#include <stdlib.h>

/* ---- JoinGroup ---- */

static bool supports(const struct consumer_group *consumer,
                     const struct group_join_request *request)
{
    if (!slice_equal_str(request->protocol_type, "consumer")) {
        return false;
    }
    for (size_t i = 0; i < request->protocol_count; i++) {
        size_t votes = 0;
        for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
            for (size_t p = 0; m->classic != NULL && p < m->classic->protocol_count; p++) {
                if (slice_equal(m->classic->protocols[p].name, request->protocols[i].name)) {
                    votes++;
                    break;
                }
            }
        }
        if (votes == consumer->classic_count) {
            return true;
        }
    }
    return false;
}

/* Who joins: *member is NULL for a new one. */
static enum err find_joining(const struct group *group, const struct group_join_request *request,
                             struct consumer_member **member)
{
    struct consumer_group *consumer = group->consumer;
    *member = consumer_find(consumer, request->member_id);
    if (*member == NULL &&
        HASH_COUNT(consumer->members) >= (size_t)group->config->consumer_max_size) {
        return ERR_GROUP_MAX_SIZE;
    }
    if (request->protocol_count == 0 || request->protocol_count > CLASSIC_MAX_PROTOCOLS ||
        !supports(consumer, request)) {
        return ERR_INCONSISTENT_PROTOCOL;
    }
    if (slice_is_null(request->instance_id)) {
        return ERR_NONE;
    }
    struct consumer_member *holder = consumer_find_static(consumer, request->instance_id);
    if (request->member_id.size > 0) {
        *member = holder;
        if (holder == NULL) {
            return ERR_UNKNOWN_MEMBER;
        }
        return slice_equal(holder->id, request->member_id) ? ERR_NONE : ERR_FENCED_INSTANCE;
    }
    *member = holder;
    return ERR_NONE;
}

/* Puts a static member's new self in the place of the old. */
static struct consumer_member *take_in(struct group *group, struct consumer_member *member,
                                       const struct group_join_request *request, struct slice id,
                                       struct clock_time now, struct group_effects *effects)
{
    bool is_back = member != NULL && request->member_id.size == 0;
    return is_back ? consumer_replace(group, member, id, request->reason, now, effects) : member;
}

static bool same_protocols(const struct consumer_classic *a, const struct group_join_request *b)
{
    if (a == NULL || a->session_timeout_ms != b->session_timeout_ms ||
        a->protocol_count != b->protocol_count) {
        return false;
    }
    for (size_t i = 0; i < a->protocol_count; i++) {
        if (!slice_equal(a->protocols[i].name, b->protocols[i].name) ||
            !slice_equal(a->protocols[i].metadata, b->protocols[i].metadata)) {
            return false;
        }
    }
    return true;
}

static void set_if_other(struct slice *kept, struct slice value, bool *changed)
{
    if (!slice_is_null(value) && !slice_equal(*kept, value)) {
        *kept = value;
        *changed = true;
    }
}

/* Takes over what the request says; a member that is NULL is made. *names: whether the subscription
 * changed. */
static struct consumer_member *update(struct group *group, struct consumer_member *member,
                                      const struct group_join_request *request, struct slice id,
                                      const struct consumer_subscription *subscription, bool *names,
                                      struct clock_time now)
{
    struct arena arena = {0};
    struct consumer_group_member_metadata_value value = consumer_member_value(member, &arena);
    struct slice *topics =
        mem_dup(subscription->topics, subscription->topic_count * sizeof *subscription->topics);
    size_t count = consumer_sort_names(topics, subscription->topic_count);
    *names = member == NULL || !slice_is_null(member->regex) ||
             !consumer_same_names(topics, count, member->topics, member->topic_count);
    bool changed = *names || !same_protocols(member->classic, request) ||
                   !slice_is_null(member->assignor) ||
                   value.rebalance_timeout_ms != request->rebalance_timeout_ms;
    set_if_other(&value.client_id, request->client_id, &changed);
    set_if_other(&value.client_host, request->client_host, &changed);
    set_if_other(&value.rack_id, subscription->rack_id, &changed);
    if (member == NULL) {
        value.instance_id = request->instance_id;
    }
    value.subscribed_topic_names = topics;
    value.subscribed_topic_names_count = (int32_t)count;
    value.subscribed_topic_regex = (struct slice){0};
    value.server_assignor = (struct slice){0};
    value.rebalance_timeout_ms = request->rebalance_timeout_ms;
    value.classic_member_metadata = consumer_classic_value(
        request->session_timeout_ms, request->protocols, request->protocol_count, &arena);
    if (changed) {
        member = consumer_set_member(group, id, &value, now);
    }
    member->rebalance_deadline_ms = INT64_MAX; /* of the new protocol only */
    free(topics);
    arena_deinit(&arena);
    return member;
}

static struct group_reply *join_reply(const struct consumer_member *member,
                                      const struct completion *waiter, int32_t generation)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_JOIN, waiter, ERR_NONE);
    reply->join.generation = generation;
    reply->join.protocol_type = slice_str("consumer");
    reply->join.protocol = group_arena_slice(&reply->arena, member->classic->protocols[0].name);
    reply->join.leader = slice_str(""); /* the server assigns: nobody leads */
    reply->join.member_id = group_arena_slice(&reply->arena, member->id);
    return reply;
}

static struct consumer_member *settle(struct group *group, struct consumer_member *member,
                                      const struct group_join_request *request, struct slice id,
                                      const struct consumer_subscription *subscription,
                                      struct clock_time now)
{
    bool names;
    member = update(group, member, request, id, subscription, &names, now);
    if (names || consumer_topics_outdated(group)) {
        bool topics = consumer_refresh_topics(group, NULL, NULL, now);
        if (names || topics) {
            consumer_bump(group, now);
        }
    }
    consumer_assign_targets(group, now);
    /* What the member owns, in the shape of a heartbeat's list. */
    size_t count = subscription->owned.count;
    struct group_topic_partitions *owned = mem_new_array(struct group_topic_partitions, count);
    for (size_t i = 0; i < count; i++) {
        owned[i] = (struct group_topic_partitions){subscription->owned.items[i].topic,
                                                   &subscription->owned.items[i].partition, 1};
    }
    consumer_reconcile(group, member, true, owned, count, now);
    free(owned);
    member->join_deadline_ms = INT64_MAX;
    member->sync_deadline_ms = now.mono_ms + member->rebalance_timeout_ms;
    consumer_touch(group, member, now);
    return member;
}

/* Whether there is memory for what the member says of itself: its topics are kept once more. */
static bool has_memory(struct group *group, const struct consumer_member *member,
                       const struct group_join_request *request, size_t id_size,
                       const struct group_who *who, struct group_effects *effects)
{
    size_t bytes = classic_join_cost(request, id_size) + request->protocols[0].metadata.size;
    size_t had = member != NULL ? member->counted_bytes : 0;
    return group_take_member_room(group, bytes, bytes > had ? bytes - had : 0, who, "JoinGroup",
                                  effects);
}

void consumer_classic_join(struct group *group, const struct group_join_request *request,
                           struct clock_time now, struct group_effects *effects)
{
    if (group->state == GROUP_EMPTY) {
        consumer_empty_to_classic(group, effects);
        classic_join(group, request, now, effects);
        return;
    }
    struct consumer_subscription subscription = {0};
    struct consumer_member *member;
    struct arena arena = {0};
    char text[MEMBER_ID_BYTES];
    struct slice id = request->member_id;
    enum err err = find_joining(group, request, &member);
    if (err == ERR_NONE && consumer_subscription_read(group, request->protocols[0].metadata, &arena,
                                                      &subscription) != ERR_NONE) {
        err = ERR_INCONSISTENT_PROTOCOL;
    }
    if (err == ERR_NONE && id.size == 0) {
        struct slice prefix =
            slice_is_null(request->instance_id) ? request->client_id : request->instance_id;
        id = member_id_make(group->config, prefix, text, sizeof text);
        err = request->member_id_required ? ERR_MEMBER_ID_REQUIRED : ERR_NONE;
    }
    struct group_who who = {request->member_id, request->instance_id, request->client_id,
                            request->client_host};
    if (err == ERR_FENCED_INSTANCE) {
        group_tell_fenced(group, effects, &who, "JoinGroup");
    }
    if (err == ERR_NONE && !has_memory(group, member, request, id.size, &who, effects)) {
        err = ERR_GROUP_MAX_SIZE;
    }
    if (err != ERR_NONE) {
        group_reply_join_error(effects, &request->waiter, id, err);
    } else {
        bool last = member != NULL && request->member_id.size == 0 &&
                    consumer_can_downgrade(group, member, 1);
        int32_t assignment_epoch = group->consumer->assignment_epoch;
        bool is_new = member == NULL;
        member = take_in(group, member, request, id, now, effects);
        member = settle(group, member, request, id, &subscription, now);
        consumer_tell(group, is_new ? member : NULL, request->reason, assignment_epoch, effects);
        if (last) { /* of the new protocol, and now it came back with the classic one */
            struct group_reply *reply =
                join_reply(member, &request->waiter, group->consumer->epoch);
            consumer_downgrade(group, NULL, false, reply, now, effects);
        } else {
            consumer_commit(group, member, join_reply(member, &request->waiter, member->epoch),
                            effects);
        }
    }
    partition_set_deinit(&subscription.owned);
    arena_deinit(&arena);
}

/* ---- SyncGroup, Heartbeat, LeaveGroup ---- */

static enum err find_classic(const struct group *group, struct slice member_id,
                             struct slice instance_id, struct consumer_member **member)
{
    *member = NULL;
    if (!slice_is_null(instance_id)) {
        struct consumer_member *holder = consumer_find_static(group->consumer, instance_id);
        if (holder != NULL && !slice_equal(holder->id, member_id)) {
            return ERR_FENCED_INSTANCE;
        }
        *member = holder;
    } else {
        *member = consumer_find(group->consumer, member_id);
    }
    return *member != NULL && (*member)->classic != NULL ? ERR_NONE : ERR_UNKNOWN_MEMBER;
}

/* It is to join again, within its rebalance time-out. */
static enum err call_to_join(struct group *group, struct consumer_member *member,
                             struct clock_time now)
{
    if (member->join_deadline_ms == INT64_MAX) {
        member->join_deadline_ms = now.mono_ms + member->rebalance_timeout_ms;
        group_wake_by(group, member->join_deadline_ms);
    }
    return ERR_REBALANCE_IN_PROGRESS;
}

static enum err check_sync(struct group *group, const struct group_sync_request *request,
                           struct consumer_member **member, struct clock_time now)
{
    enum err err = find_classic(group, request->member_id, request->instance_id, member);
    if (err != ERR_NONE) {
        return err;
    }
    if (request->generation != (*member)->epoch) {
        return ERR_ILLEGAL_GENERATION;
    }
    if ((!slice_is_null(request->protocol_type) &&
         !slice_equal_str(request->protocol_type, "consumer")) ||
        (!slice_is_null(request->protocol) &&
         !slice_equal(request->protocol, (*member)->classic->protocols[0].name))) {
        return ERR_INCONSISTENT_PROTOCOL;
    }
    /* Giving up partitions, it has joined already and goes on from there. */
    if (group->consumer->epoch > (*member)->epoch && (*member)->state != CONSUMER_UNREVOKED) {
        return call_to_join(group, *member, now);
    }
    return ERR_NONE;
}

void consumer_classic_sync(struct group *group, const struct group_sync_request *request,
                           struct clock_time now, struct group_effects *effects)
{
    struct consumer_member *member;
    enum err err = check_sync(group, request, &member, now);
    struct group_reply *reply = group_reply_new(GROUP_REPLY_SYNC, &request->waiter, err);
    reply->sync.assignment = slice_str("");
    if (err == ERR_FENCED_INSTANCE) {
        struct group_who who = {.member_id = request->member_id,
                                .instance_id = request->instance_id};
        group_tell_fenced(group, effects, &who, "SyncGroup");
    }
    if (err != ERR_NONE) {
        group_effects_reply(effects, reply);
        return;
    }
    member->sync_deadline_ms = INT64_MAX;
    consumer_touch(group, member, now);
    const struct group_protocol_offer *protocol = &member->classic->protocols[0];
    reply->sync.protocol_type = slice_str("consumer");
    reply->sync.protocol = group_arena_slice(&reply->arena, protocol->name);
    reply->sync.assignment = consumer_assignment_write(
        group, &member->assigned, consumer_protocol_version(protocol->metadata), &reply->arena);
    consumer_commit(group, member, reply, effects);
}

enum err consumer_classic_heartbeat(struct group *group, struct slice member_id,
                                    struct slice instance_id, int32_t generation,
                                    struct clock_time now)
{
    struct consumer_group *consumer = group->consumer;
    struct consumer_member *member;
    enum err err = find_classic(group, member_id, instance_id, &member);
    if (err != ERR_NONE) {
        return err;
    }
    if (generation != member->epoch) {
        return ERR_ILLEGAL_GENERATION;
    }
    consumer_touch(group, member, now);
    bool lags =
        member->epoch < consumer->epoch || member->state == CONSUMER_UNREVOKED ||
        (member->state == CONSUMER_UNRELEASED && !consumer_waits_for_others(consumer, member)) ||
        consumer_topics_outdated(group);
    return lags ? call_to_join(group, member, now) : ERR_NONE;
}

enum err consumer_classic_leave(struct group *group, const struct group_leaving *leaving,
                                struct clock_time now, struct group_effects *effects)
{
    struct slice member_id = leaving->member_id;
    struct slice instance_id = leaving->instance_id;
    struct consumer_member *member;
    struct consumer_member *holder = consumer_find_static(group->consumer, instance_id);
    if (holder != NULL && member_id.size == 0) { /* an administrator's way (KIP-345) */
        member_id = holder->id;
    }
    enum err err = find_classic(group, member_id, instance_id, &member);
    if (err == ERR_NONE) {
        struct group_who who = consumer_who(member);
        group_event_say(group_tell(group, effects, GROUP_EVENT_LEFT, &who, NULL), leaving->reason);
        consumer_fence(group, member, now, effects);
        if (group->consumer != NULL) { /* a classic group has stored its own */
            consumer_commit(group, NULL, NULL, effects);
        }
    }
    return err;
}
