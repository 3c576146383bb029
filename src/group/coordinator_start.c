#include "group/coordinator_internal.h"

#include "batch/marker.h"
#include "group/room.h"

#include <assert.h>
#include <stdlib.h>

const struct group_config *group_coordinator_settings(const struct group_coordinator *coordinator)
{
    return &coordinator->config;
}

int32_t group_coordinator_partition(const struct group_coordinator *coordinator,
                                    struct slice group_id)
{
    return coordinator_partition(&coordinator->base, group_id);
}

void group_coordinator_reconfigure(struct group_coordinator *coordinator, struct slice group_id)
{
    struct group_entry *entry = groupc_enter(coordinator, group_id, false);
    if (entry != NULL) { /* one that is made later asks for itself */
        group_reconfigure(entry->group);
        entry_leave(&entry->base);
    }
}

/* ---- the kind of entry ---- */

static struct entry *make_entry(struct coordinator *base, struct slice id, const void *origin)
{
    struct group_coordinator *coordinator = container_of(base, struct group_coordinator, base);
    struct group_entry *entry = mem_new(struct group_entry);
    entry->group = group_new(id, &coordinator->config, coordinator_now(&coordinator->base));
    return &entry->base;
}

static void free_entry(struct entry *base)
{
    struct group_entry *entry = container_of(base, struct group_entry, base);
    group_free(entry->group);
    free(entry);
}

static int64_t entry_deadline(struct entry *base)
{
    return group_deadline_ms(container_of(base, struct group_entry, base)->group);
}

static void on_deadline(struct entry *base, int64_t now_ms)
{
    struct group_entry *entry = container_of(base, struct group_entry, base);
    struct group_effects effects = {0};
    struct clock_time now = coordinator_now(&groupc_of(entry)->base);
    now.mono_ms = now_ms;
    group_tick(entry->group, now, &effects);
    groupc_leave(entry, &effects);
}

/* ---- time ---- */

static void visit_expire(struct group *group, void *context, struct clock_time now,
                         struct group_effects *effects)
{
    group_expire_offsets(group, now, effects);
}

/* Whether expired offsets are to be looked for, which is then this caller's. */
static bool take_expiry(struct group_coordinator *coordinator, int64_t now_ms)
{
    int64_t due_ms = coordinator->next_expiry_ms;
    return due_ms <= now_ms &&
           atomic_compare_exchange_strong(
               &coordinator->next_expiry_ms, &due_ms,
               now_ms + coordinator->config.offsets_retention_check_interval_ms);
}

int64_t group_coordinator_tick(struct group_coordinator *coordinator, int64_t now_ms)
{
    if (coordinator->base.phase != COORDINATOR_SERVING) {
        return INT64_MAX;
    }
    if (take_expiry(coordinator, now_ms)) {
        groupc_each(coordinator, visit_expire, NULL);
    }
    int64_t next_ms = coordinator_tick(&coordinator->base, now_ms);
    int64_t expiry_ms = coordinator->next_expiry_ms;
    return next_ms < expiry_ms ? next_ms : expiry_ms;
}

void group_coordinator_expire_offsets(struct group_coordinator *coordinator)
{
    if (coordinator->base.phase == COORDINATOR_SERVING) {
        groupc_each(coordinator, visit_expire, NULL);
    }
}

/* ---- start and stop ---- */

struct group_coordinator *group_coordinator_new(const struct group_config *config,
                                                const struct coordinator_env *env,
                                                const struct group_outlet *outlet)
{
    static const struct coordinator_kind kind = {
        .make = make_entry,
        .free = free_entry,
        .deadline_ms = entry_deadline,
        .tick = on_deadline,
    };
    struct group_coordinator *coordinator = mem_new(struct group_coordinator);
    coordinator_init(&coordinator->base, &kind, env);
    coordinator->config = *config;
    coordinator->outlet = *outlet;
    pthread_mutex_init(&coordinator->txn_lock, NULL);
    coordinator->next_expiry_ms =
        clock_mono_ms(env->clock) + config->offsets_retention_check_interval_ms;
    return coordinator;
}

enum err group_coordinator_replay(struct group_coordinator *coordinator, struct slice key,
                                  struct slice value)
{
    assert(coordinator->base.phase == COORDINATOR_LOADING);
    struct group_record_key parsed;
    enum err err = group_record_key_read(key, &parsed);
    if (err != ERR_NONE || parsed.kind == GROUP_RECORD_OTHER) {
        return err;
    }
    struct group_entry *entry = groupc_enter(coordinator, parsed.group_id, true);
    err = group_apply_record(entry->group, &parsed, value, coordinator_now(&coordinator->base));
    groupc_settle(entry);
    entry_leave(&entry->base);
    return err;
}

enum err group_coordinator_replay_stored(void *context, int32_t partition,
                                         const struct batch *batch, const struct record *record)
{
    struct group_coordinator *coordinator = context;
    struct batch_marker marker;
    if (batch_is_control(batch)) { /* its one record is the end of a transaction */
        if (batch_marker_read(batch, &marker)) {
            group_coordinator_txn_end(coordinator, partition, marker.producer_id, marker.commit);
        }
        return ERR_NONE;
    }
    return batch_is_transactional(batch)
               ? group_coordinator_replay_txn(coordinator, batch->producer_id, record->key,
                                              record->value)
               : group_coordinator_replay(coordinator, record->key, record->value);
}

static void visit_loaded(struct group *group, void *context, struct clock_time now,
                         struct group_effects *effects)
{
    group_loaded(group, now, effects);
}

void group_coordinator_load_done(struct group_coordinator *coordinator)
{
    coordinator->base.phase = COORDINATOR_SERVING;
    groupc_each(coordinator, visit_loaded, NULL);
}

static void visit_stop(struct group *group, void *context, struct clock_time now,
                       struct group_effects *effects)
{
    group_abandon(group, ERR_COORDINATOR_UNAVAILABLE, effects);
}

void group_coordinator_stop(struct group_coordinator *coordinator)
{
    coordinator->base.phase = COORDINATOR_STOPPED;
    groupc_each(coordinator, visit_stop, NULL);
}

void group_coordinator_free(struct group_coordinator *coordinator)
{
    groupc_forget_txns(coordinator);
    coordinator_deinit(&coordinator->base);
    pthread_mutex_destroy(&coordinator->txn_lock);
    free(coordinator);
}
