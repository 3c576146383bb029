#include "coordinator/state_topic.h"

#include "base/logger.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    REPLAY_READ_BYTES = 1 << 20,
    REPLAY_DECOMPRESSED_BYTES = 64 << 20,
};

static enum err set_compact(void *context, struct overrides *overrides, struct reason *reason)
{
    (void)context;
    (void)reason;
    overrides_set(overrides, slice_str("cleanup.policy"), slice_str("compact"));
    overrides_remove(overrides, slice_str("retention.ms"));
    return ERR_NONE;
}

/* A topic of before there was compaction. */
static enum err update_policy(struct catalogue *catalogue, struct topic *topic,
                              struct reason *reason)
{
    struct overrides overrides;
    catalogue_overrides(catalogue, topic, &overrides);
    bool old = overrides_get(&overrides, "cleanup.policy") == NULL;
    overrides_deinit(&overrides);
    return old ? catalogue_edit_overrides(catalogue, topic, set_compact, NULL, false, reason)
               : ERR_NONE;
}

enum err state_topic_open(struct state_topic *state, struct catalogue *catalogue,
                          struct flusher *flusher, const char *name, int32_t partition_count,
                          int64_t segment_bytes, struct reason *reason)
{
    state->flusher = flusher;
    state->topic = catalogue_find(catalogue, slice_str(name));
    if (state->topic != NULL) {
        return update_policy(catalogue, state->topic, reason);
    }
    struct topic_creation creation = {
        .name = slice_str(name),
        .partition_count = partition_count,
        .internal = true,
    };
    char segment[32];
    snprintf(segment, sizeof segment, "%lld", (long long)segment_bytes);
    overrides_set(&creation.overrides, slice_str("cleanup.policy"), slice_str("compact"));
    overrides_set(&creation.overrides, slice_str("segment.bytes"), slice_str(segment));
    enum err err = catalogue_create(catalogue, &creation, &state->topic, reason);
    overrides_deinit(&creation.overrides);
    return err;
}

void state_topic_close(struct state_topic *state)
{
    topic_unref(state->topic);
}

/* ---- appends ---- */

static enum err build_batch(const struct state_batch *from, int64_t wall_ms, struct buf *bytes,
                            struct reason *reason)
{
    struct batch_builder builder;
    batch_builder_init(&builder);
    if (from->producer_id >= 0) {
        builder.producer_id = from->producer_id;
        builder.producer_epoch = from->producer_epoch;
        builder.extra_attributes = BATCH_ATTRIBUTE_TRANSACTIONAL;
    }
    for (size_t i = 0; i < from->record_count; i++) {
        batch_builder_add(&builder, wall_ms, from->records[i].key, from->records[i].value, NULL, 0);
    }
    enum err err = batch_builder_finish(&builder, bytes, reason);
    batch_builder_deinit(&builder);
    return err;
}

static enum err append(void *context, int32_t partition_index, const struct state_batch *records,
                       int64_t wall_ms, struct state_append *append)
{
    struct state_topic *state = context;
    struct partition *partition = topic_partition(state->topic, partition_index);
    struct buf bytes = {0};
    struct batch batch;
    struct reason reason;
    enum err err = build_batch(records, wall_ms, &bytes, &reason);
    if (err == ERR_NONE) {
        err = batch_parse(buf_slice(&bytes), &batch, &reason);
    }
    struct log_append log_append = {.batches = &batch, .batch_count = 1};
    if (err == ERR_NONE) {
        err = partition_append(partition, &log_append, &reason);
    }
    buf_deinit(&bytes);
    if (err == ERR_PRODUCER_FENCED || err == ERR_INVALID_TXN_STATE) {
        LOG_WARN("coordinator", "a write within a transaction was refused; its producer was told",
                 "topic=%s partition=%d reason=\"%s\"", state->topic->name, (int)partition_index,
                 reason.text);
        return err;
    }
    if (err != ERR_NONE) {
        /* One line for a failed write: who waits for it has none of his own. */
        LOG_ERROR("coordinator", "the server's own state could not be stored; who waited was told",
                  "topic=%s partition=%d id=\"%.*s\" reason=\"%s\"", state->topic->name,
                  (int)partition_index, SLICE_ARGS(records->id), reason.text);
        return err;
    }
    append->id = records->id;
    append->partition = partition;
    append->target = (struct flush_target){partition->log, log_append.end_offset};
    return ERR_NONE;
}

static void on_flushed(struct flush_waiter *waiter)
{
    struct state_append *append = container_of(waiter, struct state_append, waiter);
    bool safe = partition_acknowledged(append->partition, append->target.end_offset);
    if (!safe) {
        LOG_ERROR("coordinator", "the server's own state was not flushed; who waited was told",
                  "topic=%s partition=%d id=\"%.*s\"", append->partition->topic->name,
                  (int)append->partition->index, SLICE_ARGS(append->id));
    }
    append->done(append, safe ? ERR_NONE : ERR_IO);
}

static void wait_for_flush(void *context, struct state_append *append)
{
    struct state_topic *state = context;
    append->waiter = (struct flush_waiter){
        .targets = &append->target,
        .target_count = 1,
        .done = on_flushed,
    };
    flush_wait(state->flusher, &append->waiter);
}

struct state_log state_topic_log(struct state_topic *state)
{
    return (struct state_log){
        .context = state,
        .partition_count = topic_partition_count(state->topic),
        .append = append,
        .wait = wait_for_flush,
    };
}

/* ---- replay ---- */

struct replay {
    const struct file_ops *files;
    struct partition *partition;
    state_topic_visit *visit;
    void *context;
};

static void replay_batch(const struct replay *replay, const struct batch *batch)
{
    const char *topic = replay->partition->topic->name;
    int partition = (int)replay->partition->index;
    struct record_iterator iterator;
    struct reason reason = {.text = ""};
    /* The start scans only what is new: what lies before is checked here. */
    if (batch_check_crc(batch, &reason) != ERR_NONE) {
        LOG_ERROR("coordinator", "a stored batch of the server's own state is damaged and skipped",
                  "topic=%s partition=%d offset=%lld reason=\"%s\"", topic, partition,
                  (long long)batch->base_offset, reason.text);
        return;
    }
    enum err err = record_iterator_init(&iterator, batch, REPLAY_DECOMPRESSED_BYTES, &reason);
    bool done = false;
    while (err == ERR_NONE && !done) {
        struct record record;
        err = record_iterator_next(&iterator, &record, &done, &reason);
        if (err == ERR_NONE && !done &&
            replay->visit(replay->context, partition, batch, &record) != ERR_NONE) {
            LOG_WARN("coordinator",
                     "a stored record of the server's own state is not understood and "
                     "skipped",
                     "topic=%s partition=%d offset=%lld", topic, partition,
                     (long long)record.offset);
        }
    }
    if (err != ERR_NONE) {
        LOG_ERROR("coordinator",
                  "a stored batch of the server's own state cannot be read and is skipped",
                  "topic=%s partition=%d offset=%lld reason=\"%s\"", topic, partition,
                  (long long)batch->base_offset, reason.text);
    }
    record_iterator_deinit(&iterator);
}

/* Replays the batches of one span; *next is the offset behind them. */
static enum err replay_span(const struct replay *replay, const struct file_span *span,
                            int64_t *next, struct reason *reason)
{
    uint8_t *bytes = mem_alloc(span->size);
    size_t got;
    enum err err =
        file_read_at(replay->files, span->fd, bytes, span->size, span->position, &got, reason);
    struct slice left = slice_of(bytes, err == ERR_NONE ? got : 0);
    while (left.size > 0) {
        struct batch batch;
        if (batch_parse(left, &batch, reason) != ERR_NONE) {
            err = ERR_CORRUPT;
            break;
        }
        replay_batch(replay, &batch);
        *next = batch_last_offset(&batch) + 1;
        left = slice_of(left.data + batch.bytes.size, left.size - batch.bytes.size);
    }
    free(bytes);
    return err;
}

static enum err replay_partition(const struct replay *replay, struct reason *reason)
{
    struct log *log = replay->partition->log;
    int64_t offset = log_start_offset(log);
    int64_t end = log_end_offset(log);
    enum err err = partition_load(replay->partition, reason);
    if (err != ERR_NONE) {
        return err;
    }
    while (offset < end) {
        struct file_span span;
        int64_t next = offset;
        err = log_read(log, offset, end, REPLAY_READ_BYTES, true, &span, reason);
        if (err == ERR_NONE && span.size > 0) {
            err = replay_span(replay, &span, &next, reason);
            file_span_release(&span);
        }
        if (err == ERR_CORRUPT) {
            /* The rest of the log is still good: go on behind the damage, one offset at a time. */
            LOG_ERROR("coordinator", "damaged records of the server's own state are skipped",
                      "topic=%s partition=%d offset=%lld reason=\"%s\"",
                      replay->partition->topic->name, (int)replay->partition->index,
                      (long long)offset, reason->text);
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

enum err state_topic_replay(struct state_topic *state, const struct file_ops *files,
                            state_topic_visit *visit, void *context, struct reason *reason)
{
    for (int32_t i = 0; i < topic_partition_count(state->topic); i++) {
        struct replay replay = {.files = files,
                                .partition = topic_partition(state->topic, i),
                                .visit = visit,
                                .context = context};
        enum err err = replay_partition(&replay, reason);
        if (err != ERR_NONE) {
            return err;
        }
    }
    return ERR_NONE;
}
