#include "base/mem.h"
#include "datadir/check_internal.h"
#include "log/segment.h"
#include "log/txn_index.h"

#include <stdlib.h>

/*
 * The transaction index of a segment beside the markers that are in it: read_committed consumers
 * believe its rows.
 */
enum { TXN_INDEX_MAX_BYTES = 1 << 30 };

void txn_check_deinit(struct txn_check *check)
{
    producer_state_deinit(&check->producers);
    vec_deinit(&check->aborted);
}

void txn_check_batch(struct txn_check *check, const struct batch *batch)
{
    struct producer_txn ended;
    if (producer_apply(&check->producers, batch, 0, &ended) && ended.aborted) {
        *vec_add(&check->aborted) = (struct aborted_txn){
            .producer_id = ended.producer_id,
            .first_offset = ended.first_offset,
            .last_offset = ended.last_offset,
            .last_stable_offset = ended.last_stable_offset,
        };
    }
}

static bool is_in(const struct aborted_list *list, const struct aborted_txn *txn)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].producer_id == txn->producer_id &&
            list->items[i].first_offset == txn->first_offset &&
            list->items[i].last_offset == txn->last_offset) {
            return true;
        }
    }
    return false;
}

/* The rows of the file; what cannot be a row at all is in *why. */
static bool load_rows(struct slice bytes, int64_t base_offset, struct aborted_list *rows,
                      struct reason *why)
{
    if (bytes.size % TXN_INDEX_ROW_BYTES != 0) {
        reason_set(why, "it ends inside a row");
        return false;
    }
    int64_t last = base_offset - 1;
    for (size_t at = 0; at < bytes.size; at += TXN_INDEX_ROW_BYTES) {
        struct aborted_txn txn;
        if (!txn_index_row_load(bytes.data + at, &txn) || txn.last_offset <= last) {
            reason_set(why, "row %zu is none of an aborted transaction of this segment",
                       at / TXN_INDEX_ROW_BYTES + 1);
            return false;
        }
        last = txn.last_offset;
        vec_push(rows, txn);
    }
    return true;
}

/* Both ways: each aborted transaction has its row, each row its transaction. */
static bool compare(const struct txn_check *check, const struct aborted_list *rows,
                    int64_t end_offset, struct reason *why)
{
    for (size_t i = 0; i < check->aborted.count; i++) {
        const struct aborted_txn *txn = &check->aborted.items[i];
        if (txn->last_offset < end_offset && !is_in(rows, txn)) {
            reason_set(why,
                       "the aborted transaction of producer %lld at offsets %lld-%lld has no row",
                       (long long)txn->producer_id, (long long)txn->first_offset,
                       (long long)txn->last_offset);
            return false;
        }
    }
    for (size_t i = 0; i < rows->count; i++) {
        const struct aborted_txn *row = &rows->items[i];
        if (row->first_offset >= check->first_base && !is_in(&check->aborted, row)) {
            reason_set(why,
                       "a row says that producer %lld aborted offsets %lld-%lld, and it did not",
                       (long long)row->producer_id, (long long)row->first_offset,
                       (long long)row->last_offset);
            return false;
        }
    }
    return true;
}

static bool rewrite(const struct txn_check *check, const struct file_ops *files, const char *path)
{
    struct index index;
    index_init(&index, INDEX_ABORTS);
    for (size_t i = 0; i < check->aborted.count; i++) {
        txn_index_add(&index, &check->aborted.items[i]);
    }
    enum err err = index.tail.size == 0
                       ? file_unlink(files, path, NULL)
                       : file_replace(files, path, index.tail.data, index.tail.size, NULL);
    index_deinit(&index);
    return err == ERR_NONE;
}

enum err txn_check_segment(struct txn_check *check, const struct file_ops *files, const char *dir,
                           int64_t base_offset, int64_t end_offset, bool repair,
                           struct txn_check_result *result, struct reason *reason)
{
    struct aborted_list rows = {.count = 0};
    char *data = NULL;
    size_t size = 0;
    char *path = segment_path(dir, base_offset, index_suffix(INDEX_ABORTS));
    *result = (struct txn_check_result){.bad = false};
    enum err err = file_load(files, path, TXN_INDEX_MAX_BYTES, &data, &size, reason);
    err = err == ERR_NOT_FOUND ? ERR_NONE : err;
    if (err == ERR_NONE) {
        struct buf fresh = {0};
        bool old = txn_index_take_over(slice_of(data, size), &fresh);
        bool rows_good = load_rows(old ? buf_slice(&fresh) : slice_of(data, size), base_offset,
                                   &rows, &result->why);
        buf_deinit(&fresh);
        result->bad =
            !rows_good || (!check->blind && !compare(check, &rows, end_offset, &result->why));
        if (result->bad && repair && !check->blind) {
            result->repaired = rewrite(check, files, path);
        }
    }
    check->aborted.count = 0;
    free(rows.items);
    free(data);
    free(path);
    return err;
}
