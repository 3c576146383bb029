#include "cli/group.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/offsets.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct describe_options {
    struct client_options client;
    struct text_list groups;
};

static const struct help_page page = {
    .name = "tidings group describe",
    .usage = "GROUP... [OPTIONS]",
    .about =
        "Shows who is in a group and how far it has read: for each partition the offset that the\n"
        "group committed, the end of the partition, and the lag, which is what is left to read.\n"
        "A '-' stands where the group has committed nothing yet, or no member reads.",
    .examples = "  tidings group describe shipping\n"
                "  tidings group describe shipping --json | jq '.[0].total_lag'\n",
};

static const struct option_spec specs[] = {
    {'g', "group", "GROUP", OPTION_TEXTS, offsetof(struct describe_options, groups), 0, 0,
     "a group, like an argument (repeat it)"},
};

/* What is known of one group; borrows from the bus's answers. */
struct description {
    const char *group;
    const rd_kafka_ConsumerGroupDescription_t *about;
    rd_kafka_topic_partition_list_t *partitions; /* offset: committed, or below zero */
    struct admin_bounds *bounds;
};

static const rd_kafka_topic_partition_list_t *assignment(const rd_kafka_MemberDescription_t *member)
{
    const rd_kafka_MemberAssignment_t *assigned = rd_kafka_MemberDescription_assignment(member);
    return assigned != NULL ? rd_kafka_MemberAssignment_partitions(assigned) : NULL;
}

static const rd_kafka_MemberDescription_t *member_of(const struct description *description,
                                                     const rd_kafka_topic_partition_t *partition)
{
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(description->about);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_MemberDescription_t *member =
            rd_kafka_ConsumerGroupDescription_member(description->about, i);
        const rd_kafka_topic_partition_list_t *list = assignment(member);
        for (int j = 0; list != NULL && j < list->cnt; j++) {
            if (list->elems[j].partition == partition->partition &&
                strcmp(list->elems[j].topic, partition->topic) == 0) {
                return member;
            }
        }
    }
    return NULL;
}

/* Partitions that a member reads though the group committed nothing for them yet. */
static void add_assigned(struct description *description)
{
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(description->about);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_list_t *list =
            assignment(rd_kafka_ConsumerGroupDescription_member(description->about, i));
        for (int j = 0; list != NULL && j < list->cnt; j++) {
            const rd_kafka_topic_partition_t *at = &list->elems[j];
            if (rd_kafka_topic_partition_list_find(description->partitions, at->topic,
                                                   at->partition) == NULL) {
                rd_kafka_topic_partition_list_add(description->partitions, at->topic, at->partition)
                    ->offset = RD_KAFKA_OFFSET_INVALID;
            }
        }
    }
    rd_kafka_topic_partition_list_sort(description->partitions, NULL, NULL);
}

/* What is left to read; below zero when nothing was committed. */
static int64_t lag(const struct description *description, int i)
{
    int64_t committed = description->partitions->elems[i].offset;
    int64_t end = description->bounds[i].end;
    if (committed < 0) {
        return -1;
    }
    return end > committed ? end - committed : 0;
}

static int64_t total_lag(const struct description *description)
{
    int64_t total = 0;
    for (int i = 0; i < description->partitions->cnt; i++) {
        int64_t one = lag(description, i);
        total += one > 0 ? one : 0;
    }
    return total;
}

/* Partitions whose lag is unknown because nothing was committed. */
static int uncommitted(const struct description *description)
{
    int count = 0;
    for (int i = 0; i < description->partitions->cnt; i++) {
        count += lag(description, i) < 0;
    }
    return count;
}

static const char *text_or_dash(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void number_cell(struct table *table, int64_t number)
{
    if (number < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%lld", (long long)number);
    }
}

static void print_partitions(const struct description *description)
{
    static const char *const titles[] = {"TOPIC", ">PARTITION", ">COMMITTED",
                                         ">END",  ">LAG",       "MEMBER"};
    struct table table;
    table_init(&table, titles, 6);
    for (int i = 0; i < description->partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &description->partitions->elems[i];
        const rd_kafka_MemberDescription_t *member = member_of(description, at);
        table_cell(&table, "%s", at->topic);
        table_cell(&table, "%d", (int)at->partition);
        number_cell(&table, at->offset);
        number_cell(&table, description->bounds[i].end);
        number_cell(&table, lag(description, i));
        table_cell(&table, "%s",
                   member != NULL ? rd_kafka_MemberDescription_consumer_id(member) : "-");
    }
    table_print(&table, 2);
    table_deinit(&table);
}

static void print_members(const struct description *description)
{
    static const char *const titles[] = {"MEMBER", "CLIENT", "INSTANCE", "HOST", ">PARTITIONS"};
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(description->about);
    if (count == 0) {
        return;
    }
    struct table table;
    table_init(&table, titles, 5);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_MemberDescription_t *member =
            rd_kafka_ConsumerGroupDescription_member(description->about, i);
        const rd_kafka_topic_partition_list_t *list = assignment(member);
        table_cell(&table, "%s", text_or_dash(rd_kafka_MemberDescription_consumer_id(member)));
        table_cell(&table, "%s", text_or_dash(rd_kafka_MemberDescription_client_id(member)));
        table_cell(&table, "%s",
                   text_or_dash(rd_kafka_MemberDescription_group_instance_id(member)));
        table_cell(&table, "%s", text_or_dash(rd_kafka_MemberDescription_host(member)));
        table_cell(&table, "%d", list != NULL ? list->cnt : 0);
    }
    putchar('\n');
    table_print(&table, 2);
    table_deinit(&table);
}

static const char *state_name(const struct description *description)
{
    return rd_kafka_consumer_group_state_name(
        rd_kafka_ConsumerGroupDescription_state(description->about));
}

static void print_description(const struct description *description)
{
    size_t members = rd_kafka_ConsumerGroupDescription_member_count(description->about);
    printf("group %s, %s, %zu member%s, total lag %lld", description->group,
           state_name(description), members, members == 1 ? "" : "s",
           (long long)total_lag(description));
    int unknown = uncommitted(description);
    if (unknown > 0) {
        printf(" (unknown for %d partition%s without a committed offset)", unknown,
               unknown == 1 ? "" : "s");
    }
    putchar('\n');
    if (description->partitions->cnt > 0) {
        print_partitions(description);
    }
    print_members(description);
}

static json_t *number_or_null(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

static json_t *partitions_to_json(const struct description *description)
{
    json_t *list = json_array();
    for (int i = 0; i < description->partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &description->partitions->elems[i];
        const rd_kafka_MemberDescription_t *member = member_of(description, at);
        json_array_append_new(
            list,
            json_pack("{s:s,s:i,s:o,s:I,s:o,s:s?}", "topic", at->topic, "partition",
                      (int)at->partition, "committed_offset", number_or_null(at->offset),
                      "end_offset", (json_int_t)description->bounds[i].end, "lag",
                      number_or_null(lag(description, i)), "member",
                      member != NULL ? rd_kafka_MemberDescription_consumer_id(member) : NULL));
    }
    return list;
}

static json_t *members_to_json(const struct description *description)
{
    json_t *list = json_array();
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(description->about);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_MemberDescription_t *member =
            rd_kafka_ConsumerGroupDescription_member(description->about, i);
        const rd_kafka_topic_partition_list_t *assigned = assignment(member);
        json_t *partitions = json_array();
        for (int j = 0; assigned != NULL && j < assigned->cnt; j++) {
            json_array_append_new(partitions,
                                  json_pack("{s:s,s:i}", "topic", assigned->elems[j].topic,
                                            "partition", (int)assigned->elems[j].partition));
        }
        json_array_append_new(
            list, json_pack("{s:s?,s:s?,s:s?,s:s?,s:o}", "id",
                            rd_kafka_MemberDescription_consumer_id(member), "client_id",
                            rd_kafka_MemberDescription_client_id(member), "instance_id",
                            rd_kafka_MemberDescription_group_instance_id(member), "host",
                            rd_kafka_MemberDescription_host(member), "partitions", partitions));
    }
    return list;
}

static json_t *to_json(const struct description *description)
{
    return json_pack(
        "{s:s,s:s,s:s?,s:o,s:o,s:I,s:i}", "group", description->group, "state",
        state_name(description), "assignor",
        rd_kafka_ConsumerGroupDescription_partition_assignor(description->about), "members",
        members_to_json(description), "partitions", partitions_to_json(description), "total_lag",
        (json_int_t)total_lag(description), "uncommitted_partitions", uncommitted(description));
}

static int show(struct client *client, struct description *description, struct report *report)
{
    int code = cli_group_committed(client, description->group, &description->partitions);
    if (code != EXIT_OK) {
        return code;
    }
    bool is_dead = rd_kafka_ConsumerGroupDescription_state(description->about) ==
                   RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
    if (is_dead && description->partitions->cnt == 0) {
        code = cli_group_fail_unknown(description->group);
    } else {
        add_assigned(description);
        description->bounds =
            mem_new_array(struct admin_bounds, (size_t)description->partitions->cnt + 1);
        code = offsets_bounds(client, description->partitions, description->bounds);
    }
    if (code == EXIT_OK && report->is_json) {
        json_array_append_new(report->items, to_json(description));
    } else if (code == EXIT_OK) {
        print_description(description);
    }
    free(description->bounds);
    rd_kafka_topic_partition_list_destroy(description->partitions);
    return code;
}

static int run(const struct describe_options *options)
{
    struct client *client;
    int code = client_open_admin(&options->client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = report_new(options->client.is_json);
    for (size_t i = 0; i < options->groups.count; i++) {
        struct description description = {.group = options->groups.items[i]};
        rd_kafka_event_t *event;
        code = cli_group_look_up(client, description.group, &event, &description.about);
        if (code == EXIT_OK) {
            code = show(client, &description, &report);
            rd_kafka_event_destroy(event);
        }
        report_note(&report, code);
    }
    client_close(client);
    return output_finish(report_finish(&report));
}

int group_command_describe(int argc, char **argv)
{
    struct describe_options options = {.client = client_options_default()};
    struct option_set sets[] = {{"Options", specs, 1, &options},
                                client_option_set(&options.client)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.groups, &code)) {
        code = options.groups.count == 0
                   ? options_fail(&page, "describe which group? All of them: tidings group list")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
