#include "group/consumer_state.h"

/* How members go: by leaving or by time. */

void consumer_touch(struct group *group, struct consumer_member *member, struct group_time now)
{
    int64_t session_ms = member->classic != NULL ? member->classic->session_timeout_ms
                                                 : group->own.session_timeout_ms;
    member->session_deadline_ms = now.mono_ms + session_ms;
    group_wake_by(group, member->session_deadline_ms);
    group_wake_by(group, member->rebalance_deadline_ms);
    group_wake_by(group, member->join_deadline_ms);
    group_wake_by(group, member->sync_deadline_ms);
}

void consumer_fence(struct group *group, struct consumer_member *member, struct group_time now,
                    struct group_effects *effects)
{
    if (consumer_can_downgrade(group, member, 0)) {
        consumer_downgrade(group, member, true, NULL, now, effects);
        return;
    }
    consumer_remove(group->consumer, member);
    consumer_refresh_topics(group, now);
    consumer_bump(group->consumer);
    consumer_settle_state(group, now);
}

static bool is_due(const struct consumer_member *member, struct group_time now)
{
    return member->session_deadline_ms <= now.mono_ms ||
           member->rebalance_deadline_ms <= now.mono_ms ||
           member->join_deadline_ms <= now.mono_ms || member->sync_deadline_ms <= now.mono_ms;
}

void consumer_tick(struct group *group, struct group_time now, struct group_effects *effects)
{
    struct consumer_member *member, *next;
    HASH_ITER (hh, group->consumer->members, member, next) {
        if (is_due(member, now)) {
            consumer_fence(group, member, now, effects);
            if (group->consumer == NULL) {
                return; /* it is a classic group now: the others' time is looked at there */
            }
        }
    }
    consumer_commit(group, NULL, NULL, effects);
}

void consumer_find_deadline(struct group *group)
{
    group->wake_ms = INT64_MAX;
    for (const struct consumer_member *m = group->consumer->members; m != NULL; m = m->hh.next) {
        group_wake_by(group, m->session_deadline_ms);
        group_wake_by(group, m->rebalance_deadline_ms);
        group_wake_by(group, m->join_deadline_ms);
        group_wake_by(group, m->sync_deadline_ms);
    }
}

void consumer_loaded(struct group *group, struct group_time now)
{
    struct consumer_group *consumer = group->consumer;
    struct partition_set assigned, revoking;
    struct consumer_member *member, *next;
    consumer->loading = false;
    HASH_ITER (hh, consumer->members, member, next) {
        if (!member->known) { /* pieces of a member that is gone */
            consumer_remove(consumer, member);
            continue;
        }
        /* Now that everybody's last word is known: who holds what. */
        assigned = member->assigned;
        revoking = member->revoking;
        member->assigned = member->revoking = (struct partition_set){0};
        consumer_set_current(consumer, member, &assigned, &revoking);
        if (member->state == CONSUMER_UNREVOKED && member->classic == NULL) {
            member->rebalance_deadline_ms = now.mono_ms + member->rebalance_timeout_ms;
        }
        consumer_touch(group, member, now);
    }
    consumer_settle_state(group, now);
}
