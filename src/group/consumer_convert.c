#include "group/consumer_state.h"

#include "base/mem.h"

#include <stdlib.h>

/* From a classic group to a consumer group and back, with members in it (KIP-848, "Online
 * migration"). */

/* ---- up ---- */

bool consumer_can_upgrade(const struct group *group)
{
    return group->members == NULL ||
           (group->config->consumer_upgrade && slice_equal_str(group->protocol_type, "consumer") &&
            HASH_COUNT(group->members) <= (size_t)group->config->consumer_max_size);
}

/* A member as it is, with the partitions of the last generation; false when its bytes make no
 * sense or somebody has one of the partitions already. */
static bool adopt(const struct group *group, struct consumer_group *consumer,
                  const struct group_member *from, struct group_time now)
{
    struct arena arena = {0};
    struct consumer_subscription subscription;
    struct partition_set assigned = {0}, none = {0};
    struct slice metadata = slice_is_null(group->protocol)
                                ? from->protocols[0].metadata
                                : group_member_metadata(from, group->protocol);
    bool good = consumer_subscription_read(group, metadata, &arena, &subscription) == ERR_NONE &&
                consumer_assignment_read(group, from->assignment, &assigned) == ERR_NONE;
    for (size_t i = 0; good && i < assigned.count; i++) {
        good = !consumer_is_held(consumer, &assigned.items[i]);
    }
    if (good) {
        struct consumer_member *member = consumer_add(consumer, from->id, from->instance_id);
        kept_set(&member->client_id, from->client_id);
        kept_set(&member->client_host, from->client_host);
        kept_set(&member->rack_id, subscription.rack_id);
        consumer_set_topics(member, subscription.topics, subscription.topic_count);
        member->rebalance_timeout_ms = from->rebalance_timeout_ms;
        member->epoch = member->previous_epoch = group->generation;
        consumer_set_classic(
            consumer, member,
            consumer_classic_new(from->session_timeout_ms, from->protocols, from->protocol_count));
        member->session_deadline_ms = now.mono_ms + from->session_timeout_ms;
        partition_set_copy(&member->target, &assigned);
        consumer_set_current(consumer, member, &assigned, &none);
        consumer_dirty(consumer, member, CONSUMER_DIRTY_ALL);
    }
    partition_set_deinit(&assigned);
    partition_set_deinit(&subscription.owned);
    arena_deinit(&arena);
    return good;
}

enum err consumer_upgrade(struct group *group, struct group_time now, struct group_effects *effects)
{
    struct consumer_group *consumer = consumer_new();
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        if (!adopt(group, consumer, m, now)) {
            consumer_free(consumer);
            return ERR_GROUP_NOT_FOUND;
        }
    }
    if (group->members != NULL) {
        consumer->epoch = consumer->assignment_epoch = group->generation;
        consumer->dirty_epoch = consumer->dirty_assignment_epoch = true;
    }
    consumer->bury_classic = group->generation > 0;
    consumer->dirty = true;
    group_abandon(group, ERR_REBALANCE_IN_PROGRESS, effects); /* they join again, and fit in */
    struct group_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        group_remove_member(group, member, effects);
    }
    struct group_pending *pending, *next_pending;
    HASH_ITER (hh, group->pending, pending, next_pending) {
        group_remove_pending(group, pending);
    }
    group->consumer = consumer;
    group->generation = 0;
    kept_set(&group->protocol_type, slice_str("consumer"));
    kept_free(&group->protocol);
    kept_free(&group->leader);
    group_set_state(group, consumer->members != NULL ? GROUP_STABLE : GROUP_EMPTY, now);
    return ERR_NONE;
}

/* ---- down ---- */

bool consumer_can_downgrade(const struct group *group, const struct consumer_member *leaving,
                            size_t joining)
{
    const struct consumer_group *consumer = group->consumer;
    size_t others = HASH_COUNT(consumer->members) - 1;
    return group->config->consumer_downgrade && leaving->classic == NULL &&
           consumer->classic_count == others && others + joining > 0 &&
           others + joining <= (size_t)group->config->max_size;
}

static void give_back(struct group *group, const struct consumer_member *from,
                      struct group_time now)
{
    struct group_member *member = mem_new(struct group_member);
    member->id = kept_copy(from->id);
    member->instance_id = kept_copy(from->instance_id);
    member->client_id = kept_copy(from->client_id);
    member->client_host = kept_copy(from->client_host);
    member->session_timeout_ms = from->classic->session_timeout_ms;
    member->rebalance_timeout_ms = from->rebalance_timeout_ms;
    group_add_member(group, member, slice_str("consumer"));
    group_set_protocols(group, member, from->classic->protocols, from->classic->protocol_count);
    struct arena arena = {0};
    int16_t version = consumer_protocol_version(from->classic->protocols[0].metadata);
    kept_set(&member->assignment, consumer_assignment_write(group, &from->target, version, &arena));
    arena_deinit(&arena);
    group_touch_member(group, member, now);
}

void consumer_downgrade(struct group *group, struct consumer_member *leaving, bool rebalance,
                        struct group_reply *reply, struct group_time now,
                        struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    struct group_store *store = group_store_new(group, GROUP_STORE_CONSUMER);
    store->reply = reply;
    consumer_store_tombstones(group, store);
    group->consumer = NULL;
    group->generation = consumer->epoch;
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        if (m != leaving) {
            give_back(group, m, now);
        }
    }
    kept_set(&group->protocol, group_select_protocol(group));
    group_set_state(group, GROUP_STABLE, now);
    group_store_metadata(group, store);
    group_effects_store(effects, store);
    consumer_free(consumer);
    if (rebalance) {
        group_prepare_rebalance(group, now, effects);
    }
}

void consumer_empty_to_classic(struct group *group, struct group_effects *effects)
{
    struct group_store *store = group_store_new(group, GROUP_STORE_CONSUMER);
    consumer_store_tombstones(group, store);
    group_effects_store(effects, store);
    consumer_free(group->consumer);
    group->consumer = NULL;
    kept_free(&group->protocol_type);
}
