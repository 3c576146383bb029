#include "group/consumer_state.h"

/*
 * How a generation is formed: members are called to join (PREPARING_REBALANCE), the generation
 * begins and the leader's assignment is awaited (COMPLETING_REBALANCE), stored, and handed out
 * (STABLE); or nobody is left (EMPTY).
 */

void group_settle_sync(struct group *group, struct group_member *member)
{
    if (member->owes_sync) {
        member->owes_sync = false;
        group->owed_sync_count--;
    }
}

/* Answers everybody who waits for an assignment; without an error, with theirs. */
static void hand_out(struct group *group, enum err err, struct group_time now,
                     struct group_effects *effects)
{
    for (struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        if (err != ERR_NONE) {
            kept_set(&m->assignment, slice_str(""));
        }
        if (m->awaits_sync) {
            group_end_sync(group, m, err, effects);
            group_touch_member(group, m, now); /* its session stood still while it waited */
        }
    }
}

/* The leader must be among those who joined; takes the first who did. False when nobody did. */
static bool elect_leader(struct group *group)
{
    const struct group_member *leader = group_find_member(group, group->leader);
    if (leader != NULL && leader->awaits_join) {
        return true;
    }
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        if (m->awaits_join) {
            kept_set(&group->leader, m->id);
            return true;
        }
    }
    return false;
}

static void await_join(struct group *group, int32_t wait_ms, struct group_time now)
{
    group->join_deadline_ms = now.mono_ms + wait_ms;
    group_wake_by(group, group->join_deadline_ms);
}

static void become_empty(struct group *group, struct group_time now, struct group_effects *effects)
{
    kept_free(&group->protocol);
    group_set_state(group, GROUP_EMPTY, now);
    struct group_store *store = group_store_new(group, GROUP_STORE_EMPTY);
    group_store_metadata(group, store);
    group_effects_store(effects, store);
}

static void begin_generation(struct group *group, struct group_time now,
                             struct group_effects *effects)
{
    kept_set(&group->protocol, group_select_protocol(group));
    group_set_state(group, GROUP_COMPLETING_REBALANCE, now);
    for (struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        group_end_join(group, m, ERR_NONE, effects);
        m->is_new = false;
        group_touch_member(group, m, now);
        m->owes_sync = true;
    }
    group->owed_sync_count = HASH_COUNT(group->members);
    group->sync_deadline_ms = now.mono_ms + group_rebalance_timeout_ms(group);
    group_wake_by(group, group->sync_deadline_ms);
}

static void complete_join(struct group *group, struct group_time now, struct group_effects *effects)
{
    struct group_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        /* Static members may be restarting: only their session's end removes them (KIP-345). */
        if (!member->awaits_join && slice_is_null(member->instance_id)) {
            group_remove_member(group, member, effects);
        }
    }
    group->initial_delay = false;
    if (group->members != NULL && !elect_leader(group)) {
        int32_t wait_ms = group_rebalance_timeout_ms(group);
        await_join(
            group,
            wait_ms > GROUP_LEAST_REBALANCE_WAIT_MS ? wait_ms : GROUP_LEAST_REBALANCE_WAIT_MS, now);
        return;
    }
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
    group->new_member_added = false;
    if (group->members == NULL) {
        become_empty(group, now, effects);
    } else {
        begin_generation(group, now, effects);
    }
}

void group_maybe_complete_join(struct group *group, struct group_time now,
                               struct group_effects *effects)
{
    if (group->state == GROUP_PREPARING_REBALANCE && !group->initial_delay &&
        group->joined_count == HASH_COUNT(group->members) && group->pending == NULL) {
        complete_join(group, now, effects);
    }
}

void group_prepare_rebalance(struct group *group, struct group_time now,
                             struct group_effects *effects)
{
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        hand_out(group, ERR_REBALANCE_IN_PROGRESS, now, effects);
    }
    for (struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        group_settle_sync(group, m);
    }
    group->assignment_stored = false;
    bool from_empty = group->state == GROUP_EMPTY;
    int32_t timeout_ms = group_rebalance_timeout_ms(group);
    group_set_state(group, GROUP_PREPARING_REBALANCE, now);
    if (!from_empty) {
        group->initial_delay = false;
        await_join(group, timeout_ms, now);
        group_maybe_complete_join(group, now, effects);
        return;
    }
    /* The first members of a group: a wait for more of them spares rebalances. */
    int32_t delay_ms = group->config->initial_rebalance_delay_ms;
    if (delay_ms <= 0) {
        complete_join(group, now, effects);
        return;
    }
    group->initial_delay = true;
    group->initial_delay_ms = delay_ms;
    group->initial_remaining_ms = timeout_ms > delay_ms ? timeout_ms - delay_ms : 0;
    await_join(group, delay_ms, now);
}

void group_drop_member(struct group *group, struct group_member *member, struct group_time now,
                       struct group_effects *effects)
{
    group_remove_member(group, member, effects);
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE) {
        group_prepare_rebalance(group, now, effects);
    } else {
        group_maybe_complete_join(group, now, effects);
    }
}

void group_assignment_stored(struct group *group, const struct group_store *store, enum err err,
                             struct group_time now, struct group_effects *effects)
{
    if (group->state != GROUP_COMPLETING_REBALANCE || store->generation != group->generation) {
        return; /* a newer rebalance overtook it */
    }
    group->assignment_stored = false;
    if (err != ERR_NONE) {
        hand_out(group, ERR_COORDINATOR_UNAVAILABLE, now, effects);
        group_prepare_rebalance(group, now, effects);
        return;
    }
    group_set_state(group, GROUP_STABLE, now);
    hand_out(group, ERR_NONE, now, effects);
}

void group_loaded(struct group *group, struct group_time now, struct group_effects *effects)
{
    if (group->consumer != NULL) {
        consumer_loaded(group, now);
        return;
    }
    for (struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        group_touch_member(group, m, now);
    }
    if (HASH_COUNT(group->members) > (size_t)group->config->max_size) {
        group_prepare_rebalance(group, now, effects);
    }
}

/* ---- time ---- */

/* A parked request shows that the member lives; a new one may be gone without a trace. */
static bool member_is_exempt(const struct group_member *member)
{
    return !member->is_new && (member->awaits_join || member->awaits_sync);
}

static void expire_pending(struct group *group, struct group_time now,
                           struct group_effects *effects)
{
    struct group_pending *pending, *next;
    HASH_ITER (hh, group->pending, pending, next) {
        if (pending->deadline_ms <= now.mono_ms) {
            group_remove_pending(group, pending);
        }
    }
    group_maybe_complete_join(group, now, effects);
}

static void expire_members(struct group *group, struct group_time now,
                           struct group_effects *effects)
{
    bool removed = false;
    struct group_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        if (member->deadline_ms <= now.mono_ms && !member_is_exempt(member)) {
            group_remove_member(group, member, effects);
            removed = true;
        }
    }
    if (!removed) {
        return;
    }
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE) {
        group_prepare_rebalance(group, now, effects);
    } else {
        group_maybe_complete_join(group, now, effects);
    }
}

static void end_join_wait(struct group *group, struct group_time now, struct group_effects *effects)
{
    if (group->initial_delay && group->new_member_added && group->initial_remaining_ms > 0) {
        int32_t previous_ms = group->initial_delay_ms;
        int32_t remaining_ms = group->initial_remaining_ms;
        int32_t most_ms = group->config->initial_rebalance_delay_ms;
        group->new_member_added = false;
        group->initial_delay_ms = most_ms < remaining_ms ? most_ms : remaining_ms;
        group->initial_remaining_ms = remaining_ms > previous_ms ? remaining_ms - previous_ms : 0;
        await_join(group, group->initial_delay_ms, now);
        return;
    }
    complete_join(group, now, effects);
}

static void end_sync_wait(struct group *group, struct group_time now, struct group_effects *effects)
{
    struct group_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        if (member->owes_sync) {
            group_remove_member(group, member, effects);
        }
    }
    group_prepare_rebalance(group, now, effects);
}

static bool sync_wait_counts(const struct group *group)
{
    return group->owed_sync_count > 0 &&
           (group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE);
}

static void find_deadline(struct group *group)
{
    group->wake_ms = INT64_MAX;
    for (const struct group_pending *p = group->pending; p != NULL; p = p->hh.next) {
        group_wake_by(group, p->deadline_ms);
    }
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        if (!member_is_exempt(m)) {
            group_wake_by(group, m->deadline_ms);
        }
    }
    if (group->state == GROUP_PREPARING_REBALANCE) {
        group_wake_by(group, group->join_deadline_ms);
    }
    if (sync_wait_counts(group)) {
        group_wake_by(group, group->sync_deadline_ms);
    }
}

void group_tick(struct group *group, struct group_time now, struct group_effects *effects)
{
    if (group->state == GROUP_DEAD) {
        group->wake_ms = INT64_MAX;
        return;
    }
    if (group->consumer != NULL) {
        consumer_tick(group, now, effects);
    }
    if (group->consumer != NULL) { /* else it has become a classic one */
        consumer_find_deadline(group);
        return;
    }
    expire_pending(group, now, effects);
    expire_members(group, now, effects);
    if (group->state == GROUP_PREPARING_REBALANCE && group->join_deadline_ms <= now.mono_ms) {
        end_join_wait(group, now, effects);
    }
    if (sync_wait_counts(group) && group->sync_deadline_ms <= now.mono_ms) {
        end_sync_wait(group, now, effects);
    }
    find_deadline(group);
}
