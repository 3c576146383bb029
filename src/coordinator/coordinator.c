#include "coordinator/coordinator.h"

#include "base/java_hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

void coordinator_init(struct coordinator *coordinator, const struct coordinator_kind *kind,
                      const struct coordinator_env *env)
{
    *coordinator = (struct coordinator){.kind = kind, .env = *env, .phase = COORDINATOR_LOADING};
    pthread_mutex_init(&coordinator->table_lock, NULL);
    pthread_mutex_init(&coordinator->timer_lock, NULL);
}

void coordinator_deinit(struct coordinator *coordinator)
{
    struct heap_node *node;
    while ((node = heap_least(&coordinator->timers)) != NULL) {
        heap_remove(&coordinator->timers, node);
        entry_unref(container_of(node, struct entry, timer));
    }
    struct entry *entry, *next;
    HASH_ITER (hh, coordinator->table, entry, next) {
        HASH_DEL(coordinator->table, entry);
        assert(entry->refs == 1); /* else an append is still under way */
        entry_unref(entry);
    }
    heap_deinit(&coordinator->timers);
    pthread_mutex_destroy(&coordinator->table_lock);
    pthread_mutex_destroy(&coordinator->timer_lock);
}

enum err coordinator_check(const struct coordinator *coordinator)
{
    switch ((enum coordinator_phase)coordinator->phase) {
    case COORDINATOR_LOADING:
        return ERR_LOADING;
    case COORDINATOR_STOPPED:
        return ERR_COORDINATOR_UNAVAILABLE;
    case COORDINATOR_SERVING:
        break;
    }
    return ERR_NONE;
}

int32_t coordinator_partition(const struct coordinator *coordinator, struct slice key)
{
    return java_hash_partition(key, coordinator->env.log.partition_count);
}

/* ---- entries ---- */

void entry_ref(struct entry *entry)
{
    atomic_fetch_add(&entry->refs, 1);
}

void entry_unref(struct entry *entry)
{
    if (atomic_fetch_sub(&entry->refs, 1) == 1) {
        pthread_mutex_destroy(&entry->lock);
        free((void *)(uintptr_t)entry->key.data);
        entry->coordinator->kind->free(entry);
    }
}

void entry_lock(struct entry *entry)
{
    pthread_mutex_lock(&entry->lock);
}

static struct entry *entry_make(struct coordinator *coordinator, struct slice key,
                                const void *origin)
{
    struct entry *entry = coordinator->kind->make(coordinator, key, origin);
    entry->coordinator = coordinator;
    entry->key = slice_of(mem_dup(key.data, key.size), key.size);
    entry->partition = coordinator_partition(coordinator, key);
    pthread_mutex_init(&entry->lock, NULL);
    entry->refs = 1; /* the table's */
    entry->armed_ms = INT64_MAX;
    return entry;
}

static struct entry *find_locked(const struct coordinator *coordinator, struct slice key)
{
    struct entry *entry;
    HASH_FIND(hh, coordinator->table, key.data, key.size, entry);
    return entry;
}

/* A reference, or NULL. */
static struct entry *find(struct coordinator *coordinator, struct slice key, bool create,
                          const void *origin)
{
    pthread_mutex_lock(&coordinator->table_lock);
    struct entry *entry = find_locked(coordinator, key);
    if (entry == NULL && create) {
        entry = entry_make(coordinator, key, origin);
        HASH_ADD_KEYPTR(hh, coordinator->table, entry->key.data, entry->key.size, entry);
    }
    if (entry != NULL) {
        entry_ref(entry);
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    return entry;
}

/* No walk is to meet the entry any more. Under table_lock. */
static void move_walks_on(struct coordinator *coordinator, const struct entry *entry)
{
    struct coordinator_walk *walk;
    DL_FOREACH2(coordinator->walks, walk, next_walk)
    {
        if (walk->next == entry) {
            walk->next = entry->hh.next;
        }
    }
}

/* Takes a dead entry out of the table, if it is still there. */
static void forget(struct entry *entry)
{
    struct coordinator *coordinator = entry->coordinator;
    pthread_mutex_lock(&coordinator->table_lock);
    bool found = find_locked(coordinator, entry->key) == entry;
    if (found) {
        move_walks_on(coordinator, entry);
        HASH_DEL(coordinator->table, entry);
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    if (found) {
        entry_unref(entry);
    }
}

static struct entry *enter(struct coordinator *coordinator, struct slice key, bool create,
                           const void *origin)
{
    for (;;) {
        struct entry *entry = find(coordinator, key, create, origin);
        if (entry == NULL) {
            return NULL;
        }
        entry_lock(entry);
        if (!entry->dead) {
            return entry;
        }
        pthread_mutex_unlock(&entry->lock);
        forget(entry); /* it died between the look-up and the lock: a new one may follow */
        entry_unref(entry);
    }
}

struct entry *entry_enter(struct coordinator *coordinator, struct slice key)
{
    return enter(coordinator, key, false, NULL);
}

struct entry *entry_enter_new(struct coordinator *coordinator, struct slice key, const void *origin)
{
    return enter(coordinator, key, true, origin);
}

bool coordinator_is_large(struct coordinator *coordinator, struct slice key)
{
    pthread_mutex_lock(&coordinator->table_lock);
    const struct entry *entry = find_locked(coordinator, key);
    bool large = entry != NULL && atomic_load(&entry->large);
    pthread_mutex_unlock(&coordinator->table_lock);
    return large;
}

size_t coordinator_count(struct coordinator *coordinator)
{
    pthread_mutex_lock(&coordinator->table_lock);
    size_t count = HASH_COUNT(coordinator->table);
    pthread_mutex_unlock(&coordinator->table_lock);
    return count;
}

void coordinator_each(struct coordinator *coordinator, entry_visit *visit, void *context)
{
    struct coordinator_walk walk;
    coordinator_walk_begin(coordinator, &walk);
    while (coordinator_walk_some(&walk, visit, context, INT64_MAX)) {
    }
}

void coordinator_walk_begin(struct coordinator *coordinator, struct coordinator_walk *walk)
{
    *walk = (struct coordinator_walk){.coordinator = coordinator};
    pthread_mutex_lock(&coordinator->table_lock);
    walk->next = coordinator->table;
    walk->left = HASH_COUNT(coordinator->table);
    DL_APPEND2(coordinator->walks, walk, prev_walk, next_walk);
    pthread_mutex_unlock(&coordinator->table_lock);
}

/* A reference to the next entry; NULL, and the walk has ended: there is none. */
static struct entry *walk_on(struct coordinator_walk *walk)
{
    struct coordinator *coordinator = walk->coordinator;
    pthread_mutex_lock(&coordinator->table_lock);
    struct entry *entry = walk->left > 0 ? walk->next : NULL;
    if (entry != NULL) {
        entry_ref(entry);
        walk->next = entry->hh.next;
        walk->left--;
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    if (entry == NULL) {
        coordinator_walk_end(walk);
    }
    return entry;
}

bool coordinator_walk_some(struct coordinator_walk *walk, entry_visit *visit, void *context,
                           int64_t ns)
{
    int64_t began_ns = clock_now_ns();
    struct entry *entry;
    while ((entry = walk_on(walk)) != NULL) {
        entry_lock(entry);
        if (entry->dead) {
            entry_leave(entry);
        } else {
            visit(entry, context);
        }
        if (clock_now_ns() - began_ns >= ns) {
            return true;
        }
    }
    return false;
}

void coordinator_walk_end(struct coordinator_walk *walk)
{
    struct coordinator *coordinator = walk->coordinator;
    if (coordinator != NULL) {
        pthread_mutex_lock(&coordinator->table_lock);
        DL_DELETE2(coordinator->walks, walk, prev_walk, next_walk);
        pthread_mutex_unlock(&coordinator->table_lock);
        walk->coordinator = NULL;
    }
}

/* ---- deadlines ---- */

/* Brings the entry's look forward, never back: tick finds the true deadline. */
static void arm(struct entry *entry, int64_t deadline_ms)
{
    struct coordinator *coordinator = entry->coordinator;
    bool earliest = false;
    /* Read without the lock, so that entries do not meet there. Tick sets it to INT64_MAX before it
       locks the entry, so whoever changed the state after that look sees it. */
    if (deadline_ms >= entry->armed_ms) {
        return;
    }
    pthread_mutex_lock(&coordinator->timer_lock);
    if (!heap_has(&entry->timer) || deadline_ms < entry->timer.key) {
        if (!heap_has(&entry->timer)) {
            entry_ref(entry);
        }
        heap_set(&coordinator->timers, &entry->timer, deadline_ms);
        entry->armed_ms = deadline_ms;
        earliest = heap_least(&coordinator->timers) == &entry->timer;
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    if (earliest && coordinator->env.wake != NULL) {
        coordinator->env.wake(coordinator->env.wake_context, deadline_ms);
    }
}

/* The next entry that is due, with the heap's reference; NULL and *next_ms when none is. */
static struct entry *take_due(struct coordinator *coordinator, int64_t now_ms, int64_t *next_ms)
{
    struct entry *entry = NULL;
    pthread_mutex_lock(&coordinator->timer_lock);
    struct heap_node *node = heap_least(&coordinator->timers);
    *next_ms = node != NULL ? node->key : INT64_MAX;
    if (node != NULL && node->key <= now_ms) {
        heap_remove(&coordinator->timers, node);
        entry = container_of(node, struct entry, timer);
        entry->armed_ms = INT64_MAX;
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    return entry;
}

int64_t coordinator_tick(struct coordinator *coordinator, int64_t now_ms)
{
    if (coordinator->phase != COORDINATOR_SERVING) {
        return INT64_MAX;
    }
    int64_t next_ms;
    struct entry *entry;
    while ((entry = take_due(coordinator, now_ms, &next_ms)) != NULL) {
        entry_lock(entry);
        if (entry->dead || coordinator->kind->deadline_ms(entry) > now_ms) {
            entry_leave(entry);
        } else {
            coordinator->kind->tick(entry, now_ms);
        }
    }
    return next_ms;
}

/* ---- appends ---- */

static void on_disk(struct state_append *state, enum err err)
{
    struct entry_append *append = container_of(state, struct entry_append, state);
    append->done(append, append->entry, err);
}

enum err entry_append(struct entry *entry, const struct state_batch *batch,
                      struct entry_append *append)
{
    const struct coordinator_env *env = &entry->coordinator->env;
    append->state = (struct state_append){.done = on_disk};
    struct state_batch named = *batch;
    named.id = entry->key;
    enum err err = env->log.append(env->log.context, entry->partition, &named,
                                   clock_wall_ms(env->clock), &append->state);
    if (err == ERR_NONE) {
        entry_ref(entry);
        append->entry = entry;
        append->next = NULL;
        *(entry->appended != NULL ? &entry->last_appended->next : &entry->appended) = append;
        entry->last_appended = append;
    }
    return err;
}

struct entry_append *entry_unlock(struct entry *entry)
{
    struct coordinator *coordinator = entry->coordinator;
    struct entry_append *appended = entry->appended;
    entry->appended = NULL;
    bool dead = entry->dead;
    int64_t deadline_ms = dead ? INT64_MAX : coordinator->kind->deadline_ms(entry);
    pthread_mutex_unlock(&entry->lock);
    if (dead) {
        forget(entry);
    } else if (coordinator->phase == COORDINATOR_SERVING) {
        arm(entry, deadline_ms);
    }
    return appended;
}

void entry_await(struct entry *entry, struct entry_append *appended)
{
    const struct state_log *log = &entry->coordinator->env.log;
    while (appended != NULL) {
        struct entry_append *next = appended->next; /* done may free it */
        log->wait(log->context, &appended->state);
        appended = next;
    }
    entry_unref(entry);
}

void entry_leave(struct entry *entry)
{
    entry_await(entry, entry_unlock(entry));
}
