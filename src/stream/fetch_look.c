#include "stream/fetch_look.h"

#include "base/logger.h"
#include "topic/topic.h"

#include <stdlib.h>

static void say_unreadable(const struct fetch_item *item, const char *what,
                           const struct reason *reason)
{
    LOG_ERROR("stream", what, "topic=%s partition=%d offset=%lld reason=\"%s\"",
              item->partition->topic->name, (int)item->partition->index, (long long)item->offset,
              reason->text);
}

/* Returns whether the log was read. */
static bool read_item(struct fetch_item *item, bool read_committed, size_t budget, bool first)
{
    struct partition *partition = item->partition;
    struct reason reason;
    partition_readable(partition, &item->high_watermark, &item->last_stable_offset);
    item->log_start_offset = partition_log_start(partition);
    int64_t limit = read_committed ? item->last_stable_offset : item->high_watermark;
    size_t most = item->max_bytes > 0 ? (size_t)item->max_bytes : 0;
    item->err = partition_gone(partition)        ? ERR_NOT_FOUND
                : log_is_offline(partition->log) ? ERR_IO /* also where there is nothing to read */
                                                 : ERR_NONE;
    item->span = (struct file_span){0};
    item->emptied = false;
    item->found_bytes = 0;
    if (item->err != ERR_NONE) {
        return false;
    }
    if (item->offset < item->log_start_offset || item->offset > limit) {
        /* Between the high watermark and the end there may be events not yet on disk: wait. */
        if (item->offset < item->log_start_offset ||
            item->offset > log_end_offset(partition->log)) {
            item->err = ERR_OUT_OF_RANGE;
        }
        return false;
    }
    if (item->offset == limit || item->paused || (budget == 0 && !first)) {
        return false;
    }
    struct log_range range = {.emptied = false};
    item->err = partition_load(partition, &reason);
    if (item->err == ERR_NONE) {
        item->err =
            log_read_records(partition->log, item->offset, limit, most < budget ? most : budget,
                             first, &item->span, &range, &reason);
    }
    item->end_offset = range.end_offset;
    item->emptied = range.emptied;
    item->found_bytes = item->emptied ? 0 : (int64_t)item->span.size;
    if (item->err == ERR_CORRUPT || item->err == ERR_IO) {
        say_unreadable(item, "stored events cannot be read", &reason);
    }
    return true;
}

bool fetch_look_at_all(struct fetch *fetch)
{
    int64_t left = fetch->max_bytes;
    bool failed = false;
    fetch->found_bytes = 0;
    fetch->dropped_count = 0;
    for (size_t i = 0; i < fetch->item_count; i++) {
        struct fetch_item *item = &fetch->items[i];
        if (item->partition == NULL) {
            failed = true;
            continue;
        }
        read_item(item, fetch->read_committed, left > 0 ? (size_t)left : 0,
                  fetch->found_bytes == 0);
        item->dropped = false;
        failed = failed || item->err != ERR_NONE;
        fetch->found_bytes += item->found_bytes;
        left -= (int64_t)item->span.size;
    }
    return failed || fetch->found_bytes >= fetch->min_bytes;
}

bool fetch_look_at(struct fetch *fetch, struct fetch_item *item, int *units)
{
    int64_t others = fetch->found_bytes - item->found_bytes;
    int64_t left = fetch->max_bytes - others;
    bool was_read =
        read_item(item, fetch->read_committed, left > 0 ? (size_t)left : 0, others == 0);
    *units -= was_read ? 1 + FETCH_READ_COST : 1;
    fetch->dropped_count -= item->dropped;
    item->dropped = false;
    fetch->found_bytes = others + item->found_bytes;
    return item->err != ERR_NONE || fetch->found_bytes >= fetch->min_bytes;
}

void fetch_drop(struct fetch *fetch, struct fetch_item *item)
{
    if (item->span.size > 0) {
        item->dropped = true;
        fetch->dropped_count++;
    }
    file_span_release(&item->span);
    item->span = (struct file_span){0};
}

void fetch_drop_all(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        fetch_drop(fetch, &fetch->items[i]);
    }
}

void fetch_release(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        file_span_release(&fetch->items[i].span);
        fetch->items[i].span = (struct file_span){0};
    }
    fetch_free_aborted(fetch);
}

void fetch_free_aborted(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count; i++) {
        free(fetch->items[i].aborted);
        fetch->items[i].aborted = NULL;
        fetch->items[i].aborted_count = 0;
    }
}

void fetch_find_aborted(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->item_count && fetch->read_committed; i++) {
        struct fetch_item *item = &fetch->items[i];
        struct reason reason;
        if (item->span.size == 0) {
            continue;
        }
        item->err = log_aborted_txns(item->partition->log, item->offset, item->end_offset,
                                     &item->aborted, &item->aborted_count, &reason);
        if (item->err != ERR_NONE) {
            say_unreadable(item, "aborted transactions cannot be read", &reason);
            file_span_release(&item->span);
            item->span = (struct file_span){0};
        }
    }
}

void fetch_verify(struct fetch_item *item)
{
    struct reason reason;
    item->err = log_verify_span(item->partition->log, item->offset, &item->span, &item->end_offset,
                                &reason);
    if (item->err != ERR_NONE) {
        say_unreadable(item, "stored events cannot be read", &reason);
    }
}
