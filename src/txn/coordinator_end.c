#include "txn/coordinator_internal.h"

#include "base/logger.h"
#include "base/mem.h"

#include <stdlib.h>

/*
 * How an end is carried out, from its prepare record on disk to its complete record on disk. The
 * steps follow each other on whichever thread finished the one before; one at a time for an id,
 * since only END_NONE and END_AGAIN begin one.
 */

enum { RETRY_DOUBLINGS = 3 };

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

/* Locked; unlocks, answers who waits for the end, and lets go of the entry. */
static void leave_answering(struct txn_entry *entry, enum err err)
{
    struct txn_waiter *parked = txnc_take_parked(entry);
    txnc_leave(entry);
    txnc_answer_all(parked, err);
}

/* Later each time: a log that failed stays so until a restart. */
static void try_again(struct txn_entry *entry)
{
    struct txn_coordinator *coordinator = entry->coordinator;
    entry->step = END_AGAIN;
    entry->retry_ms =
        clock_mono_ms(coordinator->clock) + (coordinator->config.retry_ms << entry->failures);
    entry->failures += entry->failures < RETRY_DOUBLINGS;
    leave_answering(entry, ERR_CONCURRENT_TXNS);
}

void txnc_give_up(struct txn_entry *entry)
{
    entry->step = END_GIVEN_UP;
    leave_answering(entry, ERR_COORDINATOR_UNAVAILABLE);
}

static void complete(struct txn_entry *entry)
{
    struct txn_coordinator *coordinator = entry->coordinator;
    struct txn_change change;
    struct txn_store *store;
    txn_complete(entry->txn, txnc_now(coordinator), &change);
    if (txnc_store(entry, &change, NULL, &store, NULL) != ERR_NONE) {
        try_again(entry);
        return;
    }
    entry->step = END_COMPLETE;
    txnc_leave(entry);
    txnc_await(coordinator, store);
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
    pthread_mutex_lock(&entry->lock);
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
    struct txn_coordinator *coordinator = entry->coordinator;
    bool begins = entry->step == END_NONE || entry->step == END_AGAIN;
    if (coordinator->phase == TXNC_STOPPED || !begins) {
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
    pthread_mutex_unlock(&entry->lock);
    coordinator->participants.write_markers(coordinator->participants.context, &attempt->markers);
}

void txnc_completed(struct txn_entry *entry, const struct txn_change *change, enum err err)
{
    struct txn_coordinator *coordinator = entry->coordinator;
    if (err != ERR_NONE) {
        txnc_give_up(entry);
        return;
    }
    free(entry->left);
    entry->left = NULL;
    entry->step = END_NONE;
    entry->retry_ms = 0;
    entry->failures = 0;
    txn_apply(entry->txn, change, &coordinator->config.txn, txnc_now(coordinator));
    leave_answering(entry, ERR_NONE);
}
