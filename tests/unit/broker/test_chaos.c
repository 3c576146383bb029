#include "../unit.h"

#include "base/mem.h"
#include "broker/chaos.h"
#include "broker/chaos_json.h"
#include "wire/api_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which requests a fault on request is for, when it strikes, and how it is asked for. */

static struct chaos_facts facts_of(int16_t key, const char *client, const char *topic,
                                   const char *group)
{
    struct chaos_facts facts = {.api_key = key, .client_id = slice_str(client)};
    if (topic != NULL) {
        facts.topics[facts.topic_count++] = slice_str(topic);
    }
    if (group != NULL) {
        facts.groups[facts.group_count++] = slice_str(group);
    }
    return facts;
}

/* "" when it was taken, else why not. */
static const char *read_rule(const char *text, struct chaos_rule *rule, int64_t *for_ms)
{
    static struct reason reason;
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    reason.text[0] = '\0';
    if (chaos_json_read(json, rule, for_ms, &reason) == ERR_NONE) {
        assert_string_equal(reason.text, "");
    } else {
        assert_string_not_equal(reason.text, "");
    }
    json_decref(json);
    return reason.text;
}

static struct chaos_rule rule_of(const char *text)
{
    struct chaos_rule rule;
    int64_t for_ms;
    assert_string_equal(read_rule(text, &rule, &for_ms), "");
    rule.until_ms = for_ms >= 0 ? for_ms : INT64_MAX;
    return rule;
}

static bool strikes(struct chaos_rule *rule, const struct chaos_facts *facts)
{
    return chaos_rule_strikes(rule, facts, 0, 1000);
}

static void names_are_compared_with_patterns(void **state)
{
    assert_true(chaos_name_fits("orders", slice_str("orders")));
    assert_false(chaos_name_fits("orders", slice_str("order")));
    assert_false(chaos_name_fits("order", slice_str("orders")));
    assert_true(chaos_name_fits("*", slice_str("")));
    assert_true(chaos_name_fits("o*s", slice_str("orders")));
    assert_true(chaos_name_fits("*.r?try.*", slice_str("a.b.retry.c")));
    assert_false(chaos_name_fits("*.r?try.*x", slice_str("a.b.retry.c")));
    assert_true(chaos_name_fits("**a**", slice_str("bab")));
    assert_false(chaos_name_fits("?", slice_str("")));
    assert_false(chaos_name_fits("a", slice_of((const uint8_t *)"a\0b", 3)));
}

static void all_conditions_have_to_be_met(void **state)
{
    struct chaos_rule rule = rule_of("{\"fault\": \"error\", \"apis\": [\"produce\", \"FETCH\"],"
                                     " \"error\": \"not_enough_replicas\", \"topic\": \"ord*\","
                                     " \"client\": \"checkout\"}");
    struct chaos_facts facts = facts_of(API_KEY_PRODUCE, "checkout", "orders", NULL);
    assert_true(chaos_rule_matches(&rule, &facts));
    facts.api_key = API_KEY_FETCH;
    assert_true(chaos_rule_matches(&rule, &facts));
    facts.api_key = API_KEY_METADATA;
    assert_false(chaos_rule_matches(&rule, &facts));
    facts = facts_of(API_KEY_PRODUCE, "other", "orders", NULL);
    assert_false(chaos_rule_matches(&rule, &facts));
    facts = facts_of(API_KEY_PRODUCE, "checkout", "payments", NULL);
    assert_false(chaos_rule_matches(&rule, &facts));
    facts.topics[facts.topic_count++] = slice_str("orders"); /* one of them is enough */
    assert_true(chaos_rule_matches(&rule, &facts));
    facts = facts_of(API_KEY_PRODUCE, "checkout", NULL, NULL);
    assert_false(chaos_rule_matches(&rule, &facts));
    chaos_rule_deinit(&rule);
}

static void groups_and_transactions_are_conditions(void **state)
{
    struct chaos_rule rule = rule_of("{\"fault\": \"drop\", \"group\": \"g?\"}");
    struct chaos_facts facts = facts_of(API_KEY_HEARTBEAT, "c", NULL, "g1");
    assert_true(chaos_rule_matches(&rule, &facts));
    facts = facts_of(API_KEY_HEARTBEAT, "c", NULL, "h1");
    assert_false(chaos_rule_matches(&rule, &facts));
    chaos_rule_deinit(&rule);
    rule = rule_of("{\"fault\": \"lose\", \"apis\": [\"EndTxn\"], \"transactional_id\": \"*\"}");
    facts = facts_of(API_KEY_END_TXN, "c", NULL, NULL);
    assert_false(chaos_rule_matches(&rule, &facts)); /* none is not any */
    facts.transactional_id = slice_str("t");
    assert_true(chaos_rule_matches(&rule, &facts));
    chaos_rule_deinit(&rule);
}

static void without_apis_it_is_for_all_but_greetings(void **state)
{
    struct chaos_rule rule = rule_of("{\"fault\": \"drop\"}");
    struct chaos_facts facts = facts_of(API_KEY_LIST_GROUPS, "c", NULL, NULL);
    assert_true(chaos_rule_matches(&rule, &facts));
    facts.api_key = API_KEY_API_VERSIONS;
    assert_false(chaos_rule_matches(&rule, &facts));
    chaos_rule_deinit(&rule);
    rule = rule_of("{\"fault\": \"drop\", \"apis\": [\"api-versions\"]}");
    assert_true(chaos_rule_matches(&rule, &facts));
    chaos_rule_deinit(&rule);
}

static void it_is_over_when_it_struck_so_often(void **state)
{
    struct chaos_rule rule =
        rule_of("{\"fault\": \"drop\", \"count\": 2, \"after\": 1, \"topic\": \"t\"}");
    struct chaos_facts facts = facts_of(API_KEY_PRODUCE, "c", "t", NULL);
    struct chaos_facts other = facts_of(API_KEY_PRODUCE, "c", "u", NULL);
    assert_false(strikes(&rule, &facts));
    assert_false(strikes(&rule, &other));
    assert_true(strikes(&rule, &facts));
    assert_int_equal(rule.end, CHAOS_GOES_ON);
    assert_true(strikes(&rule, &facts));
    assert_int_equal(rule.end, CHAOS_COUNT_OVER);
    assert_false(strikes(&rule, &facts));
    assert_int_equal(rule.struck, 2);
    assert_int_equal(rule.seen, 3); /* what it is not for, or came later, is not counted */
    assert_int_equal(rule.last_wall_ms, 1000);
    chaos_rule_deinit(&rule);
}

static void it_is_over_when_its_time_is(void **state)
{
    struct chaos_rule rule = rule_of("{\"fault\": \"drop\", \"for_ms\": 10000}");
    struct chaos_facts facts = facts_of(API_KEY_PRODUCE, "c", "t", NULL);
    assert_true(chaos_rule_strikes(&rule, &facts, 9999, 0));
    assert_false(chaos_rule_strikes(&rule, &facts, 10000, 0));
    assert_int_equal(rule.end, CHAOS_TIME_OVER);
    chaos_rule_deinit(&rule);
}

static uint64_t row_of(uint64_t seed)
{
    char text[128];
    snprintf(text, sizeof text, "{\"fault\": \"drop\", \"chance\": 0.5, \"seed\": %llu}",
             (unsigned long long)seed);
    struct chaos_rule rule = rule_of(text);
    struct chaos_facts facts = facts_of(API_KEY_PRODUCE, "c", "t", NULL);
    uint64_t row = 0;
    for (int i = 0; i < 64; i++) {
        row = row << 1 | strikes(&rule, &facts);
    }
    chaos_rule_deinit(&rule);
    return row;
}

static void the_same_seed_gives_the_same_strikes(void **state)
{
    assert_true(row_of(7) == row_of(7));
    assert_true(row_of(7) != row_of(8));
}

static void a_chance_is_kept(void **state)
{
    struct chaos_rule rule = rule_of("{\"fault\": \"drop\", \"chance\": 0.1, \"seed\": 1}");
    struct chaos_facts facts = facts_of(API_KEY_PRODUCE, "c", "t", NULL);
    for (int i = 0; i < 10000; i++) {
        (void)strikes(&rule, &facts);
    }
    assert_in_range(rule.struck, 900, 1100);
    chaos_rule_deinit(&rule);
}

static void what_is_wrong_is_said(void **state)
{
    static const char *const wrong[][2] = {
        {"{}", "'fault' is one of"},
        {"[]", "'fault' is one of"},
        {"{\"fault\": \"bad\"}", "'fault' is one of"},
        {"{\"fault\": 1}", "'fault' is one of"},
        {"{\"fault\": \"error\"}", "takes the APIs"},
        {"{\"fault\": \"error\", \"apis\": [\"produce\"]}", "one of Kafka's errors"},
        {"{\"fault\": \"error\", \"apis\": [\"produce\"], \"error\": \"NONE\"}", "errors"},
        {"{\"fault\": \"error\", \"apis\": [\"produce\"], \"error\": 0}", "one of Kafka's errors"},
        {"{\"fault\": \"error\", \"apis\": [\"produce\"], \"error\": 999}", "Kafka's errors"},
        {"{\"fault\": \"error\", \"apis\": [\"prod\"], \"error\": 6}", "no API 'prod'"},
        {"{\"fault\": \"error\", \"apis\": [\"produce\", 1], \"error\": 6}", "a list of names"},
        {"{\"fault\": \"error\", \"apis\": \"produce\", \"error\": 6}", "a list of names"},
        {"{\"fault\": \"delay\"}", "takes a delay_ms"},
        {"{\"fault\": \"delay\", \"delay_ms\": 0}", "delay_ms is a whole number"},
        {"{\"fault\": \"delay\", \"delay_ms\": 3600001}", "delay_ms is a whole number"},
        {"{\"fault\": \"pause\"}", "takes a topic, a group or a client"},
        {"{\"fault\": \"pause\", \"topic\": \"t\", \"apis\": [\"fetch\"]}", "takes no apis"},
        {"{\"fault\": \"full\", \"group\": \"g\"}", "takes no group"},
        {"{\"fault\": \"expire\"}", "takes a group"},
        {"{\"fault\": \"expire\", \"group\": \"g\", \"count\": 1}", "takes no count"},
        {"{\"fault\": \"fence\"}", "takes a transactional_id"},
        {"{\"fault\": \"drop\", \"count\": 0}", "count is a whole number"},
        {"{\"fault\": \"drop\", \"count\": \"1\"}", "count is a whole number"},
        {"{\"fault\": \"drop\", \"after\": -1}", "after is a whole number"},
        {"{\"fault\": \"drop\", \"for_ms\": 9223372036854775807}", "for_ms is a whole number"},
        {"{\"fault\": \"drop\", \"chance\": 0}", "chance is a number"},
        {"{\"fault\": \"drop\", \"chance\": 1.01}", "chance is a number"},
        {"{\"fault\": \"drop\", \"seed\": -1}", "seed is a whole number"},
        {"{\"fault\": \"drop\", \"topic\": \"\"}", "topic is a text"},
        {"{\"fault\": \"drop\", \"topic\": 1}", "topic is a text"},
        {"{\"fault\": \"drop\", \"colour\": 1}", "has no 'colour'"},
    };
    struct chaos_rule rule;
    int64_t for_ms;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *said = read_rule(wrong[i][0], &rule, &for_ms);
        if (strstr(said, wrong[i][1]) == NULL) {
            fail_msg("%s: %s", wrong[i][0], said);
        }
    }
}

static void count_rule(void *context, const struct chaos_rule *rule)
{
    size_t *counts = context;
    counts[rule->end != CHAOS_GOES_ON]++;
}

static void faults_are_bounded_and_remembered(void **state)
{
    struct chaos *chaos = chaos_new(clock_system());
    struct reason reason;
    int64_t id = 0;
    for (int i = 0; i < CHAOS_RULES_MOST; i++) {
        struct chaos_rule rule = rule_of("{\"fault\": \"drop\", \"topic\": \"t\"}");
        assert_int_equal(chaos_add(chaos, &rule, -1, &id, &reason), ERR_NONE);
        assert_int_equal(id, i + 1);
    }
    struct chaos_rule more = rule_of("{\"fault\": \"drop\", \"topic\": \"t\"}");
    assert_int_equal(chaos_add(chaos, &more, -1, &id, &reason), ERR_LIMIT);
    assert_int_equal(chaos_clear(chaos, 5), 1);
    assert_int_equal(chaos_clear(chaos, 5), 0);
    assert_int_equal(chaos_clear(chaos, 5000), 0);
    assert_int_equal(chaos_clear(chaos, 0), CHAOS_RULES_MOST - 1);
    for (int i = 0; i < 7; i++) {
        struct chaos_rule rule = rule_of("{\"fault\": \"drop\", \"topic\": \"t\"}");
        assert_int_equal(chaos_add(chaos, &rule, -1, &id, &reason), ERR_NONE);
        assert_int_equal(chaos_clear(chaos, id), 1);
    }
    struct chaos_rule last = rule_of("{\"fault\": \"drop\", \"topic\": \"t\"}");
    assert_int_equal(chaos_add(chaos, &last, -1, &id, &reason), ERR_NONE);
    size_t counts[2] = {0};
    chaos_each(chaos, count_rule, counts);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], CHAOS_ENDED_MOST);
    chaos_free(chaos);
}

static void what_was_asked_for_is_told(void **state)
{
    struct chaos_rule rule = rule_of("{\"fault\": \"error\", \"apis\": [\"produce\"], \"error\": 7,"
                                     " \"group\": \"g\", \"count\": 3, \"chance\": 0.25,"
                                     " \"seed\": 9, \"for_ms\": 5000}");
    json_t *told = chaos_json_write(&rule, 1000);
    char *text = json_dumps(told, JSON_COMPACT);
    assert_string_equal(
        text, "{\"id\":0,\"fault\":\"error\",\"active\":true,\"ended_by\":\"\",\"apis\":"
              "[\"Produce\"],\"error\":\"REQUEST_TIMED_OUT\",\"delay_ms\":null,\"topic\":null,"
              "\"group\":\"g\",\"client\":null,\"transactional_id\":null,\"after\":0,"
              "\"count_left\":3,\"left_ms\":4000,\"chance\":0.25,\"seed\":9,\"seen\":0,"
              "\"struck\":0,\"begun_ms\":0,\"last_ms\":null}");
    free(text);
    json_decref(told);
    chaos_rule_deinit(&rule);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_compared_with_patterns),
        cmocka_unit_test(all_conditions_have_to_be_met),
        cmocka_unit_test(groups_and_transactions_are_conditions),
        cmocka_unit_test(without_apis_it_is_for_all_but_greetings),
        cmocka_unit_test(it_is_over_when_it_struck_so_often),
        cmocka_unit_test(it_is_over_when_its_time_is),
        cmocka_unit_test(the_same_seed_gives_the_same_strikes),
        cmocka_unit_test(a_chance_is_kept),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(faults_are_bounded_and_remembered),
        cmocka_unit_test(what_was_asked_for_is_told),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
