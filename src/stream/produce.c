#include "stream/produce.h"

#include "base/logger.h"
#include "base/mem.h"
#include "topic/topic.h"

void produce_take(struct produce_item *item, struct slice records)
{
    if (records.size == 0) {
        item->err =
            reason_fail(&item->reason, ERR_INVALID_RECORD, "the request holds no record batch");
        return;
    }
    enum err err = batch_parse(records, &item->batch, &item->reason);
    if (err == ERR_TRUNCATED) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_NONE && item->batch.bytes.size != records.size) {
        err = reason_fail(&item->reason, ERR_INVALID_RECORD,
                          "exactly one record batch a partition is allowed in a request");
    }
    item->err = err;
}

static enum err fail_gone(struct produce_item *item)
{
    return reason_fail(&item->reason, ERR_NOT_FOUND, "topic '%s' was deleted",
                       item->partition->topic->name);
}

static enum err append_checked(struct produce_item *item)
{
    struct log_append append = {
        .batches = &item->batch,
        .batch_count = 1,
        .leader_epoch = 0,
        .check_producer = true,
    };
    enum err err = partition_append(item->partition, &append, &item->reason);
    if (err == ERR_DUPLICATE_SEQUENCE) {
        err = ERR_NONE;
    }
    if (err == ERR_CLOSED && partition_gone(item->partition)) {
        err = fail_gone(item);
    }
    item->base_offset = append.base_offset;
    item->end_offset = append.end_offset;
    item->append_time_ms = append.append_time_ms;
    item->log_start_offset = append.log_start_offset;
    return err;
}

static struct batch_rules rules_of(const struct topic_config *config)
{
    bool server_time = topic_config_append_time(config);
    return (struct batch_rules){
        .max_bytes = (size_t)config->max_message_bytes,
        .keys_required = config->log.compact,
        .open = config->compression_check,
        .timestamp_before_max_ms = server_time ? INT64_MAX : config->timestamp_before_max_ms,
        .timestamp_after_max_ms = server_time ? INT64_MAX : config->timestamp_after_max_ms,
    };
}

/* The topic's codec, when the batch has another. */
static bool wants_codec(const struct topic_config *config, const struct batch *batch,
                        enum batch_compression *codec, int *level)
{
    return topic_config_codec(config, codec, level) && *codec != batch_compression(batch);
}

/* Whether it is opened now, or will not be: what no decoder takes is told by produce_append. */
static bool open_quickly(struct produce_item *item, size_t *quick_bytes)
{
    struct reason why;
    if (item->batch.bytes.size > *quick_bytes) {
        return false;
    }
    enum err err = batch_open(&item->batch, *quick_bytes, &item->plain, &why);
    *quick_bytes -= item->plain.size < *quick_bytes ? item->plain.size : *quick_bytes;
    if (err != ERR_NONE) {
        buf_deinit(&item->plain);
    }
    return err != ERR_TOO_LARGE;
}

bool produce_is_slow(struct produce_item *item, size_t *quick_bytes)
{
    if (item->partition == NULL || item->err != ERR_NONE) {
        return false; /* refused without a look inside */
    }
    const struct topic_config *config = partition_config(item->partition);
    struct batch_rules rules = rules_of(config);
    enum batch_compression codec;
    int level;
    if (wants_codec(config, &item->batch, &codec, &level)) {
        return true;
    }
    return batch_compression(&item->batch) != BATCH_COMPRESSION_NONE && batch_rules_open(&rules) &&
           !open_quickly(item, quick_bytes);
}

/* The batch in the topic's codec, in *recoded; the limit of bytes holds for it too. */
static enum err recompress(struct batch *batch, const struct buf *plain,
                           enum batch_compression codec, int level, size_t max_bytes,
                           struct buf *recoded, struct reason *reason)
{
    struct slice records = batch_compression(batch) == BATCH_COMPRESSION_NONE
                               ? slice_of(batch->bytes.data + BATCH_HEADER_BYTES,
                                          batch->bytes.size - BATCH_HEADER_BYTES)
                               : buf_slice(plain);
    enum err err = batch_recompress(batch, records, codec, level, recoded, reason);
    if (err == ERR_NONE && batch->bytes.size > max_bytes) {
        err = reason_fail(reason, ERR_TOO_LARGE,
                          "record batch of %zu bytes, in the topic's compression.type, is larger "
                          "than max.message.bytes=%zu",
                          batch->bytes.size, max_bytes);
    }
    return err;
}

/* Checks the batch against the topic and gives it the topic's codec; item->plain and recoded hold
 * what it then borrows. */
static enum err prepare(struct produce_item *item, int64_t now_ms)
{
    struct buf *plain = &item->plain;
    struct batch *batch = &item->batch;
    const struct topic_config *config = partition_config(item->partition);
    struct batch_rules rules = rules_of(config);
    rules.open_max_bytes = item->open_max_bytes;
    enum batch_compression codec;
    int level;
    if (item->no_zstd && batch_compression(batch) == BATCH_COMPRESSION_ZSTD) {
        return reason_fail(&item->reason, ERR_UNSUPPORTED_CODEC,
                           "a record batch in zstd, which this version of the request knows not");
    }
    bool recode = wants_codec(config, batch, &codec, &level);
    enum err err = recode || batch_rules_open(&rules)
                       ? batch_validate_opened(batch, &rules, now_ms, plain, &item->record_errors,
                                               &item->reason)
                       : batch_validate(batch, &rules, now_ms, &item->record_errors, &item->reason);
    item->opened_bytes = plain->size;
    if (err == ERR_NONE) {
        err = batch_mend_max_timestamp(batch, &item->reason);
    }
    if (err == ERR_NONE && recode) {
        err =
            recompress(batch, plain, codec, level, rules.max_bytes, &item->recoded, &item->reason);
    }
    return err;
}

void produce_prepare(struct produce_item *item, int64_t now_ms)
{
    item->prepared = true;
    item->record_errors = (struct batch_record_errors){.count = 0};
    if (item->err == ERR_NONE) {
        item->err = prepare(item, now_ms);
    }
    buf_deinit(&item->plain);
}

/* Nobody would end it, and readers would wait for its end for ever. */
static enum err check_transaction(struct produce_item *item)
{
    const struct batch *batch = &item->batch;
    if (!batch_is_transactional(batch) || item->in_transaction) {
        return ERR_NONE;
    }
    return reason_fail(&item->reason, ERR_INVALID_TXN_STATE,
                       "a transactional record batch of producer %lld (epoch %d) came without a "
                       "transaction: the request names no transactional id",
                       (long long)batch->producer_id, batch->producer_epoch);
}

void produce_append(struct produce_item *item, int64_t now_ms)
{
    if (!item->prepared) {
        produce_prepare(item, now_ms);
    }
    item->prepared = false;
    if (item->err != ERR_NONE) {
        item->base_offset = -1;
        return;
    }
    item->err = check_transaction(item);
    if (item->err == ERR_NONE) {
        item->err = append_checked(item);
    }
    buf_deinit(&item->recoded);
    if (item->err == ERR_IO || item->err == ERR_NO_SPACE) {
        LOG_ERROR("stream", "an event could not be written; its producer was told",
                  "topic=%s partition=%d reason=\"%s\"", item->partition->topic->name,
                  (int)item->partition->index, item->reason.text);
    }
}

void produce_item_deinit(struct produce_item *item)
{
    vec_deinit(&item->record_errors);
    buf_deinit(&item->plain);
    buf_deinit(&item->recoded);
}

void produce_settle(struct produce_item *item)
{
    if (item->err == ERR_NONE && !partition_acknowledged(item->partition, item->end_offset)) {
        item->err =
            partition_gone(item->partition)
                ? fail_gone(item)
                : reason_fail(&item->reason, ERR_IO,
                              "the disk failed before the event was safe; it is not acknowledged");
    }
}

static void on_reactor(struct task *task)
{
    struct produce_wait *wait = container_of(task, struct produce_wait, task);
    wait->done(wait);
}

static void on_flusher(struct flush_waiter *waiter)
{
    struct produce_wait *wait = container_of(waiter, struct produce_wait, waiter);
    wait->task.run = on_reactor;
    reactor_post(wait->reactor, &wait->task);
}

bool produce_wait_begin(struct produce_wait *wait, struct flusher *flusher, struct reactor *reactor,
                        const struct produce_item *items, size_t count,
                        struct flush_target *targets)
{
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++) {
        const struct produce_item *item = &items[i];
        if (item->partition != NULL && item->err == ERR_NONE &&
            !partition_acknowledged(item->partition, item->end_offset)) {
            targets[waiting++] = (struct flush_target){item->partition->log, item->end_offset};
        }
    }
    if (waiting == 0) {
        return false;
    }
    wait->reactor = reactor;
    wait->waiter = (struct flush_waiter){
        .targets = targets,
        .target_count = waiting,
        .done = on_flusher,
    };
    flush_wait(flusher, &wait->waiter);
    return true;
}
