#include "group/group_offsets.h"

#include "group/offset_table.h"

#include <stdlib.h>

/* OffsetFetch. */

static void fill_offset(const struct group_offset_entry *entry, struct arena *arena,
                        struct group_offset *offset)
{
    offset->unstable = entry != NULL && entry->txn_pending > 0;
    if (entry == NULL || !entry->present) {
        offset->offset = -1;
        offset->leader_epoch = -1;
        offset->metadata = slice_str("");
        return;
    }
    offset->offset = entry->offset;
    offset->leader_epoch = entry->leader_epoch;
    offset->metadata = group_arena_slice(arena, entry->metadata);
}

void group_offset_fetch(const struct group *group, struct arena *arena, struct group_offset *offset)
{
    fill_offset(group_find_offset(group, offset->topic, offset->partition), arena, offset);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct group_offset *left = a;
    const struct group_offset *right = b;
    int order = slice_compare(left->topic, right->topic);
    return order != 0                           ? order
           : left->partition < right->partition ? -1
                                                : left->partition > right->partition;
}

size_t group_offset_fetch_all(const struct group *group, struct arena *arena,
                              struct group_offset **offsets)
{
    size_t count = 0;
    *offsets = arena_alloc_array(arena, HASH_COUNT(group->offsets), sizeof **offsets);
    if (*offsets == NULL) {
        return 0;
    }
    for (const struct group_offset_entry *e = group->offsets; e != NULL; e = e->hh.next) {
        if (e->present) {
            struct group_offset *offset = &(*offsets)[count++];
            offset->topic = group_arena_slice(arena, e->topic);
            offset->partition = e->partition;
            fill_offset(e, arena, offset);
        }
    }
    if (count > 1) {
        qsort(*offsets, count, sizeof **offsets, compare_offsets);
    }
    return count;
}
