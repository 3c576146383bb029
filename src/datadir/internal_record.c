#include "datadir/internal_record.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "datadir/consumer_record.h"
#include "datadir/record_json.h"
#include "wire/generated/transaction_log_key.h"
#include "wire/generated/transaction_log_value.h"

#include <string.h>

/* Bytes of a record turn into so much at most. */
enum { DECODED_MAX_BYTES = 16 << 20 };

/* One decoding: reader, its arena and what comes of it. */
struct decoding {
    struct arena arena;
    struct wire_reader reader;
    json_t *json;
};

static struct decoding begin(const char *kind)
{
    return (struct decoding){.arena.limit_bytes = DECODED_MAX_BYTES,
                             .json = json_pack("{s:s}", "kind", kind)};
}

static json_t *finish(struct decoding *decoding)
{
    arena_deinit(&decoding->arena);
    return decoding->json;
}

static void read_from(struct decoding *decoding, struct slice bytes)
{
    wire_reader_init(&decoding->reader, bytes, &decoding->arena);
}

static void set_error(struct decoding *decoding, const char *text)
{
    json_object_set_new(decoding->json, "error", json_string(text));
}

/* True when there is a value to go on with. */
static bool has_value(struct decoding *decoding, struct slice value)
{
    if (slice_is_null(value)) {
        json_object_set_new(decoding->json, "deleted", json_true());
        return false;
    }
    read_from(decoding, value);
    return true;
}

static void set_offset(json_t *json, const struct offset_commit_value *commit)
{
    record_set_number(json, "offset", commit->offset);
    record_set_number(json, "leader_epoch", commit->leader_epoch);
    record_set_text(json, "metadata", commit->metadata);
    record_set_number(json, "commit_timestamp", commit->commit_timestamp);
    if (commit->expire_timestamp >= 0) {
        record_set_number(json, "expire_timestamp", commit->expire_timestamp);
    }
}

static json_t *member_json(const struct group_metadata_value_member *member)
{
    json_t *json = json_object();
    record_set_text(json, "member_id", member->member_id);
    if (!slice_is_null(member->group_instance_id)) {
        record_set_text(json, "group_instance_id", member->group_instance_id);
    }
    record_set_text(json, "client_id", member->client_id);
    record_set_text(json, "client_host", member->client_host);
    record_set_number(json, "session_timeout_ms", member->session_timeout);
    record_set_number(json, "rebalance_timeout_ms", member->rebalance_timeout);
    return json;
}

static void set_classic(json_t *json, const struct group_metadata_value *group)
{
    record_set_text(json, "protocol_type", group->protocol_type);
    record_set_text(json, "protocol", group->protocol);
    record_set_number(json, "generation", group->generation);
    record_set_text(json, "leader", group->leader);
    record_set_number(json, "state_timestamp", group->current_state_timestamp);
    json_t *members = json_array();
    for (int32_t i = 0; i < group->members_count; i++) {
        json_array_append_new(members, member_json(&group->members[i]));
    }
    json_object_set_new(json, "members", members);
}

static const struct group_kind_name {
    enum group_record_kind kind;
    const char *text;
    const char *name; /* of the name in the key; NULL: there is none */
} group_kinds[] = {
    {GROUP_RECORD_OFFSET, "offset-commit", "topic"},
    {GROUP_RECORD_METADATA, "group-metadata", NULL},
    {GROUP_RECORD_EPOCH, "consumer-group-metadata", NULL},
    {GROUP_RECORD_TOPICS, "consumer-group-partition-metadata", NULL},
    {GROUP_RECORD_MEMBER, "consumer-group-member", "member"},
    {GROUP_RECORD_ASSIGNMENT_EPOCH, "consumer-group-target-assignment", NULL},
    {GROUP_RECORD_TARGET, "consumer-group-target-assignment-member", "member"},
    {GROUP_RECORD_CURRENT, "consumer-group-current-assignment", "member"},
    {GROUP_RECORD_REGEX, "consumer-group-regular-expression", "pattern"},
};

static const struct group_kind_name *find_group_kind(enum group_record_kind kind)
{
    for (size_t i = 0; i < sizeof group_kinds / sizeof group_kinds[0]; i++) {
        if (group_kinds[i].kind == kind) {
            return &group_kinds[i];
        }
    }
    return NULL;
}

static void set_group_value(struct decoding *d, const struct group_record_key *key,
                            struct slice value)
{
    struct group_change change;
    if (group_change_read(key, value, &d->arena, &change) != ERR_NONE) {
        set_error(d, "the value cannot be read");
    } else if (change.gone) {
        json_object_set_new(d->json, "deleted", json_true());
    } else if (key->kind == GROUP_RECORD_OFFSET) {
        set_offset(d->json, &change.offset);
    } else if (key->kind == GROUP_RECORD_METADATA) {
        set_classic(d->json, &change.metadata);
    } else {
        consumer_record_set(&change, d->json);
    }
}

json_t *internal_group_record(struct slice key, struct slice value)
{
    struct group_record_key parsed;
    enum err err = group_record_key_read(key, &parsed);
    const struct group_kind_name *kind = find_group_kind(parsed.kind);
    struct decoding d = begin(kind != NULL ? kind->text : "unknown");
    if (kind == NULL) {
        record_set_number(d.json, "key_version", key.size < 2 ? -1 : parsed.version);
        return finish(&d);
    }
    if (!slice_is_null(parsed.group_id)) {
        record_set_text(d.json, "group", parsed.group_id);
    }
    if (!slice_is_null(parsed.name)) {
        record_set_text(d.json, kind->name, parsed.name);
    }
    if (err != ERR_NONE) {
        set_error(&d, "the key cannot be read");
        (void)has_value(&d, value);
        return finish(&d);
    }
    if (kind->kind == GROUP_RECORD_OFFSET) {
        record_set_number(d.json, "partition", parsed.partition);
    }
    set_group_value(&d, &parsed, value);
    return finish(&d);
}

/* TransactionState's ids. */
static const char *txn_state_name(int8_t state)
{
    static const char *const names[] = {"Empty",        "Ongoing",          "PrepareCommit",
                                        "PrepareAbort", "CompleteCommit",   "CompleteAbort",
                                        "Dead",         "PrepareEpochFence"};
    return state >= 0 && (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static json_t *txn_partitions(const struct transaction_log_value *value)
{
    json_t *topics = json_array();
    for (int32_t i = 0; i < value->transaction_partitions_count; i++) {
        const struct transaction_log_value_topic *from = &value->transaction_partitions[i];
        json_t *topic = json_object();
        json_t *partitions = json_array();
        record_set_text(topic, "topic", from->topic);
        for (int32_t p = 0; p < from->partition_ids_count; p++) {
            json_array_append_new(partitions, json_integer(from->partition_ids[p]));
        }
        json_object_set_new(topic, "partitions", partitions);
        json_array_append_new(topics, topic);
    }
    return topics;
}

static void set_txn(json_t *json, const struct transaction_log_value *value)
{
    record_set_number(json, "producer_id", value->producer_id);
    record_set_number(json, "producer_epoch", value->producer_epoch);
    if (value->previous_producer_id >= 0) {
        record_set_number(json, "previous_producer_id", value->previous_producer_id);
    }
    if (value->next_producer_id >= 0) {
        record_set_number(json, "next_producer_id", value->next_producer_id);
    }
    json_object_set_new(json, "state", json_string(txn_state_name(value->transaction_status)));
    record_set_number(json, "timeout_ms", value->transaction_timeout_ms);
    record_set_number(json, "start_timestamp", value->transaction_start_timestamp_ms);
    record_set_number(json, "update_timestamp", value->transaction_last_update_timestamp_ms);
    record_set_number(json, "transaction_version", value->client_transaction_version);
    json_object_set_new(json, "partitions", txn_partitions(value));
}

json_t *internal_txn_record(struct slice key, struct slice value)
{
    struct decoding d = begin("transaction");
    struct transaction_log_key fields;
    struct transaction_log_value txn;
    int16_t version;
    read_from(&d, key);
    if (transaction_log_key_decode_versioned(&d.reader, &version, &fields) != ERR_NONE) {
        set_error(&d, "the key cannot be read");
        return finish(&d);
    }
    record_set_text(d.json, "transactional_id", fields.transactional_id);
    if (has_value(&d, value)) {
        if (transaction_log_value_decode_versioned(&d.reader, &version, &txn) == ERR_NONE) {
            set_txn(d.json, &txn);
        } else {
            set_error(&d, "the value cannot be read");
        }
    }
    return finish(&d);
}

json_t *internal_control_record(struct slice key, struct slice value)
{
    struct decoding d = begin("marker");
    if (key.size < 4) {
        set_error(&d, "the key cannot be read");
        return finish(&d);
    }
    int16_t type = (int16_t)load_be16(key.data + 2);
    json_object_set_new(d.json, "type",
                        json_string(type == 0   ? "abort"
                                    : type == 1 ? "commit"
                                                : "unknown"));
    if (type != 0 && type != 1) {
        record_set_number(d.json, "type_number", type);
    } else if (value.size >= 6) {
        record_set_number(d.json, "coordinator_epoch", (int32_t)load_be32(value.data + 2));
    } else {
        set_error(&d, "the value cannot be read");
    }
    return finish(&d);
}

json_t *internal_record(const char *topic, struct slice key, struct slice value)
{
    if (strcmp(topic, "__consumer_offsets") == 0) {
        return internal_group_record(key, value);
    }
    if (strcmp(topic, "__transaction_state") == 0) {
        return internal_txn_record(key, value);
    }
    return NULL;
}
