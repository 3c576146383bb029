#include "group/consumer_describe.h"

#include "group/consumer_protocol.h"
#include "group/consumer_reconcile.h"
#include "group/consumer_target.h"
#include "wire/generated/consumer_protocol_subscription.h"

/* What others may know of a consumer group. */

enum group_state consumer_shown_state(const struct group *group)
{
    const struct consumer_group *consumer = group->consumer;
    if (group->state != GROUP_STABLE) {
        return group->state;
    }
    if (consumer->epoch > consumer->assignment_epoch) {
        return GROUP_ASSIGNING;
    }
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        if (!consumer_is_reconciled(consumer, m)) {
            return GROUP_RECONCILING;
        }
    }
    return GROUP_STABLE;
}

static struct consumer_partitions_description *describe_partitions(const struct group *group,
                                                                   const struct partition_set *set,
                                                                   struct arena *arena,
                                                                   size_t *count)
{
    const struct group_topics *topics = &group->config->topics;
    struct consumer_partitions_description *out = arena_alloc_array(arena, set->count, sizeof *out);
    *count = 0;
    for (size_t i = 0, end; out != NULL && i < set->count; i = end) {
        end = partition_set_run(set, i);
        struct slice name = topics->find_name != NULL
                                ? topics->find_name(topics->context, set->items[i].topic, arena)
                                : (struct slice){0};
        int32_t *partitions = arena_alloc_array(arena, end - i, sizeof *partitions);
        if (slice_is_null(name) || partitions == NULL) {
            continue;
        }
        for (size_t p = i; p < end; p++) {
            partitions[p - i] = set->items[p].partition;
        }
        out[(*count)++] = (struct consumer_partitions_description){
            .topic = name,
            .topic_id = set->items[i].topic,
            .partitions = partitions,
            .count = end - i,
        };
    }
    return out;
}

static void describe_member(const struct group *group, const struct consumer_member *member,
                            struct arena *arena, struct consumer_member_description *out)
{
    *out = (struct consumer_member_description){
        .member_id = group_arena_slice(arena, member->id),
        .instance_id = group_arena_slice(arena, member->instance_id),
        .rack_id = group_arena_slice(arena, member->rack_id),
        .epoch = member->epoch,
        .client_id = group_arena_slice(arena, member->client_id),
        .client_host = group_arena_slice(arena, member->client_host),
        .regex = group_arena_slice(arena, member->regex),
        .classic = member->classic != NULL,
    };
    out->topics = arena_alloc_array(arena, member->topic_count, sizeof *out->topics);
    for (size_t i = 0; out->topics != NULL && i < member->topic_count; i++) {
        out->topics[out->topic_count++] = group_arena_slice(arena, member->topics[i]);
    }
    out->assigned = describe_partitions(group, &member->assigned, arena, &out->assigned_count);
    out->target = describe_partitions(group, &member->target, arena, &out->target_count);
}

void consumer_describe(const struct group *group, struct arena *arena,
                       struct consumer_description *out)
{
    const struct consumer_group *consumer = group->consumer;
    *out = (struct consumer_description){
        .state = consumer_shown_state(group),
        .epoch = consumer->epoch,
        .assignment_epoch = consumer->assignment_epoch,
        .assignor = consumer_assignor_name(consumer_preferred_assignor(group)),
        .members = arena_alloc_array(arena, HASH_COUNT(consumer->members), sizeof *out->members),
    };
    for (const struct consumer_member *m = consumer->members; out->members != NULL && m != NULL;
         m = m->hh.next) {
        describe_member(group, m, arena, &out->members[out->member_count++]);
    }
}

/* As a client of the classic protocol would say it. */
static struct slice write_subscription(const struct consumer_member *member, struct arena *arena)
{
    struct consumer_protocol_subscription subscription;
    consumer_protocol_subscription_init(&subscription);
    subscription.topics = member->topics;
    subscription.topics_count = (int32_t)member->topic_count;
    subscription.user_data = (struct slice){0};
    subscription.generation_id = member->epoch;
    subscription.rack_id = member->rack_id;
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    consumer_protocol_subscription_encode_versioned(&writer, CONSUMER_PROTOCOL_VERSION,
                                                    &subscription);
    struct slice kept = group_arena_slice(arena, buf_slice(&bytes));
    buf_deinit(&bytes);
    return kept;
}

/* For tools that know classic groups only: they see subscriptions and assignments as ever. */
void consumer_describe_as_classic(const struct group *group, struct arena *arena,
                                  struct group_description *out)
{
    const struct consumer_group *consumer = group->consumer;
    enum group_state state = consumer_shown_state(group);
    bool moves = state == GROUP_ASSIGNING || state == GROUP_RECONCILING;
    const char *assignor = consumer_assignor_name(consumer_preferred_assignor(group));
    *out = (struct group_description){
        .state = moves ? GROUP_PREPARING_REBALANCE : state,
        .protocol_type = slice_str("consumer"),
        .protocol = slice_str(state == GROUP_EMPTY ? "" : assignor),
        .members = arena_alloc_array(arena, HASH_COUNT(consumer->members), sizeof *out->members),
    };
    for (const struct consumer_member *m = consumer->members; out->members != NULL && m != NULL;
         m = m->hh.next) {
        out->members[out->member_count++] = (struct group_member_description){
            .member_id = group_arena_slice(arena, m->id),
            .instance_id = group_arena_slice(arena, m->instance_id),
            .client_id = group_arena_slice(arena, m->client_id),
            .client_host = group_arena_slice(arena, m->client_host),
            .metadata = write_subscription(m, arena),
            .assignment = consumer_assignment_write(group, &m->assigned, 0, arena),
        };
    }
}
