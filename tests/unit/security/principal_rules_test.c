#include "../unit.h"

#include "base/buf.h"
#include "security/principal_rules.h"

#include <stdlib.h>
#include <string.h>

/* Who a client is by its certificate. What is expected of the rules is what Apache Kafka does with
 * the same ones (KIP-371). */

static struct principal_rules *rules_of(const char *text)
{
    struct principal_rules *rules = NULL;
    struct reason reason = {""};
    if (principal_rules_new(text, &rules, &reason) != ERR_NONE) {
        fail_msg("%s: %s", text, reason.text);
    }
    return rules;
}

/* expected NULL: no rule fits. */
static void expect_name(const char *text, const char *subject, const char *expected)
{
    struct principal_rules *rules = rules_of(text);
    char *name = principal_rules_apply(rules, subject);
    if (expected == NULL) {
        assert_null(name);
    } else {
        assert_non_null(name);
        assert_string_equal(name, expected);
    }
    free(name);
    principal_rules_free(rules);
}

static void expect_refused(const char *text, const char *why)
{
    struct principal_rules *rules = NULL;
    struct reason reason = {""};
    if (principal_rules_new(text, &rules, &reason) != ERR_CONFIG) {
        fail_msg("taken: %s", text);
    }
    if (strstr(reason.text, "ssl.principal.mapping.rules") == NULL ||
        strstr(reason.text, why) == NULL) {
        fail_msg("'%s' does not say '%s'", reason.text, why);
    }
}

static void test_rules_of_kafka_name_clients_as_kafka_does(void **state)
{
    (void)state;
    static const char rules[] =
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, "
        "RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, "
        "RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, "
        "RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT";
    expect_name(rules, "CN=Duke,OU=ServiceUsers,O=Org,C=US", "duke");
    expect_name(rules, "CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", "duke@sme");
    expect_name(rules, "cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME");
    expect_name(rules, "cN=duke,OU=JavaSoft,O=Sun Microsystems", "DUKE");
    expect_name(rules, "OU=JavaSoft,O=Sun Microsystems,C=US",
                "OU=JavaSoft,O=Sun Microsystems,C=US");
    expect_name("RULE:^CN=((\\\\, *|\\w)+)(,.*|$)/$1/,DEFAULT",
                "CN=Tkac\\, Adam,OU=ITZ,DC=geodis,DC=cz", "Tkac\\, Adam");
    expect_name("RULE:^CN=([^,ADEFLTU,]+)(,.*|$)/$1/", "CN=bob,O=x", "bob");
    expect_name("RULE:^CN=([^,DEFAULT,]+)(,.*|$)/$1/", "CN=bob", "bob");
}

static void test_no_rules_are_the_whole_subject(void **state)
{
    (void)state;
    expect_name("", "CN=a,O=b", "CN=a,O=b");
    expect_name("   ", "CN=a", "CN=a");
    expect_name("DEFAULT", "CN=a", "CN=a");
    expect_name("DEFAULT", "", "");
}

static void test_empty_rules_between_commas_are_passed_over(void **state)
{
    (void)state;
    expect_name(",,RULE:CN=(.*)/$1/,,,DEFAULT,,", "CN=a", "a");
    expect_name("  ,  , RULE:CN=(.*)/$1/    ,,,   DEFAULT, ,   ", "O=a", "O=a");
    expect_name(",   , , ,", "CN=a", "CN=a");
}

static void test_the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    static const char rules[] = "RULE:CN=a.*/first/,RULE:CN=.*/second/,RULE:O=.*/third/";
    expect_name(rules, "CN=ab", "first");
    expect_name(rules, "CN=b", "second");
    expect_name(rules, "O=b", "third");
    expect_name(rules, "DC=b", NULL);
    expect_name("RULE:CN=a/x/", "CN=ab", NULL); /* all of the subject has to fit */
    expect_name("RULE:CN=a/x/", "xCN=a", NULL);
}

static void test_groups_stand_where_the_replacement_names_them(void **state)
{
    (void)state;
    expect_name("RULE:CN=(.*),O=(.*)/$2-$1-$0/", "CN=a,O=b", "b-a-CN=a,O=b");
    expect_name("RULE:CN=(.*)/$10/", "CN=a", "a0");
    expect_name("RULE:CN=(.*)/$2$/", "CN=a", "$2$");
    expect_name("RULE:CN=(.*)/\\$1/", "CN=a", "$1");
    expect_name("RULE:CN=(a)?(.*)/<$1>$2/", "CN=b", "<>b"); /* a group that took no part */
    expect_name("RULE:(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)/$10$9/", "abcdefghij", "ji");
    expect_name("RULE:.*//", "CN=b", "");
}

static void test_slashes_are_written_with_a_backslash(void **state)
{
    (void)state;
    expect_name("RULE:CN=(.*)\\/(.*)/$1\\/$2/", "CN=HTTP/bus", "HTTP/bus");
    expect_name("RULE:CN=a\\\\\\/b/x/", "CN=a\\/b", "x");
    expect_name("RULE:CN=(.*)/\\//U", "CN=a", "/");
}

static void test_l_and_u_change_the_case_of_ascii(void **state)
{
    (void)state;
    expect_name("RULE:CN=(.*)/$1-Of-/L", "CN=ShOp \xc3\x89", "shop \xc3\x89-of-");
    expect_name("RULE:CN=(.*)/$1-Of-/U", "CN=ShOp \xc3\xa9", "SHOP \xc3\xa9-OF-");
    expect_name("RULE:CN=(.)/$1/", "CN=\xc3\xa9", "\xc3\xa9"); /* one letter */
}

static void test_wrong_rules_are_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"default",
                                        "DEFAUL",
                                        "DEFAULT/L",
                                        "DEFAULT/U",
                                        "RULE:",
                                        "RULE:a\\",
                                        "RULE:a/b\\/",
                                        "RULE:CN=(.*?),OU=ServiceUsers.*/$1",
                                        "rule:^CN=(.*?),OU=ServiceUsers.*$/$1/",
                                        "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L/U",
                                        "RULE:^CN=(.*?),OU=ServiceUsers.*$/L",
                                        "RULE:^CN=(.*?),OU=ServiceUsers.*$/LU"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_refused(wrong[i], "'");
    }
    expect_refused("RULE:CN=(a/b/", "'CN=(a' at 5");
    expect_refused("DEFAULT, RULE:[/b/", "'['");
    expect_refused("DEFAULT DEFAULT", "a comma or the end");
}

static void test_a_pattern_that_would_take_forever_fits_not(void **state)
{
    (void)state;
    struct buf subject = {0};
    buf_append_str(&subject, "CN=");
    memset(buf_extend(&subject, 3000), 'a', 3000);
    buf_append_str(&subject, "!");
    expect_name("RULE:CN=(a+)+$/$1/", buf_cstr(&subject), NULL);
    expect_name("RULE:CN=(a+)+$/$1/,DEFAULT", buf_cstr(&subject), buf_cstr(&subject));
    expect_name("RULE:CN=(.*?)!/ok/", buf_cstr(&subject), "ok"); /* length alone does no harm */
    buf_deinit(&subject);
}

static void test_a_subject_that_is_no_utf8_fits_no_pattern(void **state)
{
    (void)state;
    expect_name("RULE:.*/x/", "CN=\xff\xfe", NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_of_kafka_name_clients_as_kafka_does),
        cmocka_unit_test(test_no_rules_are_the_whole_subject),
        cmocka_unit_test(test_empty_rules_between_commas_are_passed_over),
        cmocka_unit_test(test_the_first_rule_that_fits_decides),
        cmocka_unit_test(test_groups_stand_where_the_replacement_names_them),
        cmocka_unit_test(test_slashes_are_written_with_a_backslash),
        cmocka_unit_test(test_l_and_u_change_the_case_of_ascii),
        cmocka_unit_test(test_wrong_rules_are_told),
        cmocka_unit_test(test_a_pattern_that_would_take_forever_fits_not),
        cmocka_unit_test(test_a_subject_that_is_no_utf8_fits_no_pattern),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
