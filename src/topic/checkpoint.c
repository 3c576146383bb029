#include "topic/checkpoint.h"

#include "topic/checkpoint_v1.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * Layout, big-endian: magic "TDCP", version u16 = 2, clean u8, reserved u8, count u32, then count
 * entries of: topic id 16, partition u32, flags u8 (1: the next are known, 2: a transaction was
 * open), start, end, active base, active size, first base, size, oldest time (u64 each); then the
 * CRC-32C of everything before it. Version 1: checkpoint_v1.c.
 */
enum {
    HEAD_BYTES = 12,
    ENTRY_BYTES = 16 + 4 + 1 + 7 * 8,
    VERSION = 2,
    MAX_BYTES = 512 << 20,
    FLAG_IDLE_KNOWN = 1,
    FLAG_OPEN_TXNS = 2,
};

void checkpoint_deinit(struct checkpoint *checkpoint)
{
    vec_deinit(&checkpoint->entries);
    *checkpoint = (struct checkpoint){0};
}

void checkpoint_add(struct checkpoint *checkpoint, const struct topic_id *topic_id,
                    int32_t partition, const struct log_state *state)
{
    *vec_add(&checkpoint->entries) = (struct checkpoint_entry){
        .topic_id = *topic_id,
        .partition = partition,
        .state = *state,
    };
}

static int compare(const void *a, const void *b)
{
    const struct checkpoint_entry *left = a;
    const struct checkpoint_entry *right = b;
    int order = memcmp(&left->topic_id, &right->topic_id, sizeof left->topic_id);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static void append_state(struct buf *buf, const struct log_state *state)
{
    buf_append_u8(buf, (uint8_t)((state->idle_known ? FLAG_IDLE_KNOWN : 0) |
                                 (state->open_txns ? FLAG_OPEN_TXNS : 0)));
    buf_append_be64(buf, (uint64_t)state->start_offset);
    buf_append_be64(buf, (uint64_t)state->end_offset);
    buf_append_be64(buf, (uint64_t)state->active_base);
    buf_append_be64(buf, (uint64_t)state->active_size);
    buf_append_be64(buf, (uint64_t)state->first_base);
    buf_append_be64(buf, (uint64_t)state->size_bytes);
    buf_append_be64(buf, (uint64_t)state->oldest_ms);
}

static struct log_state load_state(const uint8_t *at, bool clean)
{
    return (struct log_state){
        .clean = clean,
        .idle_known = (at[0] & FLAG_IDLE_KNOWN) != 0,
        .open_txns = (at[0] & FLAG_OPEN_TXNS) != 0,
        .start_offset = (int64_t)load_be64(at + 1),
        .end_offset = (int64_t)load_be64(at + 9),
        .active_base = (int64_t)load_be64(at + 17),
        .active_size = (int64_t)load_be64(at + 25),
        .first_base = (int64_t)load_be64(at + 33),
        .size_bytes = (int64_t)load_be64(at + 41),
        .oldest_ms = (int64_t)load_be64(at + 49),
    };
}

static void encode(struct checkpoint *checkpoint, struct buf *buf)
{
    if (checkpoint->entries.count != 0) {
        qsort(checkpoint->entries.items, checkpoint->entries.count,
              sizeof *checkpoint->entries.items, compare);
    }
    buf_append_str(buf, "TDCP");
    buf_append_be16(buf, VERSION);
    buf_append_u8(buf, checkpoint->clean);
    buf_append_u8(buf, 0);
    buf_append_be32(buf, (uint32_t)checkpoint->entries.count);
    for (size_t i = 0; i < checkpoint->entries.count; i++) {
        const struct checkpoint_entry *entry = &checkpoint->entries.items[i];
        buf_append(buf, entry->topic_id.bytes, sizeof entry->topic_id.bytes);
        buf_append_be32(buf, (uint32_t)entry->partition);
        append_state(buf, &entry->state);
    }
    buf_append_be32(buf, crc32c(0, buf->data, buf->size));
}

enum err checkpoint_save(struct checkpoint *checkpoint, const struct file_ops *files,
                         const char *path, struct reason *reason)
{
    struct buf buf = {0};
    encode(checkpoint, &buf);
    enum err err = file_replace(files, path, buf.data, buf.size, reason);
    buf_deinit(&buf);
    return err;
}

static const char *const names[] = {CHECKPOINT_NAME, CHECKPOINT_COPY_NAME};
enum { FILES = sizeof names / sizeof names[0] };

enum err checkpoint_save_both(struct checkpoint *checkpoint, const struct file_ops *files,
                              const char *data_dir, struct reason *reason)
{
    struct buf buf = {0};
    enum err err = ERR_NONE;
    encode(checkpoint, &buf);
    for (int i = 0; i < FILES && err == ERR_NONE; i++) {
        char *path = mem_sprintf("%s/%s", data_dir, names[i]);
        err = file_replace(files, path, buf.data, buf.size, reason);
        free(path);
    }
    buf_deinit(&buf);
    return err;
}

static void add_old(void *context, const struct topic_id *topic_id, int32_t partition,
                    const struct log_state *state)
{
    checkpoint_add(context, topic_id, partition, state);
}

static bool decode(struct checkpoint *checkpoint, const uint8_t *bytes, size_t size)
{
    if (size < HEAD_BYTES + 4 || memcmp(bytes, "TDCP", 4) != 0) {
        return false;
    }
    if (load_be16(bytes + 4) != VERSION) {
        return checkpoint_v1_decode(bytes, size, &checkpoint->clean, add_old, checkpoint);
    }
    uint32_t count = load_be32(bytes + 8);
    if ((size - HEAD_BYTES - 4) / ENTRY_BYTES != count ||
        (size - HEAD_BYTES - 4) % ENTRY_BYTES != 0 ||
        crc32c(0, bytes, size - 4) != load_be32(bytes + size - 4)) {
        return false;
    }
    checkpoint->clean = bytes[6] != 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = bytes + HEAD_BYTES + (size_t)i * ENTRY_BYTES;
        struct topic_id id;
        memcpy(id.bytes, at, sizeof id.bytes);
        struct log_state state = load_state(at + 20, checkpoint->clean);
        checkpoint_add(checkpoint, &id, (int32_t)load_be32(at + 16), &state);
    }
    return true;
}

/* ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO: the checkpoint is empty then. */
static enum err load_one(struct checkpoint *checkpoint, const struct file_ops *files,
                         const char *path, struct reason *reason)
{
    *checkpoint = (struct checkpoint){0};
    char *data;
    size_t size;
    enum err err = file_load(files, path, MAX_BYTES, &data, &size, reason);
    if (err != ERR_NONE) {
        return err;
    }
    if (!decode(checkpoint, (const uint8_t *)data, size)) {
        checkpoint_deinit(checkpoint);
        err = reason_fail(reason, ERR_CORRUPT, "the checksum does not fit what it says");
    }
    free(data);
    return err;
}

/* From the first of the two files that is good. *first: what is wrong with the first. */
static enum err load_any(struct checkpoint *checkpoint, const struct file_ops *files,
                         const char *data_dir, enum err *first, struct reason *why)
{
    struct reason ignored;
    char *path = mem_sprintf("%s/" CHECKPOINT_NAME, data_dir);
    char *copy = mem_sprintf("%s/" CHECKPOINT_COPY_NAME, data_dir);
    *first = load_one(checkpoint, files, path, why);
    enum err err = *first == ERR_NONE ? ERR_NONE : load_one(checkpoint, files, copy, &ignored);
    free(path);
    free(copy);
    return err;
}

void checkpoint_load(struct checkpoint *checkpoint, const struct file_ops *files,
                     const char *data_dir)
{
    struct reason why;
    enum err first;
    enum err err = load_any(checkpoint, files, data_dir, &first, &why);
    if (first != ERR_NONE && err == ERR_NONE) {
        LOG_WARN("topic", "the checkpoint is missing or damaged; its copy is taken",
                 "file=\"%s/" CHECKPOINT_NAME "\" reason=\"%s\"", data_dir, why.text);
    } else if (err != ERR_NONE && (first != ERR_NOT_FOUND || err != ERR_NOT_FOUND)) {
        LOG_WARN("topic", "checkpoint is damaged; logs are scanned instead",
                 "file=\"%s/" CHECKPOINT_NAME "\" reason=\"%s\"", data_dir, why.text);
    }
}

bool checkpoint_read(struct checkpoint *checkpoint, const struct file_ops *files, const char *path)
{
    return load_one(checkpoint, files, path, NULL) == ERR_NONE;
}

bool checkpoint_read_any(struct checkpoint *checkpoint, const struct file_ops *files,
                         const char *data_dir)
{
    enum err first;
    return load_any(checkpoint, files, data_dir, &first, NULL) == ERR_NONE;
}

const struct log_state *checkpoint_find(const struct checkpoint *checkpoint,
                                        const struct topic_id *topic_id, int32_t partition)
{
    if (checkpoint->entries.count == 0) {
        return NULL;
    }
    struct checkpoint_entry wanted = {.topic_id = *topic_id, .partition = partition};
    const struct checkpoint_entry *found = bsearch(
        &wanted, checkpoint->entries.items, checkpoint->entries.count, sizeof wanted, compare);
    return found != NULL ? &found->state : NULL;
}
