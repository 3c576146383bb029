#include "base/mem.h"
#include "base/movable_clock.h"
#include "coordinator/alarm.h"

#include "../unit.h"
#include <pthread.h>

#include <stdlib.h>

/* An alarm on the reactor of a net that has no connections. */

struct bench {
    struct net *net;
    struct workers *workers;
    struct movable_clock clock;
    struct alarm alarm;
    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t ticked;
    int ticks;
    int64_t last_now_ms;
    int64_t next_ms; /* what the tick answers */
    struct task task;
    bool waits; /* the tick, for the task on the reactor */
    bool task_ran;
};

static void run_task(struct task *task)
{
    struct bench *bench = container_of(task, struct bench, task);
    pthread_mutex_lock(&bench->lock);
    bench->task_ran = true;
    pthread_cond_broadcast(&bench->ticked);
    pthread_mutex_unlock(&bench->lock);
}

static void on_open(void *context, struct conn *conn)
{
}

static void on_frame(void *context, struct conn *conn, struct reply_token token, struct slice frame)
{
}

static void on_close(void *context, struct conn *conn, enum conn_end end)
{
}

static int64_t tick(void *context, int64_t now_ms)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    if (bench->waits) {
        bench->task.run = run_task;
        reactor_post(net_reactor(bench->net, 0), &bench->task);
    }
    while (bench->waits && !bench->task_ran) {
        pthread_cond_wait(&bench->ticked, &bench->lock);
    }
    bench->ticks++;
    bench->last_now_ms = now_ms;
    int64_t next_ms = bench->next_ms;
    pthread_cond_broadcast(&bench->ticked);
    pthread_mutex_unlock(&bench->lock);
    return next_ms;
}

static void await_ticks(struct bench *bench, int ticks)
{
    pthread_mutex_lock(&bench->lock);
    while (bench->ticks < ticks) {
        pthread_cond_wait(&bench->ticked, &bench->lock);
    }
    pthread_mutex_unlock(&bench->lock);
}

static int set_up(void **state)
{
    struct bench *bench = mem_new(struct bench);
    struct net_config config;
    struct net_handler handler = {.on_open = on_open, .on_frame = on_frame, .on_close = on_close};
    struct reason reason;
    net_config_init(&config);
    config.reactor_count = 1;
    assert_int_equal(net_new(&config, &handler, &bench->net, &reason), ERR_NONE);
    pthread_mutex_init(&bench->lock, NULL);
    pthread_cond_init(&bench->ticked, NULL);
    bench->next_ms = INT64_MAX;
    assert_int_equal(workers_new("worker", 2, &bench->workers, &reason), ERR_NONE);
    movable_clock_init(&bench->clock, clock_system());
    alarm_init(&bench->alarm, &bench->clock.clock, net_reactor(bench->net, 0), bench->workers);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    net_stop(bench->net);
    workers_free(bench->workers);
    net_free(bench->net);
    pthread_mutex_destroy(&bench->lock);
    pthread_cond_destroy(&bench->ticked);
    free(bench);
    return 0;
}

static void run(struct bench *bench)
{
    struct reason reason;
    alarm_start(&bench->alarm, tick, bench);
    assert_int_equal(net_start(bench->net, &reason), ERR_NONE);
}

static void it_begins_with_a_tick(void **state)
{
    struct bench *bench = *state;
    run(bench);
    await_ticks(bench, 1);
}

static void the_reactor_goes_on_while_a_tick_lasts(void **state)
{
    struct bench *bench = *state;
    bench->waits = true;
    run(bench);
    await_ticks(bench, 1);
    assert_true(bench->task_ran);
}

static void a_wake_from_before_the_start_counts(void **state)
{
    struct bench *bench = *state;
    alarm_wake(&bench->alarm, INT64_MAX - 1); /* as a coordinator that loads, before it can tick */
    run(bench);
    await_ticks(bench, 1);
}

static void a_tick_names_the_time_of_the_next(void **state)
{
    struct bench *bench = *state;
    bench->next_ms = 1; /* long past */
    run(bench);
    await_ticks(bench, 5);
}

static void a_wake_brings_the_tick_forward(void **state)
{
    struct bench *bench = *state;
    run(bench);
    await_ticks(bench, 1); /* which wanted none to follow */
    alarm_wake(&bench->alarm, 0);
    await_ticks(bench, 2);
    pthread_mutex_lock(&bench->lock);
    bench->next_ms = bench->last_now_ms + 3600 * 1000;
    pthread_mutex_unlock(&bench->lock);
    alarm_wake(&bench->alarm, 0);
    await_ticks(bench, 3);
    alarm_wake(&bench->alarm, 0); /* earlier than in an hour */
    await_ticks(bench, 4);
}

static void a_tick_is_never_before_its_time(void **state)
{
    struct bench *bench = *state;
    run(bench);
    await_ticks(bench, 1);
    pthread_mutex_lock(&bench->lock);
    int64_t at_ms = bench->last_now_ms + 20;
    pthread_mutex_unlock(&bench->lock);
    alarm_wake(&bench->alarm, at_ms);
    await_ticks(bench, 2);
    assert_true(bench->last_now_ms >= at_ms);
}

static void what_was_to_come_is_due_when_the_clock_is_moved(void **state)
{
    struct bench *bench = *state;
    run(bench);
    await_ticks(bench, 1);
    pthread_mutex_lock(&bench->lock);
    int64_t hour_ms = bench->last_now_ms + 3600 * 1000;
    bench->next_ms = hour_ms;
    pthread_mutex_unlock(&bench->lock);
    alarm_wake(&bench->alarm, 0);
    await_ticks(bench, 2);
    pthread_mutex_lock(&bench->lock);
    bench->next_ms = INT64_MAX;
    pthread_mutex_unlock(&bench->lock);
    struct reason reason;
    assert_int_equal(movable_clock_advance(&bench->clock, 3600 * 1000, false, &reason), ERR_NONE);
    alarm_wake(&bench->alarm, 0); /* as who moves it does */
    await_ticks(bench, 3);
    assert_true(bench->last_now_ms >= hour_ms);
    int64_t soon_ms = clock_mono_ms(&bench->clock.clock) + 20; /* by the clock that was moved */
    alarm_wake(&bench->alarm, soon_ms);
    await_ticks(bench, 4);
    assert_true(bench->last_now_ms >= soon_ms);
}

enum { WAKERS = 4, WAKES = 2000 };

static void *wake_often(void *context)
{
    for (int64_t i = WAKES; i >= 0; i--) {
        alarm_wake(context, i);
    }
    return NULL;
}

static void threads_wake_it(void **state)
{
    struct bench *bench = *state;
    run(bench);
    await_ticks(bench, 1);
    pthread_t threads[WAKERS];
    for (int i = 0; i < WAKERS; i++) {
        pthread_create(&threads[i], NULL, wake_often, &bench->alarm);
    }
    for (int i = 0; i < WAKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    await_ticks(bench, 2);
    assert_int_equal(tear_down(state), 0); /* runs what is still posted */
    assert_int_equal(set_up(state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(it_begins_with_a_tick),
        TEST(the_reactor_goes_on_while_a_tick_lasts),
        TEST(a_wake_from_before_the_start_counts),
        TEST(a_tick_names_the_time_of_the_next),
        TEST(a_wake_brings_the_tick_forward),
        TEST(a_tick_is_never_before_its_time),
        TEST(what_was_to_come_is_due_when_the_clock_is_moved),
        TEST(threads_wake_it),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
