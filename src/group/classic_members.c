#include "group/classic_members.h"

#include "group/room.h"

#include <assert.h>
#include <stdlib.h>

static void member_free(struct classic_member *member)
{
    assert(!member->awaits_join && !member->awaits_sync);
    kept_free(&member->id);
    kept_free(&member->instance_id);
    kept_free(&member->client_id);
    kept_free(&member->client_host);
    kept_free(&member->assignment);
    for (size_t i = 0; i < member->protocol_count; i++) {
        kept_free(&member->protocols[i].name);
        kept_free(&member->protocols[i].metadata);
    }
    free(member->protocols);
    free(member);
}

struct classic_member *classic_find(const struct group *group, struct slice id)
{
    struct classic_member *member = NULL;
    HASH_FIND(hh, group->members, id.data, id.size, member);
    return member;
}

struct classic_member *classic_find_static(const struct group *group, struct slice instance_id)
{
    struct classic_member *member = NULL;
    if (!slice_is_null(instance_id)) {
        HASH_FIND(hh_instance, group->static_members, instance_id.data, instance_id.size, member);
    }
    return member;
}

struct classic_pending *classic_find_pending(const struct group *group, struct slice id)
{
    struct classic_pending *pending = NULL;
    HASH_FIND(hh, group->pending, id.data, id.size, pending);
    return pending;
}

enum err classic_check(const struct group *group, struct slice member_id, struct slice instance_id,
                       struct classic_member **member)
{
    *member = NULL;
    if (!slice_is_null(instance_id)) {
        const struct classic_member *holder = classic_find_static(group, instance_id);
        if (holder == NULL) {
            return ERR_UNKNOWN_MEMBER;
        }
        if (!slice_equal(holder->id, member_id)) {
            return ERR_FENCED_INSTANCE;
        }
    }
    *member = classic_find(group, member_id);
    return *member != NULL ? ERR_NONE : ERR_UNKNOWN_MEMBER;
}

/* ---- what they take ---- */

static size_t pending_cost(const struct classic_pending *pending)
{
    return mem_cost(sizeof *pending) + kept_cost(pending->id);
}

static size_t support_cost(const struct classic_support *support)
{
    return mem_cost(sizeof *support) + kept_cost(support->name);
}

void classic_count(struct group *group, struct classic_member *member)
{
    size_t bytes = mem_cost(sizeof *member) + kept_cost(member->id) +
                   kept_cost(member->instance_id) + kept_cost(member->client_id) +
                   kept_cost(member->client_host) + kept_cost(member->assignment) +
                   group_offers_cost(member->protocols, member->protocol_count);
    group->member_bytes += bytes - member->counted_bytes;
    member->counted_bytes = bytes;
}

size_t classic_join_cost(const struct group_join_request *request, size_t id_size)
{
    return mem_cost(sizeof(struct classic_member)) + mem_cost(id_size) +
           kept_cost(request->instance_id) + kept_cost(request->client_id) +
           kept_cost(request->client_host) + mem_cost(0) +
           group_offers_cost(request->protocols, request->protocol_count);
}

size_t classic_member_bytes(const struct group *group)
{
    size_t hashes = (size_t)(group->members != NULL) + (group->static_members != NULL) +
                    (group->pending != NULL) + (group->support != NULL);
    return group->member_bytes + hashes * MEM_HASH_COST;
}

/* ---- protocols ---- */

static void support_change(struct group *group, struct slice name, bool more)
{
    struct classic_support *support = NULL;
    HASH_FIND(hh, group->support, name.data, name.size, support);
    if (more) {
        if (support == NULL) {
            support = mem_new(struct classic_support);
            support->name = kept_copy(name);
            group->member_bytes += support_cost(support);
            HASH_ADD_KEYPTR(hh, group->support, support->name.data, support->name.size, support);
        }
        support->count++;
        return;
    }
    assert(support != NULL && support->count > 0);
    if (--support->count == 0) {
        HASH_DEL(group->support, support);
        group->member_bytes -= support_cost(support);
        kept_free(&support->name);
        free(support);
    }
}

static size_t support_count(const struct group *group, struct slice name)
{
    struct classic_support *support = NULL;
    HASH_FIND(hh, group->support, name.data, name.size, support);
    return support != NULL ? support->count : 0;
}

static void drop_protocols(struct group *group, struct classic_member *member)
{
    for (size_t i = 0; i < member->protocol_count; i++) {
        support_change(group, member->protocols[i].name, false);
        kept_free(&member->protocols[i].name);
        kept_free(&member->protocols[i].metadata);
    }
    free(member->protocols);
    member->protocols = NULL;
    member->protocol_count = 0;
}

struct slice classic_metadata(const struct classic_member *member, struct slice protocol)
{
    for (size_t i = 0; i < member->protocol_count; i++) {
        if (slice_equal(member->protocols[i].name, protocol)) {
            return member->protocols[i].metadata;
        }
    }
    return (struct slice){0};
}

void classic_set_protocols(struct group *group, struct classic_member *member,
                           const struct group_protocol_offer *protocols, size_t count)
{
    drop_protocols(group, member);
    member->protocols = mem_new_array(struct group_protocol_offer, count);
    for (size_t i = 0; i < count; i++) {
        if (!slice_is_null(classic_metadata(member, protocols[i].name))) {
            continue; /* named twice: the first holds, and it counts once */
        }
        struct group_protocol_offer *kept = &member->protocols[member->protocol_count++];
        kept->name = kept_copy(protocols[i].name);
        kept->metadata =
            kept_copy(slice_is_null(protocols[i].metadata) ? slice_str("") : protocols[i].metadata);
        support_change(group, kept->name, true);
    }
    classic_count(group, member);
}

bool classic_supports(const struct group *group, const struct group_join_request *request)
{
    if (request->protocol_type.size == 0 || request->protocol_count == 0) {
        return false;
    }
    if (group->state == GROUP_EMPTY) {
        return true;
    }
    if (!slice_equal(group->protocol_type, request->protocol_type)) {
        return false;
    }
    for (size_t i = 0; i < request->protocol_count; i++) {
        if (support_count(group, request->protocols[i].name) == HASH_COUNT(group->members)) {
            return true;
        }
    }
    return false;
}

static const struct group_protocol_offer *vote(const struct group *group,
                                               const struct classic_member *member)
{
    for (size_t i = 0; i < member->protocol_count; i++) {
        if (support_count(group, member->protocols[i].name) == HASH_COUNT(group->members)) {
            return &member->protocols[i];
        }
    }
    return NULL;
}

struct slice classic_select_protocol(const struct group *group)
{
    struct slice best = {0};
    size_t best_votes = 0;
    const struct classic_member *first = group->members;
    /* Every candidate is in the first member's list, as all members support it. */
    for (size_t i = 0; first != NULL && i < first->protocol_count; i++) {
        struct slice name = first->protocols[i].name;
        size_t votes = 0;
        for (const struct classic_member *m = first; m != NULL; m = m->hh.next) {
            const struct group_protocol_offer *choice = vote(group, m);
            votes += choice != NULL && slice_equal(choice->name, name);
        }
        if (votes > best_votes) {
            best = name;
            best_votes = votes;
        }
    }
    return best;
}

/* ---- coming and going ---- */

bool classic_is_leader(const struct group *group, const struct classic_member *member)
{
    return !slice_is_null(group->leader) && slice_equal(group->leader, member->id);
}

void classic_add(struct group *group, struct classic_member *member, struct slice protocol_type)
{
    if (group->members == NULL) {
        kept_set(&group->protocol_type, protocol_type);
    }
    if (slice_is_null(group->leader)) {
        group->leader = kept_copy(member->id);
    }
    if (slice_is_null(member->assignment)) {
        member->assignment = kept_copy(slice_str(""));
    }
    HASH_ADD_KEYPTR(hh, group->members, member->id.data, member->id.size, member);
    if (!slice_is_null(member->instance_id)) {
        HASH_ADD_KEYPTR(hh_instance, group->static_members, member->instance_id.data,
                        member->instance_id.size, member);
    }
    classic_count(group, member);
}

void classic_take_out(struct group *group, struct classic_member *member)
{
    if (member->owes_sync) {
        group->owed_sync_count--;
    }
    bool leads = classic_is_leader(group, member);
    HASH_DEL(group->members, member);
    if (!slice_is_null(member->instance_id)) {
        HASH_DELETE(hh_instance, group->static_members, member);
    }
    if (leads) {
        kept_set(&group->leader, group->members != NULL ? group->members->id : (struct slice){0});
    }
    drop_protocols(group, member);
    group->member_bytes -= member->counted_bytes;
    member_free(member);
}

void classic_set_id(struct group *group, struct classic_member *member, struct slice new_id)
{
    assert(!member->awaits_join && !member->awaits_sync);
    bool leads = classic_is_leader(group, member);
    HASH_DEL(group->members, member);
    kept_set(&member->id, new_id);
    HASH_ADD_KEYPTR(hh, group->members, member->id.data, member->id.size, member);
    classic_count(group, member);
    if (leads) {
        kept_set(&group->leader, new_id);
    }
}

void classic_add_pending(struct group *group, struct slice id, int64_t deadline_ms)
{
    struct classic_pending *pending = mem_new(struct classic_pending);
    pending->id = kept_copy(id);
    pending->deadline_ms = deadline_ms;
    HASH_ADD_KEYPTR(hh, group->pending, pending->id.data, pending->id.size, pending);
    group->member_bytes += pending_cost(pending);
    group_wake_by(group, deadline_ms);
}

void classic_remove_pending(struct group *group, struct classic_pending *pending)
{
    HASH_DEL(group->pending, pending);
    group->member_bytes -= pending_cost(pending);
    kept_free(&pending->id);
    free(pending);
}

void classic_remove_all_pending(struct group *group)
{
    struct classic_pending *pending, *next;
    HASH_ITER (hh, group->pending, pending, next) {
        classic_remove_pending(group, pending);
    }
}

int32_t classic_rebalance_timeout_ms(const struct group *group)
{
    int32_t longest = 0;
    for (const struct classic_member *m = group->members; m != NULL; m = m->hh.next) {
        if (m->rebalance_timeout_ms > longest) {
            longest = m->rebalance_timeout_ms;
        }
    }
    return longest;
}

void classic_touch(struct group *group, struct classic_member *member, struct clock_time now)
{
    member->deadline_ms = now.mono_ms + member->session_timeout_ms;
    group_wake_by(group, member->deadline_ms);
}
