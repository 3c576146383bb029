#include "txn/txn_logs.h"

#include "base/logger.h"
#include "base/vec.h"
#include "log/producer_state.h"

#include <stdlib.h>

/* ---- markers ---- */

struct appended {
    struct txn_marker *item;
    struct partition *partition; /* a reference */
};

/* The markers of one call; what was appended is held until it is on disk. */
struct marker_write {
    struct flush_waiter waiter;
    struct txn_logs *logs;
    struct txn_markers *markers;
    VEC(struct appended) appended;
    VEC(struct flush_target) targets; /* one each of what was appended */
};

static struct partition *find_partition(struct txn_logs *logs, struct slice name, int32_t index)
{
    struct topic *topic = catalogue_find(logs->catalogue, name);
    struct partition *partition = topic != NULL ? topic_partition(topic, index) : NULL;
    if (topic != NULL && partition == NULL) {
        topic_unref(topic);
    }
    return partition; /* the topic's reference is the partition's */
}

static void append_marker(struct marker_write *write, struct txn_marker *item)
{
    const struct txn_markers *markers = write->markers;
    struct partition_marker marker = {
        .producer_id = markers->producer_id,
        .producer_epoch = markers->producer_epoch,
        .commit = markers->commit,
    };
    struct reason reason = {.text = ""};
    item->again = false;
    struct partition *partition = find_partition(write->logs, item->topic, item->partition);
    if (partition == NULL) {
        return; /* deleted meanwhile: nobody reads it any more */
    }
    enum err err = partition_append_marker(partition, &marker, &reason);
    if (err == ERR_NONE) {
        vec_push(&write->appended, (struct appended){item, partition});
        vec_push(&write->targets, (struct flush_target){partition->log, marker.end_offset});
        return;
    }
    item->again =
        !partition_gone(partition) && err != ERR_PRODUCER_FENCED && err != ERR_COORDINATOR_FENCED;
    if (!partition_gone(partition)) {
        LOG_WARN("txn", "a marker of a transaction was not written",
                 "topic=%s partition=%d producer=%lld epoch=%d err=%s reason=\"%s\"",
                 partition->topic->name, (int)partition->index, (long long)markers->producer_id,
                 markers->producer_epoch, err_name(err), reason.text);
    }
    partition_unref(partition);
}

static void settle_marker(struct marker_write *write, size_t i)
{
    struct partition *partition = write->appended.items[i].partition;
    bool safe = partition_acknowledged(partition, write->targets.items[i].end_offset);
    if (safe && write->logs->on_marker != NULL) {
        write->logs->on_marker(write->logs->context, partition, write->markers->producer_id,
                               write->markers->commit);
    }
    write->appended.items[i].item->again = !safe && !partition_gone(partition);
    partition_unref(partition);
}

static void on_markers_flushed(struct flush_waiter *waiter)
{
    struct marker_write *write = container_of(waiter, struct marker_write, waiter);
    struct txn_markers *markers = write->markers;
    for (size_t i = 0; i < write->appended.count; i++) {
        settle_marker(write, i);
    }
    vec_deinit(&write->appended);
    vec_deinit(&write->targets);
    free(write);
    markers->done(markers);
}

static void write_markers(void *context, struct txn_markers *markers)
{
    struct txn_logs *logs = context;
    struct marker_write *write = mem_new(struct marker_write);
    write->logs = logs;
    write->markers = markers;
    for (size_t i = 0; i < markers->count; i++) {
        append_marker(write, &markers->items[i]);
    }
    write->waiter = (struct flush_waiter){
        .targets = write->targets.items,
        .target_count = write->targets.count,
        .done = on_markers_flushed,
    };
    flush_wait(logs->flusher, &write->waiter); /* done at once when nothing was appended */
}

/* ---- open transactions ---- */

struct open_list {
    VEC(struct txn_open) open;
    struct slice topic;
    int32_t partition;
};

static void collect_open(void *context, const struct producer_entry *entry)
{
    struct open_list *list = context;
    if (entry->txn_first_offset < 0) {
        return;
    }
    vec_push(&list->open, (struct txn_open){
                              .topic = list->topic,
                              .partition = list->partition,
                              .producer = {entry->producer_id, entry->epoch},
                              .first_offset = entry->txn_first_offset,
                          });
}

static void list_topic(struct topic *topic, struct arena *arena, struct open_list *list)
{
    list->topic = (struct slice){0};
    for (int32_t i = 0; i < topic_partition_count(topic); i++) {
        struct partition *partition = topic_partition(topic, i);
        if (log_first_unstable_offset(partition->log) == INT64_MAX) {
            continue;
        }
        if (slice_is_null(list->topic)) {
            list->topic = slice_str(arena_cstr(arena, slice_str(topic->name)));
        }
        list->partition = i;
        log_each_producer(partition->log, collect_open, list); /* loaded: a transaction is open */
    }
}

static struct txn_open *list_open(void *context, struct arena *arena, size_t *count)
{
    struct txn_logs *logs = context;
    struct open_list list = {0};
    struct topic_list *topics = catalogue_list(logs->catalogue);
    for (size_t i = 0; i < topics->count; i++) {
        list_topic(topics->items[i], arena, &list);
    }
    topic_list_unref(topics);
    *count = list.open.count;
    return list.open.items;
}

struct open_search {
    const struct txn_open *open;
    bool found;
};

static void look_for_open(void *context, const struct producer_entry *entry)
{
    struct open_search *search = context;
    const struct txn_open *open = search->open;
    search->found = search->found || (entry->producer_id == open->producer.id &&
                                      entry->epoch == open->producer.epoch &&
                                      entry->txn_first_offset == open->first_offset);
}

static bool is_open(void *context, const struct txn_open *open)
{
    struct open_search search = {.open = open};
    struct partition *partition = find_partition(context, open->topic, open->partition);
    struct reason ignored; /* loading has logged it */
    if (partition != NULL) {
        if (partition_load(partition, &ignored) == ERR_NONE) {
            log_each_producer(partition->log, look_for_open, &search);
        }
        partition_unref(partition);
    }
    return search.found;
}

static enum err next_producer_id(void *context, int64_t *producer_id, struct reason *reason)
{
    struct txn_logs *logs = context;
    return catalogue_next_producer_id(logs->catalogue, producer_id, reason);
}

struct txn_participants txn_logs_participants(struct txn_logs *logs)
{
    return (struct txn_participants){
        .context = logs,
        .write_markers = write_markers,
        .list_open = list_open,
        .is_open = is_open,
        .next_producer_id = next_producer_id,
    };
}
