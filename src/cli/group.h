#ifndef TIDINGS_CLI_GROUP_H
#define TIDINGS_CLI_GROUP_H

#include "cli/client.h"

/* The verbs of `tidings group`; each parses its options and returns an enum cli_exit. */
int group_command_list(int argc, char **argv);
int group_command_describe(int argc, char **argv);
int group_command_reset(int argc, char **argv);
int group_command_delete(int argc, char **argv);

/*
 * What the bus knows of a group. On EXIT_OK the caller destroys *event, which owns *description.
 * A group that does not exist is described as dead (Kafka's answer).
 */
int cli_group_look_up(struct client *client, const char *group, rd_kafka_event_t **event,
                      const rd_kafka_ConsumerGroupDescription_t **description);

/*
 * The offsets that the group committed, sorted by topic and partition; partitions without one are
 * left out. On EXIT_OK the caller destroys *offsets.
 */
int cli_group_committed(struct client *client, const char *group,
                        rd_kafka_topic_partition_list_t **offsets);

/* "group 'x' does not exist", with a hint. Returns EXIT_NOT_FOUND. */
int cli_group_fail_unknown(const char *group);

#endif
