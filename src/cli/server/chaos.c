#include "cli/server/chaos.h"

#include "cli/base/cli.h"

int cli_chaos(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"error", "refuse requests of an API with an error of Kafka's", chaos_command_error},
        {"delay", "answer late", chaos_command_delay},
        {"drop", "cut connections when they ask for something", chaos_command_drop},
        {"lose", "do what is asked for, and cut the connection instead of an answer",
         chaos_command_lose},
        {"pause", "give no events to those who fetch", chaos_command_pause},
        {"full", "take no events, as with a full disk", chaos_command_full},
        {"expire", "throw members out of a group, as when their session is over",
         chaos_command_expire},
        {"rebalance", "make the members of a group join again", chaos_command_rebalance},
        {"fence", "fence the producer with a transactional id", chaos_command_fence},
        {"list", "list the faults, and how often each struck", chaos_command_list},
        {"clear", "end faults", chaos_command_clear},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(
        verbs, "tidings chaos",
        "For tests of services: makes a bus fail as real ones do, when you say. It works for a\n"
        "bus that was started with --memory or --allow-chaos, on its machine. Each fault that\n"
        "strikes is in the server's log, and counted in tidings chaos list.",
        "Examples:\n"
        "  tidings chaos error produce NOT_ENOUGH_REPLICAS --topic orders --count 3\n"
        "  tidings chaos error fetch,produce REQUEST_TIMED_OUT --chance 10% --seed 7 --for 30s\n"
        "  tidings chaos delay 300ms --client checkout      a slow network\n"
        "  tidings chaos drop --client checkout --for 10s   no network\n"
        "  tidings chaos lose produce --count 1             is it published twice now?\n"
        "  tidings chaos pause --topic orders               let events wait\n"
        "  tidings chaos rebalance shipping\n"
        "  tidings chaos clear                              all is well again\n"
        "What comes with time is made by: tidings clock --advance DURATION\n",
        argc, argv);
}
