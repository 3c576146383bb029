#ifndef TIDINGS_CLI_ACL_JUDGE_H
#define TIDINGS_CLI_ACL_JUDGE_H

#include "cli/security/acl_ask.h"

/* What a cluster decides by its rules and settings, worked out here. Pure. */

enum acl_grounds {
    ACL_BY_NO_AUTHORIZER, /* no rules are kept: everybody may do everything */
    ACL_BY_SUPER_USERS,
    ACL_BY_RULE,
    ACL_BY_NO_RULE,        /* none of those about the resource is about this */
    ACL_BY_NO_RULE_AT_ALL, /* none is about the resource: allow.everyone.if.no.acl.found counts */
};

struct acl_verdict {
    bool is_allowed;
    enum acl_grounds grounds;
    struct acl_rule rule; /* ACL_BY_RULE; borrowed from the set */
};

/* set: NULL when no rules are kept. What the brokers did not tell counts as not set. */
struct acl_verdict acl_judge(const struct acl_set *set, const struct acl_settings *settings,
                             const struct acl_question *question);

/* Whether an operation is one that resources of this kind know. */
bool acl_is_asked(int8_t kind, int8_t operation);

#endif
