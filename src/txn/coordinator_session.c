#include "txn/coordinator_internal.h"

/* The way of writers into a transaction. */

static enum err enter_locked(struct txn_entry *entry, struct txn_producer producer, int16_t version,
                             const struct txn_partition *partitions, size_t count,
                             struct reason *reason)
{
    if (version < TXN_VERSION_2) {
        return txn_verify(entry->txn, producer, reason);
    }
    struct txn_change change;
    enum err err = txn_add(entry->txn, producer, version, partitions, count,
                           coordinator_now(&txnc_of(entry)->base), &change, reason);
    if (err == ERR_NONE && change.store) {
        err = txnc_check_partitions(entry, &change, reason);
    }
    if (err == ERR_NONE && change.store) {
        err = txnc_store(entry, &change, NULL, reason);
    }
    return err;
}

enum err txn_session_enter(struct txn_coordinator *coordinator, struct slice id,
                           struct txn_producer producer, int16_t version,
                           const struct txn_partition *partitions, size_t count,
                           struct txn_session *session, struct reason *reason)
{
    *session = (struct txn_session){0};
    struct txn_entry *entry;
    enum err err = txnc_enter_known(coordinator, id, producer, &entry, reason);
    if (err != ERR_NONE) {
        return err;
    }
    err = enter_locked(entry, producer, version, partitions, count, reason);
    if (err != ERR_NONE) {
        txnc_leave(entry);
        return err;
    }
    session->entry = entry;
    return ERR_NONE;
}

bool txn_session_has(const struct txn_session *session, struct slice topic, int32_t partition)
{
    const struct txn *txn = session->entry->txn;
    return txn->fields.state == TXN_ONGOING &&
           txn_partitions_has(&txn->partitions, topic, partition);
}

void txn_session_leave(struct txn_session *session)
{
    if (session->entry != NULL) {
        txnc_leave(session->entry);
    }
    *session = (struct txn_session){0};
}
