#include "cli/group/group.h"

#include "cli/base/cli.h"
#include "cli/bus/outcomes.h"

struct delete_options {
    struct bus_options bus;
    struct text_list groups;
    bool if_exists;
};

static const struct help_page page = {
    .name = "tidings group delete",
    .usage = "GROUP... [OPTIONS]",
    .about =
        "Forgets groups and the offsets they committed; the events stay. A group with members\n"
        "is not deleted: stop them first.",
    .examples = "  tidings group delete shipping\n",
};

static const struct option_spec specs[] = {
    {'g', "group", "GROUP", OPTION_TEXTS, offsetof(struct delete_options, groups), 0, 0,
     "a group, like an argument (repeat it)"},
    {0, "if-exists", NULL, OPTION_FLAG, offsetof(struct delete_options, if_exists), 0, 0,
     "a group that does not exist is no error"},
};

static int run(const struct delete_options *options)
{
    const struct outcome_words words = {
        .verb = "delete",
        .done = "deleted",
        .kind = "group",
        .json_name = "group",
        .is_forgiving = options->if_exists,
        .forgiven = CLIENT_NOT_FOUND,
        .forgiven_text = "did not exist",
        .fail_unknown = bus_fail_no_group,
    };
    return outcomes_of_delete(&words, &options->bus, &options->groups, admin_delete_groups);
}

int group_command_delete(int argc, char **argv)
{
    struct delete_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.groups, &code)) {
        code = options.groups.count == 0
                   ? options_fail(&page, "delete which group? Usage: tidings group delete GROUP")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
