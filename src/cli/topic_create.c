#include "cli/topic.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>

struct create_options {
    struct client_options client;
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
     "a setting of the topic, by Kafka's name: retention.ms=7d, segment.bytes=64MiB;\n"
     "tidings topic settings lists them (repeat it)"},
    {0, "if-not-exists", NULL, OPTION_FLAG, offsetof(struct create_options, if_not_exists), 0, 0,
     "a topic that exists is no error"},
};

static int make_new_topic(const struct create_options *options, const char *name,
                          rd_kafka_NewTopic_t **topic)
{
    char text[256];
    *topic = rd_kafka_NewTopic_new(name, (int)options->partitions, -1, text, sizeof text);
    if (*topic == NULL) {
        return cli_fail(EXIT_USAGE, NULL, "cannot create topic '%s': %s", name, text);
    }
    for (size_t i = 0; i < options->configs.count; i++) {
        char *setting;
        char *value;
        int code =
            options_split_setting(&page, "config", options->configs.items[i], &setting, &value);
        if (code != EXIT_OK) {
            rd_kafka_NewTopic_destroy(*topic);
            return code;
        }
        rd_kafka_NewTopic_set_config(*topic, setting, value);
        free(setting);
        free(value);
    }
    return EXIT_OK;
}

/* Tells the outcome for one topic. */
static int conclude(struct client *client, const struct create_options *options,
                    const rd_kafka_topic_result_t *result, struct report *report)
{
    const char *name = rd_kafka_topic_result_name(result);
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(result);
    bool exists = err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS && options->if_not_exists;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && !exists) {
        return bus_fail(client, err, rd_kafka_topic_result_error_string(result),
                        "create topic '%s'", name);
    }
    json_array_append_new(report->items, json_pack("{s:s,s:b}", "name", name, "created", !exists));
    if (!report->is_json) {
        printf(exists ? "topic %s exists already\n" : "created topic %s\n", name);
    }
    return EXIT_OK;
}

static int create(struct client *client, const struct create_options *options,
                  rd_kafka_NewTopic_t **topics, size_t count)
{
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_event_t *event;
    rd_kafka_CreateTopics(client->rk, topics, count, request.options, request.queue);
    int code = client_admin_finish(client, &request, &event, "create topic '%s'%s",
                                   options->topics.items[0], count > 1 ? " and others" : "");
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = report_new(options->client.is_json);
    size_t result_count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &result_count);
    for (size_t i = 0; i < result_count; i++) {
        report_note(&report, conclude(client, options, results[i], &report));
    }
    rd_kafka_event_destroy(event);
    return report_finish(&report);
}

static int run(const struct create_options *options)
{
    size_t count = options->topics.count;
    rd_kafka_NewTopic_t **topics = mem_new_array(rd_kafka_NewTopic_t *, count);
    struct client *client = NULL;
    size_t made = 0;
    int code = EXIT_OK;
    while (made < count && code == EXIT_OK) {
        code = make_new_topic(options, options->topics.items[made], &topics[made]);
        made += code == EXIT_OK;
    }
    if (code == EXIT_OK) {
        code = client_open_admin(&options->client, &client);
    }
    if (code == EXIT_OK) {
        code = output_finish(create(client, options, topics, count));
    }
    client_close(client);
    rd_kafka_NewTopic_destroy_array(topics, made);
    free(topics);
    return code;
}

int cli_topic_create(int argc, char **argv)
{
    struct create_options options = {.client = client_options_default(), .partitions = -1};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "create which topic? Usage: tidings topic create TOPIC")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
