#include "base/clock.h"
#include "base/mem.h"
#include "security/authorizer.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * What a decision takes with so many rules: bench-acl [RULES] (10,000). Half of the rules are by
 * prefix, of three lengths; half of the questions are about names that a rule allows.
 */

enum { NAMES = 1000, ROUNDS = 1000 };

static void fill(struct authorizer *authorizer, int rules)
{
    authorizer_begin_change(authorizer);
    for (int i = 0; i < rules; i++) {
        char name[32], principal[32];
        snprintf(name, sizeof name, "topic-%0*d", 4 + i % 3, i % NAMES);
        snprintf(principal, sizeof principal, "User:service-%d", i / NAMES);
        const struct acl_rule rule = {.kind = ACL_TOPIC,
                                      .pattern = i % 2 == 0 ? ACL_LITERAL : ACL_PREFIXED,
                                      .operation = ACL_READ,
                                      .permission = ACL_ALLOW,
                                      .name = slice_str(name),
                                      .principal = slice_str(principal),
                                      .host = slice_str("*")};
        authorizer_add(authorizer, &rule);
    }
    authorizer_end_change(authorizer);
}

int main(int argc, char **argv)
{
    int rules = argc > 1 ? atoi(argv[1]) : 10000;
    struct authorizer *authorizer;
    struct reason reason;
    char names[NAMES][32];
    long allowed = 0;
    if (rules < 1 || authorizer_new("User:root", false, &authorizer, &reason) != ERR_NONE) {
        return 2;
    }
    fill(authorizer, rules);
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof names[i], "topic-%0*d", 4 + i % 3, i);
    }
    int64_t began_ns = clock_now_ns();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < NAMES; i++) {
            const struct acl_question question = {
                .kind = ACL_TOPIC,
                .operation = i % 2 == 0 ? ACL_READ : ACL_WRITE,
                .name = slice_str(names[i]),
                .principal = slice_str("User:service-3"),
                .host = slice_str("127.0.0.1"),
            };
            allowed += authorizer_allows(authorizer, &question);
        }
    }
    double each_ns = (double)(clock_now_ns() - began_ns) / ROUNDS / NAMES;
    printf("%zu rules, %d questions, %ld allowed: %.0f ns each\n", authorizer_count(authorizer),
           ROUNDS * NAMES, allowed, each_ns);
    authorizer_free(authorizer);
    return 0;
}
