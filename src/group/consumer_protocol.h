#ifndef TIDINGS_GROUP_CONSUMER_PROTOCOL_H
#define TIDINGS_GROUP_CONSUMER_PROTOCOL_H

#include "group/group_state.h"
#include "group/partition_set.h"

/* What consumers of the classic protocol say inside JoinGroup and SyncGroup. That names topics;
 * here are their ids. */

enum { CONSUMER_PROTOCOL_VERSION = 3 }; /* the highest that is known here */

struct consumer_subscription {
    const struct slice *topics; /* in the arena */
    size_t topic_count;
    struct slice rack_id;
    int16_t version;
    struct partition_set owned; /* the caller's to free */
};

/* ERR_CORRUPT. */
enum err consumer_subscription_read(const struct group *group, struct slice bytes,
                                    struct arena *arena, struct consumer_subscription *out);
/* The partitions of topics that exist; no bytes: none. ERR_CORRUPT. */
enum err consumer_assignment_read(const struct group *group, struct slice bytes,
                                  struct partition_set *out);
/* In the arena; topics that are gone are left out. */
struct slice consumer_assignment_write(const struct group *group, const struct partition_set *set,
                                       int16_t version, struct arena *arena);
/* The version that the bytes begin with, as far as it is known here. */
int16_t consumer_protocol_version(struct slice metadata);

#endif
