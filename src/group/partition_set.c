#include "group/partition_set.h"

#include "base/mem.h"

#include <stdlib.h>

void partition_set_deinit(struct partition_set *set)
{
    vec_deinit(set);
}

void partition_set_push(struct partition_set *set, struct wire_uuid topic, int32_t partition)
{
    vec_push(set, (struct topic_partition){topic, partition});
}

int topic_partition_compare(const struct topic_partition *a, const struct topic_partition *b)
{
    int order = memcmp(a->topic.bytes, b->topic.bytes, sizeof a->topic.bytes);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare_items(const void *a, const void *b)
{
    return topic_partition_compare(a, b);
}

static bool is_sorted(const struct partition_set *set)
{
    for (size_t i = 1; i < set->count; i++) {
        if (topic_partition_compare(&set->items[i - 1], &set->items[i]) >= 0) {
            return false;
        }
    }
    return true;
}

void partition_set_sort(struct partition_set *set)
{
    if (is_sorted(set)) { /* as what was read from a record is */
        return;
    }
    qsort(set->items, set->count, sizeof *set->items, compare_items);
    size_t kept = 1;
    for (size_t i = 1; i < set->count; i++) {
        if (topic_partition_compare(&set->items[i], &set->items[kept - 1]) != 0) {
            set->items[kept++] = set->items[i];
        }
    }
    set->count = kept;
}

/* The first item of a sorted set that is not below the key; the count when all are. */
static size_t find_from(const struct partition_set *set, struct wire_uuid topic, int32_t partition)
{
    struct topic_partition key = {topic, partition};
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (topic_partition_compare(&set->items[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool partition_set_has(const struct partition_set *set, struct wire_uuid topic, int32_t partition)
{
    struct topic_partition key = {topic, partition};
    size_t at = find_from(set, topic, partition);
    return at < set->count && topic_partition_compare(&set->items[at], &key) == 0;
}

size_t partition_set_count(const struct partition_set *set, struct wire_uuid topic)
{
    return find_from(set, topic, INT32_MAX) - find_from(set, topic, 0);
}

bool partition_set_equal(const struct partition_set *a, const struct partition_set *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof *a->items) == 0);
}

void partition_set_copy(struct partition_set *to, const struct partition_set *from)
{
    struct partition_set copy = {.count = from->count, .capacity = from->count};
    if (from->count > 0) {
        copy.items = mem_dup(from->items, from->count * sizeof *from->items);
    }
    partition_set_take(to, &copy);
}

void partition_set_take(struct partition_set *to, struct partition_set *from)
{
    free(to->items);
    *to = *from;
    *from = (struct partition_set){0};
}

size_t partition_set_run(const struct partition_set *set, size_t begin)
{
    size_t end = begin + 1;
    while (end < set->count && wire_uuid_equal(set->items[end].topic, set->items[begin].topic)) {
        end++;
    }
    return end;
}

static bool has(const struct partition_set *set, const struct group_topic_partitions *listed,
                size_t count, bool wanted)
{
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < listed[t].count; i++) {
            if (partition_set_has(set, listed[t].topic, listed[t].partitions[i]) == wanted) {
                return true;
            }
        }
    }
    return false;
}

bool partition_set_has_any(const struct partition_set *set,
                           const struct group_topic_partitions *listed, size_t count)
{
    return has(set, listed, count, true);
}

bool partition_set_has_all(const struct partition_set *set,
                           const struct group_topic_partitions *listed, size_t count)
{
    return !has(set, listed, count, false);
}
