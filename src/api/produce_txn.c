#include "api/produce_txn.h"

#include "base/mem.h"
#include "topic/topic.h"

/* From this version on a produce request adds partitions to its transaction itself. */
enum { ADDING_VERSION = 12, ABORTABLE_VERSION = 11 };

static bool is_transactional(const struct produce_item *item, struct txn_producer *producer)
{
    const struct batch *batch = &item->batch;
    if (item->partition == NULL || item->err != ERR_NONE || !batch_is_transactional(batch)) {
        return false;
    }
    *producer = (struct txn_producer){batch->producer_id, batch->producer_epoch};
    return true;
}

static struct slice topic_name(const struct produce_item *item)
{
    return slice_str(item->partition->topic->name);
}

/* The transactional items' partitions; ERR_PRODUCER_ID_MAPPING when they are of several producers,
 * which Kafka does not take either. */
static enum err list_partitions(struct produce_item *items, size_t count,
                                struct txn_producer *producer, struct txn_partition *partitions,
                                size_t *partition_count, struct reason *reason)
{
    *partition_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct txn_producer other;
        if (!is_transactional(&items[i], &other)) {
            continue;
        }
        if (*partition_count > 0 && (other.id != producer->id || other.epoch != producer->epoch)) {
            return reason_fail(reason, ERR_PRODUCER_ID_MAPPING,
                               "the request has transactional records of producer %lld (epoch %d) "
                               "and of producer %lld (epoch %d)",
                               (long long)producer->id, producer->epoch, (long long)other.id,
                               other.epoch);
        }
        *producer = other;
        partitions[(*partition_count)++] =
            (struct txn_partition){topic_name(&items[i]), items[i].partition->index};
    }
    return ERR_NONE;
}

static void check_item(const struct produce_txn *txn, struct slice id, int16_t version,
                       struct txn_producer producer, struct produce_item *item)
{
    item->in_transaction = txn_session_has(&txn->session, topic_name(item), item->partition->index);
    if (!item->in_transaction) {
        item->err = reason_fail(
            &item->reason, version < ABORTABLE_VERSION ? ERR_INVALID_TXN_STATE : ERR_TXN_ABORTABLE,
            "partition %d of topic '%s' is not in the open transaction of '%.*s' (producer %lld, "
            "epoch %d)",
            (int)item->partition->index, item->partition->topic->name,
            SLICE_ARGS(id.size < 100 ? id : slice_of(id.data, 100)), (long long)producer.id,
            producer.epoch);
    }
}

void produce_txn_enter(struct api_request *request, struct slice id, struct produce_item *items,
                       size_t count, bool may_wait, struct produce_txn *txn)
{
    *txn = (struct produce_txn){0};
    if (slice_is_null(id)) {
        return;
    }
    int16_t version = api_version(request);
    struct txn_producer producer = {-1, -1};
    struct reason reason = {.text = ""};
    size_t partition_count;
    struct txn_partition *partitions = api_alloc(request, count, sizeof *partitions);
    enum err err = list_partitions(items, count, &producer, partitions, &partition_count, &reason);
    if (err == ERR_NONE && partition_count == 0) {
        return;
    }
    if (err == ERR_NONE) {
        err = txn_session_enter(request->server->txns, id, producer,
                                version >= ADDING_VERSION ? TXN_VERSION_2 : TXN_VERSION_1,
                                partitions, partition_count, &txn->session, &reason);
    }
    txn->must_wait = err == ERR_CONCURRENT_TXNS && version >= ADDING_VERSION && may_wait;
    if (txn->must_wait) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct txn_producer own;
        if (!is_transactional(&items[i], &own)) {
            continue;
        }
        if (err == ERR_NONE) {
            check_item(txn, id, version, producer, &items[i]);
        } else {
            items[i].err = err == ERR_TXN_PRODUCER_FENCED ? ERR_PRODUCER_FENCED : err;
            items[i].reason = reason;
        }
    }
}

int16_t produce_error_code(enum err err, int16_t version)
{
    bool again = err == ERR_LOADING || err == ERR_COORDINATOR_UNAVAILABLE ||
                 (err == ERR_CONCURRENT_TXNS && version < ADDING_VERSION);
    return again ? KAFKA_ERROR_NOT_ENOUGH_REPLICAS : api_error_code(err);
}
