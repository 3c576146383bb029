#include "group/consumer_state.h"

#include "base/mem.h"

#include <stdlib.h>

/* What others may know of a group: OffsetFetch, DescribeGroups. */

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
    size_t least = left->topic.size < right->topic.size ? left->topic.size : right->topic.size;
    int order = memcmp(left->topic.data, right->topic.data, least);
    if (order != 0) {
        return order;
    }
    if (left->topic.size != right->topic.size) {
        return left->topic.size < right->topic.size ? -1 : 1;
    }
    return left->partition < right->partition ? -1 : left->partition > right->partition;
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

void group_describe(const struct group *group, struct arena *arena, struct group_description *out)
{
    if (group->consumer != NULL) {
        consumer_describe_as_classic(group, arena, out);
        return;
    }
    bool stable = group->state == GROUP_STABLE;
    struct slice empty = slice_str("");
    *out = (struct group_description){
        .state = group->state,
        .protocol_type = slice_is_null(group->protocol_type)
                             ? empty
                             : group_arena_slice(arena, group->protocol_type),
        .protocol = stable ? group_arena_slice(arena, group->protocol) : empty,
        .members = arena_alloc_array(arena, HASH_COUNT(group->members), sizeof *out->members),
    };
    if (out->members == NULL) {
        return;
    }
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        out->members[out->member_count++] = (struct group_member_description){
            .member_id = group_arena_slice(arena, m->id),
            .instance_id = group_arena_slice(arena, m->instance_id),
            .client_id = group_arena_slice(arena, m->client_id),
            .client_host = group_arena_slice(arena, m->client_host),
            .metadata = stable ? group_arena_slice(arena, group_member_metadata(m, group->protocol))
                               : empty,
            .assignment = stable ? group_arena_slice(arena, m->assignment) : empty,
        };
    }
}
