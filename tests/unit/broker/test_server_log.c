#include "../stream/stream_fixture.h"
#include "../unit.h"

#include "broker/server_log.h"
#include "topic/topic.h"

/* The server's log for who may outlive the server. */

enum { MARKERS = 1000 };

struct asking {
    struct log_access *log;
    int turns;
    pthread_barrier_t is_in, may_leave;
    atomic_bool has_closed;
    enum err err;
};

static bool stay(void *context, const struct event *event)
{
    struct asking *asking = context;
    assert_int_equal(event->offset, 0);
    pthread_barrier_wait(&asking->is_in);
    pthread_barrier_wait(&asking->may_leave);
    return true;
}

static enum err read_first(struct log_access *log,
                           bool (*each)(void *context, const struct event *event), void *context)
{
    struct reason reason = {""};
    struct log_stretch stretch = {.topic = "orders", .stop = 1, .each = each, .context = context};
    return log_access_read(log, &stretch, &reason);
}

static void *ask(void *context)
{
    struct asking *asking = context;
    asking->err = read_first(asking->log, stay, asking);
    return NULL;
}

static void *close_log(void *context)
{
    struct asking *asking = context;
    server_log_close(asking->log);
    atomic_store(&asking->has_closed, true);
    return NULL;
}

static bool count(void *context, const struct event *event)
{
    (void)event;
    ++*(int *)context;
    return true;
}

static void test_it_is_closed_before_and_after_the_server(void **state)
{
    struct fixture *fixture = *state;
    struct log_access *log = server_log_new();
    int seen = 0;
    publish_event(fixture, 0, 10);
    assert_int_equal(read_first(log, count, &seen), ERR_CLOSED);
    assert_int_equal(log_access_partition_count(log, "orders"), 0);
    server_log_open(log, fixture->catalogue);
    assert_int_equal(read_first(log, count, &seen), ERR_NONE);
    assert_int_equal(seen, 1);
    assert_int_equal(log_access_partition_count(log, "orders"), 4);
    assert_int_equal(log_access_partition_count(log, "none"), 0);
    struct log_access *longer = server_log_ref(log);
    server_log_close(log);
    log_access_unref(log);
    assert_int_equal(read_first(longer, count, &seen), ERR_CLOSED);
    assert_int_equal(seen, 1);
    log_access_unref(longer);
    log_access_unref(NULL);
}

static void test_its_close_waits_for_who_reads(void **state)
{
    struct fixture *fixture = *state;
    struct asking asking = {.log = server_log_new()};
    pthread_t reader, closer;
    int seen = 0;
    publish_event(fixture, 0, 10);
    server_log_open(asking.log, fixture->catalogue);
    pthread_barrier_init(&asking.is_in, NULL, 2);
    pthread_barrier_init(&asking.may_leave, NULL, 2);
    assert_int_equal(pthread_create(&reader, NULL, ask, &asking), 0);
    pthread_barrier_wait(&asking.is_in);
    assert_int_equal(pthread_create(&closer, NULL, close_log, &asking), 0);
    /* From now on nobody comes in; and it is not closed, as one is in it. */
    wait_until(read_first(asking.log, count, &seen) == ERR_CLOSED);
    assert_false(atomic_load(&asking.has_closed));
    pthread_barrier_wait(&asking.may_leave);
    pthread_join(closer, NULL);
    pthread_join(reader, NULL);
    assert_true(atomic_load(&asking.has_closed));
    assert_int_equal(asking.err, ERR_CLOSED); /* there may have been more for it */
    pthread_barrier_destroy(&asking.is_in);
    pthread_barrier_destroy(&asking.may_leave);
    log_access_unref(asking.log);
}

static bool stay_between(void *context)
{
    struct asking *asking = context;
    asking->turns++;
    pthread_barrier_wait(&asking->is_in);
    pthread_barrier_wait(&asking->may_leave);
    return true;
}

/* More markers than one piece of the log has, and no events. */
static void *ask_for_nothing(void *context)
{
    struct asking *asking = context;
    struct reason reason = {""};
    struct log_stretch stretch = {
        .topic = "orders", .stop = MARKERS, .goes_on = stay_between, .context = asking};
    asking->err = log_access_read(asking->log, &stretch, &reason);
    return NULL;
}

static void test_its_close_ends_who_is_given_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct partition *partition = topic_partition(fixture->topic, 0);
    struct partition_marker marker = {.producer_id = 1};
    struct asking asking = {.log = server_log_new()};
    pthread_t reader, closer;
    int seen = 0;
    for (int i = 0; i < MARKERS; i++) {
        assert_int_equal(partition_append_marker(partition, &marker, &fixture->reason), ERR_NONE);
    }
    wait_until(partition_last_stable_offset(partition) == MARKERS);
    server_log_open(asking.log, fixture->catalogue);
    pthread_barrier_init(&asking.is_in, NULL, 2);
    pthread_barrier_init(&asking.may_leave, NULL, 2);
    assert_int_equal(pthread_create(&reader, NULL, ask_for_nothing, &asking), 0);
    pthread_barrier_wait(&asking.is_in);
    assert_int_equal(pthread_create(&closer, NULL, close_log, &asking), 0);
    wait_until(read_first(asking.log, count, &seen) == ERR_CLOSED);
    pthread_barrier_wait(&asking.may_leave);
    pthread_join(closer, NULL);
    pthread_join(reader, NULL);
    assert_int_equal(asking.turns, 1);
    assert_int_equal(asking.err, ERR_CLOSED);
    pthread_barrier_destroy(&asking.is_in);
    pthread_barrier_destroy(&asking.may_leave);
    log_access_unref(asking.log);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_closed_before_and_after_the_server,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_its_close_waits_for_who_reads, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_its_close_ends_who_is_given_nothing, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
