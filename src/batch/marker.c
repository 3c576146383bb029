#include "batch/marker.h"

#include "base/bytes.h"

#include <assert.h>

enum {
    KEY_BYTES = 4,
    VALUE_BYTES = 6,
    TYPE_ABORT = 0,
    TYPE_COMMIT = 1,
    MARKER_MAX_BYTES = 4096, /* of a control batch, decompressed: it holds one small record */
};

void batch_marker_build(const struct batch_marker *marker, int64_t timestamp, struct buf *out)
{
    uint8_t key[KEY_BYTES];
    uint8_t value[VALUE_BYTES];
    store_be16(key, 0);
    store_be16(key + 2, marker->commit ? TYPE_COMMIT : TYPE_ABORT);
    store_be16(value, 0);
    store_be32(value + 2, (uint32_t)marker->coordinator_epoch);
    struct batch_builder builder;
    batch_builder_init(&builder);
    builder.producer_id = marker->producer_id;
    builder.producer_epoch = marker->producer_epoch;
    builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    batch_builder_add(&builder, timestamp, slice_of(key, KEY_BYTES), slice_of(value, VALUE_BYTES),
                      NULL, 0);
    enum err err = batch_builder_finish(&builder, out, NULL);
    assert(err == ERR_NONE); /* nothing is compressed */
    (void)err;
    batch_builder_deinit(&builder);
}

static bool read_record(const struct record *record, struct batch_marker *marker)
{
    if (record->key.size < KEY_BYTES || record->value.size < VALUE_BYTES ||
        (int16_t)load_be16(record->key.data) < 0 || (int16_t)load_be16(record->value.data) < 0) {
        return false;
    }
    uint16_t type = load_be16(record->key.data + 2);
    marker->commit = type == TYPE_COMMIT;
    marker->coordinator_epoch = (int32_t)load_be32(record->value.data + 2);
    return type == TYPE_COMMIT || type == TYPE_ABORT;
}

bool batch_marker_read(const struct batch *batch, struct batch_marker *marker)
{
    struct record_iterator iterator;
    struct record record;
    bool done = true;
    if (!batch_is_control(batch) || batch->producer_id < 0) {
        return false;
    }
    bool found = record_iterator_init(&iterator, batch, MARKER_MAX_BYTES, NULL) == ERR_NONE &&
                 record_iterator_next(&iterator, &record, &done, NULL) == ERR_NONE && !done &&
                 read_record(&record, marker);
    record_iterator_deinit(&iterator);
    marker->producer_id = batch->producer_id;
    marker->producer_epoch = batch->producer_epoch;
    return found;
}
