#include "../unit.h"

#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/setting_text.h"
#include "cli/base/suggest.h"
#include "cli/bus/group_progress.h"
#include "cli/bus/reset_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void test_options_fill_what_they_are_for(void **state)
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

static void test_a_wrong_option_is_told_with_a_hint(void **state)
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

static void test_the_nearest_word_is_suggested(void **state)
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

static void test_a_topic_may_name_its_partition(void **state)
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lag_is_what_is_left_to_read),
        cmocka_unit_test(test_settings_take_durations_and_sizes),
        cmocka_unit_test(test_options_fill_what_they_are_for),
        cmocka_unit_test(test_a_wrong_option_is_told_with_a_hint),
        cmocka_unit_test(test_the_nearest_word_is_suggested),
        cmocka_unit_test(test_a_topic_may_name_its_partition),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
