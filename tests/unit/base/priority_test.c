#include "../unit.h"

#include "base/priority.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ATTRIBUTES = 48 /* bytes of the first version */, RUNTIME_AT = 24 };

static uint64_t turn_ns(void)
{
    union {
        uint32_t size;
        uint64_t words[ATTRIBUTES / 8];
    } attributes = {.size = ATTRIBUTES};
    assert_int_equal(syscall(SYS_sched_getattr, 0, &attributes, ATTRIBUTES, 0), 0);
    return attributes.words[RUNTIME_AT / 8];
}

/* Older kernels tell no turn, and keep all as it is; so do others for SCHED_IDLE. */
static void test_a_quick_thread_has_short_turns_and_what_it_had(void **state)
{
    (void)state;
    uint64_t before_ns = turn_ns();
    int policy = sched_getscheduler(0);
    priority_set_nice(3);
    priority_set_turn(PRIORITY_QUICK_NS);
    bool acts = before_ns > 0 && policy == SCHED_OTHER;
    assert_int_equal(turn_ns(), acts ? PRIORITY_QUICK_NS : before_ns);
    assert_int_equal(sched_getscheduler(0), policy);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 3);
}

struct other {
    atomic_int rounds;
    atomic_bool ends;
};

static void *go_round(void *context)
{
    struct other *other = context;
    while (!atomic_load(&other->ends)) {
        atomic_fetch_add(&other->rounds, 1);
        sched_yield();
    }
    return NULL;
}

/* All of this process to one of its processors. */
static void share_a_processor(void)
{
    cpu_set_t mine;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &mine)) {
        first++;
    }
    CPU_ZERO(&mine);
    CPU_SET(first, &mine);
    assert_int_equal(sched_setaffinity(0, sizeof mine, &mine), 0);
}

/* So many calls that do nothing take some microseconds: the other one would not have run. */
static void test_who_gives_way_lets_who_is_ready_go_first(void **state)
{
    (void)state;
    enum { CALLS = 500 };
    struct other other = {.rounds = 0};
    pthread_t thread;
    share_a_processor();
    assert_int_equal(pthread_create(&thread, NULL, go_round, &other), 0);
    while (atomic_load(&other.rounds) == 0) {
        sched_yield();
    }
    int before = atomic_load(&other.rounds);
    for (int i = 0; i < CALLS; i++) {
        priority_give_way();
    }
    int rounds = atomic_load(&other.rounds) - before;
    atomic_store(&other.ends, true);
    pthread_join(thread, NULL);
    assert_true(rounds > CALLS / 100);
}

static void test_what_is_awaited_is_so_for_a_millisecond(void **state)
{
    (void)state;
    priority_await(5000);
    assert_true(priority_is_awaited(5000));
    assert_true(priority_is_awaited(5000 + 999999));
    assert_false(priority_is_awaited(5000 + 1000000));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quick_thread_has_short_turns_and_what_it_had),
        cmocka_unit_test(test_who_gives_way_lets_who_is_ready_go_first),
        cmocka_unit_test(test_what_is_awaited_is_so_for_a_millisecond),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
