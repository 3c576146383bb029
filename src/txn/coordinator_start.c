#include "txn/coordinator_internal.h"

#include "base/logger.h"

#include <assert.h>
#include <stdlib.h>

void txn_coordinator_config_init(struct txn_coordinator_config *config)
{
    *config = (struct txn_coordinator_config){
        .txn = {.max_timeout_ms = 15 * 60 * 1000, .expiration_ms = INT64_C(7) * 24 * 3600 * 1000},
        .retry_ms = 1000,
    };
}

int32_t txn_coordinator_partition(const struct txn_coordinator *coordinator, struct slice id)
{
    return coordinator_partition(&coordinator->base, id);
}

/* ---- the kind of entry ---- */

/* producer_id: an int64_t. */
static struct entry *make_entry(struct coordinator *base, struct slice id, const void *producer_id)
{
    struct txn_coordinator *coordinator = container_of(base, struct txn_coordinator, base);
    struct txn_entry *entry = mem_new(struct txn_entry);
    entry->txn = txn_new(id, *(const int64_t *)producer_id, &coordinator->config.txn,
                         coordinator_now(&coordinator->base));
    return &entry->base;
}

static void free_entry(struct entry *base)
{
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    if (entry->counted_bytes > 0) {
        atomic_fetch_sub(&txnc_of(entry)->held_bytes, (int64_t)entry->counted_bytes);
        budget_give(txnc_of(entry)->config.budget, BUDGET_PRODUCERS, entry->counted_bytes);
    }
    txn_free(entry->txn);
    free(entry->left);
    free(entry);
}

static int64_t entry_deadline(struct entry *base)
{
    const struct txn_entry *entry = container_of(base, struct txn_entry, base);
    if (txn_is_prepared(entry->txn)) {
        return entry->step == END_AGAIN ? entry->retry_ms : INT64_MAX;
    }
    int64_t deadline_ms = entry->txn->deadline_ms;
    return deadline_ms > entry->retry_ms ? deadline_ms : entry->retry_ms;
}

/* An ongoing transaction that took too long is aborted, an idle id forgotten. */
static void time_out(struct txn_entry *entry, struct clock_time now)
{
    struct txn *txn = entry->txn;
    struct txn_change change;
    if (txn->fields.state == TXN_ONGOING) {
        txn_fence(txn, now, &change);
        LOG_WARN("txn", "a transaction took longer than its time-out and is aborted",
                 "id=\"%.*s\" producer=%lld epoch=%d new_epoch=%d timeout_ms=%d partitions=%zu",
                 SLICE_ARGS(txn->id), (long long)txn->fields.producer_id,
                 txn->fields.producer_epoch, change.fields.producer_epoch,
                 (int)txn->fields.timeout_ms, txn->partitions.count);
    } else {
        txn_expire(txn, &change);
    }
    if (txnc_store(entry, &change, NULL, NULL) != ERR_NONE) {
        entry->retry_ms = now.mono_ms + txnc_of(entry)->config.retry_ms;
    }
    txnc_leave(entry);
}

static void on_deadline(struct entry *base, int64_t now_ms)
{
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    struct clock_time now = coordinator_now(&txnc_of(entry)->base);
    now.mono_ms = now_ms;
    if (txn_is_prepared(entry->txn)) {
        txnc_carry_out(entry);
    } else {
        time_out(entry, now);
    }
}

int64_t txn_coordinator_tick(struct txn_coordinator *coordinator, int64_t now_ms)
{
    return coordinator_tick(&coordinator->base, now_ms);
}

/* ---- start and stop ---- */

struct txn_coordinator *txn_coordinator_new(const struct txn_coordinator_config *config,
                                            const struct coordinator_env *env,
                                            const struct txn_participants *participants)
{
    static const struct coordinator_kind kind = {
        .make = make_entry,
        .free = free_entry,
        .deadline_ms = entry_deadline,
        .tick = on_deadline,
    };
    struct txn_coordinator *coordinator = mem_new(struct txn_coordinator);
    coordinator_init(&coordinator->base, &kind, env);
    coordinator->config = *config;
    coordinator->participants = *participants;
    return coordinator;
}

enum err txn_coordinator_replay(struct txn_coordinator *coordinator, struct slice key,
                                struct slice value)
{
    assert(coordinator->base.phase == COORDINATOR_LOADING);
    struct slice id;
    enum err err = txn_record_key_read(key, &id);
    if (err != ERR_NONE || slice_is_null(id)) {
        return err;
    }
    bool tombstone = slice_is_null(value);
    struct txn_entry *entry =
        tombstone ? txnc_enter(coordinator, id) : txnc_enter_new(coordinator, id, 0);
    if (entry == NULL) {
        return ERR_NONE; /* a tombstone of what is not there */
    }
    if (!tombstone) {
        err = txn_record_apply(entry->txn, value, &coordinator->config.txn,
                               coordinator_now(&coordinator->base));
    }
    /* Of an unreadable first record nothing is known. */
    entry->base.dead = tombstone || (err != ERR_NONE && entry->txn->fields.producer_epoch < 0);
    txnc_leave(entry);
    return err;
}

enum err txn_coordinator_replay_stored(void *context, int32_t partition, const struct batch *batch,
                                       const struct record *record)
{
    return batch_is_control(batch) ? ERR_NONE
                                   : txn_coordinator_replay(context, record->key, record->value);
}

static void visit_loaded(struct entry *base, void *context)
{
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    if (!txn_is_prepared(entry->txn)) {
        txnc_leave(entry);
        return;
    }
    LOG_INFO("txn", "the end of a transaction is carried on", "id=\"%.*s\" state=%s",
             SLICE_ARGS(base->key), txn_state_name(entry->txn->fields.state));
    txnc_carry_out(entry);
}

void txn_coordinator_load_done(struct txn_coordinator *coordinator)
{
    coordinator->base.phase = COORDINATOR_SERVING;
    coordinator_each(&coordinator->base, visit_loaded, NULL);
    (void)txn_coordinator_reconcile(coordinator);
}

static void visit_stop(struct entry *base, void *context)
{
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    struct txn_waiter *parked = txnc_take_parked(entry);
    txnc_leave(entry);
    txnc_answer_all(parked, ERR_COORDINATOR_UNAVAILABLE);
}

void txn_coordinator_stop(struct txn_coordinator *coordinator)
{
    coordinator->base.phase = COORDINATOR_STOPPED;
    coordinator_each(&coordinator->base, visit_stop, NULL);
}

void txn_coordinator_free(struct txn_coordinator *coordinator)
{
    coordinator_deinit(&coordinator->base);
    free(coordinator);
}
