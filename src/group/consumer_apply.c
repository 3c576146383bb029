#include "group/consumer_apply.h"

#include "base/mem.h"
#include "group/classic_kind.h"
#include "group/consumer_members.h"

#include <stdlib.h>

/* A member of which any piece was seen; its metadata may come later, once the log was compacted. */
static struct consumer_member *take_member(struct consumer_group *consumer, struct slice id)
{
    struct consumer_member *member = consumer_find(consumer, id);
    return member != NULL ? member : consumer_add(consumer, id, (struct slice){0});
}

/* Copies of the names, in order; they may be those that are replaced. */
static void set_names(struct slice **kept, size_t *kept_count, const struct slice *names,
                      int32_t count)
{
    struct slice *sorted = mem_new_array(struct slice, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        sorted[i] = names[i];
    }
    size_t fresh_count = consumer_sort_names(sorted, (size_t)count);
    struct slice *fresh = consumer_keep_names(sorted, fresh_count);
    free(sorted);
    consumer_names_free(*kept, *kept_count);
    *kept = fresh;
    *kept_count = fresh_count;
}

static struct consumer_classic *read_classic(
    const struct consumer_group_member_metadata_value_classic_member_metadata *from)
{
    if (from == NULL || from->supported_protocols_count <= 0) {
        return NULL;
    }
    size_t count = (size_t)from->supported_protocols_count;
    struct group_protocol_offer *offers = mem_new_array(struct group_protocol_offer, count);
    for (size_t i = 0; i < count; i++) {
        offers[i].name = from->supported_protocols[i].name;
        offers[i].metadata = from->supported_protocols[i].metadata;
    }
    struct consumer_classic *classic =
        consumer_classic_new(from->session_timeout_ms, offers, count);
    free(offers);
    return classic;
}

static void apply_member(struct consumer_group *consumer, struct slice id,
                         const struct consumer_group_member_metadata_value *value)
{
    struct consumer_member *member = take_member(consumer, id);
    member->known = true;
    consumer_set_instance(consumer, member, value->instance_id);
    kept_set(&member->rack_id, value->rack_id);
    kept_set(&member->client_id, value->client_id);
    kept_set(&member->client_host, value->client_host);
    kept_set(&member->regex, value->subscribed_topic_regex);
    kept_set(&member->assignor, value->server_assignor);
    member->rebalance_timeout_ms = value->rebalance_timeout_ms;
    set_names(&member->topics, &member->topic_count, value->subscribed_topic_names,
              value->subscribed_topic_names_count);
    consumer_set_classic(consumer, member, read_classic(value->classic_member_metadata));
    consumer_count(consumer, member);
}

static void apply_target(struct consumer_group *consumer, struct slice id,
                         const struct consumer_group_target_assignment_member_value *value)
{
    struct partition_set target = {0};
    for (int32_t t = 0; t < value->topic_partitions_count; t++) {
        for (int32_t i = 0; i < value->topic_partitions[t].partitions_count; i++) {
            partition_set_push(&target, value->topic_partitions[t].topic_id,
                               value->topic_partitions[t].partitions[i]);
        }
    }
    partition_set_sort(&target);
    struct consumer_member *member = take_member(consumer, id);
    partition_set_take(&member->target, &target);
    consumer_count(consumer, member);
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
                              const struct consumer_group_current_member_assignment_value *value)
{
    if (value->state < CONSUMER_STABLE || value->state > CONSUMER_UNRELEASED) {
        return ERR_UNSUPPORTED;
    }
    struct consumer_member *member = take_member(consumer, id);
    struct partition_set assigned =
        read_current(value->assigned_partitions, value->assigned_partitions_count);
    struct partition_set revoking = read_current(value->partitions_pending_revocation,
                                                 value->partitions_pending_revocation_count);
    consumer_put_current(consumer, member, &assigned, &revoking);
    member->epoch = value->member_epoch;
    member->previous_epoch = value->previous_member_epoch;
    member->state = (enum consumer_member_state)value->state;
    return ERR_NONE;
}

static void apply_topics(struct consumer_group *consumer,
                         const struct consumer_group_partition_metadata_value *value)
{
    struct consumer_topic *former = consumer->topics; /* the value may borrow from these */
    consumer->topics = NULL;
    for (int32_t i = 0; i < value->topics_count; i++) {
        if (consumer_find_topic(consumer, value->topics[i].topic_name) != NULL) {
            continue;
        }
        struct consumer_topic *topic = mem_new(struct consumer_topic);
        topic->name = kept_copy(value->topics[i].topic_name);
        topic->id = value->topics[i].topic_id;
        topic->partition_count = value->topics[i].num_partitions;
        HASH_ADD_KEYPTR(hh, consumer->topics, topic->name.data, topic->name.size, topic);
        consumer->bytes += consumer_topic_cost(topic);
    }
    consumer_drop_topics(consumer, &former);
}

/* The version is of one run of the server: whoever looks the expression up sets it. */
static void apply_regex(struct consumer_group *consumer, struct slice text,
                        const struct consumer_group_regular_expression_value *value)
{
    struct consumer_regex *regex = consumer_find_regex(consumer, text);
    if (regex == NULL) {
        regex = mem_new(struct consumer_regex);
        regex->text = kept_copy(text);
        HASH_ADD_KEYPTR(hh, consumer->regexes, regex->text.data, regex->text.size, regex);
    } else {
        consumer->bytes -= consumer_regex_cost(regex);
    }
    regex->wall_ms = value->timestamp;
    set_names(&regex->topics, &regex->topic_count, value->topics, value->topics_count);
    consumer->bytes += consumer_regex_cost(regex);
}

static enum err apply_value(struct consumer_group *consumer, const struct group_change *change)
{
    switch (change->key.kind) {
    case GROUP_RECORD_EPOCH:
        consumer->epoch = change->epoch.epoch;
        break;
    case GROUP_RECORD_TOPICS:
        apply_topics(consumer, &change->topics);
        break;
    case GROUP_RECORD_MEMBER:
        apply_member(consumer, change->key.name, &change->member);
        break;
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        consumer->assignment_epoch = change->assignment_epoch.assignment_epoch;
        break;
    case GROUP_RECORD_TARGET:
        apply_target(consumer, change->key.name, &change->target);
        break;
    case GROUP_RECORD_CURRENT:
        return apply_current(consumer, change->key.name, &change->current);
    case GROUP_RECORD_REGEX:
        apply_regex(consumer, change->key.name, &change->regex);
        break;
    case GROUP_RECORD_OFFSET:
    case GROUP_RECORD_METADATA:
    case GROUP_RECORD_OTHER:
        return ERR_UNSUPPORTED;
    }
    return ERR_NONE;
}

/* ---- tombstones ---- */

void consumer_forget(struct group *group)
{
    consumer_free(group);
    group->kind = &classic_kind;
    group->state = GROUP_EMPTY;
}

static void drop_current(struct consumer_group *consumer, struct consumer_member *member)
{
    struct partition_set none = {0}, nothing = {0};
    consumer_put_current(consumer, member, &none, &nothing);
    member->epoch = member->previous_epoch = 0;
    member->state = CONSUMER_STABLE;
}

static void drop_of_member(struct consumer_group *consumer, const struct group_record_key *key)
{
    struct consumer_member *member = consumer_find(consumer, key->name);
    if (member == NULL) {
        return;
    }
    if (key->kind == GROUP_RECORD_MEMBER) {
        consumer_take_out(consumer, member);
    } else if (key->kind == GROUP_RECORD_TARGET) {
        partition_set_deinit(&member->target);
        consumer_count(consumer, member);
    } else {
        drop_current(consumer, member);
    }
}

static void drop_piece(struct group *group, const struct group_record_key *key)
{
    struct consumer_group *consumer = group->consumer;
    struct consumer_regex *regex;
    switch (key->kind) {
    case GROUP_RECORD_EPOCH:
        consumer_forget(group);
        break;
    case GROUP_RECORD_TOPICS:
        consumer_drop_topics(consumer, &consumer->topics);
        break;
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        consumer->assignment_epoch = 0;
        break;
    case GROUP_RECORD_MEMBER:
    case GROUP_RECORD_TARGET:
    case GROUP_RECORD_CURRENT:
        drop_of_member(consumer, key);
        break;
    case GROUP_RECORD_REGEX:
        regex = consumer_find_regex(consumer, key->name);
        if (regex != NULL) {
            consumer_drop_regex(consumer, regex);
        }
        break;
    case GROUP_RECORD_OFFSET:
    case GROUP_RECORD_METADATA:
    case GROUP_RECORD_OTHER:
        break;
    }
}

/* ---- both ---- */

static void settle_state(struct group *group, struct clock_time now)
{
    enum group_state state = group->consumer->members != NULL ? GROUP_STABLE : GROUP_EMPTY;
    if (state != group->state) {
        group_set_state(group, state, now);
    }
}

enum err consumer_apply(struct group *group, const struct group_change *change,
                        struct clock_time now)
{
    enum err err = ERR_NONE;
    if (change->gone && group->consumer == NULL) {
        return ERR_NONE;
    }
    if (group->consumer == NULL) {
        consumer_begin(group, true);
    }
    if (change->gone) {
        drop_piece(group, &change->key);
    } else {
        err = apply_value(group->consumer, change);
    }
    if (group->consumer != NULL) {
        settle_state(group, now);
    }
    return err;
}
