#include "cli/topic/topic.h"

#include "base/mem.h"
#include "base/settings.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct alter_options {
    struct bus_options bus;
    const char *topic;
    int64_t partitions; /* 0: as they are */
    struct text_list configs;
    struct text_list deletes;
};

static const struct help_page page = {
    .name = "tidings topic alter",
    .usage = "TOPIC [OPTIONS]",
    .about =
        "Changes settings of a topic or adds partitions. Settings not named stay as they are.\n"
        "Partitions can only be added. After that, a key may go to another partition than\n"
        "before: the order of its events across that moment is not kept.",
    .examples = "  tidings topic alter orders --config retention.ms=1d\n"
                "  tidings topic alter orders --delete-config retention.ms   back to the default\n"
                "  tidings topic alter orders --partitions 12\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXT, offsetof(struct alter_options, topic), 0, 0,
     "the topic, instead of the argument"},
    {'p', "partitions", "N", OPTION_INTEGER, offsetof(struct alter_options, partitions), 1, 100000,
     "add partitions until there are N"},
    {'c', "config", "NAME=VALUE", OPTION_TEXTS, offsetof(struct alter_options, configs), 0, 0,
     "set a setting, by Kafka's name (repeat it)"},
    {'d', "delete-config", "NAME", OPTION_TEXTS, offsetof(struct alter_options, deletes), 0, 0,
     "take a setting back to its default (repeat it)"},
};

static int check_partitions(struct connection *connection, const struct alter_options *options)
{
    struct admin_topics topics;
    int code = bus_topic(connection, options->topic, &topics);
    if (code == EXIT_OK && options->partitions != 0 &&
        options->partitions <= (int64_t)topics.items[0].partitions.count) {
        size_t count = topics.items[0].partitions.count;
        code = cli_fail(EXIT_FAILED, "partitions can only be added: name a larger number",
                        "topic '%s' has %zu partition%s already", options->topic, count,
                        plural_s(count));
    }
    admin_topics_deinit(&topics);
    return code;
}

/* The bus replaces all settings, so `merged` holds those to keep as well. */
static int send_settings(struct connection *connection, const char *topic,
                         const struct overrides *merged)
{
    struct client_error error;
    struct admin_setting *settings = mem_new_array(struct admin_setting, merged->count + 1);
    for (size_t i = 0; i < merged->count; i++) {
        settings[i] = (struct admin_setting){merged->items[i].name, merged->items[i].value};
    }
    enum client_status status =
        admin_replace_topic_settings(connection, topic, settings, merged->count, &error);
    free(settings);
    return status == CLIENT_OK ? EXIT_OK : bus_fail(&error, "change topic '%s'", topic);
}

/* Applies --delete-config and --config to the settings that the topic has of its own. */
static int merge(const struct alter_options *options, const struct overrides *known,
                 struct overrides *merged)
{
    for (size_t i = 0; i < options->deletes.count; i++) {
        const char *name = options->deletes.items[i];
        if (overrides_get(known, name) == NULL) {
            return cli_fail(
                EXIT_FAILED, "see all settings with: tidings topic describe TOPIC --all",
                "cannot change topic '%s': a topic has no setting '%s'", options->topic, name);
        }
        overrides_remove(merged, slice_str(name));
    }
    for (size_t i = 0; i < options->configs.count; i++) {
        char *name;
        char *value;
        int code = options_split_setting(&page, "config", options->configs.items[i], &name, &value);
        if (code != EXIT_OK) {
            return code;
        }
        overrides_set(merged, slice_str(name), slice_str(value));
        free(name);
        free(value);
    }
    return EXIT_OK;
}

static int change_settings(struct connection *connection, const struct alter_options *options)
{
    struct admin_topic_settings settings;
    struct client_error error;
    struct overrides merged = {0};
    struct overrides known = {0};
    int code = EXIT_OK;
    if (admin_topic_settings(connection, options->topic, &settings, &error) != CLIENT_OK) {
        code = bus_fail(&error, "read the settings of topic '%s'", options->topic);
    }
    for (size_t i = 0; i < settings.count; i++) {
        const struct admin_topic_setting *setting = &settings.items[i];
        overrides_set(&known, slice_str(setting->name), slice_str(""));
        if (setting->is_own && setting->value != NULL) {
            overrides_set(&merged, slice_str(setting->name), slice_str(setting->value));
        }
    }
    if (code == EXIT_OK) {
        code = merge(options, &known, &merged);
    }
    if (code == EXIT_OK) {
        code = send_settings(connection, options->topic, &merged);
    }
    overrides_deinit(&merged);
    overrides_deinit(&known);
    admin_topic_settings_deinit(&settings);
    return code;
}

static int run(const struct alter_options *options)
{
    struct connection *connection;
    struct client_error error;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    code = check_partitions(connection, options);
    if (code == EXIT_OK && options->configs.count + options->deletes.count > 0) {
        code = change_settings(connection, options);
    }
    if (code == EXIT_OK && options->partitions != 0 &&
        admin_add_partitions(connection, options->topic, (int32_t)options->partitions, &error) !=
            CLIENT_OK) {
        code = bus_fail(&error, "add partitions to topic '%s'", options->topic);
    }
    connection_close(connection);
    if (code == EXIT_OK && options->bus.is_json) {
        output_json(json_pack("{s:s,s:b}", "name", options->topic, "changed", 1));
    } else if (code == EXIT_OK) {
        output_text(stdout, "changed topic %s\n", options->topic);
    }
    return output_finish(code);
}

static int check(struct alter_options *options, const struct text_list *arguments)
{
    size_t count = arguments->count + (options->topic != NULL);
    if (count != 1) {
        return options_fail(&page, count == 0
                                       ? "alter which topic? Usage: tidings topic alter TOPIC"
                                       : "one topic at a time");
    }
    if (options->topic == NULL) {
        options->topic = arguments->items[0];
    }
    if (options->partitions == 0 && options->configs.count + options->deletes.count == 0) {
        return options_fail(&page, "change what? Give --config, --delete-config or --partitions");
    }
    for (size_t i = 0; i < options->configs.count; i++) {
        char *name;
        char *value;
        int code = options_split_setting(&page, "config", options->configs.items[i], &name, &value);
        if (code != EXIT_OK) {
            return code;
        }
        free(name);
        free(value);
    }
    return EXIT_OK;
}

int cli_topic_alter(int argc, char **argv)
{
    struct alter_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = check(&options, &arguments);
        if (code == EXIT_OK) {
            code = run(&options);
        }
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
