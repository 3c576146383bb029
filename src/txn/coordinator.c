#include "txn/coordinator_internal.h"

#include "base/java_hash.h"
#include "base/logger.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

void txn_coordinator_config_init(struct txn_coordinator_config *config)
{
    *config = (struct txn_coordinator_config){
        .txn = {.max_timeout_ms = 15 * 60 * 1000, .expiration_ms = INT64_C(7) * 24 * 3600 * 1000},
        .retry_ms = 1000,
    };
}

struct txn_coordinator *txn_coordinator_new(const struct txn_coordinator_config *config,
                                            const struct clock *clock, const struct state_log *log,
                                            const struct txn_participants *participants,
                                            const struct txn_outlet *outlet)
{
    struct txn_coordinator *coordinator = mem_new(struct txn_coordinator);
    coordinator->config = *config;
    coordinator->clock = clock;
    coordinator->log = *log;
    coordinator->participants = *participants;
    coordinator->outlet = *outlet;
    coordinator->phase = TXNC_LOADING;
    pthread_mutex_init(&coordinator->table_lock, NULL);
    pthread_mutex_init(&coordinator->timer_lock, NULL);
    return coordinator;
}

struct txn_time txnc_now(const struct txn_coordinator *coordinator)
{
    return (struct txn_time){.mono_ms = clock_mono_ms(coordinator->clock),
                             .wall_ms = clock_wall_ms(coordinator->clock)};
}

int32_t txn_coordinator_partition(const struct txn_coordinator *coordinator, struct slice id)
{
    return java_hash_partition(id, coordinator->log.partition_count);
}

enum err txnc_check(const struct txn_coordinator *coordinator, struct slice id,
                    struct reason *reason)
{
    if (id.size == 0) {
        return reason_fail(reason, ERR_INVALID, "the transactional id is empty");
    }
    switch ((enum txnc_phase)coordinator->phase) {
    case TXNC_LOADING:
        return reason_fail(reason, ERR_LOADING, "transactions are still being read");
    case TXNC_STOPPED:
        return reason_fail(reason, ERR_COORDINATOR_UNAVAILABLE, "the server is stopping");
    case TXNC_SERVING:
        break;
    }
    return ERR_NONE;
}

/* ---- entries ---- */

void txnc_ref(struct txn_entry *entry)
{
    atomic_fetch_add(&entry->refs, 1);
}

void txnc_unref(struct txn_entry *entry)
{
    if (atomic_fetch_sub(&entry->refs, 1) == 1) {
        pthread_mutex_destroy(&entry->lock);
        txn_free(entry->txn);
        free(entry->left);
        free(entry);
    }
}

static struct txn_entry *entry_new(struct txn_coordinator *coordinator, struct slice id,
                                   int64_t producer_id)
{
    struct txn_entry *entry = mem_new(struct txn_entry);
    entry->coordinator = coordinator;
    entry->txn = txn_new(id, producer_id, &coordinator->config.txn, txnc_now(coordinator));
    entry->partition = txn_coordinator_partition(coordinator, id);
    pthread_mutex_init(&entry->lock, NULL);
    entry->refs = 1; /* the table's */
    return entry;
}

/* A reference, or NULL. Makes it when producer_id >= 0. */
static struct txn_entry *find_entry(struct txn_coordinator *coordinator, struct slice id,
                                    int64_t producer_id)
{
    struct txn_entry *entry = NULL;
    pthread_mutex_lock(&coordinator->table_lock);
    HASH_FIND(hh, coordinator->table, id.data, id.size, entry);
    if (entry == NULL && producer_id >= 0) {
        entry = entry_new(coordinator, id, producer_id);
        HASH_ADD_KEYPTR(hh, coordinator->table, entry->txn->id.data, entry->txn->id.size, entry);
    }
    if (entry != NULL) {
        txnc_ref(entry);
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    return entry;
}

/* Takes a dead entry out of the table, if it is still there. */
static void forget_entry(struct txn_entry *entry)
{
    struct txn_coordinator *coordinator = entry->coordinator;
    struct txn_entry *found = NULL;
    pthread_mutex_lock(&coordinator->table_lock);
    HASH_FIND(hh, coordinator->table, entry->txn->id.data, entry->txn->id.size, found);
    if (found == entry) {
        HASH_DEL(coordinator->table, entry);
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    if (found == entry) {
        txnc_unref(entry);
    }
}

struct txn_entry *txnc_enter_new(struct txn_coordinator *coordinator, struct slice id,
                                 int64_t producer_id)
{
    for (;;) {
        struct txn_entry *entry = find_entry(coordinator, id, producer_id);
        if (entry == NULL) {
            return NULL;
        }
        pthread_mutex_lock(&entry->lock);
        if (!entry->dead) {
            return entry;
        }
        pthread_mutex_unlock(&entry->lock);
        forget_entry(entry); /* expired between the look-up and the lock: a new one may follow */
        txnc_unref(entry);
    }
}

struct txn_entry *txnc_enter(struct txn_coordinator *coordinator, struct slice id)
{
    return txnc_enter_new(coordinator, id, -1);
}

struct txn_entry **txnc_entries(struct txn_coordinator *coordinator, size_t *count)
{
    pthread_mutex_lock(&coordinator->table_lock);
    *count = 0;
    struct txn_entry **entries = mem_new_array(struct txn_entry *, HASH_COUNT(coordinator->table));
    for (struct txn_entry *e = coordinator->table; e != NULL; e = e->hh.next) {
        txnc_ref(e);
        entries[(*count)++] = e;
    }
    pthread_mutex_unlock(&coordinator->table_lock);
    return entries;
}

/* ---- timers ---- */

/* When the entry wants to be looked at; its lock is held. */
static int64_t entry_deadline(const struct txn_entry *entry)
{
    if (entry->dead) {
        return INT64_MAX;
    }
    if (txn_is_prepared(entry->txn)) {
        return entry->step == END_AGAIN ? entry->retry_ms : INT64_MAX;
    }
    int64_t deadline_ms = entry->txn->deadline_ms;
    return deadline_ms > entry->retry_ms ? deadline_ms : entry->retry_ms;
}

/* Brings the entry's look forward, never back: tick finds the true deadline. */
static void set_timer(struct txn_entry *entry, int64_t deadline_ms)
{
    struct txn_coordinator *coordinator = entry->coordinator;
    bool earliest = false;
    if (deadline_ms == INT64_MAX) {
        return;
    }
    pthread_mutex_lock(&coordinator->timer_lock);
    if (!heap_has(&entry->timer) || deadline_ms < entry->timer.key) {
        if (!heap_has(&entry->timer)) {
            txnc_ref(entry);
        }
        heap_set(&coordinator->timers, &entry->timer, deadline_ms);
        earliest = heap_least(&coordinator->timers) == &entry->timer;
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    if (earliest && coordinator->outlet.wake != NULL) {
        coordinator->outlet.wake(coordinator->outlet.context, deadline_ms);
    }
}

/* The next entry that is due, with the heap's reference; NULL and *next_ms when none is. */
static struct txn_entry *take_due(struct txn_coordinator *coordinator, int64_t now_ms,
                                  int64_t *next_ms)
{
    struct txn_entry *entry = NULL;
    pthread_mutex_lock(&coordinator->timer_lock);
    struct heap_node *node = heap_least(&coordinator->timers);
    *next_ms = node != NULL ? node->key : INT64_MAX;
    if (node != NULL && node->key <= now_ms) {
        heap_remove(&coordinator->timers, node);
        entry = container_of(node, struct txn_entry, timer);
    }
    pthread_mutex_unlock(&coordinator->timer_lock);
    return entry;
}

void txnc_leave(struct txn_entry *entry)
{
    bool dead = entry->dead;
    int64_t deadline_ms = entry_deadline(entry);
    pthread_mutex_unlock(&entry->lock);
    if (dead) {
        forget_entry(entry);
    } else {
        set_timer(entry, deadline_ms);
    }
    txnc_unref(entry);
}

/* An ongoing transaction that took too long is aborted, an idle id forgotten. */
static void on_deadline(struct txn_entry *entry, struct txn_time now)
{
    struct txn *txn = entry->txn;
    struct txn_change change;
    struct txn_store *store = NULL;
    bool late = txn->fields.state == TXN_ONGOING;
    if (late) {
        txn_fence(txn, now, &change);
        LOG_WARN("txn", "a transaction took longer than its time-out and is aborted",
                 "id=\"%.*s\" producer=%lld epoch=%d new_epoch=%d timeout_ms=%d partitions=%zu",
                 SLICE_ARGS(txn->id), (long long)txn->fields.producer_id,
                 txn->fields.producer_epoch, change.fields.producer_epoch,
                 (int)txn->fields.timeout_ms, txn->partitions.count);
    } else {
        txn_expire(txn, &change);
    }
    if (txnc_store(entry, &change, NULL, &store, NULL) != ERR_NONE) {
        entry->retry_ms = now.mono_ms + entry->coordinator->config.retry_ms;
    }
    struct txn_coordinator *coordinator = entry->coordinator;
    txnc_leave(entry);
    txnc_await(coordinator, store);
}

int64_t txn_coordinator_tick(struct txn_coordinator *coordinator, int64_t now_ms)
{
    if (coordinator->phase != TXNC_SERVING) {
        return INT64_MAX;
    }
    int64_t next_ms;
    struct txn_entry *entry;
    while ((entry = take_due(coordinator, now_ms, &next_ms)) != NULL) {
        struct txn_time now = txnc_now(coordinator);
        now.mono_ms = now_ms;
        pthread_mutex_lock(&entry->lock);
        if (entry_deadline(entry) > now_ms) {
            txnc_leave(entry);
        } else if (txn_is_prepared(entry->txn)) {
            txnc_carry_out(entry);
        } else {
            on_deadline(entry, now);
        }
    }
    return next_ms;
}

/* ---- answers ---- */

void txnc_answer(struct txn_waiter *waiter, enum err err, const struct reason *reason)
{
    struct txn_answer answer = {.err = err, .producer_id = -1, .producer_epoch = -1};
    if (reason != NULL) {
        answer.reason = *reason;
    }
    waiter->done(waiter, &answer);
}

struct txn_waiter *txnc_take_parked(struct txn_entry *entry)
{
    struct txn_waiter *parked = entry->parked;
    entry->parked = NULL;
    return parked;
}

void txnc_answer_all(struct txn_waiter *waiters, enum err err)
{
    while (waiters != NULL) {
        struct txn_waiter *next = waiters->next; /* done may free it */
        txnc_answer(waiters, err, NULL);
        waiters = next;
    }
}

/* ---- records ---- */

static void on_stored(struct state_append *append, enum err err)
{
    struct txn_store *store = container_of(append, struct txn_store, append);
    struct txn_entry *entry = store->entry;
    if (err != ERR_NONE) {
        LOG_ERROR("txn", "a transaction's record was not flushed", "id=\"%.*s\" err=%s",
                  SLICE_ARGS(entry->txn->id), err_name(err));
        store->answer = (struct txn_answer){
            .err = ERR_COORDINATOR_UNAVAILABLE, .producer_id = -1, .producer_epoch = -1};
        reason_set(&store->answer.reason,
                   "the disk failed before the state of transactional id '%.*s' was safe",
                   SLICE_ARGS(entry->txn->id));
    }
    if (store->waiter != NULL) {
        store->waiter->done(store->waiter, &store->answer);
    }
    pthread_mutex_lock(&entry->lock);
    if (store->purpose == STORE_COMPLETE) {
        txnc_completed(entry, &store->change, err);
    } else if (store->purpose == STORE_PREPARE && err == ERR_NONE) {
        txnc_carry_out(entry);
    } else if (store->purpose == STORE_PREPARE) {
        txnc_give_up(entry);
    } else {
        txnc_leave(entry);
    }
    free(store);
}

/* While an end is carried out, nothing but its completion is stored. */
static enum store_purpose purpose_of(const struct txn *txn, const struct txn_change *change)
{
    if (txn_is_prepared(txn)) {
        return STORE_COMPLETE;
    }
    bool prepares =
        change->fields.state == TXN_PREPARE_COMMIT || change->fields.state == TXN_PREPARE_ABORT;
    return prepares ? STORE_PREPARE : STORE_ANSWER;
}

static struct txn_store *store_new(struct txn_entry *entry, const struct txn_change *change,
                                   struct txn_waiter *waiter)
{
    struct txn_store *store = mem_new(struct txn_store);
    store->append.done = on_stored;
    store->entry = entry;
    txnc_ref(entry);
    store->purpose = purpose_of(entry->txn, change);
    store->waiter = waiter;
    store->change = *change;
    store->answer =
        (struct txn_answer){.err = change->answer, .producer_id = -1, .producer_epoch = -1};
    if (change->answer == ERR_NONE) {
        store->answer.producer_id = change->producer_id;
        store->answer.producer_epoch = change->producer_epoch;
    }
    return store;
}

enum err txnc_store(struct txn_entry *entry, const struct txn_change *change,
                    struct txn_waiter *waiter, struct txn_store **out, struct reason *reason)
{
    struct txn_coordinator *coordinator = entry->coordinator;
    struct txn_time now = txnc_now(coordinator);
    struct txn_store *store = store_new(entry, change, waiter);
    struct buf key = {0};
    struct buf value = {0};
    txn_record_write(entry->txn, change, &key, &value);
    struct state_record record = {.key = buf_slice(&key),
                                  .value = change->dead ? (struct slice){0} : buf_slice(&value)};
    struct state_batch batch = {.records = &record, .record_count = 1, .producer_id = -1};
    enum err err = coordinator->log.append(coordinator->log.context, entry->partition, &batch,
                                           now.wall_ms, &store->append);
    buf_deinit(&key);
    buf_deinit(&value);
    if (err != ERR_NONE) {
        LOG_ERROR("txn", "a transaction's record was not stored", "id=\"%.*s\" err=%s",
                  SLICE_ARGS(entry->txn->id), err_name(err));
        txnc_unref(entry); /* the caller has a reference of its own */
        free(store);
        return reason_fail(reason, ERR_COORDINATOR_UNAVAILABLE,
                           "the state of transactional id '%.*s' could not be written",
                           SLICE_ARGS(entry->txn->id));
    }
    if (store->purpose != STORE_COMPLETE) {
        txn_apply(entry->txn, change, &coordinator->config.txn, now);
        entry->dead = change->dead;
    }
    *out = store;
    return ERR_NONE;
}

void txnc_await(struct txn_coordinator *coordinator, struct txn_store *store)
{
    if (store != NULL) {
        coordinator->log.wait(coordinator->log.context, &store->append);
    }
}

/* ---- start and stop ---- */

enum err txn_coordinator_replay(struct txn_coordinator *coordinator, struct slice key,
                                struct slice value)
{
    assert(coordinator->phase == TXNC_LOADING);
    struct slice id;
    enum err err = txn_record_key_read(key, &id);
    if (err != ERR_NONE || slice_is_null(id)) {
        return err;
    }
    struct txn_entry *entry = find_entry(coordinator, id, slice_is_null(value) ? -1 : 0);
    if (entry == NULL) {
        return ERR_NONE; /* a tombstone of what is not there */
    }
    if (slice_is_null(value)) {
        forget_entry(entry);
    } else {
        err = txn_record_apply(entry->txn, value, &coordinator->config.txn, txnc_now(coordinator));
        if (err != ERR_NONE && entry->txn->fields.producer_epoch < 0) {
            forget_entry(entry); /* nothing is known of it */
        }
    }
    txnc_unref(entry);
    return err;
}

enum err txn_coordinator_replay_stored(void *context, int32_t partition, const struct batch *batch,
                                       const struct record *record)
{
    return batch_is_control(batch) ? ERR_NONE
                                   : txn_coordinator_replay(context, record->key, record->value);
}

void txn_coordinator_load_done(struct txn_coordinator *coordinator)
{
    coordinator->phase = TXNC_SERVING;
    size_t count;
    struct txn_entry **entries = txnc_entries(coordinator, &count);
    for (size_t i = 0; i < count; i++) {
        struct txn_entry *entry = entries[i];
        pthread_mutex_lock(&entry->lock);
        if (!txn_is_prepared(entry->txn)) {
            txnc_leave(entry);
            continue;
        }
        LOG_INFO("txn", "the end of a transaction is carried on", "id=\"%.*s\" state=%s",
                 SLICE_ARGS(entry->txn->id), txn_state_name(entry->txn->fields.state));
        txnc_carry_out(entry);
    }
    free(entries);
    (void)txn_coordinator_reconcile(coordinator);
}

void txn_coordinator_stop(struct txn_coordinator *coordinator)
{
    coordinator->phase = TXNC_STOPPED;
    size_t count;
    struct txn_entry **entries = txnc_entries(coordinator, &count);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&entries[i]->lock);
        struct txn_waiter *parked = txnc_take_parked(entries[i]);
        pthread_mutex_unlock(&entries[i]->lock);
        txnc_answer_all(parked, ERR_COORDINATOR_UNAVAILABLE);
        txnc_unref(entries[i]);
    }
    free(entries);
}

void txn_coordinator_free(struct txn_coordinator *coordinator)
{
    struct heap_node *node;
    while ((node = heap_least(&coordinator->timers)) != NULL) {
        heap_remove(&coordinator->timers, node);
        txnc_unref(container_of(node, struct txn_entry, timer));
    }
    struct txn_entry *entry, *next;
    HASH_ITER (hh, coordinator->table, entry, next) {
        HASH_DEL(coordinator->table, entry);
        assert(entry->refs == 1); /* else an append is still under way */
        txnc_unref(entry);
    }
    heap_deinit(&coordinator->timers);
    pthread_mutex_destroy(&coordinator->table_lock);
    pthread_mutex_destroy(&coordinator->timer_lock);
    free(coordinator);
}
