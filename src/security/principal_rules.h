#ifndef TIDINGS_SECURITY_PRINCIPAL_RULES_H
#define TIDINGS_SECURITY_PRINCIPAL_RULES_H

#include "base/err.h"

/*
 * Who a client is by its certificate: ssl.principal.mapping.rules, as Apache Kafka has it. Rules
 * stand behind each other with commas; the first that fits decides:
 * DEFAULT                      the whole subject, "CN=shop,OU=sales"
 * RULE:PATTERN/REPLACEMENT/    the regular expression fits the whole subject; $1 to $9 in the
 *                              replacement stand for its groups. A slash within is written \/.
 * RULE:PATTERN/REPLACEMENT/L   the same in small letters, or capital ones (U), of ASCII.
 */
struct principal_rules;

/* ERR_CONFIG says which rule is wrong, and why. */
CHECKED enum err principal_rules_new(const char *text, struct principal_rules **out,
                                     struct reason *reason);
/* NULL does nothing. */
void principal_rules_free(struct principal_rules *rules);

/*
 * The name for a certificate's subject (RFC 2253), to be freed; NULL: no rule fits, or one took too
 * many steps. Any thread.
 */
char *principal_rules_apply(const struct principal_rules *rules, const char *subject);

#endif
