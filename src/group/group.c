#include "group/group.h"

#include "base/mem.h"
#include "group/classic_kind.h"
#include "group/consumer_config.h"
#include "group/consumer_kind.h"
#include "group/offset_table.h"
#include "group/room.h"

#include <assert.h>
#include <stdlib.h>

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

/* ---- the group ---- */

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

struct group *group_new(struct slice id, const struct group_config *config, struct clock_time now)
{
    struct group *group = mem_new(struct group);
    group->id = kept_copy(id);
    group->config = config;
    group->kind = &classic_kind;
    group->state_since_wall_ms = now.wall_ms;
    group->wake_ms = INT64_MAX;
    group_reconfigure(group);
    return group;
}

void group_free(struct group *group)
{
    group->kind->forget(group);
    group_free_offsets(group);
    kept_free(&group->id);
    kept_free(&group->protocol_type);
    assert(group->offset_bytes == 0 && group->member_bytes == 0 && group->store_bytes == 0);
    group_settle_gone(group);
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

enum group_state group_shown_state(const struct group *group)
{
    return group->kind->shown_state(group);
}

size_t group_member_count(const struct group *group)
{
    return group->kind->member_count(group);
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

bool group_is_consumer(const struct group *group)
{
    return group->consumer != NULL;
}

int64_t group_deadline_ms(const struct group *group)
{
    return group->wake_ms;
}

/* ---- by table ---- */

void group_abandon(struct group *group, enum err err, struct group_effects *effects)
{
    group->kind->abandon(group, err, effects);
}

void group_tick(struct group *group, struct clock_time now, struct group_effects *effects)
{
    group->wake_ms = INT64_MAX;
    if (group->state == GROUP_DEAD) {
        return;
    }
    const struct group_kind *kind;
    do {
        kind = group->kind;
        kind->tick(group, now, effects);
    } while (group->kind != kind); /* it has become one of the other kind */
    group->kind->find_deadline(group);
}

void group_appended(struct group *group, struct group_store *store, struct clock_time now,
                    struct group_effects *effects)
{
    if (store->appended != NULL) {
        store->appended(group, store, now, effects);
    }
}

void group_stored(struct group *group, struct group_store *store, enum err err,
                  struct clock_time now, struct group_effects *effects)
{
    if (store->stored != NULL) {
        store->stored(group, store, err, now, effects);
    }
    group_store_free(store);
}

void group_join(struct group *group, const struct group_join_request *request,
                struct clock_time now, struct group_effects *effects)
{
    group->kind->join(group, request, now, effects);
}

void group_sync(struct group *group, const struct group_sync_request *request,
                struct clock_time now, struct group_effects *effects)
{
    group->kind->sync(group, request, now, effects);
}

enum err group_heartbeat(struct group *group, struct slice member_id, struct slice instance_id,
                         int32_t generation, struct clock_time now, struct group_effects *effects)
{
    enum err err = group->kind->heartbeat(group, member_id, instance_id, generation, now);
    if (err == ERR_FENCED_INSTANCE) {
        struct group_who who = {.member_id = member_id, .instance_id = instance_id};
        group_tell_fenced(group, effects, &who, "Heartbeat");
    }
    return err;
}

enum err group_leave(struct group *group, const struct group_leaving *leaving,
                     struct clock_time now, struct group_effects *effects)
{
    enum err err = group->kind->leave(group, leaving, now, effects);
    if (err == ERR_FENCED_INSTANCE) {
        struct group_who who = {.member_id = leaving->member_id,
                                .instance_id = leaving->instance_id};
        group_tell_fenced(group, effects, &who, "LeaveGroup");
    }
    return err;
}

enum err group_check_fetch(const struct group *group, struct slice member_id, int32_t member_epoch)
{
    return group->kind->check_fetch(group, member_id, member_epoch);
}

void group_describe(const struct group *group, struct arena *arena, struct group_description *out)
{
    group->kind->describe(group, arena, out);
}

/* ---- records ---- */

static enum err apply(struct group *group, const struct group_change *change, struct clock_time now)
{
    if (change->key.kind == GROUP_RECORD_OFFSET) {
        group_apply_offset(group, change);
        return ERR_NONE;
    }
    const struct group_kind *kind =
        group_record_is_consumer(change->key.kind) ? &consumer_kind : &classic_kind;
    if (group->kind != kind && change->gone) {
        return ERR_NONE; /* of what the group was before */
    }
    if (group->kind != kind) {
        group->kind->forget(group);
        group->kind = kind;
    }
    return kind->apply(group, change, now);
}

enum err group_apply_record(struct group *group, const struct group_record_key *key,
                            struct slice value, struct clock_time now)
{
    if (key->kind == GROUP_RECORD_OTHER) {
        return ERR_NONE;
    }
    struct arena arena = {0};
    struct group_change change;
    enum err err = group_change_read(key, value, &arena, &change);
    if (err == ERR_NONE) {
        err = apply(group, &change, now);
    }
    arena_deinit(&arena);
    return err;
}

enum err group_apply_txn_record(struct group *group, int64_t producer_id,
                                const struct group_record_key *key, struct slice value)
{
    if (key->kind != GROUP_RECORD_OFFSET) {
        return ERR_NONE; /* transactions write nothing else */
    }
    struct arena arena = {0};
    struct group_change change;
    enum err err = group_change_read(key, value, &arena, &change);
    if (err == ERR_NONE) {
        group_apply_txn_offset(group, producer_id, &change);
    }
    arena_deinit(&arena);
    return err;
}

void group_loaded(struct group *group, struct clock_time now, struct group_effects *effects)
{
    group->kind->loaded(group, now, effects);
}
