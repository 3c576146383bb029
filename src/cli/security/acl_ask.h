#ifndef TIDINGS_CLI_ACL_ASK_H
#define TIDINGS_CLI_ACL_ASK_H

#include "cli/bus/raw_bus.h"
#include "cli/security/acl_words.h"

/*
 * What `tidings acl` asks of a cluster, in the first versions of its requests that know prefixes
 * (Kafka 2.0 to 4): librdkafka 2.0.2 knows no rules about transactional ids. Failures are told, and
 * the exit code comes back. One thread.
 */

/* Finds the brokers, in --timeout. Deinit in any case. */
int acl_ask_begin(struct raw_bus *bus, const struct bus_options *options);

/* Adds the rules that fit, in the order of acl_set_each. is_off: no rules are kept there; NULL:
 * that is a failure. */
int acl_ask_rules(struct raw_bus *bus, const struct acl_rule *filter, struct acl_rules *rules,
                  bool *is_off);

/* Makes rules. Each one that is refused is told; codes (one each) are then not 0. */
int acl_ask_add(struct raw_bus *bus, const struct acl_rules *rules, int16_t *codes);

/* Takes away all that fit, and adds them to `removed`. */
int acl_ask_remove(struct raw_bus *bus, const struct acl_rule *filter, struct acl_rules *removed);

/* A setting of the brokers that decides about rights. */
struct acl_setting {
    bool is_told; /* the broker said what it is, or that there is none */
    char *value;  /* NULL: none */
};
struct acl_settings {
    struct acl_setting authorizer, super_users, allow_without_rules;
};
/* What is not told stays so. Deinit them. */
void acl_ask_settings(struct raw_bus *bus, struct acl_settings *settings);
void acl_settings_deinit(struct acl_settings *settings);

#endif
