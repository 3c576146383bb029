#include "group/classic_change.h"

#include "base/mem.h"

#include <stdlib.h>

struct group_change classic_change(const struct group *group, struct arena *arena)
{
    struct group_change change = group_change_of(group, GROUP_RECORD_METADATA, (struct slice){0});
    size_t count = HASH_COUNT(group->members);
    change.metadata = (struct group_metadata_value){
        .protocol_type = slice_or_empty(group->protocol_type),
        .generation = group->generation,
        .protocol = group->protocol,
        .leader = group->leader,
        .current_state_timestamp = group->state_since_wall_ms,
        .members = arena_alloc_array(arena, count, sizeof *change.metadata.members),
    };
    for (struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        m->index = (uint32_t)change.metadata.members_count++;
        change.metadata.members[m->index] = (struct group_metadata_value_member){
            .member_id = m->id,
            .group_instance_id = m->instance_id,
            .client_id = slice_or_empty(m->client_id),
            .client_host = slice_or_empty(m->client_host),
            .rebalance_timeout = m->rebalance_timeout_ms,
            .session_timeout = m->session_timeout_ms,
            .subscription = slice_or_empty(classic_metadata(m, group->protocol)),
            .assignment = slice_or_empty(m->assignment),
        };
    }
    return change;
}

void classic_store(const struct group *group, struct group_store *store)
{
    struct arena arena = {0};
    struct group_change change = classic_change(group, &arena);
    group_change_store(&change, store);
    arena_deinit(&arena);
}

/* ---- apply ---- */

void classic_forget(struct group *group)
{
    struct classic_member *member, *next;
    HASH_ITER (hh, group->members, member, next) {
        classic_take_out(group, member);
    }
    kept_free(&group->protocol_type);
    kept_free(&group->protocol);
    kept_free(&group->leader);
    group->generation = 0;
    group->state = GROUP_EMPTY;
}

static struct classic_member *add_member(struct group *group,
                                         const struct group_metadata_value *value,
                                         const struct group_metadata_value_member *from,
                                         struct clock_time now)
{
    struct classic_member *member = mem_new(struct classic_member);
    member->id = kept_copy(from->member_id);
    member->instance_id = kept_copy(from->group_instance_id);
    member->session_timeout_ms = from->session_timeout;
    classic_add(group, member, value->protocol_type);
    classic_touch(group, member, now);
    return member;
}

/* What the member offers besides the protocol in use is its own. */
static void set_member(struct group *group, struct classic_member *member,
                       const struct group_metadata_value *value,
                       const struct group_metadata_value_member *from)
{
    kept_set(&member->client_id, from->client_id);
    kept_set(&member->client_host, from->client_host);
    kept_set(&member->assignment, from->assignment);
    member->session_timeout_ms = from->session_timeout;
    member->rebalance_timeout_ms =
        from->rebalance_timeout < 0 ? from->session_timeout : from->rebalance_timeout;
    struct group_protocol_offer offer = {slice_or_empty(value->protocol), from->subscription};
    struct slice had = classic_metadata(member, offer.name);
    if (slice_is_null(had) || !slice_equal(had, offer.metadata)) {
        classic_set_protocols(group, member, &offer, 1);
    }
    classic_count(group, member);
}

/* Keeps who is in the record, in its order; a record may name one twice: the first counts. */
static void apply_members(struct group *group, const struct group_metadata_value *value,
                          struct clock_time now)
{
    struct classic_member *member, *next;
    for (int32_t i = 0; i < value->members_count; i++) {
        member = classic_find(group, value->members[i].member_id);
        if (member != NULL &&
            slice_equal(member->instance_id, value->members[i].group_instance_id)) {
            member->is_listed = true;
        }
    }
    HASH_ITER (hh, group->members, member, next) {
        if (!member->is_listed) {
            classic_take_out(group, member);
        }
    }
    for (int32_t i = 0; i < value->members_count; i++) {
        const struct group_metadata_value_member *from = &value->members[i];
        member = classic_find(group, from->member_id);
        if (member == NULL && classic_find_static(group, from->group_instance_id) == NULL) {
            member = add_member(group, value, from, now);
        } else if (member == NULL || !member->is_listed) {
            continue;
        }
        member->is_listed = false;
        HASH_DEL(group->members, member);
        HASH_ADD_KEYPTR(hh, group->members, member->id.data, member->id.size, member);
        set_member(group, member, value, from);
    }
}

enum err classic_apply(struct group *group, const struct group_change *change,
                       struct clock_time now)
{
    if (change->gone) {
        classic_forget(group);
        return ERR_NONE;
    }
    const struct group_metadata_value *value = &change->metadata;
    apply_members(group, value, now);
    struct slice leader = slice_or_empty(value->leader);
    if (classic_find(group, leader) == NULL) {
        leader = group->members != NULL ? group->members->id : (struct slice){0};
    }
    kept_set(&group->leader, leader);
    kept_set(&group->protocol, value->protocol);
    kept_set(&group->protocol_type,
             value->protocol_type.size > 0 ? value->protocol_type : (struct slice){0});
    group->generation = value->generation;
    group->state = group->members != NULL ? GROUP_STABLE : GROUP_EMPTY;
    group->state_since_wall_ms = value->current_state_timestamp;
    return ERR_NONE;
}
