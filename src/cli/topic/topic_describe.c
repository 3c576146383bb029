#include "cli/topic/topic.h"

#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/bus.h"

#include <stdio.h>
#include <stdlib.h>

struct describe_options {
    struct bus_options bus;
    struct text_list topics;
    bool has_all;
};

static const struct help_page page = {
    .name = "tidings topic describe",
    .usage = "TOPIC... [OPTIONS]",
    .about =
        "Shows the partitions of topics: leader, oldest offset kept (START), next offset (END),\n"
        "and how many offsets are between (OFFSETS): at most so many events, since markers of\n"
        "transactions and events that compaction removed have offsets too. And the settings that\n"
        "were made for the topic.",
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

/* What is known of one topic. */
struct description {
    const struct admin_topic *topic;
    struct admin_bounds *bounds; /* by place in topic->partitions */
    struct admin_topic_settings settings;
    bool has_all;
};

static json_t *to_json(const struct description *description)
{
    const struct admin_topic *topic = description->topic;
    json_t *partitions = json_array();
    json_t *settings = json_object();
    for (size_t i = 0; i < topic->partitions.count; i++) {
        json_array_append_new(partitions,
                              json_pack("{s:i,s:i,s:I,s:I}", "partition",
                                        (int)topic->partitions.items[i].id, "leader",
                                        (int)topic->partitions.items[i].leader, "start_offset",
                                        (json_int_t)description->bounds[i].start, "end_offset",
                                        (json_int_t)description->bounds[i].end));
    }
    for (size_t i = 0; i < description->settings.count; i++) {
        const struct admin_topic_setting *setting = &description->settings.items[i];
        if (description->has_all || setting->is_own) {
            json_object_set_new(settings, setting->name, output_json_text(setting->value));
        }
    }
    return json_pack("{s:s,s:o,s:o}", "name", topic->name, "partitions", partitions, "settings",
                     settings);
}

static void print_partitions(const struct description *description)
{
    static const char *const titles[] = {">PARTITION", ">LEADER", ">START", ">END", ">OFFSETS"};
    struct table table;
    table_init(&table, titles, 5);
    for (size_t i = 0; i < description->topic->partitions.count; i++) {
        struct admin_bounds bounds = description->bounds[i];
        table_number(&table, description->topic->partitions.items[i].id);
        table_number(&table, description->topic->partitions.items[i].leader);
        table_number(&table, bounds.start);
        table_number(&table, bounds.end);
        table_number(&table, bounds.end - bounds.start);
    }
    table_print(&table, 2);
    table_deinit(&table);
}

static void print_description(const struct description *description)
{
    size_t count = description->topic->partitions.count;
    output_text(stdout, "topic %s, %zu partition%s\n", description->topic->name, count,
                plural_s(count));
    print_partitions(description);
    bool has_title = false;
    for (size_t i = 0; i < description->settings.count; i++) {
        const struct admin_topic_setting *setting = &description->settings.items[i];
        if (description->has_all || setting->is_own) {
            output_text(stdout, "%s    %s=%s\n", has_title ? "" : "  settings:\n", setting->name,
                        setting->value != NULL ? setting->value : "");
            has_title = true;
        }
    }
}

/* Offsets and settings of a topic that is there. */
static int look_up(struct connection *connection, struct description *description)
{
    const struct admin_topic *topic = description->topic;
    struct topic_partitions list = {0};
    struct client_error error;
    int code = EXIT_OK;
    for (size_t i = 0; i < topic->partitions.count; i++) {
        topic_partitions_add(&list, topic->name, topic->partitions.items[i].id, -1);
    }
    description->bounds = mem_new_array(struct admin_bounds, list.count + 1);
    if (admin_bounds(connection, &list, description->bounds, &error) != CLIENT_OK) {
        code = bus_fail(&error, "look up the offsets of topic '%s'", topic->name);
    } else if (admin_topic_settings(connection, topic->name, &description->settings, &error) !=
               CLIENT_OK) {
        code = bus_fail(&error, "read the settings of topic '%s'", topic->name);
    }
    topic_partitions_deinit(&list);
    return code;
}

static int describe(struct connection *connection, const struct describe_options *options,
                    const char *name, struct report *report)
{
    struct admin_topics topics;
    struct description description = {.has_all = options->has_all};
    int code = bus_topic(connection, name, &topics);
    if (code == EXIT_OK) {
        description.topic = &topics.items[0];
        code = look_up(connection, &description);
    }
    if (code == EXIT_OK && report->is_json) {
        json_array_append_new(report->items, to_json(&description));
    } else if (code == EXIT_OK) {
        print_description(&description);
    }
    admin_topic_settings_deinit(&description.settings);
    free(description.bounds);
    admin_topics_deinit(&topics);
    return code;
}

static int run(const struct describe_options *options)
{
    struct connection *connection;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = report_new(options->bus.is_json);
    for (size_t i = 0; i < options->topics.count; i++) {
        report_note(&report, describe(connection, options, options->topics.items[i], &report));
    }
    connection_close(connection);
    return output_finish(report_finish(&report));
}

int cli_topic_describe(int argc, char **argv)
{
    struct describe_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "describe which topic? All of them: tidings topic list")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
