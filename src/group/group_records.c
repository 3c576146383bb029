#include "group/consumer_state.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "wire/generated/group_metadata_key.h"
#include "wire/generated/group_metadata_value.h"
#include "wire/generated/offset_commit_key.h"
#include "wire/generated/offset_commit_value.h"

#include <assert.h>
#include <stdlib.h>

/*
 * The records of __consumer_offsets, in Kafka's formats: OffsetCommitKey 1, OffsetCommitValue 3
 * (1 with an expiry time), GroupMetadataKey 2, GroupMetadataValue 3. Version 4 of the values is
 * read, but not written, as Kafka does not write it either.
 */
enum {
    OFFSET_KEY_VERSION = 1,
    OFFSET_VALUE_VERSION = 3,
    OFFSET_VALUE_VERSION_EXPIRING = 1,
    METADATA_KEY_VERSION = 2,
    METADATA_VALUE_VERSION = 3
};

/* ---- writing ---- */

void group_store_record(struct group_store *store, struct buf *key, struct buf *value)
{
    size_t count = store->record_count;
    if ((count & (count - 1)) == 0) { /* room doubles at every power of two */
        store->records =
            mem_realloc(store->records, (count == 0 ? 1 : 2 * count) * sizeof *store->records);
    }
    store->records[store->record_count++] = (struct state_record){
        .key = group_arena_slice(&store->arena, buf_slice(key)),
        .value =
            value != NULL ? group_arena_slice(&store->arena, buf_slice(value)) : (struct slice){0},
    };
    buf_deinit(key);
    if (value != NULL) {
        buf_deinit(value);
    }
}

static void write_offset_key(const struct group *group, const struct group_offset_entry *entry,
                             struct buf *to)
{
    struct offset_commit_key key = {
        .group = group->id, .topic = entry->topic, .partition = entry->partition};
    struct wire_writer writer;
    wire_writer_init(&writer, to);
    offset_commit_key_encode_versioned(&writer, OFFSET_KEY_VERSION, &key);
    assert(writer.err == ERR_NONE);
}

static void write_metadata_key(const struct group *group, struct buf *to)
{
    struct group_metadata_key key = {.group = group->id};
    struct wire_writer writer;
    wire_writer_init(&writer, to);
    group_metadata_key_encode_versioned(&writer, METADATA_KEY_VERSION, &key);
    assert(writer.err == ERR_NONE);
}

void group_store_offset(const struct group *group, struct group_store *store,
                        const struct group_commit_item *item, struct group_time now)
{
    struct buf key = {0};
    struct buf value = {0};
    write_offset_key(group, item->entry, &key);
    struct offset_commit_value fields = {
        .offset = item->offset,
        .leader_epoch = item->leader_epoch,
        .metadata = item->metadata,
        .commit_timestamp = now.wall_ms,
        .expire_timestamp = item->expire_wall_ms,
    };
    struct wire_writer writer;
    wire_writer_init(&writer, &value);
    offset_commit_value_encode_versioned(
        &writer, item->expire_wall_ms >= 0 ? OFFSET_VALUE_VERSION_EXPIRING : OFFSET_VALUE_VERSION,
        &fields);
    assert(writer.err == ERR_NONE);
    group_store_record(store, &key, &value);
}

void group_store_offset_tombstone(const struct group *group, struct group_store *store,
                                  const struct group_offset_entry *entry)
{
    struct buf key = {0};
    write_offset_key(group, entry, &key);
    group_store_record(store, &key, NULL);
}

void group_store_metadata_tombstone(const struct group *group, struct group_store *store)
{
    struct buf key = {0};
    write_metadata_key(group, &key);
    group_store_record(store, &key, NULL);
}

static struct slice not_null(struct slice slice)
{
    return slice_is_null(slice) ? slice_str("") : slice;
}

void group_store_metadata(const struct group *group, struct group_store *store)
{
    size_t count = HASH_COUNT(group->members);
    struct group_metadata_value value = {
        .protocol_type = not_null(group->protocol_type),
        .generation = group->generation,
        .protocol = group->protocol,
        .leader = group->leader,
        .current_state_timestamp = group->state_since_wall_ms,
        .members = mem_new_array(struct group_metadata_value_member, count),
    };
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        value.members[value.members_count++] = (struct group_metadata_value_member){
            .member_id = m->id,
            .group_instance_id = m->instance_id,
            .client_id = not_null(m->client_id),
            .client_host = not_null(m->client_host),
            .rebalance_timeout = m->rebalance_timeout_ms,
            .session_timeout = m->session_timeout_ms,
            .subscription = not_null(group_member_metadata(m, group->protocol)),
            .assignment = not_null(m->assignment),
        };
    }
    struct buf key = {0};
    struct buf bytes = {0};
    write_metadata_key(group, &key);
    struct wire_writer writer;
    wire_writer_init(&writer, &bytes);
    group_metadata_value_encode_versioned(&writer, METADATA_VALUE_VERSION, &value);
    assert(writer.err == ERR_NONE);
    group_store_record(store, &key, &bytes);
    free(value.members);
}

/* ---- reading ---- */

enum err group_record_key_read(struct slice key, struct group_record_key *out)
{
    *out = (struct group_record_key){.kind = GROUP_RECORD_OTHER};
    if (key.size < 2) {
        return ERR_CORRUPT;
    }
    int16_t version = (int16_t)load_be16(key.data);
    struct arena arena = {0};
    struct wire_reader reader;
    wire_reader_init(&reader, key, &arena);
    enum err err = ERR_NONE;
    if (version >= 0 && version <= OFFSET_KEY_VERSION) {
        struct offset_commit_key offset;
        err = offset_commit_key_decode_versioned(&reader, &version, &offset);
        *out = (struct group_record_key){GROUP_RECORD_OFFSET, offset.group, offset.topic,
                                         offset.partition};
    } else if (version == METADATA_KEY_VERSION) {
        struct group_metadata_key metadata;
        err = group_metadata_key_decode_versioned(&reader, &version, &metadata);
        *out = (struct group_record_key){.kind = GROUP_RECORD_METADATA, .group_id = metadata.group};
    } else {
        consumer_key_read(key, version, out, &err);
    }
    arena_deinit(&arena);
    return err == ERR_NONE ? ERR_NONE : ERR_CORRUPT;
}

enum err group_read_offset(struct slice bytes, struct arena *arena, struct group_commit_item *item,
                           int64_t *commit_wall_ms)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, arena);
    struct offset_commit_value value;
    int16_t version;
    enum err err = offset_commit_value_decode_versioned(&reader, &version, &value);
    if (err == ERR_NONE) {
        item->offset = value.offset;
        item->leader_epoch = value.leader_epoch;
        item->metadata = value.metadata;
        item->expire_wall_ms = value.expire_timestamp;
        *commit_wall_ms = value.commit_timestamp;
    }
    return err;
}

static enum err apply_offset(struct group *group, const struct group_record_key *key,
                             struct slice bytes)
{
    struct group_offset_entry *entry = group_take_offset(group, key->topic, key->partition);
    if (slice_is_null(bytes)) {
        group_remove_offset(group, entry);
        return ERR_NONE;
    }
    struct arena arena = {0};
    struct group_commit_item item = {.entry = entry};
    int64_t commit_wall_ms;
    enum err err = group_read_offset(bytes, &arena, &item, &commit_wall_ms);
    if (err == ERR_NONE) {
        group_put_offset(&item, ++group->sequence, commit_wall_ms);
    } else {
        group_free_offset_if_unused(group, entry);
    }
    arena_deinit(&arena);
    return err;
}

static void forget_members(struct group *group)
{
    struct group_effects none = {0};
    struct group_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        group_remove_member(group, member, &none);
    }
    assert(none.replies == NULL); /* nobody waits during a replay */
    kept_free(&group->protocol_type);
    kept_free(&group->protocol);
    kept_free(&group->leader);
    group->generation = 0;
    group->state = GROUP_EMPTY;
}

static void load_member(struct group *group, const struct group_metadata_value *value,
                        const struct group_metadata_value_member *from, struct group_time now)
{
    if (group_find_member(group, from->member_id) != NULL ||
        group_find_static(group, from->group_instance_id) != NULL) {
        return;
    }
    struct group_member *member = mem_new(struct group_member);
    member->id = kept_copy(from->member_id);
    member->instance_id = kept_copy(from->group_instance_id);
    member->client_id = kept_copy(from->client_id);
    member->client_host = kept_copy(from->client_host);
    member->session_timeout_ms = from->session_timeout;
    member->rebalance_timeout_ms =
        from->rebalance_timeout < 0 ? from->session_timeout : from->rebalance_timeout;
    member->assignment = kept_copy(from->assignment);
    struct group_protocol_offer offer = {not_null(value->protocol), from->subscription};
    group_add_member(group, member, value->protocol_type);
    group_set_protocols(group, member, &offer, 1);
    group_touch_member(group, member, now);
}

static enum err apply_metadata(struct group *group, struct slice bytes, struct group_time now)
{
    if (slice_is_null(bytes)) {
        if (group->consumer == NULL) {
            forget_members(group);
        }
        return ERR_NONE;
    }
    consumer_free(group->consumer);
    group->consumer = NULL;
    struct arena arena = {0};
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, &arena);
    struct group_metadata_value value;
    int16_t version;
    enum err err = group_metadata_value_decode_versioned(&reader, &version, &value);
    if (err == ERR_NONE) {
        forget_members(group);
        for (int32_t i = 0; i < value.members_count; i++) {
            load_member(group, &value, &value.members[i], now);
        }
        group->generation = value.generation;
        kept_set(&group->protocol_type,
                 value.protocol_type.size > 0 ? value.protocol_type : (struct slice){0});
        kept_set(&group->protocol, value.protocol);
        if (group_find_member(group, not_null(value.leader)) != NULL) {
            kept_set(&group->leader, value.leader);
        }
        group->state = group->members != NULL ? GROUP_STABLE : GROUP_EMPTY;
        group->state_since_wall_ms = value.current_state_timestamp;
    }
    arena_deinit(&arena);
    return err;
}

enum err group_apply_record(struct group *group, const struct group_record_key *key,
                            struct slice value, struct group_time now)
{
    switch (key->kind) {
    case GROUP_RECORD_OFFSET:
        return apply_offset(group, key, value);
    case GROUP_RECORD_METADATA:
        return apply_metadata(group, value, now);
    case GROUP_RECORD_CONSUMER:
        return consumer_apply(group, key, value, now);
    case GROUP_RECORD_OTHER:
        break;
    }
    return ERR_NONE;
}
