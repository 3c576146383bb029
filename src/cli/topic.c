#include "cli/topic.h"

#include "cli/cli.h"
#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

int cli_topic(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"create", "make topics", cli_topic_create},
        {"list", "name the topics", cli_topic_list},
        {"describe", "show partitions, offsets and settings of topics", cli_topic_describe},
        {"alter", "change settings of a topic or add partitions", cli_topic_alter},
        {"delete", "delete topics with all their events", cli_topic_delete},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(verbs, "tidings topic",
                        "Creates, lists, describes, alters and deletes topics.",
                        "Examples:\n"
                        "  tidings topic create orders --partitions 3 --config retention.ms=1d\n"
                        "  tidings topic describe orders\n",
                        argc, argv);
}

bool cli_topic_setting_is_own(const rd_kafka_ConfigEntry_t *entry)
{
    return rd_kafka_ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
}

int cli_topic_settings(struct client *client, const char *topic, rd_kafka_event_t **event,
                       const rd_kafka_ConfigEntry_t ***entries, size_t *count)
{
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(client->rk, &asked, 1, request.options, request.queue);
    int code =
        client_admin_finish(client, &request, event, "read the settings of topic '%s'", topic);
    if (code == EXIT_OK) {
        size_t resource_count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(*event), &resource_count);
        rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(resources[0]);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = bus_fail(client, err, rd_kafka_ConfigResource_error_string(resources[0]),
                            "read the settings of topic '%s'", topic);
            rd_kafka_event_destroy(*event);
        } else {
            *entries = rd_kafka_ConfigResource_configs(resources[0], count);
        }
    }
    rd_kafka_ConfigResource_destroy(asked);
    return code;
}

struct list_options {
    struct client_options client;
    bool has_internal;
};

static bool is_internal(const char *topic)
{
    return strncmp(topic, "__", 2) == 0;
}

static int by_name(const void *a, const void *b)
{
    const struct rd_kafka_metadata_topic *const *left = a;
    const struct rd_kafka_metadata_topic *const *right = b;
    return strcmp((*left)->topic, (*right)->topic);
}

static void print_topics(const struct list_options *options,
                         const struct rd_kafka_metadata_topic *const *topics, int count)
{
    static const char *const titles[] = {"TOPIC", ">PARTITIONS"};
    struct table table;
    json_t *list = json_array();
    table_init(&table, titles, 2);
    for (int i = 0; i < count; i++) {
        const char *name = topics[i]->topic;
        if (is_internal(name) && !options->has_internal) {
            continue;
        }
        table_cell(&table, "%s", name);
        table_cell(&table, "%d", topics[i]->partition_cnt);
        json_array_append_new(list,
                              json_pack("{s:s,s:i,s:b}", "name", name, "partitions",
                                        topics[i]->partition_cnt, "internal", is_internal(name)));
    }
    if (options->client.is_json) {
        output_json(list);
    } else {
        table_print(&table, 0);
        json_decref(list);
    }
    table_deinit(&table);
}

static int run_list(const struct list_options *options)
{
    struct client *client;
    const struct rd_kafka_metadata *metadata;
    int code = client_open_admin(&options->client, &client);
    if (code == EXIT_OK) {
        code = client_metadata(client, NULL, false, &metadata);
    }
    if (code == EXIT_OK) {
        int count = metadata->topic_cnt;
        const struct rd_kafka_metadata_topic **topics =
            calloc((size_t)count + 1, sizeof(struct rd_kafka_metadata_topic *));
        for (int i = 0; i < count; i++) {
            topics[i] = &metadata->topics[i];
        }
        qsort(topics, (size_t)count, sizeof *topics, by_name);
        print_topics(options, topics, count);
        free(topics);
        rd_kafka_metadata_destroy(metadata);
        code = output_finish(code);
    }
    client_close(client);
    return code;
}

int cli_topic_list(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings topic list",
        .usage = "[OPTIONS]",
        .about = "Names the topics of the bus and their number of partitions.",
        .examples = "  tidings topic list --json | jq -r '.[].name'\n",
    };
    static const struct option_spec specs[] = {
        {0, "internal", NULL, OPTION_FLAG, offsetof(struct list_options, has_internal), 0, 0,
         "also the bus's own topics, whose names begin with __"},
    };
    struct list_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, 1, &options},
                                client_option_set(&options.client)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&page,
                                  "list takes no argument '%s'; for one topic use: tidings "
                                  "topic describe",
                                  arguments.items[0])
                   : run_list(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
