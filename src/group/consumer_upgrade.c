#include "group/consumer_upgrade.h"

#include "base/mem.h"
#include "group/classic_change.h"
#include "group/classic_kind.h"
#include "group/classic_waiters.h"
#include "group/consumer_change.h"
#include "group/consumer_kind.h"
#include "group/consumer_members.h"
#include "group/consumer_pieces.h"
#include "group/consumer_protocol.h"

#include <assert.h>

bool consumer_can_upgrade(const struct group *group)
{
    return group->members == NULL ||
           (group->config->consumer_upgrade && slice_equal_str(group->protocol_type, "consumer") &&
            HASH_COUNT(group->members) <= (size_t)group->config->consumer_max_size);
}

static struct slice subscription_of(const struct group *group, const struct classic_member *member)
{
    return slice_is_null(group->protocol) ? member->protocols[0].metadata
                                          : classic_metadata(member, group->protocol);
}

/* Whether the member's bytes make sense; adds its partitions of the last generation. */
static bool read_member(const struct group *group, const struct classic_member *member,
                        struct partition_set *all)
{
    struct arena arena = {0};
    struct consumer_subscription subscription;
    struct partition_set assigned = {0};
    bool good = consumer_subscription_read(group, subscription_of(group, member), &arena,
                                           &subscription) == ERR_NONE &&
                consumer_assignment_read(group, member->assignment, &assigned) == ERR_NONE;
    for (size_t i = 0; i < assigned.count; i++) {
        partition_set_push(all, assigned.items[i].topic, assigned.items[i].partition);
    }
    partition_set_deinit(&assigned);
    partition_set_deinit(&subscription.owned);
    arena_deinit(&arena);
    return good;
}

/* No bytes without sense, and no partition of two members. */
static bool makes_sense(const struct group *group)
{
    struct partition_set all = {0};
    bool good = true;
    for (const struct classic_member *m = group->members; good && m != NULL; m = m->hh.next) {
        good = read_member(group, m, &all);
    }
    size_t sum = all.count;
    partition_set_sort(&all);
    good = good && all.count == sum;
    partition_set_deinit(&all);
    return good;
}

/* A member as it was in the classic group, with the partitions of the last generation. */
static void adopt(struct group *group, const struct group *former,
                  const struct classic_member *from, struct clock_time now)
{
    struct arena arena = {0};
    struct consumer_subscription subscription;
    struct partition_set assigned = {0}, none = {0};
    enum err err =
        consumer_subscription_read(group, subscription_of(former, from), &arena, &subscription);
    assert(err == ERR_NONE); /* makes_sense has read it */
    err = consumer_assignment_read(group, from->assignment, &assigned);
    assert(err == ERR_NONE);
    struct consumer_group_member_metadata_value value = consumer_member_value(NULL, &arena);
    value.instance_id = from->instance_id;
    value.client_id = slice_or_empty(from->client_id);
    value.client_host = slice_or_empty(from->client_host);
    value.rack_id = subscription.rack_id;
    value.subscribed_topic_names = (struct slice *)(uintptr_t)subscription.topics;
    value.subscribed_topic_names_count = (int32_t)subscription.topic_count;
    value.rebalance_timeout_ms = from->rebalance_timeout_ms;
    value.classic_member_metadata = consumer_classic_value(
        from->session_timeout_ms, from->protocols, from->protocol_count, &arena);
    struct consumer_member *member = consumer_set_member(group, from->id, &value, now);
    consumer_set_target(group, member, &assigned, now);
    consumer_set_current(group, member, CONSUMER_STABLE, former->generation, former->generation,
                         &assigned, &none, now);
    member->session_deadline_ms = now.mono_ms + from->session_timeout_ms;
    partition_set_deinit(&assigned);
    partition_set_deinit(&subscription.owned);
    arena_deinit(&arena);
}

/* Takes the classic members out of the group, for the new ones to be made of. */
static struct group set_aside(struct group *group)
{
    classic_remove_all_pending(group);
    struct group former = {
        .members = group->members,
        .static_members = group->static_members,
        .support = group->support,
        .member_bytes = group->member_bytes,
        .owed_sync_count = group->owed_sync_count,
        .joined_count = group->joined_count,
        .generation = group->generation,
        .protocol_type = group->protocol_type,
        .protocol = group->protocol,
        .leader = group->leader,
    };
    group->members = group->static_members = NULL;
    group->support = NULL;
    group->member_bytes = 0;
    group->owed_sync_count = group->joined_count = 0;
    group->protocol_type = group->protocol = group->leader = (struct slice){0};
    classic_kind.forget(group);
    return former;
}

enum err consumer_upgrade(struct group *group, struct clock_time now, struct group_effects *effects)
{
    if (!makes_sense(group)) {
        return ERR_GROUP_NOT_FOUND;
    }
    classic_abandon(group, ERR_REBALANCE_IN_PROGRESS, effects); /* they join again, and fit in */
    struct group former = set_aside(group);
    consumer_begin(group, false);
    group->kind = &consumer_kind;
    if (former.generation > 0) {
        consumer_drop(group, GROUP_RECORD_METADATA, (struct slice){0}, now);
    }
    for (const struct classic_member *m = former.members; m != NULL; m = m->hh.next) {
        adopt(group, &former, m, now);
    }
    if (former.members != NULL) {
        consumer_set_epochs(group, former.generation, now);
    }
    if (former.members != NULL) {
        group_tell(group, effects, GROUP_EVENT_CONVERTED, NULL, "to the protocol of KIP-848");
    }
    classic_forget(&former);
    return ERR_NONE;
}
