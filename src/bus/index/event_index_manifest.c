#include "bus/index/event_index_inside.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * DIR/manifest, big-endian: "TDIM", version u32, secret 16, next sequence u64, runs u32, positions
 * u32, then the sequence u64 of each run from the oldest on, then of each position: topic id 16,
 * partition u32, next u64, start u64, from version 2 on life u32 and of the last event before next
 * its offset u64, timestamp u64 and CRC-32C, then size of the topic's name u16, its name; then
 * CRC-32C of all before.
 */
enum {
    VERSION = 2,
    HEAD_BYTES = 4 + 4 + 16 + 8 + 4 + 4,
    POSITION_1_BYTES = 16 + 4 + 8 + 8,
    POSITION_BYTES = POSITION_1_BYTES + 4 + 8 + 8 + 4,
    NAME_SIZE_BYTES = 2,
    MANIFEST_MAX_BYTES = 256 << 20,
};
#define MAGIC "TDIM"

static char *manifest_path(const struct event_index *index)
{
    return mem_sprintf("%s/manifest", index->config.dir);
}

static void append_position(struct buf *buf, const struct index_position *position,
                            bool with_memory)
{
    size_t size = strlen(position->topic);
    const struct event_mark *last = with_memory ? &position->last : &position->last_kept;
    buf_append(buf, position->topic_id, sizeof position->topic_id);
    buf_append_be32(buf, (uint32_t)position->partition);
    buf_append_be64(buf, (uint64_t)(with_memory ? position->next : position->kept));
    buf_append_be64(buf, (uint64_t)position->start);
    buf_append_be32(buf, position->life);
    buf_append_be64(buf, (uint64_t)last->offset);
    buf_append_be64(buf, (uint64_t)last->timestamp_ms);
    buf_append_be32(buf, last->crc);
    buf_append_be16(buf, (uint16_t)size);
    buf_append(buf, position->topic, size);
}

enum err index_manifest_save(struct event_index *index, bool with_memory, struct reason *reason)
{
    struct buf buf = {0};
    char *path = manifest_path(index);
    buf_append_str(&buf, MAGIC);
    buf_append_be32(&buf, VERSION);
    buf_append_be64(&buf, index->secret.k0);
    buf_append_be64(&buf, index->secret.k1);
    buf_append_be64(&buf, index->next_sequence);
    buf_append_be32(&buf, (uint32_t)index->runs.count);
    buf_append_be32(&buf, (uint32_t)HASH_COUNT(index->positions));
    for (size_t i = 0; i < index->runs.count; i++) {
        buf_append_be64(&buf, index->runs.items[i]->sequence);
    }
    struct index_position *position, *next;
    HASH_ITER (hh, index->positions, position, next) {
        append_position(&buf, position, with_memory);
    }
    buf_append_be32(&buf, crc32c(0, buf.data, buf.size));
    enum err err = file_replace(index->config.files, path, buf.data, buf.size, reason);
    HASH_ITER (hh, index->positions, position, next) {
        if (err == ERR_NONE && with_memory) {
            position->kept = position->next;
            position->last_kept = position->last;
        }
    }
    buf_deinit(&buf);
    free(path);
    return err;
}

/* What version 1 does not say is as nothing was known of it. A topic without id that went was kept
 * as one of which all is gone, until another one came. */
static void decode_life(struct index_position *position, uint32_t version, const uint8_t *at)
{
    static const uint8_t no_id[16];
    bool has_id = memcmp(position->topic_id, no_id, sizeof no_id) != 0;
    if (version > 1) {
        position->life = load_be32(at);
        position->last.offset = (int64_t)load_be64(at + 4);
        position->last.timestamp_ms = (int64_t)load_be64(at + 12);
        position->last.crc = load_be32(at + 20);
    } else if (position->start == INT64_MAX && !has_id) {
        position->life = 1;
        position->start = 0;
    }
    position->last_kept = position->last;
}

/* Cuts the position off the front. False: it is not whole. */
static bool decode_position(struct event_index *index, uint32_t version, struct slice *bytes)
{
    struct event_source source = {0};
    size_t fixed = version > 1 ? POSITION_BYTES : POSITION_1_BYTES;
    if (bytes->size < fixed + NAME_SIZE_BYTES) {
        return false;
    }
    const uint8_t *name = bytes->data + fixed + NAME_SIZE_BYTES;
    size_t size = load_be16(bytes->data + fixed);
    if (bytes->size - fixed - NAME_SIZE_BYTES < size) {
        return false;
    }
    char *topic = mem_strndup((const char *)name, size);
    memcpy(source.topic_id, bytes->data, sizeof source.topic_id);
    source.partition = (int32_t)load_be32(bytes->data + 16);
    source.topic = topic;
    struct index_position *position = index_position_get(index, &source);
    position->next = position->kept = (int64_t)load_be64(bytes->data + 20);
    position->start = (int64_t)load_be64(bytes->data + 28);
    decode_life(position, version, bytes->data + POSITION_1_BYTES);
    free(topic);
    *bytes = slice_of(name + size, bytes->size - fixed - NAME_SIZE_BYTES - size);
    return position->next >= 0 && position->start >= 0 && position->last.offset >= -1;
}

static enum err decode(struct event_index *index, const uint8_t *data, size_t size,
                       struct reason *reason)
{
    uint32_t version = size < HEAD_BYTES + 4 ? 0 : load_be32(data + 4);
    if (version < 1 || version > VERSION || memcmp(data, MAGIC, 4) != 0 ||
        load_be32(data + size - 4) != crc32c(0, data, size - 4)) {
        return reason_fail(reason, ERR_CORRUPT, "the list of its files is not what was written");
    }
    index->secret = (struct siphash_key){load_be64(data + 8), load_be64(data + 16)};
    index->next_sequence = load_be64(data + 24);
    uint32_t runs = load_be32(data + 32);
    uint32_t positions = load_be32(data + 36);
    struct slice rest = slice_of(data + HEAD_BYTES, size - HEAD_BYTES - 4);
    enum err err = runs <= rest.size / 8 ? ERR_NONE : ERR_CORRUPT;
    for (uint32_t i = 0; err == ERR_NONE && i < runs; i++) {
        struct indexed_run *run;
        err = indexed_run_open(index, load_be64(rest.data), &run, reason);
        if (err == ERR_NONE) {
            vec_push(&index->runs, run);
            rest = slice_of(rest.data + 8, rest.size - 8);
        }
    }
    for (uint32_t i = 0; err == ERR_NONE && i < positions; i++) {
        if (!decode_position(index, version, &rest)) {
            err = reason_fail(reason, ERR_CORRUPT, "the list of its files cannot be read");
        }
    }
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

enum err index_manifest_load(struct event_index *index, struct reason *reason)
{
    char *data;
    size_t size;
    char *path = manifest_path(index);
    enum err err = file_load(index->config.files, path, MANIFEST_MAX_BYTES, &data, &size, reason);
    free(path);
    if (err == ERR_NONE) {
        err = decode(index, (const uint8_t *)data, size, reason);
        free(data);
    }
    return err;
}

struct removal {
    struct event_index *index;
    struct reason *reason;
};

static bool is_listed(const struct event_index *index, const char *name)
{
    char *end;
    uint64_t sequence = strtoull(name, &end, 16);
    for (size_t i = 0; strcmp(end, ".run") == 0 && i < index->runs.count; i++) {
        if (index->runs.items[i]->sequence == sequence) {
            return true;
        }
    }
    return false;
}

static enum err remove_other(void *context, const char *name)
{
    struct removal *removal = context;
    if (strstr(name, ".run") == NULL || is_listed(removal->index, name)) {
        return ERR_NONE;
    }
    char *path = mem_sprintf("%s/%s", removal->index->config.dir, name);
    enum err err = file_unlink(removal->index->config.files, path, removal->reason);
    free(path);
    return err;
}

enum err index_remove_others(struct event_index *index, struct reason *reason)
{
    struct removal removal = {index, reason};
    return file_list_dir(index->config.dir, remove_other, &removal, reason);
}
