#include "txn/coordinator_internal.h"

/* Into a transactional id and out again. */

enum err txnc_check(const struct txn_coordinator *coordinator, struct slice id,
                    struct reason *reason)
{
    if (id.size == 0) {
        return reason_fail(reason, ERR_INVALID, "the transactional id is empty");
    }
    enum err err = coordinator_check(&coordinator->base);
    if (err != ERR_NONE) {
        reason_set(reason, err == ERR_LOADING ? "transactions are still being read"
                                              : "the server is stopping");
    }
    return err;
}

struct txn_entry *txnc_enter(struct txn_coordinator *coordinator, struct slice id)
{
    struct entry *entry = entry_enter(&coordinator->base, id);
    return entry != NULL ? container_of(entry, struct txn_entry, base) : NULL;
}

enum err txnc_enter_known(struct txn_coordinator *coordinator, struct slice id,
                          struct txn_producer producer, struct txn_entry **entry,
                          struct reason *reason)
{
    *entry = NULL;
    enum err err = txnc_check(coordinator, id, reason);
    if (err != ERR_NONE) {
        return err;
    }
    *entry = txnc_enter(coordinator, id);
    return *entry != NULL
               ? ERR_NONE
               : reason_fail(reason, ERR_PRODUCER_ID_MAPPING,
                             "transactional id '%.*s' is not known here; the request is of "
                             "producer %lld (epoch %d)",
                             SLICE_ARGS(id.size < 100 ? id : slice_of(id.data, 100)),
                             (long long)producer.id, producer.epoch);
}

struct txn_entry *txnc_enter_new(struct txn_coordinator *coordinator, struct slice id,
                                 int64_t producer_id)
{
    return container_of(entry_enter_new(&coordinator->base, id, &producer_id), struct txn_entry,
                        base);
}

void txnc_leave(struct txn_entry *entry)
{
    entry_leave(&entry->base);
}

struct txn_waiter *txnc_take_parked(struct txn_entry *entry)
{
    struct txn_waiter *parked = entry->parked;
    entry->parked = NULL;
    return parked;
}

void txnc_answer(struct txn_waiter *waiter, enum err err, const struct reason *reason)
{
    struct txn_answer answer = {.err = err, .producer_id = -1, .producer_epoch = -1};
    if (reason != NULL) {
        answer.reason = *reason;
    }
    waiter->done(waiter, &answer);
}

void txnc_answer_all(struct txn_waiter *waiters, enum err err)
{
    while (waiters != NULL) {
        struct txn_waiter *next = waiters->next; /* done may free it */
        txnc_answer(waiters, err, NULL);
        waiters = next;
    }
}
