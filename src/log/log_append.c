#include "log/log.h"

#include "base/logger.h"
#include "log/log_internal.h"
#include "log/space.h"

#include <assert.h>

/* Batches that one gathered write takes: a producer's request has one, a coordinator's few. */
enum { APPEND_GROUP = 16 };

/* What the batches of one append come to. */
struct append_total {
    int64_t bytes;
    int64_t offsets;
    int64_t max_timestamp;
};

static struct append_total measure(const struct log_append *append)
{
    struct append_total total = {.max_timestamp = -1};
    for (int32_t i = 0; i < append->batch_count; i++) {
        const struct batch *batch = &append->batches[i];
        total.bytes += (int64_t)batch->bytes.size;
        total.offsets += (int64_t)batch->last_offset_delta + 1;
        if (batch->max_timestamp > total.max_timestamp) {
            total.max_timestamp = batch->max_timestamp;
        }
    }
    return total;
}

static enum err check_open(struct log *log, struct reason *reason)
{
    if (atomic_load(&log->failed)) {
        return reason_fail(reason, ERR_CLOSED,
                           "%s takes no writes since a sync failed: mend the disk and restart",
                           log->dir);
    }
    if (atomic_load(&log->deleted) || log->closed) {
        return reason_fail(reason, ERR_CLOSED, "%s is closed", log->dir);
    }
    return ERR_NONE;
}

/* A batch of the same producer stands before it in the same append: it must go on where that one
 * ends. */
static enum err check_follows(const struct batch *before, const struct batch *batch, bool sequence,
                              struct reason *reason)
{
    int32_t expected = producer_sequence_add(before->base_sequence, before->last_offset_delta + 1);
    if (batch->producer_epoch != before->producer_epoch ||
        (sequence && batch->base_sequence != expected)) {
        return reason_fail(reason, ERR_OUT_OF_ORDER_SEQUENCE,
                           "producer %lld sent epoch %d sequence %d where %d, %d comes next",
                           (long long)batch->producer_id, batch->producer_epoch,
                           batch->base_sequence, before->producer_epoch, expected);
    }
    if (batch_is_transactional(before) && !batch_is_transactional(batch)) {
        return reason_fail(reason, ERR_INVALID_TXN_STATE,
                           "producer %lld sent a batch outside of its open transaction",
                           (long long)batch->producer_id);
    }
    return ERR_NONE;
}

static enum err check_room(struct log *log, const struct batch *batch, struct reason *reason)
{
    struct reason why;
    int64_t now_ms = clock_wall_ms(log->env.clock);
    enum err err = producer_check_room(&log->producers, batch->producer_id, now_ms, &why);
    if (err != ERR_NONE) {
        LOG_WARN("log", "a producer was refused: there is no memory for it",
                 "dir=\"%s\" reason=\"%s\"", log->dir, why.text);
        return reason_fail(reason, err, "%s", why.text);
    }
    return ERR_NONE;
}

static enum err check_with_state(struct log *log, struct log_append *append,
                                 const struct batch *batch, struct reason *reason)
{
    if (!append->check_producer || batch_is_control(batch)) {
        return producer_check_own(&log->producers, batch, reason);
    }
    int64_t last_offset;
    enum err err =
        producer_check(&log->producers, batch, &append->base_offset, &last_offset, reason);
    if (err == ERR_DUPLICATE_SEQUENCE) {
        append->end_offset = last_offset + 1;
    }
    bool is_new = err == ERR_NONE && producer_find(&log->producers, batch->producer_id) == NULL;
    return is_new ? check_room(log, batch, reason) : err;
}

static enum err check_producers(struct log *log, struct log_append *append, struct reason *reason)
{
    enum err err = ERR_NONE;
    for (int32_t i = 0; i < append->batch_count && err == ERR_NONE; i++) {
        const struct batch *batch = &append->batches[i];
        if (batch->producer_id < 0) {
            continue;
        }
        if (batch_is_control(batch) && append->batch_count > 1) {
            return reason_fail(reason, ERR_INVALID, "a control batch is appended alone");
        }
        int32_t before = i - 1;
        while (before >= 0 && append->batches[before].producer_id != batch->producer_id) {
            before--;
        }
        err = before >= 0
                  ? check_follows(&append->batches[before], batch, append->check_producer, reason)
                  : check_with_state(log, append, batch, reason);
    }
    return err;
}

/* segments_lock is held: the index rows are counted. */
static bool roll_due(const struct log *log, const struct append_total *total, int64_t now_ms)
{
    const struct log_config *config = &log->config;
    const struct segment *active = log_active(log);
    if (active->size_bytes == 0) {
        return false;
    }
    int64_t end = atomic_load(&log->end_offset);
    /* By the time in the records where they have one, as Kafka does: retention works on it. */
    int64_t age_ms = active->first_timestamp >= 0 && total->max_timestamp >= 0
                         ? total->max_timestamp - active->first_timestamp
                         : now_ms - active->first_written_ms;
    return active->size_bytes > config->segment_bytes - total->bytes ||
           active->size_bytes > INT32_MAX - total->bytes ||
           end + total->offsets - active->base_offset > INT32_MAX || age_ms > config->segment_ms ||
           (index_rows(&active->offsets) + 1) * 8 > config->segment_index_bytes ||
           (index_rows(&active->times) + 1) * 12 > config->segment_index_bytes;
}

static enum err roll_if_due(struct log *log, const struct append_total *total, int64_t now_ms,
                            struct reason *reason)
{
    pthread_mutex_lock(&log->segments_lock);
    bool times_known = log_active(log)->times_known;
    bool due = times_known && roll_due(log, total, now_ms);
    pthread_mutex_unlock(&log->segments_lock);
    if (!times_known) { /* the first append after a start */
        enum err err = log_load_times(log, log_active(log), reason);
        return err != ERR_NONE ? err : roll_if_due(log, total, now_ms, reason);
    }
    return due ? log_roll(log, reason) : ERR_NONE;
}

static void assign(struct log *log, struct log_append *append, int64_t now_ms)
{
    int64_t offset = atomic_load(&log->end_offset);
    append->base_offset = offset;
    append->append_time_ms = append->append_time ? now_ms : -1;
    for (int32_t i = 0; i < append->batch_count; i++) {
        struct batch *batch = &append->batches[i];
        batch->base_offset = offset;
        batch->leader_epoch = append->leader_epoch;
        if (append->append_time) {
            batch_set_append_time(batch, now_ms);
        }
        offset += (int64_t)batch->last_offset_delta + 1;
    }
    append->end_offset = offset;
}

static enum err write_group(struct log *log, const struct batch *batches, int32_t count,
                            int64_t position, struct reason *reason)
{
    uint8_t headers[APPEND_GROUP][BATCH_HEADER_BYTES];
    struct iovec iov[2 * APPEND_GROUP];
    for (int32_t i = 0; i < count; i++) {
        batch_header_store(&batches[i], headers[i]);
        iov[2 * i] = (struct iovec){.iov_base = headers[i], .iov_len = BATCH_HEADER_BYTES};
        iov[2 * i + 1] = (struct iovec){
            .iov_base = (void *)(uintptr_t)(batches[i].bytes.data + BATCH_HEADER_BYTES),
            .iov_len = batches[i].bytes.size - BATCH_HEADER_BYTES,
        };
    }
    return file_write_at(log->env.files, log_active(log)->fd, iov, 2 * count, position, reason);
}

/* All batches, or the file as it was. */
static enum err write_batches(struct log *log, const struct log_append *append,
                              struct reason *reason)
{
    struct segment *active = log_active(log);
    int64_t position = active->size_bytes;
    enum err err = ERR_NONE;
    for (int32_t at = 0; at < append->batch_count && err == ERR_NONE; at += APPEND_GROUP) {
        int32_t count = append->batch_count - at;
        count = count < APPEND_GROUP ? count : (int32_t)APPEND_GROUP;
        err = write_group(log, append->batches + at, count, position, reason);
        for (int32_t i = 0; i < count; i++) {
            position += (int64_t)append->batches[at + i].bytes.size;
        }
    }
    if (err == ERR_NONE) {
        return ERR_NONE;
    }
    struct reason why;
    if (file_truncate(log->env.files, active->fd, active->size_bytes, &why) != ERR_NONE) {
        /* What lies behind the end might be found by recovery as if it had been appended. */
        atomic_store(&log->failed, true);
        LOG_ERROR("log", "a failed write could not be cut off; the log takes no more writes",
                  "dir=\"%s\" reason=\"%s\"", log->dir, why.text);
    }
    return err;
}

static void publish(struct log *log, const struct log_append *append,
                    const struct append_total *total, int64_t now_ms)
{
    struct producer_txn ended;
    bool has_ended = false;
    for (int32_t i = 0; i < append->batch_count; i++) {
        has_ended = producer_apply(&log->producers, &append->batches[i], now_ms, &ended);
    }
    log_publish_txns(log, has_ended ? &ended : NULL);
    pthread_mutex_lock(&log->segments_lock);
    struct segment *active = log_active(log);
    if (has_ended) {
        log_index_abort(log, active, &ended);
    }
    int64_t position = active->size_bytes;
    if (position == 0) {
        active->first_written_ms = now_ms;
    }
    if (!active->held_unsynced) { /* its own sync is to see a failed write-back */
        active->held_unsynced = true;
        segment_hold_again(active);
    }
    if (log->recent == NULL) {
        log->recent = log_positions_new(LOG_RECENT_BATCHES);
    }
    for (int32_t i = 0; i < append->batch_count; i++) {
        const struct batch *batch = &append->batches[i];
        log->recent[log->recent_next++ % LOG_RECENT_BATCHES] =
            (struct batch_position){.segment_base = active->base_offset,
                                    .offset = batch->base_offset,
                                    .position = position};
        segment_take_batch(active, batch, position, log->config.index_interval_bytes);
        position = active->size_bytes;
    }
    atomic_store(&log->end_offset, append->end_offset);
    pthread_mutex_unlock(&log->segments_lock);
    atomic_fetch_add(&log->size_bytes, total->bytes);
}

/* append_lock is held. */
static enum err append_locked(struct log *log, struct log_append *append, struct reason *reason)
{
    append->log_start_offset = atomic_load(&log->start_offset);
    enum err err = check_open(log, reason);
    if (err == ERR_NONE) {
        err = check_producers(log, append, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    struct append_total total = measure(append);
    if (total.bytes > INT32_MAX || total.offsets > INT32_MAX) {
        return reason_fail(reason, ERR_TOO_LARGE, "an append of %lld bytes fits no segment",
                           (long long)total.bytes);
    }
    err = space_check(log->env.space, append->reserve ? SPACE_FOR_STATE : SPACE_FOR_EVENTS,
                      total.bytes, reason);
    if (err != ERR_NONE) {
        return err;
    }
    int64_t now_ms = clock_wall_ms(log->env.clock);
    err = roll_if_due(log, &total, now_ms, reason);
    struct segment *active = log_active(log);
    if (err == ERR_NONE) {
        err = segment_hold(active, reason);
    }
    if (err != ERR_NONE) {
        return err;
    }
    assign(log, append, now_ms);
    err = write_batches(log, append, reason);
    if (err == ERR_NONE) {
        publish(log, append, &total, now_ms);
    } else if (err == ERR_NO_SPACE) {
        space_look(log->env.space); /* others fill the disk, too */
    }
    segment_let_go(active);
    return err;
}

enum err log_append(struct log *log, struct log_append *append, struct reason *reason)
{
    assert(append->batch_count > 0);
    append->base_offset = -1;
    append->end_offset = -1;
    append->append_time_ms = -1;
    assert(log_is_loaded(log));
    pthread_mutex_lock(&log->append_lock);
    enum err err = append_locked(log, append, reason);
    pthread_mutex_unlock(&log->append_lock);
    if (err == ERR_NONE && log->env.flusher != NULL) {
        flusher_mark(log->env.flusher, log);
    }
    return err;
}
