#include "txn/coordinator_internal.h"

#include "base/logger.h"

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

/* ---- what they take ---- */

/* An id without partitions, its entry included. */
static size_t id_cost(struct slice id)
{
    return mem_cost(sizeof(struct txn_entry)) + mem_cost(sizeof(struct txn)) +
           2 * mem_cost(id.size);
}

/* A partition, and what its log will know of the producer by the marker. */
static size_t partition_cost(void)
{
    return sizeof(struct txn_partition) + sizeof(struct txn_marker) + PRODUCER_COST;
}

static size_t held_bytes(const struct txn_entry *entry)
{
    const struct txn_partitions *set = &entry->txn->partitions;
    return id_cost(entry->base.key) + set->count * partition_cost() + set->topic_bytes;
}

static void settle(struct txn_entry *entry)
{
    struct budget *budget = txnc_of(entry)->config.budget;
    size_t held = entry->base.dead ? 0 : held_bytes(entry);
    if (budget == NULL || held == entry->counted_bytes) {
        return;
    }
    atomic_fetch_add(&txnc_of(entry)->held_bytes, (int64_t)held - (int64_t)entry->counted_bytes);
    if (held > entry->counted_bytes) {
        budget_add(budget, BUDGET_PRODUCERS, held - entry->counted_bytes);
    } else {
        budget_give(budget, BUDGET_PRODUCERS, entry->counted_bytes - held);
    }
    entry->counted_bytes = held;
}

static enum err refuse(const struct txn_coordinator *coordinator, struct slice id, const char *what,
                       struct reason *reason)
{
    const struct budget_used *share = &coordinator->config.budget->shares[BUDGET_PRODUCERS];
    LOG_WARN("txn", "a transactional request was refused: there is no memory for it",
             "id=\"%.*s\" wanted=\"%s\" share=%s bytes=%lld limit=%lld setting=memory.max",
             SLICE_ARGS(id), what, budget_share_name(BUDGET_PRODUCERS), (long long)share->bytes,
             (long long)share->limit_bytes);
    return reason_fail(reason, ERR_LIMIT, "there is no memory for %s: see memory.max", what);
}

/* All ids have half of the share at most: they stay for days, where others' producers come and go.
 */
static bool has_room(struct txn_coordinator *coordinator, size_t bytes, size_t has)
{
    struct budget *budget = coordinator->config.budget;
    if (budget == NULL || bytes == 0) {
        return true;
    }
    int64_t half = budget->shares[BUDGET_PRODUCERS].limit_bytes / 2;
    return coordinator->held_bytes <= half - (int64_t)bytes &&
           budget_has_room(budget, BUDGET_PRODUCERS, bytes, has);
}

enum err txnc_check_room(struct txn_coordinator *coordinator, struct slice id,
                         struct reason *reason)
{
    return has_room(coordinator, id_cost(id), BUDGET_NEW)
               ? ERR_NONE
               : refuse(coordinator, id, "one more transactional id", reason);
}

enum err txnc_check_partitions(struct txn_entry *entry, const struct txn_change *change,
                               struct reason *reason)
{
    struct txn_coordinator *coordinator = txnc_of(entry);
    size_t bytes = 0;
    for (size_t i = 0; i < change->added_count; i++) {
        const struct txn_partition *added = &change->added[i];
        if (!txn_partitions_has(&entry->txn->partitions, added->topic, added->index)) {
            bytes += partition_cost() + mem_cost(added->topic.size);
        }
    }
    return has_room(coordinator, bytes, entry->counted_bytes)
               ? ERR_NONE
               : refuse(coordinator, entry->base.key, "more partitions in its transaction", reason);
}

void txnc_leave(struct txn_entry *entry)
{
    settle(entry);
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
