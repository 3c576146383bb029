#include "cli/security/acl_judge.h"

#include <string.h>
#include <strings.h>

/* "User:alice;User:bob" */
static bool is_super(const struct acl_settings *settings, struct slice principal)
{
    const char *at = settings->super_users.value != NULL ? settings->super_users.value : "";
    while (*at != '\0') {
        at += strspn(at, "; ");
        struct slice one = slice_of(at, strcspn(at, ";"));
        if (one.size > 0 && slice_equal(one, principal)) {
            return true;
        }
        at += one.size;
    }
    return false;
}

struct acl_verdict acl_judge(const struct acl_set *set, const struct acl_settings *settings,
                             const struct acl_question *question)
{
    if (set == NULL) {
        return (struct acl_verdict){.is_allowed = true, .grounds = ACL_BY_NO_AUTHORIZER};
    }
    if (is_super(settings, question->principal)) {
        return (struct acl_verdict){.is_allowed = true, .grounds = ACL_BY_SUPER_USERS};
    }
    struct acl_decision decision = acl_decide(set, question);
    switch (decision.reason) {
    case ACL_ALLOWED_BY_RULE:
    case ACL_DENIED_BY_RULE:
        return (struct acl_verdict){.is_allowed = decision.reason == ACL_ALLOWED_BY_RULE,
                                    .grounds = ACL_BY_RULE,
                                    .rule = decision.rule};
    case ACL_NO_RULE_AT_ALL: {
        const char *open = settings->allow_without_rules.value;
        return (struct acl_verdict){.is_allowed = open != NULL && strcasecmp(open, "true") == 0,
                                    .grounds = ACL_BY_NO_RULE_AT_ALL};
    }
    default:
        return (struct acl_verdict){.grounds = ACL_BY_NO_RULE};
    }
}

bool acl_is_asked(int8_t kind, int8_t operation)
{
    struct reason reason;
    const struct acl_rule rule = {.kind = kind,
                                  .pattern = ACL_LITERAL,
                                  .operation = operation,
                                  .permission = ACL_ALLOW,
                                  .name = slice_str("*"),
                                  .principal = slice_str("User:*"),
                                  .host = slice_str("*")};
    return operation > ACL_ALL && acl_check(&rule, &reason) == ERR_NONE;
}
