#include "cli/group.h"

#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>

struct delete_options {
    struct bus_options bus;
    struct text_list groups;
    bool if_exists;
};

static const struct help_page page = {
    .name = "tidings group delete",
    .usage = "GROUP... [OPTIONS]",
    .about =
        "Forgets groups and the offsets they committed; the events stay. A group with members\n"
        "is not deleted: stop them first.",
    .examples = "  tidings group delete shipping\n",
};

static const struct option_spec specs[] = {
    {'g', "group", "GROUP", OPTION_TEXTS, offsetof(struct delete_options, groups), 0, 0,
     "a group, like an argument (repeat it)"},
    {0, "if-exists", NULL, OPTION_FLAG, offsetof(struct delete_options, if_exists), 0, 0,
     "a group that does not exist is no error"},
};

static int conclude(const struct delete_options *options, const struct admin_outcome *outcome,
                    struct report *report)
{
    bool is_absent = outcome->error.status == CLIENT_NOT_FOUND && options->if_exists;
    if (outcome->error.status == CLIENT_NOT_FOUND && !is_absent) {
        return cli_group_fail_unknown(outcome->name);
    }
    if (outcome->error.status != CLIENT_OK && !is_absent) {
        return bus_fail(&outcome->error, "delete group '%s'", outcome->name);
    }
    json_array_append_new(report->items,
                          json_pack("{s:s,s:b}", "group", outcome->name, "deleted", !is_absent));
    if (!report->is_json) {
        printf(is_absent ? "group %s did not exist\n" : "deleted group %s\n", outcome->name);
    }
    return EXIT_OK;
}

static int run(const struct delete_options *options)
{
    struct connection *connection;
    struct admin_outcomes outcomes;
    struct client_error error;
    size_t count = options->groups.count;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    if (admin_delete_groups(connection, options->groups.items, count, &outcomes, &error) !=
        CLIENT_OK) {
        code = bus_fail(&error, "delete group '%s'%s", options->groups.items[0],
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

int group_command_delete(int argc, char **argv)
{
    struct delete_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.groups, &code)) {
        code = options.groups.count == 0
                   ? options_fail(&page, "delete which group? Usage: tidings group delete GROUP")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
