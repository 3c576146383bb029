#include "group/coordinator_internal.h"

#include "base/vec.h"

/* The requests: find the group or say what its absence means, then let the state machine act. */

static bool allows_session(const struct group_config *config,
                           const struct group_join_request *request)
{
    return request->session_timeout_ms >= config->min_session_timeout_ms &&
           request->session_timeout_ms <= config->max_session_timeout_ms;
}

void group_coordinator_join(struct group_coordinator *coordinator, struct slice group_id,
                            const struct group_join_request *request)
{
    struct group_effects effects = {.release = request->release};
    struct group_entry *entry = NULL;
    enum err err = groupc_check(coordinator, group_id, false);
    if (err == ERR_NONE && !allows_session(&coordinator->config, request)) {
        err = ERR_INVALID_SESSION_TIMEOUT; /* before a group is made for it */
    }
    if (err == ERR_NONE && request->member_id.size == 0) {
        entry = groupc_enter_new(coordinator, group_id, request->client_id);
        err = entry == NULL ? ERR_GROUP_MAX_SIZE : ERR_NONE;
    } else if (err == ERR_NONE) {
        entry = groupc_enter(coordinator, group_id, false);
        err = entry == NULL ? ERR_UNKNOWN_MEMBER : ERR_NONE;
    }
    if (err == ERR_NONE) {
        group_join(entry->group, request, coordinator_now(&coordinator->base), &effects);
    } else {
        group_reply_join_error(&effects, &request->waiter, request->member_id, err);
    }
    groupc_carry_out(coordinator, entry, &effects);
}

void group_coordinator_sync(struct group_coordinator *coordinator, struct slice group_id,
                            const struct group_sync_request *request)
{
    struct group_effects effects = {.release = request->release};
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, false, ERR_UNKNOWN_MEMBER, &entry);
    if (err == ERR_LOADING) {
        err = ERR_REBALANCE_IN_PROGRESS; /* older clients know no other way to start over */
    }
    if (err == ERR_NONE) {
        group_sync(entry->group, request, coordinator_now(&coordinator->base), &effects);
    } else {
        group_reply_sync_error(&effects, &request->waiter, err);
    }
    groupc_carry_out(coordinator, entry, &effects);
}

enum err group_coordinator_heartbeat(struct group_coordinator *coordinator, struct slice group_id,
                                     struct slice member_id, struct slice instance_id,
                                     int32_t generation)
{
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, false, ERR_UNKNOWN_MEMBER, &entry);
    if (err != ERR_NONE) {
        return err == ERR_LOADING ? ERR_NONE : err; /* nobody is thrown out while we load */
    }
    struct group_effects effects = {0}; /* words for the log, if any */
    err = group_heartbeat(entry->group, member_id, instance_id, generation,
                          coordinator_now(&coordinator->base), &effects);
    groupc_leave(entry, &effects);
    return err;
}

enum err group_coordinator_leave(struct group_coordinator *coordinator, struct slice group_id,
                                 struct group_leaving *members, size_t count)
{
    struct group_effects effects = {0};
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, false, ERR_NONE, &entry);
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        members[i].err = entry == NULL ? ERR_UNKNOWN_MEMBER
                                       : group_leave(entry->group, &members[i],
                                                     coordinator_now(&coordinator->base), &effects);
    }
    groupc_carry_out(coordinator, entry, &effects);
    return err;
}

void group_coordinator_commit(struct group_coordinator *coordinator, struct slice group_id,
                              const struct group_commit_request *request)
{
    struct group_effects effects = {.release = request->release};
    struct group_entry *entry;
    bool create = request->generation < 0; /* by no member: offsets kept by hand */
    /* From version 9 on the error says what is the case (KIP-848). */
    enum err absent =
        request->waiter.api_version >= 9 ? ERR_GROUP_NOT_FOUND : ERR_ILLEGAL_GENERATION;
    enum err err = groupc_enter_commit(coordinator, group_id, true, create, absent,
                                       request->client_id, &entry);
    if (err == ERR_NONE) {
        group_commit(entry->group, request, coordinator_now(&coordinator->base), &effects);
    } else {
        group_reply_commit_error(&effects, request, err);
    }
    groupc_carry_out(coordinator, entry, &effects);
}

void group_coordinator_offset_delete(struct group_coordinator *coordinator, struct slice group_id,
                                     const struct group_offset_delete_request *request)
{
    struct group_effects effects = {.release = request->release};
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, false, ERR_GROUP_NOT_FOUND, &entry);
    if (err == ERR_NONE) {
        group_offset_delete(entry->group, request, coordinator_now(&coordinator->base), &effects);
    } else {
        group_effects_reply(&effects,
                            group_reply_new(GROUP_REPLY_OFFSET_DELETE, &request->waiter, err));
    }
    groupc_carry_out(coordinator, entry, &effects);
}

enum err group_coordinator_fetch(struct group_coordinator *coordinator, struct slice group_id,
                                 struct arena *arena, struct group_offset *offsets, size_t count)
{
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, true, ERR_NONE, &entry);
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        if (entry != NULL) {
            group_offset_fetch(entry->group, arena, &offsets[i]);
        } else {
            offsets[i].offset = -1;
            offsets[i].leader_epoch = -1;
            offsets[i].metadata = slice_str("");
        }
    }
    if (entry != NULL) {
        entry_leave(&entry->base);
    }
    return err;
}

enum err group_coordinator_fetch_all(struct group_coordinator *coordinator, struct slice group_id,
                                     struct arena *arena, struct group_offset **offsets,
                                     size_t *count)
{
    *offsets = NULL;
    *count = 0;
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, true, ERR_NONE, &entry);
    if (entry != NULL) {
        *count = group_offset_fetch_all(entry->group, arena, offsets);
        entry_leave(&entry->base);
    }
    return err;
}

enum err group_coordinator_describe(struct group_coordinator *coordinator, struct slice group_id,
                                    struct arena *arena, struct group_description *out, bool *found)
{
    *found = false;
    *out = (struct group_description){
        .state = GROUP_DEAD, .protocol_type = slice_str(""), .protocol = slice_str("")};
    struct group_entry *entry;
    enum err err = groupc_enter_checked(coordinator, group_id, true, ERR_NONE, &entry);
    if (entry != NULL) {
        *found = true;
        group_describe(entry->group, arena, out);
        entry_leave(&entry->base);
    }
    return err;
}

struct listing {
    struct arena *arena;
    VEC(struct group_listing) groups;
};

static void visit_list(struct group *group, void *context, struct clock_time now,
                       struct group_effects *effects)
{
    struct listing *listing = context;
    struct slice type = group_protocol_type(group);
    vec_push(&listing->groups,
             (struct group_listing){
                 .group_id = group_arena_slice(listing->arena, group_id(group)),
                 .protocol_type =
                     slice_is_null(type) ? slice_str("") : group_arena_slice(listing->arena, type),
                 .state = group_shown_state(group),
                 .consumer = group_is_consumer(group),
             });
}

enum err group_coordinator_list(struct group_coordinator *coordinator, struct arena *arena,
                                struct group_listing **groups, size_t *count)
{
    *groups = NULL;
    *count = 0;
    enum err err = groupc_check(coordinator, slice_str(""), true);
    if (err != ERR_NONE) {
        return err;
    }
    struct listing listing = {.arena = arena};
    groupc_each(coordinator, visit_list, &listing);
    if (listing.groups.count > 0) {
        *groups = arena_dup(arena, listing.groups.items,
                            listing.groups.count * sizeof *listing.groups.items);
        *count = *groups != NULL ? listing.groups.count : 0;
    }
    vec_deinit(&listing.groups);
    return ERR_NONE;
}

void group_coordinator_delete(struct group_coordinator *coordinator,
                              const struct completion *waiter,
                              const struct group_delete_result *wanted, size_t count,
                              struct group_release release)
{
    struct group_effects effects = {0};
    struct group_effects end = {.release = release};
    struct group_reply *reply = group_reply_new(GROUP_REPLY_DELETE_GROUPS, waiter, ERR_NONE);
    struct group_delete_result *items = arena_alloc_array(&reply->arena, count, sizeof *items);
    reply->groups.items = items;
    reply->groups.count = count;
    group_reply_share(reply); /* ours, until every group is on its way */
    for (size_t i = 0; i < count; i++) {
        struct group_entry *entry;
        items[i].group_id = group_arena_slice(&reply->arena, wanted[i].group_id);
        items[i].err = wanted[i].err != ERR_NONE
                           ? wanted[i].err
                           : groupc_enter_checked(coordinator, wanted[i].group_id, true,
                                                  ERR_GROUP_NOT_FOUND, &entry);
        if (items[i].err == ERR_NONE) {
            group_delete(entry->group, reply, i, coordinator_now(&coordinator->base), &effects);
            groupc_leave(entry, &effects);
        }
    }
    groupc_release(&end);
    group_reply_give(reply, &end);
    groupc_send(coordinator, &end);
}

enum { FORGET_NS = 1000000 /* at a time */ };

static void visit_topic_deleted(struct group *group, void *context, struct clock_time now,
                                struct group_effects *effects)
{
    group_topic_deleted(group, *(const struct slice *)context, now, effects);
}

void group_coordinator_topic_deleted(struct group_coordinator *coordinator, struct slice topic)
{
    groupc_each(coordinator, visit_topic_deleted, &topic);
}

void group_coordinator_forget_begin(struct group_coordinator *coordinator,
                                    struct coordinator_walk *walk)
{
    coordinator_walk_begin(&coordinator->base, walk);
}

bool group_coordinator_forget_some(struct coordinator_walk *walk, struct slice topic)
{
    return groupc_walk_some(walk, visit_topic_deleted, &topic, FORGET_NS);
}
