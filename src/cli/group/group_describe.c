#include "cli/group/group.h"

#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/group_progress.h"
#include "cli/group/group_instances.h"
#include "cli/group/group_story.h"

#include <stdio.h>

struct describe_options {
    struct bus_options bus;
    struct text_list groups;
    bool is_long;
};

static const struct help_page page = {
    .name = "tidings group describe",
    .usage = "GROUP... [OPTIONS]",
    .about =
        "Shows who is in a group and how far it has read: for each partition the offset that the\n"
        "group committed, the end of the partition, and the lag, which is what is left to read, "
        "in\n"
        "offsets. All partitions of its topics are shown. Where nothing is committed yet ('-') "
        "the\n"
        "lag counts from the start of the partition, where a group of tidings begins; a client of\n"
        "another kind may be told to begin at its end. A lag that cannot be known is '-' (null in\n"
        "JSON), with the reason. Below the first line: when it committed last, how fast it was in\n"
        "the last minute (from __consumer_offsets, where that can be read), since when its oldest\n"
        "event waits, and why it is behind, where that is known.",
    .examples = "  tidings group describe shipping\n"
                "  tidings group describe shipping --json | jq '.[0].total_lag'\n",
};

static const struct option_spec specs[] = {
    {'g', "group", "GROUP", OPTION_TEXTS, offsetof(struct describe_options, groups), 0, 0,
     "a group, like an argument (repeat it)"},
    {'l', "long", NULL, OPTION_FLAG, offsetof(struct describe_options, is_long), 0, 0,
     "count its lanes also where that takes long"},
};

static void print_partitions(const struct group_progress *progress)
{
    static const char *const titles[] = {"TOPIC", ">PARTITION", ">COMMITTED",
                                         ">END",  ">LAG",       "MEMBER"};
    struct table table;
    table_init(&table, titles, 6);
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        table_cell(&table, "%s", at->topic);
        table_number(&table, at->partition);
        table_number(&table, at->committed);
        table_number(&table, at->end);
        table_number(&table, at->lag);
        table_cell(&table, "%s", at->member != NULL ? at->member : "-");
    }
    table_print(&table, 2);
    table_deinit(&table);
}

static const char *text_or_dash(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void print_members(const struct admin_group *about)
{
    static const char *const titles[] = {"MEMBER", "CLIENT", "INSTANCE", "HOST", ">PARTITIONS"};
    if (about->members.count == 0) {
        return;
    }
    struct table table;
    table_init(&table, titles, 5);
    for (size_t i = 0; i < about->members.count; i++) {
        const struct admin_member *member = &about->members.items[i];
        table_cell(&table, "%s", text_or_dash(member->id));
        table_cell(&table, "%s", text_or_dash(member->client_id));
        table_cell(&table, "%s", text_or_dash(member->instance_id));
        table_cell(&table, "%s", text_or_dash(member->host));
        table_cell(&table, "%zu", member->partitions.count);
    }
    putchar('\n');
    table_print(&table, 2);
    table_deinit(&table);
}

static void print_group(const char *group, const struct group_progress *progress,
                        const struct group_situation *situation)
{
    size_t members = progress->about.members.count;
    output_text(stdout, "group %s, %s, %zu member%s, ", group, progress->about.state, members,
                plural_s(members));
    if (progress->lag >= 0) {
        output_text(stdout, "total lag %lld", (long long)progress->lag);
    } else {
        output_text(stdout, "total lag not known: %s", progress->why);
    }
    if (progress->uncommitted > 0) {
        output_text(stdout, " (%zu partition%s without a committed offset, counted from the start)",
                    progress->uncommitted, plural_s(progress->uncommitted));
    }
    putchar('\n');
    group_story_print(situation, progress, group);
    if (progress->partitions.count > 0) {
        print_partitions(progress);
    }
    print_members(&progress->about);
}

static json_t *partitions_to_json(const struct group_progress *progress)
{
    json_t *list = json_array();
    for (size_t i = 0; i < progress->partitions.count; i++) {
        const struct group_partition *at = &progress->partitions.items[i];
        json_t *one = json_pack(
            "{s:s,s:i,s:o,s:o,s:o,s:o,s:o}", "topic", at->topic, "partition", (int)at->partition,
            "committed_offset", output_number_or_null(at->committed), "start_offset",
            output_number_or_null(at->start), "end_offset", output_number_or_null(at->end), "lag",
            output_number_or_null(at->lag), "member", output_json_text(at->member));
        if (at->lag < 0) {
            json_object_set_new(one, "lag_unknown_because", output_json_text(at->why));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *members_to_json(const struct admin_group *about)
{
    json_t *list = json_array();
    for (size_t i = 0; i < about->members.count; i++) {
        const struct admin_member *member = &about->members.items[i];
        json_t *partitions = json_array();
        for (size_t j = 0; j < member->partitions.count; j++) {
            const struct topic_partition *at = &member->partitions.items[j];
            json_array_append_new(partitions, json_pack("{s:s,s:i}", "topic", at->topic,
                                                        "partition", (int)at->partition));
        }
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "id", output_json_text(member->id),
                            "client_id", output_json_text(member->client_id), "instance_id",
                            output_json_text(member->instance_id), "host",
                            output_json_text(member->host), "partitions", partitions));
    }
    return list;
}

static json_t *to_json(const char *group, const struct group_progress *progress,
                       const struct group_situation *situation)
{
    json_t *json = json_pack(
        "{s:o,s:s,s:o,s:o,s:o,s:o,s:i}", "group", output_json_text(group), "state",
        progress->about.state, "assignor", output_json_text(progress->about.assignor), "members",
        members_to_json(&progress->about), "partitions", partitions_to_json(progress), "total_lag",
        output_number_or_null(progress->lag), "uncommitted_partitions", (int)progress->uncommitted);
    if (progress->lag < 0) {
        json_object_set_new(json, "lag_unknown_because", output_json_text(progress->why));
    }
    group_story_json(situation, json);
    return json;
}

static int describe(struct connection *connection, const struct describe_options *options,
                    const char *group, struct report *report)
{
    struct connection_settings settings = bus_settings(&options->bus);
    struct group_situation situation = {0};
    struct group_progress progress;
    int code = EXIT_OK;
    group_progress_load(connection, &group, 1, &progress, NULL);
    if (progress.error.status == CLIENT_NOT_FOUND) {
        code = bus_fail_no_group(group);
    } else if (progress.error.status != CLIENT_OK) {
        code = bus_fail(&progress.error, "describe group '%s'", group);
    } else {
        group_instances_fill(&options->bus, group, &progress.about);
        group_situation_load(&situation, connection, &settings, group, &progress, options->is_long);
    }
    if (code == EXIT_OK && report->is_json) {
        json_array_append_new(report->items, to_json(group, &progress, &situation));
    } else if (code == EXIT_OK) {
        print_group(group, &progress, &situation);
    }
    group_situation_deinit(&situation);
    group_progress_deinit(&progress);
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
    for (size_t i = 0; i < options->groups.count; i++) {
        report_note(&report, describe(connection, options, options->groups.items[i], &report));
    }
    connection_close(connection);
    return output_finish(report_finish(&report));
}

int group_command_describe(int argc, char **argv)
{
    struct describe_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.groups, &code)) {
        code = options.groups.count == 0
                   ? options_fail(&page, "describe which group? All of them: tidings group list")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
