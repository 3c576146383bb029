#include "cli/topic.h"

#include "cli/bus.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>

struct delete_options {
    struct bus_options bus;
    struct text_list topics;
    bool if_exists;
};

static const struct help_page page = {
    .name = "tidings topic delete",
    .usage = "TOPIC... [OPTIONS]",
    .about = "Deletes topics with all their events. It does not ask; there is no way back.",
    .examples = "  tidings topic delete orders\n"
                "  tidings topic delete scratch --if-exists\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct delete_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {0, "if-exists", NULL, OPTION_FLAG, offsetof(struct delete_options, if_exists), 0, 0,
     "a topic that does not exist is no error"},
};

static int conclude(const struct delete_options *options, const struct admin_outcome *outcome,
                    struct report *report)
{
    bool is_absent = outcome->error.status == CLIENT_NOT_FOUND && options->if_exists;
    if (outcome->error.status == CLIENT_NOT_FOUND && !is_absent) {
        return cli_fail(EXIT_NOT_FOUND, "see the topics with: tidings topic list",
                        "topic '%s' does not exist", outcome->name);
    }
    if (outcome->error.status != CLIENT_OK && !is_absent) {
        return bus_fail(&outcome->error, "delete topic '%s'", outcome->name);
    }
    json_array_append_new(report->items,
                          json_pack("{s:s,s:b}", "name", outcome->name, "deleted", !is_absent));
    if (!report->is_json) {
        printf(is_absent ? "topic %s did not exist\n" : "deleted topic %s\n", outcome->name);
    }
    return EXIT_OK;
}

static int run(const struct delete_options *options)
{
    struct connection *connection;
    struct admin_outcomes outcomes;
    struct client_error error;
    size_t count = options->topics.count;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    if (admin_delete_topics(connection, options->topics.items, count, &outcomes, &error) !=
        CLIENT_OK) {
        code = bus_fail(&error, "delete topic '%s'%s", options->topics.items[0],
                        count > 1 ? " and others" : "");
    } else {
        struct report report = report_new(options->bus.is_json);
        for (size_t i = 0; i < outcomes.count; i++) {
            report_note(&report, conclude(options, &outcomes.items[i], &report));
        }
        code = output_finish(report_finish(&report));
    }
    admin_outcomes_deinit(&outcomes);
    connection_close(connection);
    return code;
}

int cli_topic_delete(int argc, char **argv)
{
    struct delete_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "delete which topic? Usage: tidings topic delete TOPIC")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
