#include "../unit.h"

#include "base/fair_lock.h"
#include "base/mem.h"
#include "net/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Who has turns on workers, told by order and counts. */

enum { MANY = 1000 };

/* Tasks wait at it until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting;
    unsigned passed;
    bool open;
};

struct waiter {
    struct task task;
    struct gate *gate;
};

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){.open = false};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

static void wait_at(struct task *task)
{
    struct gate *gate = container_of(task, struct waiter, task)->gate;
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    gate->passed++;
    pthread_mutex_unlock(&gate->lock);
}

static void await_waiting(struct gate *gate, unsigned count)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < count) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static struct workers *start(unsigned threads)
{
    struct workers *workers = NULL;
    assert_int_equal(workers_new("worker", threads, &workers, NULL), ERR_NONE);
    return workers;
}

/* Notes whose task ran, and how many of his at once. */
struct record {
    atomic_uint count;
    char ran[4 * MANY];
    atomic_int running[128];
    atomic_bool together;
};

struct job {
    struct task task;
    struct record *record;
    char name;
    struct workers *workers;
    unsigned pieces; /* that it goes on with */
};

/* Those with capital letters are at a site of their own. */
static struct worker_owner owner_of(struct record *record, char name)
{
    struct worker_owner owner = {.who = &record->running[(int)name]};
    owner.site.address[0] = name < 'a';
    return owner;
}

static void run_job(struct task *task)
{
    struct job *job = container_of(task, struct job, task);
    struct record *record = job->record;
    if (atomic_fetch_add(&record->running[(int)job->name], 1) != 0) {
        atomic_store(&record->together, true);
    }
    record->ran[atomic_fetch_add(&record->count, 1)] = job->name;
    atomic_fetch_sub(&record->running[(int)job->name], 1);
    if (job->pieces > 0) {
        job->pieces--;
        workers_post(job->workers, owner_of(record, job->name), WORKER_SLOW, task);
    }
}

static void post(struct workers *workers, struct job *job, struct record *record, char name,
                 enum worker_speed speed)
{
    *job = (struct job){.task.run = run_job, .record = record, .name = name, .workers = workers};
    workers_post(workers, owner_of(record, name), speed, &job->task);
}

/* The gate's task, of an owner of its own, holds the only thread while others are posted. */
static struct workers *start_held(struct gate *gate, struct waiter *waiter)
{
    struct workers *workers = start(1);
    gate_init(gate);
    *waiter = (struct waiter){{.run = wait_at}, gate};
    workers_post(workers, (struct worker_owner){.who = waiter}, WORKER_QUICK, &waiter->task);
    await_waiting(gate, 1);
    return workers;
}

static void test_one_task_does_not_wait_for_the_thousand_of_another(void **state)
{
    (void)state;
    for (int speed = WORKER_QUICK; speed <= WORKER_SLOW; speed++) {
        static struct job jobs[MANY + 1];
        static struct record record;
        memset(&record, 0, sizeof record);
        struct gate gate;
        struct waiter waiter;
        struct workers *workers = start_held(&gate, &waiter);
        for (int i = 0; i < MANY; i++) {
            post(workers, &jobs[i], &record, 'a', (enum worker_speed)speed);
        }
        post(workers, &jobs[MANY], &record, 'b', (enum worker_speed)speed);
        open_gate(&gate);
        workers_free(workers);
        assert_int_equal(record.count, MANY + 1);
        assert_memory_equal(record.ran, "aba", 3);
    }
}

static void test_all_have_turns_one_after_the_other(void **state)
{
    (void)state;
    static struct job jobs[12];
    static struct record record;
    memset(&record, 0, sizeof record);
    struct gate gate;
    struct waiter waiter;
    struct workers *workers = start_held(&gate, &waiter);
    const char *owners = "aaaaaabbbccd";
    for (int i = 0; owners[i] != '\0'; i++) {
        post(workers, &jobs[i], &record, owners[i], WORKER_SLOW);
    }
    open_gate(&gate);
    workers_free(workers);
    assert_memory_equal(record.ran, "abcdabcabaaa", 12);
}

static void test_turns_go_round_sites_first(void **state)
{
    (void)state;
    static struct job jobs[12];
    static struct record record;
    memset(&record, 0, sizeof record);
    struct gate gate;
    struct waiter waiter;
    struct workers *workers = start_held(&gate, &waiter);
    const char *owners = "ABCDEAFGaab";
    for (int i = 0; owners[i] != '\0'; i++) {
        post(workers, &jobs[i], &record, owners[i], WORKER_SLOW);
    }
    open_gate(&gate);
    workers_free(workers);
    assert_memory_equal(record.ran, "AaBbCaDEFGA", 11);
}

static void test_long_work_in_pieces_lets_others_in_between(void **state)
{
    (void)state;
    static struct job jobs[3];
    static struct record record;
    memset(&record, 0, sizeof record);
    struct gate gate;
    struct waiter waiter;
    struct workers *workers = start_held(&gate, &waiter);
    post(workers, &jobs[0], &record, 'a', WORKER_SLOW);
    jobs[0].pieces = 100;
    post(workers, &jobs[1], &record, 'b', WORKER_SLOW);
    post(workers, &jobs[2], &record, 'c', WORKER_QUICK);
    open_gate(&gate);
    workers_free(workers);
    assert_int_equal(record.count, 103);
    assert_memory_equal(record.ran, "acb",
                        3); /* the gate was quick: it is the turn of a slow one */
}

static void test_one_owner_has_one_thread_at_most(void **state)
{
    (void)state;
    static struct job jobs[2 * MANY];
    static struct record record;
    memset(&record, 0, sizeof record);
    struct workers *workers = start(4);
    for (int i = 0; i < 2 * MANY; i++) {
        post(workers, &jobs[i], &record, (char)('a' + i % 2), WORKER_QUICK);
    }
    workers_free(workers);
    assert_int_equal(record.count, 2 * MANY);
    assert_false(record.together);
}

static void test_slow_work_leaves_a_thread_free(void **state)
{
    (void)state;
    enum { OWNERS = 50, THREADS = 3 };
    static struct waiter slow[OWNERS];
    struct waiter quick;
    struct gate gate;
    struct gate passed;
    gate_init(&gate);
    gate_init(&passed);
    open_gate(&passed);
    struct workers *workers = start(THREADS);
    for (int i = 0; i < OWNERS; i++) {
        slow[i] = (struct waiter){{.run = wait_at}, &gate};
        workers_post(workers, (struct worker_owner){.who = &slow[i]}, WORKER_SLOW, &slow[i].task);
    }
    await_waiting(&gate, THREADS - 1);
    quick = (struct waiter){{.run = wait_at}, &passed};
    workers_post(workers, (struct worker_owner){.who = &quick}, WORKER_QUICK, &quick.task);
    await_waiting(&passed, 1); /* while all the others wait */
    pthread_mutex_lock(&gate.lock);
    assert_int_equal(gate.waiting, THREADS - 1);
    assert_int_equal(gate.passed, 0);
    pthread_mutex_unlock(&gate.lock);
    open_gate(&gate);
    workers_free(workers);
    assert_int_equal(gate.passed, OWNERS);
}

struct contender {
    struct fair_lock lock;
    atomic_bool had;
};

static void *take_once(void *context)
{
    struct contender *contender = context;
    fair_lock_take(&contender->lock);
    atomic_store(&contender->had, true);
    fair_lock_give(&contender->lock);
    return NULL;
}

static bool somebody_waits(struct fair_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    bool waits = lock->next == lock->served + 2;
    pthread_mutex_unlock(&lock->mutex);
    return waits;
}

static void test_who_waits_for_a_fair_lock_has_it_next(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct contender contender;
        pthread_t thread;
        fair_lock_init(&contender.lock);
        atomic_init(&contender.had, false);
        fair_lock_take(&contender.lock);
        assert_int_equal(pthread_create(&thread, NULL, take_once, &contender), 0);
        while (!somebody_waits(&contender.lock)) {
            sched_yield();
        }
        fair_lock_give(&contender.lock);
        fair_lock_take(&contender.lock);
        assert_true(atomic_load(&contender.had));
        fair_lock_give(&contender.lock);
        pthread_join(thread, NULL);
        fair_lock_deinit(&contender.lock);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_task_does_not_wait_for_the_thousand_of_another),
        cmocka_unit_test(test_all_have_turns_one_after_the_other),
        cmocka_unit_test(test_turns_go_round_sites_first),
        cmocka_unit_test(test_long_work_in_pieces_lets_others_in_between),
        cmocka_unit_test(test_one_owner_has_one_thread_at_most),
        cmocka_unit_test(test_slow_work_leaves_a_thread_free),
        cmocka_unit_test(test_who_waits_for_a_fair_lock_has_it_next),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
