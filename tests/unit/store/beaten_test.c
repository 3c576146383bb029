/* The store's Inventory on PostgreSQL: what the database ends for another transaction's sake. */
#include "service.h"

#include <tidings_test.h>

#include "../sdk/base.h"
#include "../unit.h"

#include <pthread.h>
#include <unistd.h>

/* A transaction of somebody else, which takes two articles in the other order. */
struct rival {
    const struct base *base;
    pthread_t thread;
    bool is_late; /* the service was not looked at any more */
};

static void *rival_main(void *argument)
{
    struct rival *rival = argument;
    struct sql sql = base_connect(rival->base);
    base_do(&sql, "set deadlock_timeout = '100s'"); /* so that it is the other one who loses */
    base_do(&sql, "begin; update stock set changes = changes where stock_code = 'TIN'");
    /* PostgreSQL looks for a deadlock once, so we have to wait before the service's time-out: the
     * loop is the database's. Who is late gives up, and lets the service go on. */
    base_do(&sql, "do $$ begin while not exists (select from pg_locks where not granted) loop "
                  "perform pg_sleep(0.001); end loop; set local lock_timeout = '20s'; "
                  "update stock set changes = changes where stock_code = 'MUG'; "
                  "exception when lock_not_available then "
                  "perform set_config('rival.is_late', '1', false); end $$; commit");
    rival->is_late = base_number(&sql, "select count(*) where "
                                       "current_setting('rival.is_late', true) = '1'") == 1;
    base_close(&sql);
    return NULL;
}

static void note_failure(void *context, enum tidings_log_level level, const char *message)
{
    *(int *)context += strstr(message, " failed ") != NULL;
}

static void order(struct tidings_test *bus, const char *id)
{
    struct order placed = {.id = strdup(id), .country = strdup("EIRE")};
    order_add_line(&placed, "MUG", "a thing", 1, 12500);
    order_add_line(&placed, "TIN", "a thing", 1, 12500);
    char *json = order_to_json(&placed);
    struct tidings_message message = {.topic = "orders",
                                      .type = "OrderPlaced",
                                      .key = id,
                                      .id = id,
                                      .data = json,
                                      .data_size = strlen(json)};
    assert_int_equal(tidings_test_publish(bus, &message, NULL), TIDINGS_OK);
    free(json);
    order_deinit(&placed);
}

/* The service and the rival at once; whether there was a deadlock, of which the service was the
 * victim: else the rival would not have got what the service had. */
static bool meet(struct rival *rival, struct sql *look, struct tidings_test *bus, const char *id)
{
    rival->is_late = false;
    assert_int_equal(pthread_create(&rival->thread, NULL, rival_main, rival), 0);
    while (base_number(look, "select count(*) from pg_locks where mode = 'RowExclusiveLock' and "
                             "relation = 'stock'::regclass") == 0) {
        usleep(1000);
    }
    order(bus, id);
    assert_int_equal(tidings_test_settle(bus, NULL), TIDINGS_OK);
    pthread_join(rival->thread, NULL);
    return !rival->is_late;
}

static void test_a_deadlock_is_no_attempt(void **state)
{
    enum { TURNS = 5 };
    struct rival rival = {.base = *state};
    char url[256];
    int failures = 0;
    snprintf(url, sizeof url,
             "postgresql:///postgres?host=%s&user=tidings&options=-c%%20deadlock_timeout%%3D5s",
             rival.base->folder);
    struct store_common common = {.database = url, .slow_ms = "0"};
    const char *const values[] = {"10"};
    struct tidings_options options = {
        .name = "inventory", .workers = 1, .log = note_failure, .log_context = &failures};
    struct tidings_test *bus = tidings_test_new();
    struct tidings *tidings;
    struct shop *shop = shop_open(&inventory_service, &common, values);
    assert_non_null(shop);
    assert_int_equal(tidings_test_service(bus, &options, &tidings, NULL), TIDINGS_OK);
    assert_true(shop_register(shop, tidings));
    order(bus, "1");
    assert_int_equal(tidings_test_settle(bus, NULL), TIDINGS_OK);
    struct sql look = base_connect(rival.base);
    int orders = 1;
    bool have_met = false;
    while (!have_met && orders <= TURNS) {
        char id[] = {(char)('1' + orders++), '\0'};
        have_met = meet(&rival, &look, bus, id);
    }
    assert_true(have_met);
    assert_int_equal(failures, 0);
    assert_int_equal(base_number(&look, "select min(level) from stock"), 10 - orders);
    assert_int_equal(base_number(&look, "select min(changes) from stock"), orders);
    base_close(&look);
    tidings_free(tidings);
    shop_close(shop);
    tidings_test_free(bus);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_deadlock_is_no_attempt)};
    setenv("TEST_DATABASE", "postgres", 1);
    return unit_run(tests, base_setup, base_teardown, argc, argv);
}
