#include "txn/coordinator_internal.h"

#include "base/logger.h"
#include "base/vec.h"

#include <stdlib.h>

/* What the logs show open is compared with what the coordinator knows. */

struct owner {
    int64_t producer_id;
    struct txn_entry *entry; /* a reference */
};

static int compare_owners(const void *a, const void *b)
{
    int64_t left = ((const struct owner *)a)->producer_id;
    int64_t right = ((const struct owner *)b)->producer_id;
    return (left > right) - (left < right);
}

/* By producer id. */
struct owners {
    VEC_FIELDS(struct owner);
};

static void visit_owner(struct entry *base, void *context)
{
    struct owners *owners = context;
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    entry_ref(base);
    vec_push(owners, (struct owner){entry->txn->fields.producer_id, entry});
    txnc_leave(entry);
}

static void list_owners(struct txn_coordinator *coordinator, struct owners *owners)
{
    coordinator_each(&coordinator->base, visit_owner, owners);
    if (owners->count > 0) {
        qsort(owners->items, owners->count, sizeof *owners->items, compare_owners);
    }
}

static void free_owners(struct owners *owners)
{
    for (size_t i = 0; i < owners->count; i++) {
        entry_unref(&owners->items[i].entry->base);
    }
    vec_deinit(owners);
}

/* ---- aborting one ---- */

struct orphan {
    struct txn_markers markers;
    struct txn_marker marker;
};

static void on_aborted(struct txn_markers *markers)
{
    struct orphan *orphan = container_of(markers, struct orphan, markers);
    if (orphan->marker.again) {
        LOG_WARN("txn", "a hanging transaction could not be aborted; the next look tries again",
                 "producer=%lld epoch=%d", (long long)markers->producer_id,
                 markers->producer_epoch);
    }
    free((void *)(uintptr_t)orphan->marker.topic.data);
    free(orphan);
}

static void abort_orphan(struct txn_coordinator *coordinator, const struct txn_open *open)
{
    LOG_WARN("txn", "a transaction that nobody would have ended is aborted",
             "topic=\"%.*s\" partition=%d producer=%lld epoch=%d first_offset=%lld",
             SLICE_ARGS(open->topic), (int)open->partition, (long long)open->producer.id,
             open->producer.epoch, (long long)open->first_offset);
    struct orphan *orphan = mem_new(struct orphan);
    orphan->marker = (struct txn_marker){
        .topic = slice_of(mem_dup(open->topic.data, open->topic.size), open->topic.size),
        .partition = open->partition,
    };
    orphan->markers = (struct txn_markers){
        .producer_id = open->producer.id,
        .producer_epoch = open->producer.epoch,
        .items = &orphan->marker,
        .count = 1,
        .done = on_aborted,
    };
    coordinator->participants.write_markers(coordinator->participants.context, &orphan->markers);
}

/* ---- one open transaction ---- */

/* The id's lock is held. True: it is to be aborted. */
static bool settle_owned(struct txn_entry *entry, const struct txn_open *open, bool *stored)
{
    struct txn_coordinator *coordinator = txnc_of(entry);
    struct txn_partition partition = {open->topic, open->partition};
    struct txn_change change;
    enum txn_claim claim = txn_claim(entry->txn, open->producer, &partition,
                                     coordinator_now(&coordinator->base), &change);
    if (claim == TXN_CLAIM_KNOWN ||
        !coordinator->participants.is_open(coordinator->participants.context, open)) {
        return false;
    }
    if (claim == TXN_CLAIM_ADOPT) {
        LOG_WARN("txn", "a partition is put back into its transaction",
                 "id=\"%.*s\" topic=\"%.*s\" partition=%d producer=%lld epoch=%d",
                 SLICE_ARGS(entry->txn->id), SLICE_ARGS(open->topic), (int)open->partition,
                 (long long)open->producer.id, open->producer.epoch);
    }
    *stored = change.store && txnc_store(entry, &change, NULL, NULL) == ERR_NONE;
    if (change.store && !*stored) {
        return false; /* the next look tries again */
    }
    return claim == TXN_CLAIM_ORPHAN;
}

static bool settle(struct txn_coordinator *coordinator, const struct owners *owners,
                   const struct txn_open *open)
{
    struct owner key = {.producer_id = open->producer.id};
    const struct owner *owner =
        owners->count > 0 ? bsearch(&key, owners->items, owners->count, sizeof key, compare_owners)
                          : NULL;
    bool orphan = true;
    bool stored = false;
    if (owner != NULL) {
        entry_ref(&owner->entry->base);
        entry_lock(&owner->entry->base);
        orphan = settle_owned(owner->entry, open, &stored);
        txnc_leave(owner->entry);
    } else {
        orphan = coordinator->participants.is_open(coordinator->participants.context, open);
    }
    if (orphan) {
        abort_orphan(coordinator, open);
    }
    return orphan || stored;
}

size_t txn_coordinator_reconcile(struct txn_coordinator *coordinator)
{
    if (coordinator->base.phase != COORDINATOR_SERVING) {
        return 0;
    }
    struct arena arena = {0};
    size_t open_count;
    size_t settled = 0;
    /* First the logs: an id knows of a partition before the partition's log shows it open. */
    struct txn_open *open =
        coordinator->participants.list_open(coordinator->participants.context, &arena, &open_count);
    if (open_count > 0) {
        struct owners owners = {0};
        list_owners(coordinator, &owners);
        for (size_t i = 0; i < open_count; i++) {
            settled += settle(coordinator, &owners, &open[i]) ? 1 : 0;
        }
        free_owners(&owners);
    }
    free(open);
    arena_deinit(&arena);
    return settled;
}
