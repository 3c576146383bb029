#include "base/settings.h"
#include "broker/server.h"
#include "cli/base/cli.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "cli/topic/topic.h"

#include <stdio.h>
#include <string.h>

struct settings_options {
    bool is_json;
};

static const struct help_page page = {
    .name = "tidings topic settings",
    .usage = "[NAME...] [OPTIONS]",
    .about =
        "Tells what settings a topic can have, with default and meaning, all of them or those\n"
        "whose name holds NAME. It asks no bus: the defaults are those of this version, which\n"
        "the bus may change (tidings serve --settings). A time may be given as 1h30m, a size\n"
        "as 10MB or 64MiB.",
    .examples = "  tidings topic settings\n"
                "  tidings topic settings retention\n"
                "  tidings topic create orders --config retention.ms=7d\n",
};

static const struct option_spec specs[] = {
    {'j', "json", NULL, OPTION_FLAG, offsetof(struct settings_options, is_json), 0, 0,
     "print JSON for programs"},
};

static bool is_wanted(const struct setting *row, const struct text_list *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strstr(row->name, names->items[i]) != NULL) {
            return true;
        }
    }
    return names->count == 0;
}

static void print_row(const struct setting *row)
{
    printf("%s=%s\n    %s\n", row->name, row->default_value, row->help);
    if (row->broker_name != NULL) {
        printf("    The bus's default: its setting %s.\n", row->broker_name);
    }
    if (row->only != NULL) {
        printf("    Only this value is taken: %s.\n", row->only);
    }
}

static int run(const struct settings_options *options, const struct text_list *names)
{
    const struct settings_table *table = server_topic_settings();
    json_t *list = json_array();
    size_t shown = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        if (!is_wanted(row, names)) {
            continue;
        }
        shown++;
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s?}", "name", row->name, "default",
                                              row->default_value, "help", row->help,
                                              "server_setting", row->broker_name));
        if (!options->is_json) {
            print_row(row);
        }
    }
    if (options->is_json) {
        output_json(list);
    } else {
        json_decref(list);
    }
    if (shown == 0) {
        return cli_fail(EXIT_NOT_FOUND, "see all of them with: tidings topic settings",
                        "a topic has no setting whose name holds '%s'", names->items[0]);
    }
    return output_finish(EXIT_OK);
}

int cli_topic_settings(int argc, char **argv)
{
    struct settings_options options = {.is_json = false};
    struct option_set set = {"Options", specs, 1, &options};
    struct text_list names = {0};
    int code;
    if (options_parse(&page, &set, 1, argc, argv, &names, &code)) {
        code = run(&options, &names);
    }
    text_list_deinit(&names);
    return code;
}
