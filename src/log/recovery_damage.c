#include "log/recovery_internal.h"

#include "base/bytes.h"

/* What bad bytes are: damage to what was written, or a place that never was. */

bool recovery_may_cut(const struct recovery *recovery, int64_t segment_end)
{
    return recovery->next >= recovery->floor && segment_end > recovery->floor;
}

const struct damage *recovery_find_noted(const struct segment *segment, int64_t position)
{
    for (size_t i = 0; i < segment->damages.count; i++) {
        if (segment->damages.items[i].position == position) {
            return &segment->damages.items[i];
        }
    }
    return NULL;
}

/* Whether a batch begins at the position by its header, with just that offset. */
static bool leads_on(struct segment_scan *at, int64_t position, int64_t offset)
{
    struct batch header;
    return scan_header(&at->scan, position, &header, NULL) == ERR_NONE &&
           header.base_offset == offset;
}

/* Whether the header of the bad batch leads to another one with the offset behind it: then only
 * this batch is bad, as far as is known here. */
static bool ends_by_itself(struct segment_scan *at, int64_t expected, struct damage *damage)
{
    struct batch header;
    if (scan_header(&at->scan, at->position, &header, NULL) != ERR_NONE ||
        header.base_offset != expected) {
        return false;
    }
    int64_t end = at->position + (int64_t)header.bytes.size;
    int64_t next = batch_last_offset(&header) + 1;
    if (end >= damage->end || next >= damage->next_offset || !leads_on(at, end, next)) {
        return false;
    }
    damage->end = end;
    damage->next_offset = next;
    return true;
}

/* The batch at the position was written as a whole: what its CRC does not cover is bad. At the end
 * of the damage the offset behind it is known better, where there is one: compaction leaves gaps.
 */
static enum err find_whole(const struct recovery *recovery, struct segment_scan *at,
                           struct damage *damage, bool *found, struct reason *reason)
{
    int64_t end;
    int64_t next;
    enum err err =
        scan_find_whole(&at->scan, at->position, recovery->next, damage->end, &end, &next, reason);
    *found = err == ERR_NONE && end >= 0 && next <= damage->next_offset &&
             next - 1 - at->segment->base_offset <= INT32_MAX;
    if (*found && (end < damage->end || (at->end_offset == INT64_MAX && end == at->size))) {
        damage->end = end;
        damage->next_offset = next;
    }
    return err;
}

enum err recovery_measure_damage(const struct recovery *recovery, struct segment_scan *at,
                                 struct damage *damage, bool *found, struct reason *reason)
{
    bool active = at->end_offset == INT64_MAX;
    int64_t most = active ? at->segment->base_offset + INT32_MAX : at->end_offset - 1;
    struct batch header;
    int64_t next;
    bool whole = false;
    const struct damage *noted = recovery_find_noted(at->segment, at->position);
    enum err err =
        scan_resync(&at->scan, at->position, recovery->next, most, &next, &header, reason);
    bool good_behind = err == ERR_NONE && next >= 0;
    *damage = (struct damage){.position = at->position,
                              .end = good_behind ? next : at->size,
                              .first_offset = recovery->next,
                              .next_offset = good_behind ? header.base_offset : most + 1};
    if (err == ERR_NONE && noted != NULL && noted->end <= damage->end &&
        noted->next_offset <= damage->next_offset) {
        *damage = *noted;
        *found = true;
        return ERR_NONE;
    }
    if (err == ERR_NONE) {
        err = find_whole(recovery, at, damage, &whole, reason);
    }
    *found = err == ERR_NONE && (good_behind || whole);
    if (*found && !whole && noted == NULL && recovery_may_cut(recovery, at->end_offset)) {
        err = scan_is_hole(&at->scan, at->position, recovery->next, next, &at->hole, reason);
        *found = err == ERR_NONE && !at->hole;
    }
    if (*found && !whole) {
        (void)ends_by_itself(at, recovery->next, damage);
    }
    return err;
}

static bool begins_good(struct segment *segment)
{
    struct scan scan;
    struct batch header;
    if (segment_hold(segment, NULL) != ERR_NONE) {
        return false;
    }
    scan_init(&scan, segment->files, segment->fd, segment->size_bytes);
    bool good = scan_header(&scan, 0, &header, NULL) == ERR_NONE &&
                header.base_offset >= segment->base_offset && /* compaction leaves gaps */
                scan_check_crc(&scan, 0, &header, NULL) == ERR_NONE;
    scan_deinit(&scan);
    segment_let_go(segment);
    return good;
}

/* Whether the batch at the position reaches to the end of the file by its length and to the end of
 * the segment by its last offset; when only the latter is bad, its CRC tells. */
static enum err fills_segment(struct segment_scan *at, int64_t expected, int64_t end_offset,
                              bool *fills, struct reason *reason)
{
    uint8_t head[BATCH_HEADER_BYTES];
    size_t got;
    *fills = false;
    enum err err =
        file_read_at(at->scan.files, at->scan.fd, head, sizeof head, at->position, &got, reason);
    if (err != ERR_NONE || got < sizeof head) {
        return err;
    }
    int64_t base_offset = (int64_t)load_be64(head);
    int64_t length = (int64_t)load_be32(head + 8) + BATCH_LENGTH_OVERHEAD;
    struct batch header;
    if (at->position + length != at->size) {
        return ERR_NONE;
    }
    if (scan_header(&at->scan, at->position, &header, NULL) == ERR_NONE &&
        batch_last_offset(&header) + 1 == end_offset) {
        *fills = true;
    } else if (base_offset >= expected && base_offset < end_offset) {
        err = scan_fits_with_last(&at->scan, at->position, at->size, end_offset - 1, fills, reason);
    }
    return err;
}

enum err recovery_is_whole_but_bad(struct segment_scan *at, int64_t expected, struct segment *next,
                                   bool *damage, struct reason *reason)
{
    bool hole = false;
    enum err err = ERR_NONE;
    *damage = false;
    if (at->position < at->size) {
        err = fills_segment(at, expected, next->base_offset, damage, reason);
    }
    *damage = err == ERR_NONE && *damage && begins_good(next);
    if (!*damage) {
        return err;
    }
    if (recovery_find_noted(at->segment, at->position) == NULL) {
        err = scan_is_hole(&at->scan, at->position, expected, at->size, &hole, reason);
    }
    at->hole = hole;
    *damage = !hole;
    return err;
}
