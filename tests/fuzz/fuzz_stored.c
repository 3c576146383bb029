/*
 * Files of the data directory that a crash or a bad disk may have changed: producer snapshots. What
 * is accepted encodes and decodes again to the same bytes.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "log/producer_state.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOW_MS = 1700000000 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "snapshot: %s\n", what);
        abort();
    }
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
    buf_deinit(&first);
    buf_deinit(&second);
    producer_state_deinit(&state);
    producer_state_deinit(&again);
    return 0;
}
