#include "group/consumer_reconcile.h"

#include "group/consumer_change.h"
#include "group/consumer_members.h"

bool consumer_is_reconciled(const struct consumer_group *consumer,
                            const struct consumer_member *member)
{
    return member->state == CONSUMER_STABLE && member->epoch == consumer->assignment_epoch;
}

bool consumer_waits_for_others(const struct consumer_group *consumer,
                               const struct consumer_member *member)
{
    for (size_t i = 0; i < member->target.count; i++) {
        const struct topic_partition *item = &member->target.items[i];
        if (!partition_set_has(&member->assigned, item->topic, item->partition) &&
            consumer_is_held(consumer, item)) {
            return true;
        }
    }
    return false;
}

/* How the member's partitions stand to its target. */
struct step {
    struct partition_set keep;   /* has and is to have */
    struct partition_set revoke; /* has and is not to have */
    struct partition_set add;    /* is to have, and nobody has it */
    bool waits;                  /* is to have what others have */
};

static void push(struct partition_set *set, const struct topic_partition *item)
{
    partition_set_push(set, item->topic, item->partition);
}

/* Goes along both sorted sets at once. */
static void compare_sets(const struct consumer_group *consumer,
                         const struct consumer_member *member, struct step *step)
{
    const struct partition_set *has = &member->assigned;
    const struct partition_set *wants = &member->target;
    size_t h = 0, w = 0;
    while (h < has->count || w < wants->count) {
        int order = h == has->count     ? 1
                    : w == wants->count ? -1
                                        : topic_partition_compare(&has->items[h], &wants->items[w]);
        if (order == 0) {
            push(&step->keep, &has->items[h++]);
            w++;
        } else if (order < 0) {
            push(&step->revoke, &has->items[h++]);
        } else if (consumer_is_held(consumer, &wants->items[w])) {
            step->waits = true;
            w++;
        } else {
            push(&step->add, &wants->items[w++]);
        }
    }
}

static bool same_current(const struct consumer_member *member, enum consumer_member_state state,
                         int32_t epoch, int32_t previous, const struct partition_set *assigned,
                         const struct partition_set *revoking)
{
    return member->state == state && member->epoch == epoch && member->previous_epoch == previous &&
           partition_set_equal(&member->assigned, assigned) &&
           partition_set_equal(&member->revoking, revoking);
}

/* Puts the member there. */
static void move_to(struct group *group, struct consumer_member *member,
                    enum consumer_member_state state, int32_t epoch,
                    const struct partition_set *assigned, const struct partition_set *revoking,
                    struct clock_time now)
{
    int32_t previous = member->epoch;
    if (!same_current(member, state, epoch, previous, assigned, revoking)) {
        consumer_set_current(group, member, state, epoch, previous, assigned, revoking, now);
        member->rebalance_deadline_ms = INT64_MAX;
        if (state == CONSUMER_UNREVOKED && member->classic == NULL) {
            member->rebalance_deadline_ms = now.mono_ms + member->rebalance_timeout_ms;
        }
    }
}

static void advance(struct group *group, struct consumer_member *member, int32_t epoch,
                    bool has_owned, const struct group_topic_partitions *owned, size_t count,
                    struct clock_time now)
{
    const struct consumer_group *consumer = group->consumer;
    struct step step = {0};
    struct partition_set none = {0};
    compare_sets(consumer, member, &step);
    bool owns = !has_owned || partition_set_has_any(&step.revoke, owned, count);
    if (step.revoke.count > 0 && owns) {
        move_to(group, member, CONSUMER_UNREVOKED, epoch, &step.keep, &step.revoke, now);
    } else {
        for (size_t i = 0; i < step.add.count; i++) {
            push(&step.keep, &step.add.items[i]);
        }
        partition_set_sort(&step.keep);
        move_to(group, member, step.waits ? CONSUMER_UNRELEASED : CONSUMER_STABLE,
                consumer->assignment_epoch, &step.keep, &none, now);
    }
    partition_set_deinit(&step.keep);
    partition_set_deinit(&step.revoke);
    partition_set_deinit(&step.add);
}

void consumer_reconcile(struct group *group, struct consumer_member *member, bool has_owned,
                        const struct group_topic_partitions *owned, size_t count,
                        struct clock_time now)
{
    if (consumer_is_reconciled(group->consumer, member)) {
        return;
    }
    switch (member->state) {
    case CONSUMER_STABLE:
    case CONSUMER_UNRELEASED:
        advance(group, member, member->epoch, has_owned, owned, count, now);
        break;
    case CONSUMER_UNREVOKED:
        if (has_owned && !partition_set_has_any(&member->revoking, owned, count)) {
            int32_t next = member->epoch == INT32_MAX ? 1 : member->epoch + 1;
            advance(group, member, next, has_owned, owned, count, now);
        }
        break;
    }
}
