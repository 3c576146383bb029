#include "group/consumer_leave.h"

#include "group/consumer_change.h"
#include "group/consumer_downgrade.h"
#include "group/consumer_members.h"
#include "group/consumer_topics.h"

void consumer_touch(struct group *group, struct consumer_member *member, struct clock_time now)
{
    int64_t session_ms = member->classic != NULL ? member->classic->session_timeout_ms
                                                 : group->own.session_timeout_ms;
    member->session_deadline_ms = now.mono_ms + session_ms;
    group_wake_by(group, member->session_deadline_ms);
    group_wake_by(group, member->rebalance_deadline_ms);
    group_wake_by(group, member->join_deadline_ms);
    group_wake_by(group, member->sync_deadline_ms);
}

/* Members are gone: the others are to be assigned anew. */
static void close_ranks(struct group *group, struct clock_time now, struct group_effects *effects)
{
    (void)consumer_refresh_topics(group, NULL, NULL, now);
    consumer_bump(group, now);
    if (group->consumer->members == NULL) {
        group_tell(group, effects, GROUP_EVENT_EMPTY, NULL, NULL);
    }
}

void consumer_fence(struct group *group, struct consumer_member *member, struct clock_time now,
                    struct group_effects *effects)
{
    if (consumer_can_downgrade(group, member, 0)) {
        consumer_downgrade(group, member, true, NULL, now, effects);
        return;
    }
    consumer_remove(group, member, now);
    close_ranks(group, now, effects);
}

/* Why the member is to go; NULL: it is not. */
static const char *find_due(const struct consumer_member *member, struct clock_time now)
{
    return member->session_deadline_ms <= now.mono_ms ? "no heartbeat within its session time-out"
           : member->rebalance_deadline_ms <= now.mono_ms
               ? "it did not give up its partitions within its rebalance time-out"
           : member->join_deadline_ms <= now.mono_ms ? "no JoinGroup within its rebalance time-out"
           : member->sync_deadline_ms <= now.mono_ms ? "no SyncGroup within its rebalance time-out"
                                                     : NULL;
}

void consumer_tick(struct group *group, struct clock_time now, struct group_effects *effects)
{
    struct consumer_member *member, *next;
    bool removed = false;
    HASH_ITER (hh, group->consumer->members, member, next) {
        const char *reason = find_due(member, now);
        if (reason == NULL) {
            continue;
        }
        struct group_who who = consumer_who(member);
        group_tell(group, effects, GROUP_EVENT_TIMED_OUT, &who, reason);
        if (consumer_can_downgrade(group, member, 0)) {
            consumer_downgrade(group, member, true, NULL, now, effects);
            return; /* it is a classic group now: the others' time is looked at there */
        }
        consumer_remove(group, member, now);
        removed = true;
    }
    if (removed) {
        close_ranks(group, now, effects);
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

/* The log has pieces of a member that is gone: they are buried with the next change. */
static void forget_pieces(const struct group *group, struct slice id)
{
    static const enum group_record_kind kinds[] = {GROUP_RECORD_CURRENT, GROUP_RECORD_TARGET};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct group_change change = group_change_of(group, kinds[i], id);
        struct buf key = {0};
        group_record_key_write(&change.key, &key);
        consumer_note_redo(group->consumer, buf_slice(&key));
        buf_deinit(&key);
    }
}

void consumer_loaded(struct group *group, struct clock_time now, struct group_effects *effects)
{
    struct consumer_group *consumer = group->consumer;
    struct partition_set assigned, revoking;
    struct consumer_member *member, *next;
    consumer->loading = false;
    HASH_ITER (hh, consumer->members, member, next) {
        if (!member->known) { /* pieces of a member that is gone */
            forget_pieces(group, member->id);
            consumer_take_out(consumer, member);
            continue;
        }
        /* Now that everybody's last word is known: who holds what. */
        assigned = member->assigned;
        revoking = member->revoking;
        member->assigned = member->revoking = (struct partition_set){0};
        consumer_put_current(consumer, member, &assigned, &revoking);
        if (member->state == CONSUMER_UNREVOKED && member->classic == NULL) {
            member->rebalance_deadline_ms = now.mono_ms + member->rebalance_timeout_ms;
        }
        consumer_touch(group, member, now);
    }
    if (consumer->members == NULL && group->state != GROUP_EMPTY) {
        group_set_state(group, GROUP_EMPTY, now);
    }
}
