#include "../unit.h"

#include "base/priority.h"

#include <sched.h>
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
    priority_set_quick();
    bool acts = before_ns > 0 && policy == SCHED_OTHER;
    assert_int_equal(turn_ns(), acts ? PRIORITY_QUICK_NS : before_ns);
    assert_int_equal(sched_getscheduler(0), policy);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quick_thread_has_short_turns_and_what_it_had),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
