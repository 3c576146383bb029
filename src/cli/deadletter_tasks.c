#include "cli/deadletter.h"

#include "base/clock.h"
#include "cli/cli.h"

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

/* The latest of each task, in the order in which they began. */
struct gathered {
    const char *id; /* NULL: all */
    json_t *tasks;  /* id -> JSON */
};

static json_t *task_to_json(const struct dead_fact *task)
{
    json_t *json =
        json_pack("{s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:I}", "task", task->id, "plan", task->plan,
                  "state", output_json_text(task->state), "total", (json_int_t)task->total, "sent",
                  (json_int_t)task->sent, "done", (json_int_t)task->done, "failed_again",
                  (json_int_t)task->failed, "refused", (json_int_t)task->refused);
    json_object_set_new(json, "rate", output_number_or_null(task->rate > 0 ? task->rate : -1));
    json_object_set_new(json, "who", output_json_text(task->who));
    dead_set_time(json, "began", task->time_ms);
    dead_set_time(json, "changed", task->changed_ms);
    json_object_set_new(json, "changed_ms", json_integer((json_int_t)task->changed_ms));
    return json;
}

static bool gather(void *context, const struct dead_fact *fact)
{
    struct gathered *gathered = context;
    if (gathered->id != NULL && strcmp(gathered->id, fact->id) != 0) {
        return true;
    }
    if (fact->kind == DEAD_FACT_TASK && fact->is_erased) {
        json_object_del(gathered->tasks, fact->id);
    } else if (fact->kind == DEAD_FACT_TASK) {
        json_t *before = json_object_get(gathered->tasks, fact->id);
        bool is_cancelled = json_is_true(json_object_get(before, "cancel_requested"));
        json_t *json = task_to_json(fact);
        json_object_set_new(json, "cancel_requested", json_boolean(is_cancelled));
        json_object_set_new(gathered->tasks, fact->id, json);
    } else if (fact->kind == DEAD_FACT_CANCEL) {
        json_t *task = json_object_get(gathered->tasks, fact->id);
        json_object_set_new(task, "cancel_requested", json_boolean(!fact->is_erased));
    }
    return true;
}

/* A command that runs tells so each second. */
static void judge(json_t *tasks)
{
    enum { SILENT_MS = 15000 };
    int64_t now_ms = clock_wall_ms(clock_system());
    const char *id;
    json_t *task;
    json_object_foreach(tasks, id, task)
    {
        int64_t changed_ms = (int64_t)json_integer_value(json_object_get(task, "changed_ms"));
        const char *state = json_string_value(json_object_get(task, "state"));
        bool is_running = state != NULL && strcmp(state, "running") == 0;
        bool is_cancelled = json_is_true(json_object_get(task, "cancel_requested"));
        if (is_running && now_ms - changed_ms > SILENT_MS) {
            json_object_set_new(task, "state", json_string(is_cancelled ? "cancelled" : "silent"));
        } else if (is_running && is_cancelled) {
            json_object_set_new(task, "state", json_string("cancelling"));
        }
        json_object_del(task, "changed_ms");
    }
}

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
    struct gathered gathered = {.id = id, .tasks = json_object()};
    int code = dead_reading_begin(&reading, options);
    if (code == EXIT_OK && dead_view_facts(&reading.view, gather, &gathered, &error) != CLIENT_OK) {
        code = dead_fail(&error, "read", reading.view.state_topic);
    }
    progress_clear(&reading.progress);
    judge(gathered.tasks);
    if (code == EXIT_OK && id != NULL && json_object_size(gathered.tasks) == 0) {
        code = cli_fail(EXIT_NOT_FOUND, "see all with: tidings deadletter tasks list GROUP",
                        "group '%s' has no task '%s'", options->group, id);
    } else if (code == EXIT_OK && is_cancel) {
        code = cancel(options, id);
    } else if (code == EXIT_OK) {
        print_tasks(gathered.tasks, options->bus.is_json);
    }
    json_decref(gathered.tasks);
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
