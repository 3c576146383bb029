#include "cli/group/group.h"

#include "cli/base/cli.h"

int cli_group(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "name the consumer groups, their states and lag", group_command_list},
        {"describe", "show members, offsets and lag of groups", group_command_describe},
        {"reset", "move the offsets of a group that is not running", group_command_reset},
        {"delete", "forget groups and their offsets", group_command_delete},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(verbs, "tidings group",
                        "Lists, describes, resets and deletes consumer groups.",
                        "Examples:\n"
                        "  tidings group describe shipping\n"
                        "  tidings group reset shipping --topic orders --to -1h --execute\n",
                        argc, argv);
}
