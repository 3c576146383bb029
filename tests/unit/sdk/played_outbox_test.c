/* A service's outbox and inbox on a bus in memory, with a database in memory. */
#include "tidings_once.h"
#include "tidings_test.h"

#include "../unit.h"

#include <sqlite3.h>

struct work {
    char lines[4096]; /* of the log */
    struct tidings_test *bus;
    sqlite3 *db;
    struct tidings *service;
    struct tidings_outbox *outbox;
};

static void note_line(void *context, enum tidings_log_level level, const char *message)
{
    struct work *work = context;
    size_t used = strlen(work->lines);
    snprintf(work->lines + used, sizeof work->lines - used, "%s\n", message);
}

static void sql(struct work *work, const char *text)
{
    assert_int_equal(sqlite3_exec(work->db, text, NULL, NULL, NULL), SQLITE_OK);
}

static int64_t number(struct work *work, const char *query)
{
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(work->db, query, -1, &rows, NULL), SQLITE_OK);
    int64_t number = sqlite3_step(rows) == SQLITE_ROW ? sqlite3_column_int64(rows, 0) : -1;
    sqlite3_finalize(rows);
    return number;
}

/* Tells of each event by the outbox, in the transaction of the inbox; "fails" once, behind that. */
static enum tidings_verdict tell(struct tidings *service, const struct tidings_event *event,
                                 void *context)
{
    struct work *work = context;
    struct tidings_error error;
    struct tidings_message told = {.topic = "told",
                                   .type = "Told",
                                   .key = event->key,
                                   .id = event->data,
                                   .cause = event,
                                   .data = event->data,
                                   .data_size = event->data_size};
    sql(work, "begin immediate");
    enum tidings_once_answer answer =
        tidings_once(service, tidings_sqlite(work->db), event, &error);
    assert_int_equal(answer, TIDINGS_ONCE_FIRST);
    assert_int_equal(tidings_outbox_add(service, tidings_sqlite(work->db), &told, &error),
                     TIDINGS_OK);
    if (strcmp(event->data, "fails") == 0 && event->attempt == 1) {
        sql(work, "rollback");
        return TIDINGS_RETRY;
    }
    sql(work, "commit");
    return TIDINGS_DONE;
}

static void start(struct work *work)
{
    struct tidings_options options = {
        .name = "teller", .workers = 1, .log = note_line, .log_context = work};
    assert_int_equal(tidings_test_service(work->bus, &options, &work->service, NULL), TIDINGS_OK);
    assert_int_equal(tidings_on(work->service, "in", NULL, tell, work, NULL), TIDINGS_OK);
    assert_int_equal(
        tidings_outbox_start(work->service, tidings_sqlite(work->db), NULL, &work->outbox, NULL),
        TIDINGS_OK);
}

static void stop(struct work *work)
{
    tidings_outbox_stop(work->outbox);
    tidings_free(work->service);
}

static int setup(void **state)
{
    struct work *work = calloc(1, sizeof *work);
    work->bus = tidings_test_new();
    assert_int_equal(sqlite3_open(":memory:", &work->db), SQLITE_OK);
    start(work);
    *state = work;
    return 0;
}

static int teardown(void **state)
{
    struct work *work = *state;
    stop(work);
    tidings_test_free(work->bus);
    sqlite3_close(work->db);
    free(work);
    return 0;
}

static void put(struct work *work, const char *key, const char *data)
{
    struct tidings_message message = {
        .topic = "in", .type = "Thing", .key = key, .data = data, .data_size = strlen(data)};
    assert_int_equal(tidings_test_publish(work->bus, &message, NULL), TIDINGS_OK);
}

static void settle(struct work *work)
{
    assert_int_equal(tidings_test_settle(work->bus, NULL), TIDINGS_OK);
}

/* The data of all that was told: "a b c ". */
static void expect_told(struct work *work, const char *expected)
{
    char told[256] = "";
    for (size_t i = 0; i < tidings_test_count(work->bus, "told"); i++) {
        const struct tidings_event *event = tidings_test_event(work->bus, "told", i);
        size_t used = strlen(told);
        snprintf(told + used, sizeof told - used, "%s ", (const char *)event->data);
    }
    assert_string_equal(told, expected);
}

static void test_what_is_committed_is_published(void **state)
{
    struct work *work = *state;
    put(work, "a", "1");
    put(work, "a", "2");
    settle(work);
    expect_told(work, "1 2 ");
    const struct tidings_event *told = tidings_test_event(work->bus, "told", 1);
    assert_string_equal(told->key, "a");
    assert_string_equal(told->source, "/teller");
    assert_string_equal(told->time, "2026-01-01T00:00:00.000Z");
    assert_string_equal(told->causation_id, tidings_test_event(work->bus, "in", 1)->id);
    assert_int_equal(number(work, "select count(*) from tidings_outbox"), 0);
    struct tidings_outbox_counts counts;
    tidings_outbox_get_counts(work->outbox, &counts);
    assert_int_equal(counts.published, 2);
    assert_int_equal(tidings_outbox_wait(work->outbox, 0, NULL), TIDINGS_OK);
}

static void test_what_is_rolled_back_never_was(void **state)
{
    struct work *work = *state;
    put(work, "a", "fails");
    settle(work);
    expect_told(work, "");
    assert_int_equal(tidings_test_advance(work->bus, 1000, NULL), TIDINGS_OK);
    expect_told(work, "fails ");
}

/* It is tried again when the test's clock says so, and holds back its own key. */
static void test_a_refused_row_waits_in_the_tests_time(void **state)
{
    struct work *work = *state;
    struct tidings_outbox_counts counts;
    tidings_test_refuse(work->bus, "told", 3);
    put(work, "a", "1");
    settle(work);
    put(work, "a", "2");
    put(work, "b", "3");
    settle(work);
    tidings_outbox_get_counts(work->outbox, &counts);
    assert_int_equal(counts.failing, 2);
    assert_non_null(strstr(work->lines, "outbox: row 1, Told 1 for told, is refused: the test "));
    assert_int_equal(tidings_outbox_wait(work->outbox, 0, NULL), TIDINGS_UNREACHABLE);
    assert_int_equal(tidings_test_advance(work->bus, 3600000, NULL), TIDINGS_OK);
    expect_told(work, "3 1 2 ");
    assert_int_equal(tidings_outbox_wait(work->outbox, 0, NULL), TIDINGS_OK);
}

/* As after a crash between the bus's commit and the row's end. */
static void test_a_row_that_was_published_is_not_again(void **state)
{
    struct work *work = *state;
    put(work, "a", "1");
    settle(work);
    sql(work, "create table saved as select * from tidings_outbox; "
              "create trigger save after delete on tidings_outbox begin insert into saved (seq, "
              "service, topic, lane, key, value, headers, id, type, size, added_ms, state, batch, "
              "attempts, retry_ms, whole_topic) values (old.seq, old.service, old.topic, old.lane, "
              "old.key, old.value, old.headers, old.id, old.type, old.size, old.added_ms, "
              "old.state, old.batch, old.attempts, old.retry_ms, old.whole_topic); end");
    put(work, "a", "2");
    settle(work);
    stop(work);
    sql(work, "drop trigger save; insert into tidings_outbox select * from saved");
    assert_int_equal(number(work, "select count(*) from tidings_outbox"), 1);
    start(work);
    put(work, "a", "3");
    settle(work);
    expect_told(work, "1 2 3 ");
    assert_int_equal(number(work, "select count(*) from tidings_outbox"), 0);
}

/* What the inbox knows is as old as the test's clock says. */
static void test_the_inbox_has_the_tests_time(void **state)
{
    struct work *work = *state;
    put(work, "a", "1");
    settle(work);
    assert_true(number(work, "select done_ms from tidings_inbox") ==
                tidings_test_now_ms(work->bus));
}

#define PLAYED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PLAYED_TEST(test_what_is_committed_is_published),
        PLAYED_TEST(test_what_is_rolled_back_never_was),
        PLAYED_TEST(test_a_refused_row_waits_in_the_tests_time),
        PLAYED_TEST(test_a_row_that_was_published_is_not_again),
        PLAYED_TEST(test_the_inbox_has_the_tests_time),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
