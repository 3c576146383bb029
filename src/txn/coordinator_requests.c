#include "txn/coordinator_internal.h"

#include "base/logger.h"
#include "base/vec.h"

#include <stdlib.h>

/* The requests: find the id or say what its absence means, then let the state machine act. */

/* Who was fenced or took a wrong turn is worth a line; who is to try again is not. */
static void log_refusal(struct slice id, enum err err, const struct reason *reason)
{
    if (err == ERR_TXN_PRODUCER_FENCED || err == ERR_PRODUCER_ID_MAPPING ||
        err == ERR_INVALID_TXN_STATE) {
        LOG_INFO("txn", "a transactional request was refused", "id=\"%.*s\" err=%s reason=\"%s\"",
                 SLICE_ARGS(id), err_name(err), reason->text);
    }
}

/*
 * Stores the change that the request made and leaves the entry; the waiter is answered when the
 * record is on disk, or at once: with the error, or as the change says when nothing is to be
 * stored. entry may be NULL, with an error.
 */
static void finish(struct txn_entry *entry, const struct txn_change *change, enum err err,
                   struct txn_waiter *waiter, struct reason *reason)
{
    if (err == ERR_NONE && change->store) {
        err = txnc_store(entry, change, waiter, reason);
    }
    if (entry != NULL) {
        bool stored = entry->txn->fields.producer_epoch >= 0;
        entry->base.dead = entry->base.dead || !stored;
        txnc_leave(entry);
    }
    if (err != ERR_NONE) {
        txnc_answer(waiter, err, reason);
    } else if (!change->store) {
        struct txn_answer answer = {.producer_id = change->producer_id,
                                    .producer_epoch = change->producer_epoch};
        waiter->done(waiter, &answer);
    }
}

/* ---- InitProducerId ---- */

/* Finds the id, or makes it: locked, or NULL with an error. */
static enum err enter_or_make(struct txn_coordinator *coordinator, struct slice id,
                              struct txn_entry **entry, struct reason *reason)
{
    *entry = txnc_enter(coordinator, id);
    if (*entry != NULL) {
        return ERR_NONE;
    }
    int64_t producer_id;
    enum err err = txnc_check_room(coordinator, id, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = coordinator->participants.next_producer_id(coordinator->participants.context,
                                                     &producer_id, reason);
    if (err == ERR_NONE) {
        *entry = txnc_enter_new(coordinator, id, producer_id);
    }
    return err;
}

static enum err make_producer_id(struct txn_coordinator *coordinator, int64_t *producer_id,
                                 struct reason *reason)
{
    return coordinator->participants.next_producer_id(coordinator->participants.context,
                                                      producer_id, reason);
}

/* Enters the id and lets the state machine decide; a producer id that it wants is made without the
 * id's lock, as that may wait for the disk. */
static enum err init_entered(struct txn_coordinator *coordinator, struct slice id,
                             struct txn_init_request *request, struct txn_entry **entry,
                             struct txn_change *change, struct reason *reason)
{
    enum err err = enter_or_make(coordinator, id, entry, reason);
    if (err == ERR_NONE) {
        err = txn_init((*entry)->txn, request, coordinator_now(&coordinator->base), change, reason);
    }
    if (err != ERR_AGAIN) {
        return err;
    }
    txnc_leave(*entry);
    *entry = NULL;
    err = make_producer_id(coordinator, &request->new_producer_id, reason);
    return err == ERR_NONE ? init_entered(coordinator, id, request, entry, change, reason) : err;
}

void txn_coordinator_init_producer(struct txn_coordinator *coordinator, struct slice id,
                                   const struct txn_init_request *request,
                                   struct txn_waiter *waiter)
{
    struct reason reason = {.text = ""};
    struct txn_init_request wanted = *request;
    struct txn_change change = {0};
    struct txn_entry *entry = NULL;
    wanted.new_producer_id = -1;
    enum err err = txnc_check(coordinator, id, &reason);
    if (err == ERR_NONE) {
        err = txn_check_timeout(&coordinator->config.txn, request->timeout_ms, &reason);
    }
    if (err == ERR_NONE) {
        err = init_entered(coordinator, id, &wanted, &entry, &change, &reason);
    }
    if (err == ERR_NONE && change.answer == ERR_CONCURRENT_TXNS) {
        LOG_INFO("txn", "a new producer has a transactional id: the open transaction is aborted",
                 "id=\"%.*s\" producer=%lld epoch=%d new_epoch=%d", SLICE_ARGS(id),
                 (long long)change.fields.producer_id, entry->txn->fields.producer_epoch,
                 change.fields.producer_epoch);
    }
    log_refusal(id, err, &reason);
    finish(entry, &change, err, waiter, &reason);
}

/* ---- the transaction ---- */

void txn_coordinator_add(struct txn_coordinator *coordinator, struct slice id,
                         struct txn_producer producer, int16_t version,
                         const struct txn_partition *partitions, size_t count,
                         struct txn_waiter *waiter)
{
    struct reason reason = {.text = ""};
    struct txn_change change = {0};
    struct txn_entry *entry;
    enum err err = txnc_enter_known(coordinator, id, producer, &entry, &reason);
    if (err == ERR_NONE) {
        err = txn_add(entry->txn, producer, version, partitions, count,
                      coordinator_now(&coordinator->base), &change, &reason);
    }
    if (err == ERR_NONE && change.store) {
        err = txnc_check_partitions(entry, &change, &reason);
    }
    log_refusal(id, err, &reason);
    finish(entry, &change, err, waiter, &reason);
}

enum err txn_coordinator_end(struct txn_coordinator *coordinator, struct slice id,
                             const struct txn_end_request *request, bool may_wait,
                             struct txn_waiter *waiter)
{
    struct reason reason = {.text = ""};
    struct txn_end_request wanted = *request;
    struct txn_change change = {0};
    struct txn_entry *entry = NULL;
    enum err err;
    wanted.new_producer_id = -1;
    for (;;) {
        err = txnc_enter_known(coordinator, id, request->producer, &entry, &reason);
        if (err == ERR_NONE) {
            err =
                txn_end(entry->txn, &wanted, coordinator_now(&coordinator->base), &change, &reason);
        }
        if (err != ERR_AGAIN) {
            break;
        }
        txnc_leave(entry);
        entry = NULL;
        if (!may_wait) {
            return ERR_AGAIN;
        }
        err = make_producer_id(coordinator, &wanted.new_producer_id, &reason);
        if (err != ERR_NONE) {
            break;
        }
    }
    log_refusal(id, err, &reason);
    finish(entry, &change, err, waiter, &reason);
    return ERR_NONE;
}

/* Locked. */
static bool is_ending(const struct txn_entry *entry)
{
    return txn_is_prepared(entry->txn) && entry->step != END_AGAIN && entry->step != END_GIVEN_UP;
}

bool txn_coordinator_is_ending(struct txn_coordinator *coordinator, struct slice id)
{
    struct txn_entry *entry =
        txnc_check(coordinator, id, NULL) == ERR_NONE ? txnc_enter(coordinator, id) : NULL;
    if (entry == NULL) {
        return false;
    }
    bool ending = is_ending(entry);
    txnc_leave(entry);
    return ending;
}

void txn_coordinator_await_end(struct txn_coordinator *coordinator, struct slice id,
                               struct txn_waiter *waiter)
{
    enum err err = txnc_check(coordinator, id, NULL);
    struct txn_entry *entry = err == ERR_NONE ? txnc_enter(coordinator, id) : NULL;
    if (entry == NULL) {
        txnc_answer(waiter, err, NULL);
        return;
    }
    bool parks = false;
    if (coordinator->base.phase ==
        COORDINATOR_STOPPED) { /* since it was checked: stop was here already */
        err = ERR_COORDINATOR_UNAVAILABLE;
    } else if (txn_is_prepared(entry->txn)) {
        parks = is_ending(entry);
        err = entry->step == END_GIVEN_UP ? ERR_COORDINATOR_UNAVAILABLE : ERR_CONCURRENT_TXNS;
    }
    if (parks) {
        waiter->next = entry->parked;
        entry->parked = waiter;
    }
    txnc_leave(entry);
    if (!parks) {
        txnc_answer(waiter, err, NULL);
    }
}

/* ---- looking ---- */

static struct slice keep(struct arena *arena, struct slice slice)
{
    void *copy = arena_dup(arena, slice.data, slice.size);
    return slice_of(copy, copy != NULL ? slice.size : 0);
}

enum err txn_coordinator_describe(struct txn_coordinator *coordinator, struct slice id,
                                  struct arena *arena, struct txn_description *out)
{
    *out = (struct txn_description){0};
    enum err err = txnc_check(coordinator, id, NULL);
    if (err != ERR_NONE) {
        return err;
    }
    struct txn_entry *entry = txnc_enter(coordinator, id);
    if (entry == NULL) {
        return ERR_TXN_NOT_FOUND;
    }
    const struct txn_partitions *set = &entry->txn->partitions;
    out->fields = entry->txn->fields;
    out->partitions = arena_alloc_array(arena, set->count, sizeof *out->partitions);
    out->partition_count = out->partitions != NULL ? set->count : 0;
    for (size_t i = 0; i < out->partition_count; i++) {
        bool same = i > 0 && slice_equal(out->partitions[i - 1].topic, set->items[i].topic);
        out->partitions[i] = (struct txn_partition){
            .topic = same ? out->partitions[i - 1].topic : keep(arena, set->items[i].topic),
            .index = set->items[i].index,
        };
    }
    txnc_leave(entry);
    return ERR_NONE;
}

struct listings {
    struct arena *arena;
    VEC(struct txn_listing) ids;
};

static void visit_list(struct entry *base, void *context)
{
    struct listings *listings = context;
    struct txn_entry *entry = container_of(base, struct txn_entry, base);
    vec_push(&listings->ids, (struct txn_listing){
                                 .id = keep(listings->arena, base->key),
                                 .producer_id = entry->txn->fields.producer_id,
                                 .state = entry->txn->fields.state,
                                 .started_wall_ms = entry->txn->fields.started_wall_ms,
                             });
    txnc_leave(entry);
}

enum err txn_coordinator_list(struct txn_coordinator *coordinator, struct arena *arena,
                              struct txn_listing **out, size_t *count)
{
    struct listings listings = {.arena = arena};
    enum err err = coordinator_check(&coordinator->base);
    if (err == ERR_NONE) {
        coordinator_each(&coordinator->base, visit_list, &listings);
    }
    size_t bytes = listings.ids.count * sizeof **out;
    *out = bytes > 0 ? arena_dup(arena, listings.ids.items, bytes) : NULL;
    *count = *out != NULL ? listings.ids.count : 0;
    vec_deinit(&listings.ids);
    return err;
}
