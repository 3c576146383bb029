#include "cli/group/group.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/commit_times.h"
#include "cli/bus/group_progress.h"
#include "cli/bus/list_begin.h"
#include "cli/group/group_types.h"

#include <stdlib.h>

struct list_options {
    struct bus_options bus;
    struct list_order order;
    bool has_commits;
};

static const struct help_page page = {
    .name = "tidings group list",
    .usage = "[GROUP|^EXPRESSION...] [OPTIONS]",
    .about =
        "Names the consumer groups, or those that are named or found by an expression, with their\n"
        "members and what is left to read (LAG, in offsets). Stable: members are reading; Empty:\n"
        "none is, but the offsets are kept. TYPE: classic, or consumer (KIP-848); '-' "
        "where\n"
        "it is not known.",
    .examples = "  tidings group list --sort lag\n"
                "  tidings group list --commits                 and how long ago each committed\n"
                "  tidings group list --json | jq -r '.[] | select(.state == \"Empty\").group'\n",
};

static const struct option_spec specs[] = {
    {'s', "sort", "KEY", OPTION_TEXT, offsetof(struct list_options, order.sort), 0, 0,
     "name, members, topics, lag or commit (newest first)"},
    {'r', "reverse", NULL, OPTION_FLAG, offsetof(struct list_options, order.is_reverse), 0, 0,
     "the other way round"},
    {0, "commits", NULL, OPTION_FLAG, offsetof(struct list_options, has_commits), 0, 0,
     "also the time of the last commit, from the newest 20000 records of\n"
     "each partition of __consumer_offsets"},
};

static const char *const keys[] = {"name", "members", "topics", "lag", "commit", NULL};
enum { KEY_COMMIT = 4 };

/* The groups that are listed, index for index. */
struct listed {
    const struct list_options *options;
    size_t count;
    const char **names;
    const char **states;
    struct group_progress *progress;
    struct group_types types;
    struct commit_times history; /* `groups` NULL: was not read */
};

static int64_t members(const struct listed *listed, size_t i)
{
    const struct group_progress *progress = &listed->progress[i];
    return progress->error.status == CLIENT_OK ? (int64_t)progress->about.members.count : -1;
}

static int64_t topics(const struct listed *listed, size_t i)
{
    const struct group_progress *progress = &listed->progress[i];
    return progress->error.status == CLIENT_OK ? (int64_t)progress->topic_count : -1;
}

static int64_t last_commit(const struct listed *listed, size_t i)
{
    return listed->history.groups != NULL ? listed->history.groups[i].last_ms : -1;
}

/* --- what is shown --- */

static json_t *to_json(const struct listed *listed, size_t i)
{
    const struct group_progress *progress = &listed->progress[i];
    json_t *json =
        json_pack("{s:o,s:s,s:o,s:o,s:o,s:o}", "group", output_json_text(listed->names[i]), "state",
                  listed->states[i], "type", output_json_text(group_type(&listed->types, i)),
                  "members", output_number_or_null(members(listed, i)), "topics",
                  output_number_or_null(topics(listed, i)), "total_lag",
                  output_number_or_null(progress->lag));
    if (progress->lag < 0) {
        bool is_known = progress->error.status == CLIENT_OK;
        json_object_set_new(json, "lag_unknown_because",
                            output_json_text(is_known ? progress->why : progress->error.text));
    }
    if (group_type(&listed->types, i) == NULL && listed->types.reason.text[0] != '\0') {
        json_object_set_new(json, "type_unknown_because",
                            output_json_text(listed->types.reason.text));
    }
    if (listed->options->has_commits) {
        json_object_set_new(json, "last_commit", output_json_time(last_commit(listed, i)));
    }
    return json;
}

static void print_json(const struct listed *listed, const struct list_row *rows)
{
    json_t *list = json_array();
    for (size_t i = 0; i < listed->count; i++) {
        json_array_append_new(list, to_json(listed, rows[i].index));
    }
    output_json(list);
}

static void print_table(const struct listed *listed, const struct list_row *rows)
{
    static const char *const titles[] = {"GROUP",   "STATE", "TYPE",        ">MEMBERS",
                                         ">TOPICS", ">LAG",  ">LAST COMMIT"};
    int64_t now_ms = clock_wall_ms(clock_system());
    struct table table;
    table_init(&table, titles, listed->options->has_commits ? 7 : 6);
    for (size_t row = 0; row < listed->count; row++) {
        size_t i = rows[row].index;
        const char *type = group_type(&listed->types, i);
        table_cell(&table, "%s", listed->names[i]);
        table_cell(&table, "%s", listed->states[i]);
        table_cell(&table, "%s", type != NULL ? type : "-");
        table_number(&table, members(listed, i));
        table_number(&table, topics(listed, i));
        table_number(&table, listed->progress[i].lag);
        if (listed->options->has_commits) {
            table_ago(&table, last_commit(listed, i), now_ms);
        }
    }
    table_print_fitting(&table);
    table_deinit(&table);
}

static void print_groups(const struct listed *listed, size_t key)
{
    struct list_row *rows = mem_new_array(struct list_row, listed->count + 1);
    for (size_t i = 0; i < listed->count; i++) {
        const int64_t numbers[] = {0, members(listed, i), topics(listed, i),
                                   listed->progress[i].lag, last_commit(listed, i)};
        rows[i] = (struct list_row){listed->names[i], i, numbers[key]};
    }
    list_order_sort(&listed->options->order, key, rows, listed->count);
    if (listed->options->bus.is_json) {
        print_json(listed, rows);
    } else {
        print_table(listed, rows);
    }
    free(rows);
}

/* --- what is asked --- */

static bool show_records(void *context, int64_t done, int64_t total)
{
    progress_show_count(context, "read", "records of __consumer_offsets", done, total);
    return true;
}

/* What is known is printed; that the bus fell silent meanwhile is a failure, told once. */
static int load(struct connection *connection, struct listed *listed)
{
    struct connection_settings settings = bus_settings(&listed->options->bus);
    struct progress shown;
    int code = EXIT_OK;
    progress_init(&shown);
    group_progress_load(connection, listed->names, listed->count, listed->progress, &shown);
    for (size_t i = 0; code == EXIT_OK && i < listed->count; i++) {
        if (bus_is_silent(&listed->progress[i].error)) {
            progress_clear(&shown);
            code = bus_fail(&listed->progress[i].error, "describe group '%s'", listed->names[i]);
        }
    }
    listed->types = (struct group_types){.names = listed->names, .count = listed->count};
    if (code == EXIT_OK) {
        group_types_load(&listed->types, &listed->options->bus);
    } else { /* it would be waited for again */
        listed->types.items = mem_zalloc_array(listed->count + 1, sizeof *listed->types.items);
    }
    if (code == EXIT_OK && listed->options->has_commits) {
        struct client_error error;
        listed->history = (struct commit_times){.connection = &settings,
                                                .names = listed->names,
                                                .count = listed->count,
                                                .progress = show_records,
                                                .context = &shown};
        if (commit_times_load(&listed->history, &error) != CLIENT_OK) {
            progress_clear(&shown);
            code = bus_fail(&error, "read when groups committed, in __consumer_offsets");
        }
    }
    progress_clear(&shown);
    return code;
}

static int list(const struct list_options *options, size_t key, struct name_choice *choice,
                struct connection *connection)
{
    struct admin_group_listings groups;
    struct client_error error;
    struct listed listed = {.options = options};
    if (admin_groups(connection, &groups, &error) != CLIENT_OK) {
        admin_group_listings_deinit(&groups);
        return bus_fail(&error, "list the groups");
    }
    listed.names = mem_new_array(const char *, groups.count + 1);
    listed.states = mem_new_array(const char *, groups.count + 1);
    for (size_t i = 0; i < groups.count; i++) {
        if (name_choice_has(choice, groups.items[i].name)) {
            listed.names[listed.count] = groups.items[i].name;
            listed.states[listed.count++] = groups.items[i].state;
        }
    }
    listed.progress = mem_new_array(struct group_progress, listed.count + 1);
    int code = load(connection, &listed);
    print_groups(&listed, key);
    if (code == EXIT_OK) {
        code = name_choice_check(choice, "group");
    }
    for (size_t i = 0; i < listed.count; i++) {
        group_progress_deinit(&listed.progress[i]);
    }
    group_types_deinit(&listed.types);
    commit_times_deinit(&listed.history);
    free(listed.progress);
    free(listed.names);
    free(listed.states);
    admin_group_listings_deinit(&groups);
    return output_finish(code);
}

static int run(struct list_options *options, const struct text_list *given)
{
    struct list_begin begun;
    int code = list_begin(&page, &options->order, keys, given, &options->bus, &begun);
    options->has_commits = options->has_commits || begun.key == KEY_COMMIT;
    if (code == EXIT_OK) {
        code = list(options, begun.key, &begun.choice, begun.connection);
    }
    list_end(&begun);
    return code;
}

int group_command_list(int argc, char **argv)
{
    struct list_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = run(&options, &arguments);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
