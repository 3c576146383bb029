#include "group/consumer.h"

#include "base/mem.h"
#include "group/consumer_change.h"
#include "group/consumer_check.h"
#include "group/consumer_leave.h"
#include "group/consumer_members.h"
#include "group/consumer_pieces.h"
#include "group/consumer_reconcile.h"
#include "group/consumer_target.h"
#include "group/consumer_topics.h"
#include "group/consumer_upgrade.h"
#include "group/member_id.h"

#include <stdlib.h>

/* ConsumerGroupHeartbeat. */

static void reply_error(const struct group *group, struct group_effects *effects,
                        const struct consumer_heartbeat_request *request,
                        const struct consumer_refusal *refusal)
{
    struct group_reply *reply =
        group_reply_new(GROUP_REPLY_CONSUMER_HEARTBEAT, &request->waiter, refusal->err);
    if (refusal->reason.text[0] != '\0') {
        reply->consumer.message = group_arena_slice(&reply->arena, slice_str(refusal->reason.text));
    }
    struct group_who who = {request->member_id, request->instance_id, request->client_id,
                            request->client_host};
    if (refusal->err == ERR_FENCED_INSTANCE || refusal->err == ERR_UNRELEASED_INSTANCE) {
        group_tell_fenced(group, effects, &who, "ConsumerGroupHeartbeat");
    } else if (refusal->err == ERR_FENCED_MEMBER_EPOCH) {
        group_tell(group, effects, GROUP_EVENT_FENCED, &who, refusal->reason.text);
    }
    group_effects_reply(effects, reply);
}

/* ---- joining ---- */

/* Starts a member over: at epoch 0 it has nothing. */
static void reset(struct group *group, const struct consumer_member *member, struct clock_time now)
{
    struct partition_set none = {0};
    consumer_set_current(group, member, CONSUMER_STABLE, 0, 0, &none, &none, now);
}

/* The member that joins: NULL for a new one, or a static one under its new id. */
static struct consumer_member *join(struct group *group,
                                    const struct consumer_heartbeat_request *request,
                                    struct slice id, struct clock_time now,
                                    struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    struct consumer_member *member = consumer_find(consumer, id);
    struct consumer_member *holder = consumer_find_static(consumer, request->instance_id);
    if (holder != NULL && holder != member) {
        if (member != NULL) {
            consumer_remove(group, member, now); /* its id is taken over by the static member */
        }
        return consumer_replace(group, holder, id, (struct slice){0}, now, effects);
    }
    if (member != NULL && (member->epoch != 0 || member->assigned.count > 0)) {
        reset(group, member, now); /* it says that it owns nothing */
    }
    return member;
}

/* ---- what is new about a member ---- */

static bool set_text(struct slice *kept, struct slice value)
{
    if (slice_is_null(value) || (slice_equal(*kept, value) && !slice_is_null(*kept)) ||
        (value.size == 0 && slice_is_null(*kept))) {
        return false;
    }
    *kept = value.size == 0 ? (struct slice){0} : value;
    return true;
}

/* Whether the request names another list of topics; its own, in order, is in *names then. */
static bool other_topics(const struct consumer_member *member,
                         const struct consumer_heartbeat_request *request, struct slice **names,
                         size_t *count)
{
    *names = mem_dup(request->topics, request->topic_count * sizeof *request->topics);
    *count = consumer_sort_names(*names, request->topic_count);
    return member == NULL ||
           !consumer_same_names(*names, *count, member->topics, member->topic_count);
}

/* Takes over what the request names; a member that is NULL is made. *subscription: whether that
 * changed. Allocates nothing when nothing is named. */
static struct consumer_member *update_member(struct group *group, struct consumer_member *member,
                                             const struct consumer_heartbeat_request *request,
                                             struct slice id, bool *subscription,
                                             struct clock_time now)
{
    struct arena arena = {0};
    struct consumer_group_member_metadata_value value = consumer_member_value(member, &arena);
    struct slice *names = NULL;
    size_t count;
    bool changed = member == NULL || member->classic != NULL;
    changed = set_text(&value.rack_id, request->rack_id) || changed;
    changed = set_text(&value.server_assignor, request->assignor) || changed;
    changed = set_text(&value.client_id, request->client_id) || changed;
    changed = set_text(&value.client_host, request->client_host) || changed;
    if (request->rebalance_timeout_ms != -1 &&
        request->rebalance_timeout_ms != value.rebalance_timeout_ms) {
        value.rebalance_timeout_ms = request->rebalance_timeout_ms;
        changed = true;
    }
    *subscription = request->has_topics && other_topics(member, request, &names, &count);
    if (*subscription) {
        value.subscribed_topic_names = names;
        value.subscribed_topic_names_count = (int32_t)count;
    }
    *subscription = set_text(&value.subscribed_topic_regex, request->regex) || *subscription;
    if (member == NULL) {
        value.instance_id = request->instance_id;
    } else if (member->classic != NULL) { /* it comes back with the new protocol */
        member->join_deadline_ms = INT64_MAX;
        member->sync_deadline_ms = INT64_MAX;
    }
    value.classic_member_metadata = NULL;
    value.client_id = slice_or_empty(value.client_id);
    value.client_host = slice_or_empty(value.client_host);
    if (changed || *subscription) {
        member = consumer_set_member(group, id, &value, now);
    }
    free(names);
    arena_deinit(&arena);
    return member;
}

/* ---- the answer ---- */

static struct group_topic_partitions *list_partitions(struct arena *arena,
                                                      const struct partition_set *set,
                                                      size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < set->count; i = partition_set_run(set, i)) {
        (*count)++;
    }
    struct group_topic_partitions *topics = arena_alloc_array(arena, *count, sizeof *topics);
    int32_t *partitions = arena_alloc_array(arena, set->count, sizeof *partitions);
    size_t at = 0;
    for (size_t i = 0, end; i < set->count; i = end) {
        end = partition_set_run(set, i);
        topics[at++] =
            (struct group_topic_partitions){set->items[i].topic, partitions + i, end - i};
        for (size_t p = i; p < end; p++) {
            partitions[p] = set->items[p].partition;
        }
    }
    return topics;
}

static struct group_reply *make_reply(const struct group *group,
                                      const struct consumer_member *member,
                                      const struct completion *waiter, bool with_assignment)
{
    struct group_reply *reply = group_reply_new(GROUP_REPLY_CONSUMER_HEARTBEAT, waiter, ERR_NONE);
    reply->consumer.member_id = group_arena_slice(&reply->arena, member->id);
    reply->consumer.member_epoch = member->epoch;
    reply->consumer.heartbeat_interval_ms = (int32_t)group->own.heartbeat_interval_ms;
    if (with_assignment) {
        reply->consumer.has_assignment = true;
        reply->consumer.topics =
            list_partitions(&reply->arena, &member->assigned, &reply->consumer.topic_count);
    }
    return reply;
}

/* ---- regular heartbeats ---- */

/* Returns whether the partitions changed that the member may have. */
static bool reconcile(struct group *group, struct consumer_member *member,
                      const struct consumer_heartbeat_request *request, struct clock_time now)
{
    if (consumer_is_reconciled(group->consumer, member)) {
        return false;
    }
    struct partition_set before = {0};
    partition_set_copy(&before, &member->assigned);
    consumer_reconcile(group, member, request->has_owned, request->owned, request->owned_count,
                       now);
    bool changed = !partition_set_equal(&before, &member->assigned);
    partition_set_deinit(&before);
    return changed;
}

/* The member (NULL: a new one) is good, and its epoch: what follows cannot fail. */
static void beat(struct group *group, struct consumer_member *member,
                 const struct consumer_heartbeat_request *request, struct slice id,
                 struct clock_time now, struct group_effects *effects)
{
    bool new_subscription;
    bool is_new = member == NULL;
    int32_t assignment_epoch = group->consumer->assignment_epoch;
    member = update_member(group, member, request, id, &new_subscription, now);
    if (new_subscription || consumer_topics_outdated(group) ||
        consumer_regex_outdated(group, member, &request->asker)) {
        bool new_topics = consumer_refresh_topics(group, member, &request->asker, now);
        if (new_subscription || new_topics) {
            consumer_bump(group, now);
        }
    }
    consumer_assign_targets(group, now);
    bool changed = reconcile(group, member, request, now);
    consumer_tell(group, is_new ? member : NULL, (struct slice){0}, assignment_epoch, effects);
    consumer_touch(group, member, now);
    bool full = request->member_epoch == CONSUMER_EPOCH_JOIN ||
                (request->rebalance_timeout_ms != -1 && request->has_topics && request->has_owned);
    consumer_commit(group, member, make_reply(group, member, &request->waiter, full || changed),
                    effects);
}

/* The member that it will be; NULL: a new one. */
static const struct consumer_member *find_joining(const struct group *group,
                                                  const struct consumer_heartbeat_request *request)
{
    if (group->consumer == NULL) {
        return NULL;
    }
    const struct consumer_member *holder =
        consumer_find_static(group->consumer, request->instance_id);
    return holder != NULL ? holder : consumer_find(group->consumer, request->member_id);
}

/* Whether the request may go on; makes the group a consumer group if it is to be one. *member: who
 * asks, unless it joins. */
static enum err check(struct group *group, const struct consumer_heartbeat_request *request,
                      struct consumer_member **member, struct clock_time now,
                      struct group_effects *effects, struct consumer_refusal *refusal)
{
    bool joins = request->member_epoch == CONSUMER_EPOCH_JOIN;
    if (group->consumer == NULL && !(joins && consumer_can_upgrade(group))) {
        return REFUSE(refusal, ERR_GROUP_NOT_FOUND,
                      "group %.*s is not a consumer group, and cannot become one",
                      SLICE_ARGS(group->id));
    }
    if (!joins) {
        if (consumer_find_known(group, request, member, refusal) != ERR_NONE ||
            consumer_check_epoch(*member, request, refusal) != ERR_NONE) {
            return refusal->err;
        }
        if (consumer_check_regex(group, request, refusal) != ERR_NONE) {
            return refusal->err;
        }
        return consumer_check_room(group, *member, request, effects, refusal);
    }
    if (consumer_check_join(group, request, refusal) != ERR_NONE ||
        consumer_check_regex(group, request, refusal) != ERR_NONE ||
        consumer_check_room(group, find_joining(group, request), request, effects, refusal) !=
            ERR_NONE) {
        return refusal->err;
    }
    if (group->consumer == NULL && consumer_upgrade(group, now, effects) != ERR_NONE) {
        return REFUSE(refusal, ERR_GROUP_NOT_FOUND,
                      "group %.*s cannot become a consumer group: what its classic members said "
                      "of subscriptions or assignments makes no sense",
                      SLICE_ARGS(group->id));
    }
    return ERR_NONE;
}

static enum err enter(struct group *group, const struct consumer_heartbeat_request *request,
                      struct clock_time now, struct group_effects *effects,
                      struct consumer_refusal *refusal)
{
    struct consumer_member *member = NULL;
    char text[MEMBER_ID_BYTES];
    struct slice id = request->member_id;
    if (check(group, request, &member, now, effects, refusal) != ERR_NONE) {
        return refusal->err;
    }
    if (request->member_epoch == CONSUMER_EPOCH_JOIN) {
        if (id.size == 0) {
            id = member_id_make(group->config, slice_str("consumer"), text, sizeof text);
        }
        member = join(group, request, id, now, effects);
    }
    beat(group, member, request, id, now, effects);
    return ERR_NONE;
}

/* ---- leaving ---- */

static enum err leave(struct group *group, const struct consumer_heartbeat_request *request,
                      struct clock_time now, struct group_effects *effects,
                      struct consumer_refusal *refusal)
{
    struct consumer_member *member;
    if (group->consumer == NULL) {
        return REFUSE(refusal, ERR_GROUP_NOT_FOUND, "group %.*s is not a consumer group",
                      SLICE_ARGS(group->id));
    }
    if (consumer_find_known(group, request, &member, refusal) != ERR_NONE) {
        return refusal->err;
    }
    struct group_reply *reply =
        group_reply_new(GROUP_REPLY_CONSUMER_HEARTBEAT, &request->waiter, ERR_NONE);
    reply->consumer.member_id = group_arena_slice(&reply->arena, member->id);
    reply->consumer.member_epoch = request->member_epoch;
    if (request->member_epoch == CONSUMER_EPOCH_LEAVE_STATIC) {
        /* It keeps its partitions until it is back or its session ends (KIP-345). */
        struct group_who who = consumer_who(member);
        group_tell(group, effects, GROUP_EVENT_AWAY, &who, NULL);
        struct partition_set none = {0};
        consumer_set_current(group, member, member->state, CONSUMER_EPOCH_LEAVE_STATIC,
                             member->previous_epoch, &member->assigned, &none, now);
        consumer_commit(group, member, reply, effects);
        return ERR_NONE;
    }
    struct group_who who = consumer_who(member);
    group_tell(group, effects, GROUP_EVENT_LEFT, &who, NULL);
    consumer_fence(group, member, now, effects);
    if (group->consumer != NULL) {
        consumer_commit(group, NULL, reply, effects);
    } else {
        group_effects_reply(effects, reply); /* its leaving is stored with the classic group */
    }
    return ERR_NONE;
}

void consumer_heartbeat(struct group *group, const struct consumer_heartbeat_request *request,
                        struct clock_time now, struct group_effects *effects)
{
    struct consumer_refusal refusal = {ERR_NONE, {""}};
    enum err err = consumer_check_request(group, request, &refusal);
    if (err == ERR_NONE && request->member_epoch < 0) {
        err = leave(group, request, now, effects, &refusal);
    } else if (err == ERR_NONE) {
        err = enter(group, request, now, effects, &refusal);
    }
    if (err != ERR_NONE) {
        reply_error(group, effects, request, &refusal);
    }
}
