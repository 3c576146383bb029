#include "topic/topic_config.h"

#include "batch/compression.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define FIELD(member) SETTING_FIELD(struct topic_config, member)

#define ONE_SERVER "one server keeps each partition"
#define ONE_TIER   "all segments are on the local disk"

static const struct setting rows[] = {
    {"cleanup.policy", SETTING_LIST, FIELD(cleanup_policy), "delete", .choices = "delete|compact",
     .may_be_empty = true, .broker_name = "log.cleanup.policy",
     .help = "delete: old segments go by time and size; compact: the newest event of each key "
             "stays; both with a comma; empty: all events stay."},
    {"compression.type", SETTING_STRING, FIELD(compression_type), "producer",
     .choices = "uncompressed|zstd|lz4|snappy|gzip|producer", .broker_name = "compression.type",
     .help = "The codec of stored batches: what comes in another one is recompressed; producer: as "
             "it comes."},
    {"compression.check.enable", SETTING_BOOLEAN, FIELD(compression_check), "true",
     .broker_name = "compression.check.enable",
     .help = "Look into compressed batches before they are acknowledged: what cannot be read by "
             "consumers is refused. false: only their CRC is checked, which saves the "
             "decompression."},
    {"compression.gzip.level", SETTING_INT, FIELD(gzip_level), "-1", -1, 9,
     .broker_name = "compression.gzip.level",
     .help = "Level of gzip with compression.type=gzip: 1 (quick) to 9 (small), -1 the codec's own "
             "choice."},
    {"compression.lz4.level", SETTING_INT, FIELD(lz4_level), "9", 1, 17,
     .broker_name = "compression.lz4.level",
     .help = "Level of lz4 with compression.type=lz4: 1 to 17; 9 means the quick compressor."},
    {"compression.zstd.level", SETTING_INT, FIELD(zstd_level), "3", -131072, 22,
     .broker_name = "compression.zstd.level",
     .help = "Level of zstd with compression.type=zstd: -131072 (quick) to 22 (small)."},
    {"delete.retention.ms", SETTING_LONG, FIELD(log.delete_retention_ms), "86400000", 0, INT64_MAX,
     .broker_name = "log.cleaner.delete.retention.ms",
     .help = "How long compaction keeps tombstones, from the first time that it meets them."},
    {"errors.deadletterqueue.group.enable", SETTING_BOOLEAN, SETTING_NO_FIELD, "false",
     .help = "Marks a topic of what consumer groups gave up (KIP-1191); the server writes none "
             "itself."},
    {"file.delete.delay.ms", SETTING_LONG, FIELD(log.file_delete_delay_ms), "60000", 0, INT64_MAX,
     .broker_name = "log.segment.delete.delay.ms",
     .help = "At most how long a removed segment's file may stay on disk."},
    {"flush.messages", SETTING_LONG, FIELD(flush_messages), "1", 1, INT64_MAX,
     .broker_name = "log.flush.interval.messages",
     .help = "1: acknowledge and show events once they are on disk; more: once they are written to "
             "the page cache, and a power failure may take the last ones."},
    {"flush.ms", SETTING_LONG, SETTING_NO_FIELD, "9223372036854775807", 0, INT64_MAX,
     .broker_name = "log.flush.interval.ms",
     .help = "Longest time until appended data is synced; as all is synced at once, any value "
             "holds."},
    {"follower.replication.throttled.replicas", SETTING_LIST, SETTING_NO_FIELD, "",
     .only = ONE_SERVER, .help = "Replication throttle."},
    {"index.interval.bytes", SETTING_INT, FIELD(log.index_interval_bytes), "4096", 0, INT32_MAX,
     .broker_name = "log.index.interval.bytes",
     .help = "Bytes between two entries of the offset index."},
    {"leader.replication.throttled.replicas", SETTING_LIST, SETTING_NO_FIELD, "",
     .only = ONE_SERVER, .help = "Replication throttle."},
    {"local.retention.bytes", SETTING_LONG, SETTING_NO_FIELD, "-2", .only = ONE_TIER,
     .help = "Size of what stays local of a tiered topic; -2: as retention.bytes."},
    {"local.retention.ms", SETTING_LONG, SETTING_NO_FIELD, "-2", .only = ONE_TIER,
     .help = "Age of what stays local of a tiered topic; -2: as retention.ms."},
    {"max.compaction.lag.ms", SETTING_LONG, FIELD(log.max_compaction_lag_ms), "9223372036854775807",
     1, INT64_MAX, .broker_name = "log.cleaner.max.compaction.lag.ms",
     .help = "Longest time that an event waits for compaction."},
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
    {"min.cleanable.dirty.ratio", SETTING_DOUBLE, FIELD(log.min_cleanable_ratio), "0.5", 0, 1,
     .broker_name = "log.cleaner.min.cleanable.ratio",
     .help = "Compaction begins when more than this part of a log was never compacted."},
    {"min.compaction.lag.ms", SETTING_LONG, FIELD(log.min_compaction_lag_ms), "0", 0, INT64_MAX,
     .broker_name = "log.cleaner.min.compaction.lag.ms",
     .help = "Shortest time that an event stays uncompacted."},
    {"min.insync.replicas", SETTING_INT, SETTING_NO_FIELD, "1", .only = ONE_SERVER,
     .broker_name = "min.insync.replicas", .help = "Replicas that must have a write."},
    {"preallocate", SETTING_BOOLEAN, SETTING_NO_FIELD, "false",
     .only = "segments grow as they are written", .broker_name = "log.preallocate",
     .help = "Reserve the room of a segment when it begins."},
    {"remote.log.copy.disable", SETTING_BOOLEAN, SETTING_NO_FIELD, "false", .only = ONE_TIER,
     .help = "Stop copying segments of a tiered topic (KIP-950)."},
    {"remote.log.delete.on.disable", SETTING_BOOLEAN, SETTING_NO_FIELD, "false", .only = ONE_TIER,
     .help = "Delete the copies when tiering is turned off (KIP-950)."},
    {"remote.storage.enable", SETTING_BOOLEAN, SETTING_NO_FIELD, "false", .only = ONE_TIER,
     .help = "Copy segments to other storage (KIP-405)."},
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

static bool has_policy(const char *policies, const char *policy)
{
    size_t size = strlen(policy);
    for (const char *at = policies; *at != '\0'; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (length == size && memcmp(at, policy, size) == 0) {
            return true;
        }
        at += length;
    }
    return false;
}

/* What follows from several settings. */
static enum err combine(struct topic_config *config, struct reason *reason)
{
    struct log_config *log = &config->log;
    if (config->gzip_level == 0) { /* the one hole in a range of levels */
        return reason_fail(reason, ERR_CONFIG,
                           "compression.gzip.level=0 is not allowed: 1 to 9, or -1");
    }
    if (log->min_compaction_lag_ms > log->max_compaction_lag_ms) {
        return reason_fail(
            reason, ERR_CONFIG, "min.compaction.lag.ms=%lld is above max.compaction.lag.ms=%lld",
            (long long)log->min_compaction_lag_ms, (long long)log->max_compaction_lag_ms);
    }
    log->compact = has_policy(config->cleanup_policy, "compact");
    log->retain = !has_policy(config->cleanup_policy, "delete");
    if (log->compact && log->segment_ms > log->max_compaction_lag_ms) {
        log->segment_ms = log->max_compaction_lag_ms; /* the active segment is not compacted */
    }
    return ERR_NONE;
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
    return err == ERR_NONE ? combine(config, reason) : err;
}

void topic_config_deinit(struct topic_config *config)
{
    settings_deinit(&table, config);
}

bool topic_config_append_time(const struct topic_config *config)
{
    return strcmp(config->timestamp_type, "LogAppendTime") == 0;
}

/* Kafka's default level of lz4 stands for the quick compressor, not for a level (KIP-390). */
static int lz4_level(int64_t level)
{
    enum { LZ4_QUICK = 9 };
    return level == LZ4_QUICK ? INT_MIN : (int)level;
}

bool topic_config_codec(const struct topic_config *config, enum batch_compression *codec,
                        int *level)
{
    if (strcmp(config->compression_type, "producer") == 0) {
        return false;
    }
    *level = INT_MIN;
    if (strcmp(config->compression_type, "uncompressed") == 0) {
        *codec = BATCH_COMPRESSION_NONE;
        return true;
    }
    bool known = compression_parse(config->compression_type, codec);
    assert(known); /* the row's choices */
    if (*codec == BATCH_COMPRESSION_GZIP && config->gzip_level > 0) {
        *level = (int)config->gzip_level;
    } else if (*codec == BATCH_COMPRESSION_LZ4) {
        *level = lz4_level(config->lz4_level);
    } else if (*codec == BATCH_COMPRESSION_ZSTD) {
        *level = (int)config->zstd_level;
    }
    return true;
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
