#include "cli/security/acl_words.h"

#include "base/mem.h"
#include "cli/base/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What Apache Kafka has beyond what is served here. */
enum { KIND_DELEGATION_TOKEN = 6, KIND_USER = 7 };
enum { CREATE_TOKENS = 13, DESCRIBE_TOKENS = 14, TWO_PHASE_COMMIT = 15 };

void acl_rules_deinit(struct acl_rules *rules)
{
    vec_deinit(rules);
    arena_deinit(&rules->arena);
    *rules = (struct acl_rules){0};
}

static struct slice keep(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size + 1);
    slice_copy(copy, text);
    return slice_of(copy, text.size);
}

void acl_rules_add(struct acl_rules *rules, const struct acl_rule *rule)
{
    struct acl_rule *kept = vec_add(rules);
    *kept = *rule;
    kept->name = keep(&rules->arena, rule->name);
    kept->principal = keep(&rules->arena, rule->principal);
    kept->host = keep(&rules->arena, rule->host);
}

/* --- words into rules --- */

struct option_set acl_filter_option_set(struct acl_filter_options *options)
{
    static const struct option_spec specs[] = {
        {'u', "user", "USER", OPTION_TEXT, offsetof(struct acl_filter_options, user), 0, 0,
         "rules for this user, as shop or User:shop; '*': those for everybody"},
        {'o', "operation", "OPERATION", OPTION_TEXT, offsetof(struct acl_filter_options, operation),
         0, 0, "rules of this operation, as write"},
        {0, "permission", "allow|deny", OPTION_TEXT,
         offsetof(struct acl_filter_options, permission), 0, 0, "rules that allow, or that forbid"},
        {0, "host", "HOST", OPTION_TEXT, offsetof(struct acl_filter_options, host), 0, 0,
         "rules for who comes from this address; '*': those for everywhere"},
        {0, "pattern", "PATTERN", OPTION_TEXT, offsetof(struct acl_filter_options, pattern), 0, 0,
         "literal: rules of exactly the name; prefixed: of names that begin so;\n"
         "match: whatever concerns the name; any: literal and prefixed"},
    };
    return (struct option_set){"Which rules", specs, sizeof specs / sizeof specs[0], options};
}

int acl_parse_resource(const struct help_page *page, const char *text, int8_t *kind,
                       struct slice *name)
{
    const char *colon = strchr(text, ':');
    char *word = mem_strndup(text, colon != NULL ? (size_t)(colon - text) : strlen(text));
    int number = acl_parse_kind(word);
    free(word);
    *kind = (int8_t)number;
    *name = colon != NULL ? slice_str(colon + 1) : (struct slice){0};
    if (number == ACL_CLUSTER && colon == NULL) {
        *name = slice_str("kafka-cluster");
    }
    if (number <= ACL_ANY_KIND || (colon != NULL && colon[1] == '\0')) {
        return options_fail(page,
                            "'%s' is no resource: topic:NAME, group:NAME, transactional-id:NAME "
                            "and cluster are",
                            text);
    }
    return EXIT_OK;
}

int acl_parse_operation_word(const struct help_page *page, const char *word, int8_t *operation)
{
    int number = acl_parse_operation(word);
    *operation = (int8_t)number;
    if (number <= ACL_ANY_OPERATION) {
        return options_fail(page,
                            "'%s' is no operation: read, write, create, delete, alter, describe, "
                            "describe-configs, alter-configs, cluster-action, idempotent-write "
                            "and all are",
                            word);
    }
    return EXIT_OK;
}

int acl_parse_pattern(const struct help_page *page, const char *word, bool is_filter,
                      int8_t *pattern)
{
    for (int8_t i = is_filter ? ACL_ANY_PATTERN : ACL_LITERAL; i <= ACL_PREFIXED; i++) {
        if (strcasecmp(word, acl_pattern_name(i)) == 0) {
            *pattern = i;
            return EXIT_OK;
        }
    }
    return options_fail(page, "--pattern is literal%s, not '%s'",
                        is_filter ? ", prefixed, match or any" : " or prefixed", word);
}

int acl_parse_permission(const struct help_page *page, const char *word, int8_t *permission)
{
    *permission = strcasecmp(word, "allow") == 0 ? ACL_ALLOW : ACL_DENY;
    if (*permission == ACL_DENY && strcasecmp(word, "deny") != 0) {
        return options_fail(page, "a rule is to allow or to deny, not to '%s'", word);
    }
    return EXIT_OK;
}

struct slice acl_principal(struct arena *arena, const char *user)
{
    struct buf text = {0};
    buf_printf(&text, "%s%s", strchr(user, ':') != NULL ? "" : "User:", user);
    struct slice kept = keep(arena, buf_slice(&text));
    buf_deinit(&text);
    return kept;
}

int acl_parse_filter(const struct help_page *page, const struct acl_filter_options *options,
                     const char *resource, int8_t pattern, struct arena *arena,
                     struct acl_rule *filter)
{
    int code = EXIT_OK;
    *filter = (struct acl_rule){.kind = ACL_ANY_KIND,
                                .pattern = ACL_ANY_PATTERN,
                                .operation = ACL_ANY_OPERATION,
                                .permission = ACL_ANY_PERMISSION};
    if (resource != NULL) {
        code = acl_parse_resource(page, resource, &filter->kind, &filter->name);
        filter->pattern = slice_is_null(filter->name) ? ACL_ANY_PATTERN : pattern;
    }
    if (code == EXIT_OK && options->pattern != NULL) {
        code = acl_parse_pattern(page, options->pattern, true, &filter->pattern);
    }
    if (code == EXIT_OK && options->operation != NULL) {
        code = acl_parse_operation_word(page, options->operation, &filter->operation);
    }
    if (code == EXIT_OK && options->permission != NULL) {
        code = acl_parse_permission(page, options->permission, &filter->permission);
    }
    if (options->user != NULL) {
        filter->principal = acl_principal(arena, options->user);
    }
    if (options->host != NULL) {
        filter->host = slice_str(options->host);
    }
    return code;
}

/* --- rules into words --- */

const char *acl_shown_kind(int8_t kind)
{
    return kind == KIND_DELEGATION_TOKEN ? "delegation-token"
           : kind == KIND_USER           ? "user"
                                         : acl_kind_name(kind);
}

const char *acl_shown_operation(int8_t operation)
{
    return operation == CREATE_TOKENS      ? "CREATE_TOKENS"
           : operation == DESCRIBE_TOKENS  ? "DESCRIBE_TOKENS"
           : operation == TWO_PHASE_COMMIT ? "TWO_PHASE_COMMIT"
                                           : acl_operation_name(operation);
}

static bool is_cluster(const struct acl_rule *rule)
{
    return rule->kind == ACL_CLUSTER && slice_equal_str(rule->name, "kafka-cluster");
}

void acl_write_rule(struct buf *to, const struct acl_rule *rule)
{
    buf_printf(to, "%s %.*s %s on ", rule->permission == ACL_DENY ? "deny" : "allow",
               SLICE_ARGS(rule->principal), acl_shown_operation(rule->operation));
    if (is_cluster(rule)) {
        buf_printf(to, "the cluster");
    } else if (rule->pattern == ACL_LITERAL && slice_equal_str(rule->name, "*")) {
        buf_printf(to, "every %s", acl_shown_kind(rule->kind));
    } else {
        buf_printf(to, "%s %.*s%s", acl_shown_kind(rule->kind), SLICE_ARGS(rule->name),
                   rule->pattern == ACL_PREFIXED ? " (prefixed)" : "");
    }
    if (!slice_equal_str(rule->host, "*")) {
        buf_printf(to, " from %.*s", SLICE_ARGS(rule->host));
    }
}

static json_t *json_of(struct slice text)
{
    char *copy = mem_strndup((const char *)text.data, text.size);
    json_t *json = output_json_text(copy);
    free(copy);
    return json;
}

json_t *acl_rule_json(const struct acl_rule *rule)
{
    return json_pack("{s:s,s:o,s:s,s:s,s:o,s:s,s:o}", "permission",
                     acl_permission_name(rule->permission), "principal", json_of(rule->principal),
                     "operation", acl_shown_operation(rule->operation), "resource_type",
                     acl_shown_kind(rule->kind), "resource_name", json_of(rule->name), "pattern",
                     acl_pattern_name(rule->pattern), "host", json_of(rule->host));
}

static void print_table(const struct acl_rules *rules)
{
    static const char *const titles[] = {"PERMISSION", "USER",    "OPERATION", "RESOURCE",
                                         "NAME",       "PATTERN", "HOST"};
    struct table table;
    table_init(&table, titles, 7);
    for (size_t i = 0; i < rules->count; i++) {
        const struct acl_rule *rule = &rules->items[i];
        table_cell(&table, "%s", rule->permission == ACL_DENY ? "deny" : "allow");
        table_cell(&table, "%.*s", SLICE_ARGS(rule->principal));
        table_cell(&table, "%s", acl_shown_operation(rule->operation));
        table_cell(&table, "%s", acl_shown_kind(rule->kind));
        table_cell(&table, "%.*s", SLICE_ARGS(rule->name));
        table_cell(&table, "%s", rule->pattern == ACL_PREFIXED ? "prefixed" : "literal");
        table_cell(&table, "%.*s", SLICE_ARGS(rule->host));
    }
    table_print_fitting(&table);
    table_deinit(&table);
}

void acl_print_rules(const struct acl_rules *rules, bool is_json)
{
    if (!is_json) {
        print_table(rules);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < rules->count; i++) {
        json_array_append_new(list, acl_rule_json(&rules->items[i]));
    }
    output_json(list);
}
