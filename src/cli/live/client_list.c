#include "cli/live/client.h"

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/base/list_order.h"
#include "cli/base/name_choice.h"
#include "cli/base/output.h"
#include "cli/bus/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list_options {
    struct bus_options bus;
    struct list_order order;
    const char *topic;
    bool has_gone;
    int64_t over_ms;
};

enum { OVER_MOST_MS = 5000, SUMMARY = 60 };

static const struct help_page page = {
    .name = "tidings client list",
    .usage = "[CLIENT|^EXPRESSION...] [OPTIONS]",
    .about = "Names the clients of the bus, or those whose client.id is named or found by an\n"
             "expression: who they are, what software they run, from where, by how many\n"
             "connections, and what they produce, fetch and commit. Events a second are measured\n"
             "now, for --over. Clients of one principal, client.id, software and address are one.",
    .examples = "  tidings client list --sort produced\n"
                "  tidings client list --topic orders             who touches this topic\n"
                "  tidings client list --gone                     also those that have left\n"
                "  tidings client list --json | jq '.[] | select(.software==\"librdkafka\")'\n",
};

static const struct option_spec specs[] = {
    {'s', "sort", "KEY", OPTION_TEXT, offsetof(struct list_options, order.sort), 0, 0,
     "name, connections, produced, fetched (events a second), or last\n"
     "(newest first)"},
    {'r', "reverse", NULL, OPTION_FLAG, offsetof(struct list_options, order.is_reverse), 0, 0,
     "the other way round"},
    {'t', "topic", "TOPIC", OPTION_TEXT, offsetof(struct list_options, topic), 0, 0,
     "only those that did something with this topic"},
    {0, "gone", NULL, OPTION_FLAG, offsetof(struct list_options, has_gone), 0, 0,
     "also those that have no connection any more"},
    {0, "over", "DURATION", OPTION_DURATION, offsetof(struct list_options, over_ms), 0,
     OVER_MOST_MS, "how long rates are measured (default: 1s)"},
};

static const char *const keys[] = {"name", "connections", "produced", "fetched", "last", NULL};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "-";
}

static double rate_of(const json_t *client, const char *did)
{
    return json_number_value(json_object_get(json_object_get(client, did), "rate"));
}

/* -1: none. */
static int64_t time_of(const json_t *client, const char *name)
{
    const char *text = json_string_value(json_object_get(client, name));
    int64_t time_ms;
    if (text == NULL || time_parse(text, 0, &time_ms, NULL) != ERR_NONE) {
        return -1;
    }
    return time_ms;
}

static bool touches(const json_t *client, const char *topic)
{
    size_t i;
    json_t *flow;
    json_array_foreach(json_object_get(client, "flows"), i, flow)
    {
        if (strcmp(text_of(flow, "topic"), topic) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const struct list_options *options, struct name_choice *choice,
                      const json_t *client)
{
    bool is_there = json_integer_value(json_object_get(client, "connections")) > 0;
    bool is_meant = name_choice_has(choice, text_of(client, "client_id"));
    return is_meant && (is_there || options->has_gone) &&
           (options->topic == NULL || touches(client, options->topic));
}

static int64_t number_of(const json_t *client, size_t key)
{
    switch (key) {
    case 1:
        return json_integer_value(json_object_get(client, "connections"));
    case 2:
        return (int64_t)(rate_of(client, "produced") * 1000);
    case 3:
        return (int64_t)(rate_of(client, "fetched") * 1000);
    default:
        return time_of(client, "last_active");
    }
}

/* "orders, invoices", or "orders and 3 more". */
static void add_topics(struct table *table, const json_t *client, const char *did)
{
    char summary[SUMMARY + 300] = "";
    size_t i, more = 0;
    json_t *flow;
    json_array_foreach(json_object_get(client, "flows"), i, flow)
    {
        bool is_its = strcmp(text_of(flow, "did"), did) == 0;
        size_t used = strlen(summary);
        if (is_its && used < SUMMARY) {
            snprintf(summary + used, sizeof summary - used, "%s%s", used > 0 ? ", " : "",
                     text_of(flow, strcmp(did, "joined") == 0 ? "group" : "topic"));
        } else if (is_its) {
            more++;
        }
    }
    if (more > 0) {
        table_cell(table, "%s and %zu more", summary, more);
    } else {
        table_cell(table, "%s", summary[0] != '\0' ? summary : "-");
    }
}

static void add_rate(struct table *table, double rate)
{
    if (rate <= 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%.*f", rate < 10 ? 1 : 0, rate);
    }
}

static void add_row(struct table *table, const json_t *client, int64_t now_ms)
{
    const char *software = text_of(client, "software");
    const char *version = text_of(client, "software_version");
    table_cell(table, "%s", text_of(client, "client_id"));
    table_cell(table, "%s", text_of(client, "principal"));
    table_cell(table, "%s%s%s", software, strcmp(version, "-") == 0 ? "" : " ",
               strcmp(version, "-") == 0 ? "" : version);
    table_cell(table, "%s", text_of(client, "address"));
    table_number(table, json_integer_value(json_object_get(client, "connections")));
    add_topics(table, client, "produced");
    add_rate(table, rate_of(client, "produced"));
    add_topics(table, client, "fetched");
    add_rate(table, rate_of(client, "fetched"));
    add_topics(table, client, "joined");
    table_ago(table, time_of(client, "last_active"), now_ms);
}

static void print_table(const json_t *clients, const struct list_row *rows, size_t count)
{
    static const char *const titles[] = {"CLIENT", "PRINCIPAL", "SOFTWARE", "ADDRESS",
                                         ">CONNS", "PRODUCES",  ">/S",      "FETCHES",
                                         ">/S",    "GROUPS",    ">LAST"};
    int64_t now_ms = clock_wall_ms(clock_system());
    struct table table;
    table_init(&table, titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < count; i++) {
        add_row(&table, json_array_get(clients, rows[i].index), now_ms);
    }
    table_print_fitting(&table);
    table_deinit(&table);
}

static void print_json(const json_t *clients, const struct list_row *rows, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append(list, json_array_get(clients, rows[i].index));
    }
    output_json(list);
}

static int print_clients(const struct list_options *options, size_t key, struct name_choice *choice,
                         const json_t *clients)
{
    size_t count = 0, i;
    json_t *client;
    struct list_row *rows = mem_new_array(struct list_row, json_array_size(clients) + 1);
    json_array_foreach(clients, i, client)
    {
        if (is_listed(options, choice, client)) {
            rows[count++] =
                (struct list_row){text_of(client, "client_id"), i, number_of(client, key)};
        }
    }
    list_order_sort(&options->order, key, rows, count);
    if (options->bus.is_json) {
        print_json(clients, rows, count);
    } else {
        print_table(clients, rows, count);
    }
    free(rows);
    return output_finish(name_choice_check(choice, "client"));
}

static int run(const struct list_options *options, const struct text_list *given)
{
    struct name_choice choice = {0};
    json_t *clients = NULL;
    char over[32];
    size_t key;
    int code = list_order_key(&page, &options->order, keys, &key);
    if (code == EXIT_OK) {
        code = name_choice_init(&choice, given);
    }
    if (code == EXIT_OK) {
        snprintf(over, sizeof over, "%lldms", (long long)options->over_ms);
        char *path = http_client_path("/v1/clients?over=%s", over);
        code = http_get_json(&options->bus, path, &clients);
        free(path);
    }
    if (code == EXIT_OK) {
        code = print_clients(options, key, &choice, clients);
    }
    json_decref(clients);
    name_choice_deinit(&choice);
    return code;
}

int cli_client_list(int argc, char **argv)
{
    struct list_options options = {.bus = bus_options_default(), .over_ms = 1000};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                http_option_set(&options.bus),
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        code = run(&options, &arguments);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
