#include "../unit.h"
#include "topic_fixture.h"

#include <limits.h>
#include <string.h>

static void set(struct overrides *overrides, const char *name, const char *value)
{
    overrides_set(overrides, slice_str(name), slice_str(value));
}

static void test_defaults_are_kafkas(void **state)
{
    (void)state;
    struct topic_config config;
    struct reason reason;
    assert_int_equal(topic_config_build(&config, NULL, NULL, &reason), ERR_NONE);
    assert_int_equal(config.log.segment_bytes, 1 << 30);
    assert_int_equal(config.log.retention_ms, 604800000);
    assert_int_equal(config.log.retention_bytes, -1);
    assert_int_equal(config.max_message_bytes, 1048588);
    assert_int_equal(config.flush_messages, 1); /* Kafka: never. Here: safe first */
    assert_false(topic_config_append_time(&config));
    enum batch_compression codec;
    int level;
    assert_false(topic_config_codec(&config, &codec, &level));
    topic_config_deinit(&config);
}

static void test_own_settings_come_before_the_servers_and_those_before_defaults(void **state)
{
    (void)state;
    struct overrides server = {0};
    struct overrides own = {0};
    struct topic_config config;
    struct reason reason;
    set(&server, "retention.ms", "5000");
    set(&server, "segment.bytes", "10000");
    set(&own, "retention.ms", "6000");
    assert_int_equal(topic_config_build(&config, &server, &own, &reason), ERR_NONE);
    assert_int_equal(config.log.retention_ms, 6000);
    assert_int_equal(config.log.segment_bytes, 10000);
    topic_config_deinit(&config);

    const struct settings_table *table = topic_settings();
    enum topic_config_source source;
    const struct setting *row = settings_find(table, slice_str("retention.ms"));
    assert_string_equal(topic_config_value(row, &server, &own, &source), "6000");
    assert_int_equal(source, TOPIC_CONFIG_OWN);
    row = settings_find(table, slice_str("segment.bytes"));
    assert_string_equal(topic_config_value(row, &server, &own, &source), "10000");
    assert_int_equal(source, TOPIC_CONFIG_SERVER);
    row = settings_find(table, slice_str("segment.ms"));
    assert_string_equal(topic_config_value(row, &server, &own, &source), "604800000");
    assert_int_equal(source, TOPIC_CONFIG_DEFAULT);
    overrides_deinit(&server);
    overrides_deinit(&own);
}

static void test_bad_values_are_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"retention.ms", "-2"},
        {"retention.ms", "1x"},
        {"retention.ms", ""},
        {"segment.bytes", "13"},
        {"segment.bytes", "1e9"},
        {"cleanup.policy", "shred"},
        {"cleanup.policy", "compact,shred"},
        {"cleanup.policy", "compact,"},
        {"cleanup.policy", ","},
        {"min.cleanable.dirty.ratio", "1.01"},
        {"min.cleanable.dirty.ratio", "nan"},
        {"delete.retention.ms", "-1"},
        {"min.compaction.lag.ms", "-1"},
        {"max.compaction.lag.ms", "0"},
        {"compression.type", "rar"},
        {"compression.gzip.level", "0"},
        {"compression.zstd.level", "23"},
        {"min.insync.replicas", "2"},
        {"message.timestamp.type", "MyTime"},
        {"no.such.setting", "1"},
        {"preallocate", "true"},
        {"Retention.ms", "1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct overrides own = {0};
        struct topic_config config;
        struct reason reason = {.text = ""};
        set(&own, bad[i][0], bad[i][1]);
        assert_int_equal(topic_config_build(&config, NULL, &own, &reason), ERR_CONFIG);
        assert_non_null(strstr(reason.text, bad[i][0]));
        topic_config_deinit(&config);
        overrides_deinit(&own);
    }
}

static void test_codec_and_level_follow_their_settings(void **state)
{
    (void)state;
    static const struct {
        const char *type, *setting, *value;
        enum batch_compression codec;
        int level;
    } cases[] = {
        {"uncompressed", NULL, NULL, BATCH_COMPRESSION_NONE, INT_MIN},
        {"snappy", NULL, NULL, BATCH_COMPRESSION_SNAPPY, INT_MIN},
        {"gzip", NULL, NULL, BATCH_COMPRESSION_GZIP, INT_MIN},
        {"gzip", "compression.gzip.level", "9", BATCH_COMPRESSION_GZIP, 9},
        {"lz4", NULL, NULL, BATCH_COMPRESSION_LZ4, INT_MIN},
        {"lz4", "compression.lz4.level", "12", BATCH_COMPRESSION_LZ4, 12},
        {"zstd", NULL, NULL, BATCH_COMPRESSION_ZSTD, 3},
        {"zstd", "compression.zstd.level", "-7", BATCH_COMPRESSION_ZSTD, -7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct overrides own = {0};
        struct topic_config config;
        struct reason reason;
        enum batch_compression codec;
        int level;
        set(&own, "compression.type", cases[i].type);
        if (cases[i].setting != NULL) {
            set(&own, cases[i].setting, cases[i].value);
        }
        assert_int_equal(topic_config_build(&config, NULL, &own, &reason), ERR_NONE);
        assert_true(topic_config_codec(&config, &codec, &level));
        assert_int_equal(codec, cases[i].codec);
        assert_int_equal(level, cases[i].level);
        topic_config_deinit(&config);
        overrides_deinit(&own);
    }
}

static void test_cleanup_policies_are_a_list(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *max_lag;
        bool compact, retain;
        int64_t segment_ms;
    } cases[] = {
        {"delete", "60000", false, false, 604800000},
        {"compact", "60000", true, true, 60000},
        {"compact,delete", "60000", true, false, 60000},
        {"delete,compact", "9223372036854775807", true, false, 604800000},
        {"", "60000", false, true, 604800000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct overrides own = {0};
        struct topic_config config;
        struct reason reason;
        set(&own, "cleanup.policy", cases[i].policy);
        set(&own, "max.compaction.lag.ms", cases[i].max_lag);
        assert_int_equal(topic_config_build(&config, NULL, &own, &reason), ERR_NONE);
        assert_int_equal(config.log.compact, cases[i].compact);
        assert_int_equal(config.log.retain, cases[i].retain);
        assert_int_equal(config.log.segment_ms, cases[i].segment_ms);
        topic_config_deinit(&config);
        set(&own, "min.compaction.lag.ms", "60001");
        enum err err = topic_config_build(&config, NULL, &own, &reason);
        assert_int_equal(err, strcmp(cases[i].max_lag, "60000") == 0 ? ERR_CONFIG : ERR_NONE);
        topic_config_deinit(&config);
        overrides_deinit(&own);
    }
}

/* The default of each setting is a value that it accepts. */
static void test_every_default_is_accepted(void **state)
{
    (void)state;
    const struct settings_table *table = topic_settings();
    for (size_t i = 0; i < table->count; i++) {
        struct overrides own = {0};
        struct topic_config config;
        struct reason reason = {.text = ""};
        set(&own, table->rows[i].name, table->rows[i].default_value);
        if (topic_config_build(&config, NULL, &own, &reason) != ERR_NONE) {
            fail_msg("%s", reason.text);
        }
        topic_config_deinit(&config);
        overrides_deinit(&own);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_kafkas),
        cmocka_unit_test(test_own_settings_come_before_the_servers_and_those_before_defaults),
        cmocka_unit_test(test_bad_values_are_named),
        cmocka_unit_test(test_codec_and_level_follow_their_settings),
        cmocka_unit_test(test_cleanup_policies_are_a_list),
        cmocka_unit_test(test_every_default_is_accepted),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
