#include "../unit.h"

#include "base/random.h"
#include "security/acl.h"
#include "security/authorizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct acl_rule rule(int8_t permission, const char *principal, int8_t operation, int8_t kind,
                            int8_t pattern, const char *name)
{
    return (struct acl_rule){.kind = kind,
                             .pattern = pattern,
                             .operation = operation,
                             .permission = permission,
                             .name = slice_str(name),
                             .principal = slice_str(principal),
                             .host = slice_str("*")};
}

static struct acl_rule on_topic(int8_t permission, const char *principal, int8_t operation,
                                const char *name)
{
    size_t size = strlen(name);
    bool is_prefix = size > 1 && name[size - 1] == '*';
    struct acl_rule one = rule(permission, principal, operation, ACL_TOPIC,
                               is_prefix ? ACL_PREFIXED : ACL_LITERAL, name);
    one.name.size -= is_prefix;
    return one;
}

static struct acl_decision decide(const struct acl_set *set, const char *principal,
                                  int8_t operation, const char *topic)
{
    const struct acl_question question = {
        .kind = ACL_TOPIC,
        .operation = operation,
        .name = topic != NULL ? slice_str(topic) : (struct slice){0},
        .principal = slice_str(principal),
        .host = slice_str("10.0.0.1"),
    };
    return acl_decide(set, &question);
}

static bool may(const struct acl_set *set, const char *principal, int8_t operation,
                const char *topic)
{
    return decide(set, principal, operation, topic).reason == ACL_ALLOWED_BY_RULE;
}

static void add(struct acl_set *set, struct acl_rule one)
{
    struct reason reason;
    assert_int_equal(acl_check(&one, &reason), ERR_NONE);
    assert_true(acl_set_add(set, &one));
}

static void test_a_rule_is_for_its_name_its_principal_and_its_operation(void **state)
{
    (void)state;
    struct acl_set *set = acl_set_new();
    assert_int_equal(decide(set, "User:a", ACL_READ, "orders").reason, ACL_NO_RULE_AT_ALL);
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_READ, "orders"));
    assert_true(may(set, "User:a", ACL_READ, "orders"));
    assert_int_equal(decide(set, "User:b", ACL_READ, "orders").reason, ACL_NO_RULE);
    assert_int_equal(decide(set, "User:a", ACL_WRITE, "orders").reason, ACL_NO_RULE);
    assert_int_equal(decide(set, "User:a", ACL_READ, "orders2").reason, ACL_NO_RULE_AT_ALL);
    assert_int_equal(decide(set, "User:a", ACL_READ, "order").reason, ACL_NO_RULE_AT_ALL);
    acl_set_free(set);
}

static void test_a_prefix_and_a_star_are_for_many_names(void **state)
{
    (void)state;
    struct acl_set *set = acl_set_new();
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_READ, "ord*"));
    assert_true(may(set, "User:a", ACL_READ, "orders"));
    assert_true(may(set, "User:a", ACL_READ, "ord"));
    assert_false(may(set, "User:a", ACL_READ, "or"));
    add(set, on_topic(ACL_ALLOW, "User:b", ACL_READ, "*"));
    assert_true(may(set, "User:b", ACL_READ, "anything"));
    add(set, on_topic(ACL_ALLOW, "User:*", ACL_WRITE, "inbox"));
    assert_true(may(set, "User:whoever", ACL_WRITE, "inbox"));
    acl_set_free(set);
}

static void test_what_denies_comes_first(void **state)
{
    (void)state;
    struct acl_set *set = acl_set_new();
    add(set, on_topic(ACL_ALLOW, "User:*", ACL_ALL, "*"));
    add(set, on_topic(ACL_DENY, "User:a", ACL_READ, "secret*"));
    assert_true(may(set, "User:a", ACL_READ, "open"));
    struct acl_decision decision = decide(set, "User:a", ACL_READ, "secret-plans");
    assert_int_equal(decision.reason, ACL_DENIED_BY_RULE);
    assert_true(slice_equal_str(decision.rule.name, "secret"));
    assert_int_equal(decision.rule.pattern, ACL_PREFIXED);
    assert_true(may(set, "User:b", ACL_READ, "secret-plans"));
    add(set, on_topic(ACL_DENY, "User:*", ACL_ALL, "secret-plans"));
    assert_false(may(set, "User:b", ACL_READ, "secret-plans"));
    acl_set_free(set);
}

/* Kafka: READ, WRITE, DELETE and ALTER allow DESCRIBE, ALTER_CONFIGS allows DESCRIBE_CONFIGS; no
 * denial says anything of another operation. */
static void test_one_right_implies_another_and_no_denial_does(void **state)
{
    (void)state;
    static const int8_t of_describe[] = {ACL_READ, ACL_WRITE, ACL_DELETE, ACL_ALTER, ACL_ALL};
    for (size_t i = 0; i < sizeof of_describe; i++) {
        struct acl_set *set = acl_set_new();
        add(set, on_topic(ACL_ALLOW, "User:a", of_describe[i], "t"));
        assert_true(may(set, "User:a", ACL_DESCRIBE, "t"));
        acl_set_free(set);
    }
    struct acl_set *set = acl_set_new();
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_CREATE, "t"));
    assert_false(may(set, "User:a", ACL_DESCRIBE, "t"));
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_ALTER_CONFIGS, "t"));
    assert_true(may(set, "User:a", ACL_DESCRIBE_CONFIGS, "t"));
    assert_false(may(set, "User:a", ACL_DESCRIBE, "t"));
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_DESCRIBE, "t"));
    add(set, on_topic(ACL_DENY, "User:a", ACL_READ, "t"));
    assert_true(may(set, "User:a", ACL_DESCRIBE, "t"));
    assert_false(may(set, "User:a", ACL_READ, "t"));
    acl_set_free(set);
}

static void test_a_rule_may_be_for_one_host(void **state)
{
    (void)state;
    struct acl_set *set = acl_set_new();
    struct acl_rule one = on_topic(ACL_ALLOW, "User:a", ACL_READ, "t");
    one.host = slice_str("10.0.0.2");
    add(set, one);
    assert_false(may(set, "User:a", ACL_READ, "t"));
    one.host = slice_str("10.0.0.1");
    add(set, one);
    assert_true(may(set, "User:a", ACL_READ, "t"));
    assert_int_equal(acl_set_count(set), 2);
    acl_set_free(set);
}

/* KIP-679: is there any resource with which it may? */
static void test_any_name_will_do_unless_all_that_is_allowed_is_denied(void **state)
{
    (void)state;
    static const struct {
        const char *allowed;
        const char *denied;
        bool may;
    } cases[] = {
        {"a", NULL, true},   {"a*", NULL, true},   {"*", NULL, true},   {"a", "a", false},
        {"ab", "a*", false}, {"ab*", "a*", false}, {"a*", "ab*", true}, {"a*", "a", true},
        {"a", "*", false},   {"*", "*", false},    {"*", "a*", true},   {NULL, "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_set *set = acl_set_new();
        if (cases[i].allowed != NULL) {
            add(set, on_topic(ACL_ALLOW, "User:a", ACL_WRITE, cases[i].allowed));
        }
        if (cases[i].denied != NULL) {
            add(set, on_topic(ACL_DENY, "User:a", ACL_WRITE, cases[i].denied));
        }
        if (may(set, "User:a", ACL_WRITE, NULL) != cases[i].may) {
            fail_msg("case %zu", i);
        }
        assert_false(may(set, "User:b", ACL_WRITE, NULL));
        acl_set_free(set);
    }
}

static void test_what_cannot_be_a_rule_is_refused(void **state)
{
    (void)state;
    struct reason reason;
    static char long_name[1026];
    memset(long_name, 'a', sizeof long_name - 1);
    const struct acl_rule good = on_topic(ACL_ALLOW, "User:a", ACL_READ, "t");
    assert_int_equal(acl_check(&good, &reason), ERR_NONE);
    struct acl_rule bad[16];
    size_t count = 0;
#define BAD(member, value)                                                                         \
    bad[count] = good;                                                                             \
    bad[count++].member = value
    BAD(kind, 0);
    BAD(kind, ACL_ANY_KIND);
    BAD(kind, 6);
    BAD(pattern, ACL_MATCH);
    BAD(pattern, 5);
    BAD(operation, ACL_ANY_OPERATION);
    BAD(operation, ACL_IDEMPOTENT_WRITE);
    BAD(operation, 13);
    BAD(operation, -1);
    BAD(permission, ACL_ANY_PERMISSION);
    BAD(name, slice_str(""));
    BAD(name, slice_str(long_name));
    BAD(principal, slice_str("nobody"));
    BAD(principal, slice_str("User:"));
    BAD(host, slice_str(""));
    BAD(host, slice_str("\xff"));
    for (size_t i = 0; i < count; i++) {
        if (acl_check(&bad[i], &reason) != ERR_INVALID) {
            fail_msg("rule %zu", i);
        }
    }
    struct acl_rule cluster =
        rule(ACL_ALLOW, "User:a", ACL_CREATE, ACL_CLUSTER, ACL_LITERAL, "kafka-cluster");
    assert_int_equal(acl_check(&cluster, &reason), ERR_NONE);
    cluster.name = slice_str("other");
    assert_int_equal(acl_check(&cluster, &reason), ERR_INVALID);
}

/* ResourcePatternFilter.matches and AccessControlEntryFilter.matches of Kafka. */
static void test_filters_choose_rules(void **state)
{
    (void)state;
    const struct acl_rule literal = on_topic(ACL_ALLOW, "User:a", ACL_READ, "orders");
    const struct acl_rule prefix = on_topic(ACL_DENY, "User:b", ACL_WRITE, "ord*");
    const struct acl_rule star = on_topic(ACL_ALLOW, "User:*", ACL_ALL, "*");
    struct acl_rule filter = {.kind = ACL_ANY_KIND,
                              .pattern = ACL_ANY_PATTERN,
                              .operation = ACL_ANY_OPERATION,
                              .permission = ACL_ANY_PERMISSION};
    assert_true(acl_fits(&filter, &literal) && acl_fits(&filter, &prefix));
    filter.name = slice_str("orders");
    assert_true(acl_fits(&filter, &literal));
    assert_false(acl_fits(&filter, &prefix) || acl_fits(&filter, &star));
    filter.pattern = ACL_MATCH;
    assert_true(acl_fits(&filter, &literal) && acl_fits(&filter, &prefix) &&
                acl_fits(&filter, &star));
    filter.name = slice_str("or");
    assert_false(acl_fits(&filter, &literal) || acl_fits(&filter, &prefix));
    filter.pattern = ACL_PREFIXED;
    filter.name = slice_str("ord");
    assert_true(acl_fits(&filter, &prefix));
    filter.name = slice_str("orders");
    assert_false(acl_fits(&filter, &prefix) || acl_fits(&filter, &literal));
    filter = (struct acl_rule){.kind = ACL_GROUP, .pattern = 1, .operation = 1, .permission = 1};
    assert_false(acl_fits(&filter, &literal));
    filter.kind = ACL_TOPIC;
    filter.principal = slice_str("User:a");
    assert_true(acl_fits(&filter, &literal));
    assert_false(acl_fits(&filter, &prefix) || acl_fits(&filter, &star));
    filter.permission = ACL_DENY;
    assert_false(acl_fits(&filter, &literal));
}

/* ---- any rules, beside the plain way to decide ---- */

enum { RULES = 60, RUNS = 400 };

struct model {
    struct acl_rule rules[RULES];
    bool is_there[RULES];
};

static const char *const names[] = {"*", "a", "ab", "abc", "b", "bc"};
static const char *const principals[] = {"User:*", "User:x", "User:y"};
static const char *const hosts[] = {"*", "10.0.0.1", "10.0.0.2"};

static bool model_names(const struct acl_rule *one, struct slice name)
{
    if (one->pattern == ACL_PREFIXED) {
        return name.size >= one->name.size &&
               memcmp(name.data, one->name.data, one->name.size) == 0;
    }
    return slice_equal(one->name, name) || slice_equal_str(one->name, "*");
}

static enum acl_reason model_decide(const struct model *model, const struct acl_question *question)
{
    enum acl_reason found = ACL_NO_RULE_AT_ALL;
    for (size_t i = 0; i < RULES; i++) {
        const struct acl_rule *one = &model->rules[i];
        if (!model->is_there[i] || one->kind != question->kind ||
            !model_names(one, question->name)) {
            continue;
        }
        found = found == ACL_NO_RULE_AT_ALL ? ACL_NO_RULE : found;
        bool of_who = (slice_equal(one->principal, question->principal) ||
                       slice_equal_str(one->principal, "User:*")) &&
                      (slice_equal(one->host, question->host) || slice_equal_str(one->host, "*"));
        bool of_what = one->operation == question->operation || one->operation == ACL_ALL;
        bool implied = question->operation == ACL_DESCRIBE &&
                       (one->operation == ACL_READ || one->operation == ACL_WRITE);
        if (of_who && of_what && one->permission == ACL_DENY) {
            return ACL_DENIED_BY_RULE;
        }
        if (of_who && (of_what || implied) && one->permission == ACL_ALLOW) {
            found = ACL_ALLOWED_BY_RULE;
        }
    }
    return found;
}

static struct random chance = {.state = 1};

#define BELOW(bound) random_below(&chance, (bound))
#define ANY_OF(list) list[BELOW(sizeof(list) / sizeof(list)[0])]

static struct acl_rule any_rule(void)
{
    static const int8_t operations[] = {ACL_READ, ACL_WRITE, ACL_DESCRIBE, ACL_ALL};
    struct acl_rule one =
        rule(BELOW(3) == 0 ? ACL_DENY : ACL_ALLOW, ANY_OF(principals), ANY_OF(operations),
             ACL_TOPIC, BELOW(2) == 0 ? ACL_LITERAL : ACL_PREFIXED, ANY_OF(names));
    one.host = slice_str(ANY_OF(hosts));
    return one;
}

static void compare(const struct acl_set *set, const struct model *model)
{
    static const int8_t operations[] = {ACL_READ, ACL_WRITE, ACL_DESCRIBE, ACL_CREATE};
    for (int i = 0; i < 50; i++) {
        const struct acl_question question = {
            .kind = ACL_TOPIC,
            .operation = ANY_OF(operations),
            .name = slice_str(names[1 + BELOW(5)]),
            .principal = slice_str(principals[1 + BELOW(2)]),
            .host = slice_str(hosts[1 + BELOW(2)]),
        };
        assert_int_equal(acl_decide(set, &question).reason, model_decide(model, &question));
    }
}

static void test_any_rules_decide_as_looking_at_each_does(void **state)
{
    (void)state;
    for (int run = 0; run < RUNS; run++) {
        struct acl_set *set = acl_set_new();
        struct model model = {.is_there = {false}};
        size_t count = 0;
        for (size_t i = 0; i < RULES; i++) {
            model.rules[i] = any_rule();
            model.is_there[i] = acl_set_add(set, &model.rules[i]);
            count += model.is_there[i];
            size_t other = BELOW((uint32_t)(i + 1));
            if (BELOW(3) == 0 && model.is_there[other]) {
                assert_true(acl_set_remove(set, &model.rules[other]));
                assert_false(acl_set_has(set, &model.rules[other]));
                model.is_there[other] = false;
                count--;
            }
            assert_int_equal(acl_set_count(set), count);
        }
        compare(set, &model);
        acl_set_free(set);
    }
}

static void note(void *context, const struct acl_rule *one)
{
    struct {
        size_t count;
        char text[512];
    } *list = context;
    size_t at = strlen(list->text);
    snprintf(list->text + at, sizeof list->text - at, "%.*s ", SLICE_ARGS(one->name));
    list->count++;
}

static void test_rules_are_told_in_order(void **state)
{
    (void)state;
    struct acl_set *set = acl_set_new();
    struct {
        size_t count;
        char text[512];
    } list = {0};
    const struct acl_rule every = {.kind = 1, .pattern = 1, .operation = 1, .permission = 1};
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_READ, "c"));
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_READ, "a"));
    add(set, on_topic(ACL_ALLOW, "User:a", ACL_READ, "b*"));
    add(set, rule(ACL_ALLOW, "User:a", ACL_READ, ACL_GROUP, ACL_LITERAL, "g"));
    acl_set_each(set, &every, note, &list);
    assert_string_equal(list.text, "a b c g ");
    acl_set_free(set);
}

static void test_super_users_and_what_no_rule_is_about(void **state)
{
    (void)state;
    struct reason reason;
    struct authorizer *strict;
    struct authorizer *open;
    assert_int_equal(authorizer_new("nobody", false, &strict, &reason), ERR_CONFIG);
    assert_non_null(strstr(reason.text, "'nobody'"));
    assert_int_equal(authorizer_new("User:root;User:ops", false, &strict, &reason), ERR_NONE);
    assert_int_equal(authorizer_new("", true, &open, &reason), ERR_NONE);
    struct acl_question question = {.kind = ACL_TOPIC,
                                    .operation = ACL_READ,
                                    .name = slice_str("t"),
                                    .principal = slice_str("User:ops"),
                                    .host = slice_str("::1")};
    assert_true(authorizer_allows(strict, &question));
    question.principal = slice_str("User:a");
    assert_false(authorizer_allows(strict, &question));
    assert_true(authorizer_allows(open, &question));
    const struct acl_rule one = on_topic(ACL_ALLOW, "User:b", ACL_READ, "t");
    authorizer_begin_change(open);
    authorizer_add(open, &one);
    authorizer_end_change(open);
    assert_false(authorizer_allows(open, &question)); /* there is a rule now, and not for it */
    authorizer_begin_change(open);
    authorizer_remove(open, &one);
    authorizer_end_change(open);
    assert_true(authorizer_allows(open, &question));
    authorizer_free(strict);
    authorizer_free(open);
}

static void test_words_of_people_are_understood(void **state)
{
    (void)state;
    assert_int_equal(acl_parse_operation("read"), ACL_READ);
    assert_int_equal(acl_parse_operation("Describe-Configs"), ACL_DESCRIBE_CONFIGS);
    assert_int_equal(acl_parse_operation("DESCRIBE_CONFIGS"), ACL_DESCRIBE_CONFIGS);
    assert_int_equal(acl_parse_operation("rea"), -1);
    assert_int_equal(acl_parse_kind("transactional_id"), ACL_TRANSACTIONAL_ID);
    assert_string_equal(acl_operation_name(99), "?");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rule_is_for_its_name_its_principal_and_its_operation),
        cmocka_unit_test(test_a_prefix_and_a_star_are_for_many_names),
        cmocka_unit_test(test_what_denies_comes_first),
        cmocka_unit_test(test_one_right_implies_another_and_no_denial_does),
        cmocka_unit_test(test_a_rule_may_be_for_one_host),
        cmocka_unit_test(test_any_name_will_do_unless_all_that_is_allowed_is_denied),
        cmocka_unit_test(test_what_cannot_be_a_rule_is_refused),
        cmocka_unit_test(test_filters_choose_rules),
        cmocka_unit_test(test_any_rules_decide_as_looking_at_each_does),
        cmocka_unit_test(test_rules_are_told_in_order),
        cmocka_unit_test(test_super_users_and_what_no_rule_is_about),
        cmocka_unit_test(test_words_of_people_are_understood),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
