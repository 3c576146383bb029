/* The inbox on SQLite and, with TEST_DATABASE=postgres, on PostgreSQL. */
#include "../unit.h"

#include "base.h"
#include "inbox.h"
#include "service.h"

#include <pthread.h>

static const struct inbox_event order = {.service = "shop",
                                         .source = "/orders",
                                         .id = "17",
                                         .topic = "orders",
                                         .partition = 3,
                                         .fence = 5};

static struct inbox_event order_with(const char *id, int64_t fence)
{
    struct inbox_event event = order;
    event.id = id;
    event.fence = fence;
    return event;
}

static void begin(const struct sql *sql)
{
    base_do(sql, sql->dialect->begin);
}

/* In the transaction that is open. */
static enum tidings_once_answer take(const struct sql *sql, const struct inbox_event *event)
{
    struct tidings_error error = {.text = ""};
    enum tidings_once_answer answer = inbox_take(sql, event, &error);
    if (answer == TIDINGS_ONCE_FAILED) {
        fail_msg("%s", error.text);
    }
    return answer;
}

/* In a transaction of its own. */
static enum tidings_once_answer handle(const struct sql *sql, const struct inbox_event *event)
{
    begin(sql);
    enum tidings_once_answer answer = take(sql, event);
    base_do(sql, "commit");
    return answer;
}

static int forget(void **state)
{
    struct sql sql = base_connect(*state);
    base_do(&sql, "drop table if exists tidings_inbox; drop table if exists tidings_fence; "
                  "drop table if exists tidings_outbox; drop table if exists tidings_outbox_owner");
    base_close(&sql);
    return 0;
}

static void test_an_event_is_done_once(void **state)
{
    struct sql sql = base_connect(*state), other = base_connect(*state);
    struct inbox_event next = order_with("18", 5);
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_BEFORE);
    assert_int_equal(handle(&other, &order), TIDINGS_ONCE_BEFORE);
    assert_int_equal(handle(&other, &next), TIDINGS_ONCE_FIRST);
    base_close(&other);
    base_close(&sql);
}

static void test_what_was_rolled_back_is_to_be_done(void **state)
{
    struct sql sql = base_connect(*state);
    for (int i = 0; i < 2; i++) { /* the first time the tables go too */
        begin(&sql);
        assert_int_equal(take(&sql, &order), TIDINGS_ONCE_FIRST);
        base_do(&sql, "rollback");
    }
    begin(&sql);
    struct tidings_error error;
    enum tidings_once_answer answer = inbox_take(&sql, &order, &error);
    assert_int_equal(answer, TIDINGS_ONCE_FIRST);
    base_do(&sql, "commit");
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_BEFORE);
    base_close(&sql);
}

static void test_tables_that_went_under_a_connection_are_made_again(void **state)
{
    struct sql sql = base_connect(*state);
    struct tidings_error error;
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
    forget(state);
    begin(&sql);
    if (inbox_take(&sql, &order, &error) == TIDINGS_ONCE_FAILED) { /* PostgreSQL: not in this one */
        base_do(&sql, "rollback");
        begin(&sql);
        assert_int_equal(take(&sql, &order), TIDINGS_ONCE_FIRST);
    }
    base_do(&sql, "commit");
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_BEFORE);
    base_close(&sql);
}

static void test_tables_made_by_the_printed_sql_are_used(void **state)
{
    const struct base *base = *state;
    struct sql sql = base_connect(base);
    base_do(&sql, tidings_once_schema(base->kind));
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
    base_do(&sql, tidings_once_schema(base->kind));
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_BEFORE);
    base_close(&sql);
}

static void test_without_a_transaction_it_says_so(void **state)
{
    struct sql sql = base_connect(*state);
    struct tidings_error error;
    assert_int_equal(inbox_take(&sql, &order, &error), TIDINGS_ONCE_FAILED);
    assert_int_equal(error.status, TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "begin a transaction"));
    base_close(&sql);
}

static void test_each_redrive_is_let_through_once(void **state)
{
    struct sql sql = base_connect(*state);
    struct inbox_event event = order;
    for (event.redrive = 0; event.redrive < 3; event.redrive++) {
        assert_int_equal(handle(&sql, &event), TIDINGS_ONCE_FIRST);
        assert_int_equal(handle(&sql, &event), TIDINGS_ONCE_BEFORE);
    }
    base_close(&sql);
}

static void test_a_late_owner_loses(void **state)
{
    struct sql sql = base_connect(*state), late = base_connect(*state);
    struct inbox_event of_old = order_with("18", 5), of_new = order_with("19", 6);
    struct inbox_event elsewhere = of_old, not_owned = order_with("20", 0);
    elsewhere.partition = 4;
    elsewhere.id = "21";
    assert_int_equal(handle(&late, &order), TIDINGS_ONCE_FIRST);
    assert_int_equal(handle(&sql, &of_new), TIDINGS_ONCE_FIRST);
    assert_int_equal(handle(&late, &of_old), TIDINGS_ONCE_LATE);
    assert_int_equal(handle(&late, &order), TIDINGS_ONCE_LATE);
    assert_int_equal(handle(&late, &elsewhere), TIDINGS_ONCE_FIRST); /* that one it still has */
    assert_int_equal(handle(&late, &not_owned), TIDINGS_ONCE_FIRST);
    of_old.fence = 6;
    assert_int_equal(handle(&sql, &of_old), TIDINGS_ONCE_FIRST); /* the late one left no row */
    base_close(&late);
    base_close(&sql);
}

static void test_services_know_nothing_of_each_other(void **state)
{
    struct sql sql = base_connect(*state);
    struct inbox_event mine = order, theirs = order_with("17", 2);
    theirs.service = "shipping";
    assert_int_equal(handle(&sql, &mine), TIDINGS_ONCE_FIRST);
    assert_int_equal(handle(&sql, &theirs), TIDINGS_ONCE_FIRST); /* its fence is its own too */
    int64_t gone = -1;
    base_do(&sql, "update tidings_inbox set done_ms = 1000");
    assert_int_equal(inbox_retire(&sql, "shop", 1000, 100, &gone, NULL), SQL_OK);
    assert_int_equal(gone, 1);
    assert_int_equal(handle(&sql, &theirs), TIDINGS_ONCE_BEFORE);
    assert_int_equal(handle(&sql, &mine), TIDINGS_ONCE_FIRST);
    base_close(&sql);
}

static void test_old_rows_go_oldest_first_and_a_few_at_a_time(void **state)
{
    struct sql sql = base_connect(*state);
    for (int i = 0; i < 10; i++) {
        char id[16], text[100];
        snprintf(id, sizeof id, "%d", i);
        struct inbox_event event = order_with(id, 5);
        assert_int_equal(handle(&sql, &event), TIDINGS_ONCE_FIRST);
        snprintf(text, sizeof text, "update tidings_inbox set done_ms = %d where id = '%d'",
                 1000 - i, i);
        base_do(&sql, i < 8 ? text : "select 1");
    }
    const int64_t left[] = {7, 4, 2, 2};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(inbox_retire(&sql, "shop", 3600000, 3, NULL, NULL), SQL_OK);
        assert_int_equal(base_number(&sql, "select count(*) from tidings_inbox"), left[i]);
        assert_int_equal(base_number(&sql, "select count(*) from tidings_inbox where id = '7'"), 0);
    }
    assert_int_equal(base_number(&sql, "select count(*) from tidings_inbox where id in ('8', '9')"),
                     2);
    base_close(&sql);
}

static void test_ids_of_any_bytes_and_length_are_told_apart(void **state)
{
    struct sql sql = base_connect(*state);
    char long_ids[2][5000];
    const char *ids[] = {"\xff\xfe",    "\xff\xfd",  "%FF%FE", "17",        " 17",
                         "caf\xc3\xa9", "'; drop--", "",       long_ids[0], long_ids[1]};
    memset(long_ids, '\xe9', sizeof long_ids);
    long_ids[0][4998] = 'a';
    long_ids[1][4998] = 'b';
    long_ids[0][4999] = long_ids[1][4999] = '\0';
    for (size_t i = 0; i < 2 * sizeof ids / sizeof ids[0]; i++) {
        struct inbox_event event = order_with(ids[i / 2], 5);
        event.source = ids[i / 2];
        assert_int_equal(handle(&sql, &event),
                         i % 2 == 0 ? TIDINGS_ONCE_FIRST : TIDINGS_ONCE_BEFORE);
    }
    base_close(&sql);
}

/* --- two at once --- */

struct rival {
    struct sql sql;
    struct inbox_event event;
    pthread_t thread;
    enum tidings_once_answer answer;
};

static void *rival_main(void *argument)
{
    struct rival *rival = argument;
    rival->answer = handle(&rival->sql, &rival->event);
    return NULL;
}

/* Starts it, and returns when it waits for somebody (SQLite: when it may). */
static void rival_start(struct rival *rival, const struct base *base,
                        const struct inbox_event *event)
{
    struct sql looker = base_connect(base);
    *rival = (struct rival){.sql = base_connect(base), .event = *event};
    pthread_create(&rival->thread, NULL, rival_main, rival);
    while (base->kind == TIDINGS_POSTGRES &&
           base_number(&looker, "select count(*) from pg_locks where not granted") == 0) {
    }
    base_close(&looker);
}

static enum tidings_once_answer rival_join(struct rival *rival)
{
    pthread_join(rival->thread, NULL);
    base_close(&rival->sql);
    return rival->answer;
}

static void test_who_comes_second_waits_for_the_first(void **state)
{
    struct sql sql = base_connect(*state);
    struct rival rival;
    struct inbox_event other = order_with("18", 5);
    begin(&sql);
    assert_int_equal(take(&sql, &order), TIDINGS_ONCE_FIRST); /* the tables wait, too */
    rival_start(&rival, *state, &order);
    base_do(&sql, "commit");
    assert_int_equal(rival_join(&rival), TIDINGS_ONCE_BEFORE);
    begin(&sql);
    assert_int_equal(take(&sql, &other), TIDINGS_ONCE_FIRST);
    rival_start(&rival, *state, &other);
    base_do(&sql, "rollback");
    assert_int_equal(rival_join(&rival), TIDINGS_ONCE_FIRST);
    base_close(&sql);
}

static void test_a_new_owner_waits_for_what_the_old_one_may_still_commit(void **state)
{
    struct sql sql = base_connect(*state);
    struct rival rival;
    struct inbox_event of_new = order_with("18", 6), of_old = order_with("19", 5);
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
    begin(&sql);
    assert_int_equal(take(&sql, &of_old), TIDINGS_ONCE_FIRST);
    rival_start(&rival, *state, &of_new);
    base_do(&sql, "commit");
    assert_int_equal(rival_join(&rival), TIDINGS_ONCE_FIRST);
    of_old.id = "20";
    assert_int_equal(handle(&sql, &of_old), TIDINGS_ONCE_LATE);
    base_close(&sql);
}

static void test_all_of_a_new_owner_pass_the_fence_together(void **state)
{
    struct sql sql = base_connect(*state);
    struct rival rival;
    struct inbox_event of_new = order_with("18", 6), sibling = order_with("19", 6);
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
    begin(&sql);
    assert_int_equal(take(&sql, &of_new), TIDINGS_ONCE_FIRST);
    rival_start(&rival, *state, &sibling);
    base_do(&sql, "commit");
    assert_int_equal(rival_join(&rival), TIDINGS_ONCE_FIRST);
    base_close(&sql);
}

static void test_handlers_of_one_owner_do_not_wait_for_each_other(void **state)
{
    const struct base *base = *state;
    struct sql sql = base_connect(base), sibling = base_connect(base);
    struct inbox_event one = order_with("18", 5), two = order_with("19", 5);
    if (base->kind == TIDINGS_POSTGRES) { /* SQLite has one writer anyway */
        assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
        begin(&sql);
        begin(&sibling);
        assert_int_equal(take(&sql, &one), TIDINGS_ONCE_FIRST);
        assert_int_equal(take(&sibling, &two), TIDINGS_ONCE_FIRST);
        base_do(&sql, "commit");
        base_do(&sibling, "commit");
    }
    base_close(&sibling);
    base_close(&sql);
}

static void test_an_old_snapshot_does_not_hide_the_new_owner(void **state)
{
    const struct base *base = *state;
    struct sql sql = base_connect(base), late = base_connect(base);
    struct inbox_event of_new = order_with("18", 6), of_old = order_with("19", 5);
    struct tidings_error error;
    assert_int_equal(handle(&sql, &order), TIDINGS_ONCE_FIRST);
    base_do(&late,
            base->kind == TIDINGS_POSTGRES ? "begin isolation level repeatable read" : "begin");
    base_number(&late, "select count(*) from tidings_inbox");
    assert_int_equal(handle(&sql, &of_new), TIDINGS_ONCE_FIRST);
    assert_int_equal(inbox_take(&late, &of_old, &error), TIDINGS_ONCE_FAILED);
    base_do(&late, "rollback");
    assert_int_equal(handle(&late, &of_old), TIDINGS_ONCE_LATE);
    base_close(&late);
    base_close(&sql);
}

/* --- the face --- */

static void test_a_handler_asks_with_its_service_and_event(void **state)
{
    struct sql sql = base_connect(*state);
    struct tidings *service;
    struct tidings_error error;
    struct tidings_options options = {.name = "shop", .bootstrap_servers = "127.0.0.1:1"};
    assert_int_equal(tidings_new(&options, &service, &error), TIDINGS_OK);
    struct tidings_event event = {.id = "17", .source = "/orders", .topic = "orders", .fence = 5};
    struct tidings_event plain = {
        .id = "orders/0/7", .source = "", .topic = "orders", .offset = 7, .timestamp_ms = 1000};
    const struct tidings_event *events[] = {&event, &plain};
    for (int i = 0; i < 4; i++) {
        begin(&sql);
        assert_int_equal(tidings_once(service, base_db(&sql), events[i / 2], &error),
                         i % 2 == 0 ? TIDINGS_ONCE_FIRST : TIDINGS_ONCE_BEFORE);
        base_do(&sql, "commit");
    }
    begin(&sql);
    for (event.redrive = 1; event.redrive <= 2; event.redrive++) {
        assert_int_equal(tidings_once(service, base_db(&sql), &event, &error), TIDINGS_ONCE_FIRST);
        assert_int_equal(tidings_once(service, base_db(&sql), &event, &error), TIDINGS_ONCE_BEFORE);
    }
    event.fence = 4;
    assert_int_equal(tidings_once(service, base_db(&sql), &event, &error), TIDINGS_ONCE_LATE);
    assert_non_null(strstr(error.text, "another owner"));
    base_do(&sql, "commit");
    plain.timestamp_ms = 2000; /* the topic was deleted and made again */
    begin(&sql);
    assert_int_equal(tidings_once(service, base_db(&sql), &plain, &error), TIDINGS_ONCE_FIRST);
    base_do(&sql, "commit");
    assert_int_equal(
        tidings_once(service, (struct tidings_db){.kind = TIDINGS_SQLITE}, &event, &error),
        TIDINGS_ONCE_FAILED);
    assert_int_equal(error.status, TIDINGS_INVALID);
    tidings_free(service);
    base_close(&sql);
}

static void test_a_missing_library_is_named(void **state)
{
    static const char *const names[] = {"no_such_function", NULL};
    static const char *const files[] = {"libnosuch.so.5", NULL};
    struct sql_driver driver = sql_sqlite_driver;
    struct sql sql;
    struct tidings_error error;
    driver.names = names;
    driver.files = files;
    driver.library = "Nosuch";
    assert_int_equal(sql_load(&driver, &driver, &sql, &error), TIDINGS_INVALID);
    assert_non_null(strstr(error.text, "no Nosuch and libnosuch.so.5 is not there"));
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_event_is_done_once),
        TEST(test_what_was_rolled_back_is_to_be_done),
        TEST(test_tables_that_went_under_a_connection_are_made_again),
        TEST(test_tables_made_by_the_printed_sql_are_used),
        TEST(test_without_a_transaction_it_says_so),
        TEST(test_each_redrive_is_let_through_once),
        TEST(test_a_late_owner_loses),
        TEST(test_services_know_nothing_of_each_other),
        TEST(test_old_rows_go_oldest_first_and_a_few_at_a_time),
        TEST(test_ids_of_any_bytes_and_length_are_told_apart),
        TEST(test_who_comes_second_waits_for_the_first),
        TEST(test_a_new_owner_waits_for_what_the_old_one_may_still_commit),
        TEST(test_all_of_a_new_owner_pass_the_fence_together),
        TEST(test_handlers_of_one_owner_do_not_wait_for_each_other),
        TEST(test_an_old_snapshot_does_not_hide_the_new_owner),
        TEST(test_a_handler_asks_with_its_service_and_event),
        cmocka_unit_test(test_a_missing_library_is_named),
    };
    return unit_run(tests, base_setup, base_teardown, argc, argv);
}
