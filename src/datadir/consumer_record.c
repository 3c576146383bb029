#include "datadir/consumer_record.h"

#include "datadir/record_json.h"
#include "wire/generated/consumer_group_current_member_assignment_value.h"
#include "wire/generated/consumer_group_member_metadata_value.h"
#include "wire/generated/consumer_group_metadata_value.h"
#include "wire/generated/consumer_group_partition_metadata_value.h"
#include "wire/generated/consumer_group_regular_expression_value.h"
#include "wire/generated/consumer_group_target_assignment_member_value.h"
#include "wire/generated/consumer_group_target_assignment_metadata_value.h"

static enum err read_epoch(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_metadata_value value;
    int16_t version;
    enum err err = consumer_group_metadata_value_decode_versioned(reader, &version, &value);
    if (err == ERR_NONE) {
        record_set_number(json, "epoch", value.epoch);
    }
    return err;
}

static enum err read_topics(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_partition_metadata_value value;
    int16_t version;
    enum err err =
        consumer_group_partition_metadata_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    json_t *topics = json_array();
    for (int32_t i = 0; i < value.topics_count; i++) {
        json_t *topic = json_object();
        record_set_uuid(topic, "topic_id", value.topics[i].topic_id);
        record_set_text(topic, "topic", value.topics[i].topic_name);
        record_set_number(topic, "partitions", value.topics[i].num_partitions);
        json_array_append_new(topics, topic);
    }
    json_object_set_new(json, "topics", topics);
    return ERR_NONE;
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

static enum err read_member(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_member_metadata_value value;
    int16_t version;
    enum err err = consumer_group_member_metadata_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    set_if_any(json, "group_instance_id", value.instance_id);
    set_if_any(json, "rack_id", value.rack_id);
    record_set_text(json, "client_id", value.client_id);
    record_set_text(json, "client_host", value.client_host);
    record_set_texts(json, "topics", value.subscribed_topic_names,
                     value.subscribed_topic_names_count);
    set_if_any(json, "pattern", value.subscribed_topic_regex);
    record_set_number(json, "rebalance_timeout_ms", value.rebalance_timeout_ms);
    set_if_any(json, "assignor", value.server_assignor);
    if (value.classic_member_metadata != NULL) {
        json_object_set_new(json, "classic", classic_json(value.classic_member_metadata));
    }
    return ERR_NONE;
}

static enum err read_assignment_epoch(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_target_assignment_metadata_value value;
    int16_t version;
    enum err err =
        consumer_group_target_assignment_metadata_value_decode_versioned(reader, &version, &value);
    if (err == ERR_NONE) {
        record_set_number(json, "assignment_epoch", value.assignment_epoch);
    }
    return err;
}

static json_t *partitions_json(struct wire_uuid topic, const int32_t *partitions, int32_t count)
{
    json_t *json = json_object();
    record_set_uuid(json, "topic_id", topic);
    record_set_numbers(json, "partitions", partitions, count);
    return json;
}

static enum err read_target(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_target_assignment_member_value value;
    int16_t version;
    enum err err =
        consumer_group_target_assignment_member_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    json_t *topics = json_array();
    for (int32_t i = 0; i < value.topic_partitions_count; i++) {
        const struct consumer_group_target_assignment_member_value_topic *topic =
            &value.topic_partitions[i];
        json_array_append_new(
            topics, partitions_json(topic->topic_id, topic->partitions, topic->partitions_count));
    }
    json_object_set_new(json, "partitions", topics);
    return ERR_NONE;
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

static enum err read_current(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_current_member_assignment_value value;
    int16_t version;
    enum err err =
        consumer_group_current_member_assignment_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    record_set_number(json, "member_epoch", value.member_epoch);
    record_set_number(json, "previous_member_epoch", value.previous_member_epoch);
    json_object_set_new(json, "state", json_string(member_state_name(value.state)));
    json_object_set_new(json, "assigned",
                        current_json(value.assigned_partitions, value.assigned_partitions_count));
    json_object_set_new(json, "revoking",
                        current_json(value.partitions_pending_revocation,
                                     value.partitions_pending_revocation_count));
    return ERR_NONE;
}

static enum err read_regex(struct wire_reader *reader, json_t *json)
{
    struct consumer_group_regular_expression_value value;
    int16_t version;
    enum err err =
        consumer_group_regular_expression_value_decode_versioned(reader, &version, &value);
    if (err != ERR_NONE) {
        return err;
    }
    record_set_texts(json, "topics", value.topics, value.topics_count);
    record_set_number(json, "version", value.version);
    record_set_number(json, "timestamp", value.timestamp);
    return ERR_NONE;
}

enum err consumer_record_read(int16_t key_version, struct wire_reader *reader, json_t *json)
{
    switch (key_version) {
    case 3:
        return read_epoch(reader, json);
    case 4:
        return read_topics(reader, json);
    case 5:
        return read_member(reader, json);
    case 6:
        return read_assignment_epoch(reader, json);
    case 7:
        return read_target(reader, json);
    case 8:
        return read_current(reader, json);
    case 16:
        return read_regex(reader, json);
    default:
        return ERR_UNSUPPORTED;
    }
}
