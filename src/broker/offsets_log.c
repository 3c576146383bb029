#include "broker/offsets_log.h"

#include "base/mem.h"
#include "batch/marker.h"

#include <stdlib.h>

enum { SEGMENT_BYTES = 100 << 20 }; /* Kafka's offsets.topic.segment.bytes */

enum err offsets_log_open(struct offsets_log *offsets, struct catalogue *catalogue,
                          struct flusher *flusher, int32_t partition_count, struct reason *reason)
{
    return internal_topic_open(&offsets->topic, catalogue, flusher, GROUP_OFFSETS_TOPIC,
                               partition_count, SEGMENT_BYTES, reason);
}

void offsets_log_close(struct offsets_log *offsets)
{
    internal_topic_close(&offsets->topic);
}

/* ---- appends ---- */

struct offsets_append {
    struct internal_append append;
    struct group_append *ours;
};

static void on_stored(struct internal_append *append, enum err err)
{
    struct offsets_append *record = container_of(append, struct offsets_append, append);
    struct group_append *ours = record->ours;
    free(record);
    ours->done(ours, err);
}

static enum err append_records(void *context, int32_t partition, const struct group_store *store,
                               int64_t wall_ms, struct group_append *append)
{
    struct offsets_log *offsets = context;
    struct offsets_append *record = mem_new(struct offsets_append);
    struct batch_builder builder;
    batch_builder_init(&builder);
    if (store->producer_id >= 0) {
        builder.producer_id = store->producer_id;
        builder.producer_epoch = store->producer_epoch;
        builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    }
    for (size_t i = 0; i < store->record_count; i++) {
        batch_builder_add(&builder, wall_ms, store->records[i].key, store->records[i].value, NULL,
                          0);
    }
    enum err err = internal_topic_append(&offsets->topic, partition, &builder, &record->append);
    batch_builder_deinit(&builder);
    if (err != ERR_NONE) {
        free(record);
        return err;
    }
    record->append.done = on_stored;
    record->ours = append;
    append->ticket = record;
    return ERR_NONE;
}

static void wait_for_flush(void *context, struct group_append *append)
{
    struct offsets_log *offsets = context;
    struct offsets_append *record = append->ticket;
    internal_topic_wait(&offsets->topic, &record->append);
}

struct group_log offsets_log_interface(struct offsets_log *offsets)
{
    return (struct group_log){
        .context = offsets,
        .append = append_records,
        .wait = wait_for_flush,
    };
}

/* ---- replay ---- */

static enum err replay_record(void *context, int32_t partition, const struct batch *batch,
                              const struct record *record)
{
    struct group_coordinator *coordinator = context;
    struct batch_marker marker;
    if (batch_is_control(batch)) { /* its one record is the end of a transaction */
        if (batch_marker_read(batch, &marker)) {
            group_coordinator_txn_end(coordinator, partition, marker.producer_id, marker.commit);
        }
        return ERR_NONE;
    }
    return batch_is_transactional(batch)
               ? group_coordinator_replay_txn(coordinator, batch->producer_id, record->key,
                                              record->value)
               : group_coordinator_replay(coordinator, record->key, record->value);
}

enum err offsets_log_replay(struct offsets_log *offsets, const struct file_ops *files,
                            struct group_coordinator *coordinator, struct reason *reason)
{
    return internal_topic_replay(&offsets->topic, files, replay_record, coordinator, reason);
}
