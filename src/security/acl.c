#include "security/acl.h"

#include "base/utf8.h"

#include <string.h>
#include <strings.h>

/* Rules one by one: words, checks, filters. */

static const char *const kinds[] = {
    [ACL_ANY_KIND] = "any",
    [ACL_TOPIC] = "topic",
    [ACL_GROUP] = "group",
    [ACL_CLUSTER] = "cluster",
    [ACL_TRANSACTIONAL_ID] = "transactional-id",
};
static const char *const patterns[] = {
    [ACL_ANY_PATTERN] = "ANY",
    [ACL_MATCH] = "MATCH",
    [ACL_LITERAL] = "LITERAL",
    [ACL_PREFIXED] = "PREFIXED",
};
static const char *const operations[] = {
    [ACL_ANY_OPERATION] = "ANY",
    [ACL_ALL] = "ALL",
    [ACL_READ] = "READ",
    [ACL_WRITE] = "WRITE",
    [ACL_CREATE] = "CREATE",
    [ACL_DELETE] = "DELETE",
    [ACL_ALTER] = "ALTER",
    [ACL_DESCRIBE] = "DESCRIBE",
    [ACL_CLUSTER_ACTION] = "CLUSTER_ACTION",
    [ACL_DESCRIBE_CONFIGS] = "DESCRIBE_CONFIGS",
    [ACL_ALTER_CONFIGS] = "ALTER_CONFIGS",
    [ACL_IDEMPOTENT_WRITE] = "IDEMPOTENT_WRITE",
};
static const char *const permissions[] = {
    [ACL_ANY_PERMISSION] = "ANY",
    [ACL_DENY] = "DENY",
    [ACL_ALLOW] = "ALLOW",
};

#define COUNT(words) ((int)(sizeof(words) / sizeof(words)[0]))

static const char *word_of(const char *const *words, int count, int number)
{
    return number > 0 && number < count && words[number] != NULL ? words[number] : "?";
}

const char *acl_kind_name(int8_t kind)
{
    return word_of(kinds, COUNT(kinds), kind);
}

const char *acl_operation_name(int8_t operation)
{
    return word_of(operations, COUNT(operations), operation);
}

const char *acl_pattern_name(int8_t pattern)
{
    return word_of(patterns, COUNT(patterns), pattern);
}

const char *acl_permission_name(int8_t permission)
{
    return word_of(permissions, COUNT(permissions), permission);
}

static bool is_word(const char *word, const char *known)
{
    while (*word != '\0' && *known != '\0') {
        char a = *word == '-' ? '_' : *word;
        char b = *known == '-' ? '_' : *known;
        if (strncasecmp(&a, &b, 1) != 0) {
            return false;
        }
        word++;
        known++;
    }
    return *word == *known;
}

static int number_of(const char *const *words, int count, const char *word)
{
    for (int i = 1; i < count; i++) {
        if (words[i] != NULL && is_word(word, words[i])) {
            return i;
        }
    }
    return -1;
}

int acl_parse_kind(const char *word)
{
    return number_of(kinds, COUNT(kinds), word);
}

int acl_parse_operation(const char *word)
{
    return number_of(operations, COUNT(operations), word);
}

/* What can be done with a resource of this kind: Kafka's AclEntry.supportedOperations, as bits. */
static unsigned operations_of(int8_t kind)
{
#define BIT(operation) (1u << ACL_##operation)
    switch (kind) {
    case ACL_TOPIC:
        return BIT(READ) | BIT(WRITE) | BIT(CREATE) | BIT(DELETE) | BIT(ALTER) | BIT(DESCRIBE) |
               BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS);
    case ACL_GROUP:
        return BIT(READ) | BIT(DELETE) | BIT(DESCRIBE) | BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS);
    case ACL_CLUSTER:
        return BIT(CREATE) | BIT(ALTER) | BIT(DESCRIBE) | BIT(CLUSTER_ACTION) |
               BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS) | BIT(IDEMPOTENT_WRITE);
    case ACL_TRANSACTIONAL_ID:
        return BIT(WRITE) | BIT(DESCRIBE);
    default:
        return 0;
    }
#undef BIT
}

static bool is_principal(struct slice principal)
{
    const uint8_t *colon = slice_find(principal, ':');
    return colon != NULL && colon != principal.data && colon != principal.data + principal.size - 1;
}

/* A name that is long is no resource's; what the server keeps of it is bounded. */
enum { TEXT_MOST = 1024 };

static bool is_utf8(struct slice text)
{
    for (size_t size; text.size > 0; text = slice_of(text.data + size, text.size - size)) {
        size = utf8_sequence(text);
        if (size == 0) {
            return false;
        }
    }
    return true;
}

static enum err check_texts(const struct acl_rule *rule, struct reason *reason)
{
    const struct slice texts[] = {rule->name, rule->principal, rule->host};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].size > TEXT_MOST || slice_find(texts[i], '\0') != NULL || !is_utf8(texts[i])) {
            return reason_fail(reason, ERR_INVALID,
                               "a name, principal or host of a rule is text in UTF-8 of at most %d "
                               "bytes, and none is zero",
                               TEXT_MOST);
        }
    }
    return ERR_NONE;
}

enum err acl_check(const struct acl_rule *rule, struct reason *reason)
{
    unsigned known = operations_of(rule->kind);
    if (known == 0) {
        return reason_fail(reason, ERR_INVALID, "kind of resource %d is not served", rule->kind);
    }
    if (rule->pattern != ACL_LITERAL && rule->pattern != ACL_PREFIXED) {
        return reason_fail(reason, ERR_INVALID, "a rule's pattern is LITERAL or PREFIXED, not %s",
                           acl_pattern_name(rule->pattern));
    }
    if (rule->permission != ACL_ALLOW && rule->permission != ACL_DENY) {
        return reason_fail(reason, ERR_INVALID, "a rule's permission is ALLOW or DENY, not %s",
                           acl_permission_name(rule->permission));
    }
    bool is_operation = rule->operation > 0 && rule->operation < COUNT(operations);
    if (!is_operation || !(rule->operation == ACL_ALL || (known >> rule->operation & 1))) {
        return reason_fail(reason, ERR_INVALID, "operation %s is none on a resource of kind %s",
                           acl_operation_name(rule->operation), acl_kind_name(rule->kind));
    }
    if (rule->name.size == 0 ||
        (rule->kind == ACL_CLUSTER && rule->pattern == ACL_LITERAL &&
         !slice_equal_str(rule->name, "kafka-cluster") && !slice_equal_str(rule->name, "*"))) {
        return reason_fail(reason, ERR_INVALID,
                           "a rule needs the name of its resource, and the cluster's is "
                           "kafka-cluster");
    }
    if (!is_principal(rule->principal) || rule->host.size == 0) {
        return reason_fail(
            reason, ERR_INVALID,
            "a rule needs a principal as User:shop or User:*, and a host as 10.0.0.1 "
            "or *");
    }
    return check_texts(rule, reason);
}

enum err acl_check_filter(const struct acl_rule *filter, struct reason *reason)
{
    if (filter->kind < 1 || filter->pattern < 1 || filter->pattern > ACL_PREFIXED ||
        filter->operation < 1 || filter->operation >= COUNT(operations) || filter->permission < 1 ||
        filter->permission > ACL_ALLOW) {
        return reason_fail(reason, ERR_INVALID, "the filter has a number that means nothing");
    }
    return ERR_NONE;
}

static bool is_text(struct slice filter, struct slice text)
{
    return slice_is_null(filter) || slice_equal(filter, text);
}

static bool starts_with(struct slice text, struct slice prefix)
{
    return text.size >= prefix.size && slice_equal(slice_of(text.data, prefix.size), prefix);
}

static bool fits_resource(const struct acl_rule *filter, const struct acl_rule *rule)
{
    if (filter->kind != ACL_ANY_KIND && filter->kind != rule->kind) {
        return false;
    }
    if (filter->pattern == ACL_MATCH && !slice_is_null(filter->name)) {
        return rule->pattern == ACL_PREFIXED
                   ? starts_with(filter->name, rule->name)
                   : slice_equal(filter->name, rule->name) || slice_equal_str(rule->name, "*");
    }
    return (filter->pattern == ACL_ANY_PATTERN || filter->pattern == ACL_MATCH ||
            filter->pattern == rule->pattern) &&
           is_text(filter->name, rule->name);
}

bool acl_fits(const struct acl_rule *filter, const struct acl_rule *rule)
{
    return fits_resource(filter, rule) && is_text(filter->principal, rule->principal) &&
           is_text(filter->host, rule->host) &&
           (filter->operation == ACL_ANY_OPERATION || filter->operation == rule->operation) &&
           (filter->permission == ACL_ANY_PERMISSION || filter->permission == rule->permission);
}

int acl_compare(const struct acl_rule *a, const struct acl_rule *b)
{
    int order = a->kind - b->kind;
    order = order != 0 ? order : slice_compare(a->name, b->name);
    order = order != 0 ? order : a->pattern - b->pattern;
    order = order != 0 ? order : slice_compare(a->principal, b->principal);
    order = order != 0 ? order : slice_compare(a->host, b->host);
    order = order != 0 ? order : a->operation - b->operation;
    return order != 0 ? order : a->permission - b->permission;
}
