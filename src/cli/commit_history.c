#include "cli/commit_history.h"

#include "base/java_hash.h"
#include "base/mem.h"
#include "bus/topic_scan.h"
#include "cli/name_choice.h"
#include "wire/generated/offset_commit_key.h"
#include "wire/generated/offset_commit_value.h"

#include <stdlib.h>
#include <string.h>

#define TOPIC "__consumer_offsets"

static bool wants(void *context, int32_t partition, int32_t partition_count)
{
    const struct commit_history *history = context;
    for (size_t i = 0; i < history->count; i++) {
        if (java_hash_partition(slice_str(history->names[i]), partition_count) == partition) {
            return true;
        }
    }
    return false;
}

/* NULL: it is none of those that are asked for. */
static struct group_commits *find(const struct commit_history *history, struct slice name)
{
    size_t index;
    return name_search(history->names, history->count, name, &index) ? &history->groups[index]
                                                                     : NULL;
}

static bool take(void *context, const struct event *record)
{
    const struct commit_history *history = context;
    struct arena arena = {0};
    struct wire_reader reader;
    struct offset_commit_key key;
    struct offset_commit_value value = {0};
    int16_t version;
    wire_reader_init(&reader, record->key, &arena);
    bool is_commit = !slice_is_null(record->key) && !slice_is_null(record->value) &&
                     offset_commit_key_decode_versioned(&reader, &version, &key) == ERR_NONE;
    struct group_commits *group = is_commit ? find(history, key.group) : NULL;
    if (group != NULL) {
        wire_reader_init(&reader, record->value, &arena);
        is_commit = offset_commit_value_decode_versioned(&reader, &version, &value) == ERR_NONE;
    }
    if (group != NULL && is_commit) {
        int64_t time_ms = value.commit_timestamp;
        group->last_ms = time_ms > group->last_ms ? time_ms : group->last_ms;
        if (history->wants_steps) {
            vec_push(&group->steps,
                     (struct commit_step){
                         .topic = mem_strndup((const char *)key.topic.data, key.topic.size),
                         .partition = key.partition,
                         .offset = value.offset,
                         .time_ms = time_ms});
        }
    }
    arena_deinit(&arena);
    return true;
}

static bool progress(void *context, int64_t done, int64_t total)
{
    const struct commit_history *history = context;
    return history->progress == NULL || history->progress(history->context, done, total);
}

enum client_status commit_history_load(struct commit_history *history, struct client_error *error)
{
    struct topic_scan scan = {.connection = history->connection,
                              .topic = TOPIC,
                              .last = COMMIT_HISTORY_RECORDS,
                              .wants = wants,
                              .each = take,
                              .progress = progress,
                              .context = history};
    history->groups = mem_new_array(struct group_commits, history->count + 1);
    for (size_t i = 0; i < history->count; i++) {
        history->groups[i].last_ms = -1;
    }
    return topic_scan(&scan, error);
}

void commit_history_deinit(struct commit_history *history)
{
    for (size_t i = 0; history->groups != NULL && i < history->count; i++) {
        struct group_commits *group = &history->groups[i];
        for (size_t j = 0; j < group->steps.count; j++) {
            free(group->steps.items[j].topic);
        }
        vec_deinit(&group->steps);
    }
    free(history->groups);
    history->groups = NULL;
}
