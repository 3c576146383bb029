#include "cli/security/acl_verbs.h"

#include "base/mem.h"
#include "cli/base/cli.h"
#include "cli/security/acl_judge.h"

#include <stdlib.h>
#include <string.h>

struct explain_options {
    struct bus_options bus;
    const char *host;
};

static const struct help_page page = {
    .name = "tidings acl explain",
    .usage = "USER OPERATION RESOURCE [OPTIONS]",
    .about =
        "Tells whether a user may do an operation with a resource, which rule decides that or "
        "what\n"
        "counts as none does, and what else the user may do with it. It asks the cluster for its\n"
        "rules and for super.users, and works out what a broker would say. Without --host it is\n"
        "for who comes from where no rule names the address; hosts for which something else is\n"
        "decided are named. Some requests ask for more than one right: 'create' of a topic is\n"
        "allowed also by 'create' of the cluster. Who asks needs the right to describe the\n"
        "cluster, and to describe its settings for super.users.\n"
        "\n"
        "Exit codes: 0 told, whatever is decided ('allowed' in JSON says which).",
    .examples = "  tidings acl explain shop write topic:orders\n"
                "  tidings acl explain shop read group:shipping --host 10.0.0.7\n"
                "  tidings acl explain User:CN=shop create cluster --json | jq .allowed\n",
};

static const struct option_spec specs[] = {
    {0, "host", "HOST", OPTION_TEXT, offsetof(struct explain_options, host), 0, 0,
     "the address that the user comes from"},
};

enum { USER, OPERATION, RESOURCE, ARGUMENTS };

/* What was asked for, and all that it is judged by. */
struct explanation {
    struct acl_question question;
    const char *resource; /* as it was given */
    struct acl_settings settings;
    struct acl_rules rules; /* that concern the resource; the arena has the question's texts too */
    struct acl_set *set;    /* NULL: no rules are kept */
    struct acl_verdict verdict;
};

static struct acl_verdict judge(const struct explanation *about, int8_t operation,
                                struct slice host)
{
    struct acl_question question = about->question;
    question.operation = operation;
    question.host = host;
    return acl_judge(about->set, &about->settings, &question);
}

/* --- hosts of which something else is said --- */

static bool is_first_of_host(const struct acl_rules *rules, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (slice_equal(rules->items[i].host, rules->items[index].host)) {
            return false;
        }
    }
    return !slice_equal_str(rules->items[index].host, "*");
}

/* Calls for each host that a rule names and for which the other way is decided. */
static void each_other_host(const struct explanation *about,
                            void (*tell)(void *context, const struct acl_verdict *verdict,
                                         struct slice host),
                            void *context)
{
    for (size_t i = 0; i < about->rules.count; i++) {
        struct slice host = about->rules.items[i].host;
        if (is_first_of_host(&about->rules, i)) {
            struct acl_verdict verdict = judge(about, about->question.operation, host);
            if (verdict.is_allowed != about->verdict.is_allowed) {
                tell(context, &verdict, host);
            }
        }
    }
}

/* --- for people --- */

static void write_grounds(const struct explanation *about, struct buf *to)
{
    const struct acl_verdict *verdict = &about->verdict;
    switch (verdict->grounds) {
    case ACL_BY_NO_AUTHORIZER:
        buf_printf(to, "no rules are kept (authorizer.class.name): everybody may do everything");
        break;
    case ACL_BY_SUPER_USERS:
        buf_printf(to, "super.users: this user may do everything, whatever rules say");
        break;
    case ACL_BY_RULE:
        buf_printf(to, "the rule '");
        acl_write_rule(to, &verdict->rule);
        buf_printf(to, "'");
        if (verdict->rule.operation != about->question.operation &&
            verdict->rule.operation != ACL_ALL) {
            buf_printf(to, " (%s includes %s)", acl_operation_name(verdict->rule.operation),
                       acl_operation_name(about->question.operation));
        }
        break;
    case ACL_BY_NO_RULE:
        buf_printf(to, "no rule: what none allows is forbidden, and of those about this resource "
                       "none does");
        break;
    case ACL_BY_NO_RULE_AT_ALL:
        buf_printf(to, "no rule is about this resource: %s (allow.everyone.if.no.acl.found)",
                   verdict->is_allowed ? "everybody may use it until one is" : "it is forbidden");
        break;
    }
}

/* "READ, DESCRIBE": those of the kind that come out so. */
static void write_operations(const struct explanation *about, bool is_allowed, struct buf *to)
{
    for (int8_t i = ACL_READ; i <= ACL_IDEMPOTENT_WRITE; i++) {
        if (acl_is_asked(about->question.kind, i) &&
            judge(about, i, about->question.host).is_allowed == is_allowed) {
            buf_printf(to, "%s%s", to->size > 0 ? ", " : "", acl_operation_name(i));
        }
    }
}

static void print_operations(const struct explanation *about, const char *title, bool is_allowed)
{
    struct buf text = {0};
    write_operations(about, is_allowed, &text);
    output_text(stdout, "%s%s\n", title, text.size > 0 ? buf_cstr(&text) : "nothing");
    buf_deinit(&text);
}

static void print_host(void *context, const struct acl_verdict *verdict, struct slice host)
{
    struct buf text = {0};
    (void)context;
    if (verdict->grounds == ACL_BY_RULE) {
        buf_printf(&text, " by the rule '");
        acl_write_rule(&text, &verdict->rule);
        buf_printf(&text, "'");
    }
    output_text(stdout, "but        from %.*s it is %s%s\n", SLICE_ARGS(host),
                verdict->is_allowed ? "allowed" : "denied", buf_cstr(&text));
    buf_deinit(&text);
}

/* What the brokers did not say, and could decide otherwise; NULL: nothing. */
static const char *what_is_open(const struct explanation *about)
{
    if (about->set == NULL || about->verdict.grounds == ACL_BY_SUPER_USERS) {
        return NULL;
    }
    if (!about->verdict.is_allowed && !about->settings.super_users.is_told) {
        return "the brokers do not tell super.users, who may do everything";
    }
    if (about->verdict.grounds == ACL_BY_NO_RULE_AT_ALL &&
        !about->settings.allow_without_rules.is_told) {
        return "the brokers do not tell allow.everyone.if.no.acl.found, which then decides";
    }
    return NULL;
}

/* The command that would allow it, where a rule can. */
static void print_way(const struct explanation *about, const struct text_list *given)
{
    bool is_denied = about->verdict.grounds == ACL_BY_RULE;
    if (about->verdict.is_allowed) {
        return;
    }
    if (is_denied) {
        output_text(stdout, "to allow   remove that rule: one that denies comes before all that "
                            "allow\n");
    } else {
        output_text(stdout, "to allow   tidings acl add allow '%s' %s '%s'\n", given->items[USER],
                    given->items[OPERATION], given->items[RESOURCE]);
    }
}

static void print(const struct explanation *about, const struct text_list *given)
{
    struct buf grounds = {0};
    const char *open = what_is_open(about);
    write_grounds(about, &grounds);
    output_text(stdout, "%s%.*s %s %s\n", about->verdict.is_allowed ? "allowed    " : "denied     ",
                SLICE_ARGS(about->question.principal),
                acl_operation_name(about->question.operation), given->items[RESOURCE]);
    output_text(stdout, "by         %s\n", buf_cstr(&grounds));
    each_other_host(about, print_host, NULL);
    print_way(about, given);
    print_operations(about, "may        ", true);
    print_operations(about, "may not    ", false);
    if (open != NULL) {
        output_text(stdout, "not known  %s\n", open);
    }
    buf_deinit(&grounds);
}

/* --- for programs --- */

static const char *const grounds_words[] = {
    [ACL_BY_NO_AUTHORIZER] = "no_authorizer",
    [ACL_BY_SUPER_USERS] = "super_users",
    [ACL_BY_RULE] = "rule",
    [ACL_BY_NO_RULE] = "no_rule",
    [ACL_BY_NO_RULE_AT_ALL] = "no_rule_for_resource",
};

static json_t *rule_or_null(const struct acl_verdict *verdict)
{
    return verdict->grounds == ACL_BY_RULE ? acl_rule_json(&verdict->rule) : json_null();
}

static json_t *text_json(struct slice text)
{
    char *copy = mem_strndup((const char *)text.data, text.size);
    json_t *json = output_json_text(copy);
    free(copy);
    return json;
}

static void add_host(void *context, const struct acl_verdict *verdict, struct slice host)
{
    json_array_append_new(context,
                          json_pack("{s:o,s:b,s:o}", "host", text_json(host), "allowed",
                                    (int)verdict->is_allowed, "rule", rule_or_null(verdict)));
}

static json_t *operations_json(const struct explanation *about, bool is_allowed)
{
    json_t *list = json_array();
    for (int8_t i = ACL_READ; i <= ACL_IDEMPOTENT_WRITE; i++) {
        if (acl_is_asked(about->question.kind, i) &&
            judge(about, i, about->question.host).is_allowed == is_allowed) {
            json_array_append_new(list, json_string(acl_operation_name(i)));
        }
    }
    return list;
}

static void print_json(const struct explanation *about)
{
    json_t *hosts = json_array();
    each_other_host(about, add_host, hosts);
    output_json(json_pack(
        "{s:b,s:s,s:o,s:o,s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "allowed", (int)about->verdict.is_allowed,
        "decided_by", grounds_words[about->verdict.grounds], "rule", rule_or_null(&about->verdict),
        "principal", text_json(about->question.principal), "operation",
        acl_operation_name(about->question.operation), "resource_type",
        acl_kind_name(about->question.kind), "resource_name", text_json(about->question.name),
        "may", operations_json(about, true), "may_not", operations_json(about, false),
        "other_hosts", hosts, "not_known", output_json_text(what_is_open(about))));
}

/* --- asking --- */

static int parse(const struct explain_options *options, const struct text_list *given,
                 struct explanation *about)
{
    struct acl_question *question = &about->question;
    if (given->count != ARGUMENTS) {
        return options_fail(&page, "who, what, on what? Usage: tidings acl explain USER OPERATION "
                                   "RESOURCE");
    }
    int code = acl_parse_operation_word(&page, given->items[OPERATION], &question->operation);
    if (code == EXIT_OK) {
        code = acl_parse_resource(&page, given->items[RESOURCE], &question->kind, &question->name);
    }
    if (code == EXIT_OK && slice_is_null(question->name)) {
        code = options_fail(&page, "which %s? %s:NAME", acl_kind_name(question->kind),
                            acl_kind_name(question->kind));
    }
    if (code == EXIT_OK && !acl_is_asked(question->kind, question->operation)) {
        code = options_fail(&page, "%s is nothing that is asked of a %s",
                            acl_operation_name(question->operation), acl_kind_name(question->kind));
    }
    if (code == EXIT_OK) {
        question->principal = acl_principal(&about->rules.arena, given->items[USER]);
        question->host = slice_str(options->host != NULL ? options->host : "");
    }
    return code;
}

/* All that concerns the resource. What a foreign cluster has and acl_check does not know is about
 * operations that cannot be asked for here. */
static int load(struct raw_bus *bus, struct explanation *about)
{
    struct reason reason;
    bool is_off = false;
    const struct acl_rule filter = {.kind = about->question.kind,
                                    .pattern = ACL_MATCH,
                                    .operation = ACL_ANY_OPERATION,
                                    .permission = ACL_ANY_PERMISSION,
                                    .name = about->question.name};
    int code = acl_ask_rules(bus, &filter, &about->rules, &is_off);
    if (code == EXIT_OK && !is_off) {
        acl_ask_settings(bus, &about->settings);
        about->set = acl_set_new();
        for (size_t i = 0; i < about->rules.count; i++) {
            if (acl_check(&about->rules.items[i], &reason) == ERR_NONE) {
                acl_set_add(about->set, &about->rules.items[i]);
            }
        }
    }
    return code;
}

static int run(const struct explain_options *options, const struct text_list *given)
{
    struct raw_bus bus;
    struct explanation about = {.set = NULL};
    int code = parse(options, given, &about);
    if (code != EXIT_OK) {
        acl_rules_deinit(&about.rules);
        return code;
    }
    code = acl_ask_begin(&bus, &options->bus);
    if (code == EXIT_OK) {
        code = load(&bus, &about);
    }
    if (code == EXIT_OK) {
        about.verdict = judge(&about, about.question.operation, about.question.host);
        if (options->bus.is_json) {
            print_json(&about);
        } else {
            print(&about, given);
        }
        code = output_finish(EXIT_OK);
    }
    raw_bus_deinit(&bus);
    acl_set_free(about.set);
    acl_settings_deinit(&about.settings);
    acl_rules_deinit(&about.rules);
    return code;
}

int cli_acl_explain(int argc, char **argv)
{
    struct explain_options options = {.bus = bus_options_default()};
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
