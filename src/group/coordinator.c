#include "group/coordinator_internal.h"

#include "base/logger.h"
#include "base/mem.h"
#include "batch/marker.h"

#include <assert.h>
#include <stdlib.h>

struct group_coordinator *group_coordinator_new(const struct group_config *config,
                                                const struct clock *clock,
                                                const struct state_log *log,
                                                const struct group_outlet *outlet)
{
    struct group_coordinator *coordinator = mem_new(struct group_coordinator);
    coordinator->config = *config;
    coordinator->clock = clock;
    coordinator->log = *log;
    coordinator->outlet = *outlet;
    coordinator->phase = COORDINATOR_LOADING;
    pthread_mutex_init(&coordinator->table_lock, NULL);
    pthread_mutex_init(&coordinator->txn_lock, NULL);
    pthread_mutex_init(&coordinator->timer_lock, NULL);
    coordinator->next_expiry_ms =
        clock_mono_ms(clock) + config->offsets_retention_check_interval_ms;
    return coordinator;
}

struct group_time coordinator_now(const struct group_coordinator *coordinator)
{
    return (struct group_time){.mono_ms = clock_mono_ms(coordinator->clock),
                               .wall_ms = clock_wall_ms(coordinator->clock)};
}

int32_t group_coordinator_partition(const struct group_coordinator *coordinator,
                                    struct slice group_id)
{
    return group_partition_for(group_id, coordinator->log.partition_count);
}

enum err coordinator_check(const struct group_coordinator *coordinator, struct slice group_id,
                           bool may_be_empty)
{
    if (slice_is_null(group_id) || (group_id.size == 0 && !may_be_empty)) {
        return ERR_INVALID_GROUP;
    }
    enum coordinator_phase phase = coordinator->phase;
    switch (phase) {
    case COORDINATOR_LOADING:
        return ERR_LOADING;
    case COORDINATOR_STOPPED:
        return ERR_COORDINATOR_UNAVAILABLE;
    case COORDINATOR_SERVING:
        break;
    }
    return ERR_NONE;
}

/* ---- entries ---- */

void coordinator_unref(struct group_entry *entry)
{
    if (atomic_fetch_sub(&entry->refs, 1) == 1) {
        pthread_mutex_destroy(&entry->lock);
        group_free(entry->group);
        kept_free(&entry->id);
        free(entry);
    }
}

static struct group_entry *entry_new(struct group_coordinator *coordinator, struct slice id)
{
    struct group_entry *entry = mem_new(struct group_entry);
    entry->coordinator = coordinator;
    entry->id = kept_copy(id);
    entry->group = group_new(id, &coordinator->config, coordinator_now(coordinator));
    entry->partition = group_coordinator_partition(coordinator, id);
    pthread_mutex_init(&entry->lock, NULL);
    entry->refs = 1; /* the table's */
    entry->armed_ms = INT64_MAX;
    return entry;
}

struct group_entry *coordinator_find(struct group_coordinator *coordinator, struct slice id,
                                     bool create)
{
    struct group_entry *entry = NULL;
    pthread_mutex_lock(&coordinator->table_lock);
    HASH_FIND(hh, coordinator->table, id.data, id.size, entry);
    if (entry == NULL && create) {
        entry = entry_new(coordinator, id);
        HASH_ADD_KEYPTR(hh, coordinator->table, entry->id.data, entry->id.size, entry);
    }
    if (entry != NULL) {
        atomic_fetch_add(&entry->refs, 1);
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    return entry;
}

/* Takes a dead group's entry out of the table, if it is still there. */
static void forget_entry(struct group_entry *entry)
{
    struct group_coordinator *coordinator = entry->coordinator;
    struct group_entry *found = NULL;
    pthread_mutex_lock(&coordinator->table_lock);
    HASH_FIND(hh, coordinator->table, entry->id.data, entry->id.size, found);
    if (found == entry) {
        HASH_DEL(coordinator->table, entry);
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    if (found == entry) {
        coordinator_unref(entry);
    }
}

struct group_entry *coordinator_enter(struct group_coordinator *coordinator, struct slice group_id,
                                      bool create)
{
    for (;;) {
        struct group_entry *entry = coordinator_find(coordinator, group_id, create);
        if (entry == NULL) {
            return NULL;
        }
        pthread_mutex_lock(&entry->lock);
        if (group_state(entry->group) != GROUP_DEAD) {
            return entry;
        }
        pthread_mutex_unlock(&entry->lock);
        forget_entry(entry); /* deleted between the look-up and the lock: a new one may follow */
        coordinator_unref(entry);
    }
}

const struct group_config *group_coordinator_settings(const struct group_coordinator *coordinator)
{
    return &coordinator->config;
}

void group_coordinator_reconfigure(struct group_coordinator *coordinator, struct slice group_id)
{
    struct group_entry *entry = coordinator_enter(coordinator, group_id, false);
    if (entry != NULL) { /* one that is made later asks for itself */
        group_reconfigure(entry->group);
        pthread_mutex_unlock(&entry->lock);
        coordinator_unref(entry);
    }
}

/* ---- timers ---- */

/* A group's deadline is only ever brought forward here; tick finds the true one. */
static void set_timer(struct group_entry *entry, int64_t deadline_ms)
{
    struct group_coordinator *coordinator = entry->coordinator;
    bool earliest = false;
    /* Read without the lock, so that heartbeats do not meet there. Tick sets it to INT64_MAX before
       it locks the group, so whoever changed the group after that look sees it. */
    if (deadline_ms >= entry->armed_ms) {
        return;
    }
    pthread_mutex_lock(&coordinator->timer_lock);
    if (!heap_has(&entry->timer) || deadline_ms < entry->timer.key) {
        if (!heap_has(&entry->timer)) {
            atomic_fetch_add(&entry->refs, 1);
        }
        heap_set(&coordinator->timers, &entry->timer, deadline_ms);
        entry->armed_ms = deadline_ms;
        earliest = heap_least(&coordinator->timers) == &entry->timer &&
                   deadline_ms < coordinator->next_expiry_ms;
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    if (earliest && coordinator->outlet.wake != NULL) {
        coordinator->outlet.wake(coordinator->outlet.context, deadline_ms);
    }
}

/* The next group that is due, with the heap's reference; NULL and *next when none is. */
static struct group_entry *take_due(struct group_coordinator *coordinator, int64_t now_ms,
                                    int64_t *next_ms)
{
    struct group_entry *entry = NULL;
    pthread_mutex_lock(&coordinator->timer_lock);
    struct heap_node *node = heap_least(&coordinator->timers);
    *next_ms = coordinator->next_expiry_ms;
    if (node != NULL && node->key <= now_ms) {
        heap_remove(&coordinator->timers, node);
        entry = container_of(node, struct group_entry, timer);
        entry->armed_ms = INT64_MAX;
    } else if (node != NULL && node->key < *next_ms) {
        *next_ms = node->key;
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    return entry;
}

static bool expiry_is_due(struct group_coordinator *coordinator, int64_t now_ms)
{
    pthread_mutex_lock(&coordinator->timer_lock);
    bool due = coordinator->next_expiry_ms <= now_ms;
    if (due) {
        coordinator->next_expiry_ms =
            now_ms + coordinator->config.offsets_retention_check_interval_ms;
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    return due;
}

static void visit_expire(struct group *group, void *context, struct group_time now,
                         struct group_effects *effects)
{
    group_expire_offsets(group, now, effects);
}

int64_t group_coordinator_tick(struct group_coordinator *coordinator, int64_t now_ms)
{
    if (coordinator->phase != COORDINATOR_SERVING) {
        return INT64_MAX;
    }
    if (expiry_is_due(coordinator, now_ms)) {
        coordinator_each(coordinator, visit_expire, NULL);
    }
    int64_t next_ms;
    struct group_entry *entry;
    while ((entry = take_due(coordinator, now_ms, &next_ms)) != NULL) {
        struct group_effects effects = {0};
        struct group_time now = coordinator_now(coordinator);
        now.mono_ms = now_ms;
        pthread_mutex_lock(&entry->lock);
        group_tick(entry->group, now, &effects);
        coordinator_leave(entry, &effects);
    }
    return next_ms;
}

/* ---- effects ---- */

void coordinator_send(struct group_coordinator *coordinator, struct group_effects *effects)
{
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

void coordinator_batch_release(struct group_coordinator *coordinator,
                               struct group_delete_batch *batch)
{
    if (atomic_fetch_sub(&batch->left, 1) == 1) {
        coordinator->outlet.send(coordinator->outlet.context, batch->reply);
        free(batch);
    }
}

static void on_stored(struct state_append *append, enum err err)
{
    struct group_pending_store *pending = container_of(append, struct group_pending_store, append);
    struct group_entry *entry = pending->entry;
    struct group_effects effects = {0};
    if (err != ERR_NONE) {
        LOG_ERROR("group", "group records were not flushed", "group=\"%.*s\" err=%s",
                  SLICE_ARGS(entry->id), err_name(err));
    }
    pthread_mutex_lock(&entry->lock);
    group_stored(entry->group, pending->store, err, coordinator_now(entry->coordinator), &effects);
    if (pending->batch != NULL && err != ERR_NONE) {
        pending->batch->reply->groups.items[pending->batch_index].err = ERR_COORDINATOR_UNAVAILABLE;
    }
    struct group_delete_batch *batch = pending->batch;
    struct group_coordinator *coordinator = entry->coordinator;
    coordinator_leave(entry, &effects);
    if (batch != NULL) {
        coordinator_batch_release(coordinator, batch);
    }
    free(pending);
}

/* Appends under the group's lock. Returns what is to be waited for once it is released. */
static struct group_pending_store *append_stores(struct group_entry *entry,
                                                 struct group_effects *effects,
                                                 struct group_delete_batch *deletion,
                                                 size_t batch_index)
{
    struct group_coordinator *coordinator = entry->coordinator;
    struct group_time now = coordinator_now(coordinator);
    struct group_pending_store *first = NULL, **last = &first;
    struct group_store *store;
    while ((store = effects->stores) != NULL) {
        effects->stores = store->next;
        store->next = NULL;
        struct group_pending_store *pending = mem_new(struct group_pending_store);
        pending->append.done = on_stored;
        struct state_batch batch = {.records = store->records,
                                    .record_count = store->record_count,
                                    .producer_id = store->producer_id,
                                    .producer_epoch = store->producer_epoch};
        enum err err = coordinator->log.append(coordinator->log.context, entry->partition, &batch,
                                               now.wall_ms, &pending->append);
        if (err != ERR_NONE) {
            if (store->producer_id <
                0) { /* else the log has said what is wrong with the producer */
                LOG_ERROR("group", "group records were not stored", "group=\"%.*s\" err=%s",
                          SLICE_ARGS(entry->id), err_name(err));
            }
            if (deletion != NULL) {
                deletion->reply->groups.items[batch_index].err = ERR_COORDINATOR_UNAVAILABLE;
            }
            free(pending);
            group_stored(entry->group, store, err, now, effects);
            continue;
        }
        pending->entry = entry;
        atomic_fetch_add(&entry->refs, 1);
        pending->store = store;
        if (deletion != NULL) {
            pending->batch = deletion;
            pending->batch_index = batch_index;
            atomic_fetch_add(&deletion->left, 1);
        }
        *last = pending;
        last = &pending->next;
    }
    return first;
}

void coordinator_leave_deleting(struct group_entry *entry, struct group_effects *effects,
                                struct group_delete_batch *batch, size_t batch_index)
{
    struct group_coordinator *coordinator = entry->coordinator;
    struct group_pending_store *pending = append_stores(entry, effects, batch, batch_index);
    if (group_is_forgotten(entry->group)) {
        group_set_state(entry->group, GROUP_DEAD, coordinator_now(coordinator));
    }
    bool dead = group_state(entry->group) == GROUP_DEAD;
    int64_t deadline_ms = group_deadline_ms(entry->group);
    pthread_mutex_unlock(&entry->lock);
    if (dead) {
        forget_entry(entry);
    } else {
        set_timer(entry, deadline_ms);
    }
    coordinator_send(coordinator, effects);
    while (pending != NULL) {
        struct group_pending_store *next = pending->next;
        coordinator->log.wait(coordinator->log.context, &pending->append);
        pending = next;
    }
    coordinator_unref(entry);
}

void coordinator_leave(struct group_entry *entry, struct group_effects *effects)
{
    coordinator_leave_deleting(entry, effects, NULL, 0);
}

/* ---- all groups ---- */

static struct group_entry **all_entries(struct group_coordinator *coordinator, size_t *count)
{
    pthread_mutex_lock(&coordinator->table_lock);
    *count = 0;
    struct group_entry **entries =
        mem_new_array(struct group_entry *, HASH_COUNT(coordinator->table));
    for (struct group_entry *e = coordinator->table; e != NULL; e = e->hh.next) {
        atomic_fetch_add(&e->refs, 1);
        entries[(*count)++] = e;
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    return entries;
}

void coordinator_each(struct group_coordinator *coordinator, coordinator_visit *visit,
                      void *context)
{
    size_t count;
    struct group_entry **entries = all_entries(coordinator, &count);
    for (size_t i = 0; i < count; i++) {
        struct group_effects effects = {0};
        pthread_mutex_lock(&entries[i]->lock);
        if (group_state(entries[i]->group) != GROUP_DEAD) {
            visit(entries[i]->group, context, coordinator_now(coordinator), &effects);
        }
        coordinator_leave(entries[i], &effects);
    }
    free(entries);
}

/* ---- start and stop ---- */

enum err group_coordinator_replay(struct group_coordinator *coordinator, struct slice key,
                                  struct slice value)
{
    assert(coordinator->phase == COORDINATOR_LOADING);
    struct group_record_key parsed;
    enum err err = group_record_key_read(key, &parsed);
    if (err != ERR_NONE || parsed.kind == GROUP_RECORD_OTHER) {
        return err;
    }
    struct group_entry *entry = coordinator_find(coordinator, parsed.group_id, true);
    pthread_mutex_lock(&entry->lock);
    err = group_apply_record(entry->group, &parsed, value, coordinator_now(coordinator));
    pthread_mutex_unlock(&entry->lock);
    coordinator_unref(entry);
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

static void visit_loaded(struct group *group, void *context, struct group_time now,
                         struct group_effects *effects)
{
    group_loaded(group, now, effects);
}

void group_coordinator_load_done(struct group_coordinator *coordinator)
{
    coordinator_each(coordinator, visit_loaded, NULL);
    coordinator->phase = COORDINATOR_SERVING;
}

static void visit_stop(struct group *group, void *context, struct group_time now,
                       struct group_effects *effects)
{
    group_abandon(group, ERR_COORDINATOR_UNAVAILABLE, effects);
}

void group_coordinator_stop(struct group_coordinator *coordinator)
{
    coordinator->phase = COORDINATOR_STOPPED;
    coordinator_each(coordinator, visit_stop, NULL);
}

void group_coordinator_free(struct group_coordinator *coordinator)
{
    struct heap_node *node;
    while ((node = heap_least(&coordinator->timers)) != NULL) {
        heap_remove(&coordinator->timers, node);
        coordinator_unref(container_of(node, struct group_entry, timer));
    }
    coordinator_forget_txns(coordinator);
    struct group_entry *entry, *next;
    HASH_ITER (hh, coordinator->table, entry, next) {
        HASH_DEL(coordinator->table, entry);
        assert(entry->refs == 1); /* else an append is still under way */
        coordinator_unref(entry);
    }
    heap_deinit(&coordinator->timers);
    pthread_mutex_destroy(&coordinator->table_lock);
    pthread_mutex_destroy(&coordinator->txn_lock);
    pthread_mutex_destroy(&coordinator->timer_lock);
    free(coordinator);
}
