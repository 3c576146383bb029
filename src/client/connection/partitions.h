#ifndef TIDINGS_CLIENT_CONNECTION_PARTITIONS_H
#define TIDINGS_CLIENT_CONNECTION_PARTITIONS_H

#include "base/vec.h"

#include <stdint.h>

/* Partitions by name and number, with an offset each: what reader and admin take and give. */
struct topic_partition {
    char *topic;
    int32_t partition;
    int64_t offset; /* -1: none */
    char *metadata; /* of a committed offset; NULL: none */
};

/* Zeroed is empty. Owns topics and metadata. One thread at a time. */
struct topic_partitions {
    VEC_FIELDS(struct topic_partition);
};

/* Adds one, copying topic; metadata is NULL. The pointer is good until the next add. */
struct topic_partition *topic_partitions_add(struct topic_partitions *list, const char *topic,
                                             int32_t partition, int64_t offset);

/* The first of this name and number, or NULL. */
struct topic_partition *topic_partitions_find(const struct topic_partitions *list,
                                              const char *topic, int32_t partition);

/* Adds copies of all of `from`. */
void topic_partitions_append(struct topic_partitions *list, const struct topic_partitions *from);

/* By topic (bytes), then number. */
void topic_partitions_sort(struct topic_partitions *list);

/* Frees the names and leaves an empty list. */
void topic_partitions_deinit(struct topic_partitions *list);

#endif
