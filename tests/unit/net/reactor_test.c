#include "../unit.h"
#include "fixture.h"

#include "base/mem.h"
#include "net/frame_memory.h"
#include "net/frame_pool.h"
#include "net/mailbox.h"
#include "net/reply_queue.h"
#include "net/workers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Timers, posted tasks, workers, and the small parts beneath. */

enum { TIMERS = 50 };

struct timer_row;

struct row_timer {
    struct reactor_timer timer;
    struct timer_row *row;
    int64_t at_ms;
};

struct timer_row {
    struct task task;
    struct reactor *reactor;
    struct row_timer timers[TIMERS];
    int64_t last_ms;
    unsigned fired;
    bool early, unordered;
    atomic_bool done;
};

static void row_fired(struct reactor_timer *timer)
{
    struct row_timer *one = container_of(timer, struct row_timer, timer);
    struct timer_row *row = one->row;
    row->early = row->early || reactor_now_ms(row->reactor) < one->at_ms;
    row->unordered = row->unordered || one->at_ms < row->last_ms;
    row->last_ms = one->at_ms;
    if (++row->fired == TIMERS - 2) { /* one is cancelled, one has not its time */
        atomic_store(&row->done, true);
    }
}

static void set_timers(struct task *task)
{
    struct timer_row *row = container_of(task, struct timer_row, task);
    int64_t now = reactor_now_ms(row->reactor);
    for (unsigned i = 0; i < TIMERS; i++) {
        row->timers[i].row = row;
        row->timers[i].timer.fire = row_fired;
        row->timers[i].at_ms = now + (i * 37) % 40;
        reactor_timer_set(row->reactor, &row->timers[i].timer, row->timers[i].at_ms);
    }
    reactor_timer_cancel(row->reactor, &row->timers[7].timer);
    reactor_timer_cancel(row->reactor, &row->timers[7].timer); /* no effect */
    reactor_timer_set(row->reactor, &row->timers[8].timer, now + 3600000);
    row->timers[9].at_ms = now + 45; /* moved to be the last */
    reactor_timer_set(row->reactor, &row->timers[9].timer, row->timers[9].at_ms);
}

static void test_timers_fire_in_order(void **state)
{
    struct server *server = *state;
    server_start(server);
    struct timer_row row = {.task.run = set_timers, .reactor = net_reactor(server->net, 1)};
    reactor_post(row.reactor, &row.task);
    wait_until(atomic_load(&row.done));
    net_stop(server->net);
    assert_false(row.early);
    assert_false(row.unordered);
    assert_int_equal(row.fired, TIMERS - 2);
}

enum { POSTERS = 4, POSTS = 5000 };

struct post {
    struct task task;
    struct poster *poster;
    unsigned number;
};

struct poster {
    struct reactor *reactor;
    pthread_t thread;
    unsigned next; /* of the reactor's thread: what must come now */
    bool unordered;
    atomic_uint run;
    struct post posts[POSTS];
};

static void run_post(struct task *task)
{
    struct post *post = container_of(task, struct post, task);
    post->poster->unordered = post->poster->unordered || post->number != post->poster->next;
    post->poster->next++;
    atomic_fetch_add(&post->poster->run, 1);
}

static void *post_all(void *context)
{
    struct poster *poster = context;
    for (unsigned i = 0; i < POSTS; i++) {
        poster->posts[i] = (struct post){.task.run = run_post, .poster = poster, .number = i};
        reactor_post(poster->reactor, &poster->posts[i].task);
    }
    return NULL;
}

static void test_posts_of_many_threads_run_in_order(void **state)
{
    struct server *server = *state;
    server_start(server);
    struct poster *posters = mem_new_array(struct poster, POSTERS);
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i].reactor = net_reactor(server->net, 0);
        pthread_create(&posters[i].thread, NULL, post_all, &posters[i]);
    }
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        wait_until(atomic_load(&posters[i].run) == POSTS);
    }
    net_stop(server->net);
    for (unsigned i = 0; i < POSTERS; i++) {
        assert_false(posters[i].unordered);
        assert_int_equal(posters[i].next, POSTS);
    }
    free(posters);
}

static void test_posts_around_start_and_stop_run_once(void **state)
{
    struct server *server = *state;
    server_start(server);
    net_stop(server->net);
    struct poster *poster = mem_new(struct poster);
    poster->reactor = net_reactor(server->net, 0);
    post_all(poster);
    net_free(server->net);
    assert_int_equal(atomic_load(&poster->run), POSTS);
    free(poster);

    struct net_handler handler = {0};
    poster = mem_new(struct poster);
    assert_int_equal(net_new(&server->config, &handler, &server->net, NULL), ERR_NONE);
    poster->reactor = net_reactor(server->net, 1);
    post_all(poster);
    assert_int_equal(atomic_load(&poster->run), 0);
    assert_int_equal(net_start(server->net, NULL), ERR_NONE);
    wait_until(atomic_load(&poster->run) == POSTS);
    net_stop(server->net);
    free(poster);
}

/* Tasks posted one by one to a sleeping reactor: each must wake it. */
static void test_no_wake_is_lost(void **state)
{
    struct server *server = *state;
    server_start(server);
    struct poster *poster = mem_new(struct poster);
    poster->reactor = net_reactor(server->net, 1);
    for (unsigned i = 0; i < POSTS; i++) {
        poster->posts[i] = (struct post){.task.run = run_post, .poster = poster, .number = i};
        reactor_post(poster->reactor, &poster->posts[i].task);
        while (atomic_load(&poster->run) != i + 1) {
            sched_yield();
        }
    }
    net_stop(server->net);
    assert_false(poster->unordered);
    free(poster);
}

struct job {
    struct task task;
    struct workers *workers;
    atomic_uint *run;
    struct job *more; /* posted by the first */
};

static void run_job(struct task *task)
{
    struct job *job = container_of(task, struct job, task);
    if (job->more != NULL) {
        workers_post(job->workers, (struct worker_owner){.who = job->more}, WORKER_SLOW,
                     &job->more->task);
    }
    atomic_fetch_add(job->run, 1);
}

static void test_workers_run_every_task_before_they_stop(void **state)
{
    enum { JOBS = 2000 };
    (void)state;
    static struct job jobs[2 * JOBS];
    atomic_uint run = 0;
    struct workers *workers = NULL;
    assert_int_equal(workers_new("worker", 3, &workers, NULL), ERR_NONE);
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[JOBS + i] = (struct job){.task.run = run_job, .workers = workers, .run = &run};
        jobs[i] = jobs[JOBS + i];
        jobs[i].more = &jobs[JOBS + i];
        workers_post(workers, (struct worker_owner){.who = &jobs[i % 7]}, WORKER_QUICK,
                     &jobs[i].task);
    }
    workers_free(workers);
    assert_int_equal(atomic_load(&run), 2 * JOBS);
    workers_free(NULL);
}

static void test_a_mailbox_keeps_the_order(void **state)
{
    (void)state;
    struct mailbox mailbox = {NULL};
    struct task tasks[3] = {{0}};
    assert_true(mailbox_is_empty(&mailbox));
    assert_null(mailbox_take(&mailbox));
    for (int i = 0; i < 3; i++) {
        mailbox_put(&mailbox, &tasks[i]);
    }
    assert_false(mailbox_is_empty(&mailbox));
    struct task *task = mailbox_take(&mailbox);
    for (int i = 0; i < 3; i++, task = task->next) {
        assert_ptr_equal(task, &tasks[i]);
    }
    assert_null(task);
    assert_true(mailbox_is_empty(&mailbox));
}

static unsigned granted_row;

static void granted(struct memory_wait *wait)
{
    granted_row = granted_row * 10 + (unsigned)wait->size;
}

static void test_frame_memory_serves_in_line(void **state)
{
    (void)state;
    struct frame_memory memory;
    frame_memory_init(&memory, 10, NULL);
    struct memory_wait a = {.size = 8, .granted = granted}, b = {.size = 1, .granted = granted},
                       c = {.size = 9, .granted = granted}, d = {.size = 2, .granted = granted};
    granted_row = 0;
    assert_true(frame_memory_take(&memory, 6));
    assert_false(frame_memory_take(&memory, 5));
    frame_memory_wait(&memory, &a);
    assert_false(frame_memory_take(&memory, 1)); /* fits, but must not pass a */
    frame_memory_wait(&memory, &b);
    frame_memory_wait(&memory, &c);
    frame_memory_wait(&memory, &d);
    assert_int_equal(granted_row, 0);
    frame_memory_give(&memory, 6);
    assert_int_equal(granted_row, 81);
    assert_false(frame_memory_cancel(&memory, &a)); /* granted already */
    assert_true(frame_memory_cancel(&memory, &c));
    assert_int_equal(granted_row, 81); /* 8 + 1 of 10: no room for d */
    frame_memory_give(&memory, 8);
    assert_int_equal(granted_row, 812);
    frame_memory_give(&memory, 1);
    frame_memory_give(&memory, 2);
    assert_true(frame_memory_take(&memory, 1000)); /* alone: always */
    assert_false(frame_memory_take(&memory, 1));
    struct memory_wait served = {.size = 3, .served = true, .granted = granted};
    frame_memory_wait(&memory, &b);
    frame_memory_wait(&memory, &served); /* before those who were not */
    granted_row = 0;
    frame_memory_give(&memory, 1000);
    assert_int_equal(granted_row, 31);
    assert_false(frame_memory_retry(&memory));
    frame_memory_give(&memory, 3);
    frame_memory_give(&memory, 1);
    frame_memory_deinit(&memory);
}

static void test_the_frame_pool_gives_its_buffers_out_again(void **state)
{
    (void)state;
    struct frame_pool pool = {0};
    struct frame_buffer a = frame_pool_take(&pool, 1 << 20);
    struct frame_buffer b = frame_pool_take(&pool, (1 << 20) + 1);
    uint8_t *last = b.data;
    frame_pool_give(&pool, a);
    frame_pool_give(&pool, b);
    a = frame_pool_take(&pool, 1000000);
    assert_ptr_equal(a.data, last); /* the last given is still in the cache */
    frame_pool_give(&pool, a);
    struct frame_buffer small = frame_pool_take(&pool, 65536);
    assert_true(small.capacity < 1 << 19); /* not a MiB for 64 KiB */
    frame_pool_give(&pool, small);
    for (int i = 0; i < 100; i++) {
        struct frame_buffer buffer = {.data = mem_alloc(3 << 20), .capacity = 3 << 20};
        frame_pool_give(&pool, buffer);
        assert_true(pool.kept_bytes <= FRAME_POOL_BYTES);
    }
    struct frame_buffer huge = frame_pool_take(&pool, 50 << 20);
    frame_pool_give(&pool, huge);
    assert_true(pool.kept_bytes <= FRAME_POOL_BYTES);
    frame_pool_clear(&pool);
    assert_int_equal(pool.kept_bytes, 0);
}

static void test_the_reply_queue_grows_and_wraps(void **state)
{
    (void)state;
    struct reply_queue queue = {0};
    for (uint64_t round = 0; round < 3; round++) {
        uint64_t first = queue.first;
        for (uint64_t i = 0; i < 100; i++) {
            assert_int_equal(reply_queue_push(&queue), first + i);
            if (i % 3 == 2) {
                reply_queue_pop(&queue);
            }
        }
        assert_null(reply_queue_at(&queue, queue.first - 1));
        assert_null(reply_queue_at(&queue, queue.first + queue.count));
        assert_non_null(reply_queue_at(&queue, queue.first));
        while (queue.count > 0) {
            reply_queue_pop(&queue);
        }
        assert_true(queue.capacity <= 4);
    }
    reply_queue_deinit(&queue);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_timers_fire_in_order),
        SERVER_TEST(test_posts_of_many_threads_run_in_order),
        SERVER_TEST(test_posts_around_start_and_stop_run_once),
        SERVER_TEST(test_no_wake_is_lost),
        cmocka_unit_test(test_workers_run_every_task_before_they_stop),
        cmocka_unit_test(test_a_mailbox_keeps_the_order),
        cmocka_unit_test(test_frame_memory_serves_in_line),
        cmocka_unit_test(test_the_frame_pool_gives_its_buffers_out_again),
        cmocka_unit_test(test_the_reply_queue_grows_and_wraps),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
