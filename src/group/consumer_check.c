#include "group/consumer_check.h"

#include "base/pattern.h"

#include "group/classic_members.h"
#include "group/consumer_members.h"
#include "group/member_id.h"
#include "group/room.h"

#include <stdio.h>

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
                           struct consumer_refusal *refusal)
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
                            struct consumer_refusal *refusal)
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
                               struct consumer_refusal *refusal)
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

enum err consumer_check_request(const struct group *group,
                                const struct consumer_heartbeat_request *request,
                                struct consumer_refusal *refusal)
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
enum err consumer_check_epoch(const struct consumer_member *member,
                              const struct consumer_heartbeat_request *request,
                              struct consumer_refusal *refusal)
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
                             struct consumer_member **member, struct consumer_refusal *refusal)
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
enum err consumer_find_known(const struct group *group,
                             const struct consumer_heartbeat_request *request,
                             struct consumer_member **member, struct consumer_refusal *refusal)
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
enum err consumer_check_join(const struct group *group,
                             const struct consumer_heartbeat_request *request,
                             struct consumer_refusal *refusal)
{
    const struct consumer_group *consumer = group->consumer;
    bool known = consumer != NULL ? consumer_find(consumer, request->member_id) != NULL
                                  : classic_find(group, request->member_id) != NULL;
    if (!known && group->kind->member_count(group) >= (size_t)group->config->consumer_max_size) {
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

enum err consumer_check_regex(const struct group *group,
                              const struct consumer_heartbeat_request *request,
                              struct consumer_refusal *refusal)
{
    if (request->regex.size == 0 ||
        (group->consumer != NULL && consumer_find_regex(group->consumer, request->regex) != NULL)) {
        return ERR_NONE;
    }
    if (request->regex_refusal != NULL) {
        return REFUSE(refusal, ERR_INVALID_REGEX, "%s", request->regex_refusal->text);
    }
    struct pattern *pattern;
    refusal->err = pattern_new(request->regex, &pattern, &refusal->reason);
    pattern_free(pattern);
    return refusal->err;
}

/* What a partition takes once it is assigned: in the target, among what the member has, as held. */
static size_t assigned_cost(void)
{
    return 2 * sizeof(struct topic_partition) + mem_cost(sizeof(struct consumer_holding));
}

/* Of the topics that nobody in the group reads yet. */
static size_t new_topics_cost(const struct group *group,
                              const struct consumer_heartbeat_request *request)
{
    const struct group_topics *topics = &group->config->topics;
    size_t bytes = 0;
    for (size_t i = 0; i < request->topic_count && topics->find != NULL; i++) {
        struct wire_uuid id;
        int32_t count;
        bool known =
            group->consumer != NULL && consumer_find_topic(group->consumer, request->topics[i]);
        if (!known && topics->find(topics->context, request->topics[i], &id, &count)) {
            bytes += (size_t)count * assigned_cost();
        }
    }
    return bytes;
}

enum err consumer_check_room(struct group *group, const struct consumer_member *member,
                             const struct consumer_heartbeat_request *request,
                             struct group_effects *effects, struct consumer_refusal *refusal)
{
    struct group_who who = {request->member_id, request->instance_id, request->client_id,
                            request->client_host};
    struct consumer_regex regex = {.text = request->regex};
    if (member != NULL && !request->has_topics && request->regex.size == 0) {
        return ERR_NONE;
    }
    size_t had = member == NULL ? 0
                                : consumer_names_cost(member->topics, member->topic_count) +
                                      kept_cost(member->regex);
    size_t wanted = consumer_names_cost(request->topics, request->topic_count) +
                    (request->regex.size > 0 ? consumer_regex_cost(&regex) : 0);
    if (member == NULL) {
        wanted += mem_cost(sizeof *member) + mem_cost(MEMBER_ID_BYTES) +
                  kept_cost(request->instance_id) + kept_cost(request->rack_id) +
                  kept_cost(request->client_id) + kept_cost(request->client_host);
    }
    size_t growth = (wanted > had ? wanted - had : 0) + new_topics_cost(group, request);
    if (!group_take_member_room(group, wanted, growth, &who, "ConsumerGroupHeartbeat", effects)) {
        return REFUSE(refusal, ERR_GROUP_MAX_SIZE,
                      "there is no memory for this member: see group.member.max.bytes, "
                      "group.max.bytes and memory.max of the server");
    }
    return ERR_NONE;
}
