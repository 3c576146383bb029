#include "../unit.h"

#include "stream_fixture.h"

#include "base/mem.h"
#include "topic/topic.h"

#include <stdlib.h>

/*
 * A fetch that wakes looks at the partitions that moved. Each look begins with partition_readable,
 * in front of which the linker's --wrap puts a count.
 */
enum { EVENT = 1000, ITEMS = 4, LONG_MS = 3600000 };

static atomic_uint looks;

void __real_partition_readable(const struct partition *partition, int64_t *high_watermark,
                               int64_t *last_stable_offset);
void __wrap_partition_readable(const struct partition *partition, int64_t *high_watermark,
                               int64_t *last_stable_offset);

void __wrap_partition_readable(const struct partition *partition, int64_t *high_watermark,
                               int64_t *last_stable_offset)
{
    atomic_fetch_add(&looks, 1);
    __real_partition_readable(partition, high_watermark, last_stable_offset);
}

struct asked {
    struct fetch fetch; /* first */
    struct fixture *fixture;
    struct fetch_item items[ITEMS];
    atomic_int done;
};

static void on_done(struct fetch *fetch)
{
    atomic_fetch_add(&((struct asked *)fetch)->done, 1);
}

static void start_now(void *context)
{
    struct asked *asked = context;
    fetch_start(asked->fixture->fetches, fixture_reactor(asked->fixture), &asked->fetch);
}

/* A fetch from all partitions for which there is nothing yet, of a request that keeps so much. */
static struct asked *ask(struct fixture *fixture, int64_t min_bytes, size_t held_bytes)
{
    struct asked *asked = mem_new(struct asked);
    asked->fixture = fixture;
    asked->fetch = (struct fetch){
        .items = asked->items,
        .item_count = ITEMS,
        .max_bytes = 1 << 20,
        .min_bytes = min_bytes,
        .max_wait_ms = LONG_MS,
        .held_bytes = held_bytes,
        .done = on_done,
    };
    for (int32_t i = 0; i < ITEMS; i++) {
        asked->items[i].partition = topic_partition(fixture->topic, i);
        asked->items[i].max_bytes = 1 << 20;
    }
    on_reactor(fixture, start_now, asked);
    return asked;
}

/* One that waits, with none of its partitions looked at since. */
static struct asked *wait_for(struct fixture *fixture, int64_t min_bytes)
{
    struct asked *asked = ask(fixture, min_bytes, 0);
    assert_int_equal(atomic_load(&asked->done), 0);
    atomic_store(&looks, 0);
    return asked;
}

static void end(struct asked *asked)
{
    fetch_release(&asked->fetch);
    free(asked);
}

static void test_only_the_partition_that_moved_is_looked_at(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = wait_for(fixture, 1);
    publish_event(fixture, 2, EVENT);
    wait_until(atomic_load(&asked->done) == 1);
    assert_int_equal(atomic_load(&looks), 1);
    assert_in_range(asked->items[2].span.size, EVENT, EVENT + 100);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(asked->items[i].high_watermark, i == 2);
        assert_int_equal(asked->items[i].err, ERR_NONE);
    }
    end(asked);
}

/* What was too little is counted on, and read again once it is enough together. */
static void test_what_moved_before_is_not_looked_at_until_it_is_enough(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = wait_for(fixture, 3 * EVENT);
    publish_event(fixture, 0, EVENT);
    wait_until(atomic_load(&looks) == 1);
    publish_event(fixture, 3, EVENT);
    wait_until(atomic_load(&looks) == 2);
    assert_int_equal(atomic_load(&asked->done), 0);
    publish_event(fixture, 3, EVENT);
    wait_until(atomic_load(&asked->done) == 1);
    assert_int_equal(atomic_load(&looks), 3 + ITEMS);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    assert_in_range(asked->items[3].span.size, 2 * EVENT, 2 * (EVENT + 100));
    end(asked);
}

/* What waits holds no more than its part: the largest is answered early, small ones wait on. */
static void test_the_largest_is_answered_when_memory_is_short(void **state)
{
    struct fixture *fixture = *state;
    struct budget_used *share = &fixture->budget.shares[BUDGET_REQUESTS];
    share->limit_bytes = 2000; /* of which half is for those that wait */
    struct asked *large = ask(fixture, 1, 600);
    struct asked *small = ask(fixture, 1, 300);
    assert_int_equal(atomic_load(&large->done) + atomic_load(&small->done), 0);
    struct asked *other = ask(fixture, 1, 200);
    assert_int_equal(atomic_load(&large->done), 1);
    assert_int_equal(large->items[0].err, ERR_NONE);
    assert_int_equal(atomic_load(&other->done), 0);
    assert_int_equal(atomic_load(&share->bytes), 500);
    struct asked *huge = ask(fixture, 1, 5000);
    assert_int_equal(atomic_load(&huge->done), 1);
    assert_int_equal(atomic_load(&small->done) + atomic_load(&other->done), 0);
    publish_event(fixture, 1, EVENT);
    wait_until(atomic_load(&small->done) == 1 && atomic_load(&other->done) == 1);
    wait_until(atomic_load(&share->bytes) == 0);
    assert_in_range(atomic_load(&share->most_bytes), 900, 1000);
    end(large);
    end(small);
    end(other);
    end(huge);
}

/* Requests on workers may hold three quarters of the share. */
static void test_who_waits_has_room_beside_requests_on_workers(void **state)
{
    struct fixture *fixture = *state;
    struct budget_used *share = &fixture->budget.shares[BUDGET_REQUESTS];
    share->limit_bytes = 10000;
    budget_add(&fixture->budget, BUDGET_REQUESTS, 7500);
    struct asked *asked = ask(fixture, 1, 1000);
    assert_int_equal(atomic_load(&asked->done), 0);
    struct asked *late = ask(fixture, 1, 1000); /* the rest is for those that run */
    assert_int_equal(atomic_load(&late->done), 1);
    publish_event(fixture, 1, EVENT);
    wait_until(atomic_load(&asked->done) == 1);
    wait_until(atomic_load(&share->bytes) == 7500);
    budget_give(&fixture->budget, BUDGET_REQUESTS, 7500);
    end(asked);
    end(late);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_the_partition_that_moved_is_looked_at),
        TEST(test_what_moved_before_is_not_looked_at_until_it_is_enough),
        TEST(test_the_largest_is_answered_when_memory_is_short),
        TEST(test_who_waits_has_room_beside_requests_on_workers),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
