#include "cli/topic.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/offsets.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct describe_options {
    struct client_options client;
    struct text_list topics;
    bool has_all;
};

static const struct help_page page = {
    .name = "tidings topic describe",
    .usage = "TOPIC... [OPTIONS]",
    .about =
        "Shows the partitions of topics: leader, oldest offset kept (START), next offset (END),\n"
        "and the settings that were made for the topic.",
    .examples = "  tidings topic describe orders\n"
                "  tidings topic describe orders --all          every setting and its value\n"
                "  tidings topic describe orders --json | jq '.[0].partitions[].end_offset'\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct describe_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {'a', "all", NULL, OPTION_FLAG, offsetof(struct describe_options, has_all), 0, 0,
     "all settings, also those with default values"},
};

/* What is known of one topic; borrows from metadata and event. */
struct description {
    const struct rd_kafka_metadata_topic *topic;
    struct admin_bounds *bounds; /* by place in topic->partitions */
    const rd_kafka_ConfigEntry_t **entries;
    size_t entry_count;
    bool has_all;
};

static bool shows(const struct description *description, const rd_kafka_ConfigEntry_t *entry)
{
    return description->has_all || cli_topic_setting_is_own(entry);
}

static json_t *to_json(const struct description *description)
{
    const struct rd_kafka_metadata_topic *topic = description->topic;
    json_t *partitions = json_array();
    json_t *settings = json_object();
    for (int i = 0; i < topic->partition_cnt; i++) {
        json_array_append_new(partitions,
                              json_pack("{s:i,s:i,s:I,s:I}", "partition", topic->partitions[i].id,
                                        "leader", topic->partitions[i].leader, "start_offset",
                                        (json_int_t)description->bounds[i].start, "end_offset",
                                        (json_int_t)description->bounds[i].end));
    }
    for (size_t i = 0; i < description->entry_count; i++) {
        const rd_kafka_ConfigEntry_t *entry = description->entries[i];
        const char *value = rd_kafka_ConfigEntry_value(entry);
        if (shows(description, entry)) {
            json_object_set_new(settings, rd_kafka_ConfigEntry_name(entry),
                                value != NULL ? json_string(value) : json_null());
        }
    }
    return json_pack("{s:s,s:o,s:o}", "name", topic->topic, "partitions", partitions, "settings",
                     settings);
}

static void print_partitions(const struct description *description)
{
    static const char *const titles[] = {">PARTITION", ">LEADER", ">START", ">END", ">EVENTS"};
    struct table table;
    table_init(&table, titles, 5);
    for (int i = 0; i < description->topic->partition_cnt; i++) {
        struct admin_bounds bounds = description->bounds[i];
        table_cell(&table, "%d", description->topic->partitions[i].id);
        table_cell(&table, "%d", description->topic->partitions[i].leader);
        table_cell(&table, "%lld", (long long)bounds.start);
        table_cell(&table, "%lld", (long long)bounds.end);
        table_cell(&table, "%lld", (long long)(bounds.end - bounds.start));
    }
    table_print(&table, 2);
    table_deinit(&table);
}

static void print_description(const struct description *description)
{
    printf("topic %s, %d partition%s\n", description->topic->topic,
           description->topic->partition_cnt, description->topic->partition_cnt == 1 ? "" : "s");
    print_partitions(description);
    bool has_title = false;
    for (size_t i = 0; i < description->entry_count; i++) {
        const rd_kafka_ConfigEntry_t *entry = description->entries[i];
        const char *value = rd_kafka_ConfigEntry_value(entry);
        if (shows(description, entry)) {
            printf("%s    %s=%s\n", has_title ? "" : "  settings:\n",
                   rd_kafka_ConfigEntry_name(entry), value != NULL ? value : "");
            has_title = true;
        }
    }
}

static int find_bounds(struct client *client, const struct rd_kafka_metadata_topic *topic,
                       struct admin_bounds *bounds)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(topic->partition_cnt);
    for (int i = 0; i < topic->partition_cnt; i++) {
        rd_kafka_topic_partition_list_add(list, topic->topic, topic->partitions[i].id);
    }
    int code = offsets_bounds(client, list, bounds);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static int describe(struct client *client, const struct describe_options *options, const char *name,
                    struct report *report)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_event_t *event;
    int code = client_metadata(client, name, false, &metadata);
    if (code != EXIT_OK) {
        return code;
    }
    struct description description = {.topic = &metadata->topics[0], .has_all = options->has_all};
    description.bounds =
        mem_new_array(struct admin_bounds, (size_t)description.topic->partition_cnt + 1);
    code = find_bounds(client, description.topic, description.bounds);
    if (code == EXIT_OK) {
        code = cli_topic_settings(client, name, &event, &description.entries,
                                  &description.entry_count);
    }
    if (code == EXIT_OK) {
        if (report->is_json) {
            json_array_append_new(report->items, to_json(&description));
        } else {
            print_description(&description);
        }
        rd_kafka_event_destroy(event);
    }
    free(description.bounds);
    rd_kafka_metadata_destroy(metadata);
    return code;
}

static int run(const struct describe_options *options)
{
    struct client *client;
    int code = client_open_admin(&options->client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = report_new(options->client.is_json);
    for (size_t i = 0; i < options->topics.count; i++) {
        report_note(&report, describe(client, options, options->topics.items[i], &report));
    }
    client_close(client);
    return output_finish(report_finish(&report));
}

int cli_topic_describe(int argc, char **argv)
{
    struct describe_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "describe which topic? All of them: tidings topic list")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
