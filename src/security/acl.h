#ifndef TIDINGS_SECURITY_ACL_H
#define TIDINGS_SECURITY_ACL_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Rules of access, as Apache Kafka has them: its ACLs, with prefixes (KIP-290) and with what one
 * right implies. Numbers are those of Kafka's protocol (AclOperation, ResourceType, PatternType,
 * AclPermissionType). Pure: rules in memory, and what they decide.
 */
enum acl_kind {
    ACL_ANY_KIND = 1, /* in filters */
    ACL_TOPIC = 2,
    ACL_GROUP = 3,
    ACL_CLUSTER = 4, /* named "kafka-cluster" */
    ACL_TRANSACTIONAL_ID = 5
};

enum acl_pattern {
    ACL_ANY_PATTERN = 1, /* in filters */
    ACL_MATCH = 2,       /* in filters: whatever is about the name, also by prefix and "*" */
    ACL_LITERAL = 3,     /* this name; "*": every one */
    ACL_PREFIXED = 4     /* names that begin so */
};

enum acl_operation {
    ACL_ANY_OPERATION = 1, /* in filters */
    ACL_ALL = 2,
    ACL_READ = 3,
    ACL_WRITE = 4,
    ACL_CREATE = 5,
    ACL_DELETE = 6,
    ACL_ALTER = 7,
    ACL_DESCRIBE = 8, /* implied by READ, WRITE, DELETE and ALTER */
    ACL_CLUSTER_ACTION = 9,
    ACL_DESCRIBE_CONFIGS = 10, /* implied by ALTER_CONFIGS */
    ACL_ALTER_CONFIGS = 11,
    ACL_IDEMPOTENT_WRITE = 12
};

enum acl_permission {
    ACL_ANY_PERMISSION = 1, /* in filters */
    ACL_DENY = 2,
    ACL_ALLOW = 3
};

/* One rule, or in filters what rules have to be like: a null text is any. Texts are borrowed. */
struct acl_rule {
    int8_t kind;
    int8_t pattern;
    int8_t operation;
    int8_t permission;
    struct slice name;      /* of the resource */
    struct slice principal; /* "User:shop"; "User:*": everybody */
    struct slice host;      /* "10.0.0.1"; "*": everywhere */
};

/* Whether it can be a rule. ERR_INVALID says what is wrong with it. */
CHECKED enum err acl_check(const struct acl_rule *rule, struct reason *reason);

/* The same of a filter. */
CHECKED enum err acl_check_filter(const struct acl_rule *filter, struct reason *reason);

/* Whether a rule is one of those that the filter is for. */
bool acl_fits(const struct acl_rule *filter, const struct acl_rule *rule);

/* By kind, name, pattern, principal, host, operation, permission: below 0, 0 or above 0. */
int acl_compare(const struct acl_rule *a, const struct acl_rule *b);

/* "topic", "READ", "PREFIXED", "ALLOW"; static, "?" for a number that is none. */
const char *acl_kind_name(int8_t kind);
const char *acl_operation_name(int8_t operation);
const char *acl_pattern_name(int8_t pattern);
const char *acl_permission_name(int8_t permission);

/* The number of a word, in any case of letters, '-' as good as '_'; -1: it is none. */
int acl_parse_kind(const char *word);
int acl_parse_operation(const char *word);

/* A set of rules. One thread at a time may change it while nobody reads. */
struct acl_set;

/* An empty one. */
struct acl_set *acl_set_new(void);
/* NULL does nothing. */
void acl_set_free(struct acl_set *set);
size_t acl_set_count(const struct acl_set *set);

/* Copies the rule; false: it is there already. */
bool acl_set_add(struct acl_set *set, const struct acl_rule *rule);
/* False: it is not there. */
bool acl_set_remove(struct acl_set *set, const struct acl_rule *rule);
bool acl_set_has(const struct acl_set *set, const struct acl_rule *rule);

/* Calls for each rule that fits, in the order of acl_compare. */
void acl_set_each(const struct acl_set *set, const struct acl_rule *filter,
                  void (*each)(void *context, const struct acl_rule *rule), void *context);

/* What somebody wants to do. */
struct acl_question {
    int8_t kind;
    int8_t operation;
    struct slice name; /* of the resource; null: is there any of its kind with which it may? */
    struct slice principal;
    struct slice host;
};

enum acl_reason {
    ACL_NO_RULE,        /* there are rules for the resource, and none of them allows it */
    ACL_NO_RULE_AT_ALL, /* there are none for the resource */
    ACL_DENIED_BY_RULE,
    ACL_ALLOWED_BY_RULE
};

struct acl_decision {
    enum acl_reason reason;
    struct acl_rule rule; /* that decided, of the last two; borrowed from the set */
};

/*
 * What the rules say: a rule that denies comes before any that allows. Takes a look-up for each
 * length that prefixes of this kind have, however many rules there are.
 */
struct acl_decision acl_decide(const struct acl_set *set, const struct acl_question *question);

#endif
