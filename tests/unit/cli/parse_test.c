#include "../unit.h"

#include "base/time_text.h"
#include "cli/cli.h"
#include "cli/group_progress.h"
#include "cli/options.h"
#include "cli/reset_target.h"
#include "cli/setting_text.h"
#include "cli/suggest.h"
#include "client/connection.h"
#include "client/position.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t NOON_MS = INT64_C(1769947200000); /* 2026-02-01T12:00:00Z */

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"500ms", 500},    {"30s", 30000},     {"5m", 300000}, {"2h", 7200000},
                {"1d", 86400000},  {"1h30m", 5400000}, {"10", 10000},  {"0", 0},
                {"1w", 604800000}, {"1m1s1ms", 61001}};
    static const char *const bad[] = {
        "", "s", "1x", "-1h", "1h ", "99999999999999999999d", "99999999999w"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(duration_parse(good[i].text, &ms, NULL), ERR_NONE);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(duration_parse(bad[i], &ms, NULL), ERR_INVALID);
    }
}

static void test_settings_take_durations_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *number;
    } good[] = {{"retention.ms", "1h30m", "5400000"},
                {"retention.ms", "10", "10"}, /* a bare number is Kafka's */
                {"retention.ms", "-1", "-1"},
                {"retention.ms", "soon", "soon"},
                {"log.retention.hours", "7d", "168"},
                {"offsets.retention.minutes", "1d", "1440"},
                {"segment.bytes", "10MB", "10000000"},
                {"segment.bytes", "1.5GiB", "1610612736"},
                {"max.message.bytes", "1000012", "1000012"},
                {"log.cleaner.dedupe.buffer.size", "1KiB", "1024"},
                {"log.cleaner.io.max.bytes.per.second", "1e12", "1e12"},
                {"num.partitions", "3x", "3x"}, /* the bus says what is wrong */
                {"cleanup.policy", "compact", "compact"}};
    static const struct {
        const char *name, *value;
    } bad[] = {{"retention.ms", "1y"},     {"log.retention.hours", "90m"},
               {"segment.bytes", "1M"},    {"segment.bytes", "0.5B"},
               {"segment.bytes", "10 MB"}, {"segment.bytes", "1e99TB"}};
    char text[SETTING_TEXT_SIZE];
    const char *number;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(
            setting_number(slice_str(good[i].name), good[i].value, text, &number, NULL), ERR_NONE);
        assert_string_equal(number, good[i].number);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(setting_number(slice_str(bad[i].name), bad[i].value, text, &number, NULL),
                         ERR_INVALID);
    }
}

static void test_lag_is_what_is_left_to_read(void **state)
{
    (void)state;
    struct admin_bounds bounds = {.start = 10, .end = 30};
    assert_int_equal(group_lag(30, bounds), 0);
    assert_int_equal(group_lag(25, bounds), 5);
    assert_int_equal(group_lag(-1, bounds), 20); /* nothing committed: from the start */
    assert_int_equal(group_lag(3, bounds), 20);  /* what was next is gone */
    assert_int_equal(group_lag(99, bounds), 20); /* the topic was made again */
}

static void test_times(void **state)
{
    (void)state;
    setenv("TZ", "UTC-3", 1); /* three hours east */
    tzset();
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"2026-02-01T12:00:00Z", NOON_MS},
                {"2026-02-01 12:00:00.250Z", NOON_MS + 250},
                {"2026-02-01T14:00:00+02:00", NOON_MS},
                {"2026-02-01T10:30-0130", NOON_MS},
                {"2026-02-01T12:00:00.123456789Z", NOON_MS + 123},
                {"2026-02-01T15:00", NOON_MS}, /* local */
                {"now", NOON_MS},
                {"-1h", NOON_MS - 3600000},
                {"@1769947200000", NOON_MS}};
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-02-30",
                                      "2026-13-01",
                                      "2026-02-01T25:00",
                                      "2026-02-01T12",
                                      "2026-02-01T12:00:00Zx",
                                      "2026-02-01T12:00+99:00",
                                      "@",
                                      "1969-12-31T23:59:59Z",
                                      "yesterday"};
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(time_parse(good[i].text, NOON_MS, &ms, NULL), ERR_NONE);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(time_parse(bad[i], NOON_MS, &ms, NULL), ERR_INVALID);
    }
    char text[TIME_TEXT_SIZE];
    assert_string_equal(time_format(NOON_MS + 7, text), "2026-02-01T12:00:00.007Z");
    assert_string_equal(time_format(-1, text), "1969-12-31T23:59:59.999Z");
}

static void test_positions(void **state)
{
    (void)state;
    struct position at;
    assert_int_equal(position_parse("earliest", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_START);
    assert_int_equal(position_parse("end", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_END);
    assert_int_equal(position_parse("42", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_OFFSET);
    assert_int_equal(at.value, 42);
    assert_int_equal(position_parse("-10", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_LAST);
    assert_int_equal(at.value, 10);
    assert_int_equal(position_parse("-10m", NOON_MS, &at, NULL), ERR_NONE);
    assert_int_equal(at.kind, POSITION_TIME);
    assert_int_equal(at.value, NOON_MS - 600000);
    struct reason reason;
    assert_int_equal(position_parse("middle", NOON_MS, &at, &reason), ERR_INVALID);
    assert_non_null(strstr(reason.text, "'middle'"));
    assert_int_equal(position_parse("99999999999999999999", NOON_MS, &at, NULL), ERR_INVALID);
}

static void test_places_stay_within_bounds(void **state)
{
    (void)state;
    struct admin_bounds bounds = {.start = 100, .end = 200};
    static const struct {
        struct position position;
        int64_t offset;
    } cases[] = {{{POSITION_START, 0}, 100},       {{POSITION_END, 0}, 200},
                 {{POSITION_OFFSET, 150}, 150},    {{POSITION_OFFSET, 3}, 100},
                 {{POSITION_OFFSET, 900}, 200},    {{POSITION_LAST, 10}, 190},
                 {{POSITION_LAST, 1000}, 100},     {{POSITION_LAST, 0}, 200},
                 {{POSITION_LAST, INT64_MAX}, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(position_offset(&cases[i].position, bounds), cases[i].offset);
    }
}

struct settings {
    bool is_loud;
    const char *name;
    struct text_list headers;
    int64_t count;
    int64_t wait_ms;
};

static const struct help_page page = {"tidings test", "[OPTIONS]", "A test.", NULL};
static const struct option_spec specs[] = {
    {'l', "loud", NULL, OPTION_FLAG, offsetof(struct settings, is_loud), 0, 0, "loud"},
    {'n', "name", "NAME", OPTION_TEXT, offsetof(struct settings, name), 0, 0, "name"},
    {'H', "header", "K=V", OPTION_TEXTS, offsetof(struct settings, headers), 0, 0, "header"},
    {'c', "count", "N", OPTION_INTEGER, offsetof(struct settings, count), 1, 9, "count"},
    {0, "wait", "TIME", OPTION_DURATION, offsetof(struct settings, wait_ms), 0, 60000, "wait"},
};

/* Parses the words and returns what was told on standard error in `told`. */
static bool parse(struct settings *settings, struct text_list *arguments, int *code, char told[512],
                  int argc, char **argv)
{
    struct option_set set = {"Options", specs, 5, settings};
    fflush(stderr);
    FILE *real = stderr;
    memset(told, 0, 512);
    stderr = fmemopen(told, 511, "w");
    bool is_on = options_parse(&page, &set, 1, argc, argv, arguments, code);
    fclose(stderr);
    stderr = real;
    return is_on;
}

#define WORDS(...)                                                                                 \
    (char *[])                                                                                     \
    {                                                                                              \
        (char[]){"test"}, __VA_ARGS__, NULL                                                        \
    }
#define W(text)                                                                                    \
    (char[])                                                                                       \
    {                                                                                              \
        text                                                                                       \
    }

static void test_options_fill_settings(void **state)
{
    (void)state;
    struct settings settings = {0};
    struct text_list arguments = {0};
    char told[512];
    int code;
    char **words = WORDS(W("topic"), W("-l"), W("--name=x"), W("-H"), W("a=1"), W("--header"),
                         W("b=2"), W("-c3"), W("--wait"), W("1s"), W("--"), W("-event"));
    assert_true(parse(&settings, &arguments, &code, told, 13, words));
    assert_int_equal(code, EXIT_OK);
    assert_true(settings.is_loud);
    assert_string_equal(settings.name, "x");
    assert_int_equal(settings.headers.count, 2);
    assert_string_equal(settings.headers.items[1], "b=2");
    assert_int_equal(settings.count, 3);
    assert_int_equal(settings.wait_ms, 1000);
    assert_int_equal(arguments.count, 2);
    assert_string_equal(arguments.items[0], "topic");
    assert_string_equal(arguments.items[1], "-event");
    text_list_deinit(&arguments);
    struct option_set set = {"Options", specs, 5, &settings};
    options_deinit(&set, 1);
    assert_int_equal(settings.headers.count, 0);
}

static void test_options_tell_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        const char *told;
    } cases[] = {{"--lod", "did you mean --loud?"},
                 {"--zzzzzzzz", "unknown option '--zzzzzzzz'"},
                 {"-y", "unknown option '-y'"},
                 {"-c", "-c needs a value"},
                 {"--name", "--name needs a value"},
                 {"--loud=1", "'--loud=1' takes no value"},
                 {"-cx", "--count needs a whole number, not 'x'"},
                 {"-c10", "--count must be between 1 and 9"},
                 {"--wait=1y", "--wait: '1y' is no duration"},
                 {"--wait=2m", "--wait must be between 0 ms and 60000 ms"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings settings = {0};
        struct text_list arguments = {0};
        char told[512];
        int code;
        char word[64];
        snprintf(word, sizeof word, "%s", cases[i].word);
        assert_false(parse(&settings, &arguments, &code, told, 2, WORDS(word)));
        assert_int_equal(code, EXIT_USAGE);
        assert_non_null(strstr(told, cases[i].told));
        assert_non_null(strstr(told, "tidings test --help"));
    }
}

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"topic", "publish", "subscribe", "group"};
    assert_string_equal(suggest_nearest("topik", words, 4), "topic");
    assert_string_equal(suggest_nearest("pulbish", words, 4), "publish");
    assert_string_equal(suggest_nearest("sub", words, 4), "subscribe");
    assert_null(suggest_nearest("elephant", words, 4));
    assert_int_equal(suggest_distance("abc", "acb"), 1);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("same", "same"), 0);
}

static void test_reset_targets(void **state)
{
    (void)state;
    char topic[RESET_TOPIC_SIZE];
    int32_t partition;
    assert_int_equal(reset_target_parse("orders", topic, &partition, NULL), ERR_NONE);
    assert_string_equal(topic, "orders");
    assert_int_equal(partition, -1);
    assert_int_equal(reset_target_parse("orders:12", topic, &partition, NULL), ERR_NONE);
    assert_string_equal(topic, "orders");
    assert_int_equal(partition, 12);
    static const char *const bad[] = {"", ":1", "a:", "a:x", "a:1x", "a:9999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(reset_target_parse(bad[i], topic, &partition, NULL), ERR_INVALID);
    }
}

static void test_probe_tells_why(void **state)
{
    (void)state;
    struct reason reason;
    assert_int_equal(connection_probe("127.0.0.1:1", 1000, &reason), ERR_IO);
    assert_non_null(strstr(reason.text, "refused"));
    assert_int_equal(connection_probe("127.0.0.1:99999", 1000, &reason), ERR_INVALID);
    assert_int_equal(connection_probe("127.0.0.1:", 1000, &reason), ERR_INVALID);
    assert_int_equal(connection_probe("", 1000, &reason), ERR_INVALID);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_lag_is_what_is_left_to_read),
        cmocka_unit_test(test_settings_take_durations_and_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_places_stay_within_bounds),
        cmocka_unit_test(test_options_fill_settings),
        cmocka_unit_test(test_options_tell_what_is_wrong),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_reset_targets),
        cmocka_unit_test(test_probe_tells_why),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
