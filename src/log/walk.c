#include "log/walk.h"

#include <stdlib.h>

void walk_init(struct walk *walk, const struct file_ops *files, int fd, int64_t limit,
               int64_t base_offset, int64_t end_offset, bool load)
{
    *walk = (struct walk){
        .base_offset = base_offset,
        .end_offset = end_offset,
        .next_offset = base_offset,
        .load = load,
    };
    scan_init(&walk->scan, files, fd, limit);
}

void walk_deinit(struct walk *walk)
{
    scan_deinit(&walk->scan);
    buf_deinit(&walk->bytes);
}

/* Whether a good batch begins at the position; why not. */
static enum err try_batch(struct walk *walk, int64_t position, struct reason *why)
{
    struct batch header;
    enum err err = scan_header_within(&walk->scan, position, walk->next_offset, walk->end_offset,
                                      &header, why);
    if (err == ERR_NONE) {
        err = scan_check_crc(&walk->scan, position, &header, why);
    }
    if (err == ERR_NONE && scan_is_suspect(&walk->scan, position, &header, walk->next_offset)) {
        err = reason_fail(why, ERR_CORRUPT,
                          "the offsets of the batch at position %lld contradict those behind it",
                          (long long)position);
    }
    if (err == ERR_NONE) {
        walk->batch = header;
    }
    return err;
}

static enum err take_batch(struct walk *walk, int64_t position, struct reason *reason)
{
    struct batch header = walk->batch;
    walk->position = position;
    walk->next_position = position + (int64_t)header.bytes.size;
    walk->next_offset = batch_last_offset(&header) + 1;
    return walk->load
               ? scan_load(&walk->scan, position, &header, &walk->bytes, &walk->batch, reason)
               : ERR_NONE;
}

/* Nothing behind the damage is good: still it is no torn tail when it was written as a whole. */
static enum err try_whole(struct walk *walk, struct walk_damage *damage, struct reason *reason)
{
    int64_t end;
    int64_t next_offset;
    enum err err = scan_find_whole(&walk->scan, damage->position, damage->first_offset, damage->end,
                                   &end, &next_offset, reason);
    if (err != ERR_NONE || end < 0) {
        return err;
    }
    damage->at_end = false;
    if (end < damage->end || damage->next_offset < 0) {
        damage->end = end;
        damage->next_offset = next_offset;
        walk->next_offset = next_offset;
    }
    return ERR_NONE;
}

static enum err take_damage(struct walk *walk, int64_t position, const struct reason *why,
                            struct reason *reason)
{
    struct batch header;
    int64_t found;
    int64_t most = walk->end_offset == INT64_MAX ? INT64_MAX : walk->end_offset - 1;
    enum err err =
        scan_resync(&walk->scan, position, walk->next_offset, most, &found, &header, reason);
    if (err != ERR_NONE) {
        return err;
    }
    int64_t end_offset = walk->end_offset == INT64_MAX ? -1 : walk->end_offset;
    walk->damage = (struct walk_damage){
        .position = position,
        .end = found < 0 ? walk->scan.limit : found,
        .first_offset = walk->next_offset,
        .next_offset = found < 0 ? end_offset : header.base_offset,
        .at_end = found < 0,
        .why = *why,
    };
    if (found < 0) {
        err = try_whole(walk, &walk->damage, reason);
    }
    walk->next_position = walk->damage.end;
    return err;
}

enum err walk_next(struct walk *walk, enum walk_item *item, struct reason *reason)
{
    int64_t position = walk->next_position;
    if (position >= walk->scan.limit) {
        *item = WALK_END;
        return ERR_NONE;
    }
    struct reason why = {.text = ""};
    enum err err = try_batch(walk, position, &why);
    if (err == ERR_NONE) {
        *item = WALK_BATCH;
        return take_batch(walk, position, reason);
    }
    if (err != ERR_CORRUPT && err != ERR_TRUNCATED) {
        return reason_fail(reason, err, "%s", why.text);
    }
    *item = WALK_DAMAGE;
    return take_damage(walk, position, &why, reason);
}
