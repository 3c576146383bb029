#include "group/coordinator_internal.h"

#include "base/logger.h"
#include "group/group_log.h"
#include "group/room.h"

#include <stdlib.h>

/* Into a group and out again: what the state machine wants done is carried out on the way out. */

enum err groupc_check(const struct group_coordinator *coordinator, struct slice group_id,
                      bool may_be_empty)
{
    if (slice_is_null(group_id) || (group_id.size == 0 && !may_be_empty)) {
        return ERR_INVALID_GROUP;
    }
    return coordinator_check(&coordinator->base);
}

struct group_entry *groupc_enter(struct group_coordinator *coordinator, struct slice group_id,
                                 bool create)
{
    struct entry *entry = create ? entry_enter_new(&coordinator->base, group_id, NULL)
                                 : entry_enter(&coordinator->base, group_id);
    return entry != NULL ? container_of(entry, struct group_entry, base) : NULL;
}

struct group_entry *groupc_enter_new(struct group_coordinator *coordinator, struct slice group_id,
                                     struct slice client_id)
{
    struct group_entry *entry = groupc_enter(coordinator, group_id, false);
    if (entry != NULL) {
        return entry;
    }
    int32_t most = coordinator->config.max_groups;
    if (coordinator_count(&coordinator->base) >= (size_t)most) {
        LOG_WARN("group", "a group was refused: there are too many",
                 "group=\"%.*s\" client=\"%.*s\" setting=group.max.count limit=%d",
                 SLICE_ARGS(group_id), SLICE_ARGS(client_id), (int)most);
        return NULL;
    }
    return groupc_enter(coordinator, group_id, true);
}

enum err groupc_enter_checked(struct group_coordinator *coordinator, struct slice group_id,
                              bool may_be_empty, enum err absent, struct group_entry **entry)
{
    *entry = NULL;
    enum err err = groupc_check(coordinator, group_id, may_be_empty);
    if (err != ERR_NONE) {
        return err;
    }
    *entry = groupc_enter(coordinator, group_id, false);
    return *entry != NULL ? ERR_NONE : absent;
}

enum err groupc_enter_commit(struct group_coordinator *coordinator, struct slice group_id,
                             bool may_be_empty, bool create, enum err absent,
                             struct slice client_id, struct group_entry **entry)
{
    *entry = NULL;
    enum err err = groupc_check(coordinator, group_id, may_be_empty);
    if (err != ERR_NONE || !create) {
        return err != ERR_NONE
                   ? err
                   : groupc_enter_checked(coordinator, group_id, may_be_empty, absent, entry);
    }
    *entry = groupc_enter_new(coordinator, group_id, client_id);
    return *entry != NULL ? ERR_NONE : ERR_COMMIT_SIZE;
}

/* ---- replies ---- */

void groupc_release(struct group_effects *effects)
{
    struct group_release release = effects->release;
    effects->release = (struct group_release){0};
    if (release.run != NULL) {
        release.run(release.context);
    }
}

void groupc_send(struct group_coordinator *coordinator, struct group_effects *effects)
{
    group_log_events(effects);
    groupc_release(effects);
    struct group_reply *reply = effects->replies;
    effects->replies = NULL;
    effects->last_reply = NULL;
    while (reply != NULL) {
        struct group_reply *next = reply->next;
        reply->next = NULL;
        coordinator->outlet.send(coordinator->outlet.context, reply);
        reply = next;
    }
}

/* ---- records ---- */

/* A store between append and done. */
struct pending_store {
    struct entry_append append;
    struct group_store *store;
    size_t bytes; /* in the group's store_bytes */
};

/* What its records take, if that is much. */
static size_t store_cost(const struct group_store *store)
{
    size_t bytes = 0;
    for (size_t i = 0; i < store->records.count; i++) {
        bytes += store->records.items[i].key.size + store->records.items[i].value.size;
    }
    return bytes < GROUP_LARGE_STORE_BYTES ? 0 : bytes;
}

static void on_stored(struct entry_append *append, struct entry *base, enum err err)
{
    struct pending_store *pending = container_of(append, struct pending_store, append);
    struct group_entry *entry = container_of(base, struct group_entry, base);
    struct group_effects effects = {0};
    entry_lock(base);
    entry->group->store_bytes -= pending->bytes;
    group_stored(entry->group, pending->store, err, coordinator_now(&groupc_of(entry)->base),
                 &effects);
    groupc_leave(entry, &effects);
    free(pending);
}

/* Under the group's lock. */
static enum err append_store(struct group_entry *entry, struct group_store *store)
{
    struct pending_store *pending = mem_new(struct pending_store);
    *pending = (struct pending_store){
        .append.done = on_stored, .store = store, .bytes = store_cost(store)};
    struct state_batch records = {.records = store->records.items,
                                  .record_count = store->records.count,
                                  .producer_id = store->producer_id,
                                  .producer_epoch = store->producer_epoch};
    enum err err = entry_append(&entry->base, &records, &pending->append);
    if (err != ERR_NONE) {
        free(pending);
    } else {
        entry->group->store_bytes += pending->bytes;
    }
    return err;
}

enum { LARGE_GROUP_BYTES = 256 << 10 };

void groupc_settle(struct group_entry *entry)
{
    group_settle(entry->group);
    atomic_store(&entry->base.large, group_held_bytes(entry->group) > LARGE_GROUP_BYTES);
}

bool group_coordinator_is_large(struct group_coordinator *coordinator, struct slice group_id)
{
    return !slice_is_null(group_id) && coordinator_is_large(&coordinator->base, group_id);
}

void groupc_leave(struct group_entry *entry, struct group_effects *effects)
{
    struct group_coordinator *coordinator = groupc_of(entry);
    struct clock_time now = coordinator_now(&coordinator->base);
    struct group_store *store;
    while ((store = effects->stores) != NULL) {
        effects->stores = store->next;
        store->next = NULL;
        enum err err = append_store(entry, store);
        if (err == ERR_NONE) {
            group_appended(entry->group, store, now, effects);
        } else {
            group_stored(entry->group, store, err, now, effects);
        }
    }
    if (group_is_forgotten(entry->group)) {
        group_set_state(entry->group, GROUP_DEAD, now);
    }
    entry->base.dead = group_state(entry->group) == GROUP_DEAD;
    groupc_settle(entry);
    groupc_release(effects);
    struct entry_append *appended = entry_unlock(&entry->base);
    groupc_send(coordinator, effects);
    entry_await(&entry->base, appended);
}

void groupc_carry_out(struct group_coordinator *coordinator, struct group_entry *entry,
                      struct group_effects *effects)
{
    if (entry != NULL) {
        groupc_leave(entry, effects);
    } else {
        groupc_send(coordinator, effects);
    }
}

/* ---- all groups ---- */

struct each {
    group_visit *visit;
    void *context;
};

static void visit_entry(struct entry *base, void *context)
{
    const struct each *each = context;
    struct group_entry *entry = container_of(base, struct group_entry, base);
    struct group_effects effects = {0};
    each->visit(entry->group, each->context, coordinator_now(&groupc_of(entry)->base), &effects);
    groupc_leave(entry, &effects);
}

void groupc_each(struct group_coordinator *coordinator, group_visit *visit, void *context)
{
    struct each each = {visit, context};
    coordinator_each(&coordinator->base, visit_entry, &each);
}

bool groupc_walk_some(struct coordinator_walk *walk, group_visit *visit, void *context, int64_t ns)
{
    struct each each = {visit, context};
    return coordinator_walk_some(walk, visit_entry, &each, ns);
}
