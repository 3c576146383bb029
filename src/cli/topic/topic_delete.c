#include "cli/topic/topic.h"

#include "cli/base/cli.h"
#include "cli/bus/bus.h"
#include "cli/bus/outcomes.h"

struct delete_options {
    struct bus_options bus;
    struct text_list topics;
    bool if_exists;
};

static const struct help_page page = {
    .name = "tidings topic delete",
    .usage = "TOPIC... [OPTIONS]",
    .about = "Deletes topics with all their events. It does not ask; there is no way back.",
    .examples = "  tidings topic delete orders\n"
                "  tidings topic delete scratch --if-exists\n",
};

static const struct option_spec specs[] = {
    {'t', "topic", "TOPIC", OPTION_TEXTS, offsetof(struct delete_options, topics), 0, 0,
     "a topic, like an argument (repeat it)"},
    {0, "if-exists", NULL, OPTION_FLAG, offsetof(struct delete_options, if_exists), 0, 0,
     "a topic that does not exist is no error"},
};

static int run(const struct delete_options *options)
{
    const struct outcome_words words = {
        .verb = "delete",
        .done = "deleted",
        .kind = "topic",
        .json_name = "name",
        .is_forgiving = options->if_exists,
        .forgiven = CLIENT_NOT_FOUND,
        .forgiven_text = "did not exist",
        .fail_unknown = bus_fail_no_topic,
    };
    return outcomes_of_delete(&words, &options->bus, &options->topics, admin_delete_topics);
}

int cli_topic_delete(int argc, char **argv)
{
    struct delete_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &options.topics, &code)) {
        code = options.topics.count == 0
                   ? options_fail(&page, "delete which topic? Usage: tidings topic delete TOPIC")
                   : run(&options);
    }
    options_deinit(sets, 2);
    return code;
}
