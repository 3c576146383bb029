#include "cli/group/group.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/last_events.h"
#include "cli/bus/reset_target.h"
#include "client/admin/position.h"

#include <stdio.h>
#include <stdlib.h>

struct reset_options {
    struct bus_options bus;
    const char *group;
    const char *to;
    struct text_list topics;
    bool is_execute;
    struct position position;
};

static const struct help_page page = {
    .name = "tidings group reset",
    .usage = "GROUP --to PLACE [OPTIONS]",
    .about =
        "Moves the committed offsets of a group, so that it reads events again or skips some.\n"
        "Shows what would change; with --execute it does it. The group must have no members\n"
        "while it is moved. Without --topic all partitions are moved that the group has\n"
        "committed an offset for.",
    .examples = "  tidings group reset shipping --to start                       show the plan\n"
                "  tidings group reset shipping --to start --execute             read all again\n"
                "  tidings group reset shipping --topic orders --to -1h --execute\n"
                "  tidings group reset shipping --topic orders:2 --to 1500 --execute\n",
};

static const struct option_spec specs[] = {
    {'g', "group", "GROUP", OPTION_TEXT, offsetof(struct reset_options, group), 0, 0,
     "the group, instead of the argument"},
    {0, "to", "PLACE", OPTION_TEXT, offsetof(struct reset_options, to), 0, 0,
     "start, end, an OFFSET (42), the last N (-10), or a time:\n"
     "-1h, 2026-02-01T12:00:00Z; kept between start and end"},
    {'t', "topic", "TOPIC[:N]", OPTION_TEXTS, offsetof(struct reset_options, topics), 0, 0,
     "only this topic, or its partition N (repeat it)"},
    {0, "execute", NULL, OPTION_FLAG, offsetof(struct reset_options, is_execute), 0, 0,
     "do it; without, only the plan is shown"},
};

/* Refuses a group that has members. */
static int check_idle(struct connection *connection, const char *name, bool *exists)
{
    struct admin_group group;
    struct client_error error;
    int code = EXIT_OK;
    if (admin_group(connection, name, &group, &error) != CLIENT_OK) {
        code = bus_fail(&error, "describe group '%s'", name);
    } else if (group.members.count > 0) {
        code = cli_fail(EXIT_CONFLICT,
                        "stop the members first; see them with: tidings group describe GROUP",
                        "group '%s' is active: %zu member%s (state %s), nothing was moved", name,
                        group.members.count, plural_s(group.members.count), group.state);
    }
    *exists = !group.is_dead;
    admin_group_deinit(&group);
    return code;
}

/* The partitions to move: the named ones, or all that have a committed offset. */
static int choose(struct connection *connection, const struct reset_options *options,
                  const struct topic_partitions *committed, struct topic_partitions *list)
{
    int code = EXIT_OK;
    if (options->topics.count == 0) {
        topic_partitions_append(list, committed);
    }
    for (size_t i = 0; code == EXIT_OK && i < options->topics.count; i++) {
        char topic[RESET_TOPIC_SIZE];
        int32_t partition;
        code = reset_target_parse(options->topics.items[i], topic, &partition, NULL) == ERR_NONE
                   ? bus_partitions(connection, topic, partition, list)
                   : EXIT_USAGE; /* checked before */
    }
    if (code == EXIT_OK && list->count == 0) {
        code = cli_fail(EXIT_NOT_FOUND, "name what to move with --topic TOPIC",
                        "group '%s' has committed no offsets", options->group);
    }
    return code;
}

static int64_t committed_at(const struct topic_partitions *committed,
                            const struct topic_partition *at)
{
    const struct topic_partition *found =
        topic_partitions_find(committed, at->topic, at->partition);
    return found != NULL ? found->offset : -1;
}

static void print_plan(const struct reset_options *options,
                       const struct topic_partitions *committed,
                       const struct topic_partitions *list, const struct admin_bounds *bounds)
{
    static const char *const titles[] = {"TOPIC", ">PARTITION", ">FROM", ">TO", ">TO READ"};
    struct table table;
    table_init(&table, titles, 5);
    for (size_t i = 0; i < list->count; i++) {
        const struct topic_partition *at = &list->items[i];
        table_cell(&table, "%s", at->topic);
        table_number(&table, at->partition);
        table_number(&table, committed_at(committed, at));
        table_number(&table, at->offset);
        table_number(&table, bounds[i].end - at->offset);
    }
    table_print(&table, 0);
    table_deinit(&table);
    if (options->is_execute) {
        output_text(stdout, "moved group %s\n", options->group);
    } else {
        output_text(stdout, "nothing was changed; add --execute to do it\n");
    }
}

static void print_json(const struct reset_options *options,
                       const struct topic_partitions *committed,
                       const struct topic_partitions *list)
{
    json_t *partitions = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct topic_partition *at = &list->items[i];
        json_array_append_new(partitions,
                              json_pack("{s:s,s:i,s:o,s:I}", "topic", at->topic, "partition",
                                        (int)at->partition, "from_offset",
                                        output_number_or_null(committed_at(committed, at)),
                                        "to_offset", (json_int_t)at->offset));
    }
    output_json(json_pack("{s:o,s:b,s:o}", "group", output_json_text(options->group), "executed",
                          (int)options->is_execute, "partitions", partitions));
}

/* Sets the offsets of the list to the wanted place. */
static int resolve(struct connection *connection, const struct reset_options *options,
                   struct topic_partitions *list, struct admin_bounds *bounds)
{
    struct client_error error;
    struct connection_settings settings = bus_settings(&options->bus);
    enum client_status status = admin_bounds(connection, list, bounds, &error);
    if (status == CLIENT_OK) {
        status = options->position.kind == POSITION_LAST
                     ? last_events(&settings, list, bounds, options->position.value, &error)
                     : position_resolve(connection, list, &options->position, bounds, &error);
    }
    return status == CLIENT_OK ? EXIT_OK : bus_fail(&error, "look up the offsets to move to");
}

static int plan_and_do(struct connection *connection, const struct reset_options *options,
                       const struct topic_partitions *committed)
{
    struct topic_partitions list = {0};
    struct admin_bounds *bounds = NULL;
    struct client_error error;
    int code = choose(connection, options, committed, &list);
    if (code == EXIT_OK) {
        bounds = mem_new_array(struct admin_bounds, list.count);
        code = resolve(connection, options, &list, bounds);
    }
    if (code == EXIT_OK && options->is_execute &&
        admin_set_group_offsets(connection, options->group, &list, &error) != CLIENT_OK) {
        code = bus_fail(&error, "move group '%s'", options->group);
    }
    if (code == EXIT_OK && options->bus.is_json) {
        print_json(options, committed, &list);
    } else if (code == EXIT_OK) {
        print_plan(options, committed, &list, bounds);
    }
    free(bounds);
    topic_partitions_deinit(&list);
    return code;
}

static int run(const struct reset_options *options)
{
    struct connection *connection;
    struct topic_partitions committed = {0};
    struct client_error error;
    bool exists;
    int code = bus_open(&options->bus, &connection);
    if (code != EXIT_OK) {
        return code;
    }
    code = check_idle(connection, options->group, &exists);
    if (code == EXIT_OK &&
        admin_group_offsets(connection, options->group, NULL, &committed, &error) != CLIENT_OK) {
        code = bus_fail(&error, "read the offsets of group '%s'", options->group);
    }
    if (code == EXIT_OK && !exists && committed.count == 0 && options->topics.count == 0) {
        code = bus_fail_no_group(options->group);
    }
    if (code == EXIT_OK) {
        code = plan_and_do(connection, options, &committed);
    }
    topic_partitions_deinit(&committed);
    connection_close(connection);
    return output_finish(code);
}

static int check(struct reset_options *options, const struct text_list *arguments)
{
    struct reason reason;
    size_t count = arguments->count + (options->group != NULL);
    if (count != 1) {
        return options_fail(
            &page, count == 0 ? "reset which group? Usage: tidings group reset GROUP --to PLACE"
                              : "one group at a time");
    }
    if (options->group == NULL) {
        options->group = arguments->items[0];
    }
    if (options->to == NULL) {
        return options_fail(&page, "reset it to where? Give --to start, end, an offset or a time");
    }
    if (position_parse(options->to, clock_wall_ms(clock_system()), &options->position, &reason) !=
        ERR_NONE) {
        return options_fail(&page, "--to: %s", reason.text);
    }
    for (size_t i = 0; i < options->topics.count; i++) {
        char topic[RESET_TOPIC_SIZE];
        int32_t partition;
        if (reset_target_parse(options->topics.items[i], topic, &partition, &reason) != ERR_NONE) {
            return options_fail(&page, "--topic: %s", reason.text);
        }
    }
    return EXIT_OK;
}

int group_command_reset(int argc, char **argv)
{
    struct reset_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
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
