#ifndef TIDINGS_SECURITY_AUTHORIZER_H
#define TIDINGS_SECURITY_AUTHORIZER_H

#include "security/acl.h"

/*
 * Who may do what on a server: its rules, super.users, and what counts where there is no rule.
 * Deciding takes a lock for reading, some 20 ns; changes are rare, and made one at a time.
 */
struct authorizer;

/*
 * super_users: "User:alice;User:bob". allow_without_rules: allow.everyone.if.no.acl.found, for
 * resources that no rule is about. ERR_CONFIG names what is no principal.
 */
CHECKED enum err authorizer_new(const char *super_users, bool allow_without_rules,
                                struct authorizer **out, struct reason *reason);
/* NULL does nothing. */
void authorizer_free(struct authorizer *authorizer);

/* Whether it may. Any thread. */
bool authorizer_allows(struct authorizer *authorizer, const struct acl_question *question);

/* Is it one of super.users? They may do everything. Any thread. */
bool authorizer_is_super(const struct authorizer *authorizer, struct slice principal);

/* A number that changes with each change of the rules, never 0: whoever has read it decides by
 * those rules or by later ones. Any thread. */
uint64_t authorizer_version(const struct authorizer *authorizer);

/* Calls for the rules that fit, with the lock for reading, in the order of acl_set_each. Any
 * thread. */
void authorizer_each(struct authorizer *authorizer, const struct acl_rule *filter,
                     void (*each)(void *context, const struct acl_rule *rule), void *context);
size_t authorizer_count(struct authorizer *authorizer);
bool authorizer_has(struct authorizer *authorizer, const struct acl_rule *rule);

/* One change at a time: from here to authorizer_end_change nobody else makes one, so that what is
 * stored and what counts are the same. Decisions go on. Any thread that may wait. */
void authorizer_begin_change(struct authorizer *authorizer);
void authorizer_end_change(struct authorizer *authorizer);

/* Counts from the next decision on. Between those two, or before anybody asks. */
void authorizer_add(struct authorizer *authorizer, const struct acl_rule *rule);
void authorizer_remove(struct authorizer *authorizer, const struct acl_rule *rule);

#endif
