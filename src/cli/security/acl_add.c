#include "cli/security/acl_verbs.h"

#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/security/acl_ask.h"

#include <stdlib.h>
#include <string.h>

struct add_options {
    struct bus_options bus;
    struct text_list hosts;
    const char *pattern;
};

static const struct help_page page = {
    .name = "tidings acl add",
    .usage = "allow|deny USER OPERATION[,OPERATION...] RESOURCE [OPTIONS]",
    .about =
        "Allows or forbids a user operations with a resource; it counts from the next request on.\n"
        "What somebody needs: to publish, write on the topic (and create, where it is to be "
        "made);\n"
        "with transactions also write on its transactional-id. To read in a group, read on topic\n"
        "and group. 'tidings acl --help' tells how rules are written. One that is there already\n"
        "is no error. Who makes rules needs the right to alter the cluster.",
    .examples = "  tidings acl add allow shop write,create topic:orders\n"
                "  tidings acl add allow shipping read topic:orders\n"
                "  tidings acl add allow shipping read group:shipping\n"
                "  tidings acl add allow audit read topic:shop. --pattern prefixed\n"
                "  tidings acl add deny '*' all topic:salaries --host 10.0.0.7\n",
};

static const struct option_spec specs[] = {
    {0, "pattern", "literal|prefixed", OPTION_TEXT, offsetof(struct add_options, pattern), 0, 0,
     "the resource of that name (default), or all whose names begin so"},
    {0, "host", "HOST", OPTION_TEXTS, offsetof(struct add_options, hosts), 0, 0,
     "for who comes from this address only (repeat it)"},
};

enum { PERMISSION, USER, OPERATIONS, RESOURCE, ARGUMENTS };

/* One rule a host. */
static int add_for_hosts(const struct add_options *options, struct acl_rule rule,
                         struct acl_rules *rules)
{
    struct reason reason;
    size_t count = options->hosts.count > 0 ? options->hosts.count : 1;
    for (size_t i = 0; i < count; i++) {
        rule.host = slice_str(options->hosts.count > 0 ? options->hosts.items[i] : "*");
        if (acl_check(&rule, &reason) != ERR_NONE) {
            return options_fail(&page, "%s", reason.text);
        }
        acl_rules_add(rules, &rule);
    }
    return EXIT_OK;
}

/* "read,describe", each for each host. */
static int add_operations(const struct add_options *options, const char *words,
                          struct acl_rule rule, struct acl_rules *rules)
{
    int code = EXIT_OK;
    for (const char *at = words; code == EXIT_OK;) {
        size_t size = strcspn(at, ",");
        char *word = mem_strndup(at, size);
        code = acl_parse_operation_word(&page, word, &rule.operation);
        free(word);
        if (code == EXIT_OK) {
            code = add_for_hosts(options, rule, rules);
        }
        if (at[size] == '\0') {
            break;
        }
        at += size + 1;
    }
    return code;
}

static int parse(const struct add_options *options, const struct text_list *given,
                 struct acl_rules *rules)
{
    struct acl_rule rule = {.pattern = ACL_LITERAL};
    if (given->count != ARGUMENTS) {
        return options_fail(
            &page, "which rule? Usage: tidings acl add allow|deny USER OPERATION RESOURCE");
    }
    int code = acl_parse_permission(&page, given->items[PERMISSION], &rule.permission);
    if (code == EXIT_OK) {
        code = acl_parse_resource(&page, given->items[RESOURCE], &rule.kind, &rule.name);
    }
    if (code == EXIT_OK && slice_is_null(rule.name)) {
        code = options_fail(&page, "which %s? %s:NAME, or %s:* for every one",
                            acl_kind_name(rule.kind), acl_kind_name(rule.kind),
                            acl_kind_name(rule.kind));
    }
    if (code == EXIT_OK && options->pattern != NULL) {
        code = acl_parse_pattern(&page, options->pattern, false, &rule.pattern);
    }
    if (code == EXIT_OK) {
        rule.principal = acl_principal(&rules->arena, given->items[USER]);
        code = add_operations(options, given->items[OPERATIONS], rule, rules);
    }
    return code;
}

static void tell(const struct acl_rules *rules, const int16_t *codes, bool is_json)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rules->count; i++) {
        json_t *one = acl_rule_json(&rules->items[i]);
        json_object_set_new(one, "added", json_boolean(codes[i] == 0));
        if (!is_json && codes[i] == 0) {
            struct buf text = {0};
            acl_write_rule(&text, &rules->items[i]);
            output_text(stdout, "added  %s\n", buf_cstr(&text));
            buf_deinit(&text);
        }
        json_array_append_new(list, one);
    }
    if (is_json) {
        output_json(list);
    } else {
        json_decref(list);
    }
}

static int run(const struct add_options *options, const struct text_list *given)
{
    struct raw_bus bus;
    struct acl_rules rules = {0};
    int code = parse(options, given, &rules);
    if (code != EXIT_OK) {
        acl_rules_deinit(&rules);
        return code;
    }
    int16_t *codes = mem_zalloc_array(rules.count + 1, sizeof *codes);
    code = acl_ask_begin(&bus, &options->bus);
    if (code == EXIT_OK) {
        code = acl_ask_add(&bus, &rules, codes);
        tell(&rules, codes, options->bus.is_json);
        code = output_finish(code);
    }
    raw_bus_deinit(&bus);
    acl_rules_deinit(&rules);
    free(codes);
    return code;
}

int cli_acl_add(int argc, char **argv)
{
    struct add_options options = {.bus = bus_options_default()};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                bus_option_set(&options.bus)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = run(&options, &arguments);
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
