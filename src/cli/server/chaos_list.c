#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/server/chaos.h"
#include "cli/server/test_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Faults as they are shown, and the verbs that make none. */

static const char *text(const json_t *fault, const char *name)
{
    const char *value = json_string_value(json_object_get(fault, name));
    return value != NULL ? value : "";
}

/* -1: it is null. */
static int64_t number(const json_t *fault, const char *name)
{
    const json_t *value = json_object_get(fault, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void append(struct buf *to, const char *separator, const char *what)
{
    if (what[0] != '\0') {
        buf_append_str(to, to->size > 0 ? separator : "");
        buf_append_str(to, what);
    }
}

static void append_named(struct buf *to, const json_t *fault, const char *name, const char *shown)
{
    if (text(fault, name)[0] != '\0') {
        append(to, " ", shown);
        buf_append_str(to, "=");
        buf_append_str(to, text(fault, name));
    }
}

/* "Produce NOT_ENOUGH_REPLICAS topic=orders chance=10% seed=7" */
static char *describe(const json_t *fault)
{
    struct buf to = {0};
    char word[64];
    size_t i;
    json_t *api;
    json_array_foreach(json_object_get(fault, "apis"), i, api)
    {
        append(&to, ",", json_string_value(api));
    }
    append(&to, " ", text(fault, "error"));
    if (number(fault, "delay_ms") > 0) {
        snprintf(word, sizeof word, "%" PRId64 " ms", number(fault, "delay_ms"));
        append(&to, " ", word);
    }
    append_named(&to, fault, "topic", "topic");
    append_named(&to, fault, "group", "group");
    append_named(&to, fault, "client", "client");
    append_named(&to, fault, "transactional_id", "transactional-id");
    double chance = json_number_value(json_object_get(fault, "chance"));
    if (chance < 1) {
        snprintf(word, sizeof word, "chance=%g%% seed=%" PRId64, chance * 100,
                 number(fault, "seed"));
        append(&to, " ", word);
    }
    char *shown = mem_strndup(to.size > 0 ? (const char *)to.data : "", to.size);
    buf_deinit(&to);
    return shown;
}

/* "3 more", "9s more", "until cleared"; "count", "cleared"... when it is over. */
static const char *left(const json_t *fault, char shown[64])
{
    int64_t count = number(fault, "count_left");
    int64_t left_ms = number(fault, "left_ms");
    char age[32];
    if (!json_is_true(json_object_get(fault, "active"))) {
        snprintf(shown, 64, "over (%s)", text(fault, "ended_by"));
    } else if (count >= 0 && left_ms >= 0) {
        snprintf(shown, 64, "%" PRId64 " more, for %s", count, output_age(left_ms, age));
    } else if (count >= 0) {
        snprintf(shown, 64, "%" PRId64 " more", count);
    } else if (left_ms >= 0) {
        snprintf(shown, 64, "for %s", output_age(left_ms, age));
    } else {
        snprintf(shown, 64, "until cleared");
    }
    return shown;
}

void chaos_print(const json_t *faults)
{
    static const char *const titles[] = {">id", "fault", "for", ">struck", ">of", "goes on"};
    struct table table;
    char shown[64];
    size_t i;
    json_t *fault;
    table_init(&table, titles, sizeof titles / sizeof titles[0]);
    json_array_foreach(faults, i, fault)
    {
        char *what = describe(fault);
        table_number(&table, number(fault, "id"));
        table_cell(&table, "%s", text(fault, "fault"));
        table_cell(&table, "%s", what);
        table_number(&table, number(fault, "struck"));
        table_number(&table, number(fault, "seen"));
        table_cell(&table, "%s", left(fault, shown));
        free(what);
    }
    table_print_fitting(&table);
    table_deinit(&table);
}

void chaos_print_one(const json_t *fault)
{
    char shown[64];
    char *what = describe(fault);
    int64_t struck = number(fault, "struck");
    output_text(stdout, "fault %" PRId64 ": %s%s%s", number(fault, "id"), text(fault, "fault"),
                what[0] != '\0' ? " " : "", what);
    if (json_is_true(json_object_get(fault, "active"))) {
        output_text(stdout, " (%s)\n", left(fault, shown));
    } else {
        output_text(stdout, " (done, %" PRId64 " time%s)\n", struck, plural_s((uint64_t)struck));
    }
    free(what);
}

/* --- list --- */

static const struct help_page list_page = {
    .name = "tidings chaos list",
    .usage = "[OPTIONS]",
    .about =
        "Lists the faults that were asked for, also the last 100 of those that are over: how\n"
        "often each struck (struck), of how many requests that it is for (of), and how long it\n"
        "goes on.",
    .examples = "  tidings chaos list\n"
                "  tidings chaos list --active\n"
                "  tidings chaos list --json | jq '.[] | select(.struck == 0)'\n",
};

struct list_settings {
    struct test_server_options server;
    bool active;
};

static const struct option_spec list_specs[] = {
    {'a', "active", NULL, OPTION_FLAG, offsetof(struct list_settings, active), 0, 0,
     "only those that go on"},
};

static json_t *choose(const json_t *all, bool only_active)
{
    json_t *chosen = json_array();
    size_t i;
    json_t *fault;
    json_array_foreach(all, i, fault)
    {
        if (!only_active || json_is_true(json_object_get(fault, "active"))) {
            json_array_append(chosen, fault);
        }
    }
    return chosen;
}

static int list(const struct list_settings *settings)
{
    json_t *answer;
    int code = test_server_ask(&settings->server, "chaos", &answer);
    if (code != EXIT_OK) {
        return code;
    }
    json_t *faults = choose(json_object_get(answer, "faults"), settings->active);
    json_decref(answer);
    if (settings->server.bus.is_json) {
        output_json(json_incref(faults));
    } else if (json_array_size(faults) == 0) {
        output_text(stdout, "no faults\n");
    } else {
        chaos_print(faults);
    }
    json_decref(faults);
    return output_finish(EXIT_OK);
}

int chaos_command_list(int argc, char **argv)
{
    struct list_settings settings = {.server = test_server_default()};
    struct option_set sets[] = {
        {"Options", list_specs, sizeof list_specs / sizeof list_specs[0], &settings},
        test_server_option_set(&settings.server),
        bus_option_set(&settings.server.bus),
    };
    struct text_list arguments = {0};
    int code;
    if (options_parse(&list_page, sets, 3, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&list_page, "it takes no argument '%s'", arguments.items[0])
                   : list(&settings);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}

/* --- clear --- */

static const struct help_page clear_page = {
    .name = "tidings chaos clear",
    .usage = "[ID...] [OPTIONS]",
    .about =
        "Ends the faults with these ids, as tidings chaos list shows them, or all of them. Who\n"
        "waits for an answer that is delayed waits for that one still.",
    .examples = "  tidings chaos clear\n"
                "  tidings chaos clear 3 4\n",
};

/* A list of ids, or "all"; NULL: one is no number, which is told. */
static json_t *read_ids(const struct text_list *arguments)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < arguments->count; i++) {
        char *end;
        long long id = strtoll(arguments->items[i], &end, 10);
        if (*end != '\0' || id <= 0) {
            (void)options_fail(&clear_page, "'%s' is no id of a fault", arguments->items[i]);
            json_decref(ids);
            return NULL;
        }
        json_array_append_new(ids, json_integer(id));
    }
    if (arguments->count == 0) {
        json_decref(ids);
        ids = json_string("all");
    }
    return ids;
}

static int clear(const struct test_server_options *server, const struct text_list *arguments)
{
    json_t *answer;
    json_t *ids = read_ids(arguments);
    if (ids == NULL) {
        return EXIT_USAGE;
    }
    json_t *request = json_pack("{s:o}", "clear", ids);
    char *words = json_dumps(request, JSON_COMPACT);
    char *line = mem_sprintf("chaos %s", words);
    int code = test_server_ask(server, line, &answer);
    free(line);
    free(words);
    json_decref(request);
    if (code != EXIT_OK) {
        return code;
    }
    int64_t cleared = number(answer, "cleared");
    if (server->bus.is_json) {
        output_json(answer);
    } else {
        output_text(stdout, "%" PRId64 " fault%s ended\n", cleared, plural_s((uint64_t)cleared));
        json_decref(answer);
    }
    if (arguments->count > 0 && cleared < (int64_t)arguments->count) {
        return cli_fail(EXIT_NOT_FOUND, "see: tidings chaos list --active",
                        "not all of these go on");
    }
    return output_finish(EXIT_OK);
}

int chaos_command_clear(int argc, char **argv)
{
    struct test_server_options server = test_server_default();
    struct option_set sets[] = {test_server_option_set(&server), bus_option_set(&server.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&clear_page, sets, 2, argc, argv, &arguments, &code)) {
        code = clear(&server, &arguments);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
