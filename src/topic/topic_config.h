#ifndef TIDINGS_TOPIC_TOPIC_CONFIG_H
#define TIDINGS_TOPIC_TOPIC_CONFIG_H

#include "base/settings.h"
#include "batch/batch.h"
#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The settings of a topic, under Kafka's names (documentation "Topic Configs"). A setting that this
 * server does not act on is accepted with its default value only and refused otherwise, so none is
 * accepted and ignored.
 */
struct topic_config {
    struct log_config log;
    int64_t max_message_bytes;
    int64_t flush_messages; /* 1: acknowledged and visible after the sync (the default here) */
    int64_t timestamp_before_max_ms;
    int64_t timestamp_after_max_ms;
    char *timestamp_type;   /* "CreateTime" or "LogAppendTime" */
    char *compression_type; /* "producer" or the codec of stored batches */
    bool compression_check; /* compressed batches are opened and looked into */
    int64_t gzip_level;
    int64_t lz4_level;
    int64_t zstd_level;
    char *cleanup_policy; /* "delete", "compact", both with a comma, or none; see log.compact,
                             .retain */
};

/* The rows of all topic settings. Static. */
const struct settings_table *topic_settings(void);

/*
 * Fills *config from the defaults, the server's overrides (named as topic settings) and the topic's
 * own, in that order. ERR_CONFIG with a reason. Free with topic_config_deinit also after an error.
 */
CHECKED enum err topic_config_build(struct topic_config *config, const struct overrides *server,
                                    const struct overrides *own, struct reason *reason);
void topic_config_deinit(struct topic_config *config);

/* Whether the server's clock stamps the events (message.timestamp.type). */
bool topic_config_append_time(const struct topic_config *config);

/*
 * The codec that stored batches are to have and its level (INT_MIN: the codec's default). False:
 * they stay as producers send them. (compression.type, KIP-390 for levels)
 */
bool topic_config_codec(const struct topic_config *config, enum batch_compression *codec,
                        int *level);

/* Where the effective value of a setting comes from. */
enum topic_config_source { TOPIC_CONFIG_OWN, TOPIC_CONFIG_SERVER, TOPIC_CONFIG_DEFAULT };

/* The effective value of a row as text, and its source. */
const char *topic_config_value(const struct setting *row, const struct overrides *server,
                               const struct overrides *own, enum topic_config_source *source);

#endif
