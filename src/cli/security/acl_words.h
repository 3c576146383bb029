#ifndef TIDINGS_CLI_ACL_WORDS_H
#define TIDINGS_CLI_ACL_WORDS_H

#include "base/arena.h"
#include "base/vec.h"
#include "cli/base/options.h"
#include "cli/base/output.h"
#include "security/acl.h"

/* How rules are written and shown in `tidings acl`. One thread. */

/* Rules with the texts they have, in the arena. Zero-initialised is empty. */
struct acl_rules {
    VEC_FIELDS(struct acl_rule);
    struct arena arena;
};
/* Frees them; empty then. */
void acl_rules_deinit(struct acl_rules *rules);

/* Adds a copy. */
void acl_rules_add(struct acl_rules *rules, const struct acl_rule *rule);

/* What rules have to be like: the options of list and remove, and what they were given. NULL: any.
 */
struct acl_filter_options {
    const char *user;
    const char *host;
    const char *operation;
    const char *permission;
    const char *pattern;
};

/* Their rows. */
struct option_set acl_filter_option_set(struct acl_filter_options *options);

/*
 * Makes a filter of them and of a RESOURCE (NULL: any). pattern: what is meant when a name is
 * given without --pattern. Texts are in the arena. EXIT_USAGE (told).
 */
int acl_parse_filter(const struct help_page *page, const struct acl_filter_options *options,
                     const char *resource, int8_t pattern, struct arena *arena,
                     struct acl_rule *filter);

/* "topic:orders", "cluster" into kind and name, which is null for a kind alone. EXIT_USAGE (told).
 */
int acl_parse_resource(const struct help_page *page, const char *text, int8_t *kind,
                       struct slice *name);
/* "write". EXIT_USAGE (told). */
int acl_parse_operation_word(const struct help_page *page, const char *word, int8_t *operation);
/* "literal" or "prefixed", or whatever filters have as well. EXIT_USAGE (told). */
int acl_parse_pattern(const struct help_page *page, const char *word, bool is_filter,
                      int8_t *pattern);
/* "allow" or "deny". EXIT_USAGE (told). */
int acl_parse_permission(const struct help_page *page, const char *word, int8_t *permission);
/* "shop" is "User:shop"; in the arena. */
struct slice acl_principal(struct arena *arena, const char *user);

/* Words for what other clusters have as well: "user" of a kind that is not served here. */
const char *acl_shown_kind(int8_t kind);
const char *acl_shown_operation(int8_t operation);

/* "allow User:shop WRITE on topic orders (prefixed) from 10.0.0.1", appended. */
void acl_write_rule(struct buf *to, const struct acl_rule *rule);

/* The rule as an object. */
json_t *acl_rule_json(const struct acl_rule *rule);

/* A list, or a table. */
void acl_print_rules(const struct acl_rules *rules, bool is_json);

#endif
