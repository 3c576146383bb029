#include "cli/security/acl_verbs.h"

#include "cli/base/cli.h"
#include "cli/security/acl_ask.h"

struct list_options {
    struct bus_options bus;
    struct acl_filter_options filter;
};

static const struct help_page page = {
    .name = "tidings acl list",
    .usage = "[RESOURCE] [OPTIONS]",
    .about =
        "Shows the rules of who may do what: all, or those about a RESOURCE, as topic:orders,\n"
        "group:shipping, transactional-id:tx or cluster. With a name it shows whatever concerns\n"
        "it, also by prefix and by '*' ('--pattern literal' for rules of exactly that name).\n"
        "Who asks needs the right to describe the cluster. 'tidings acl --help' tells how rules\n"
        "are written.",
    .examples = "  tidings acl list\n"
                "  tidings acl list topic:orders\n"
                "  tidings acl list topic --user shop\n"
                "  tidings acl list --permission deny --json | jq -r '.[].principal'\n",
};

static int run(const struct list_options *options, const char *resource)
{
    struct raw_bus bus;
    struct acl_rule filter;
    struct acl_rules rules = {0};
    int code =
        acl_parse_filter(&page, &options->filter, resource, ACL_MATCH, &rules.arena, &filter);
    if (code != EXIT_OK) {
        acl_rules_deinit(&rules);
        return code;
    }
    code = acl_ask_begin(&bus, &options->bus);
    if (code == EXIT_OK) {
        code = acl_ask_rules(&bus, &filter, &rules, NULL);
    }
    if (code == EXIT_OK) {
        acl_print_rules(&rules, options->bus.is_json);
        code = output_finish(EXIT_OK);
    }
    raw_bus_deinit(&bus);
    acl_rules_deinit(&rules);
    return code;
}

int cli_acl_list(int argc, char **argv)
{
    struct list_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {acl_filter_option_set(&options.filter),
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = arguments.count > 1
                   ? options_fail(&page, "one RESOURCE, not '%s' as well", arguments.items[1])
                   : run(&options, arguments.count == 1 ? arguments.items[0] : NULL);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
