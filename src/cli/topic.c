#include "cli/topic.h"

#include "base/mem.h"
#include "cli/bus.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdlib.h>

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

/* What is listed; holds[i]: offsets between start and end of the partitions, -1: not known. */
struct listing {
    struct admin_topics topics;
    int64_t *holds;
};

static void count_offsets(struct connection *connection, struct listing *listing)
{
    listing->holds = mem_new_array(int64_t, listing->topics.count + 1);
    for (size_t i = 0; i < listing->topics.count; i++) {
        const struct admin_topic *topic = &listing->topics.items[i];
        struct topic_partitions partitions = {0};
        for (size_t j = 0; j < topic->partitions.count; j++) {
            topic_partitions_add(&partitions, topic->name, topic->partitions.items[j].id, -1);
        }
        struct admin_bounds *bounds = mem_new_array(struct admin_bounds, partitions.count + 1);
        if (admin_bounds(connection, &partitions, bounds, NULL) != CLIENT_OK) {
            listing->holds[i] = -1; /* a partition is offline, or the topic went away */
        }
        for (size_t j = 0; listing->holds[i] >= 0 && j < partitions.count; j++) {
            listing->holds[i] += bounds[j].end - bounds[j].start;
        }
        free(bounds);
        topic_partitions_deinit(&partitions);
    }
}

static void print_topics(const struct list_options *options, const struct listing *listing)
{
    static const char *const titles[] = {"TOPIC", ">PARTITIONS", ">OFFSETS"};
    struct table table;
    json_t *list = json_array();
    table_init(&table, titles, 3);
    for (size_t i = 0; i < listing->topics.count; i++) {
        const struct admin_topic *topic = &listing->topics.items[i];
        if (topic->is_internal && !options->has_internal) {
            continue;
        }
        table_cell(&table, "%s", topic->name);
        table_cell(&table, "%zu", topic->partitions.count);
        table_number(&table, listing->holds[i]);
        json_array_append_new(list, json_pack("{s:s,s:i,s:o,s:b}", "name", topic->name,
                                              "partitions", (int)topic->partitions.count, "offsets",
                                              output_number_or_null(listing->holds[i]), "internal",
                                              topic->is_internal));
    }
    if (options->bus.is_json) {
        output_json(list);
    } else {
        table_print(&table, 0);
        json_decref(list);
    }
    table_deinit(&table);
}

static int run_list(const struct list_options *options)
{
    struct connection *connection;
    struct listing listing = {.holds = NULL};
    struct client_error error;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    if (admin_topics(connection, &listing.topics, &error) != CLIENT_OK) {
        code = bus_fail(&error, "list the topics");
    } else {
        count_offsets(connection, &listing);
        print_topics(options, &listing);
        code = output_finish(code);
    }
    admin_topics_deinit(&listing.topics);
    free(listing.holds);
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
