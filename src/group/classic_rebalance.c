#include "group/classic_rebalance.h"

#include "group/classic_change.h"

#include <assert.h>

enum {
    /* Between two looks for members that come back, whatever the rebalance time-out. */
    CLASSIC_LEAST_REBALANCE_WAIT_MS = 100
};

void classic_settle_sync(struct group *group, struct classic_member *member)
{
    if (member->owes_sync) {
        member->owes_sync = false;
        group->owed_sync_count--;
    }
}

/* Answers everybody who waits for an assignment; without an error, with theirs. */
static void hand_out(struct group *group, enum err err, struct clock_time now,
                     struct group_effects *effects)
{
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        if (err != ERR_NONE) {
            kept_set(&m->assignment, slice_str(""));
            classic_count(group, m);
        }
        if (m->awaits_sync) {
            classic_end_sync(group, m, err, effects);
            classic_touch(group, m, now); /* its session stood still while it waited */
        }
    }
}

/* The leader must be among those who joined; takes the first who did. False when nobody did. */
static bool elect_leader(struct group *group)
{
    const struct classic_member *leader = classic_find(group, group->leader);
    if (leader != NULL && leader->awaits_join) {
        return true;
    }
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        if (m->awaits_join) {
            kept_set(&group->leader, m->id);
            return true;
        }
    }
    return false;
}

static void await_join(struct group *group, int32_t wait_ms, struct clock_time now)
{
    group->join_deadline_ms = now.mono_ms + wait_ms;
    group_wake_by(group, group->join_deadline_ms);
}

static void become_empty(struct group *group, struct clock_time now, struct group_effects *effects)
{
    struct group_store *store = group_store_new(NULL);
    struct group_change change = group_change_of(group, GROUP_RECORD_METADATA, (struct slice){0});
    change.metadata = (struct group_metadata_value){
        .protocol_type = slice_or_empty(group->protocol_type),
        .generation = group->generation,
        .current_state_timestamp = now.wall_ms,
    };
    group_change_store(&change, store);
    group_effects_store(effects, store);
    (void)classic_apply(group, &change, now);
    group_tell(group, effects, GROUP_EVENT_EMPTY, NULL, NULL);
}

static void begin_generation(struct group *group, struct clock_time now,
                             struct group_effects *effects)
{
    kept_set(&group->protocol, classic_select_protocol(group));
    group_set_state(group, GROUP_COMPLETING_REBALANCE, now);
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        classic_end_join(group, m, ERR_NONE, effects);
        m->is_new = false;
        classic_touch(group, m, now);
        m->owes_sync = true;
    }
    group->owed_sync_count = HASH_COUNT(group->members);
    group->sync_deadline_ms = now.mono_ms + classic_rebalance_timeout_ms(group);
    group_wake_by(group, group->sync_deadline_ms);
}

static void complete_join(struct group *group, struct clock_time now, struct group_effects *effects)
{
    struct classic_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        /* Static members may be restarting: only their session's end removes them (KIP-345). */
        if (!member->awaits_join && slice_is_null(member->instance_id)) {
            struct group_who who = classic_who(member);
            group_tell(group, effects, GROUP_EVENT_TIMED_OUT, &who, "it did not join in time");
            classic_remove(group, member, effects);
        }
    }
    group->initial_delay = false;
    if (group->members != NULL && !elect_leader(group)) {
        int32_t wait_ms = classic_rebalance_timeout_ms(group);
        await_join(group,
                   wait_ms > CLASSIC_LEAST_REBALANCE_WAIT_MS ? wait_ms
                                                             : CLASSIC_LEAST_REBALANCE_WAIT_MS,
                   now);
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

void classic_maybe_complete_join(struct group *group, struct clock_time now,
                                 struct group_effects *effects)
{
    if (group->state == GROUP_PREPARING_REBALANCE && !group->initial_delay &&
        group->joined_count == HASH_COUNT(group->members) && group->pending == NULL) {
        complete_join(group, now, effects);
    }
}

void classic_prepare_rebalance(struct group *group, const char *reason, struct clock_time now,
                               struct group_effects *effects)
{
    classic_prepare_rebalance_as_said(group, reason, (struct slice){0}, now, effects);
}

void classic_prepare_rebalance_as_said(struct group *group, const char *reason, struct slice said,
                                       struct clock_time now, struct group_effects *effects)
{
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        hand_out(group, ERR_REBALANCE_IN_PROGRESS, now, effects);
    }
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        classic_settle_sync(group, m);
    }
    group->assignment_stored = false;
    group_event_say(group_tell(group, effects, GROUP_EVENT_REBALANCE, NULL, reason), said);
    bool from_empty = group->state == GROUP_EMPTY;
    int32_t timeout_ms = classic_rebalance_timeout_ms(group);
    group_set_state(group, GROUP_PREPARING_REBALANCE, now);
    if (!from_empty) {
        group->initial_delay = false;
        await_join(group, timeout_ms, now);
        classic_maybe_complete_join(group, now, effects);
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

void classic_drop(struct group *group, struct classic_member *member, struct clock_time now,
                  struct group_effects *effects)
{
    classic_remove(group, member, effects);
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE) {
        classic_prepare_rebalance(group, "a member left", now, effects);
    } else {
        classic_maybe_complete_join(group, now, effects);
    }
}

void classic_assignment_stored(struct group *group, struct group_store *store, enum err err,
                               struct clock_time now, struct group_effects *effects)
{
    if (group->state != GROUP_COMPLETING_REBALANCE || store->generation != group->generation) {
        return; /* a newer rebalance overtook it */
    }
    group->assignment_stored = false;
    if (err != ERR_NONE) {
        hand_out(group, ERR_COORDINATOR_UNAVAILABLE, now, effects);
        classic_prepare_rebalance(group, "the assignment could not be stored", now, effects);
        return;
    }
    struct arena arena = {0};
    struct group_record_key key;
    struct group_change change;
    err = group_record_key_read(store->records.items[0].key, &key);
    assert(err == ERR_NONE);
    err = group_change_read(&key, store->records.items[0].value, &arena, &change);
    assert(err == ERR_NONE);
    (void)classic_apply(group, &change, now);
    arena_deinit(&arena);
    group_tell(group, effects, GROUP_EVENT_ASSIGNED, NULL, NULL);
    hand_out(group, ERR_NONE, now, effects);
}

void classic_loaded(struct group *group, struct clock_time now, struct group_effects *effects)
{
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        classic_touch(group, m, now);
    }
    if (HASH_COUNT(group->members) > (size_t)group->config->max_size) {
        classic_prepare_rebalance(group, "more members than group.max.size", now, effects);
    }
}

/* ---- time ---- */

/* A parked request shows that the member lives; a new one may be gone without a trace. */
static bool member_is_exempt(const struct classic_member *member)
{
    return !member->is_new && (member->awaits_join || member->awaits_sync);
}

static void expire_pending(struct group *group, struct clock_time now,
                           struct group_effects *effects)
{
    struct classic_pending *pending, *next;
    HASH_ITER (hh, group->pending, pending, next) {
        if (pending->deadline_ms <= now.mono_ms) {
            classic_remove_pending(group, pending);
        }
    }
    classic_maybe_complete_join(group, now, effects);
}

static void expire_members(struct group *group, struct clock_time now,
                           struct group_effects *effects)
{
    bool removed = false;
    struct classic_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        if (member->deadline_ms <= now.mono_ms && !member_is_exempt(member)) {
            struct group_who who = classic_who(member);
            group_tell(group, effects, GROUP_EVENT_TIMED_OUT, &who,
                       "no heartbeat within its session time-out");
            classic_remove(group, member, effects);
            removed = true;
        }
    }
    if (!removed) {
        return;
    }
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING_REBALANCE) {
        classic_prepare_rebalance(group, "a member timed out", now, effects);
    } else {
        classic_maybe_complete_join(group, now, effects);
    }
}

static void end_join_wait(struct group *group, struct clock_time now, struct group_effects *effects)
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

static void end_sync_wait(struct group *group, struct clock_time now, struct group_effects *effects)
{
    struct classic_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        if (member->owes_sync) {
            struct group_who who = classic_who(member);
            group_tell(group, effects, GROUP_EVENT_TIMED_OUT, &who,
                       "no SyncGroup within its rebalance time-out");
            classic_remove(group, member, effects);
        }
    }
    classic_prepare_rebalance(group, "a member timed out", now, effects);
}

static bool sync_wait_counts(const struct group *group)
{
    return group->owed_sync_count > 0 &&
           (group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE);
}

void classic_find_deadline(struct group *group)
{
    group->wake_ms = INT64_MAX;
    for (const struct classic_pending *p = group->pending; p != NULL; p = p->hh.next) {
        group_wake_by(group, p->deadline_ms);
    }
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
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

void classic_tick(struct group *group, struct clock_time now, struct group_effects *effects)
{
    expire_pending(group, now, effects);
    expire_members(group, now, effects);
    if (group->state == GROUP_PREPARING_REBALANCE && group->join_deadline_ms <= now.mono_ms) {
        end_join_wait(group, now, effects);
    }
    if (sync_wait_counts(group) && group->sync_deadline_ms <= now.mono_ms) {
        end_sync_wait(group, now, effects);
    }
}
