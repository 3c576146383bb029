#ifndef TIDINGS_BUS_API_CLUSTER_H
#define TIDINGS_BUS_API_CLUSTER_H

#include "client/admin/admin.h"
#include "client/admin/topic_ends.h"

#include <stdint.h>

/*
 * What the bus says of itself by the Kafka protocol: topics with the ends of their partitions,
 * groups with members, commits and lag. Many may ask at once: the bus is asked once for all of
 * them, and what it said a moment ago is given again. So is that it does not answer: who waited
 * meanwhile is told at once. Any thread.
 */

/* How far a group is in a partition. */
struct cluster_progress {
    const char *topic; /* borrowed from the group's lists */
    int32_t partition;
    int64_t committed; /* -1: nothing is */
    int64_t lag; /* offsets left to read, from the partition's start where nothing is committed
                  * or the commit's events are gone; -1: not known */
    const char *member; /* id of who reads it; NULL: nobody */
};

struct cluster_group {
    char *name;
    struct client_error error; /* CLIENT_OK, or why the rest is not known */
    struct admin_group about;
    struct topic_partitions committed;
    VEC(struct cluster_progress)
    progress;    /* by topic and partition: committed or read by members */
    int64_t lag; /* of all; -1: not known */
};

/* One look at the bus. */
struct cluster_view {
    struct client_error error; /* CLIENT_OK, or why there is nothing */
    int64_t taken_ms;          /* wall clock */
    int64_t took_ms;
    int broker_count;
    struct admin_topics topics;   /* by name */
    struct topic_ends_list ends;  /* of each topic, in the same order */
    struct cluster_group *groups; /* by name */
    size_t group_count;
    _Atomic unsigned references;
};

struct cluster;

/* settings are borrowed for the cluster's life. The bus need not be up. Free with cluster_free. */
struct cluster *cluster_new(const struct connection_settings *settings);
void cluster_free(struct cluster *cluster);

/* A look that is not older than age_ms (0: taken after this call), to be given back with
 * cluster_done. Waits for the bus within its connection's time-out, a few requests long. */
const struct cluster_view *cluster_look(struct cluster *cluster, int64_t age_ms);
void cluster_done(const struct cluster_view *view);

/* The connection to ask by, opened and reached: NULL with the error when the bus does not answer.
 * Lives as long as the cluster. */
struct connection *cluster_connection(struct cluster *cluster, struct client_error *error);

/* In a view; NULL when it is not there. */
const struct topic_ends *cluster_topic(const struct cluster_view *view, const char *name);
const struct cluster_group *cluster_group(const struct cluster_view *view, const char *name);

/* Bounds of a partition, or NULL when they are not known. */
const struct admin_bounds *cluster_bounds(const struct cluster_view *view, const char *topic,
                                          int32_t partition);

#endif
