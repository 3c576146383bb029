#include "cli/group.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>

struct delete_options {
    struct client_options client;
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

static int conclude(struct client *client, const struct delete_options *options,
                    const rd_kafka_group_result_t *result, struct report *report)
{
    const char *group = rd_kafka_group_result_name(result);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(result);
    rd_kafka_resp_err_t err =
        error != NULL ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    bool is_absent = err == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND && options->if_exists;
    if (err == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND && !is_absent) {
        return cli_group_fail_unknown(group);
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_absent) {
        return bus_fail(client, err, rd_kafka_error_string(error), "delete group '%s'", group);
    }
    json_array_append_new(report->items,
                          json_pack("{s:s,s:b}", "group", group, "deleted", !is_absent));
    if (!report->is_json) {
        printf(is_absent ? "group %s did not exist\n" : "deleted group %s\n", group);
    }
    return EXIT_OK;
}

static int delete_groups(struct client *client, const struct delete_options *options,
                         rd_kafka_DeleteGroup_t **groups)
{
    size_t count = options->groups.count;
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
    rd_kafka_event_t *event;
    rd_kafka_DeleteGroups(client->rk, groups, count, request.options, request.queue);
    int code = client_admin_finish(client, &request, &event, "delete group '%s'%s",
                                   options->groups.items[0], count > 1 ? " and others" : "");
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = report_new(options->client.is_json);
    size_t result_count;
    const rd_kafka_group_result_t **results = rd_kafka_DeleteGroups_result_groups(
        rd_kafka_event_DeleteGroups_result(event), &result_count);
    for (size_t i = 0; i < result_count; i++) {
        report_note(&report, conclude(client, options, results[i], &report));
    }
    rd_kafka_event_destroy(event);
    return report_finish(&report);
}

static int run(const struct delete_options *options)
{
    struct client *client;
    int code = client_open_admin(&options->client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    size_t count = options->groups.count;
    rd_kafka_DeleteGroup_t **groups = mem_new_array(rd_kafka_DeleteGroup_t *, count);
    for (size_t i = 0; i < count; i++) {
        groups[i] = rd_kafka_DeleteGroup_new(options->groups.items[i]);
    }
    code = output_finish(delete_groups(client, options, groups));
    rd_kafka_DeleteGroup_destroy_array(groups, count);
    free(groups);
    client_close(client);
    return code;
}

int group_command_delete(int argc, char **argv)
{
    struct delete_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.groups, &code)) {
        code = options.groups.count == 0
                   ? options_fail(&page, "delete which group? Usage: tidings group delete GROUP")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
