#include "cli/topic/topic.h"

#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/bus/bus.h"
#include "cli/bus/outcomes.h"

#include <stdlib.h>

struct create_options {
    struct bus_options bus;
    struct text_list topics;
    struct text_list configs;
    int64_t partitions;
    bool if_not_exists;
};

static const struct help_page page = {
    .name = "tidings topic create",
    .usage = "TOPIC... [OPTIONS]",
    .about = "Makes topics. Without --partitions the bus decides (its setting num.partitions).\n"
             "More partitions let more members of a group work at the same time; order is kept\n"
             "within a partition, and events of one key go to one partition.",
    .examples = "  tidings topic create orders\n"
                "  tidings topic create orders --partitions 6 --config retention.ms=7d\n"
                "  tidings topic create users --config cleanup.policy=compact --if-not-exists\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct create_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {'p', "partitions", "N", OPTION_INTEGER, offsetof(struct create_options, partitions), 1, 100000,
     "number of partitions"},
    {'c', "config", "NAME=VALUE", OPTION_TEXTS, offsetof(struct create_options, configs), 0, 0,
     "a setting of the topic, by Kafka's name: retention.ms=7d,\n"
     "segment.bytes=64MiB; tidings topic settings lists them (repeat it)"},
    {0, "if-not-exists", NULL, OPTION_FLAG, offsetof(struct create_options, if_not_exists), 0, 0,
     "a topic that exists is no error"},
};

/* The --config pairs as settings, whose texts the caller frees. */
static int take_settings(const struct create_options *options, struct admin_setting *settings,
                         size_t *count)
{
    for (*count = 0; *count < options->configs.count; ++*count) {
        char *name;
        char *value;
        int code =
            options_split_setting(&page, "config", options->configs.items[*count], &name, &value);
        if (code != EXIT_OK) {
            return code;
        }
        settings[*count] = (struct admin_setting){name, value};
    }
    return EXIT_OK;
}

static int create(const struct create_options *options, const struct admin_new_topic *topics)
{
    const struct outcome_words words = {
        .verb = "create",
        .done = "created",
        .kind = "topic",
        .json_name = "name",
        .is_forgiving = options->if_not_exists,
        .forgiven = CLIENT_CONFLICT,
        .forgiven_text = "exists already",
        .fail_unknown = bus_fail_no_topic,
    };
    struct connection *connection;
    struct admin_outcomes outcomes;
    struct client_error error;
    int code = bus_open(&options->bus, &connection);
    if (code == EXIT_OK) {
        enum client_status status =
            admin_create_topics(connection, topics, options->topics.count, &outcomes, &error);
        code = outcomes_tell(&words, &options->topics, options->bus.is_json, status, &error,
                             &outcomes);
        connection_close(connection);
    }
    return code;
}

static int run(const struct create_options *options)
{
    size_t count = options->topics.count;
    size_t setting_count;
    struct admin_setting *settings =
        mem_new_array(struct admin_setting, options->configs.count + 1);
    struct admin_new_topic *topics = mem_new_array(struct admin_new_topic, count);
    int code = take_settings(options, settings, &setting_count);
    for (size_t i = 0; i < count; i++) {
        topics[i] = (struct admin_new_topic){.name = options->topics.items[i],
                                             .partition_count = (int32_t)options->partitions,
                                             .settings = settings,
                                             .setting_count = setting_count};
    }
    if (code == EXIT_OK) {
        code = create(options, topics);
    }
    for (size_t i = 0; i < setting_count; i++) {
        free((void *)(uintptr_t)settings[i].name);
        free((void *)(uintptr_t)settings[i].value);
    }
    free(settings);
    free(topics);
    return code;
}

int cli_topic_create(int argc, char **argv)
{
    struct create_options options = {.bus = bus_options_default(), .partitions = -1};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "create which topic? Usage: tidings topic create TOPIC")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
