#ifndef TIDINGS_GROUP_CONSUMER_ASSIGN_H
#define TIDINGS_GROUP_CONSUMER_ASSIGN_H

#include "group/partition_set.h"

/*
 * The assignors on the server (KIP-848): who is to have which partition. Pure: a spec goes in,
 * each member's target comes out. Both are deterministic in the order of members and topics.
 *
 * range    each topic by itself: its subscribers, static members by instance id, then the others by
 *          member id, get runs of neighbouring partitions.
 * uniform  members get as many partitions as one another, as far as their subscriptions allow, and
 *          keep what they had, as far as balance allows. Balance comes first.
 */
enum consumer_assignor { ASSIGNOR_UNIFORM, ASSIGNOR_RANGE, ASSIGNOR_COUNT };

/* "uniform", "range". */
const char *consumer_assignor_name(enum consumer_assignor assignor);
/* False when there is none of this name. */
bool consumer_assignor_find(struct slice name, enum consumer_assignor *out);

struct assign_topic {
    struct wire_uuid id;
    int32_t partition_count;
};

struct assign_member {
    struct slice id;
    struct slice instance_id; /* null: dynamic */
    const uint32_t *topics;   /* indexes of the topics it subscribes to, ascending */
    size_t topic_count;
    const struct partition_set *current; /* what it is to keep if it can */
    struct partition_set target;         /* out; the caller's */
};

struct assign_spec {
    const struct assign_topic *topics; /* by ascending id */
    size_t topic_count;
    struct assign_member *members;
    size_t member_count;
};

/* Every partition of every topic with a subscriber is in exactly one target afterwards. */
void consumer_assign(enum consumer_assignor assignor, struct assign_spec *spec);

/* ---- for the assignors ---- */

/* Targets by range; not sorted yet. */
void consumer_assign_range(struct assign_spec *spec);
/* Targets by uniform; not sorted yet. */
void consumer_assign_uniform(struct assign_spec *spec);

#endif
