#include "topic/partition.h"

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
    return partition_high_watermark(partition);
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

/* Raises the watermark, never lowers it; tells who watches. Any thread. */
static void advance_to(struct partition *partition, int64_t offset)
{
    int64_t seen = atomic_load(&partition->high_watermark);
    while (seen < offset &&
           !atomic_compare_exchange_weak(&partition->high_watermark, &seen, offset)) {
    }
    if (seen < offset || log_failed(partition->log)) {
        tell_watchers(partition);
    }
}

enum err partition_append(struct partition *partition, struct log_append *append,
                          struct reason *reason)
{
    const struct topic_config *config = partition_config(partition);
    append->append_time = topic_config_append_time(config);
    enum err err = log_append(partition->log, append, reason);
    if (err == ERR_NONE && config->flush_messages > 1) {
        advance_to(partition, append->end_offset);
    }
    return err;
}

void partition_watch(struct partition *partition, unsigned reactor_index)
{
    atomic_fetch_or(&partition->watching_reactors, UINT64_C(1) << reactor_index);
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
