#include "cli/topic/topic.h"

#include "cli/base/cli.h"

int cli_topic(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"create", "make topics", cli_topic_create},
        {"list", "name the topics and how much they hold", cli_topic_list},
        {"describe", "show partitions, offsets and settings of topics", cli_topic_describe},
        {"alter", "change settings of a topic or add partitions", cli_topic_alter},
        {"delete", "delete topics with all their events", cli_topic_delete},
        {"settings", "tell what settings a topic can have", cli_topic_settings},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(verbs, "tidings topic",
                        "Creates, lists, describes, alters and deletes topics.",
                        "Examples:\n"
                        "  tidings topic create orders --partitions 3 --config retention.ms=1d\n"
                        "  tidings topic describe orders\n"
                        "  tidings topic settings\n",
                        argc, argv);
}
