#include "cli/topic.h"

#include "base/settings.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct alter_options {
    struct client_options client;
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

static int check_partitions(struct client *client, const struct alter_options *options)
{
    const struct rd_kafka_metadata *metadata;
    int code = client_metadata(client, options->topic, false, &metadata);
    if (code != EXIT_OK) {
        return code;
    }
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (options->partitions != 0 && options->partitions <= count) {
        return cli_fail(EXIT_FAILED, "partitions can only be added: name a larger number",
                        "topic '%s' has %d partition%s already", options->topic, count,
                        count == 1 ? "" : "s");
    }
    return EXIT_OK;
}

static int add_partitions(struct client *client, const struct alter_options *options)
{
    char text[256];
    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(options->topic, (size_t)options->partitions, text, sizeof text);
    if (wanted == NULL) {
        return cli_fail(EXIT_USAGE, NULL, "cannot add partitions: %s", text);
    }
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
    rd_kafka_event_t *event;
    rd_kafka_CreatePartitions(client->rk, &wanted, 1, request.options, request.queue);
    int code = client_admin_finish(client, &request, &event, "add partitions to topic '%s'",
                                   options->topic);
    if (code == EXIT_OK) {
        size_t count;
        const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[0]);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = bus_fail(client, err, rd_kafka_topic_result_error_string(results[0]),
                            "add partitions to topic '%s'", options->topic);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_NewPartitions_destroy(wanted);
    return code;
}

/* AlterConfigs replaces all settings, so `merged` holds those to keep as well. */
static int send_settings(struct client *client, const char *topic, const struct overrides *merged)
{
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    for (size_t i = 0; i < merged->count; i++) {
        rd_kafka_ConfigResource_set_config(resource, merged->items[i].name, merged->items[i].value);
    }
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
    rd_kafka_event_t *event;
    rd_kafka_AlterConfigs(client->rk, &resource, 1, request.options, request.queue);
    int code = client_admin_finish(client, &request, &event, "change topic '%s'", topic);
    if (code == EXIT_OK) {
        size_t count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_AlterConfigs_result_resources(
            rd_kafka_event_AlterConfigs_result(event), &count);
        rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(resources[0]);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = bus_fail(client, err, rd_kafka_ConfigResource_error_string(resources[0]),
                            "change topic '%s'", topic);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ConfigResource_destroy(resource);
    return code;
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

static int change_settings(struct client *client, const struct alter_options *options)
{
    rd_kafka_event_t *event;
    const rd_kafka_ConfigEntry_t **entries;
    size_t count;
    int code = cli_topic_settings(client, options->topic, &event, &entries, &count);
    if (code != EXIT_OK) {
        return code;
    }
    struct overrides merged = {0};
    struct overrides known = {0};
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        overrides_set(&known, slice_str(name), slice_str(""));
        if (cli_topic_setting_is_own(entries[i]) && value != NULL) {
            overrides_set(&merged, slice_str(name), slice_str(value));
        }
    }
    code = merge(options, &known, &merged);
    if (code == EXIT_OK) {
        code = send_settings(client, options->topic, &merged);
    }
    overrides_deinit(&merged);
    overrides_deinit(&known);
    rd_kafka_event_destroy(event);
    return code;
}

static int run(const struct alter_options *options)
{
    struct client *client;
    int code = client_open_admin(&options->client, &client);
    if (code == EXIT_OK) {
        code = check_partitions(client, options);
    }
    if (code == EXIT_OK && options->configs.count + options->deletes.count > 0) {
        code = change_settings(client, options);
    }
    if (code == EXIT_OK && options->partitions != 0) {
        code = add_partitions(client, options);
    }
    client_close(client);
    if (code == EXIT_OK && options->client.is_json) {
        output_json(json_pack("{s:s,s:b}", "name", options->topic, "changed", 1));
    } else if (code == EXIT_OK) {
        printf("changed topic %s\n", options->topic);
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
    struct alter_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
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
