#include "../unit.h"

#include "cli/security/acl_judge.h"

/* What `tidings acl explain` works out of a cluster's rules and settings. */

static const struct acl_rule rules[] = {
    {ACL_TOPIC,
     ACL_PREFIXED,
     ACL_WRITE,
     ACL_ALLOW,
     {(const uint8_t *)"ord", 3},
     {(const uint8_t *)"User:shop", 9},
     {(const uint8_t *)"*", 1}},
    {ACL_TOPIC,
     ACL_LITERAL,
     ACL_ALL,
     ACL_DENY,
     {(const uint8_t *)"orders-old", 10},
     {(const uint8_t *)"User:*", 6},
     {(const uint8_t *)"*", 1}},
};

static struct acl_verdict judge(const struct acl_settings *settings, bool has_rules,
                                const char *principal, int8_t operation, const char *topic)
{
    struct acl_set *set = has_rules ? acl_set_new() : NULL;
    const struct acl_question question = {.kind = ACL_TOPIC,
                                          .operation = operation,
                                          .name = slice_str(topic),
                                          .principal = slice_str(principal),
                                          .host = slice_str("")};
    for (size_t i = 0; has_rules && i < sizeof rules / sizeof rules[0]; i++) {
        acl_set_add(set, &rules[i]);
    }
    struct acl_verdict verdict = acl_judge(set, settings, &question);
    acl_set_free(set); /* the verdict's rule is not looked at */
    return verdict;
}

static void test_what_decides_is_named(void **state)
{
    (void)state;
    char supers[] = "User:root; User:ops;", yes[] = "TRUE";
    const struct acl_settings closed = {.super_users = {true, supers}};
    const struct acl_settings open = {.allow_without_rules = {true, yes}};
    static const struct {
        const char *principal, *topic;
        int8_t operation;
        bool is_allowed, is_open, has_rules;
        enum acl_grounds grounds;
    } cases[] = {
        {"User:shop", "orders", ACL_WRITE, true, false, true, ACL_BY_RULE},
        {"User:shop", "orders", ACL_DESCRIBE, true, false, true, ACL_BY_RULE},
        {"User:shop", "orders-old", ACL_WRITE, false, false, true, ACL_BY_RULE},
        {"User:shop", "orders", ACL_READ, false, true, true, ACL_BY_NO_RULE},
        {"User:shop", "bills", ACL_READ, false, false, true, ACL_BY_NO_RULE_AT_ALL},
        {"User:shop", "bills", ACL_READ, true, true, true, ACL_BY_NO_RULE_AT_ALL},
        {"User:ops", "orders-old", ACL_READ, true, false, true, ACL_BY_SUPER_USERS},
        {"User:op", "orders-old", ACL_READ, false, false, true, ACL_BY_RULE},
        {"User:shop", "bills", ACL_READ, true, false, false, ACL_BY_NO_AUTHORIZER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acl_verdict verdict = judge(cases[i].is_open ? &open : &closed, cases[i].has_rules,
                                           cases[i].principal, cases[i].operation, cases[i].topic);
        if (verdict.is_allowed != cases[i].is_allowed || verdict.grounds != cases[i].grounds) {
            fail_msg("case %zu: %d by %d", i, verdict.is_allowed, verdict.grounds);
        }
    }
}

static void test_only_what_a_kind_knows_is_asked(void **state)
{
    (void)state;
    assert_true(acl_is_asked(ACL_TOPIC, ACL_WRITE));
    assert_false(acl_is_asked(ACL_GROUP, ACL_WRITE));
    assert_false(acl_is_asked(ACL_TOPIC, ACL_ALL));
    assert_true(acl_is_asked(ACL_CLUSTER, ACL_IDEMPOTENT_WRITE));
}

static void test_a_rule_is_told_in_words(void **state)
{
    (void)state;
    static const struct {
        struct acl_rule rule;
        const char *words;
    } cases[] = {
        {{ACL_TOPIC,
          ACL_PREFIXED,
          ACL_WRITE,
          ACL_ALLOW,
          {(const uint8_t *)"ord", 3},
          {(const uint8_t *)"User:shop", 9},
          {(const uint8_t *)"*", 1}},
         "allow User:shop WRITE on topic ord (prefixed)"},
        {{ACL_CLUSTER,
          ACL_LITERAL,
          ACL_ALTER,
          ACL_DENY,
          {(const uint8_t *)"kafka-cluster", 13},
          {(const uint8_t *)"User:*", 6},
          {(const uint8_t *)"::1", 3}},
         "deny User:* ALTER on the cluster from ::1"},
        {{ACL_GROUP,
          ACL_LITERAL,
          ACL_READ,
          ACL_ALLOW,
          {(const uint8_t *)"*", 1},
          {(const uint8_t *)"User:a", 6},
          {(const uint8_t *)"*", 1}},
         "allow User:a READ on every group"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text = {0};
        acl_write_rule(&text, &cases[i].rule);
        assert_string_equal(buf_cstr(&text), cases[i].words);
        buf_deinit(&text);
    }
    assert_string_equal(acl_shown_kind(7), "user"); /* Kafka's, which is not served here */
    assert_string_equal(acl_shown_operation(15), "TWO_PHASE_COMMIT");
    assert_string_equal(acl_shown_operation(99), "?");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_decides_is_named),
        cmocka_unit_test(test_only_what_a_kind_knows_is_asked),
        cmocka_unit_test(test_a_rule_is_told_in_words),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
