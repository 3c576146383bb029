#include "client/connection/partitions.h"

#include <stdlib.h>
#include <string.h>

struct topic_partition *topic_partitions_add(struct topic_partitions *list, const char *topic,
                                             int32_t partition, int64_t offset)
{
    vec_push(list, (struct topic_partition){
                       .topic = mem_strdup(topic), .partition = partition, .offset = offset});
    return &list->items[list->count - 1];
}

struct topic_partition *topic_partitions_find(const struct topic_partitions *list,
                                              const char *topic, int32_t partition)
{
    for (size_t i = 0; i < list->count; i++) {
        struct topic_partition *at = &list->items[i];
        if (at->partition == partition && strcmp(at->topic, topic) == 0) {
            return at;
        }
    }
    return NULL;
}

void topic_partitions_append(struct topic_partitions *list, const struct topic_partitions *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct topic_partition *at = &from->items[i];
        topic_partitions_add(list, at->topic, at->partition, at->offset)->metadata =
            mem_strdup(at->metadata);
    }
}

static int compare(const void *a, const void *b)
{
    const struct topic_partition *left = a, *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

void topic_partitions_sort(struct topic_partitions *list)
{
    if (list->count > 1) {
        qsort(list->items, list->count, sizeof *list->items, compare);
    }
}

void topic_partitions_deinit(struct topic_partitions *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].topic);
        free(list->items[i].metadata);
    }
    vec_deinit(list);
}
