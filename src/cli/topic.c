#include "cli/topic.h"

#include "cli/bus.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/topic_ends.h"

int cli_topic(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"create", "make topics", cli_topic_create},
        {"list", "name the topics and how much they hold", cli_topic_list},
        {"describe", "show partitions, offsets and settings of topics", cli_topic_describe},
        {"alter", "change settings of a topic or add partitions", cli_topic_alter},
        {"delete", "delete topics with all their events", cli_topic_delete},
        {"settings", "tell what settings a topic can have", cli_topic_settings},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(verbs, "tidings topic",
                        "Creates, lists, describes, alters and deletes topics.",
                        "Examples:\n"
                        "  tidings topic create orders --partitions 3 --config retention.ms=1d\n"
                        "  tidings topic describe orders\n"
                        "  tidings topic settings\n",
                        argc, argv);
}

struct list_options {
    struct bus_options bus;
    bool has_internal;
};

/* Offsets between start and end of all partitions; -1: not known. */
static int64_t count_offsets(const struct topic_ends *ends)
{
    int64_t count = 0;
    for (size_t i = 0; i < ends->topic->partitions.count; i++) {
        count += ends->bounds[i].end - ends->bounds[i].start;
    }
    return ends->error.status == CLIENT_OK ? count : -1;
}

/* What is known is printed; that the bus fell silent meanwhile is a failure, told once. */
static int print_topics(const struct list_options *options, const struct topic_ends_list *topics)
{
    static const char *const titles[] = {"TOPIC", ">PARTITIONS", ">OFFSETS"};
    struct table table;
    json_t *list = json_array();
    int code = EXIT_OK;
    table_init(&table, titles, 3);
    for (size_t i = 0; i < topics->count; i++) {
        const struct admin_topic *topic = topics->items[i].topic;
        int64_t offsets = count_offsets(&topics->items[i]);
        table_cell(&table, "%s", topic->name);
        table_cell(&table, "%zu", topic->partitions.count);
        table_number(&table, offsets);
        json_array_append_new(list, json_pack("{s:s,s:i,s:o,s:b}", "name", topic->name,
                                              "partitions", (int)topic->partitions.count, "offsets",
                                              output_number_or_null(offsets), "internal",
                                              topic->is_internal));
        if (code == EXIT_OK && bus_is_silent(&topics->items[i].error)) {
            code =
                bus_fail(&topics->items[i].error, "look up the offsets of topic '%s'", topic->name);
        }
    }
    if (options->bus.is_json) {
        output_json(list);
    } else {
        table_print(&table, 0);
        json_decref(list);
    }
    table_deinit(&table);
    return code;
}

static int run_list(const struct list_options *options)
{
    struct connection *connection;
    struct admin_topics topics;
    struct topic_ends_list listed = {0};
    struct client_error error;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    if (admin_topics(connection, &topics, &error) != CLIENT_OK) {
        code = bus_fail(&error, "list the topics");
    } else {
        for (size_t i = 0; i < topics.count; i++) {
            if (options->has_internal || !topics.items[i].is_internal) {
                topic_ends_add(&listed, &topics.items[i]);
            }
        }
        topic_ends_load(connection, &listed);
        code = output_finish(print_topics(options, &listed));
    }
    topic_ends_deinit(&listed);
    admin_topics_deinit(&topics);
    connection_close(connection);
    return code;
}

int cli_topic_list(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings topic list",
        .usage = "[OPTIONS]",
        .about =
            "Names the topics of the bus, their number of partitions, and how many offsets they\n"
            "hold. That is at most the number of events: markers of transactions and events that\n"
            "compaction removed have offsets too.",
        .examples = "  tidings topic list --json | jq -r '.[].name'\n",
    };
    static const struct option_spec specs[] = {
        {0, "internal", NULL, OPTION_FLAG, offsetof(struct list_options, has_internal), 0, 0,
         "also the bus's own topics, whose names begin with __"},
    };
    struct list_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, 1, &options}, bus_option_set(&options.bus)};
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
