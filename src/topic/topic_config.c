#include "topic/topic_config.h"

#include <string.h>

#define FIELD(member) offsetof(struct topic_config, member)

#define ONE_SERVER "one server keeps each partition"

static const struct setting rows[] = {
    {"cleanup.policy", SETTING_LIST, SETTING_NO_FIELD, "delete", .choices = "delete|compact",
     .only = "log compaction is not there yet", .broker_name = "log.cleanup.policy",
     .help = "What happens to old segments."},
    {"compression.type", SETTING_STRING, SETTING_NO_FIELD, "producer",
     .only = "batches are kept as the producer compressed them", .broker_name = "compression.type",
     .help = "The codec of stored batches."},
    {"compression.gzip.level", SETTING_INT, SETTING_NO_FIELD, "-1",
     .only = "batches are kept as the producer compressed them", .help = "Level of gzip."},
    {"compression.lz4.level", SETTING_INT, SETTING_NO_FIELD, "9",
     .only = "batches are kept as the producer compressed them", .help = "Level of lz4."},
    {"compression.zstd.level", SETTING_INT, SETTING_NO_FIELD, "3",
     .only = "batches are kept as the producer compressed them", .help = "Level of zstd."},
    {"delete.retention.ms", SETTING_LONG, SETTING_NO_FIELD, "86400000",
     .only = "log compaction is not there yet", .broker_name = "log.cleaner.delete.retention.ms",
     .help = "How long tombstones are kept."},
    {"file.delete.delay.ms", SETTING_LONG, FIELD(log.file_delete_delay_ms), "60000", 0, INT64_MAX,
     .broker_name = "log.segment.delete.delay.ms",
     .help = "At most how long a removed segment's file may stay on disk."},
    {"flush.messages", SETTING_LONG, FIELD(flush_messages), "1", 1, INT64_MAX,
     .broker_name = "log.flush.interval.messages",
     .help = "1: acknowledge and show events once they are on disk; more: once they are written to "
             "the page cache, and a power failure may take the last ones."},
    {"flush.ms", SETTING_LONG, SETTING_NO_FIELD, "9223372036854775807",
     .only = "everything appended is synced at once, by one sync for all",
     .broker_name = "log.flush.interval.ms", .help = "Longest time until appended data is synced."},
    {"follower.replication.throttled.replicas", SETTING_LIST, SETTING_NO_FIELD, "",
     .only = ONE_SERVER, .help = "Replication throttle."},
    {"index.interval.bytes", SETTING_INT, FIELD(log.index_interval_bytes), "4096", 0, INT32_MAX,
     .broker_name = "log.index.interval.bytes",
     .help = "Bytes between two entries of the offset index."},
    {"leader.replication.throttled.replicas", SETTING_LIST, SETTING_NO_FIELD, "",
     .only = ONE_SERVER, .help = "Replication throttle."},
    {"max.compaction.lag.ms", SETTING_LONG, SETTING_NO_FIELD, "9223372036854775807",
     .only = "log compaction is not there yet", .broker_name = "log.cleaner.max.compaction.lag.ms",
     .help = "Longest time uncompacted."},
    {"max.message.bytes", SETTING_INT, FIELD(max_message_bytes), "1048588", 0, INT32_MAX,
     .broker_name = "message.max.bytes", .help = "Largest record batch taken."},
    {"message.timestamp.after.max.ms", SETTING_LONG, FIELD(timestamp_after_max_ms),
     "9223372036854775807", 0, INT64_MAX, .broker_name = "log.message.timestamp.after.max.ms",
     .help = "How far ahead of the server's clock a timestamp may be."},
    {"message.timestamp.before.max.ms", SETTING_LONG, FIELD(timestamp_before_max_ms),
     "9223372036854775807", 0, INT64_MAX, .broker_name = "log.message.timestamp.before.max.ms",
     .help = "How far behind the server's clock a timestamp may be."},
    {"message.timestamp.type", SETTING_STRING, FIELD(timestamp_type), "CreateTime",
     .choices = "CreateTime|LogAppendTime", .broker_name = "log.message.timestamp.type",
     .help = "Whose clock stamps the events: the producer's or the server's."},
    {"min.cleanable.dirty.ratio", SETTING_DOUBLE, SETTING_NO_FIELD, "0.5",
     .only = "log compaction is not there yet", .broker_name = "log.cleaner.min.cleanable.ratio",
     .help = "When compaction begins."},
    {"min.compaction.lag.ms", SETTING_LONG, SETTING_NO_FIELD, "0",
     .only = "log compaction is not there yet", .broker_name = "log.cleaner.min.compaction.lag.ms",
     .help = "Shortest time uncompacted."},
    {"min.insync.replicas", SETTING_INT, SETTING_NO_FIELD, "1", .only = ONE_SERVER,
     .broker_name = "min.insync.replicas", .help = "Replicas that must have a write."},
    {"preallocate", SETTING_BOOLEAN, SETTING_NO_FIELD, "false",
     .only = "segments grow as they are written", .broker_name = "log.preallocate",
     .help = "Reserve the room of a segment when it begins."},
    {"retention.bytes", SETTING_LONG, FIELD(log.retention_bytes), "-1", -1, INT64_MAX,
     .broker_name = "log.retention.bytes",
     .help = "Delete the oldest segments of a partition larger than this; -1: no limit."},
    {"retention.ms", SETTING_LONG, FIELD(log.retention_ms), "604800000", -1, INT64_MAX,
     .broker_name = "log.retention.ms",
     .help = "Delete segments whose newest event is older than this; -1: keep for ever."},
    {"segment.bytes", SETTING_INT, FIELD(log.segment_bytes), "1073741824", 14, INT32_MAX,
     .broker_name = "log.segment.bytes", .help = "Size at which a new segment file begins."},
    {"segment.index.bytes", SETTING_INT, FIELD(log.segment_index_bytes), "10485760", 4, INT32_MAX,
     .broker_name = "log.index.size.max.bytes",
     .help = "Size of the offset index at which a new segment begins."},
    {"segment.jitter.ms", SETTING_LONG, SETTING_NO_FIELD, "0",
     .only = "one sync serves all partitions, so rolls need not be spread",
     .broker_name = "log.roll.jitter.ms", .help = "Random part of segment.ms."},
    {"segment.ms", SETTING_LONG, FIELD(log.segment_ms), "604800000", 1, INT64_MAX,
     .broker_name = "log.roll.ms", .help = "Age at which a new segment file begins."},
    {"unclean.leader.election.enable", SETTING_BOOLEAN, SETTING_NO_FIELD, "false",
     .only = ONE_SERVER, .broker_name = "unclean.leader.election.enable",
     .help = "Let a replica that lags become leader."},
};

static const struct settings_table table = {
    .what = "topic",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};

const struct settings_table *topic_settings(void)
{
    return &table;
}

static enum err apply(struct topic_config *config, const struct overrides *overrides,
                      struct reason *reason)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; overrides != NULL && err == ERR_NONE && i < overrides->count; i++) {
        err = settings_set(&table, config, slice_str(overrides->items[i].name),
                           slice_str(overrides->items[i].value), reason);
    }
    return err;
}

enum err topic_config_build(struct topic_config *config, const struct overrides *server,
                            const struct overrides *own, struct reason *reason)
{
    *config = (struct topic_config){0};
    log_config_init(&config->log);
    settings_init(&table, config);
    enum err err = apply(config, server, reason);
    if (err == ERR_NONE) {
        err = apply(config, own, reason);
    }
    return err;
}

void topic_config_deinit(struct topic_config *config)
{
    settings_deinit(&table, config);
}

bool topic_config_append_time(const struct topic_config *config)
{
    return strcmp(config->timestamp_type, "LogAppendTime") == 0;
}

const char *topic_config_value(const struct setting *row, const struct overrides *server,
                               const struct overrides *own, enum topic_config_source *source)
{
    const char *value = own != NULL ? overrides_get(own, row->name) : NULL;
    *source = TOPIC_CONFIG_OWN;
    if (value == NULL) {
        value = server != NULL ? overrides_get(server, row->name) : NULL;
        *source = TOPIC_CONFIG_SERVER;
    }
    if (value == NULL) {
        value = row->default_value;
        *source = TOPIC_CONFIG_DEFAULT;
    }
    return value;
}
