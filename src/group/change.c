#include "group/change.h"

#include "base/bytes.h"

#include <assert.h>

/* ---- keys ---- */

bool group_record_is_consumer(enum group_record_kind kind)
{
    return kind >= GROUP_RECORD_EPOCH;
}

/* Null when it cannot be read. */
static struct slice read_text(struct wire_reader *reader)
{
    struct slice text = wire_read_string(reader, false, false);
    return reader->err == ERR_NONE ? text : (struct slice){0};
}

/*
 * A key is its kind as INT16, the group id and, for what is not about the whole group, a name; of
 * an offset a partition besides. So one pair of codecs serves all kinds.
 */
enum err group_record_key_read(struct slice key, struct group_record_key *out)
{
    *out = (struct group_record_key){.kind = GROUP_RECORD_OTHER};
    if (key.size < 2) {
        return ERR_CORRUPT;
    }
    struct wire_reader reader;
    struct arena arena = {0};
    wire_reader_init(&reader, key, &arena);
    out->version = wire_read_int16(&reader);
    bool named = false;
    switch (out->version) {
    case 0: /* of old brokers, the same in all */
    case GROUP_RECORD_OFFSET:
        out->kind = GROUP_RECORD_OFFSET;
        named = true;
        break;
    case GROUP_RECORD_MEMBER:
    case GROUP_RECORD_TARGET:
    case GROUP_RECORD_CURRENT:
    case GROUP_RECORD_REGEX:
        named = true;
        out->kind = (enum group_record_kind)out->version;
        break;
    case GROUP_RECORD_METADATA:
    case GROUP_RECORD_EPOCH:
    case GROUP_RECORD_TOPICS:
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        out->kind = (enum group_record_kind)out->version;
        break;
    default:
        return ERR_NONE;
    }
    out->group_id = read_text(&reader);
    if (named) {
        out->name = read_text(&reader);
    }
    if (out->kind == GROUP_RECORD_OFFSET) {
        out->partition = wire_read_int32(&reader);
    }
    return reader.err == ERR_NONE ? ERR_NONE : ERR_CORRUPT;
}

void group_record_key_write(const struct group_record_key *key, struct buf *to)
{
    struct wire_writer writer;
    wire_writer_init(&writer, to);
    wire_write_int16(&writer, (int16_t)key->kind);
    wire_write_string(&writer, key->group_id, false, false);
    if (!slice_is_null(key->name)) {
        wire_write_string(&writer, key->name, false, false);
    }
    if (key->kind == GROUP_RECORD_OFFSET) {
        wire_write_int32(&writer, key->partition);
    }
    assert(writer.err == ERR_NONE);
}

/* ---- values ---- */

static enum err read_value(struct wire_reader *reader, struct group_change *out)
{
    int16_t version;
    switch (out->key.kind) {
    case GROUP_RECORD_OFFSET:
        return offset_commit_value_decode_versioned(reader, &version, &out->offset);
    case GROUP_RECORD_METADATA:
        return group_metadata_value_decode_versioned(reader, &version, &out->metadata);
    case GROUP_RECORD_EPOCH:
        return consumer_group_metadata_value_decode_versioned(reader, &version, &out->epoch);
    case GROUP_RECORD_TOPICS:
        return consumer_group_partition_metadata_value_decode_versioned(reader, &version,
                                                                        &out->topics);
    case GROUP_RECORD_MEMBER:
        return consumer_group_member_metadata_value_decode_versioned(reader, &version,
                                                                     &out->member);
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        return consumer_group_target_assignment_metadata_value_decode_versioned(
            reader, &version, &out->assignment_epoch);
    case GROUP_RECORD_TARGET:
        return consumer_group_target_assignment_member_value_decode_versioned(reader, &version,
                                                                              &out->target);
    case GROUP_RECORD_CURRENT:
        return consumer_group_current_member_assignment_value_decode_versioned(reader, &version,
                                                                               &out->current);
    case GROUP_RECORD_REGEX:
        return consumer_group_regular_expression_value_decode_versioned(reader, &version,
                                                                        &out->regex);
    case GROUP_RECORD_OTHER:
        break;
    }
    return ERR_UNSUPPORTED;
}

enum err group_change_read(const struct group_record_key *key, struct slice value,
                           struct arena *arena, struct group_change *out)
{
    *out = (struct group_change){.key = *key, .gone = slice_is_null(value)};
    if (out->gone) {
        return ERR_NONE;
    }
    struct wire_reader reader;
    wire_reader_init(&reader, value, arena);
    return read_value(&reader, out);
}

/* Versions 4 of OffsetCommitValue and GroupMetadataValue are read, but not written, as Kafka does
 * not write them either. */
enum { OFFSET_VERSION = 3, OFFSET_VERSION_EXPIRING = 1, METADATA_VERSION = 3 };

static void write_value(struct wire_writer *writer, const struct group_change *change)
{
    switch (change->key.kind) {
    case GROUP_RECORD_OFFSET:
        offset_commit_value_encode_versioned(
            writer, change->offset.expire_timestamp >= 0 ? OFFSET_VERSION_EXPIRING : OFFSET_VERSION,
            &change->offset);
        break;
    case GROUP_RECORD_METADATA:
        group_metadata_value_encode_versioned(writer, METADATA_VERSION, &change->metadata);
        break;
    case GROUP_RECORD_EPOCH:
        consumer_group_metadata_value_encode_versioned(writer, 0, &change->epoch);
        break;
    case GROUP_RECORD_TOPICS:
        consumer_group_partition_metadata_value_encode_versioned(writer, 0, &change->topics);
        break;
    case GROUP_RECORD_MEMBER:
        consumer_group_member_metadata_value_encode_versioned(writer, 0, &change->member);
        break;
    case GROUP_RECORD_ASSIGNMENT_EPOCH:
        consumer_group_target_assignment_metadata_value_encode_versioned(writer, 0,
                                                                         &change->assignment_epoch);
        break;
    case GROUP_RECORD_TARGET:
        consumer_group_target_assignment_member_value_encode_versioned(writer, 0, &change->target);
        break;
    case GROUP_RECORD_CURRENT:
        consumer_group_current_member_assignment_value_encode_versioned(writer, 0,
                                                                        &change->current);
        break;
    case GROUP_RECORD_REGEX:
        consumer_group_regular_expression_value_encode_versioned(writer, 0, &change->regex);
        break;
    case GROUP_RECORD_OTHER:
        assert(false);
        break;
    }
}

void group_change_store(const struct group_change *change, struct group_store *store)
{
    struct buf key = {0}, value = {0};
    group_record_key_write(&change->key, &key);
    if (change->gone) {
        group_store_record(store, &key, NULL);
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, &value);
    write_value(&writer, change);
    assert(writer.err == ERR_NONE);
    group_store_record(store, &key, &value);
}
