#ifndef TIDINGS_CLI_OFFSETS_H
#define TIDINGS_CLI_OFFSETS_H

#include "cli/client.h"
#include "client/position.h"

/*
 * Turns positions into offsets by asking the bus. Failures are told and returned as exit codes.
 */

/* Fills bounds[i] for list->elems[i]. The list is not changed. */
int offsets_bounds(struct client *client, const rd_kafka_topic_partition_list_t *list,
                   struct admin_bounds *bounds);

/*
 * Sets list->elems[i].offset to the absolute offset of `position`, within bounds[i]: what lies
 * outside is moved to the nearest end, a time after the newest event to the end.
 */
int offsets_resolve(struct client *client, rd_kafka_topic_partition_list_t *list,
                    const struct position *position, const struct admin_bounds *bounds);

#endif
