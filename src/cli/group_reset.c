#include "cli/group.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/offsets.h"
#include "cli/output.h"
#include "cli/reset_target.h"

#include <stdio.h>
#include <stdlib.h>

struct reset_options {
    struct client_options client;
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
static int check_idle(struct client *client, const char *group, bool *exists)
{
    rd_kafka_event_t *event;
    const rd_kafka_ConsumerGroupDescription_t *about;
    int code = cli_group_look_up(client, group, &event, &about);
    if (code != EXIT_OK) {
        return code;
    }
    size_t members = rd_kafka_ConsumerGroupDescription_member_count(about);
    rd_kafka_consumer_group_state_t state = rd_kafka_ConsumerGroupDescription_state(about);
    *exists = state != RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
    if (members > 0) {
        code = cli_fail(
            EXIT_CONFLICT, "stop the members first; see them with: tidings group describe GROUP",
            "group '%s' is active: %zu member%s (state %s), nothing was moved", group, members,
            members == 1 ? "" : "s", rd_kafka_consumer_group_state_name(state));
    }
    rd_kafka_event_destroy(event);
    return code;
}

static int add_target(struct client *client, const char *text,
                      rd_kafka_topic_partition_list_t *list)
{
    char topic[RESET_TOPIC_SIZE];
    int32_t partition;
    const struct rd_kafka_metadata *metadata;
    if (reset_target_parse(text, topic, &partition, NULL) != ERR_NONE) {
        return EXIT_USAGE; /* checked before */
    }
    int code = client_metadata(client, topic, false, &metadata);
    if (code != EXIT_OK) {
        return code;
    }
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (partition >= count) {
        return cli_fail(EXIT_NOT_FOUND, NULL, "topic '%s' has no partition %d, only 0 to %d", topic,
                        (int)partition, count - 1);
    }
    for (int32_t i = 0; i < count; i++) {
        if ((partition < 0 || partition == i) &&
            rd_kafka_topic_partition_list_find(list, topic, i) == NULL) {
            rd_kafka_topic_partition_list_add(list, topic, i);
        }
    }
    return EXIT_OK;
}

/* The partitions to move: the named ones, or all that have a committed offset. */
static int choose(struct client *client, const struct reset_options *options,
                  const rd_kafka_topic_partition_list_t *committed,
                  rd_kafka_topic_partition_list_t **list)
{
    int code = EXIT_OK;
    if (options->topics.count == 0) {
        *list = rd_kafka_topic_partition_list_copy(committed);
    } else {
        *list = rd_kafka_topic_partition_list_new(16);
        for (size_t i = 0; code == EXIT_OK && i < options->topics.count; i++) {
            code = add_target(client, options->topics.items[i], *list);
        }
    }
    if (code == EXIT_OK && (*list)->cnt == 0) {
        code = cli_fail(EXIT_NOT_FOUND, "name what to move with --topic TOPIC",
                        "group '%s' has committed no offsets", options->group);
    }
    return code;
}

static int64_t committed_at(const rd_kafka_topic_partition_list_t *committed,
                            const rd_kafka_topic_partition_t *at)
{
    const rd_kafka_topic_partition_t *found =
        rd_kafka_topic_partition_list_find(committed, at->topic, at->partition);
    return found != NULL ? found->offset : -1;
}

static void print_plan(const struct reset_options *options,
                       const rd_kafka_topic_partition_list_t *committed,
                       const rd_kafka_topic_partition_list_t *list,
                       const struct admin_bounds *bounds)
{
    static const char *const titles[] = {"TOPIC", ">PARTITION", ">FROM", ">TO", ">TO READ"};
    struct table table;
    table_init(&table, titles, 5);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        int64_t from = committed_at(committed, at);
        table_cell(&table, "%s", at->topic);
        table_cell(&table, "%d", (int)at->partition);
        if (from < 0) {
            table_cell(&table, "-");
        } else {
            table_cell(&table, "%lld", (long long)from);
        }
        table_cell(&table, "%lld", (long long)at->offset);
        table_cell(&table, "%lld", (long long)(bounds[i].end - at->offset));
    }
    table_print(&table, 0);
    table_deinit(&table);
    if (options->is_execute) {
        printf("moved group %s\n", options->group);
    } else {
        printf("nothing was changed; add --execute to do it\n");
    }
}

static void print_json(const struct reset_options *options,
                       const rd_kafka_topic_partition_list_t *committed,
                       const rd_kafka_topic_partition_list_t *list)
{
    json_t *partitions = json_array();
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        int64_t from = committed_at(committed, at);
        json_array_append_new(partitions, json_pack("{s:s,s:i,s:o,s:I}", "topic", at->topic,
                                                    "partition", (int)at->partition, "from_offset",
                                                    from < 0 ? json_null() : json_integer(from),
                                                    "to_offset", (json_int_t)at->offset));
    }
    output_json(json_pack("{s:s,s:b,s:o}", "group", options->group, "executed",
                          (int)options->is_execute, "partitions", partitions));
}

static int check_altered(struct client *client, const char *group, rd_kafka_event_t *event)
{
    size_t count;
    const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(results[0]);
    if (error != NULL) {
        return bus_fail(client, rd_kafka_error_code(error), rd_kafka_error_string(error),
                        "move group '%s'", group);
    }
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(results[0]);
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return bus_fail(client, at->err, NULL, "move group '%s' on %s partition %d", group,
                            at->topic, (int)at->partition);
        }
    }
    return EXIT_OK;
}

static int execute(struct client *client, const char *group,
                   const rd_kafka_topic_partition_list_t *list)
{
    struct admin_request request =
        client_admin_begin(client, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_AlterConsumerGroupOffsets_t *wanted =
        rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_event_t *event;
    rd_kafka_AlterConsumerGroupOffsets(client->rk, &wanted, 1, request.options, request.queue);
    int code = client_admin_finish(client, &request, &event, "move group '%s'", group);
    if (code == EXIT_OK) {
        code = check_altered(client, group, event);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
    return code;
}

static int plan_and_do(struct client *client, const struct reset_options *options,
                       const rd_kafka_topic_partition_list_t *committed)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    struct admin_bounds *bounds = NULL;
    int code = choose(client, options, committed, &list);
    if (code == EXIT_OK) {
        bounds = mem_new_array(struct admin_bounds, (size_t)list->cnt);
        code = offsets_bounds(client, list, bounds);
    }
    if (code == EXIT_OK) {
        code = offsets_resolve(client, list, &options->position, bounds);
    }
    if (code == EXIT_OK && options->is_execute) {
        code = execute(client, options->group, list);
    }
    if (code == EXIT_OK && options->client.is_json) {
        print_json(options, committed, list);
    } else if (code == EXIT_OK) {
        print_plan(options, committed, list, bounds);
    }
    free(bounds);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static int run(const struct reset_options *options)
{
    struct client *client;
    rd_kafka_topic_partition_list_t *committed = NULL;
    bool exists;
    int code = client_open_admin(&options->client, &client);
    if (code == EXIT_OK) {
        code = check_idle(client, options->group, &exists);
    }
    if (code == EXIT_OK) {
        code = cli_group_committed(client, options->group, &committed);
    }
    if (code == EXIT_OK && !exists && committed->cnt == 0 && options->topics.count == 0) {
        code = cli_group_fail_unknown(options->group);
    }
    if (code == EXIT_OK) {
        code = plan_and_do(client, options, committed);
    }
    if (committed != NULL) {
        rd_kafka_topic_partition_list_destroy(committed);
    }
    client_close(client);
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
    struct reset_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                client_option_set(&options.client)};
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
