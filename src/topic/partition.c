#include "topic/partition.h"

#include "batch/marker.h"
#include "topic/topic.h"

int64_t partition_high_watermark(const struct partition *partition)
{
    return atomic_load_explicit(&partition->high_watermark, memory_order_acquire);
}

int64_t partition_log_start(const struct partition *partition)
{
    return log_start_offset(partition->log);
}

int64_t partition_last_stable_offset(const struct partition *partition)
{
    int64_t high_watermark;
    int64_t last_stable;
    partition_readable(partition, &high_watermark, &last_stable);
    return last_stable;
}

void partition_readable(const struct partition *partition, int64_t *high_watermark,
                        int64_t *last_stable)
{
    *high_watermark = atomic_load(&partition->high_watermark); /* first: see log.h */
    /* Whoever raised it may not have come that far yet: an answered end of a transaction counts. */
    log_decide_txns(partition->log, *high_watermark);
    int64_t unstable = log_first_unstable_offset(partition->log);
    *last_stable = unstable < *high_watermark ? unstable : *high_watermark;
}

const struct topic_config *partition_config(const struct partition *partition)
{
    return topic_config(partition->topic);
}

static void tell_watchers(struct partition *partition)
{
    uint64_t reactors = atomic_exchange(&partition->watching_reactors, 0);
    if (reactors != 0 && partition->advanced != NULL) {
        partition->advanced(partition->advanced_context, partition, reactors);
    }
}

/* Raises the watermark, never lowers it; tells who watches. Any thread. Whoever raised it lets the
 * last stable offset follow before it tells. */
static void advance_to(struct partition *partition, int64_t offset)
{
    int64_t seen = atomic_load(&partition->high_watermark);
    while (seen < offset &&
           !atomic_compare_exchange_weak(&partition->high_watermark, &seen, offset)) {
    }
    log_decide_txns(partition->log, atomic_load(&partition->high_watermark));
    if (seen < offset || log_failed(partition->log)) {
        tell_watchers(partition);
    }
}

enum err partition_load(struct partition *partition, struct reason *reason)
{
    return log_load(partition->log, reason);
}

enum err partition_append(struct partition *partition, struct log_append *append,
                          struct reason *reason)
{
    const struct topic_config *config = partition_config(partition);
    append->append_time = topic_config_append_time(config);
    append->reserve = partition->topic->internal || batch_is_control(&append->batches[0]);
    enum err err = partition_load(partition, reason);
    if (err == ERR_NONE) {
        err = log_append(partition->log, append, reason);
    }
    if (err == ERR_NONE && config->flush_messages > 1) {
        advance_to(partition, append->end_offset);
    }
    return err;
}

enum err partition_append_marker(struct partition *partition, struct partition_marker *marker,
                                 struct reason *reason)
{
    if (marker->producer_id < 0 || marker->producer_epoch < 0) {
        return reason_fail(reason, ERR_INVALID, "a marker of producer id %lld epoch %d",
                           (long long)marker->producer_id, marker->producer_epoch);
    }
    struct batch_marker content = {
        .producer_id = marker->producer_id,
        .producer_epoch = marker->producer_epoch,
        .coordinator_epoch = marker->coordinator_epoch,
        .commit = marker->commit,
    };
    struct buf bytes = {0};
    struct batch batch;
    batch_marker_build(&content, log_wall_ms(partition->log), &bytes);
    enum err err = batch_parse(buf_slice(&bytes), &batch, reason);
    if (err == ERR_NONE) {
        struct log_append append = {.batches = &batch, .batch_count = 1};
        err = partition_append(partition, &append, reason);
        marker->end_offset = append.end_offset;
    }
    buf_deinit(&bytes);
    return err;
}

void partition_watch(struct partition *partition, unsigned reactor_index)
{
    uint64_t bit = UINT64_C(1) << reactor_index;
    if ((atomic_load(&partition->watching_reactors) & bit) == 0) {
        atomic_fetch_or(&partition->watching_reactors, bit);
    }
}

void partition_on_flushed(void *user)
{
    struct partition *partition = user;
    advance_to(partition, log_flushed_offset(partition->log));
}

bool partition_acknowledged(struct partition *partition, int64_t end_offset)
{
    if (partition_high_watermark(partition) < end_offset &&
        log_flushed_offset(partition->log) >= end_offset) {
        /* On disk, but the flusher has not told of it yet: whoever is answered may read it. */
        partition_on_flushed(partition);
    }
    return partition_high_watermark(partition) >= end_offset;
}

void partition_set_gone(struct partition *partition)
{
    atomic_store(&partition->gone, true);
    tell_watchers(partition);
}

bool partition_gone(const struct partition *partition)
{
    return atomic_load(&partition->gone);
}

void partition_ref(struct partition *partition)
{
    topic_ref(partition->topic);
}

void partition_unref(struct partition *partition)
{
    topic_unref(partition->topic);
}
