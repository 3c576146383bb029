#include "broker/offsets_log.h"

#include "base/logger.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "batch/marker.h"

#include <stdlib.h>

static const char topic_name[] = "__consumer_offsets";

enum {
    REPLAY_READ_BYTES = 1 << 20,
    REPLAY_DECOMPRESSED_BYTES = 64 << 20,
};

enum err offsets_log_open(struct offsets_log *offsets, struct catalogue *catalogue,
                          struct flusher *flusher, int32_t partition_count, struct reason *reason)
{
    offsets->flusher = flusher;
    offsets->topic = catalogue_find(catalogue, slice_str(topic_name));
    if (offsets->topic != NULL) {
        return ERR_NONE;
    }
    struct topic_creation creation = {
        .name = slice_str(topic_name),
        .partition_count = partition_count,
        .internal = true,
    };
    overrides_set(&creation.overrides, slice_str("retention.ms"), slice_str("-1"));
    overrides_set(&creation.overrides, slice_str("segment.bytes"), slice_str("104857600"));
    enum err err = catalogue_create(catalogue, &creation, &offsets->topic, reason);
    overrides_deinit(&creation.overrides);
    return err;
}

void offsets_log_close(struct offsets_log *offsets)
{
    topic_unref(offsets->topic);
}

int32_t offsets_log_partition_count(const struct offsets_log *offsets)
{
    return topic_partition_count(offsets->topic);
}

/* An append that waits for its flush. */
struct offsets_wait {
    struct flush_waiter waiter;
    struct flush_target target;
    struct partition *partition;
    struct group_append *append;
};

static enum err append_records(void *context, int32_t partition_index,
                               const struct group_store *store, int64_t wall_ms,
                               struct group_append *append)
{
    struct offsets_log *offsets = context;
    struct partition *partition = topic_partition(offsets->topic, partition_index);
    struct batch_builder builder;
    batch_builder_init(&builder);
    if (store->producer_id >= 0) {
        builder.producer_id = store->producer_id;
        builder.producer_epoch = store->producer_epoch;
        builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    }
    for (size_t i = 0; i < store->record_count; i++) {
        const struct group_record *record = &store->records[i];
        batch_builder_add(&builder, wall_ms, record->key, record->value, NULL, 0);
    }
    struct buf bytes = {0};
    struct batch batch;
    struct reason reason;
    enum err err = batch_builder_finish(&builder, &bytes, &reason);
    batch_builder_deinit(&builder);
    if (err == ERR_NONE) {
        err = batch_parse(buf_slice(&bytes), &batch, &reason);
    }
    struct log_append log_append = {.batches = &batch, .batch_count = 1};
    if (err == ERR_NONE) {
        err = partition_append(partition, &log_append, &reason);
    }
    buf_deinit(&bytes);
    if (err == ERR_PRODUCER_FENCED || err == ERR_INVALID_TXN_STATE) {
        LOG_WARN("broker", "offsets of a transaction were refused; their producer was told",
                 "topic=%s partition=%d reason=\"%s\"", topic_name, (int)partition_index,
                 reason.text);
        return err;
    }
    if (err != ERR_NONE) {
        LOG_ERROR("broker", "a group's state could not be stored; its members were told",
                  "topic=%s partition=%d reason=\"%s\"", topic_name, (int)partition_index,
                  reason.text);
        return err;
    }
    struct offsets_wait *wait = mem_new(struct offsets_wait);
    wait->partition = partition;
    wait->target = (struct flush_target){partition->log, log_append.end_offset};
    wait->append = append;
    append->ticket = wait;
    return ERR_NONE;
}

static void on_flushed(struct flush_waiter *waiter)
{
    struct offsets_wait *wait = container_of(waiter, struct offsets_wait, waiter);
    struct group_append *append = wait->append;
    enum err err =
        partition_acknowledged(wait->partition, wait->target.end_offset) ? ERR_NONE : ERR_IO;
    free(wait);
    append->done(append, err);
}

static void wait_for_flush(void *context, struct group_append *append)
{
    struct offsets_log *offsets = context;
    struct offsets_wait *wait = append->ticket;
    wait->waiter = (struct flush_waiter){
        .targets = &wait->target,
        .target_count = 1,
        .done = on_flushed,
    };
    flush_wait(offsets->flusher, &wait->waiter);
}

struct group_log offsets_log_interface(struct offsets_log *offsets)
{
    return (struct group_log){
        .context = offsets,
        .append = append_records,
        .wait = wait_for_flush,
    };
}

/* The end of a transaction decides over the offsets that it held until here. */
static void replay_marker(struct group_coordinator *coordinator, const struct batch *batch,
                          int32_t partition)
{
    struct batch_marker marker;
    if (batch_marker_read(batch, &marker)) {
        group_coordinator_txn_end(coordinator, partition, marker.producer_id, marker.commit);
    }
}

static enum err replay_record(struct group_coordinator *coordinator, const struct batch *batch,
                              const struct record *record)
{
    return batch_is_transactional(batch)
               ? group_coordinator_replay_txn(coordinator, batch->producer_id, record->key,
                                              record->value)
               : group_coordinator_replay(coordinator, record->key, record->value);
}

static void replay_batch(struct group_coordinator *coordinator, const struct batch *batch,
                         int32_t partition)
{
    struct record_iterator iterator;
    struct reason reason = {.text = ""};
    /* The start scans only what is new: what lies before is checked here. */
    if (batch_check_crc(batch, &reason) != ERR_NONE) {
        LOG_ERROR("broker", "a stored group batch is damaged and skipped",
                  "topic=%s partition=%d offset=%lld reason=\"%s\"", topic_name, (int)partition,
                  (long long)batch->base_offset, reason.text);
        return;
    }
    if (batch_is_control(batch)) {
        replay_marker(coordinator, batch, partition);
        return;
    }
    enum err err = record_iterator_init(&iterator, batch, REPLAY_DECOMPRESSED_BYTES, &reason);
    bool done = false;
    while (err == ERR_NONE && !done) {
        struct record record;
        err = record_iterator_next(&iterator, &record, &done, &reason);
        if (err == ERR_NONE && !done && replay_record(coordinator, batch, &record) != ERR_NONE) {
            LOG_WARN("broker", "a stored group record is not understood and skipped",
                     "topic=%s partition=%d offset=%lld", topic_name, (int)partition,
                     (long long)record.offset);
        }
    }
    if (err != ERR_NONE) {
        LOG_ERROR("broker", "a stored group batch cannot be read and is skipped",
                  "topic=%s partition=%d offset=%lld reason=\"%s\"", topic_name, (int)partition,
                  (long long)batch->base_offset, reason.text);
    }
    record_iterator_deinit(&iterator);
}

/* Replays the batches of one span; *next is the offset behind them. */
static enum err replay_span(struct group_coordinator *coordinator, const struct file_ops *files,
                            const struct file_span *span, int32_t partition, int64_t *next,
                            struct reason *reason)
{
    uint8_t *bytes = mem_alloc(span->size);
    size_t got;
    enum err err = file_read_at(files, span->fd, bytes, span->size, span->position, &got, reason);
    struct slice left = slice_of(bytes, err == ERR_NONE ? got : 0);
    while (left.size > 0) {
        struct batch batch;
        if (batch_parse(left, &batch, reason) != ERR_NONE) {
            err = ERR_CORRUPT;
            break;
        }
        replay_batch(coordinator, &batch, partition);
        *next = batch_last_offset(&batch) + 1;
        left = slice_of(left.data + batch.bytes.size, left.size - batch.bytes.size);
    }
    free(bytes);
    return err;
}

static enum err replay_partition(struct group_coordinator *coordinator,
                                 const struct file_ops *files, struct partition *partition,
                                 struct reason *reason)
{
    int64_t offset = log_start_offset(partition->log);
    int64_t end = log_end_offset(partition->log);
    while (offset < end) {
        struct file_span span;
        int64_t next = offset;
        enum err err =
            log_read(partition->log, offset, end, REPLAY_READ_BYTES, true, &span, reason);
        if (err == ERR_NONE && span.size > 0) {
            err = replay_span(coordinator, files, &span, partition->index, &next, reason);
            file_span_release(&span);
        }
        if (err == ERR_CORRUPT) {
            /* The rest of the log is still good: go on behind the damage, one offset at a time. */
            LOG_ERROR("broker", "damaged group records are skipped",
                      "topic=%s partition=%d offset=%lld reason=\"%s\"", topic_name,
                      (int)partition->index, (long long)offset, reason->text);
            next = next > offset ? next : offset + 1;
        } else if (err != ERR_NONE) {
            return err;
        }
        if (next == offset) {
            break;
        }
        offset = next;
    }
    return ERR_NONE;
}

enum err offsets_log_replay(struct offsets_log *offsets, const struct file_ops *files,
                            struct group_coordinator *coordinator, struct reason *reason)
{
    for (int32_t i = 0; i < topic_partition_count(offsets->topic); i++) {
        enum err err =
            replay_partition(coordinator, files, topic_partition(offsets->topic, i), reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}
