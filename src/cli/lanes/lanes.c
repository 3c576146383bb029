#include "cli/lanes/lanes.h"

#include "cli/base/cli.h"

int cli_lanes(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "the open lanes: parked, held, set aside, failing", lanes_command_list},
        {"show", "some in full: head, attempts, what stands behind", lanes_command_show},
        {"retry", "try a head that waits now", lanes_command_retry},
        {"skip", "give a head up, and let its lane go on", lanes_command_skip},
        {"hold", "start nothing of a lane until it is released", lanes_command_hold},
        {"release", "end that", lanes_command_release},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(
        verbs, "tidings lanes",
        "Shows and steers the lanes of a service that keeps the order of each key through\n"
        "failures: an event that fails holds back its own key, and nothing else. A word to a\n"
        "lane is a record in the topic lanes.GROUP; the member that owns the lane carries it\n"
        "out and answers, and when no member is there, the next one that comes.",
        "Examples:\n"
        "  tidings lanes list email                             what is closed, and why\n"
        "  tidings lanes show email --key 4711\n"
        "  tidings lanes retry email --key 4711                 now, not after its back-off\n"
        "  tidings lanes skip email --key 4711 --why 'test'     its head to the dead letters\n"
        "  tidings lanes hold email --topic orders --key 4711   until it is released\n"
        "A dead event is tried again with: tidings deadletter redrive\n",
        argc, argv);
}
