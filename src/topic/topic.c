#include "topic/topic.h"

#include "base/mem.h"
#include "log/segment.h"

#include <ctype.h>
#include <stdlib.h>

struct topic *topic_new(struct slice name, const struct topic_id *id, bool internal)
{
    struct topic *topic = mem_new(struct topic);
    slice_copy(topic->name, name);
    topic->id = *id;
    topic->internal = internal;
    atomic_init(&topic->refs, 1);
    return topic;
}

void topic_ref(struct topic *topic)
{
    atomic_fetch_add_explicit(&topic->refs, 1, memory_order_relaxed);
}

bool topic_try_ref(struct topic *topic)
{
    int32_t refs = atomic_load(&topic->refs);
    while (refs > 0 && !atomic_compare_exchange_weak(&topic->refs, &refs, refs + 1)) {
    }
    return refs > 0;
}

static void topic_free(struct topic *topic)
{
    struct partition **partitions = atomic_load(&topic->partitions);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        log_set_user(partitions[i]->log, NULL); /* waits for a flush that is telling it */
        log_unref(partitions[i]->log);
        free(partitions[i]);
    }
    free(partitions);
    while (topic->old_partitions != NULL) {
        struct old_partitions *older = topic->old_partitions->older;
        free(topic->old_partitions->array);
        free(topic->old_partitions);
        topic->old_partitions = older;
    }
    struct topic_config_version *version = atomic_load(&topic->config);
    while (version != NULL) {
        struct topic_config_version *older = version->older;
        topic_config_deinit(&version->config);
        free(version);
        version = older;
    }
    if (topic->budget != NULL) {
        budget_give(topic->budget, BUDGET_PARTITIONS, topic->counted_bytes);
    }
    overrides_deinit(&topic->overrides);
    free(topic);
}

void topic_unref(struct topic *topic)
{
    if (atomic_fetch_sub_explicit(&topic->refs, 1, memory_order_acq_rel) == 1) {
        topic_free(topic);
    }
}

int32_t topic_partition_count(const struct topic *topic)
{
    return atomic_load_explicit(&topic->partition_count, memory_order_acquire);
}

const struct topic_config *topic_config(const struct topic *topic)
{
    return &atomic_load_explicit(&topic->config, memory_order_acquire)->config;
}

struct partition *topic_partition(const struct topic *topic, int32_t index)
{
    if (index < 0 || index >= topic_partition_count(topic)) {
        return NULL;
    }
    return atomic_load_explicit(&topic->partitions, memory_order_acquire)[index];
}

/* About: the path of a log, and what finds a topic by its name. */
enum { LOG_DIR_BYTES = 128, NAMES_BYTES = 256 };

/* Of its array too, and of the arrays that were replaced. */
static size_t idle_partition_cost(void)
{
    return mem_cost(sizeof(struct partition)) + 2 * sizeof(struct partition *) + log_cost("") +
           LOG_DIR_BYTES;
}

size_t topic_partition_cost(void)
{
    return idle_partition_cost() + SEGMENT_COST;
}

static void count_partitions(struct topic *topic, int32_t partitions)
{
    size_t bytes = (size_t)partitions * idle_partition_cost();
    if (topic->counted_bytes == 0) {
        bytes +=
            mem_cost(sizeof *topic) + mem_cost(sizeof(struct topic_config_version)) + NAMES_BYTES;
    }
    if (topic->budget != NULL) {
        budget_add(topic->budget, BUDGET_PARTITIONS, bytes);
        topic->counted_bytes += bytes;
    }
}

void topic_add_partitions(struct topic *topic, struct partition **added, int32_t count)
{
    int32_t before = topic->partition_count;
    count_partitions(topic, count);
    struct partition **array = mem_new_array(struct partition *, (size_t)(before + count));
    struct partition **old = atomic_load(&topic->partitions);
    if (old != NULL) {
        memcpy(array, old, (size_t)before * sizeof *array);
        struct old_partitions *keep = mem_new(struct old_partitions);
        keep->array = old;
        keep->older = topic->old_partitions;
        topic->old_partitions = keep;
    }
    memcpy(array + before, added, (size_t)count * sizeof *array);
    /* The array first: a reader that sees the new count must find the new array. */
    atomic_store_explicit(&topic->partitions, array, memory_order_release);
    atomic_store_explicit(&topic->partition_count, before + count, memory_order_release);
}

void topic_set_config(struct topic *topic, struct topic_config *config)
{
    struct topic_config_version *version = mem_new(struct topic_config_version);
    version->config = *config;
    version->older = atomic_load(&topic->config);
    *config = (struct topic_config){0};
    atomic_store_explicit(&topic->config, version, memory_order_release);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        log_set_config(topic_partition(topic, i)->log, &version->config.log);
    }
}

enum err topic_check_name(struct slice name, struct reason *reason)
{
    if (name.size == 0) {
        return reason_fail(reason, ERR_INVALID, "a topic name must not be empty");
    }
    if (slice_equal_str(name, ".") || slice_equal_str(name, "..")) {
        return reason_fail(reason, ERR_INVALID, "a topic name cannot be \".\" or \"..\"");
    }
    if (name.size > TOPIC_NAME_MAX) {
        return reason_fail(reason, ERR_INVALID,
                           "topic name is %zu characters long, at most %d are allowed", name.size,
                           TOPIC_NAME_MAX);
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c >= 0x80 || (!isalnum(c) && c != '.' && c != '_' && c != '-')) {
            return reason_fail(reason, ERR_INVALID,
                               "topic name '%.*s' has a character other than letters, digits, '.', "
                               "'_' and '-'",
                               SLICE_ARGS(name));
        }
    }
    return ERR_NONE;
}
