#ifndef TIDINGS_TESTS_GROUP_CLASSIC_FIXTURE_H
#define TIDINGS_TESTS_GROUP_CLASSIC_FIXTURE_H

#include "consumer_fixture.h"
#include "group/consumer_protocol.h"
#include "wire/generated/consumer_protocol_subscription.h"

/* Consumers of the classic protocol, who say what they subscribe to and have. */

/* What a member says that subscribes to this topic and has these partitions of it. */
static inline struct slice subscription(struct arena *arena, const char *topic,
                                        const struct partition_set *owned)
{
    struct consumer_protocol_subscription value;
    struct slice name = slice_str(topic);
    struct consumer_protocol_subscription_topic list = {.topic = name};
    int32_t partitions[64];
    consumer_protocol_subscription_init(&value);
    value.topics = &name;
    value.topics_count = 1;
    value.user_data = (struct slice){0};
    value.rack_id = (struct slice){0};
    list.partitions = partitions;
    for (size_t i = 0; owned != NULL && i < owned->count; i++) {
        partitions[list.partitions_count++] = owned->items[i].partition;
    }
    value.owned_partitions = &list;
    value.owned_partitions_count = 1;
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    consumer_protocol_subscription_encode_versioned(&writer, 1, &value);
    struct slice kept = group_arena_slice(arena, buf_slice(&bytes));
    buf_deinit(&bytes);
    return kept;
}

/* JoinGroup of a group of this type; id "": a new one. */
static inline uint64_t join_saying(struct world *world, const char *type, const char *id,
                                   const char *instance, struct slice metadata)
{
    struct group_protocol_offer offer = {slice_str("cooperative"), metadata};
    struct group_join_request request = {
        .waiter = next_waiter(world),
        .member_id = slice_str(id),
        .instance_id = slice_str(instance),
        .client_id = slice_str("client"),
        .client_host = slice_str("/127.0.0.1"),
        .protocol_type = slice_str(type),
        .protocols = &offer,
        .protocol_count = 1,
        .session_timeout_ms = SESSION_MS,
        .rebalance_timeout_ms = REBALANCE_MS,
    };
    struct group_effects effects = {0};
    group_join(world->group, &request, world->now, &effects);
    world_take(world, &effects);
    return request.waiter.token.sequence;
}

/* The same of one that subscribes to t and has this of it. */
static inline uint64_t classic_join(struct world *world, const char *id, const char *instance,
                                    const struct partition_set *owned)
{
    struct arena arena = {0};
    uint64_t n = join_saying(world, "consumer", id, instance, subscription(&arena, "t", owned));
    arena_deinit(&arena);
    return n;
}

#endif
