#include "group/consumer_state.h"

#include <stdio.h>

/* ConsumerGroupHeartbeat. */

/* Where a request's error and its message go. */
struct refusal {
    enum err err;
    struct reason reason;
};

static void reply_error(struct group_effects *effects,
                        const struct consumer_heartbeat_request *request,
                        const struct refusal *refusal)
{
    struct group_reply *reply =
        group_reply_new(GROUP_REPLY_CONSUMER_HEARTBEAT, &request->waiter, refusal->err);
    if (refusal->reason.text[0] != '\0') {
        reply->consumer.message = group_arena_slice(&reply->arena, slice_str(refusal->reason.text));
    }
    group_effects_reply(effects, reply);
}

#define REFUSE(refusal, code, ...)                                                                 \
    ((refusal)->err = reason_fail(&(refusal)->reason, (code), __VA_ARGS__))

/* ---- is the request well-formed? ---- */

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] > ' ') {
            return false;
        }
    }
    return !slice_is_null(text);
}

static enum err check_join(const struct consumer_heartbeat_request *request,
                           struct refusal *refusal)
{
    if (request->rebalance_timeout_ms == -1) {
        return REFUSE(refusal, ERR_INVALID, "RebalanceTimeoutMs must be given when joining");
    }
    if (!request->has_owned || request->owned_count > 0) {
        return REFUSE(refusal, ERR_INVALID, "TopicPartitions must be empty when joining");
    }
    if (request->topic_count == 0 && request->regex.size == 0) {
        return REFUSE(refusal, ERR_INVALID,
                      "SubscribedTopicNames or SubscribedTopicRegex must be given when joining");
    }
    return ERR_NONE;
}

static enum err check_names(const struct consumer_heartbeat_request *request,
                            struct refusal *refusal)
{
    /* From version 1 on, a member makes its own id (KIP-1082). */
    bool may_be_new =
        request->member_epoch == CONSUMER_EPOCH_JOIN && request->waiter.api_version < 1;
    if (is_blank(request->instance_id)) {
        return REFUSE(refusal, ERR_INVALID, "InstanceId can't be empty");
    }
    if (is_blank(request->rack_id)) {
        return REFUSE(refusal, ERR_INVALID, "RackId can't be empty");
    }
    if (is_blank(request->member_id) && !may_be_new) {
        return REFUSE(refusal, ERR_INVALID, "MemberId can't be empty");
    }
    return ERR_NONE;
}

static enum err check_assignor(const struct group *group,
                               const struct consumer_heartbeat_request *request,
                               struct refusal *refusal)
{
    const struct group_config *config = group->config;
    enum consumer_assignor wanted = ASSIGNOR_COUNT;
    bool found = request->assignor.size == 0 || consumer_assignor_find(request->assignor, &wanted);
    for (size_t i = 0; found && wanted < ASSIGNOR_COUNT && i < config->consumer_assignor_count;
         i++) {
        if (config->consumer_assignors[i] == wanted) {
            return ERR_NONE;
        }
    }
    if (request->assignor.size == 0) {
        return ERR_NONE;
    }
    char names[64] = "";
    for (size_t i = 0; i < config->consumer_assignor_count; i++) {
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i > 0 ? ", " : "",
                 consumer_assignor_name(config->consumer_assignors[i]));
    }
    return REFUSE(refusal, ERR_UNSUPPORTED_ASSIGNOR,
                  "ServerAssignor %.*s is not offered; group.consumer.assignors: %s",
                  SLICE_ARGS(request->assignor), names);
}

static enum err check_request(const struct group *group,
                              const struct consumer_heartbeat_request *request,
                              struct refusal *refusal)
{
    int32_t epoch = request->member_epoch;
    if (check_names(request, refusal) != ERR_NONE) {
        return refusal->err;
    }
    if (epoch < CONSUMER_EPOCH_LEAVE_STATIC) {
        return REFUSE(refusal, ERR_INVALID, "MemberEpoch %d is none that a member can have",
                      (int)epoch);
    }
    if (epoch == CONSUMER_EPOCH_LEAVE_STATIC && slice_is_null(request->instance_id)) {
        return REFUSE(refusal, ERR_INVALID, "InstanceId can't be null with MemberEpoch -2");
    }
    if (epoch == CONSUMER_EPOCH_JOIN && check_join(request, refusal) != ERR_NONE) {
        return refusal->err;
    }
    return check_assignor(group, request, refusal);
}

/* ---- who is it? ---- */

/* Whether a member may act at this epoch: its own, or the one before if the answer that raised it
 * was lost, which shows by what it owns. */
static enum err check_epoch(const struct consumer_member *member,
                            const struct consumer_heartbeat_request *request,
                            struct refusal *refusal)
{
    int32_t epoch = request->member_epoch;
    bool lost_answer =
        epoch < member->epoch && epoch == member->previous_epoch && request->has_owned &&
        partition_set_has_all(&member->assigned, request->owned, request->owned_count);
    if (epoch == member->epoch || epoch == CONSUMER_EPOCH_JOIN || lost_answer) {
        return ERR_NONE;
    }
    return REFUSE(
        refusal, ERR_FENCED_MEMBER_EPOCH,
        "member %.*s has epoch %d here, not %d: it must give up its partitions and rejoin",
        SLICE_ARGS(member->id), (int)member->epoch, (int)epoch);
}

static enum err check_static(const struct group *group,
                             const struct consumer_heartbeat_request *request,
                             struct consumer_member **member, struct refusal *refusal)
{
    struct consumer_member *holder = consumer_find_static(group->consumer, request->instance_id);
    *member = holder;
    if (holder == NULL) {
        return REFUSE(refusal, ERR_UNKNOWN_MEMBER, "instance id %.*s is unknown in group %.*s",
                      SLICE_ARGS(request->instance_id), SLICE_ARGS(group->id));
    }
    if (!slice_equal(holder->id, request->member_id)) {
        return REFUSE(refusal, ERR_FENCED_INSTANCE, "instance id %.*s is now member %.*s's",
                      SLICE_ARGS(request->instance_id), SLICE_ARGS(holder->id));
    }
    return ERR_NONE;
}

/* A member that must be there. */
static enum err find_known(const struct group *group,
                           const struct consumer_heartbeat_request *request,
                           struct consumer_member **member, struct refusal *refusal)
{
    if (!slice_is_null(request->instance_id)) {
        return check_static(group, request, member, refusal);
    }
    *member = consumer_find(group->consumer, request->member_id);
    if (*member == NULL) {
        return REFUSE(refusal, ERR_UNKNOWN_MEMBER, "member %.*s is not in group %.*s",
                      SLICE_ARGS(request->member_id), SLICE_ARGS(group->id));
    }
    return ERR_NONE;
}

/* A joining member must find room, and its instance id free. The group may be classic yet. */
static enum err check_join_group(const struct group *group,
                                 const struct consumer_heartbeat_request *request,
                                 struct refusal *refusal)
{
    const struct consumer_group *consumer = group->consumer;
    bool known = consumer != NULL ? consumer_find(consumer, request->member_id) != NULL
                                  : group_find_member(group, request->member_id) != NULL;
    if (!known && group_member_count(group) >= (size_t)group->config->consumer_max_size) {
        return REFUSE(refusal, ERR_GROUP_MAX_SIZE,
                      "group %.*s is full: group.consumer.max.size=%d members",
                      SLICE_ARGS(group->id), (int)group->config->consumer_max_size);
    }
    const struct consumer_member *holder =
        consumer != NULL ? consumer_find_static(consumer, request->instance_id) : NULL;
    if (holder != NULL && holder->classic == NULL && holder->epoch != CONSUMER_EPOCH_LEAVE_STATIC &&
        !slice_equal(holder->id, request->member_id)) {
        return REFUSE(refusal, ERR_UNRELEASED_INSTANCE,
                      "instance id %.*s is still member %.*s's: it must leave first",
                      SLICE_ARGS(request->instance_id), SLICE_ARGS(holder->id));
    }
    return ERR_NONE;
}

static enum err check_regex(const struct group *group,
                            const struct consumer_heartbeat_request *request,
                            struct refusal *refusal)
{
    if (request->regex.size == 0 ||
        (group->consumer != NULL && consumer_find_regex(group->consumer, request->regex) != NULL)) {
        return ERR_NONE;
    }
    struct pattern *pattern;
    refusal->err = pattern_new(request->regex, &pattern, &refusal->reason);
    pattern_free(pattern);
    return refusal->err;
}

/* ---- joining ---- */

/* Starts a member over: it has nothing, at epoch 0. */
static void reset_member(struct consumer_group *consumer, struct consumer_member *member,
                         bool keeps)
{
    struct partition_set assigned = {0}, revoking = {0};
    if (keeps) {
        partition_set_take(&assigned, &member->assigned);
        partition_set_copy(&member->assigned, &assigned);
    }
    consumer_set_current(consumer, member, &assigned, &revoking);
    member->epoch = 0;
    member->previous_epoch = 0;
    member->state = CONSUMER_STABLE;
    consumer_dirty(consumer, member, CONSUMER_DIRTY_CURRENT);
}

static struct consumer_member *join(struct group *group,
                                    const struct consumer_heartbeat_request *request)
{
    struct consumer_group *consumer = group->consumer;
    char text[GROUP_MEMBER_ID_PREFIX_BYTES + GROUP_UUID_TEXT_BYTES + 2];
    struct slice id = request->member_id;
    if (id.size == 0) {
        id = group_make_member_id(group, slice_str("consumer"), text, sizeof text);
    }
    struct consumer_member *member = consumer_find(consumer, id);
    struct consumer_member *holder = consumer_find_static(consumer, request->instance_id);
    if (holder != NULL && holder != member) {
        if (member != NULL) {
            consumer_remove(consumer, member); /* its id is taken over by the static member */
        }
        consumer_rename(consumer, holder, id);
        reset_member(consumer, holder, true);
        return holder;
    }
    if (member == NULL) {
        member = consumer_add(consumer, id, request->instance_id);
        consumer_dirty(consumer, member, CONSUMER_DIRTY_METADATA);
        return member;
    }
    if (member->epoch != 0 || member->assigned.count > 0) {
        reset_member(consumer, member, false); /* it says that it owns nothing */
    }
    return member;
}

/* ---- what is new about a member ---- */

static bool set_text(struct slice *kept, struct slice value)
{
    if (slice_is_null(value) || (slice_equal(*kept, value) && !slice_is_null(*kept))) {
        return false;
    }
    if (value.size == 0 && slice_is_null(*kept)) {
        return false;
    }
    if (value.size == 0) {
        kept_free(kept);
    } else {
        kept_set(kept, value);
    }
    return true;
}

/* Takes over what the request names. Returns whether the subscription changed. */
static bool update_member(struct consumer_group *consumer, struct consumer_member *member,
                          const struct consumer_heartbeat_request *request)
{
    bool changed = set_text(&member->rack_id, request->rack_id);
    changed = set_text(&member->assignor, request->assignor) || changed;
    changed = set_text(&member->client_id, request->client_id) || changed;
    changed = set_text(&member->client_host, request->client_host) || changed;
    if (request->rebalance_timeout_ms != -1 &&
        request->rebalance_timeout_ms != member->rebalance_timeout_ms) {
        member->rebalance_timeout_ms = request->rebalance_timeout_ms;
        changed = true;
    }
    bool subscription =
        request->has_topics && consumer_set_topics(member, request->topics, request->topic_count);
    subscription = set_text(&member->regex, request->regex) || subscription;
    if (member->classic != NULL) { /* it comes back with the new protocol */
        consumer_set_classic(consumer, member, NULL);
        member->join_deadline_ms = INT64_MAX;
        member->sync_deadline_ms = INT64_MAX;
        changed = true;
    }
    if (changed || subscription) {
        consumer_dirty(consumer, member, CONSUMER_DIRTY_METADATA);
    }
    return subscription;
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
                                      const struct group_waiter *waiter, bool with_assignment)
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
static bool reconcile(struct consumer_group *consumer, struct consumer_member *member,
                      const struct consumer_heartbeat_request *request, struct group_time now)
{
    if (consumer_is_reconciled(consumer, member)) {
        return false;
    }
    struct partition_set before = {0};
    partition_set_copy(&before, &member->assigned);
    consumer_reconcile(consumer, member, request->has_owned, request->owned, request->owned_count,
                       now);
    bool changed = !partition_set_equal(&before, &member->assigned);
    partition_set_deinit(&before);
    return changed;
}

/* The member is there, and its epoch good: what follows cannot fail. */
static void beat(struct group *group, struct consumer_member *member,
                 const struct consumer_heartbeat_request *request, struct group_time now,
                 struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    bool new_subscription = update_member(consumer, member, request);
    if (new_subscription || consumer_topics_outdated(group)) {
        bool new_topics = consumer_refresh_topics(group, now);
        if (new_subscription || new_topics) {
            consumer_bump(consumer);
        }
    }
    consumer_assign_targets(group);
    bool changed = reconcile(consumer, member, request, now);
    consumer_touch(group, member, now);
    consumer_settle_state(group, now);
    bool full = request->member_epoch == CONSUMER_EPOCH_JOIN ||
                (request->rebalance_timeout_ms != -1 && request->has_topics && request->has_owned);
    consumer_commit(group, member, make_reply(group, member, &request->waiter, full || changed),
                    effects);
}

static enum err enter(struct group *group, const struct consumer_heartbeat_request *request,
                      struct consumer_member **member, struct group_time now,
                      struct group_effects *effects, struct refusal *refusal)
{
    bool joins = request->member_epoch == CONSUMER_EPOCH_JOIN;
    if (group->consumer == NULL && !(joins && consumer_can_upgrade(group))) {
        return REFUSE(refusal, ERR_GROUP_NOT_FOUND,
                      "group %.*s is not a consumer group, and cannot become one",
                      SLICE_ARGS(group->id));
    }
    if (!joins) {
        if (find_known(group, request, member, refusal) != ERR_NONE ||
            check_epoch(*member, request, refusal) != ERR_NONE) {
            return refusal->err;
        }
        return check_regex(group, request, refusal);
    }
    if (check_join_group(group, request, refusal) != ERR_NONE ||
        check_regex(group, request, refusal) != ERR_NONE) {
        return refusal->err;
    }
    if (group->consumer == NULL && consumer_upgrade(group, now, effects) != ERR_NONE) {
        return REFUSE(refusal, ERR_GROUP_NOT_FOUND,
                      "group %.*s cannot become a consumer group: what its classic members said "
                      "of subscriptions or assignments makes no sense",
                      SLICE_ARGS(group->id));
    }
    *member = join(group, request);
    return ERR_NONE;
}

/* ---- leaving ---- */

static enum err leave(struct group *group, const struct consumer_heartbeat_request *request,
                      struct group_time now, struct group_effects *effects, struct refusal *refusal)
{
    struct consumer_member *member;
    if (group->consumer == NULL) {
        return REFUSE(refusal, ERR_GROUP_NOT_FOUND, "group %.*s is not a consumer group",
                      SLICE_ARGS(group->id));
    }
    if (find_known(group, request, &member, refusal) != ERR_NONE) {
        return refusal->err;
    }
    struct group_reply *reply =
        group_reply_new(GROUP_REPLY_CONSUMER_HEARTBEAT, &request->waiter, ERR_NONE);
    reply->consumer.member_id = group_arena_slice(&reply->arena, member->id);
    reply->consumer.member_epoch = request->member_epoch;
    if (request->member_epoch == CONSUMER_EPOCH_LEAVE_STATIC) {
        /* It keeps its partitions until it is back or its session ends (KIP-345). */
        struct partition_set assigned = {0}, none = {0};
        partition_set_copy(&assigned, &member->assigned);
        consumer_set_current(group->consumer, member, &assigned, &none);
        member->epoch = CONSUMER_EPOCH_LEAVE_STATIC;
        consumer_dirty(group->consumer, member, CONSUMER_DIRTY_CURRENT);
        consumer_commit(group, member, reply, effects);
        return ERR_NONE;
    }
    consumer_fence(group, member, now, effects);
    if (group->consumer != NULL) {
        consumer_commit(group, NULL, reply, effects);
    } else {
        group_effects_reply(effects, reply); /* its leaving is stored with the classic group */
    }
    return ERR_NONE;
}

void consumer_heartbeat(struct group *group, const struct consumer_heartbeat_request *request,
                        struct group_time now, struct group_effects *effects)
{
    struct refusal refusal = {ERR_NONE, {""}};
    struct consumer_member *member;
    enum err err = check_request(group, request, &refusal);
    if (err == ERR_NONE && request->member_epoch < 0) {
        err = leave(group, request, now, effects, &refusal);
    } else if (err == ERR_NONE) {
        err = enter(group, request, &member, now, effects, &refusal);
        if (err == ERR_NONE) {
            beat(group, member, request, now, effects);
        }
    }
    if (err != ERR_NONE) {
        reply_error(effects, request, &refusal);
    }
}

/* ---- offsets ---- */

static enum err epoch_error(const struct consumer_member *member, int32_t epoch)
{
    if (epoch == member->epoch) {
        return ERR_NONE;
    }
    return member->classic != NULL ? ERR_ILLEGAL_GENERATION : ERR_STALE_MEMBER_EPOCH;
}

enum err consumer_check_commit(struct group *group, struct slice member_id, int32_t epoch,
                               int16_t api_version, bool transactional)
{
    const struct consumer_member *member = consumer_find(group->consumer, member_id);
    if (member == NULL) {
        return ERR_UNKNOWN_MEMBER;
    }
    if (!transactional && member->classic == NULL && api_version < 9) {
        return ERR_UNSUPPORTED; /* older versions have no word for a stale epoch */
    }
    return epoch_error(member, epoch);
}

enum err group_check_fetch(const struct group *group, struct slice member_id, int32_t member_epoch)
{
    if (group->consumer == NULL || (slice_is_null(member_id) && member_epoch < 0)) {
        return ERR_NONE;
    }
    const struct consumer_member *member = consumer_find(group->consumer, member_id);
    return member == NULL ? ERR_UNKNOWN_MEMBER : epoch_error(member, member_epoch);
}
