#include "log/compact_internal.h"

#include "base/mem.h"
#include "batch/marker.h"

#include <stdlib.h>

void compact_txns_deinit(struct compact_txns *txns)
{
    struct compact_txn *txn;
    struct compact_txn *next;
    HASH_ITER (hh, txns->table, txn, next) {
        HASH_DEL(txns->table, txn);
        free(txn);
    }
    free(txns->coming);
    *txns = (struct compact_txns){.table = NULL};
}

static int compare(const void *a, const void *b)
{
    const struct aborted_txn *left = a;
    const struct aborted_txn *right = b;
    return left->first_offset < right->first_offset ? -1 : left->first_offset > right->first_offset;
}

enum err compact_txns_segment(struct compact_txns *txns, struct log *log, int64_t base, int64_t end,
                              struct reason *reason)
{
    free(txns->coming);
    txns->coming = NULL;
    txns->coming_count = 0;
    txns->coming_next = 0;
    enum err err = log_aborted_txns(log, base, end, &txns->coming, &txns->coming_count, reason);
    if (err == ERR_NONE && txns->coming_count > 1) {
        qsort(txns->coming, txns->coming_count, sizeof *txns->coming, compare);
    }
    return err;
}

static struct compact_txn *find(const struct compact_txns *txns, int64_t producer_id)
{
    struct compact_txn *txn;
    HASH_FIND(hh, txns->table, &producer_id, sizeof producer_id, txn);
    return txn;
}

static struct compact_txn *find_or_add(struct compact_txns *txns, int64_t producer_id)
{
    struct compact_txn *txn = find(txns, producer_id);
    if (txn == NULL) {
        txn = mem_new(struct compact_txn);
        txn->producer_id = producer_id;
        txn->aborted.last_offset = -1;
        HASH_ADD(hh, txns->table, producer_id, sizeof txn->producer_id, txn);
    }
    return txn;
}

/* Takes over the aborted transactions that began up to the offset. */
static void come_to(struct compact_txns *txns, int64_t offset)
{
    while (txns->coming_next < txns->coming_count &&
           txns->coming[txns->coming_next].first_offset <= offset) {
        const struct aborted_txn *aborted = &txns->coming[txns->coming_next++];
        find_or_add(txns, aborted->producer_id)->aborted = *aborted;
    }
}

bool compact_txns_data(struct compact_txns *txns, const struct batch *batch)
{
    come_to(txns, batch_last_offset(batch));
    if (!batch_is_transactional(batch)) {
        return false;
    }
    struct compact_txn *txn = find_or_add(txns, batch->producer_id);
    txn->seen = true;
    return batch->base_offset >= txn->aborted.first_offset &&
           batch_last_offset(batch) < txn->aborted.last_offset;
}

bool compact_txns_control(struct compact_txns *txns, const struct batch *batch,
                          struct aborted_txn *aborted)
{
    struct batch_marker marker;
    aborted->last_offset = -1;
    come_to(txns, batch_last_offset(batch));
    if (batch->record_count == 0) {
        return !txns->keep_markers; /* emptied by an earlier cleaning */
    }
    if (!batch_marker_read(batch, &marker)) {
        return false;
    }
    struct compact_txn *txn = find(txns, batch->producer_id);
    bool seen = txn != NULL && txn->seen;
    if (txn != NULL) {
        if (txn->aborted.last_offset == batch_last_offset(batch)) {
            *aborted = txn->aborted;
        }
        HASH_DEL(txns->table, txn);
        free(txn);
    }
    return !seen && !txns->keep_markers;
}
