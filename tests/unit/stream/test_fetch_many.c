#include "../unit.h"
#include "stream_fixture.h"

#include "base/mem.h"
#include "topic/topic.h"

#include <stdlib.h>

/*
 * Fetches of many partitions, and many fetches of one: a reactor does them in pieces, and they may
 * end in between. Each look at a partition begins with partition_readable, in front of which the
 * linker's --wrap puts a count.
 */
enum { MANY = 3 * FETCH_QUICK_ITEMS, EVENT = 1000, LONG_MS = 3600000, LOOKS_A_TURN = 512 };

static _Thread_local unsigned looks;

void __real_partition_readable(const struct partition *partition, int64_t *high_watermark,
                               int64_t *last_stable_offset);
void __wrap_partition_readable(const struct partition *partition, int64_t *high_watermark,
                               int64_t *last_stable_offset);

void __wrap_partition_readable(const struct partition *partition, int64_t *high_watermark,
                               int64_t *last_stable_offset)
{
    looks++;
    __real_partition_readable(partition, high_watermark, last_stable_offset);
}

struct asked {
    struct fetch fetch; /* first */
    struct fixture *fixture;
    struct fetch_list list;
    struct task task;
    bool on_worker;
    atomic_bool started; /* by the worker, which has let go of it */
    atomic_int done;
    struct fetch_item items[];
};

static void on_done(struct fetch *fetch)
{
    atomic_fetch_add(&((struct asked *)fetch)->done, 1);
}

static int setup(void **state)
{
    fixture_setup(state);
    struct fixture *fixture = *state;
    struct topic_creation creation = {.name = slice_str("wide"), .partition_count = MANY};
    topic_unref(fixture->topic);
    assert_int_equal(
        catalogue_create(fixture->catalogue, &creation, &fixture->topic, &fixture->reason),
        ERR_NONE);
    return 0;
}

/* From all that many partitions, for what is not there yet. */
static struct asked *ask(struct fixture *fixture, size_t items)
{
    struct asked *asked = mem_zalloc(sizeof *asked + items * sizeof asked->items[0]);
    asked->fixture = fixture;
    asked->fetch = (struct fetch){
        .items = asked->items,
        .item_count = items,
        .max_bytes = 1 << 20,
        .min_bytes = 1,
        .max_wait_ms = LONG_MS,
        .held_bytes = items * 100,
        .list = &asked->list,
        .done = on_done,
    };
    for (size_t i = 0; i < items; i++) {
        struct partition *partition = topic_partition(fixture->topic, (int32_t)i);
        asked->items[i].partition = partition;
        asked->items[i].offset = partition_high_watermark(partition);
        asked->items[i].max_bytes = 1 << 20;
    }
    return asked;
}

static void start_on_worker(struct task *task)
{
    struct asked *asked = container_of(task, struct asked, task);
    fetch_start_slowly(asked->fixture->fetches, fixture_reactor(asked->fixture), &asked->fetch);
    atomic_store(&asked->started, true);
}

static void start(struct asked *asked)
{
    asked->on_worker = true;
    asked->task.run = start_on_worker;
    workers_post(asked->fixture->workers, (struct worker_owner){.who = NULL}, WORKER_SLOW,
                 &asked->task);
}

static void start_here(void *context)
{
    struct asked *asked = context;
    fetch_start(asked->fixture->fetches, fixture_reactor(asked->fixture), &asked->fetch);
}

static void nothing(void *context)
{
    (void)context;
}

static void wait_done(struct asked *asked)
{
    wait_until(atomic_load(&asked->done) > 0);
    on_reactor(asked->fixture, nothing, NULL); /* whoever would call it twice had the time to */
    assert_int_equal(atomic_load(&asked->done), 1);
    assert_null(asked->list.first);
}

static void end(struct asked *asked)
{
    wait_until(!asked->on_worker || atomic_load(&asked->started));
    fetch_release(&asked->fetch);
    free(asked);
}

/* On the reactor once each turn, until what it waits for is there. */
struct probe {
    struct task task;
    struct asked *asked;
    int stage;
    bool inside; /* it has begun with some of the items, but not with all */
    void (*act)(struct asked *asked);
    unsigned seen, most; /* looks before this turn, and the most of a turn */
    atomic_bool hit;
};

static void on_probe(struct task *task)
{
    struct probe *probe = container_of(task, struct probe, task);
    const struct fetch *fetch = &probe->asked->fetch;
    bool inside = fetch->entered > 0 && fetch->entered < fetch->item_count;
    unsigned now = looks - probe->seen;
    probe->most = now > probe->most ? now : probe->most;
    probe->seen = looks;
    if ((int)fetch->stage != probe->stage || (probe->inside && !inside)) {
        reactor_post(fixture_reactor(probe->asked->fixture), task);
        return;
    }
    if (probe->act != NULL) {
        probe->act(probe->asked);
    }
    atomic_store(&probe->hit, true);
}

static void begin_probe(void *context)
{
    struct probe *probe = context;
    probe->task.run = on_probe;
    probe->seen = looks;
    reactor_post(fixture_reactor(probe->asked->fixture), &probe->task);
}

/* Does it as soon as the fetch is so far; with `starts` from its very beginning. */
static void in_stage_from(struct asked *asked, bool starts, int stage, bool inside,
                          void (*act)(struct asked *asked))
{
    struct probe probe = {.asked = asked, .stage = stage, .inside = inside, .act = act};
    on_reactor(asked->fixture, begin_probe, &probe);
    if (starts) {
        start(asked);
    }
    wait_until(atomic_load(&probe.hit));
}

static void in_stage(struct asked *asked, int stage, bool inside, void (*act)(struct asked *asked))
{
    in_stage_from(asked, false, stage, inside, act);
}

static void cancel(struct asked *asked)
{
    fetch_cancel(&asked->fetch);
}

static void cancel_all(struct asked *asked)
{
    fetch_cancel_all(&asked->list);
}

static void answer(struct asked *asked)
{
    fetch_answer(&asked->fetch);
}

static void answer_now(void *context)
{
    answer(context);
}

static void answer_all(struct asked *asked)
{
    fetch_answer_all(&asked->list);
}

static void drain(struct asked *asked)
{
    fetch_service_drain(asked->fixture->fetches);
}

static void test_what_is_there_is_answered_from_the_worker(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, MANY);
    publish_event(fixture, 1, EVENT);
    publish_event(fixture, MANY - 1, EVENT);
    start(asked);
    wait_done(asked);
    for (int i = 0; i < MANY; i++) {
        bool has = i == 1 || i == MANY - 1;
        assert_int_equal(asked->items[i].err, ERR_NONE);
        assert_int_equal(asked->items[i].high_watermark, asked->items[i].offset + has);
        assert_in_range(asked->items[i].span.size, has ? EVENT : 0, has ? EVENT + 100 : 0);
    }
    end(asked);
}

static void test_an_event_ends_the_wait(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, MANY);
    start(asked);
    in_stage(asked, FETCH_WAITS, false, NULL);
    assert_ptr_equal(asked->list.first, &asked->fetch);
    publish_event(fixture, MANY / 2, EVENT);
    wait_done(asked);
    assert_false(asked->fetch.cancelled);
    assert_int_equal(asked->fetch.hold_ms, 0);
    for (int i = 0; i < MANY; i++) {
        bool has = i == MANY / 2;
        assert_in_range(asked->items[i].span.size, has ? EVENT : 0, has ? EVENT + 100 : 0);
    }
    end(asked);
}

/* Some of the items are in their rooms already, others are not looked at again yet. */
static void put_first_and_last(struct asked *asked)
{
    append_event(asked->fixture, 0, EVENT);
    append_event(asked->fixture, MANY - 1, EVENT);
}

static void test_no_event_is_missed_while_the_wait_begins(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, MANY);
    asked->fetch.min_bytes = 2 * EVENT;
    in_stage_from(asked, true, FETCH_ENTERS, true, put_first_and_last);
    wait_done(asked);
    assert_in_range(asked->items[0].span.size, EVENT, EVENT + 100);
    assert_in_range(asked->items[MANY - 1].span.size, EVENT, EVENT + 100);
    end(asked);
}

static void test_time_ends_the_wait(void **state)
{
    struct asked *asked = ask(*state, MANY);
    asked->fetch.max_wait_ms = 20;
    start(asked);
    wait_done(asked);
    assert_int_equal(asked->items[0].err, ERR_NONE);
    assert_int_equal(asked->fetch.hold_ms, 0);
    end(asked);
}

/* Whatever it was doing: it ends once, and is in no waiting room any more. */
static void test_it_may_end_in_each_stage(void **state)
{
    static const struct {
        int stage;
        bool inside;
        void (*act)(struct asked *asked);
        bool cancels;
    } cases[] = {{FETCH_ENTERS, true, cancel, true},     {FETCH_ENTERS, true, answer, false},
                 {FETCH_ENTERS, true, cancel_all, true}, {FETCH_ENTERS, true, answer_all, false},
                 {FETCH_WAITS, false, cancel, true},     {FETCH_WAITS, false, answer, false},
                 {FETCH_WAITS, false, cancel_all, true}, {FETCH_WAITS, false, answer_all, false}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked = ask(fixture, MANY);
        in_stage_from(asked, true, cases[i].stage, cases[i].inside, cases[i].act);
        wait_done(asked);
        assert_int_equal(asked->fetch.cancelled, cases[i].cancels);
        assert_int_equal(asked->fetch.entered, 0);
        end(asked);
    }
    for (int32_t i = 0; i < MANY; i += 100) {
        publish_event(fixture, i, EVENT);
    }
}

static void test_it_may_be_cancelled_while_it_ends(void **state)
{
    struct fixture *fixture = *state;
    struct asked *asked = ask(fixture, MANY);
    start(asked);
    in_stage(asked, FETCH_WAITS, false, NULL);
    struct probe probe = {.asked = asked, .stage = FETCH_LEAVES, .inside = true, .act = cancel};
    on_reactor(fixture, begin_probe, &probe);
    on_reactor(fixture, answer_now, asked);
    wait_until(atomic_load(&probe.hit));
    wait_done(asked);
    assert_true(asked->fetch.cancelled);
    end(asked);
}

/* The worker has looked, and its message is on the way to the reactor. */
struct on_way {
    struct asked *asked;
    void (*act)(struct asked *asked);
};

static void act_on_way(void *context)
{
    struct on_way *on_way = context;
    start(on_way->asked);
    wait_until(atomic_load(&on_way->asked->started));
    on_way->act(on_way->asked);
}

static void test_it_may_end_on_its_way_to_the_reactor(void **state)
{
    static const struct {
        void (*act)(struct asked *asked);
        bool cancels;
    } cases[] = {{cancel_all, true}, {answer_all, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked = ask(*state, MANY);
        struct on_way on_way = {asked, cases[i].act};
        on_reactor(asked->fixture, act_on_way, &on_way);
        wait_done(asked);
        assert_int_equal(asked->fetch.cancelled, cases[i].cancels);
        end(asked);
    }
}

/* After it none waits any more: the last test of its fixture. */
static void test_a_drain_ends_those_that_are_on_their_way_as_well(void **state)
{
    struct asked *begins = ask(*state, MANY);
    struct asked *comes = ask(*state, MANY);
    struct asked *late = ask(*state, 1);
    struct on_way on_way = {comes, drain};
    in_stage_from(begins, true, FETCH_ENTERS, true, drain);
    on_reactor(comes->fixture, act_on_way, &on_way);
    on_reactor(late->fixture, start_here, late);
    struct asked *all[] = {begins, comes, late};
    for (int i = 0; i < 3; i++) {
        wait_done(all[i]);
        assert_false(all[i]->fetch.cancelled);
        end(all[i]);
    }
}

/* Neither a fetch of many partitions nor many fetches of one take a loop turn for themselves. */
static void test_a_turn_looks_at_few_partitions(void **state)
{
    struct fixture *fixture = *state;
    struct asked *many[8];
    struct probe probe = {.stage = FETCH_WAITS};
    for (int i = 0; i < 8; i++) {
        many[i] = ask(fixture, MANY);
    }
    probe.asked = many[7];
    on_reactor(fixture, begin_probe, &probe);
    for (int i = 0; i < 8; i++) {
        start(many[i]);
    }
    wait_until(atomic_load(&probe.hit));
    assert_in_range(probe.most, 1, LOOKS_A_TURN);
    for (int i = 0; i < 8; i++) {
        in_stage(many[i], FETCH_WAITS, false, answer);
        wait_done(many[i]);
        end(many[i]);
    }
}

static void test_an_event_for_many_is_looked_at_in_turns(void **state)
{
    enum { WAITERS = 2000 };
    struct fixture *fixture = *state;
    struct asked **all = mem_new_array(struct asked *, WAITERS);
    for (int i = 0; i < WAITERS; i++) {
        all[i] = ask(fixture, 1);
        on_reactor(fixture, start_here, all[i]);
    }
    struct probe probe = {.stage = FETCH_AWAY, .asked = all[0]}; /* the first is woken last */
    on_reactor(fixture, begin_probe, &probe);
    append_event(fixture, 0, EVENT);
    wait_until(atomic_load(&probe.hit));
    assert_in_range(probe.most, 1, LOOKS_A_TURN);
    for (int i = 0; i < WAITERS; i++) {
        wait_until(atomic_load(&all[i]->done) == 1);
        assert_in_range(all[i]->items[0].span.size, EVENT, EVENT + 100);
        end(all[i]);
    }
    free(all);
}

/* Who asks for little need not wait until the large one has left, whose answer is held back. */
static void test_the_largest_makes_room_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct budget_used *share = &fixture->budget.shares[BUDGET_REQUESTS];
    struct asked *large = ask(fixture, MANY);
    struct asked *small = ask(fixture, 4);
    share->limit_bytes = 2 * (int64_t)large->fetch.held_bytes;
    large->fetch.max_wait_ms = LONG_MS;
    start(large);
    in_stage(large, FETCH_WAITS, false, NULL);
    on_reactor(fixture, start_here, small);
    wait_done(large);
    assert_in_range(large->fetch.hold_ms, 1, FETCH_HOLD_MAX_MS);
    assert_false(large->fetch.cancelled);
    wait_until((size_t)atomic_load(&share->bytes) == small->fetch.held_bytes);
    assert_int_equal(atomic_load(&small->done), 0);
    publish_event(fixture, 3, EVENT);
    wait_done(small);
    assert_int_equal(small->fetch.hold_ms, 0);
    wait_until(atomic_load(&share->bytes) == 0);
    budget_init(&fixture->budget, 1 << 30);
    end(large);
    end(small);
}

/* One that may not wait for want of memory is told to come later, but not later than it would. */
static void test_who_finds_no_memory_is_held_back(void **state)
{
    struct fixture *fixture = *state;
    struct budget_used *share = &fixture->budget.shares[BUDGET_REQUESTS];
    share->limit_bytes = 100;
    static const int32_t waits[] = {0, 20, LONG_MS}, holds[] = {0, 20, FETCH_HOLD_MAX_MS};
    for (size_t i = 0; i < 3; i++) {
        for (int many = 0; many < 2; many++) {
            struct asked *asked = ask(fixture, many ? MANY : 1);
            asked->fetch.max_wait_ms = waits[i];
            if (many) {
                start(asked);
            } else {
                on_reactor(fixture, start_here, asked);
            }
            wait_done(asked);
            assert_int_equal(asked->fetch.hold_ms, holds[i]);
            end(asked);
        }
    }
    assert_int_equal(atomic_load(&share->bytes), 0);
    budget_init(&fixture->budget, 1 << 30);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_there_is_answered_from_the_worker),
        cmocka_unit_test(test_an_event_ends_the_wait),
        cmocka_unit_test(test_no_event_is_missed_while_the_wait_begins),
        cmocka_unit_test(test_time_ends_the_wait),
        cmocka_unit_test(test_it_may_end_in_each_stage),
        cmocka_unit_test(test_it_may_be_cancelled_while_it_ends),
        cmocka_unit_test(test_it_may_end_on_its_way_to_the_reactor),
        cmocka_unit_test(test_a_turn_looks_at_few_partitions),
        cmocka_unit_test(test_an_event_for_many_is_looked_at_in_turns),
        cmocka_unit_test(test_the_largest_makes_room_in_pieces),
        cmocka_unit_test(test_who_finds_no_memory_is_held_back),
        cmocka_unit_test(test_a_drain_ends_those_that_are_on_their_way_as_well),
    };
    return unit_run(tests, setup, fixture_teardown, argc, argv);
}
