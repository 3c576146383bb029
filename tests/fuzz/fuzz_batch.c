/*
 * Record batches from hostile producers. What batch_validate takes must be readable to its end when
 * it is not compressed, with as many records as it says; whatever it takes must survive a rewrite
 * of its header. Half of the inputs get a right CRC, so that the checks behind it are reached.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "batch/batch_filter.h"
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

/* Compaction leaves a batch that holds what it kept, in the same bounds. */
static void try_filter(const struct batch *batch, int32_t count)
{
    struct record_iterator iterator;
    struct buf out = {0};
    struct batch left;
    enum err err;
    uint8_t *keep = mem_alloc((size_t)count);
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        keep[i] = i == 0 || (batch->crc >> (i % 32) & 1) != 0;
        kept += keep[i];
    }
    err = record_iterator_init(&iterator, batch, DECOMPRESSED_LIMIT_BYTES, NULL);
    must(err == ERR_NONE, "a batch that was read cannot be read again");
    err = batch_filter(batch, iterator.records, keep, batch->crc & 1 ? NOW_MS : -1, &out, NULL);
    must(err == ERR_NONE, "a batch cannot be filtered");
    record_iterator_deinit(&iterator);
    free(keep);
    size_t first_bytes = out.size;
    batch_filter_all(batch, &out);
    must(batch_parse(slice_of(out.data, first_bytes), &left, NULL) == ERR_NONE &&
             batch_check_crc(&left, NULL) == ERR_NONE && left.base_offset == batch->base_offset &&
             left.last_offset_delta == batch->last_offset_delta && left.record_count == kept,
         "a filtered batch is another one");
    must(walk(&left, &err) == kept && err == ERR_NONE, "a filtered batch lost records");
    must(batch_parse(slice_of(out.data + first_bytes, out.size - first_bytes), &left, NULL) ==
                 ERR_NONE &&
             batch_check_crc(&left, NULL) == ERR_NONE && walk(&left, &err) == 0 && err == ERR_NONE,
         "an emptied batch is not empty");
    buf_deinit(&out);
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
    if (walked == ERR_NONE && count > 0) {
        try_filter(&again, count);
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
