#include "group/consumer_state.h"

#include "base/mem.h"
#include "group/consumer_config.h"
#include "wire/generated/consumer_protocol_subscription.h"

#include <assert.h>
#include <stdlib.h>

void group_config_init(struct group_config *config)
{
    *config = (struct group_config){
        .initial_rebalance_delay_ms = 0,
        .min_session_timeout_ms = 6000,
        .max_session_timeout_ms = 30 * 60 * 1000,
        .max_size = INT32_MAX,
        .offset_metadata_max_bytes = 4096,
        .offsets_retention_ms = (int64_t)7 * 24 * 60 * 60 * 1000,
        .offsets_retention_check_interval_ms = 10 * 60 * 1000,
        .consumer_session_timeout_ms = 45000,
        .consumer_heartbeat_interval_ms = 5000,
        .consumer_min_session_timeout_ms = 1,
        .consumer_max_session_timeout_ms = INT32_MAX,
        .consumer_min_heartbeat_interval_ms = 1,
        .consumer_max_heartbeat_interval_ms = INT32_MAX,
        .consumer_max_size = INT32_MAX,
        .consumer_enabled = true,
        .consumer_upgrade = true,
        .consumer_downgrade = true,
        .consumer_assignors = {ASSIGNOR_UNIFORM, ASSIGNOR_RANGE},
        .consumer_assignor_count = 2,
    };
}

const char *group_state_name(enum group_state state)
{
    switch (state) {
    case GROUP_EMPTY:
        return "Empty";
    case GROUP_PREPARING_REBALANCE:
        return "PreparingRebalance";
    case GROUP_COMPLETING_REBALANCE:
        return "CompletingRebalance";
    case GROUP_STABLE:
        return "Stable";
    case GROUP_DEAD:
        return "Dead";
    case GROUP_ASSIGNING:
        return "Assigning";
    case GROUP_RECONCILING:
        return "Reconciling";
    }
    return "Unknown";
}

struct slice kept_copy(struct slice slice)
{
    if (slice_is_null(slice)) {
        return slice;
    }
    return slice_of(mem_dup(slice.data, slice.size), slice.size);
}

void kept_free(struct slice *kept)
{
    free((void *)(uintptr_t)kept->data);
    *kept = (struct slice){0};
}

void kept_set(struct slice *kept, struct slice value)
{
    struct slice copy = kept_copy(value); /* first: value may lie in what is freed */
    kept_free(kept);
    *kept = copy;
}

void group_reconfigure(struct group *group)
{
    struct overrides none = {0};
    struct overrides own = {0};
    if (group->config->find_own != NULL) {
        group->config->find_own(group->config->find_own_context, group->id, &own);
    }
    if (consumer_config_build(group->config, &own, &group->own, NULL) != ERR_NONE) {
        /* The server's bounds are others since they were set. */
        enum err err = consumer_config_build(group->config, &none, &group->own, NULL);
        (void)err; /* the server checks its own at start */
    }
    overrides_deinit(&own);
}

struct group *group_new(struct slice id, const struct group_config *config, struct group_time now)
{
    struct group *group = mem_new(struct group);
    group->id = kept_copy(id);
    group->config = config;
    group->state_since_wall_ms = now.wall_ms;
    group->wake_ms = INT64_MAX;
    group_reconfigure(group);
    return group;
}

static void member_free(struct group_member *member)
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

void group_free(struct group *group)
{
    struct group_effects none = {0};
    struct group_member *member, *next_member;
    HASH_ITER (hh, group->members, member, next_member) {
        group_remove_member(group, member, &none);
    }
    assert(none.replies == NULL);
    struct group_pending *pending, *next_pending;
    HASH_ITER (hh, group->pending, pending, next_pending) {
        group_remove_pending(group, pending);
    }
    consumer_free(group->consumer);
    group_free_offsets(group);
    kept_free(&group->id);
    kept_free(&group->protocol_type);
    kept_free(&group->protocol);
    kept_free(&group->leader);
    free(group);
}

struct slice group_id(const struct group *group)
{
    return group->id;
}

enum group_state group_state(const struct group *group)
{
    return group->state;
}

int32_t group_generation(const struct group *group)
{
    return group->generation;
}

size_t group_member_count(const struct group *group)
{
    return group->consumer != NULL ? HASH_COUNT(group->consumer->members)
                                   : HASH_COUNT(group->members);
}

struct slice group_protocol_type(const struct group *group)
{
    return group->protocol_type;
}

bool group_is_forgotten(const struct group *group)
{
    return group->state == GROUP_EMPTY && group->consumer == NULL && group->generation == 0 &&
           group->members == NULL && group->pending == NULL && group->offsets == NULL;
}

int64_t group_deadline_ms(const struct group *group)
{
    return group->wake_ms;
}

void group_wake_by(struct group *group, int64_t deadline_ms)
{
    if (deadline_ms < group->wake_ms) {
        group->wake_ms = deadline_ms;
    }
}

void group_touch_member(struct group *group, struct group_member *member, struct group_time now)
{
    member->deadline_ms = now.mono_ms + member->session_timeout_ms;
    group_wake_by(group, member->deadline_ms);
}

void group_set_state(struct group *group, enum group_state state, struct group_time now)
{
    group->state = state;
    group->state_since_wall_ms = now.wall_ms;
}

bool group_is_leader(const struct group *group, const struct group_member *member)
{
    return !slice_is_null(group->leader) && slice_equal(group->leader, member->id);
}

int32_t group_rebalance_timeout_ms(const struct group *group)
{
    int32_t longest = 0;
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        if (m->rebalance_timeout_ms > longest) {
            longest = m->rebalance_timeout_ms;
        }
    }
    return longest;
}

/* ---- members ---- */

struct group_member *group_find_member(const struct group *group, struct slice id)
{
    struct group_member *member = NULL;
    HASH_FIND(hh, group->members, id.data, id.size, member);
    return member;
}

struct group_member *group_find_static(const struct group *group, struct slice instance_id)
{
    struct group_member *member = NULL;
    if (!slice_is_null(instance_id)) {
        HASH_FIND(hh_instance, group->static_members, instance_id.data, instance_id.size, member);
    }
    return member;
}

struct group_pending *group_find_pending(const struct group *group, struct slice id)
{
    struct group_pending *pending = NULL;
    HASH_FIND(hh, group->pending, id.data, id.size, pending);
    return pending;
}

enum err group_check_member(const struct group *group, struct slice member_id,
                            struct slice instance_id, struct group_member **member)
{
    *member = NULL;
    if (!slice_is_null(instance_id)) {
        const struct group_member *holder = group_find_static(group, instance_id);
        if (holder == NULL) {
            return ERR_UNKNOWN_MEMBER;
        }
        if (!slice_equal(holder->id, member_id)) {
            return ERR_FENCED_INSTANCE;
        }
    }
    *member = group_find_member(group, member_id);
    return *member != NULL ? ERR_NONE : ERR_UNKNOWN_MEMBER;
}

static void support_change(struct group *group, struct slice name, bool more)
{
    struct group_support *support = NULL;
    HASH_FIND(hh, group->support, name.data, name.size, support);
    if (more) {
        if (support == NULL) {
            support = mem_new(struct group_support);
            support->name = kept_copy(name);
            HASH_ADD_KEYPTR(hh, group->support, support->name.data, support->name.size, support);
        }
        support->count++;
        return;
    }
    assert(support != NULL && support->count > 0);
    if (--support->count == 0) {
        HASH_DEL(group->support, support);
        kept_free(&support->name);
        free(support);
    }
}

static size_t support_count(const struct group *group, struct slice name)
{
    struct group_support *support = NULL;
    HASH_FIND(hh, group->support, name.data, name.size, support);
    return support != NULL ? support->count : 0;
}

static void drop_protocols(struct group *group, struct group_member *member)
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

void group_set_protocols(struct group *group, struct group_member *member,
                         const struct group_protocol_offer *protocols, size_t count)
{
    drop_protocols(group, member);
    member->protocols = mem_new_array(struct group_protocol_offer, count);
    for (size_t i = 0; i < count; i++) {
        if (!slice_is_null(group_member_metadata(member, protocols[i].name))) {
            continue; /* named twice: the first holds, and it counts once */
        }
        struct group_protocol_offer *kept = &member->protocols[member->protocol_count++];
        kept->name = kept_copy(protocols[i].name);
        kept->metadata =
            kept_copy(slice_is_null(protocols[i].metadata) ? slice_str("") : protocols[i].metadata);
        support_change(group, kept->name, true);
    }
}

struct slice group_member_metadata(const struct group_member *member, struct slice protocol)
{
    for (size_t i = 0; i < member->protocol_count; i++) {
        if (slice_equal(member->protocols[i].name, protocol)) {
            return member->protocols[i].metadata;
        }
    }
    return (struct slice){0};
}

void group_add_member(struct group *group, struct group_member *member, struct slice protocol_type)
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
}

void group_remove_member(struct group *group, struct group_member *member,
                         struct group_effects *effects)
{
    group_end_join(group, member, ERR_UNKNOWN_MEMBER, effects);
    group_end_sync(group, member, ERR_UNKNOWN_MEMBER, effects);
    if (member->owes_sync) {
        group->owed_sync_count--;
    }
    bool leads = group_is_leader(group, member);
    HASH_DEL(group->members, member);
    if (!slice_is_null(member->instance_id)) {
        HASH_DELETE(hh_instance, group->static_members, member);
    }
    if (leads) {
        kept_set(&group->leader, group->members != NULL ? group->members->id : (struct slice){0});
    }
    drop_protocols(group, member);
    member_free(member);
}

void group_remove_pending(struct group *group, struct group_pending *pending)
{
    HASH_DEL(group->pending, pending);
    kept_free(&pending->id);
    free(pending);
}

void group_rename_member(struct group *group, struct group_member *member, struct slice new_id,
                         struct group_effects *effects)
{
    group_end_join(group, member, ERR_FENCED_INSTANCE, effects);
    group_end_sync(group, member, ERR_FENCED_INSTANCE, effects);
    bool leads = group_is_leader(group, member);
    HASH_DEL(group->members, member);
    kept_set(&member->id, new_id);
    HASH_ADD_KEYPTR(hh, group->members, member->id.data, member->id.size, member);
    if (leads) {
        kept_set(&group->leader, new_id);
    }
}

/* ---- protocols ---- */

bool group_supports(const struct group *group, const struct group_join_request *request)
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
                                               const struct group_member *member)
{
    for (size_t i = 0; i < member->protocol_count; i++) {
        if (support_count(group, member->protocols[i].name) == HASH_COUNT(group->members)) {
            return &member->protocols[i];
        }
    }
    return NULL;
}

struct slice group_select_protocol(const struct group *group)
{
    struct slice best = {0};
    size_t best_votes = 0;
    const struct group_member *first = group->members;
    /* Every candidate is in the first member's list, as all members support it. */
    for (size_t i = 0; first != NULL && i < first->protocol_count; i++) {
        struct slice name = first->protocols[i].name;
        size_t votes = 0;
        for (const struct group_member *m = first; m != NULL; m = m->hh.next) {
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

/* Whether the subscription in a member's metadata names the topic; true when it cannot be read.
 * Each version begins with the fields of version 0, so these are read, whatever the metadata
 * claims. */
static bool subscription_names(struct slice metadata, struct slice topic)
{
    struct arena arena = {0}; /* bounded: an array's count is checked against the bytes there are */
    struct wire_reader reader;
    wire_reader_init(&reader, metadata, &arena);
    struct consumer_protocol_subscription subscription;
    (void)wire_read_int16(&reader); /* the version */
    enum err err = consumer_protocol_subscription_decode(&reader, 0, &subscription);
    bool names = err != ERR_NONE;
    for (int32_t i = 0; !names && i < subscription.topics_count; i++) {
        names = slice_equal(subscription.topics[i], topic);
    }
    arena_deinit(&arena);
    return names;
}

bool group_is_subscribed(const struct group *group, struct slice topic)
{
    if (group->consumer != NULL) {
        return consumer_is_subscribed(group, topic);
    }
    if (!slice_equal_str(group->protocol_type, "consumer")) {
        return true;
    }
    for (const struct group_member *m = group->members; m != NULL; m = m->hh.next) {
        struct slice metadata = slice_is_null(group->protocol)
                                    ? (struct slice){0}
                                    : group_member_metadata(m, group->protocol);
        if (subscription_names(metadata, topic)) {
            return true;
        }
    }
    return false;
}
