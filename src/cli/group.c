#include "cli/group.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/group_progress.h"
#include "cli/output.h"

#include <stdlib.h>

int cli_group(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "name the consumer groups, their states and lag", group_command_list},
        {"describe", "show members, offsets and lag of groups", group_command_describe},
        {"reset", "move the offsets of a group that is not running", group_command_reset},
        {"delete", "forget groups and their offsets", group_command_delete},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(verbs, "tidings group",
                        "Lists, describes, resets and deletes consumer groups.",
                        "Examples:\n"
                        "  tidings group describe shipping\n"
                        "  tidings group reset shipping --topic orders --to -1h --execute\n",
                        argc, argv);
}

static void add_group(const struct admin_group_listing *group,
                      const struct group_progress *progress, struct table *table, json_t *list)
{
    bool is_known = progress->error.status == CLIENT_OK;
    int64_t members = is_known ? (int64_t)progress->about.members.count : -1;
    int64_t topics = is_known ? (int64_t)progress->topic_count : -1;
    table_cell(table, "%s", group->name);
    table_cell(table, "%s", group->state);
    table_number(table, members);
    table_number(table, topics);
    table_number(table, progress->lag);
    json_t *json =
        json_pack("{s:o,s:s,s:o,s:o,s:o}", "group", output_json_text(group->name), "state",
                  group->state, "members", output_number_or_null(members), "topics",
                  output_number_or_null(topics), "total_lag", output_number_or_null(progress->lag));
    if (progress->lag < 0) {
        json_object_set_new(json, "lag_unknown_because",
                            output_json_text(is_known ? progress->why : progress->error.text));
    }
    json_array_append_new(list, json);
}

/* What is known is printed; that the bus fell silent meanwhile is a failure, told once. */
static int print_groups(struct connection *connection, const struct admin_group_listings *groups,
                        bool is_json)
{
    static const char *const titles[] = {"GROUP", "STATE", ">MEMBERS", ">TOPICS", ">LAG"};
    const char **names = mem_new_array(const char *, groups->count + 1);
    struct group_progress *progress = mem_new_array(struct group_progress, groups->count + 1);
    struct table table;
    json_t *list = json_array();
    int code = EXIT_OK;
    for (size_t i = 0; i < groups->count; i++) {
        names[i] = groups->items[i].name;
    }
    group_progress_load(connection, names, groups->count, progress);
    table_init(&table, titles, 5);
    for (size_t i = 0; i < groups->count; i++) {
        add_group(&groups->items[i], &progress[i], &table, list);
        if (code == EXIT_OK && bus_is_silent(&progress[i].error)) {
            code = bus_fail(&progress[i].error, "describe group '%s'", names[i]);
        }
        group_progress_deinit(&progress[i]);
    }
    if (is_json) {
        output_json(list);
    } else {
        table_print(&table, 0);
        json_decref(list);
    }
    table_deinit(&table);
    free(progress);
    free(names);
    return code;
}

static int run_list(const struct bus_options *options)
{
    struct connection *connection;
    struct admin_group_listings groups;
    struct client_error error;
    int code = bus_open(options, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    if (admin_groups(connection, &groups, &error) != CLIENT_OK) {
        code = bus_fail(&error, "list the groups");
    } else {
        code = print_groups(connection, &groups, options->is_json);
    }
    admin_group_listings_deinit(&groups);
    connection_close(connection);
    return output_finish(code);
}

int group_command_list(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings group list",
        .usage = "[OPTIONS]",
        .about = "Names the consumer groups with their members and what is left to read (LAG, in\n"
                 "offsets). Stable: members are reading; Empty: none is, but the offsets are kept.",
        .examples =
            "  tidings group list --json | jq -r '.[] | select(.state == \"Empty\").group'\n",
    };
    struct bus_options options = bus_options_default();
    struct option_set set = bus_option_set(&options);
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, &set, 1, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&page,
                                  "list takes no argument '%s'; for one group use: tidings group "
                                  "describe",
                                  arguments.items[0])
                   : run_list(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(&set, 1);
    return code;
}
