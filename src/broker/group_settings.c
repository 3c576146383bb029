#include "broker/group_settings.h"

#include <string.h>

/* The next item of a comma-separated list, without blanks; null at its end. */
static struct slice next_item(const char **list)
{
    *list += strspn(*list, " ,");
    size_t size = strcspn(*list, " ,");
    struct slice item = size > 0 ? slice_of(*list, size) : (struct slice){0};
    *list += size;
    return item;
}

static bool has_item(const char *list, const char *wanted)
{
    struct slice item;
    while (!slice_is_null(item = next_item(&list))) {
        if (slice_equal_str(item, wanted)) {
            return true;
        }
    }
    return false;
}

static void set_assignors(const char *list, struct group_config *group)
{
    struct slice item;
    enum consumer_assignor assignor;
    bool taken[ASSIGNOR_COUNT] = {false};
    group->consumer_assignor_count = 0;
    while (!slice_is_null(item = next_item(&list))) {
        if (consumer_assignor_find(item, &assignor) && !taken[assignor]) {
            taken[assignor] = true;
            group->consumer_assignors[group->consumer_assignor_count++] = assignor;
        }
    }
}

void group_settings_fill(struct group_config *group, const char *protocols, const char *policy,
                         const char *assignors)
{
    bool both = strcmp(policy, "bidirectional") == 0;
    group->consumer_enabled = has_item(protocols, "consumer");
    group->consumer_upgrade = both || strcmp(policy, "upgrade") == 0;
    group->consumer_downgrade = both || strcmp(policy, "downgrade") == 0;
    set_assignors(assignors, group);
}

/* ---- topics ---- */

static uint64_t topics_version(void *context)
{
    return catalogue_version(context);
}

static bool find_topic(void *context, struct slice name, struct wire_uuid *id,
                       int32_t *partition_count)
{
    struct topic *topic = catalogue_find(context, name);
    if (topic == NULL) {
        return false;
    }
    memcpy(id->bytes, topic->id.bytes, sizeof id->bytes);
    *partition_count = topic_partition_count(topic);
    topic_unref(topic);
    return true;
}

static struct slice find_topic_name(void *context, struct wire_uuid id, struct arena *arena)
{
    struct topic_id topic_id;
    memcpy(topic_id.bytes, id.bytes, sizeof topic_id.bytes);
    struct topic *topic = catalogue_find_id(context, &topic_id);
    if (topic == NULL) {
        return (struct slice){0};
    }
    struct slice name = slice_str(topic->name);
    name = slice_of(arena_dup(arena, name.data, name.size), name.size);
    topic_unref(topic);
    return name;
}

static size_t list_topics(void *context, uint64_t version, struct arena *arena,
                          struct slice **names)
{
    size_t kept = 0;
    struct topic_list *topics = catalogue_list(context);
    *names = arena_alloc_array(arena, topics->count, sizeof **names);
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic *topic = topics->items[i];
        if (!topic->internal && topic->since > version) {
            struct slice name = slice_str(topic->name);
            (*names)[kept++] = slice_of(arena_dup(arena, name.data, name.size), name.size);
        }
    }
    topic_list_unref(topics);
    return kept;
}

struct group_topics group_topics_interface(struct catalogue *catalogue)
{
    return (struct group_topics){
        .context = catalogue,
        .version = topics_version,
        .find = find_topic,
        .find_name = find_topic_name,
        .list = list_topics,
    };
}

/* ---- a group's own settings ---- */

static void find_own(void *context, struct slice group_id, struct overrides *out)
{
    catalogue_group_overrides(context, group_id, out);
}

void group_settings_own(struct catalogue *catalogue, struct group_config *group)
{
    group->find_own = find_own;
    group->find_own_context = catalogue;
}
