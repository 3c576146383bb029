#include "datadir/consumer_record.h"

#include "datadir/record_json.h"

static void set_topics(const struct consumer_group_partition_metadata_value *value, json_t *json)
{
    json_t *topics = json_array();
    for (int32_t i = 0; i < value->topics_count; i++) {
        json_t *topic = json_object();
        record_set_uuid(topic, "topic_id", value->topics[i].topic_id);
        record_set_text(topic, "topic", value->topics[i].topic_name);
        record_set_number(topic, "partitions", value->topics[i].num_partitions);
        json_array_append_new(topics, topic);
    }
    json_object_set_new(json, "topics", topics);
}

static void set_if_any(json_t *json, const char *name, struct slice text)
{
    if (!slice_is_null(text)) {
        record_set_text(json, name, text);
    }
}

/* A member that speaks the classic protocol. */
static json_t *classic_json(
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic)
{
    json_t *json = json_object();
    json_t *protocols = json_array();
    record_set_number(json, "session_timeout_ms", classic->session_timeout_ms);
    for (int32_t i = 0; i < classic->supported_protocols_count; i++) {
        json_array_append_new(protocols, record_text(classic->supported_protocols[i].name));
    }
    json_object_set_new(json, "protocols", protocols);
    return json;
}

static void set_member(const struct consumer_group_member_metadata_value *value, json_t *json)
{
    set_if_any(json, "group_instance_id", value->instance_id);
    set_if_any(json, "rack_id", value->rack_id);
    record_set_text(json, "client_id", value->client_id);
    record_set_text(json, "client_host", value->client_host);
    record_set_texts(json, "topics", value->subscribed_topic_names,
                     value->subscribed_topic_names_count);
    set_if_any(json, "pattern", value->subscribed_topic_regex);
    record_set_number(json, "rebalance_timeout_ms", value->rebalance_timeout_ms);
    set_if_any(json, "assignor", value->server_assignor);
    if (value->classic_member_metadata != NULL) {
        json_object_set_new(json, "classic", classic_json(value->classic_member_metadata));
    }
}

static json_t *partitions_json(struct wire_uuid topic, const int32_t *partitions, int32_t count)
{
    json_t *json = json_object();
    record_set_uuid(json, "topic_id", topic);
    record_set_numbers(json, "partitions", partitions, count);
    return json;
}

static void set_target(const struct consumer_group_target_assignment_member_value *value,
                       json_t *json)
{
    json_t *topics = json_array();
    for (int32_t i = 0; i < value->topic_partitions_count; i++) {
        const struct consumer_group_target_assignment_member_value_topic *topic =
            &value->topic_partitions[i];
        json_array_append_new(
            topics, partitions_json(topic->topic_id, topic->partitions, topic->partitions_count));
    }
    json_object_set_new(json, "partitions", topics);
}

static json_t *current_json(
    const struct consumer_group_current_member_assignment_value_topic *topics, int32_t count)
{
    json_t *json = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(json, partitions_json(topics[i].topic_id, topics[i].partitions,
                                                    topics[i].partitions_count));
    }
    return json;
}

/* MemberState's ids. */
static const char *member_state_name(int8_t state)
{
    static const char *const names[] = {"Stable", "UnrevokedPartitions", "UnreleasedPartitions"};
    return state >= 0 && (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static void set_current(const struct consumer_group_current_member_assignment_value *value,
                        json_t *json)
{
    record_set_number(json, "member_epoch", value->member_epoch);
    record_set_number(json, "previous_member_epoch", value->previous_member_epoch);
    json_object_set_new(json, "state", json_string(member_state_name(value->state)));
    json_object_set_new(json, "assigned",
                        current_json(value->assigned_partitions, value->assigned_partitions_count));
    json_object_set_new(json, "revoking",
                        current_json(value->partitions_pending_revocation,
                                     value->partitions_pending_revocation_count));
}

static void set_regex(const struct consumer_group_regular_expression_value *value, json_t *json)
{
    record_set_texts(json, "topics", value->topics, value->topics_count);
    record_set_number(json, "version", value->version);
    record_set_number(json, "timestamp", value->timestamp);
}

void consumer_record_set(const struct group_change *change, json_t *json)
{
    switch (change->key.kind) {
    case GROUP_RECORD_EPOCH:
        record_set_number(json, "epoch", change->epoch.epoch);
        break;
    case GROUP_RECORD_TOPICS:
        set_topics(&change->topics, json);
        break;
    case GROUP_RECORD_MEMBER:
        set_member(&change->member, json);
        break;
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        record_set_number(json, "assignment_epoch", change->assignment_epoch.assignment_epoch);
        break;
    case GROUP_RECORD_TARGET:
        set_target(&change->target, json);
        break;
    case GROUP_RECORD_CURRENT:
        set_current(&change->current, json);
        break;
    case GROUP_RECORD_REGEX:
        set_regex(&change->regex, json);
        break;
    case GROUP_RECORD_OFFSET:
    case GROUP_RECORD_METADATA:
    case GROUP_RECORD_OTHER:
        break;
    }
}
