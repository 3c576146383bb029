#include "cli/topic/topic.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/bus.h"
#include "cli/bus/list_begin.h"
#include "cli/bus/topic_facts.h"
#include "client/admin/topic_ends.h"

#include <stdlib.h>
#include <string.h>

struct list_options {
    struct bus_options bus;
    struct list_order order;
    bool has_internal;
};

static const struct help_page page = {
    .name = "tidings topic list",
    .usage = "[TOPIC|^EXPRESSION...] [OPTIONS]",
    .about =
        "Names the topics of the bus, or those that are named or found by an expression: their\n"
        "number of partitions, how many offsets they hold, what they take on disk (one copy), and\n"
        "how long ago the newest event was. Offsets are at most the number of events: markers of\n"
        "transactions and events that compaction removed have offsets too. '-': not known.",
    .examples = "  tidings topic list --sort size\n"
                "  tidings topic list '^orders\\.' --json | jq -r '.[].name'\n",
};

static const struct option_spec specs[] = {
    {'s', "sort", "KEY", OPTION_TEXT, offsetof(struct list_options, order.sort), 0, 0,
     "name, partitions, offsets, size or last (newest event first)"},
    {'r', "reverse", NULL, OPTION_FLAG, offsetof(struct list_options, order.is_reverse), 0, 0,
     "the other way round"},
    {0, "internal", NULL, OPTION_FLAG, offsetof(struct list_options, has_internal), 0, 0,
     "also the bus's own topics, whose names begin with __"},
};

static const char *const keys[] = {"name", "partitions", "offsets", "size", "last", NULL};

/* Offsets between start and end of all partitions; -1: not known. */
static int64_t count_offsets(const struct topic_ends *ends)
{
    int64_t count = 0;
    for (size_t i = 0; i < ends->topic->partitions.count; i++) {
        count += ends->bounds[i].end - ends->bounds[i].start;
    }
    return ends->error.status == CLIENT_OK ? count : -1;
}

static int64_t number_of(const struct topic_ends *ends, const struct topic_fact *fact, size_t key)
{
    const int64_t numbers[] = {0, (int64_t)ends->topic->partitions.count, count_offsets(ends),
                               fact->bytes, fact->newest_ms};
    return numbers[key];
}

/* The topics in the order of --sort; free it. */
static struct list_row *sorted(const struct list_options *options, size_t key,
                               const struct topic_ends_list *topics,
                               const struct topic_facts *facts)
{
    struct list_row *rows = mem_new_array(struct list_row, topics->count + 1);
    for (size_t i = 0; i < topics->count; i++) {
        rows[i] = (struct list_row){topics->items[i].topic->name, i,
                                    number_of(&topics->items[i], &facts->items[i], key)};
    }
    list_order_sort(&options->order, key, rows, topics->count);
    return rows;
}

static json_t *to_json(const struct topic_ends *ends, const struct topic_fact *fact,
                       const struct topic_facts *facts)
{
    json_t *json = json_pack("{s:s,s:i,s:o,s:b,s:o,s:o}", "name", ends->topic->name, "partitions",
                             (int)ends->topic->partitions.count, "offsets",
                             output_number_or_null(count_offsets(ends)), "internal",
                             ends->topic->is_internal, "bytes", output_number_or_null(fact->bytes),
                             "last_event", output_json_time(fact->newest_ms));
    if (fact->bytes < 0 && facts->no_bytes.text[0] != '\0') {
        json_object_set_new(json, "bytes_unknown_because", output_json_text(facts->no_bytes.text));
    }
    if (fact->newest_ms < 0 && facts->no_newest.text[0] != '\0') {
        json_object_set_new(json, "last_event_unknown_because",
                            output_json_text(facts->no_newest.text));
    }
    return json;
}

static void print_json(const struct list_row *rows, const struct topic_ends_list *topics,
                       const struct topic_facts *facts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < topics->count; i++) {
        size_t at = rows[i].index;
        json_array_append_new(list, to_json(&topics->items[at], &facts->items[at], facts));
    }
    output_json(list);
}

static void print_table(const struct list_row *rows, const struct topic_ends_list *topics,
                        const struct topic_facts *facts)
{
    static const char *const titles[] = {"TOPIC", ">PARTITIONS", ">OFFSETS", ">SIZE",
                                         ">LAST EVENT"};
    int64_t now_ms = clock_wall_ms(clock_system());
    struct table table;
    char size[32];
    table_init(&table, titles, 5);
    for (size_t i = 0; i < topics->count; i++) {
        const struct topic_ends *ends = &topics->items[rows[i].index];
        const struct topic_fact *fact = &facts->items[rows[i].index];
        table_cell(&table, "%s", ends->topic->name);
        table_cell(&table, "%zu", ends->topic->partitions.count);
        table_number(&table, count_offsets(ends));
        table_cell(&table, "%s", fact->bytes < 0 ? "-" : output_size((double)fact->bytes, size));
        table_ago(&table, fact->newest_ms, now_ms);
    }
    table_print_fitting(&table);
    table_deinit(&table);
}

/* What is known is printed; that the bus fell silent meanwhile is a failure, told once. */
static int print_topics(const struct list_options *options, size_t key,
                        const struct topic_ends_list *topics)
{
    struct topic_facts facts;
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < topics->count; i++) {
        if (bus_is_silent(&topics->items[i].error)) {
            code = bus_fail(&topics->items[i].error, "look up the offsets of topic '%s'",
                            topics->items[i].topic->name);
        }
    }
    const struct topic_ends_list none = {0};
    topic_facts_load(&facts, &options->bus, code == EXIT_OK ? topics : &none);
    if (code != EXIT_OK) { /* it would be waited for again */
        free(facts.items);
        facts.items = mem_new_array(struct topic_fact, topics->count + 1);
        memset(facts.items, 0xff, topics->count * sizeof *facts.items);
    }
    struct list_row *rows = sorted(options, key, topics, &facts);
    if (options->bus.is_json) {
        print_json(rows, topics, &facts);
    } else {
        print_table(rows, topics, &facts);
    }
    free(rows);
    topic_facts_deinit(&facts);
    return code;
}

static int list(const struct list_options *options, size_t key, struct name_choice *choice,
                struct connection *connection)
{
    struct admin_topics topics;
    struct topic_ends_list listed = {0};
    struct client_error error;
    int code = EXIT_OK;
    if (admin_topics(connection, &topics, &error) != CLIENT_OK) {
        code = bus_fail(&error, "list the topics");
    }
    for (size_t i = 0; i < topics.count; i++) {
        const struct admin_topic *topic = &topics.items[i];
        bool is_meant =
            options->has_internal || !topic->is_internal || name_choice_names(choice, topic->name);
        if (is_meant && name_choice_has(choice, topic->name)) {
            topic_ends_add(&listed, topic);
        }
    }
    if (code == EXIT_OK) {
        topic_ends_load(connection, &listed);
        code = print_topics(options, key, &listed);
    }
    if (code == EXIT_OK) {
        code = name_choice_check(choice, "topic");
    }
    topic_ends_deinit(&listed);
    admin_topics_deinit(&topics);
    return output_finish(code);
}

static int run(const struct list_options *options, const struct text_list *given)
{
    struct list_begin begun;
    int code = list_begin(&page, &options->order, keys, given, &options->bus, &begun);
    if (code == EXIT_OK) {
        code = list(options, begun.key, &begun.choice, begun.connection);
    }
    list_end(&begun);
    return code;
}

int cli_topic_list(int argc, char **argv)
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
