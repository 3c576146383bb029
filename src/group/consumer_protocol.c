#include "group/consumer_protocol.h"

#include "base/bytes.h"
#include "wire/generated/consumer_protocol_assignment.h"
#include "wire/generated/consumer_protocol_subscription.h"

int16_t consumer_protocol_version(struct slice metadata)
{
    int16_t version = metadata.size >= 2 ? (int16_t)load_be16(metadata.data) : 0;
    return version < 0                           ? 0
           : version > CONSUMER_PROTOCOL_VERSION ? CONSUMER_PROTOCOL_VERSION
                                                 : version;
}

/* Adds the partitions of a topic that exists; others are dropped, as nobody can have them. */
static void add_partitions(const struct group *group, struct slice topic, const int32_t *partitions,
                           int32_t count, struct partition_set *to)
{
    const struct group_topics *topics = &group->config->topics;
    struct wire_uuid id;
    int32_t partition_count;
    if (topics->find == NULL || !topics->find(topics->context, topic, &id, &partition_count)) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        if (partitions[i] >= 0 && partitions[i] < partition_count) {
            partition_set_push(to, id, partitions[i]);
        }
    }
}

enum err consumer_subscription_read(const struct group *group, struct slice bytes,
                                    struct arena *arena, struct consumer_subscription *out)
{
    struct consumer_protocol_subscription subscription;
    struct wire_reader reader;
    *out = (struct consumer_subscription){0};
    wire_reader_init(&reader, bytes, arena);
    if (consumer_protocol_subscription_decode_versioned(&reader, &out->version, &subscription) !=
        ERR_NONE) {
        return ERR_CORRUPT;
    }
    out->topics = subscription.topics;
    out->topic_count = (size_t)subscription.topics_count;
    out->rack_id = subscription.rack_id;
    for (int32_t i = 0; i < subscription.owned_partitions_count; i++) {
        add_partitions(group, subscription.owned_partitions[i].topic,
                       subscription.owned_partitions[i].partitions,
                       subscription.owned_partitions[i].partitions_count, &out->owned);
    }
    partition_set_sort(&out->owned);
    return ERR_NONE;
}

enum err consumer_assignment_read(const struct group *group, struct slice bytes,
                                  struct partition_set *out)
{
    *out = (struct partition_set){0};
    if (bytes.size == 0) {
        return ERR_NONE; /* none was handed out yet */
    }
    struct consumer_protocol_assignment assignment;
    struct arena arena = {0};
    struct wire_reader reader;
    int16_t version;
    wire_reader_init(&reader, bytes, &arena);
    enum err err = consumer_protocol_assignment_decode_versioned(&reader, &version, &assignment);
    for (int32_t i = 0; err == ERR_NONE && i < assignment.assigned_partitions_count; i++) {
        add_partitions(group, assignment.assigned_partitions[i].topic,
                       assignment.assigned_partitions[i].partitions,
                       assignment.assigned_partitions[i].partitions_count, out);
    }
    partition_set_sort(out);
    arena_deinit(&arena);
    return err == ERR_NONE ? ERR_NONE : ERR_CORRUPT;
}

struct slice consumer_assignment_write(const struct group *group, const struct partition_set *set,
                                       int16_t version, struct arena *arena)
{
    const struct group_topics *topics = &group->config->topics;
    struct consumer_protocol_assignment assignment;
    consumer_protocol_assignment_init(&assignment);
    assignment.user_data = (struct slice){0};
    assignment.assigned_partitions =
        arena_alloc_array(arena, set->count, sizeof *assignment.assigned_partitions);
    for (size_t i = 0, end; i < set->count; i = end) {
        end = partition_set_run(set, i);
        struct slice name = topics->find_name != NULL
                                ? topics->find_name(topics->context, set->items[i].topic, arena)
                                : (struct slice){0};
        if (slice_is_null(name)) {
            continue;
        }
        struct consumer_protocol_assignment_topic *to =
            &assignment.assigned_partitions[assignment.assigned_partitions_count++];
        to->topic = name;
        to->partitions = arena_alloc_array(arena, end - i, sizeof *to->partitions);
        for (size_t p = i; p < end; p++) {
            to->partitions[to->partitions_count++] = set->items[p].partition;
        }
    }
    struct buf bytes = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    consumer_protocol_assignment_encode_versioned(&writer, version, &assignment);
    struct slice kept = group_arena_slice(arena, buf_slice(&bytes));
    buf_deinit(&bytes);
    return kept;
}
