#ifndef TIDINGS_TOPIC_TOPIC_H
#define TIDINGS_TOPIC_TOPIC_H

#include "base/settings.h"
#include "topic/partition.h"
#include "topic/topic_config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

enum {
    TOPIC_NAME_MAX = 249,
    TOPIC_MAX_PARTITIONS = 100000,
};

struct topic_id {
    uint8_t bytes[16];
};

/* One version of a topic's settings; older ones stay until the topic goes, as readers borrow them.
 */
struct topic_config_version {
    struct topic_config config;
    struct topic_config_version *older;
};

/*
 * A topic as others see it. The name, id and internal flag never change. The partition array only
 * grows, by replacing; replaced arrays stay until the topic goes.
 */
struct topic {
    char name[TOPIC_NAME_MAX + 1];
    struct topic_id id;
    bool internal;  /* the server's own: __consumer_offsets */
    uint64_t since; /* catalogue_version when it came; fixed once it is seen */
    _Atomic int32_t refs;
    _Atomic int32_t partition_count;
    struct partition **_Atomic partitions;
    struct topic_config_version *_Atomic config;

    struct budget *budget; /* BUDGET_PARTITIONS counts it from its first partition on, or NULL */
    size_t counted_bytes;

    /* guarded by the catalogue's lock */
    struct overrides overrides; /* as set by clients */
    struct old_partitions {
        struct partition **array;
        struct old_partitions *older;
    } * old_partitions;
    UT_hash_handle by_name;
    UT_hash_handle by_id;

    /* guarded by the catalogue's change_lock */
    struct topic *next_alike;        /* see catalogue_names.h */
    struct catalogue_change *change; /* that is pending, or NULL */
};

/* Any thread. */
void topic_ref(struct topic *topic);
/* False, and no reference, when the topic is already going. */
bool topic_try_ref(struct topic *topic);
void topic_unref(struct topic *topic); /* the last one closes logs and frees */
int32_t topic_partition_count(const struct topic *topic);
const struct topic_config *topic_config(const struct topic *topic);

/* Borrows; NULL when there is no such partition. Hold the topic. Any thread. */
struct partition *topic_partition(const struct topic *topic, int32_t index);

/*
 * Whether the name may be a topic's: 1..249 of [a-zA-Z0-9._-], not "." or "..". The reason says
 * what is wrong. (Kafka's Topic.validate)
 */
CHECKED enum err topic_check_name(struct slice name, struct reason *reason);

/* For the catalogue. A topic without partitions, refs 1. */
struct topic *topic_new(struct slice name, const struct topic_id *id, bool internal);

/* What one partition more takes, with a log that is in use; about. Pure. */
size_t topic_partition_cost(void);

/* For the catalogue, under its lock: publishes the partitions (takes the array's pointers over),
 * and has the budget count them. */
void topic_add_partitions(struct topic *topic, struct partition **added, int32_t count);

/* For the catalogue, under its lock: makes *config (taken over) the settings in force, also of the
 * logs. */
void topic_set_config(struct topic *topic, struct topic_config *config);

#endif
