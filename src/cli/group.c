#include "cli/group.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_group(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "name the consumer groups and their states", group_command_list},
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

int cli_group_fail_unknown(const char *group)
{
    return cli_fail(EXIT_NOT_FOUND, "see the groups with: tidings group list",
                    "group '%s' does not exist", group);
}

int cli_group_look_up(struct client *client, const char *group, rd_kafka_event_t **event,
                      const rd_kafka_ConsumerGroupDescription_t **description)
{
    struct admin_request request =
        client_admin_begin(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(client->rk, &group, 1, request.options, request.queue);
    int code = client_admin_finish(client, &request, event, "describe group '%s'", group);
    if (code == EXIT_OK) {
        size_t count;
        const rd_kafka_ConsumerGroupDescription_t **found =
            rd_kafka_DescribeConsumerGroups_result_groups(
                rd_kafka_event_DescribeConsumerGroups_result(*event), &count);
        const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(found[0]);
        *description = found[0];
        if (error != NULL && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = bus_fail(client, rd_kafka_error_code(error), rd_kafka_error_string(error),
                            "describe group '%s'", group);
            rd_kafka_event_destroy(*event);
        }
    }
    return code;
}

static int copy_committed(struct client *client, const char *group,
                          const rd_kafka_group_result_t *result,
                          rd_kafka_topic_partition_list_t *offsets)
{
    const rd_kafka_error_t *error = rd_kafka_group_result_error(result);
    if (error != NULL) {
        return bus_fail(client, rd_kafka_error_code(error), rd_kafka_error_string(error),
                        "read the offsets of group '%s'", group);
    }
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(result);
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->err == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset >= 0) {
            rd_kafka_topic_partition_list_add(offsets, at->topic, at->partition)->offset =
                at->offset;
        }
    }
    rd_kafka_topic_partition_list_sort(offsets, NULL, NULL);
    return EXIT_OK;
}

int cli_group_committed(struct client *client, const char *group,
                        rd_kafka_topic_partition_list_t **offsets)
{
    struct admin_request request =
        client_admin_begin(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_ListConsumerGroupOffsets_t *asked = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_event_t *event;
    rd_kafka_ListConsumerGroupOffsets(client->rk, &asked, 1, request.options, request.queue);
    int code =
        client_admin_finish(client, &request, &event, "read the offsets of group '%s'", group);
    *offsets = rd_kafka_topic_partition_list_new(16);
    if (code == EXIT_OK) {
        size_t count;
        const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
        code = copy_committed(client, group, results[0], *offsets);
        rd_kafka_event_destroy(event);
    }
    if (code != EXIT_OK) {
        rd_kafka_topic_partition_list_destroy(*offsets);
        *offsets = NULL;
    }
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    return code;
}

static int by_group_id(const void *a, const void *b)
{
    const rd_kafka_ConsumerGroupListing_t *const *left = a;
    const rd_kafka_ConsumerGroupListing_t *const *right = b;
    return strcmp(rd_kafka_ConsumerGroupListing_group_id(*left),
                  rd_kafka_ConsumerGroupListing_group_id(*right));
}

static void print_groups(bool is_json, const rd_kafka_ConsumerGroupListing_t **groups, size_t count)
{
    static const char *const titles[] = {"GROUP", "STATE"};
    struct table table;
    json_t *list = json_array();
    table_init(&table, titles, 2);
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConsumerGroupListing_group_id(groups[i]);
        const char *state =
            rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(groups[i]));
        table_cell(&table, "%s", name);
        table_cell(&table, "%s", state);
        json_array_append_new(list, json_pack("{s:s,s:s}", "group", name, "state", state));
    }
    if (is_json) {
        output_json(list);
    } else {
        table_print(&table, 0);
        json_decref(list);
    }
    table_deinit(&table);
}

static int show_listing(struct client *client, const rd_kafka_ListConsumerGroups_result_t *result)
{
    size_t error_count, count;
    const rd_kafka_error_t **errors =
        rd_kafka_ListConsumerGroups_result_errors(result, &error_count);
    if (error_count > 0) {
        return bus_fail(client, rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]),
                        "list the groups");
    }
    const rd_kafka_ConsumerGroupListing_t **groups =
        rd_kafka_ListConsumerGroups_result_valid(result, &count);
    const rd_kafka_ConsumerGroupListing_t **sorted =
        mem_new_array(const rd_kafka_ConsumerGroupListing_t *, count + 1);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = groups[i];
    }
    qsort(sorted, count, sizeof *sorted, by_group_id);
    print_groups(client->options->is_json, sorted, count);
    free(sorted);
    return EXIT_OK;
}

static int run_list(const struct client_options *options)
{
    struct client *client;
    int code = client_open_admin(options, &client);
    if (code != EXIT_OK) {
        return code;
    }
    struct admin_request request = client_admin_begin(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_event_t *event;
    rd_kafka_ListConsumerGroups(client->rk, request.options, request.queue);
    code = client_admin_finish(client, &request, &event, "list the groups");
    if (code == EXIT_OK) {
        code = show_listing(client, rd_kafka_event_ListConsumerGroups_result(event));
        rd_kafka_event_destroy(event);
    }
    client_close(client);
    return output_finish(code);
}

int group_command_list(int argc, char **argv)
{
    static const struct help_page page = {
        .name = "tidings group list",
        .usage = "[OPTIONS]",
        .about = "Names the consumer groups. Stable: members are reading; Empty: none is, but the\n"
                 "offsets are kept.",
        .examples =
            "  tidings group list --json | jq -r '.[] | select(.state == \"Empty\").group'\n",
    };
    struct client_options options = client_options_default();
    struct option_set set = client_option_set(&options);
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
