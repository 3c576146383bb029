#include "group/consumer_pieces.h"

#include "group/consumer_members.h"

/* ---- members ---- */

struct consumer_group_member_metadata_value_classic_member_metadata *consumer_classic_value(
    int32_t session_timeout_ms, const struct group_protocol_offer *protocols, size_t count,
    struct arena *arena)
{
    struct consumer_group_member_metadata_value_classic_member_metadata *value =
        arena_alloc_array(arena, 1, sizeof *value);
    value->session_timeout_ms = session_timeout_ms;
    value->supported_protocols_count = (int32_t)count;
    value->supported_protocols =
        arena_alloc_array(arena, count, sizeof *value->supported_protocols);
    for (size_t i = 0; i < count; i++) {
        value->supported_protocols[i].name = protocols[i].name;
        value->supported_protocols[i].metadata = slice_or_empty(protocols[i].metadata);
    }
    return value;
}

struct consumer_group_member_metadata_value consumer_member_value(
    const struct consumer_member *member, struct arena *arena)
{
    struct consumer_group_member_metadata_value value = {
        .client_id = slice_str(""),
        .client_host = slice_str(""),
        .rebalance_timeout_ms = -1,
    };
    if (member == NULL) {
        return value;
    }
    value = (struct consumer_group_member_metadata_value){
        .instance_id = member->instance_id,
        .rack_id = member->rack_id,
        .client_id = slice_or_empty(member->client_id),
        .client_host = slice_or_empty(member->client_host),
        .subscribed_topic_names = member->topics,
        .subscribed_topic_names_count = (int32_t)member->topic_count,
        .subscribed_topic_regex = member->regex,
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .server_assignor = member->assignor,
    };
    if (member->classic != NULL) {
        value.classic_member_metadata =
            consumer_classic_value(member->classic->session_timeout_ms, member->classic->protocols,
                                   member->classic->protocol_count, arena);
    }
    return value;
}

/* ---- partitions ---- */

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

struct consumer_group_target_assignment_member_value consumer_target_value(
    const struct partition_set *target, struct arena *arena)
{
    int32_t count;
    struct group_topic_partitions *runs = list_runs(target, arena, &count);
    struct consumer_group_target_assignment_member_value value = {
        .topic_partitions = arena_alloc_array(arena, (size_t)count, sizeof *value.topic_partitions),
        .topic_partitions_count = count,
    };
    for (int32_t i = 0; i < count; i++) {
        value.topic_partitions[i].topic_id = runs[i].topic;
        value.topic_partitions[i].partitions = (int32_t *)(uintptr_t)runs[i].partitions;
        value.topic_partitions[i].partitions_count = (int32_t)runs[i].count;
    }
    return value;
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

struct consumer_group_current_member_assignment_value consumer_current_value(
    enum consumer_member_state state, int32_t epoch, int32_t previous_epoch,
    const struct partition_set *assigned, const struct partition_set *revoking, struct arena *arena)
{
    struct consumer_group_current_member_assignment_value value = {
        .member_epoch = epoch,
        .previous_member_epoch = previous_epoch,
        .state = (int8_t)state,
    };
    value.assigned_partitions = current_topics(assigned, arena, &value.assigned_partitions_count);
    value.partitions_pending_revocation =
        current_topics(revoking, arena, &value.partitions_pending_revocation_count);
    return value;
}

/* ---- pieces ---- */

struct consumer_group_partition_metadata_value consumer_topics_value(
    const struct consumer_topic *table, struct arena *arena)
{
    struct consumer_group_partition_metadata_value value = {
        .topics = arena_alloc_array(arena, HASH_COUNT(table), sizeof *value.topics),
    };
    for (const struct consumer_topic *t = table; t != NULL; t = t->hh.next) {
        value.topics[value.topics_count++] = (struct consumer_group_partition_metadata_value_topic){
            .topic_id = t->id, .topic_name = t->name, .num_partitions = t->partition_count};
    }
    return value;
}

static void fill_member_piece(const struct consumer_member *member, struct arena *arena,
                              struct group_change *change)
{
    change->gone = member == NULL;
    if (change->gone) {
        return;
    }
    if (change->key.kind == GROUP_RECORD_MEMBER) {
        change->member = consumer_member_value(member, arena);
    } else if (change->key.kind == GROUP_RECORD_TARGET) {
        change->target = consumer_target_value(&member->target, arena);
    } else {
        change->current =
            consumer_current_value(member->state, member->epoch, member->previous_epoch,
                                   &member->assigned, &member->revoking, arena);
    }
}

struct group_change consumer_piece(const struct group *group, const struct group_record_key *key,
                                   struct arena *arena)
{
    const struct consumer_group *consumer = group->consumer;
    const struct consumer_regex *regex;
    struct group_change change = group_change_of(group, key->kind, key->name);
    switch (key->kind) {
    case GROUP_RECORD_EPOCH:
        change.epoch.epoch = consumer->epoch;
        break;
    case GROUP_RECORD_TOPICS:
        change.topics = consumer_topics_value(consumer->topics, arena);
        break;
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        change.assignment_epoch.assignment_epoch = consumer->assignment_epoch;
        break;
    case GROUP_RECORD_MEMBER:
    case GROUP_RECORD_TARGET:
    case GROUP_RECORD_CURRENT:
        fill_member_piece(consumer_find(consumer, key->name), arena, &change);
        break;
    case GROUP_RECORD_REGEX:
        regex = consumer_find_regex(consumer, key->name);
        change.gone = regex == NULL;
        if (regex != NULL) {
            change.regex = (struct consumer_group_regular_expression_value){
                .topics = regex->topics,
                .topics_count = (int32_t)regex->topic_count,
                .version = (int64_t)regex->version,
                .timestamp = regex->wall_ms,
            };
        }
        break;
    case GROUP_RECORD_OFFSET:
    case GROUP_RECORD_METADATA:
    case GROUP_RECORD_OTHER:
        change.gone = true;
        break;
    }
    return change;
}

void consumer_bury(const struct group *group, struct group_store *store)
{
    const struct consumer_group *consumer = group->consumer;
    struct slice none = {0};
    for (const struct consumer_member *m = consumer->members; m != NULL; m = m->hh.next) {
        group_store_tombstone(group, store, GROUP_RECORD_CURRENT, m->id);
        group_store_tombstone(group, store, GROUP_RECORD_TARGET, m->id);
        group_store_tombstone(group, store, GROUP_RECORD_MEMBER, m->id);
    }
    for (const struct consumer_regex *r = consumer->regexes; r != NULL; r = r->hh.next) {
        group_store_tombstone(group, store, GROUP_RECORD_REGEX, r->text);
    }
    for (const struct consumer_redo *redo = consumer->redo; redo != NULL; redo = redo->hh.next) {
        struct group_record_key key;
        if (group_record_key_read(redo->key, &key) == ERR_NONE) {
            group_store_tombstone(group, store, key.kind, key.name);
        }
    }
    group_store_tombstone(group, store, GROUP_RECORD_ASSIGNMENT_EPOCH, none);
    group_store_tombstone(group, store, GROUP_RECORD_TOPICS, none);
    group_store_tombstone(group, store, GROUP_RECORD_EPOCH, none);
}
