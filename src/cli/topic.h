#ifndef TIDINGS_CLI_TOPIC_H
#define TIDINGS_CLI_TOPIC_H

#include "cli/client.h"

#include <jansson.h>

/* The verbs of `tidings topic`; each parses its options and returns an enum cli_exit. */
int cli_topic_create(int argc, char **argv);
int cli_topic_list(int argc, char **argv);
int cli_topic_describe(int argc, char **argv);
int cli_topic_alter(int argc, char **argv);
int cli_topic_delete(int argc, char **argv);

/*
 * The settings of a topic as DescribeConfigs tells them. On EXIT_OK the caller destroys *event,
 * which owns *entries.
 */
int cli_topic_settings(struct client *client, const char *topic, rd_kafka_event_t **event,
                       const rd_kafka_ConfigEntry_t ***entries, size_t *count);

/* True for a setting that was made for this very topic. */
bool cli_topic_setting_is_own(const rd_kafka_ConfigEntry_t *entry);

#endif
