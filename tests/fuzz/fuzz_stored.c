/*
 * Files of the data directory that a crash or a bad disk may have changed: producer snapshots,
 * whose accepted content encodes and decodes again to the same bytes, and transaction indexes.
 */
#include "base/buf.h"
#include "base/bytes.h"
#include "fuzz.h"
#include "log/producer_state.h"
#include "log/txn_index.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOW_MS = 1700000000 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "stored: %s\n", what);
        abort();
    }
}

/* The range, then rows. */
static void try_rows(const uint8_t *data, size_t size)
{
    if (size < 16) {
        return;
    }
    int64_t from = (int64_t)load_be64(data);
    int64_t to = (int64_t)load_be64(data + 8);
    struct aborted_list list = {.count = 0};
    (void)txn_index_collect(slice_of(data + 16, size - 16), from, to, &list);
    must(list.count <= (size - 16) / TXN_INDEX_ROW_BYTES, "more transactions than rows");
    for (size_t i = 0; i < list.count; i++) {
        must(list.items[i].last_offset >= from && list.items[i].first_offset < to,
             "a transaction outside of the range");
    }
    free(list.items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct producer_state state = {0};
    struct producer_state again = {0};
    struct reason reason;
    struct buf first = {0};
    struct buf second = {0};
    if (producer_snapshot_decode(&state, slice_of(data, size), NOW_MS, &reason) == ERR_NONE) {
        producer_snapshot_encode(&state, &first);
        must(producer_snapshot_decode(&again, buf_slice(&first), NOW_MS, &reason) == ERR_NONE,
             "own encoding is not understood");
        producer_snapshot_encode(&again, &second);
        must(first.size == second.size, "encodings differ in size");
    }
    try_rows(data, size);
    buf_deinit(&first);
    buf_deinit(&second);
    producer_state_deinit(&state);
    producer_state_deinit(&again);
    return 0;
}
