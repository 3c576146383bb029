#include "base/logger.h"
#include "base/mem.h"
#include "base/vec.h"
#include "log/space.h"
#include "topic/catalogue.h"
#include "topic/catalogue_internal.h"

#include <stdlib.h>

/*
 * Periodic upkeep, and checkpoints. A checkpoint looks at all logs and works for those that
 * changed: their index tails and producer snapshots are written without a sync each, then one sync
 * of the file system covers them, and only then the checkpoint file names the new ends.
 */

/* A start after a crash scans about what was written since: this much, and what came while a
 * checkpoint was taken. */
enum { CHECKPOINT_BYTES = 128 << 20 };

/* Rolls by time and applies retention. */
static enum err maintain_partition(struct partition *partition, struct reason *reason)
{
    struct log *log = partition->log;
    enum err err = log_maintain(log, reason);
    struct reason ignored; /* loading has logged it */
    if (err == ERR_NONE && !partition->topic->internal &&
        !partition_config(partition)->log.retain &&
        (log_is_loaded(log) ||
         (log_retention_may_be_due(log) && partition_load(partition, &ignored) == ERR_NONE))) {
        int64_t start = log_retention_start(log, partition_high_watermark(partition));
        if (start > log_start_offset(log)) {
            LOG_INFO("topic", "retention deletes old events",
                     "topic=%s partition=%d from=%lld to=%lld", partition->topic->name,
                     (int)partition->index, (long long)log_start_offset(log), (long long)start);
            err = log_set_start_offset(log, start, reason);
        }
    }
    return err;
}

/* The logs of one round that changed. */
struct round {
    VEC_FIELDS(struct log_checkpointing);
};

static void begin_partition(struct partition *partition, bool maintain, struct round *round)
{
    struct reason reason;
    struct log_checkpointing item;
    bool changed = false;
    if (log_failed(partition->log)) {
        return;
    }
    enum err err = maintain ? maintain_partition(partition, &reason) : ERR_NONE;
    if (err == ERR_NONE) {
        err = log_checkpoint_begin(partition->log, &item, &changed, &reason);
    }
    if (changed) {
        vec_push(round, item);
    }
    if (err != ERR_NONE && err != ERR_CLOSED) {
        LOG_WARN("topic", "upkeep of a partition failed; it is tried again",
                 "topic=%s partition=%d reason=\"%s\"", partition->topic->name,
                 (int)partition->index, reason.text);
    }
}

static void wait_flushed(struct flusher *flusher, const struct round *round)
{
    struct flush_target *targets = mem_new_array(struct flush_target, round->count);
    for (size_t i = 0; i < round->count; i++) {
        targets[i] = (struct flush_target){round->items[i].log, round->items[i].state.end_offset};
    }
    flush_wait_blocking(flusher, targets, round->count);
    free(targets);
}

static void flush_all(struct flusher *flusher, const struct round *round)
{
    if (flusher != NULL) {
        wait_flushed(flusher, round);
        return;
    }
    for (size_t i = 0; i < round->count; i++) {
        struct log *log = round->items[i].log;
        struct reason ignored; /* the log has failed then, and has said so */
        if (log_flushed_offset(log) < round->items[i].state.end_offset) {
            (void)!log_flush(log, &ignored);
        }
    }
}

enum err catalogue_sync(struct catalogue *catalogue, struct reason *reason)
{
    const struct file_ops *files = catalogue->env.files;
    if (files->syncfs(files->context, catalogue->sync_fd) != 0) {
        return reason_errno(reason, "syncfs of %s failed", catalogue->topics_dir);
    }
    return ERR_NONE;
}

/* False when a sync failed, now or before: what was written may be lost, and the kernel tells once
 * only. checkpoint_lock. */
static bool sync_files(struct catalogue *catalogue)
{
    struct reason reason;
    if (!catalogue->sync_failed && catalogue_sync(catalogue, &reason) != ERR_NONE) {
        catalogue->sync_failed = true;
        LOG_ERROR("topic",
                  "a sync failed: no checkpoint is written until the next start, which scans more",
                  "reason=\"%s\"", reason.text);
    }
    return !catalogue->sync_failed;
}

/* Makes the new states durable, all together. checkpoint_lock. */
static void finish_round(struct catalogue *catalogue, struct round *round, struct flusher *flusher)
{
    if (round->count == 0) {
        return;
    }
    flush_all(flusher, round);
    bool synced = sync_files(catalogue);
    for (size_t i = 0; i < round->count; i++) {
        struct log *log = round->items[i].log;
        bool good = synced && !log_failed(log) &&
                    log_flushed_offset(log) >= round->items[i].state.end_offset;
        log_checkpoint_finish(&round->items[i], good);
        catalogue->checkpoint_stale = catalogue->checkpoint_stale || good;
    }
}

/* checkpoint_lock. */
static void save(struct catalogue *catalogue, const struct topic_list *topics)
{
    struct checkpoint checkpoint = {.clean = false};
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic *topic = topics->items[i];
        for (int32_t p = 0; p < topic_partition_count(topic); p++) {
            struct log_state state = log_last_checkpoint(topic_partition(topic, p)->log);
            checkpoint_add(&checkpoint, &topic->id, p, &state);
        }
    }
    struct reason reason;
    if (checkpoint_save_both(&checkpoint, catalogue->env.files, catalogue->data_dir, &reason) ==
        ERR_NONE) {
        catalogue->checkpoint_stale = false;
    } else {
        LOG_WARN("topic", "checkpoint not written; the next start scans more", "reason=\"%s\"",
                 reason.text);
    }
    checkpoint_deinit(&checkpoint);
}

static uint64_t bytes_synced(struct catalogue *catalogue)
{
    struct flush_stats stats = {.rounds = 0};
    if (catalogue->env.flusher != NULL) {
        flusher_stats(catalogue->env.flusher, &stats);
    }
    return stats.bytes_synced;
}

void catalogue_keep(struct catalogue *catalogue, bool maintain, struct flusher *flusher)
{
    struct round round = {.count = 0};
    pthread_mutex_lock(&catalogue->checkpoint_lock);
    if (flusher != NULL) {
        atomic_store(&catalogue->checkpointed_bytes, bytes_synced(catalogue));
    }
    struct topic_list *topics = catalogue_list(catalogue);
    for (size_t i = 0; i < topics->count; i++) {
        for (int32_t p = 0; p < topic_partition_count(topics->items[i]); p++) {
            begin_partition(topic_partition(topics->items[i], p), maintain, &round);
        }
    }
    finish_round(catalogue, &round, flusher);
    if (catalogue->checkpoint_stale) {
        save(catalogue, topics);
    }
    space_keep_spare(catalogue->env.space);
    topic_list_unref(topics);
    pthread_mutex_unlock(&catalogue->checkpoint_lock);
    vec_deinit(&round);
}

bool catalogue_checkpoint_due(struct catalogue *catalogue)
{
    return bytes_synced(catalogue) - atomic_load(&catalogue->checkpointed_bytes) >=
               CHECKPOINT_BYTES ||
           space_spare_is_due(catalogue->env.space);
}

void catalogue_maintain(struct catalogue *catalogue)
{
    catalogue_keep(catalogue, true, catalogue->env.flusher);
}

void catalogue_checkpoint(struct catalogue *catalogue)
{
    catalogue_keep(catalogue, false, catalogue->env.flusher);
}
