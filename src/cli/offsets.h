#ifndef TIDINGS_CLI_OFFSETS_H
#define TIDINGS_CLI_OFFSETS_H

#include "cli/client.h"
#include "cli/position.h"

/*
 * Turns positions into offsets by asking the bus. Failures are told and returned as exit codes.
 */

/* The ends of one partition: the oldest event kept and the place after the newest. */
struct offset_bounds {
    int64_t start;
    int64_t end;
};

/* Fills bounds[i] for list->elems[i]. The list is not changed. */
int offsets_bounds(struct client *client, const rd_kafka_topic_partition_list_t *list,
                   struct offset_bounds *bounds);

/*
 * Sets list->elems[i].offset to the absolute offset of `position`, within bounds[i]: what lies
 * outside is moved to the nearest end, a time after the newest event to the end.
 */
int offsets_resolve(struct client *client, rd_kafka_topic_partition_list_t *list,
                    const struct position *position, const struct offset_bounds *bounds);

/* The offset that a position other than a time names, within the bounds. */
int64_t offsets_place(const struct position *position, struct offset_bounds bounds);

#endif
