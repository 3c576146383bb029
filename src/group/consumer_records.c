#include "group/consumer_state.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "wire/generated/consumer_group_current_member_assignment_key.h"
#include "wire/generated/consumer_group_current_member_assignment_value.h"
#include "wire/generated/consumer_group_member_metadata_key.h"
#include "wire/generated/consumer_group_member_metadata_value.h"
#include "wire/generated/consumer_group_metadata_key.h"
#include "wire/generated/consumer_group_metadata_value.h"
#include "wire/generated/consumer_group_partition_metadata_key.h"
#include "wire/generated/consumer_group_partition_metadata_value.h"
#include "wire/generated/consumer_group_regular_expression_key.h"
#include "wire/generated/consumer_group_regular_expression_value.h"
#include "wire/generated/consumer_group_target_assignment_member_key.h"
#include "wire/generated/consumer_group_target_assignment_member_value.h"
#include "wire/generated/consumer_group_target_assignment_metadata_key.h"
#include "wire/generated/consumer_group_target_assignment_metadata_value.h"

#include <assert.h>

/*
 * The records of a consumer group, in the formats of Kafka 4.0. A key is its kind as INT16, the
 * group id and, for pieces of the group, a name: every kind has one of two shapes, so one pair of
 * codecs serves them all.
 */

/* ---- keys ---- */

bool consumer_key_read(struct slice key, int16_t version, struct group_record_key *out,
                       enum err *err)
{
    struct wire_reader reader;
    struct arena arena = {0};
    wire_reader_init(&reader, key, &arena);
    *out = (struct group_record_key){.kind = GROUP_RECORD_CONSUMER, .version = version};
    (void)wire_read_int16(&reader);
    out->group_id = wire_read_string(&reader, false, false);
    switch (version) {
    case CONSUMER_RECORD_EPOCH:
    case CONSUMER_RECORD_TOPICS:
    case CONSUMER_RECORD_ASSIGNMENT_EPOCH:
        break;
    case CONSUMER_RECORD_MEMBER:
    case CONSUMER_RECORD_TARGET:
    case CONSUMER_RECORD_CURRENT:
    case CONSUMER_RECORD_REGEX:
        out->name = wire_read_string(&reader, false, false);
        break;
    default:
        *out = (struct group_record_key){.kind = GROUP_RECORD_OTHER};
        *err = ERR_NONE;
        return false;
    }
    *err = reader.err;
    return true;
}

static void write_key(const struct group *group, enum consumer_record kind, struct slice name,
                      struct buf *to)
{
    struct wire_writer writer;
    wire_writer_init(&writer, to);
    wire_write_int16(&writer, (int16_t)kind);
    wire_write_string(&writer, group->id, false, false);
    if (!slice_is_null(name)) {
        wire_write_string(&writer, name, false, false);
    }
    assert(writer.err == ERR_NONE);
}

void consumer_write_tombstone(const struct group *group, struct group_store *store,
                              enum consumer_record kind, struct slice name)
{
    struct buf key = {0};
    write_key(group, kind, name, &key);
    group_store_record(store, &key, NULL);
}

/* ---- values ---- */

static void write_member(struct wire_writer *writer, const struct consumer_member *member,
                         struct arena *arena)
{
    struct consumer_group_member_metadata_value value = {
        .instance_id = member->instance_id,
        .rack_id = member->rack_id,
        .client_id = member->client_id,
        .client_host = member->client_host,
        .subscribed_topic_names = member->topics,
        .subscribed_topic_names_count = (int32_t)member->topic_count,
        .subscribed_topic_regex = member->regex,
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .server_assignor = member->assignor,
    };
    struct consumer_group_member_metadata_value_classic_member_metadata classic = {0};
    if (member->classic != NULL) {
        size_t count = member->classic->protocol_count;
        classic.session_timeout_ms = member->classic->session_timeout_ms;
        classic.supported_protocols_count = (int32_t)count;
        classic.supported_protocols =
            arena_alloc_array(arena, count, sizeof *classic.supported_protocols);
        for (size_t i = 0; i < count; i++) {
            classic.supported_protocols[i].name = member->classic->protocols[i].name;
            classic.supported_protocols[i].metadata = member->classic->protocols[i].metadata;
        }
        value.classic_member_metadata = &classic;
    }
    consumer_group_member_metadata_value_encode_versioned(writer, 0, &value);
}

static void write_topics(struct wire_writer *writer, const struct consumer_group *consumer,
                         struct arena *arena)
{
    size_t count = HASH_COUNT(consumer->topics);
    struct consumer_group_partition_metadata_value value = {
        .topics = arena_alloc_array(arena, count, sizeof *value.topics),
    };
    for (const struct consumer_topic *t = consumer->topics; t != NULL; t = t->hh.next) {
        value.topics[value.topics_count++] = (struct consumer_group_partition_metadata_value_topic){
            .topic_id = t->id, .topic_name = t->name, .num_partitions = t->partition_count};
    }
    consumer_group_partition_metadata_value_encode_versioned(writer, 0, &value);
}

/* Runs of one topic: (topic id, partitions) pairs as group_topic_partitions in the arena. */
static struct group_topic_partitions *list_runs(const struct partition_set *set,
                                                struct arena *arena, int32_t *count)
{
    struct group_topic_partitions *runs = arena_alloc_array(arena, set->count, sizeof *runs);
    int32_t *partitions = arena_alloc_array(arena, set->count, sizeof *partitions);
    *count = 0;
    for (size_t i = 0, end; i < set->count; i = end) {
        end = partition_set_run(set, i);
        for (size_t p = i; p < end; p++) {
            partitions[p] = set->items[p].partition;
        }
        runs[(*count)++] =
            (struct group_topic_partitions){set->items[i].topic, partitions + i, end - i};
    }
    return runs;
}

static void write_target(struct wire_writer *writer, const struct consumer_member *member,
                         struct arena *arena)
{
    int32_t count;
    struct group_topic_partitions *runs = list_runs(&member->target, arena, &count);
    struct consumer_group_target_assignment_member_value value = {
        .topic_partitions = arena_alloc_array(arena, (size_t)count, sizeof *value.topic_partitions),
        .topic_partitions_count = count,
    };
    for (int32_t i = 0; i < count; i++) {
        value.topic_partitions[i].topic_id = runs[i].topic;
        value.topic_partitions[i].partitions = (int32_t *)(uintptr_t)runs[i].partitions;
        value.topic_partitions[i].partitions_count = (int32_t)runs[i].count;
    }
    consumer_group_target_assignment_member_value_encode_versioned(writer, 0, &value);
}

static struct consumer_group_current_member_assignment_value_topic *current_topics(
    const struct partition_set *set, struct arena *arena, int32_t *count)
{
    struct group_topic_partitions *runs = list_runs(set, arena, count);
    struct consumer_group_current_member_assignment_value_topic *topics =
        arena_alloc_array(arena, (size_t)*count, sizeof *topics);
    for (int32_t i = 0; i < *count; i++) {
        topics[i].topic_id = runs[i].topic;
        topics[i].partitions = (int32_t *)(uintptr_t)runs[i].partitions;
        topics[i].partitions_count = (int32_t)runs[i].count;
    }
    return topics;
}

static void write_current(struct wire_writer *writer, const struct consumer_member *member,
                          struct arena *arena)
{
    struct consumer_group_current_member_assignment_value value = {
        .member_epoch = member->epoch,
        .previous_member_epoch = member->previous_epoch,
        .state = (int8_t)member->state,
    };
    value.assigned_partitions =
        current_topics(&member->assigned, arena, &value.assigned_partitions_count);
    value.partitions_pending_revocation =
        current_topics(&member->revoking, arena, &value.partitions_pending_revocation_count);
    consumer_group_current_member_assignment_value_encode_versioned(writer, 0, &value);
}

static void write_regex(struct wire_writer *writer, const struct consumer_regex *regex)
{
    struct consumer_group_regular_expression_value value = {
        .topics = regex->topics,
        .topics_count = (int32_t)regex->topic_count,
        .version = (int64_t)regex->version,
        .timestamp = regex->wall_ms,
    };
    consumer_group_regular_expression_value_encode_versioned(writer, 0, &value);
}

void consumer_write(const struct group *group, struct group_store *store, enum consumer_record kind,
                    const struct consumer_member *member, const struct consumer_regex *regex)
{
    const struct consumer_group *consumer = group->consumer;
    struct buf key = {0}, value = {0};
    struct arena arena = {0};
    struct wire_writer writer;
    wire_writer_init(&writer, &value);
    struct slice name = member != NULL  ? member->id
                        : regex != NULL ? regex->text
                                        : (struct slice){0};
    write_key(group, kind, name, &key);
    switch (kind) {
    case CONSUMER_RECORD_EPOCH:
        consumer_group_metadata_value_encode_versioned(
            &writer, 0, &(struct consumer_group_metadata_value){.epoch = consumer->epoch});
        break;
    case CONSUMER_RECORD_TOPICS:
        write_topics(&writer, consumer, &arena);
        break;
    case CONSUMER_RECORD_MEMBER:
        write_member(&writer, member, &arena);
        break;
    case CONSUMER_RECORD_ASSIGNMENT_EPOCH:
        consumer_group_target_assignment_metadata_value_encode_versioned(
            &writer, 0,
            &(struct consumer_group_target_assignment_metadata_value){
                .assignment_epoch = consumer->assignment_epoch});
        break;
    case CONSUMER_RECORD_TARGET:
        write_target(&writer, member, &arena);
        break;
    case CONSUMER_RECORD_CURRENT:
        write_current(&writer, member, &arena);
        break;
    case CONSUMER_RECORD_REGEX:
        write_regex(&writer, regex);
        break;
    }
    assert(writer.err == ERR_NONE);
    group_store_record(store, &key, &value);
    arena_deinit(&arena);
}
