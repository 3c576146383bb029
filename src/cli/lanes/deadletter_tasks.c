#include "cli/lanes/deadletter.h"

#include "base/clock.h"
#include "bus/dead/dead_json.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <string.h>

/* Redrives that are or were at work. */

static const struct help_page list_page = {
    .name = "tidings deadletter tasks list",
    .usage = "GROUP [OPTIONS]",
    .about = "Names the redrives of a group: what was sent to its service, and what came of it.\n"
             "A task whose command is gone is silent; 'redrive --plan' goes on with it.",
    .examples = "  tidings deadletter tasks list email\n",
};

static const struct help_page show_page = {
    .name = "tidings deadletter tasks show",
    .usage = "GROUP ID [OPTIONS]",
    .about = "Shows one redrive.",
    .examples = "  tidings deadletter tasks show email 0123456789abcdef --json\n",
};

static const struct help_page cancel_page = {
    .name = "tidings deadletter tasks cancel",
    .usage = "GROUP ID [OPTIONS]",
    .about =
        "Has a redrive send no more, wherever its command runs. What was sent is carried out.\n"
        "Nothing is lost: what was not sent stays as it was.",
    .examples = "  tidings deadletter tasks cancel email 0123456789abcdef\n",
};

static int64_t number_in(const json_t *json, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(json, name));
}

static void print_tasks(const json_t *tasks, bool is_json)
{
    static const char *const titles[] = {"TASK",    "STATE",    ">TOTAL", ">SENT", ">DONE",
                                         ">FAILED", ">REFUSED", "BEGAN",  "PLAN",  "WHO"};
    static const char *const numbers[] = {"total", "sent", "done", "failed_again", "refused"};
    static const char *const texts[] = {"began", "plan", "who"};
    struct table table;
    json_t *list = json_array(), *task;
    const char *id;
    table_init(&table, titles, sizeof titles / sizeof titles[0]);
    json_object_foreach((json_t *)(uintptr_t)tasks, id, task)
    {
        json_array_append(list, task);
        table_cell(&table, "%s", id);
        table_cell(&table, "%s", json_string_value(json_object_get(task, "state")));
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            table_number(&table, number_in(task, numbers[i]));
        }
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            const char *text = json_string_value(json_object_get(task, texts[i]));
            table_cell(&table, "%s", text != NULL ? text : "-");
        }
    }
    if (is_json) {
        output_json(list);
    } else {
        table_print(&table, 0);
        json_decref(list);
    }
    table_deinit(&table);
}

static int cancel(const struct dead_options *options, const char *id)
{
    struct dead_writer *writer;
    struct client_error error;
    char who[DEAD_WHO_SIZE];
    struct dead_fact fact = {
        .kind = DEAD_FACT_CANCEL, .time_ms = clock_wall_ms(clock_system()), .who = dead_who(who)};
    snprintf(fact.id, sizeof fact.id, "%s", id);
    int code = dead_writing_open(options, &writer);
    if (code == EXIT_OK && dead_writer_put(writer, &fact, &error) != CLIENT_OK) {
        code = bus_fail(&error, "cancel task '%s'", id);
    }
    code = dead_writing_close(options, writer, code);
    if (code == EXIT_OK && options->bus.is_json) {
        output_json(json_pack("{s:s,s:b}", "task", fact.id, "cancel_requested", 1));
    } else if (code == EXIT_OK) {
        output_text(stdout, "task %s sends no more\n", fact.id);
    }
    return code;
}

static int run(const struct dead_options *options, const char *id, bool is_cancel)
{
    struct dead_reading reading;
    struct client_error error;
    json_t *tasks = NULL;
    int code = dead_reading_begin(&reading, options);
    if (code == EXIT_OK && dead_tasks_read(&reading.view, id, &tasks, &error) != CLIENT_OK) {
        code = dead_fail(&error, "read", reading.view.state_topic);
    }
    progress_clear(&reading.progress);
    if (code == EXIT_OK && id != NULL && json_object_size(tasks) == 0) {
        code = cli_fail(EXIT_NOT_FOUND, "see all with: tidings deadletter tasks list GROUP",
                        "group '%s' has no task '%s'", options->group, id);
    } else if (code == EXIT_OK && is_cancel) {
        code = cancel(options, id);
    } else if (code == EXIT_OK) {
        print_tasks(tasks, options->bus.is_json);
    }
    json_decref(tasks);
    dead_reading_close(&reading);
    return output_finish(code);
}

/* GROUP, or GROUP ID. */
static int command(const struct help_page *page, bool has_id, bool is_cancel, int argc, char **argv)
{
    struct dead_options options = dead_options_default();
    struct option_set sets[] = {dead_group_set(&options), bus_option_set(&options.bus)};
    const char *id = NULL;
    int code;
    if (options_parse(page, sets, 2, argc, argv, &options.arguments, &code)) {
        size_t wanted = (size_t)(options.group == NULL) + has_id;
        if (options.arguments.count == wanted && has_id) {
            id = options.arguments.items[--options.arguments.count];
        }
        code = options.arguments.count + (id != NULL) != wanted
                   ? options_fail(page, "Usage: %s %s", page->name, page->usage)
                   : dead_options_check(page, &options);
        code = code == EXIT_OK ? run(&options, id, is_cancel) : code;
    }
    text_list_deinit(&options.arguments);
    dead_options_deinit(&options);
    options_deinit(sets, 2);
    return code;
}

static int command_list(int argc, char **argv)
{
    return command(&list_page, false, false, argc, argv);
}

static int command_show(int argc, char **argv)
{
    return command(&show_page, true, false, argc, argv);
}

static int command_cancel(int argc, char **argv)
{
    return command(&cancel_page, true, true, argc, argv);
}

int deadletter_command_tasks(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "name the redrives of a group", command_list},
        {"show", "show one", command_show},
        {"cancel", "have one send no more", command_cancel},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(verbs, "tidings deadletter tasks",
                        "Lists, shows and cancels the redrives of a group.",
                        "Examples:\n"
                        "  tidings deadletter tasks list email\n"
                        "  tidings deadletter tasks cancel email 0123456789abcdef\n",
                        argc, argv);
}
