#include "cli/security/acl_verbs.h"

#include "cli/base/cli.h"
#include "cli/security/acl_ask.h"

struct remove_options {
    struct bus_options bus;
    struct acl_filter_options filter;
    bool is_dry;
    bool is_all;
};

static const struct help_page page = {
    .name = "tidings acl remove",
    .usage = "[RESOURCE] [OPTIONS]",
    .about =
        "Takes away the rules that fit all that is given: about a RESOURCE (exactly of its name,\n"
        "unless --pattern says otherwise), a user, an operation. --dry-run shows them and leaves\n"
        "them. What a rule allowed is refused from the next request on; what it denied may then\n"
        "be allowed by another one. Who removes rules needs the right to alter the cluster.",
    .examples = "  tidings acl remove topic:orders --user shop --dry-run\n"
                "  tidings acl remove topic:orders --user shop --operation write\n"
                "  tidings acl remove topic:shop. --pattern prefixed\n"
                "  tidings acl remove --user 'User:left'            all that it had\n",
};

static const struct option_spec specs[] = {
    {'n', "dry-run", NULL, OPTION_FLAG, offsetof(struct remove_options, is_dry), 0, 0,
     "show what would be removed, and remove nothing"},
    {0, "all", NULL, OPTION_FLAG, offsetof(struct remove_options, is_all), 0, 0,
     "when nothing else is said: every rule that there is"},
};

static void tell(const struct acl_rules *rules, const struct remove_options *options)
{
    if (options->bus.is_json) {
        acl_print_rules(rules, true);
        return;
    }
    for (size_t i = 0; i < rules->count; i++) {
        struct buf text = {0};
        acl_write_rule(&text, &rules->items[i]);
        output_text(stdout, "%s  %s\n", options->is_dry ? "would remove" : "removed",
                    buf_cstr(&text));
        buf_deinit(&text);
    }
}

static int run(const struct remove_options *options, const char *resource)
{
    struct raw_bus bus;
    struct acl_rule filter;
    struct acl_rules rules = {0};
    int code =
        acl_parse_filter(&page, &options->filter, resource, ACL_LITERAL, &rules.arena, &filter);
    if (code != EXIT_OK) {
        acl_rules_deinit(&rules);
        return code;
    }
    code = acl_ask_begin(&bus, &options->bus);
    if (code == EXIT_OK) {
        code = options->is_dry ? acl_ask_rules(&bus, &filter, &rules, NULL)
                               : acl_ask_remove(&bus, &filter, &rules);
        tell(&rules, options);
    }
    if (code == EXIT_OK && rules.count == 0) {
        code = cli_fail(EXIT_NOT_FOUND, "see the rules with: tidings acl list",
                        "there is no such rule");
    }
    raw_bus_deinit(&bus);
    acl_rules_deinit(&rules);
    return output_finish(code);
}

/* Whether anything says which rules. */
static bool is_chosen(const struct remove_options *options, const struct text_list *given)
{
    const struct acl_filter_options *filter = &options->filter;
    return given->count > 0 || filter->user != NULL || filter->host != NULL ||
           filter->operation != NULL || filter->permission != NULL;
}

int cli_acl_remove(int argc, char **argv)
{
    struct remove_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                acl_filter_option_set(&options.filter),
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 3, argc, argv, &arguments, &code)) {
        if (arguments.count > 1) {
            code = options_fail(&page, "one RESOURCE, not '%s' as well", arguments.items[1]);
        } else if (is_chosen(&options, &arguments) == options.is_all) {
            code = options_fail(&page, options.is_all
                                           ? "either --all, or what says which rules"
                                           : "remove which rules? A RESOURCE, --user and others "
                                             "say so, or --all");
        } else {
            code = run(&options, arguments.count == 1 ? arguments.items[0] : NULL);
        }
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 3);
    return code;
}
