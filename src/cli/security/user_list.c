#include "cli/security/user_verbs.h"

#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/security/user_place.h"

#include <jansson.h>
#include <string.h>

struct list_options {
    struct user_place place;
    bool is_json;
};

static const struct help_page page = {
    .name = "tidings user list",
    .usage = "[OPTIONS]",
    .about =
        "Shows the users who can log in, by which mechanisms, and how many iterations protect\n"
        "what is kept of their passwords.",
    .examples = "  tidings user list\n"
                "  tidings user list --data /var/lib/tidings --json | jq -r '.[].name'\n",
};

static const struct option_spec specs[] = {
    {'j', "json", NULL, OPTION_FLAG, offsetof(struct list_options, is_json), 0, 0,
     "print JSON for programs"},
};

/* [{"name", "mechanisms": [{"mechanism", "iterations"}]}] */
static void add_credential(void *context, const struct user_told *told)
{
    json_t *users = context;
    json_t *last = json_array_get(users, json_array_size(users) - 1);
    const char *name = json_string_value(json_object_get(last, "name"));
    if (name == NULL || !slice_equal_str(told->name, name)) {
        last = json_pack("{s:s%,s:[]}", "name", (const char *)told->name.data, told->name.size,
                         "mechanisms");
        json_array_append_new(users, last);
    }
    json_array_append_new(json_object_get(last, "mechanisms"),
                          json_pack("{s:s,s:i}", "mechanism", scram_name(told->mechanism),
                                    "iterations", (int)told->iterations));
}

static void print(const json_t *users)
{
    static const char *const titles[] = {"USER", "MECHANISMS"};
    struct table table;
    size_t i, k;
    const json_t *user, *kept;
    table_init(&table, titles, 2);
    json_array_foreach(users, i, user)
    {
        struct buf text = {0};
        json_array_foreach(json_object_get(user, "mechanisms"), k, kept)
        {
            buf_printf(&text, "%s%s (%d)", k > 0 ? ", " : "",
                       json_string_value(json_object_get(kept, "mechanism")),
                       (int)json_integer_value(json_object_get(kept, "iterations")));
        }
        table_cell(&table, "%s", json_string_value(json_object_get(user, "name")));
        table_cell(&table, "%s", buf_cstr(&text));
        buf_deinit(&text);
    }
    table_print_fitting(&table);
    table_deinit(&table);
}

static int run(const struct list_options *options)
{
    struct reason reason;
    struct control_wait wait = user_wait();
    json_t *users = json_array();
    enum err err =
        user_store_each(user_place_dir(&options->place), &wait, add_credential, users, &reason);
    if (err != ERR_NONE) {
        json_decref(users);
        return user_fail(err, &reason);
    }
    if (options->is_json) {
        output_json(users);
    } else {
        if (json_array_size(users) == 0) {
            cli_warn("there are no users: tidings user add NAME makes one");
        } else {
            print(users);
        }
        json_decref(users);
    }
    return output_finish(EXIT_OK);
}

int cli_user_list(int argc, char **argv)
{
    struct list_options options = {0};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                user_place_option_set(&options.place)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = arguments.count > 0
                   ? options_fail(&page, "list takes no argument '%s'", arguments.items[0])
                   : run(&options);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
