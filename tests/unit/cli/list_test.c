#include "../unit.h"

#include "cli/base/cli.h"
#include "cli/base/list_order.h"
#include "cli/base/name_choice.h"
#include "cli/base/output.h"
#include "cli/bus/raw_bus.h"
#include "cli/group/group_situation.h"

#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void assert_order(const struct list_order *order, size_t key, const char *expected)
{
    struct list_row rows[] = {{"d", 0, -1}, {"b", 1, 5}, {"a", 2, 5}, {"c", 3, 9}};
    char got[8] = "";
    list_order_sort(order, key, rows, 4);
    for (size_t i = 0; i < 4; i++) {
        strcat(got, rows[i].name);
    }
    assert_string_equal(got, expected);
}

static void test_a_list_is_sorted_and_what_is_not_known_comes_last(void **state)
{
    (void)state;
    assert_order(&(struct list_order){.sort = "name"}, 0, "abcd");
    assert_order(&(struct list_order){.is_reverse = true}, 0, "dcba");
    assert_order(&(struct list_order){.sort = "lag"}, 1, "cabd");
    assert_order(&(struct list_order){.sort = "lag", .is_reverse = true}, 1, "abcd");
}

static void test_names_and_expressions_choose(void **state)
{
    (void)state;
    const char *given[] = {"orders", "^ship", "^none"};
    const struct text_list list = {given, 3, 3};
    struct name_choice choice;
    assert_int_equal(name_choice_init(&choice, &list), EXIT_OK);
    assert_true(name_choice_has(&choice, "orders"));
    assert_true(name_choice_has(&choice, "shipments"));
    assert_false(name_choice_has(&choice, "orders-2"));
    assert_true(name_choice_names(&choice, "orders"));
    assert_false(name_choice_names(&choice, "shipments"));
    assert_int_equal(name_choice_check(&choice, "topic"), EXIT_NOT_FOUND);
    assert_true(name_choice_has(&choice, "none"));
    assert_int_equal(name_choice_check(&choice, "topic"), EXIT_OK);
    name_choice_deinit(&choice);
    assert_int_equal(name_choice_init(&choice, &(struct text_list){0}), EXIT_OK);
    assert_true(name_choice_has(&choice, "anything"));
    name_choice_deinit(&choice);
    given[0] = "^(";
    assert_int_equal(name_choice_init(&choice, &list), EXIT_USAGE);
    name_choice_deinit(&choice);
}

static void test_a_name_is_found_in_order_of_bytes(void **state)
{
    (void)state;
    const char *const names[] = {"a", "ab", "b", "\xc3\xa9"};
    size_t index;
    for (size_t i = 0; i < 4; i++) {
        assert_true(name_search(names, 4, slice_str(names[i]), &index));
        assert_int_equal(index, i);
    }
    assert_false(name_search(names, 4, slice_str("aa"), &index));
    assert_false(name_search(names, 0, slice_str("a"), &index));
}

static void test_ages_have_one_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {{-5, "0s"},         {999, "0s"},       {119999, "119s"},
                {120000, "2m"},     {7199999, "119m"}, {7200000, "2h"},
                {172799999, "47h"}, {172800000, "2d"}, {INT64_MAX, "106751991167d"}};
    char text[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(output_age(rows[i].ms, text), rows[i].text);
    }
}

/* What a terminal of so many columns is given. */
static void print_on(int columns, const struct table *table, char *out, size_t size)
{
    int host, terminal;
    struct winsize window = {.ws_row = 24, .ws_col = (unsigned short)columns};
    int before = dup(STDOUT_FILENO);
    memset(out, 0, size);
    assert_int_equal(openpty(&host, &terminal, NULL, NULL, &window), 0);
    fflush(stdout);
    dup2(terminal, STDOUT_FILENO);
    table_print_fitting(table);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    assert_true(read(host, out, size - 1) > 0);
    close(before);
    close(terminal);
    close(host);
}

static void test_a_list_fits_the_terminal(void **state)
{
    (void)state;
    static const char *const titles[] = {"NAME", ">LAG"};
    struct table table;
    char out[256];
    table_init(&table, titles, 2);
    table_cell(&table, "%s", "a-name-that-is-long-\xc3\xa9\xc3\xa9");
    table_number(&table, 7);
    print_on(80, &table, out, sizeof out);
    assert_non_null(strstr(out, "a-name-that-is-long-\xc3\xa9\xc3\xa9    7\r\n"));
    print_on(20, &table, out, sizeof out);
    assert_string_equal(out, "NAME             LAG\r\na-name-that-i..    7\r\n");
    print_on(3, &table, out, sizeof out); /* what cannot fit is cut as far as it goes */
    assert_string_equal(out, "NAME      LAG\r\na-name..    7\r\n");
    table_deinit(&table);
}

static void test_the_speed_is_that_of_the_last_minute(void **state)
{
    (void)state;
    enum { NOW = 1000000 };
    char a[] = "a", b[] = "b";
    struct commit_step steps[] = {
        {a, 0, 100, NOW - 90000}, {a, 0, 200, NOW - 70000}, {b, 0, 10, NOW - 65000},
        {a, 1, 5, NOW - 30000},   {a, 0, 500, NOW - 20000}, {a, 1, 65, NOW - 10000},
        {b, 0, 3, NOW - 5000}, /* a reset counts nothing */
        {a, 0, 800, NOW - 1},
    };
    struct group_commits commits = {.steps = {steps, 8, 8}};
    assert_true(group_handled_a_second(&commits, NOW) == (600 + 60) / 60.0);
    commits.steps.count = 2; /* nothing in the last minute */
    assert_true(group_handled_a_second(&commits, NOW) == 0);
    commits.steps.count = 0;
    assert_true(group_handled_a_second(&commits, NOW) < 0);
    struct commit_step fresh[] = {{a, 0, 0, NOW - 10000}, {a, 0, 50, NOW - 1000}};
    commits = (struct group_commits){.steps = {fresh, 2, 2}};
    assert_true(group_handled_a_second(&commits, NOW) == 5);
    commits.steps.count = 1;
    assert_true(group_handled_a_second(&commits, NOW) < 0); /* one commit is no movement */
    struct commit_step young[] = {{a, 0, 0, NOW - 200}, {a, 0, 10, NOW - 100}};
    commits = (struct group_commits){.steps = {young, 2, 2}};
    assert_true(group_handled_a_second(&commits, NOW) == 1); /* not 50 */
}

/* What is said of a group with one partition that is behind and one member, as changed by `make`.
 */
static void assert_reason(void (*make)(struct group_situation *, struct group_progress *),
                          const char *expected)
{
    static char topic[] = "t";
    struct group_partition partition = {.topic = topic, .lag = 100, .member = "m"};
    struct admin_member member = {.id = topic};
    struct group_progress progress = {
        .about = {.state = "Stable", .members = {&member, 1, 1}},
        .partitions = {&partition, 1, 1},
        .lag = 100,
    };
    struct group_situation situation = {.now_ms = 1000000000,
                                        .last_commit_ms = 1000000000 - 1000,
                                        .handled_a_second = 10,
                                        .published_a_second = 5,
                                        .has_oldest = true,
                                        .oldest = {.time_ms = 1000000000 - 3600000}};
    make(&situation, &progress);
    group_situation_judge(&situation, &progress);
    if (expected == NULL) {
        assert_int_equal(situation.reasons.count, 0);
    } else {
        assert_int_equal(situation.reasons.count, 1);
        assert_string_equal(situation.reasons.items[0].text, expected);
    }
    vec_deinit(&situation.reasons);
}

static void make_faster(struct group_situation *situation, struct group_progress *progress)
{
    (void)situation, (void)progress;
}

static void make_slower(struct group_situation *situation, struct group_progress *progress)
{
    (void)progress;
    situation->published_a_second = 10;
}

static void make_silent(struct group_situation *situation, struct group_progress *progress)
{
    (void)progress;
    situation->last_commit_ms = situation->now_ms - 600000;
}

static void make_unreadable(struct group_situation *situation, struct group_progress *progress)
{
    (void)progress;
    snprintf(situation->no_commits, sizeof situation->no_commits, "not allowed");
    situation->handled_a_second = -1;
}

static void make_balanced(struct group_situation *situation, struct group_progress *progress)
{
    (void)situation;
    progress->about.state = "PreparingRebalance";
}

static void make_done(struct group_situation *situation, struct group_progress *progress)
{
    make_silent(situation, progress);
    progress->partitions.items[0].lag = progress->lag = 0;
}

static void test_why_a_group_is_behind(void **state)
{
    (void)state;
    assert_reason(make_faster, "it is catching up; at this pace it is done in 20s");
    assert_reason(make_slower, "more comes in than it handles");
    assert_reason(make_silent, "its members committed nothing for 10m");
    assert_reason(make_unreadable, "not known");
    assert_reason(make_balanced, "a rebalance is under way");
    assert_reason(make_done, NULL);
}

static void test_how_librdkafka_is_told_to_connect_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        size_t count;
        enum err err;
        const char *why;
    } cases[] = {
        {{"security.protocol=plaintext"}, 1, ERR_IO, "nobody listens"},
        {{"security.protocol=SSL"}, 1, ERR_IO, "nobody listens"},
        {{"security.protocol=plaintext", "security.protocol=SASL_SSL"},
         2,
         ERR_UNSUPPORTED,
         "not with GSSAPI"},
        {{"security.protocol=sasl_plaintext", "sasl.mechanism=SCRAM-SHA-512"},
         2,
         ERR_IO,
         "nobody listens"},
        {{"security.protocol=ssl", "ssl.ca.location=/nowhere"},
         2,
         ERR_CONFIG,
         "ssl.ca.location: /nowhere: "},
        {{"security.protocol=ssl", "enable.ssl.certificate.verification=false",
          "ssl.key.location=/nowhere"},
         3,
         ERR_CONFIG,
         "ssl.key.location: /nowhere: "},
        {{"security.protocol=ssl", "ssl.keystore.location=/nowhere"},
         2,
         ERR_UNSUPPORTED,
         "not with ssl.keystore.location"},
        {{"security.protocol=smoke"}, 1, ERR_CONFIG, "security.protocol"},
    };
    struct bus_options options = bus_options_default();
    options.bootstrap = "127.0.0.1:1,[::1]:1"; /* nobody is there */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *words[3];
        struct raw_bus bus;
        struct reason reason = {""};
        memcpy(words, cases[i].words, sizeof words);
        options.properties = (struct text_list){words, cases[i].count, 3};
        assert_int_equal(raw_bus_init(&bus, &options, &reason), cases[i].err);
        if (strstr(reason.text, cases[i].why) == NULL) {
            fail_msg("case %zu: %s", i, reason.text);
        }
        raw_bus_deinit(&bus);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_sorted_and_what_is_not_known_comes_last),
        cmocka_unit_test(test_names_and_expressions_choose),
        cmocka_unit_test(test_a_name_is_found_in_order_of_bytes),
        cmocka_unit_test(test_ages_have_one_unit),
        cmocka_unit_test(test_a_list_fits_the_terminal),
        cmocka_unit_test(test_the_speed_is_that_of_the_last_minute),
        cmocka_unit_test(test_why_a_group_is_behind),
        cmocka_unit_test(test_how_librdkafka_is_told_to_connect_is_understood),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
