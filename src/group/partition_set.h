#ifndef TIDINGS_GROUP_PARTITION_SET_H
#define TIDINGS_GROUP_PARTITION_SET_H

#include "base/vec.h"
#include "wire/types.h"

/*
 * Sets of partitions, as members of a consumer group hold them: an array by topic id, then
 * partition, nothing twice. Zero-initialised is empty. One thread at a time.
 */
struct topic_partition {
    struct wire_uuid topic;
    int32_t partition;
};

/* Partitions of one topic as requests and answers list them; borrowed. */
struct group_topic_partitions {
    struct wire_uuid topic;
    const int32_t *partitions;
    size_t count;
};

struct partition_set {
    VEC_FIELDS(struct topic_partition);
};

/* Empties and frees it. */
void partition_set_deinit(struct partition_set *set);

/* Puts one at the end; partition_set_sort is due before the next look. */
void partition_set_push(struct partition_set *set, struct wire_uuid topic, int32_t partition);
/* Puts the items in order and drops what is there twice. */
void partition_set_sort(struct partition_set *set);

/* Of a sorted set. */
bool partition_set_has(const struct partition_set *set, struct wire_uuid topic, int32_t partition);
/* How many of the topic are in a sorted set. */
size_t partition_set_count(const struct partition_set *set, struct wire_uuid topic);
/* Of sorted sets. */
bool partition_set_equal(const struct partition_set *a, const struct partition_set *b);
/* By topic id, then partition: below, 0 or above 0. */
int topic_partition_compare(const struct topic_partition *a, const struct topic_partition *b);

/* Replaces *to, which may not be *from. */
void partition_set_copy(struct partition_set *to, const struct partition_set *from);
/* Replaces *to by *from, which becomes empty. */
void partition_set_take(struct partition_set *to, struct partition_set *from);

/* The end of the run of partitions that share the topic of items[begin]. */
size_t partition_set_run(const struct partition_set *set, size_t begin);

/* Whether a listed partition is in the set; whether all of them are. */
bool partition_set_has_any(const struct partition_set *set,
                           const struct group_topic_partitions *listed, size_t count);
/* The set has each partition listed. */
bool partition_set_has_all(const struct partition_set *set,
                           const struct group_topic_partitions *listed, size_t count);

#endif
