#include "group/consumer_state.h"

#include "base/mem.h"
#include "wire/generated/consumer_group_current_member_assignment_value.h"
#include "wire/generated/consumer_group_member_metadata_value.h"
#include "wire/generated/consumer_group_metadata_value.h"
#include "wire/generated/consumer_group_partition_metadata_value.h"
#include "wire/generated/consumer_group_regular_expression_value.h"
#include "wire/generated/consumer_group_target_assignment_member_value.h"
#include "wire/generated/consumer_group_target_assignment_metadata_value.h"

#include <assert.h>

/*
 * A start, or a compacted log: the records of a consumer group (consumer_records.c) put together to
 * the group again. Its pieces may come in any order, and some may be missing.
 */

/* A member of which any piece was seen; its metadata may come later, once the log was compacted. */
static struct consumer_member *take_member(struct consumer_group *consumer, struct slice id)
{
    struct consumer_member *member = consumer_find(consumer, id);
    return member != NULL ? member : consumer_add(consumer, id, (struct slice){0});
}

static enum err apply_member(struct consumer_group *consumer, struct slice id,
                             struct wire_reader *reader)
{
    struct consumer_group_member_metadata_value value;
    int16_t version;
    enum err err = consumer_group_member_metadata_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    struct consumer_member *member = take_member(consumer, id);
    member->known = true;
    consumer_set_instance(consumer, member, value.instance_id);
    kept_set(&member->rack_id, value.rack_id);
    kept_set(&member->client_id, value.client_id);
    kept_set(&member->client_host, value.client_host);
    kept_set(&member->regex, value.subscribed_topic_regex);
    kept_set(&member->assignor, value.server_assignor);
    member->rebalance_timeout_ms = value.rebalance_timeout_ms;
    consumer_set_topics(member, value.subscribed_topic_names,
                        (size_t)value.subscribed_topic_names_count);
    struct consumer_classic *classic = NULL;
    const struct consumer_group_member_metadata_value_classic_member_metadata *from =
        value.classic_member_metadata;
    if (from != NULL && from->supported_protocols_count > 0) {
        size_t count = (size_t)from->supported_protocols_count;
        struct group_protocol_offer *offers =
            arena_alloc_array(reader->arena, count, sizeof *offers);
        for (size_t i = 0; i < count; i++) {
            offers[i].name = from->supported_protocols[i].name;
            offers[i].metadata = from->supported_protocols[i].metadata;
        }
        classic = consumer_classic_new(from->session_timeout_ms, offers, count);
    }
    consumer_set_classic(consumer, member, classic);
    return ERR_NONE;
}

static enum err apply_target(struct consumer_group *consumer, struct slice id,
                             struct wire_reader *reader)
{
    struct consumer_group_target_assignment_member_value value;
    struct partition_set target = {0};
    int16_t version;
    enum err err =
        consumer_group_target_assignment_member_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    for (int32_t t = 0; t < value.topic_partitions_count; t++) {
        for (int32_t i = 0; i < value.topic_partitions[t].partitions_count; i++) {
            partition_set_push(&target, value.topic_partitions[t].topic_id,
                               value.topic_partitions[t].partitions[i]);
        }
    }
    partition_set_sort(&target);
    partition_set_take(&take_member(consumer, id)->target, &target);
    return ERR_NONE;
}

static struct partition_set read_current(
    const struct consumer_group_current_member_assignment_value_topic *topics, int32_t count)
{
    struct partition_set set = {0};
    for (int32_t t = 0; t < count; t++) {
        for (int32_t i = 0; i < topics[t].partitions_count; i++) {
            partition_set_push(&set, topics[t].topic_id, topics[t].partitions[i]);
        }
    }
    partition_set_sort(&set);
    return set;
}

static enum err apply_current(struct consumer_group *consumer, struct slice id,
                              struct wire_reader *reader)
{
    struct consumer_group_current_member_assignment_value value;
    int16_t version;
    enum err err =
        consumer_group_current_member_assignment_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    if (value.state < CONSUMER_STABLE || value.state > CONSUMER_UNRELEASED) {
        return ERR_UNSUPPORTED;
    }
    struct consumer_member *member = take_member(consumer, id);
    struct partition_set assigned =
        read_current(value.assigned_partitions, value.assigned_partitions_count);
    struct partition_set revoking = read_current(value.partitions_pending_revocation,
                                                 value.partitions_pending_revocation_count);
    consumer_set_current(consumer, member, &assigned, &revoking);
    member->epoch = value.member_epoch;
    member->previous_epoch = value.previous_member_epoch;
    member->state = (enum consumer_member_state)value.state;
    return ERR_NONE;
}

static enum err apply_topics(struct consumer_group *consumer, struct wire_reader *reader)
{
    struct consumer_group_partition_metadata_value value;
    int16_t version;
    enum err err =
        consumer_group_partition_metadata_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    consumer_free_topics(consumer);
    for (int32_t i = 0; i < value.topics_count; i++) {
        if (consumer_find_topic(consumer, value.topics[i].topic_name) != NULL) {
            continue;
        }
        struct consumer_topic *topic = mem_new(struct consumer_topic);
        topic->name = kept_copy(value.topics[i].topic_name);
        topic->id = value.topics[i].topic_id;
        topic->partition_count = value.topics[i].num_partitions;
        HASH_ADD_KEYPTR(hh, consumer->topics, topic->name.data, topic->name.size, topic);
    }
    return ERR_NONE;
}

static void drop_regex(struct consumer_group *consumer, struct slice text)
{
    struct consumer_regex *regex = NULL;
    HASH_FIND(hh, consumer->regexes, text.data, text.size, regex);
    if (regex != NULL) {
        HASH_DEL(consumer->regexes, regex);
        consumer_regex_free(regex);
    }
}

static enum err apply_regex(struct consumer_group *consumer, struct slice text,
                            struct wire_reader *reader)
{
    struct consumer_group_regular_expression_value value;
    int16_t version;
    enum err err =
        consumer_group_regular_expression_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    drop_regex(consumer, text);
    struct consumer_regex *regex = mem_new(struct consumer_regex);
    regex->text = kept_copy(text);
    regex->wall_ms = value.timestamp;
    regex->topics = mem_new_array(struct slice, (size_t)value.topics_count);
    for (int32_t i = 0; i < value.topics_count; i++) {
        regex->topics[regex->topic_count++] = kept_copy(value.topics[i]);
    }
    /* Its version is of another run of the server: it is looked up again. */
    HASH_ADD_KEYPTR(hh, consumer->regexes, regex->text.data, regex->text.size, regex);
    return ERR_NONE;
}

static void drop_piece(struct group *group, const struct group_record_key *key)
{
    struct consumer_group *consumer = group->consumer;
    struct consumer_member *member = NULL;
    struct partition_set none = {0}, nothing = {0};
    if (!slice_is_null(key->name)) {
        member = consumer_find(consumer, key->name);
    }
    switch ((enum consumer_record)key->version) {
    case CONSUMER_RECORD_EPOCH:
        consumer_free(consumer);
        group->consumer = NULL;
        group->state = GROUP_EMPTY;
        return;
    case CONSUMER_RECORD_TOPICS:
        consumer_free_topics(consumer);
        break;
    case CONSUMER_RECORD_ASSIGNMENT_EPOCH:
        consumer->assignment_epoch = 0;
        break;
    case CONSUMER_RECORD_MEMBER:
        if (member != NULL) {
            consumer_remove(consumer, member);
            consumer_unbury(&consumer->gone_members, key->name);
        }
        break;
    case CONSUMER_RECORD_TARGET:
        if (member != NULL) {
            partition_set_deinit(&member->target);
        }
        break;
    case CONSUMER_RECORD_CURRENT:
        if (member != NULL) {
            consumer_set_current(consumer, member, &none, &nothing);
            member->epoch = member->previous_epoch = 0;
            member->state = CONSUMER_STABLE;
        }
        break;
    case CONSUMER_RECORD_REGEX:
        drop_regex(consumer, key->name);
        break;
    }
}

/* The classic members and offsets' owner give way to a consumer group. */
static struct consumer_group *take_consumer(struct group *group)
{
    if (group->consumer == NULL) {
        struct group_effects none = {0};
        struct group_member *member, *next;
        HASH_ITER (hh, group->members, member, next) {
            group_remove_member(group, member, &none);
        }
        assert(none.replies == NULL); /* nobody waits during a replay */
        group->consumer = consumer_new();
        group->consumer->loading = true;
        group->generation = 0;
        kept_set(&group->protocol_type, slice_str("consumer"));
        kept_free(&group->protocol);
        kept_free(&group->leader);
    }
    return group->consumer;
}

static enum err apply_value(struct consumer_group *consumer, const struct group_record_key *key,
                            struct wire_reader *reader)
{
    struct consumer_group_metadata_value epoch;
    struct consumer_group_target_assignment_metadata_value assignment;
    int16_t version;
    enum err err = ERR_NONE;
    switch ((enum consumer_record)key->version) {
    case CONSUMER_RECORD_EPOCH:
        err = consumer_group_metadata_value_decode_versioned(reader, &version, &epoch);
        consumer->epoch = err == ERR_NONE ? epoch.epoch : consumer->epoch;
        break;
    case CONSUMER_RECORD_TOPICS:
        return apply_topics(consumer, reader);
    case CONSUMER_RECORD_MEMBER:
        return apply_member(consumer, key->name, reader);
    case CONSUMER_RECORD_ASSIGNMENT_EPOCH:
        err = consumer_group_target_assignment_metadata_value_decode_versioned(reader, &version,
                                                                               &assignment);
        consumer->assignment_epoch =
            err == ERR_NONE ? assignment.assignment_epoch : consumer->assignment_epoch;
        break;
    case CONSUMER_RECORD_TARGET:
        return apply_target(consumer, key->name, reader);
    case CONSUMER_RECORD_CURRENT:
        return apply_current(consumer, key->name, reader);
    case CONSUMER_RECORD_REGEX:
        return apply_regex(consumer, key->name, reader);
    }
    return err;
}

enum err consumer_apply(struct group *group, const struct group_record_key *key, struct slice value,
                        struct group_time now)
{
    if (slice_is_null(value)) {
        if (group->consumer != NULL) {
            drop_piece(group, key);
        }
        return ERR_NONE;
    }
    struct consumer_group *consumer = take_consumer(group);
    struct arena arena = {0};
    struct wire_reader reader;
    wire_reader_init(&reader, value, &arena);
    enum err err = apply_value(consumer, key, &reader);
    arena_deinit(&arena);
    consumer_settle_state(group, now);
    consumer->dirty = false; /* the log knows */
    return err;
}
