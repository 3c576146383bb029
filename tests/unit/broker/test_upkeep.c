#include "../unit.h"

#include "base/file.h"
#include "base/mem.h"
#include "broker/timekeeper.h"
#include "broker/trimmer.h"
#include "net/net.h"
#include "topic/catalogue.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What the server does by itself from time to time, while all workers have tasks of clients that do
 * not end: on a thread of its own. */

enum { WORKERS = 2, MAX_BYTES = 1 << 30, MUCH = MAX_BYTES / 100, LITTLE = MAX_BYTES / 1000 };

/* Tasks of clients wait at it until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting;
    bool open;
};

struct client_task {
    struct task task;
    struct gate *gate;
};

struct fixture {
    char dir[64];
    struct net *net;
    struct workers *workers; /* for clients */
    struct workers *keepers;
    struct budget budget;
    struct gate gate;
    struct client_task tasks[WORKERS];
    struct timekeeper *timekeeper;
    struct trimmer *trimmer;
    struct overrides none;
    struct catalogue *catalogue;
    struct reason reason;
};

static atomic_int trims;
static char trimmed_by[16]; /* the thread; written before trims goes up */

/* In place of the allocator's: what the trimmer calls. */
int malloc_trim(size_t pad)
{
    (void)pad;
    pthread_getname_np(pthread_self(), trimmed_by, sizeof trimmed_by);
    atomic_fetch_add(&trims, 1);
    return 1;
}

static void wait_at_gate(struct task *task)
{
    struct gate *gate = container_of(task, struct client_task, task)->gate;
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

/* Each worker has a task that waits. */
static void occupy_workers(struct fixture *fixture)
{
    struct gate *gate = &fixture->gate;
    for (int i = 0; i < WORKERS; i++) {
        fixture->tasks[i] = (struct client_task){.task.run = wait_at_gate, .gate = gate};
        workers_post(fixture->workers, (struct worker_owner){.who = &fixture->tasks[i]},
                     WORKER_QUICK, &fixture->tasks[i].task);
    }
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < WORKERS) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

/* Between two looks at what is waited for. */
static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static int setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    struct net_handler handler = {.context = NULL}; /* nobody connects */
    struct net_config config;
    struct reason *reason = &fixture->reason;
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/tidings-upkeep-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    net_config_init(&config);
    config.reactor_count = 1;
    assert_int_equal(net_new(&config, &handler, &fixture->net, reason), ERR_NONE);
    assert_int_equal(workers_new("worker", WORKERS, &fixture->workers, reason), ERR_NONE);
    assert_int_equal(workers_new("keeper", 1, &fixture->keepers, reason), ERR_NONE);
    assert_int_equal(net_start(fixture->net, reason), ERR_NONE);
    budget_init(&fixture->budget, MAX_BYTES);
    pthread_mutex_init(&fixture->gate.lock, NULL);
    pthread_cond_init(&fixture->gate.changed, NULL);
    atomic_store(&trims, 0);
    occupy_workers(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    net_stop(fixture->net);
    workers_free(fixture->keepers);
    open_gate(&fixture->gate);
    workers_free(fixture->workers);
    net_free(fixture->net);
    timekeeper_free(fixture->timekeeper);
    trimmer_free(fixture->trimmer);
    if (fixture->catalogue != NULL) {
        assert_int_equal(catalogue_close(fixture->catalogue, &fixture->reason), ERR_NONE);
    }
    pthread_cond_destroy(&fixture->gate.changed);
    pthread_mutex_destroy(&fixture->gate.lock);
    char *command = mem_sprintf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    free(fixture);
    return 0;
}

static void test_checkpoints_are_written_while_tasks_of_clients_wait(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->none,
        .log_env = {.files = file_ops_system(), .clock = clock_system()},
        .open_threads = 1,
    };
    struct catalogue_recovery recovery;
    assert_int_equal(catalogue_open(&config, &fixture->catalogue, &recovery, &fixture->reason),
                     ERR_NONE);
    struct topic_creation creation = {.name = slice_str("orders"), .partition_count = 1};
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, NULL, &fixture->reason),
                     ERR_NONE);
    char *path = mem_sprintf("%s/checkpoint", fixture->dir);
    assert_int_not_equal(access(path, F_OK), 0);
    fixture->timekeeper = timekeeper_new(net_reactor(fixture->net, 0), fixture->keepers,
                                         fixture->catalogue, INT32_MAX);
    timekeeper_start(fixture->timekeeper, NULL);
    while (access(path, F_OK) != 0) {
        pause_briefly();
    }
    free(path);
}

/* Somebody held so much for a moment; returns when the trimmer has looked at it. */
static void burst(struct fixture *fixture, size_t bytes)
{
    budget_add(&fixture->budget, BUDGET_ANSWERS, bytes);
    budget_give(&fixture->budget, BUDGET_ANSWERS, bytes);
    while (atomic_load(&fixture->budget.shares[BUDGET_ANSWERS].recent_bytes) != 0) {
        pause_briefly();
    }
}

static void await_trims(int count)
{
    while (atomic_load(&trims) < count) {
        pause_briefly();
    }
}

static void test_memory_goes_back_after_a_burst_and_only_then(void **state)
{
    struct fixture *fixture = *state;
    fixture->trimmer =
        trimmer_new(net_reactor(fixture->net, 0), fixture->keepers, &fixture->budget);
    trimmer_start(fixture->trimmer);
    burst(fixture, LITTLE);
    burst(fixture, LITTLE); /* the look behind the first one is over */
    assert_int_equal(atomic_load(&trims), 0);
    burst(fixture, MUCH);
    await_trims(1);
    assert_int_equal(strncmp(trimmed_by, "keeper", 6), 0);
    burst(fixture, LITTLE);
    burst(fixture, LITTLE);
    assert_int_equal(atomic_load(&trims), 1); /* what was there then is not there twice */
    burst(fixture, MUCH);
    await_trims(2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_checkpoints_are_written_while_tasks_of_clients_wait,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_goes_back_after_a_burst_and_only_then, setup,
                                        teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
