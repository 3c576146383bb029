#include "stream/produce.h"

#include "base/logger.h"
#include "base/mem.h"
#include "batch/batch.h"
#include "topic/topic.h"

static enum err parse_one(struct slice records, struct batch *batch, struct reason *reason)
{
    if (records.size == 0) {
        return reason_fail(reason, ERR_INVALID_RECORD, "the request holds no record batch");
    }
    enum err err = batch_parse(records, batch, reason);
    if (err == ERR_TRUNCATED) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_NONE && batch->bytes.size != records.size) {
        err = reason_fail(reason, ERR_INVALID_RECORD,
                          "exactly one record batch a partition is allowed in a request");
    }
    return err;
}

static enum err fail_gone(struct produce_item *item)
{
    return reason_fail(&item->reason, ERR_NOT_FOUND, "topic '%s' was deleted",
                       item->partition->topic->name);
}

static enum err append_checked(struct produce_item *item, struct batch *batch)
{
    struct log_append append = {
        .batches = batch,
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

void produce_append(struct produce_item *item, int64_t now_ms)
{
    const struct topic_config *config = partition_config(item->partition);
    struct batch_rules rules = {
        .max_bytes = (size_t)config->max_message_bytes,
        .timestamp_before_max_ms =
            topic_config_append_time(config) ? INT64_MAX : config->timestamp_before_max_ms,
        .timestamp_after_max_ms =
            topic_config_append_time(config) ? INT64_MAX : config->timestamp_after_max_ms,
    };
    struct batch batch;
    struct batch_record_error record_error = {.batch_index = -1};
    item->record_index = -1;
    item->err = parse_one(item->records, &batch, &item->reason);
    if (item->err == ERR_NONE) {
        item->err = batch_validate(&batch, &rules, now_ms, &record_error, &item->reason);
        item->record_index = record_error.batch_index;
    }
    if (item->err == ERR_NONE && batch_is_transactional(&batch)) {
        /* Readers would see it as committed, whatever becomes of its transaction. */
        item->err = reason_fail(&item->reason, ERR_UNSUPPORTED,
                                "transactions are not served yet: use an idempotent producer "
                                "without a transactional id");
    }
    if (item->err == ERR_NONE) {
        item->err = batch_mend_max_timestamp(&batch, &item->reason);
    }
    if (item->err == ERR_NONE) {
        item->err = append_checked(item, &batch);
    }
    if (item->err == ERR_IO || item->err == ERR_NO_SPACE) {
        LOG_ERROR("stream", "an event could not be written; its producer was told",
                  "topic=%s partition=%d reason=\"%s\"", item->partition->topic->name,
                  (int)item->partition->index, item->reason.text);
    }
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
