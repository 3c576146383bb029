#include "txn/coordinator_internal.h"

#include "base/logger.h"
#include "base/mem.h"

#include <stdlib.h>

/*
 * How changes get to the disk, and how an end is carried out, from its prepare record on disk to
 * its complete record on disk. The steps follow each other on whichever thread finished the one
 * before; one at a time for an id, since only END_NONE and END_AGAIN begin one.
 */

enum { RETRY_DOUBLINGS = 3 };

/* What follows once a record is on disk. */
enum store_purpose {
    STORE_ANSWER,   /* only an answer, or nothing */
    STORE_PREPARE,  /* markers may be written */
    STORE_COMPLETE, /* the change may be applied */
};

/* A record between append and done. */
struct txn_store {
    struct entry_append append;
    enum store_purpose purpose;
    struct txn_waiter *waiter; /* or NULL */
    struct txn_answer answer;
    struct txn_change change; /* of STORE_COMPLETE: adds nothing */
};

/* The markers of one try. */
struct end_try {
    struct txn_markers markers;
    struct txn_entry *entry; /* a reference */
};

/* Nothing but this file changes `left` of a prepared transaction. Topics stay until it is complete.
 */
static void list_markers(struct txn_entry *entry)
{
    const struct txn_partitions *partitions = &entry->txn->partitions;
    entry->left = mem_new_array(struct txn_marker, partitions->count);
    entry->left_count = partitions->count;
    for (size_t i = 0; i < partitions->count; i++) {
        entry->left[i] = (struct txn_marker){.topic = partitions->items[i].topic,
                                             .partition = partitions->items[i].index};
    }
}

/* Leaves the entry and answers who waits for the end. */
static void leave_answering(struct txn_entry *entry, enum err err)
{
    struct txn_waiter *parked = txnc_take_parked(entry);
    txnc_leave(entry);
    txnc_answer_all(parked, err);
}

/* Later each time: a log that failed stays so until a restart. */
static void try_again(struct txn_entry *entry)
{
    struct txn_coordinator *coordinator = txnc_of(entry);
    entry->step = END_AGAIN;
    entry->retry_ms = coordinator_now(&coordinator->base).mono_ms +
                      (coordinator->config.retry_ms << entry->failures);
    entry->failures += entry->failures < RETRY_DOUBLINGS;
    leave_answering(entry, ERR_CONCURRENT_TXNS);
}

/* The record that the end needs cannot get to the disk. */
static void give_up(struct txn_entry *entry)
{
    entry->step = END_GIVEN_UP;
    leave_answering(entry, ERR_COORDINATOR_UNAVAILABLE);
}

static void complete(struct txn_entry *entry)
{
    struct txn_change change;
    txn_complete(entry->txn, coordinator_now(&txnc_of(entry)->base), &change);
    if (txnc_store(entry, &change, NULL, NULL) != ERR_NONE) {
        try_again(entry);
        return;
    }
    entry->step = END_COMPLETE;
    txnc_leave(entry);
}

/* Keeps those that are to be tried again. */
static void keep_left(struct txn_entry *entry)
{
    size_t kept = 0;
    for (size_t i = 0; i < entry->left_count; i++) {
        if (entry->left[i].again) {
            entry->left[kept] = entry->left[i];
            entry->left[kept++].again = false;
        }
    }
    entry->left_count = kept;
}

static void on_markers(struct txn_markers *markers)
{
    struct end_try *attempt = container_of(markers, struct end_try, markers);
    struct txn_entry *entry = attempt->entry;
    free(attempt);
    entry_lock(&entry->base);
    keep_left(entry);
    if (entry->left_count == 0) {
        complete(entry);
        return;
    }
    LOG_WARN("txn", "markers of a transaction could not be written and are tried again",
             "id=\"%.*s\" producer=%lld epoch=%d partitions=%zu first=\"%.*s-%d\"",
             SLICE_ARGS(entry->txn->id), (long long)entry->txn->fields.producer_id,
             entry->txn->fields.producer_epoch, entry->left_count, SLICE_ARGS(entry->left[0].topic),
             (int)entry->left[0].partition);
    try_again(entry);
}

void txnc_carry_out(struct txn_entry *entry)
{
    struct txn_coordinator *coordinator = txnc_of(entry);
    bool begins = entry->step == END_NONE || entry->step == END_AGAIN;
    if (coordinator->base.phase == COORDINATOR_STOPPED || !begins) {
        txnc_leave(entry);
        return;
    }
    if (entry->step == END_NONE) {
        list_markers(entry);
    }
    if (entry->left_count == 0) {
        complete(entry);
        return;
    }
    struct end_try *attempt = mem_new(struct end_try);
    attempt->entry = entry; /* its reference goes over */
    attempt->markers = (struct txn_markers){
        .producer_id = entry->txn->fields.producer_id,
        .producer_epoch = entry->txn->fields.producer_epoch,
        .commit = entry->txn->fields.state == TXN_PREPARE_COMMIT,
        .items = entry->left,
        .count = entry->left_count,
        .done = on_markers,
    };
    entry->step = END_MARKERS;
    (void)entry_unlock(&entry->base); /* nothing was appended; its reference went over */
    coordinator->participants.write_markers(coordinator->participants.context, &attempt->markers);
}

/* The complete record is on disk, or not: applies it, or gives up. Locked; leaves it. */
static void completed(struct txn_entry *entry, const struct txn_change *change, enum err err)
{
    struct txn_coordinator *coordinator = txnc_of(entry);
    if (err != ERR_NONE) {
        give_up(entry);
        return;
    }
    free(entry->left);
    entry->left = NULL;
    entry->step = END_NONE;
    entry->retry_ms = 0;
    entry->failures = 0;
    txn_apply(entry->txn, change, &coordinator->config.txn, coordinator_now(&coordinator->base));
    leave_answering(entry, ERR_NONE);
}

/* ---- records ---- */

static void on_stored(struct entry_append *append, struct entry *base, enum err err)
{
    struct txn_store *store = container_of(append, struct txn_store, append);
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    if (err != ERR_NONE) {
        store->answer = (struct txn_answer){
            .err = ERR_COORDINATOR_UNAVAILABLE, .producer_id = -1, .producer_epoch = -1};
        reason_set(&store->answer.reason,
                   "the disk failed before the state of transactional id '%.*s' was safe",
                   SLICE_ARGS(entry->base.key));
    }
    if (store->waiter != NULL) {
        store->waiter->done(store->waiter, &store->answer);
    }
    entry_lock(base);
    if (store->purpose == STORE_COMPLETE) {
        completed(entry, &store->change, err);
    } else if (store->purpose == STORE_PREPARE && err == ERR_NONE) {
        txnc_carry_out(entry);
    } else if (store->purpose == STORE_PREPARE) {
        give_up(entry);
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
                    struct txn_waiter *waiter, struct reason *reason)
{
    struct txn_coordinator *coordinator = txnc_of(entry);
    struct txn_store *store = store_new(entry, change, waiter);
    struct buf key = {0};
    struct buf value = {0};
    txn_record_write(entry->txn, change, &key, &value);
    struct state_record record = {.key = buf_slice(&key),
                                  .value = change->dead ? (struct slice){0} : buf_slice(&value)};
    struct state_batch batch = {.records = &record, .record_count = 1, .producer_id = -1};
    enum err err = entry_append(&entry->base, &batch, &store->append);
    buf_deinit(&key);
    buf_deinit(&value);
    if (err != ERR_NONE) {
        free(store);
        return reason_fail(reason, ERR_COORDINATOR_UNAVAILABLE,
                           "the state of transactional id '%.*s' could not be written",
                           SLICE_ARGS(entry->base.key));
    }
    if (store->purpose != STORE_COMPLETE) {
        txn_apply(entry->txn, change, &coordinator->config.txn,
                  coordinator_now(&coordinator->base));
        entry->base.dead = change->dead;
    }
    return ERR_NONE;
}
