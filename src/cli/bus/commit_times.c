#include "cli/bus/commit_times.h"

#include "base/java_hash.h"
#include "base/mem.h"
#include "bus/event/topic_scan.h"
#include "bus/watch/commit_record.h"
#include "cli/base/name_choice.h"

#include <stdlib.h>
#include <string.h>

#define TOPIC "__consumer_offsets"

static bool wants(void *context, int32_t partition, int32_t partition_count)
{
    const struct commit_times *times = context;
    for (size_t i = 0; i < times->count; i++) {
        if (java_hash_partition(slice_str(times->names[i]), partition_count) == partition) {
            return true;
        }
    }
    return false;
}

/* NULL: it is none of those that are asked for. */
static struct group_commits *find(const struct commit_times *times, struct slice name)
{
    size_t index;
    return name_search(times->names, times->count, name, &index) ? &times->groups[index] : NULL;
}

static bool take(void *context, const struct event *event)
{
    const struct commit_times *times = context;
    struct commit_record record;
    commit_record_read(event->key, event->value, &record);
    struct group_commits *group =
        record.kind == COMMIT_RECORD_OFFSET ? find(times, record.group) : NULL;
    if (group == NULL) {
        return true;
    }
    group->last_ms = record.time_ms > group->last_ms ? record.time_ms : group->last_ms;
    if (times->wants_steps) {
        vec_push(&group->steps,
                 (struct commit_step){
                     .topic = mem_strndup((const char *)record.topic.data, record.topic.size),
                     .partition = record.partition,
                     .offset = record.offset,
                     .time_ms = record.time_ms});
    }
    return true;
}

static bool progress(void *context, int64_t done, int64_t total)
{
    const struct commit_times *times = context;
    return times->progress == NULL || times->progress(times->context, done, total);
}

enum client_status commit_times_load(struct commit_times *times, struct client_error *error)
{
    struct topic_scan scan = {.connection = times->connection,
                              .topic = TOPIC,
                              .last = COMMIT_TIMES_RECORDS,
                              .wants = wants,
                              .each = take,
                              .progress = progress,
                              .context = times};
    times->groups = mem_new_array(struct group_commits, times->count + 1);
    for (size_t i = 0; i < times->count; i++) {
        times->groups[i].last_ms = -1;
    }
    return topic_scan(&scan, error);
}

void commit_times_deinit(struct commit_times *times)
{
    for (size_t i = 0; times->groups != NULL && i < times->count; i++) {
        struct group_commits *group = &times->groups[i];
        for (size_t j = 0; j < group->steps.count; j++) {
            free(group->steps.items[j].topic);
        }
        vec_deinit(&group->steps);
    }
    free(times->groups);
    times->groups = NULL;
}
