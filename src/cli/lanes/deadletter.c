#include "cli/lanes/deadletter.h"

#include "cli/base/cli.h"

int cli_deadletter(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "what was given up, by cause, or each", deadletter_command_list},
        {"show", "one in full: event, failures, lane, history", deadletter_command_show},
        {"redrive", "have the group's service try some again, in order",
         deadletter_command_redrive},
        {"tasks", "redrives at work: list, show, cancel", deadletter_command_tasks},
        {"discard", "say that some are not to be tried again", deadletter_command_discard},
        {"edit", "give one another payload for its redrive", deadletter_command_edit},
        {"note", "write down what is known of one, or of a cause", deadletter_command_note},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(
        verbs, "tidings deadletter",
        "Shows and treats the events that a consumer group gave up (topic dlq.GROUP), on any\n"
        "Kafka cluster, whether its service runs or not.",
        "Examples:\n"
        "  tidings deadletter list email                        by cause\n"
        "  tidings deadletter list email --each --type order.placed\n"
        "  tidings deadletter show email 3:41                   one in full\n"
        "  tidings deadletter redrive email --cause 5b07 --dry-run\n"
        "  tidings deadletter discard email 3:41 --why 'a test order'\n",
        argc, argv);
}
