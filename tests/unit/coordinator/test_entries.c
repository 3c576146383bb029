#include "base/mem.h"
#include "base/random.h"
#include "base/vec.h"
#include "coordinator/coordinator.h"

#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counters under keys, over a log and a clock that the test moves; then over many threads. */

enum { PARTITIONS = 3 };

struct counter {
    struct entry base;
    int64_t value;
    int64_t deadline_ms;
    int ticks;
};

/* A record of the log: what the counter was. */
struct stored {
    char key[8];
    int64_t value;
};

struct bench {
    struct coordinator coordinator;
    struct clock clock;
    _Atomic int64_t now_ms;
    _Atomic int64_t woken_ms; /* the least since the last reset */
    atomic_int made;
    atomic_int freed;
    pthread_mutex_t lock; /* guards what is below */
    VEC(struct stored) log[PARTITIONS];
    VEC(struct state_append *) waiting;
    enum err append_err;
    bool quick; /* the disk syncs at once */
};

static struct bench *bench_of(const struct entry *entry)
{
    return container_of(entry->coordinator, struct bench, coordinator);
}

static struct counter *counter_of(struct entry *entry)
{
    return container_of(entry, struct counter, base);
}

static struct entry *make(struct coordinator *coordinator, struct slice key, const void *origin)
{
    struct counter *counter = mem_new(struct counter);
    counter->value = origin != NULL ? *(const int64_t *)origin : 0;
    counter->deadline_ms = INT64_MAX;
    container_of(coordinator, struct bench, coordinator)->made++;
    return &counter->base;
}

static void free_counter(struct entry *entry)
{
    bench_of(entry)->freed++;
    free(counter_of(entry));
}

static int64_t deadline(struct entry *entry)
{
    return counter_of(entry)->deadline_ms;
}

static void on_tick(struct entry *entry, int64_t now_ms)
{
    struct counter *counter = counter_of(entry);
    assert_true(counter->deadline_ms <= now_ms);
    counter->ticks++;
    counter->deadline_ms = INT64_MAX;
    entry_leave(entry);
}

static enum err fake_append(void *context, int32_t partition, const struct state_batch *batch,
                            int64_t wall_ms, struct state_append *append)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    enum err err = bench->append_err;
    for (size_t i = 0; i < batch->record_count && err == ERR_NONE; i++) {
        struct stored stored = {.value = 0};
        memcpy(stored.key, batch->records[i].key.data, batch->records[i].key.size);
        memcpy(&stored.value, batch->records[i].value.data, sizeof stored.value);
        vec_push(&bench->log[partition], stored);
    }
    pthread_mutex_unlock(&bench->lock);
    return err;
}

static void fake_wait(void *context, struct state_append *append)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    bool quick = bench->quick;
    if (!quick) {
        vec_push(&bench->waiting, append);
    }
    pthread_mutex_unlock(&bench->lock);
    if (quick) {
        append->done(append, ERR_NONE);
    }
}

static void sync_all(struct bench *bench, enum err err)
{
    for (size_t i = 0; i < bench->waiting.count; i++) {
        bench->waiting.items[i]->done(bench->waiting.items[i], err);
    }
    bench->waiting.count = 0;
}

static void wake(void *context, int64_t deadline_ms)
{
    struct bench *bench = context;
    int64_t seen = bench->woken_ms;
    while (deadline_ms < seen &&
           !atomic_compare_exchange_weak(&bench->woken_ms, &seen, deadline_ms)) {
    }
}

static int64_t fake_time(void *context)
{
    return ((struct bench *)context)->now_ms;
}

static int set_up(void **state)
{
    static const struct coordinator_kind kind = {
        .make = make, .free = free_counter, .deadline_ms = deadline, .tick = on_tick};
    struct bench *bench = mem_new(struct bench);
    bench->clock = (struct clock){.context = bench, .wall_ms = fake_time, .mono_ms = fake_time};
    bench->woken_ms = INT64_MAX;
    pthread_mutex_init(&bench->lock, NULL);
    struct coordinator_env env = {
        .clock = &bench->clock,
        .log = {.context = bench,
                .partition_count = PARTITIONS,
                .append = fake_append,
                .wait = fake_wait},
        .wake = wake,
        .wake_context = bench,
    };
    coordinator_init(&bench->coordinator, &kind, &env);
    bench->coordinator.phase = COORDINATOR_SERVING;
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    coordinator_deinit(&bench->coordinator);
    assert_int_equal(bench->made, bench->freed);
    for (int i = 0; i < PARTITIONS; i++) {
        vec_deinit(&bench->log[i]);
    }
    vec_deinit(&bench->waiting);
    pthread_mutex_destroy(&bench->lock);
    free(bench);
    return 0;
}

static struct slice key_a(void)
{
    return slice_str("a");
}

static struct counter *enter_new(struct bench *bench, struct slice key)
{
    return counter_of(entry_enter_new(&bench->coordinator, key, NULL));
}

/* ---- appends ---- */

struct written {
    struct entry_append append;
    int *order; /* counts all that are done */
    int place;  /* 0: not done */
    enum err err;
};

static void on_written(struct entry_append *append, struct entry *entry, enum err err)
{
    struct written *written = container_of(append, struct written, append);
    written->place = ++*written->order;
    written->err = err;
    entry_unref(entry);
}

static enum err write_value(struct counter *counter, struct entry_append *append)
{
    struct state_record record = {.key = counter->base.key,
                                  .value = slice_of(&counter->value, sizeof counter->value)};
    struct state_batch batch = {.records = &record, .record_count = 1, .producer_id = -1};
    return entry_append(&counter->base, &batch, append);
}

static void an_append_is_done_after_the_entry_was_left(void **state)
{
    struct bench *bench = *state;
    int order = 0;
    struct written first = {.append.done = on_written, .order = &order};
    struct written second = first;
    bench->quick = true;
    struct counter *counter = enter_new(bench, key_a());
    assert_int_equal(write_value(counter, &first.append), ERR_NONE);
    counter->value = 1;
    assert_int_equal(write_value(counter, &second.append), ERR_NONE);
    assert_int_equal(order, 0);
    entry_leave(&counter->base);
    assert_int_equal(first.place, 1);
    assert_int_equal(second.place, 2);
    int32_t partition = coordinator_partition(&bench->coordinator, key_a());
    assert_int_equal(bench->log[partition].count, 2);
    assert_int_equal(bench->log[partition].items[1].value, 1);
}

static void the_halves_of_leaving_let_work_be_done_between(void **state)
{
    struct bench *bench = *state;
    int order = 0;
    struct written written = {.append.done = on_written, .order = &order};
    bench->quick = true;
    struct counter *counter = enter_new(bench, key_a());
    assert_int_equal(write_value(counter, &written.append), ERR_NONE);
    struct entry_append *appended = entry_unlock(&counter->base);
    assert_ptr_equal(appended, &written.append);
    assert_int_equal(order, 0);
    entry_lock(&counter->base); /* nobody holds it; what is appended now is another's to await */
    assert_null(counter->base.appended);
    pthread_mutex_unlock(&counter->base.lock);
    entry_await(&counter->base, appended);
    assert_int_equal(written.place, 1);
}

static void a_failed_sync_is_told(void **state)
{
    struct bench *bench = *state;
    int order = 0;
    struct written written = {.append.done = on_written, .order = &order};
    struct counter *counter = enter_new(bench, key_a());
    assert_int_equal(write_value(counter, &written.append), ERR_NONE);
    entry_leave(&counter->base);
    assert_int_equal(order, 0);
    sync_all(bench, ERR_IO);
    assert_int_equal(written.place, 1);
    assert_int_equal(written.err, ERR_IO);
}

static void a_refused_append_is_never_done(void **state)
{
    struct bench *bench = *state;
    int order = 0;
    struct written written = {.append.done = on_written, .order = &order};
    bench->quick = true;
    bench->append_err = ERR_IO;
    struct counter *counter = enter_new(bench, key_a());
    assert_int_equal(write_value(counter, &written.append), ERR_IO);
    entry_leave(&counter->base);
    assert_int_equal(order, 0);
}

/* ---- which entries there are ---- */

static void an_entry_is_made_once(void **state)
{
    struct bench *bench = *state;
    assert_null(entry_enter(&bench->coordinator, key_a()));
    int64_t origin = 7;
    struct entry *entry = entry_enter_new(&bench->coordinator, key_a(), &origin);
    assert_int_equal(counter_of(entry)->value, 7);
    assert_true(slice_equal_str(entry->key, "a"));
    assert_int_equal(entry->partition, 'a' % PARTITIONS);
    entry_leave(entry);
    origin = 8;
    assert_ptr_equal(entry_enter_new(&bench->coordinator, key_a(), &origin), entry);
    assert_int_equal(counter_of(entry)->value, 7);
    entry_leave(entry);
    assert_ptr_equal(entry_enter(&bench->coordinator, key_a()), entry);
    entry_leave(entry);
    struct counter *empty = enter_new(bench, slice_str("")); /* a key like any other */
    entry_leave(&empty->base);
    assert_int_equal(bench->made, 2);
}

static void a_dead_entry_is_forgotten_when_it_is_left(void **state)
{
    struct bench *bench = *state;
    int order = 0;
    struct written written = {.append.done = on_written, .order = &order};
    struct counter *counter = enter_new(bench, key_a());
    assert_int_equal(write_value(counter, &written.append), ERR_NONE);
    counter->deadline_ms = 100;
    counter->base.dead = true;
    entry_leave(&counter->base);
    assert_null(entry_enter(&bench->coordinator, key_a()));
    struct counter *next = enter_new(bench, key_a());
    assert_ptr_not_equal(next, counter);
    entry_leave(&next->base);
    assert_int_equal(bench->freed, 0); /* its record is under way */
    sync_all(bench, ERR_NONE);
    assert_int_equal(written.place, 1);
    assert_int_equal(bench->freed, 1);
    assert_int_equal(coordinator_tick(&bench->coordinator, 100), INT64_MAX); /* no deadline of it */
}

/* As between the unlocking of an entry that died and its end in the table. */
static struct counter *dead_in_the_table(struct bench *bench)
{
    struct counter *counter = enter_new(bench, key_a());
    counter->base.dead = true;
    pthread_mutex_unlock(&counter->base.lock);
    return counter;
}

static void who_waited_for_an_entry_that_died_gets_the_next(void **state)
{
    struct bench *bench = *state;
    struct counter *counter = dead_in_the_table(bench);
    struct counter *next = enter_new(bench, key_a());
    assert_ptr_not_equal(next, counter);
    entry_leave(&next->base);
    assert_int_equal(bench->freed, 0);
    entry_lock(&counter->base);
    entry_leave(&counter->base); /* forgotten already: the table's reference goes once */
    assert_int_equal(bench->freed, 1);
    assert_ptr_equal(entry_enter(&bench->coordinator, key_a()), &next->base);
    entry_leave(&next->base);
}

static void visit_and_kill(struct entry *entry, void *context)
{
    (*(int *)context)++;
    entry->dead = true;
    entry_leave(entry);
}

static void each_visits_what_is_alive(void **state)
{
    struct bench *bench = *state;
    for (const char *key = "abc"; *key != '\0'; key++) {
        struct counter *counter = enter_new(bench, slice_of(key, 1));
        entry_leave(&counter->base);
    }
    int visited = 0;
    coordinator_each(&bench->coordinator, visit_and_kill, &visited);
    assert_int_equal(visited, 3);
    assert_int_equal(bench->freed, 3);
    struct counter *dead = dead_in_the_table(bench);
    coordinator_each(&bench->coordinator, visit_and_kill, &visited);
    assert_int_equal(visited, 3);
    entry_lock(&dead->base);
    entry_leave(&dead->base);
    assert_int_equal(bench->freed, 4);
}

static void kill_key(struct bench *bench, const char *key)
{
    struct entry *entry = entry_enter(&bench->coordinator, slice_str(key));
    assert_non_null(entry);
    entry->dead = true;
    entry_leave(entry);
}

static void note_key(struct entry *entry, void *context)
{
    strncat(context, (const char *)entry->key.data, entry->key.size);
    entry_leave(entry);
}

/* Each piece of no time visits one. */
static void a_walk_goes_on_past_what_dies(void **state)
{
    struct bench *bench = *state;
    char seen[32] = "";
    struct coordinator_walk walk;
    for (const char *key = "abcdef"; *key != '\0'; key++) {
        char name[2] = {*key};
        entry_leave(entry_enter_new(&bench->coordinator, slice_str(name), NULL));
    }
    coordinator_walk_begin(&bench->coordinator, &walk);
    assert_true(coordinator_walk_some(&walk, note_key, seen, 0));
    kill_key(bench, "b"); /* the next one */
    kill_key(bench, "a"); /* one that was */
    kill_key(bench, "e");
    assert_true(coordinator_walk_some(&walk, note_key, seen, 0));
    assert_string_equal(seen, "ac");
    while (coordinator_walk_some(&walk, note_key, seen, 0)) {
    }
    assert_string_equal(seen, "acdf");
    coordinator_walk_end(&walk); /* does nothing more */
    coordinator_walk_begin(&bench->coordinator, &walk);
    assert_true(coordinator_walk_some(&walk, note_key, seen, 0));
    coordinator_walk_end(&walk); /* before its end */
    kill_key(bench, "d");
    assert_string_equal(seen, "acdfc");
}

static void it_says_whether_it_serves(void **state)
{
    struct bench *bench = *state;
    bench->coordinator.phase = COORDINATOR_LOADING;
    assert_int_equal(coordinator_check(&bench->coordinator), ERR_LOADING);
    bench->coordinator.phase = COORDINATOR_SERVING;
    assert_int_equal(coordinator_check(&bench->coordinator), ERR_NONE);
    bench->coordinator.phase = COORDINATOR_STOPPED;
    assert_int_equal(coordinator_check(&bench->coordinator), ERR_COORDINATOR_UNAVAILABLE);
}

/* ---- deadlines ---- */

static struct counter *with_deadline(struct bench *bench, const char *key, int64_t deadline_ms)
{
    struct counter *counter = enter_new(bench, slice_str(key));
    counter->deadline_ms = deadline_ms;
    entry_leave(&counter->base);
    return counter;
}

static void the_earliest_deadline_wakes(void **state)
{
    struct bench *bench = *state;
    with_deadline(bench, "a", 500);
    assert_int_equal(bench->woken_ms, 500);
    with_deadline(bench, "b", 300);
    assert_int_equal(bench->woken_ms, 300);
    bench->woken_ms = INT64_MAX;
    with_deadline(bench, "c", 400);
    assert_int_equal(bench->woken_ms, INT64_MAX); /* said already that it will be called before */
    assert_int_equal(coordinator_tick(&bench->coordinator, 299), 300);
}

static void a_tick_looks_at_what_is_due(void **state)
{
    struct bench *bench = *state;
    struct counter *a = with_deadline(bench, "a", 500);
    struct counter *b = with_deadline(bench, "b", 300);
    assert_int_equal(coordinator_tick(&bench->coordinator, 300), 500);
    assert_int_equal(a->ticks, 0);
    assert_int_equal(b->ticks, 1);
    assert_int_equal(coordinator_tick(&bench->coordinator, 1000), INT64_MAX);
    assert_int_equal(a->ticks, 1);
    assert_int_equal(b->ticks, 1);
    with_deadline(bench, "a", 1500); /* it can be armed again */
    assert_int_equal(coordinator_tick(&bench->coordinator, 1500), INT64_MAX);
    assert_int_equal(a->ticks, 2);
}

static void a_deadline_that_moved_back_is_found_by_the_tick(void **state)
{
    struct bench *bench = *state;
    struct counter *a = with_deadline(bench, "a", 300);
    with_deadline(bench, "a", 900); /* as by a heartbeat: the heap keeps the old one */
    assert_int_equal(coordinator_tick(&bench->coordinator, 300), 900);
    assert_int_equal(a->ticks, 0);
    assert_int_equal(coordinator_tick(&bench->coordinator, 900), INT64_MAX);
    assert_int_equal(a->ticks, 1);
}

static void deadlines_do_not_count_unless_it_serves(void **state)
{
    struct bench *bench = *state;
    bench->coordinator.phase = COORDINATOR_LOADING;
    struct counter *a = with_deadline(bench, "a", 300);
    assert_int_equal(bench->woken_ms, INT64_MAX);
    assert_int_equal(coordinator_tick(&bench->coordinator, 1000), INT64_MAX);
    bench->coordinator.phase = COORDINATOR_SERVING;
    with_deadline(bench, "a", 300);
    assert_int_equal(bench->woken_ms, 300);
    bench->coordinator.phase = COORDINATOR_STOPPED;
    assert_int_equal(coordinator_tick(&bench->coordinator, 1000), INT64_MAX);
    assert_int_equal(a->ticks, 0);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 3000, KEYS = 5 };

static void on_counted(struct entry_append *append, struct entry *entry, enum err err)
{
    entry_lock(entry);
    counter_of(entry)->deadline_ms = bench_of(entry)->now_ms + 1;
    entry_leave(entry);
    free(append);
}

/* Counts up under each key and stores what it counted; now and then a counter dies, and the next
 * one goes on from its value. */
static void *count_up(void *context)
{
    struct bench *bench = context;
    static atomic_int seeds;
    struct random random = {.state = (uint64_t)atomic_fetch_add(&seeds, 1)};
    static _Atomic int64_t values[KEYS];
    for (int round = 0; round < ROUNDS; round++) {
        int which = (int)random_below(&random, KEYS);
        char key[2] = {(char)('a' + which), '\0'};
        int64_t origin = values[which];
        struct counter *counter =
            counter_of(entry_enter_new(&bench->coordinator, slice_str(key), &origin));
        if (counter->value < values[which]) {
            counter->value = values[which]; /* made from what was read before another counted */
        }
        values[which] = ++counter->value;
        struct entry_append *append = mem_new(struct entry_append);
        append->done = on_counted;
        assert_int_equal(write_value(counter, append), ERR_NONE);
        counter->base.dead = random_below(&random, 20) == 0;
        entry_leave(&counter->base);
        if (round % 16 == 0) {
            (void)coordinator_tick(&bench->coordinator, atomic_fetch_add(&bench->now_ms, 1));
        }
    }
    return NULL;
}

static void the_log_has_the_records_in_the_order_of_the_states(void **state)
{
    struct bench *bench = *state;
    bench->quick = true;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count_up, bench);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    int64_t last[KEYS] = {0};
    size_t records = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        for (size_t r = 0; r < bench->log[i].count; r++, records++) {
            const struct stored *stored = &bench->log[i].items[r];
            int64_t *before = &last[stored->key[0] - 'a'];
            assert_int_equal(stored->value, *before + 1); /* each once, none passed another */
            *before = stored->value;
        }
    }
    assert_int_equal(records, THREADS * ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_append_is_done_after_the_entry_was_left),
        TEST(the_halves_of_leaving_let_work_be_done_between),
        TEST(a_failed_sync_is_told),
        TEST(a_refused_append_is_never_done),
        TEST(an_entry_is_made_once),
        TEST(a_dead_entry_is_forgotten_when_it_is_left),
        TEST(who_waited_for_an_entry_that_died_gets_the_next),
        TEST(each_visits_what_is_alive),
        TEST(a_walk_goes_on_past_what_dies),
        TEST(it_says_whether_it_serves),
        TEST(the_earliest_deadline_wakes),
        TEST(a_tick_looks_at_what_is_due),
        TEST(a_deadline_that_moved_back_is_found_by_the_tick),
        TEST(deadlines_do_not_count_unless_it_serves),
        TEST(the_log_has_the_records_in_the_order_of_the_states),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
