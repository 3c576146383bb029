/*
 * Record batches from hostile producers. What batch_validate takes must be readable to its end when
 * it is not compressed, with as many records as it says; whatever it takes must survive a rewrite
 * of its header. Half of the inputs get a right CRC, so that the checks behind it are reached.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "batch/marker.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

enum { DECOMPRESSED_LIMIT_BYTES = 1 << 20, NOW_MS = 1700000000 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "batch: %s\n", what);
        abort();
    }
}

/* Walks all records; returns how many came before the end or an error. */
static int32_t walk(const struct batch *batch, enum err *err)
{
    struct record_iterator iterator;
    struct reason reason;
    int32_t count = 0;
    bool done = false;
    *err = record_iterator_init(&iterator, batch, DECOMPRESSED_LIMIT_BYTES, &reason);
    while (*err == ERR_NONE && !done) {
        struct record record;
        *err = record_iterator_next(&iterator, &record, &done, &reason);
        if (*err != ERR_NONE || done) {
            break;
        }
        count++;
        size_t position = 0;
        struct record_header header;
        for (int32_t i = 0; i < record.header_count; i++) {
            must(record_header_next(record.headers, &position, &header), "a header went missing");
        }
    }
    record_iterator_deinit(&iterator);
    return count;
}

static void try_batch(struct batch *batch, bool mend_crc)
{
    struct batch_rules rules = {.max_bytes = 1 << 20,
                                .keys_required = (batch->crc & 1) != 0,
                                .timestamp_before_max_ms = INT64_MAX,
                                .timestamp_after_max_ms = INT64_MAX};
    struct reason reason;
    enum err walked;
    if (mend_crc) {
        batch_renew_crc(batch);
    }
    uint8_t *whole = mem_dup(batch->bytes.data, batch->bytes.size);
    batch_header_store(batch, whole);
    struct batch again;
    enum err err = batch_parse(slice_of(whole, batch->bytes.size), &again, &reason);
    must(err == ERR_NONE, "a stored header cannot be parsed");
    int32_t count = walk(&again, &walked);
    if (batch_validate(&again, &rules, NOW_MS, NULL, &reason) == ERR_NONE &&
        batch_compression(&again) == BATCH_COMPRESSION_NONE) {
        must(walked == ERR_NONE && count == again.record_count,
             "a valid batch has other records than it says");
    }
    struct batch_marker marker;
    if (batch_marker_read(&again, &marker)) {
        must(batch_is_control(&again) && marker.producer_id >= 0 && count > 0,
             "a marker in what can be none");
    }
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch batch;
    struct reason reason;
    if (size == 0) {
        return 0;
    }
    if (batch_parse(slice_of(data + 1, size - 1), &batch, &reason) == ERR_NONE) {
        must(batch.bytes.size <= size - 1, "a batch longer than its bytes");
        try_batch(&batch, (data[0] & 1) != 0);
    }
    return 0;
}
