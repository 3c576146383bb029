#include "../../unit.h"

#include "client/lane/lane.h"

#include "base/mem.h"
#include "base/vec.h"

/*
 * The machine of key lanes at the sizes of a service, with one partition and a clock that this test
 * moves: events come at a rate, handlers take 5 ms, and every write is answered after 2 ms. The
 * order and what is durable are the business of tests/lanes; here it is counted who has to wait.
 */
enum { HANDLER_MS = 5, WRITE_MS = 2 };

struct service_event {
    struct lane_event event;
    uint32_t key;
    int64_t came_ms;
};

struct due {
    int64_t at_ms;
    struct lane_effect effect;
};

struct queue {
    VEC(struct due) items;
    size_t next;
};

struct service {
    struct lane_settings settings;
    struct lane_machine *machine;
    int64_t now_ms, due_ms;
    uint32_t keys;
    int64_t rate;            /* events a second */
    int64_t published, read; /* offsets; event n comes at n / rate */
    bool is_paused;
    enum lane_verdict (*judge)(const struct service *service, uint32_t key);
    uint32_t poison_keys;
    int64_t away_from_ms, away_to_ms;
    int64_t retry_in_ms; /* as handlers say that fail; 0: they do not */
    struct queue hands, writes;
    VEC(int64_t) asides; /* offsets by position */

    int64_t committed;
    int64_t runs, last_run_ms, shortest_gap_ms; /* the shortest while the handler is down */
    int64_t done, dead, aside, loads, notes, downs, ups;
    int parked_attempts; /* as the last note of a parked lane says */
    bool is_down;
    VEC(uint32_t) waits_ms; /* of events that are done */
};

static uint32_t key_of(const struct service *service, int64_t offset)
{
    return (uint32_t)((uint64_t)offset * 7919 % service->keys);
}

static struct lane_event *event_new(struct service *service, int64_t offset)
{
    struct service_event *event = mem_new(struct service_event);
    event->key = key_of(service, offset);
    event->came_ms = service->now_ms;
    event->event = (struct lane_event){.epoch = 1,
                                       .offset = offset,
                                       .key = slice_of(&event->key, sizeof event->key),
                                       .bytes = 100};
    return &event->event;
}

static struct service_event *service_event(struct lane_event *event)
{
    return container_of(event, struct service_event, event);
}

static void release(void *context, struct lane_event *event)
{
    (void)context;
    free(service_event(event));
}

static enum lane_verdict judge_all_good(const struct service *service, uint32_t key)
{
    (void)service;
    (void)key;
    return LANE_DONE;
}

static enum lane_verdict judge_poison(const struct service *service, uint32_t key)
{
    return key < service->poison_keys ? LANE_RETRY : LANE_DONE;
}

static enum lane_verdict judge_outage(const struct service *service, uint32_t key)
{
    (void)key;
    bool is_away =
        service->now_ms >= service->away_from_ms && service->now_ms < service->away_to_ms;
    return is_away ? LANE_RETRY : LANE_DONE;
}

/* --- effects --- */

static void later(struct service *service, struct queue *queue, int64_t in_ms,
                  const struct lane_effect *effect)
{
    vec_push(&queue->items, (struct due){service->now_ms + in_ms, *effect});
}

static void count_run(struct service *service)
{
    int64_t gap_ms = service->now_ms - service->last_run_ms;
    if (service->is_down && gap_ms < service->shortest_gap_ms) {
        service->shortest_gap_ms = gap_ms;
    }
    service->runs++;
    service->last_run_ms = service->now_ms;
}

static void carry_out(struct service *service, const struct lane_effect *effect)
{
    switch (effect->kind) {
    case LANE_RELEASE:
        release(NULL, effect->event);
        return;
    case LANE_RUN:
        count_run(service);
        later(service, &service->hands, HANDLER_MS, effect);
        return;
    case LANE_PAUSE:
    case LANE_RESUME:
        service->is_paused = effect->kind == LANE_PAUSE;
        return;
    case LANE_TELL_DOWN:
    case LANE_TELL_UP:
        service->is_down = effect->kind == LANE_TELL_DOWN;
        service->downs += service->is_down;
        service->ups += !service->is_down;
        if (service->is_down) {
            service->shortest_gap_ms = INT64_MAX;
            service->last_run_ms = INT32_MIN; /* what ran before is no probe */
        }
        return;
    case LANE_TELL_FULL:
    case LANE_GIVE_UP:
    case LANE_QUIET:
        fail();
        return;
    default:
        service->notes += effect->kind == LANE_WRITE_NOTE;
        if (effect->kind == LANE_WRITE_NOTE && effect->note.is_parked) {
            service->parked_attempts = effect->note.attempts;
        }
        service->dead += effect->kind == LANE_WRITE_DEAD;
        service->aside += effect->kind == LANE_WRITE_ASIDE;
        service->loads += effect->kind == LANE_LOAD;
        later(service, &service->writes, WRITE_MS, effect);
        return;
    }
}

static void answer_write(struct service *service, const struct lane_effect *effect)
{
    struct lane_machine *machine = service->machine;
    switch (effect->kind) {
    case LANE_LOOK:
        lane_looked(machine, 0, 1, 0);
        break;
    case LANE_OWN:
        lane_restored(machine, 0, 1);
        break;
    case LANE_COMMIT:
        service->committed = effect->offset;
        lane_committed(machine, 0, 1, true);
        break;
    case LANE_LOAD:
        lane_loaded(machine, effect->lane,
                    event_new(service, service->asides.items[effect->position]));
        break;
    case LANE_WRITE_ASIDE:
        vec_push(&service->asides, effect->offset);
        lane_wrote_aside(machine, effect->event, (int64_t)service->asides.count - 1);
        break;
    case LANE_WRITE_DEAD:
        lane_wrote_dead(machine, effect->event);
        break;
    default:
        lane_marked(machine, effect);
        break;
    }
}

static void answer_handler(struct service *service, const struct lane_effect *effect)
{
    struct service_event *event = service_event(effect->event);
    enum lane_verdict verdict = service->judge(service, event->key);
    if (verdict == LANE_DONE) {
        service->done++;
        vec_push(&service->waits_ms, (uint32_t)(service->now_ms - event->came_ms));
    }
    lane_result(service->machine, effect->event, verdict,
                service->retry_in_ms > 0 ? service->now_ms + service->retry_in_ms : 0,
                service->now_ms);
}

/* --- time --- */

static void answer_due(struct service *service, struct queue *queue,
                       void (*answer)(struct service *service, const struct lane_effect *effect))
{
    while (queue->next < queue->items.count &&
           queue->items.items[queue->next].at_ms <= service->now_ms) {
        struct lane_effect effect = queue->items.items[queue->next++].effect;
        answer(service, &effect);
    }
    if (queue->next == queue->items.count) {
        queue->next = queue->items.count = 0;
    }
}

static void settle(struct service *service)
{
    struct lane_effect effect;
    service->due_ms = lane_settle(service->machine, service->now_ms);
    while (lane_next_effect(service->machine, &effect)) {
        carry_out(service, &effect);
    }
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something happens next; it is later than now. */
static int64_t next_ms(const struct service *service)
{
    int64_t next = service->due_ms;
    if (service->hands.next < service->hands.items.count) {
        next = earliest(next, service->hands.items.items[service->hands.next].at_ms);
    }
    if (service->writes.next < service->writes.items.count) {
        next = earliest(next, service->writes.items.items[service->writes.next].at_ms);
    }
    if (!service->is_paused) {
        next = earliest(next, (service->read + 1) * 1000 / service->rate);
    }
    return next > service->now_ms ? next : service->now_ms + 1;
}

static void tick(struct service *service, int64_t to_ms)
{
    service->now_ms = earliest(next_ms(service), to_ms);
    answer_due(service, &service->hands, answer_handler);
    answer_due(service, &service->writes, answer_write);
    service->published = service->now_ms * service->rate / 1000;
    settle(service);
    /* what one poll of a consumer may bring */
    for (int n = 0; n < 100 && !service->is_paused && service->read < service->published; n++) {
        lane_arrive(service->machine, event_new(service, service->read++));
    }
    settle(service);
}

static void run_to(struct service *service, int64_t to_ms)
{
    while (service->now_ms < to_ms) {
        tick(service, to_ms);
    }
}

static void service_begin(struct service *service)
{
    service->is_paused = true;
    service->machine = lane_machine_new(&service->settings);
    lane_own(service->machine, 0, 1, 0, NULL);
}

static void service_end(struct service *service)
{
    for (size_t i = service->hands.next; i < service->hands.items.count; i++) {
        answer_handler(service, &service->hands.items.items[i].effect);
    }
    for (size_t i = service->writes.next; i < service->writes.items.count; i++) {
        const struct lane_effect *effect = &service->writes.items.items[i].effect;
        if (effect->kind != LANE_LOAD) {
            answer_write(service, effect);
        }
    }
    lane_machine_free(service->machine, release, NULL);
    vec_deinit(&service->hands.items);
    vec_deinit(&service->writes.items);
    vec_deinit(&service->asides);
    vec_deinit(&service->waits_ms);
}

static struct service service_of(uint32_t keys, int64_t rate,
                                 enum lane_verdict (*judge)(const struct service *service,
                                                            uint32_t key))
{
    struct service service = {.keys = keys, .rate = rate, .judge = judge};
    lane_settings_init(&service.settings);
    return service;
}

static size_t in_memory(const struct service *service)
{
    struct lane_counts counts = lane_counts(service->machine);
    return counts.runnable_events + counts.waiting_events;
}

static int compare_wait(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* What 99 of 100 wait at most. */
static uint32_t p99_ms(struct service *service)
{
    qsort(service->waits_ms.items, service->waits_ms.count, sizeof *service->waits_ms.items,
          compare_wait);
    return service->waits_ms.items[service->waits_ms.count * 99 / 100];
}

/* --- a tenth of the keys never succeeds --- */

enum { POISON_S = 180, KEYS = 10000, POISON_RATE = 1000 };

static void test_keys_that_never_succeed_cost_the_others_nothing(void **state)
{
    (void)state;
    struct service with = service_of(KEYS, POISON_RATE, judge_poison);
    struct service without = service_of(KEYS, POISON_RATE, judge_all_good);
    with.poison_keys = 1000;
    with.settings.workers = without.settings.workers = 32;
    service_begin(&with);
    service_begin(&without);
    size_t most = 0;
    for (int64_t s = 1; s <= POISON_S; s++) {
        run_to(&with, s * 1000);
        run_to(&without, s * 1000);
        most = in_memory(&with) > most ? in_memory(&with) : most;
        /* within a second of the head, also while each of them fails for the first time */
        assert_true(s == 1 || with.committed >= with.published - POISON_RATE);
        if (s > 120) { /* all of them are given up: what comes of them is set aside at once */
            assert_true(in_memory(&with) < 100);
        }
    }
    assert_true(most < with.settings.intake_events / 2);
    assert_int_equal(with.dead, 1000);
    assert_true(lane_counts(with.machine).lanes < 1100);
    /* nine of ten events are of others */
    assert_true(with.done * 1000 >= without.done * 900 - 1000 * (int64_t)with.settings.workers);
    assert_true(p99_ms(&with) * 100 <= p99_ms(&without) * 105);
    assert_int_equal(with.downs, 0);
    service_end(&with);
    service_end(&without);
}

static enum lane_verdict judge_one(const struct service *service, uint32_t key)
{
    return key == 7 && service->now_ms < service->away_to_ms ? LANE_RETRY : LANE_DONE;
}

/* A handler that names its time itself: ten seconds, at the first failure already. */
static void test_a_wait_holds_back_no_commit(void **state)
{
    (void)state;
    const int64_t rates[] = {500, 2};
    for (size_t i = 0; i < 2; i++) {
        struct service service = service_of(100, rates[i], judge_one);
        service.retry_in_ms = 10000;
        service.away_to_ms = 85 * 1000;
        service_begin(&service);
        bool is_near = true;
        for (int64_t s = 2; s <= 110; s++) {
            run_to(&service, s * 1000);
            is_near = is_near && service.committed >= service.published - rates[i];
        }
        assert_true(service.runs > service.done);
        /* a few offsets are no reason to write an event anew, half a minute is */
        assert_int_equal(is_near, rates[i] == 500);
        assert_true(service.aside > 0);
        assert_true(service.committed >= service.published - rates[i]);
        assert_int_equal(service.dead, 0);
        service_end(&service);
    }
}

/* The same where the workers have little to do: those that are tried again meet nobody. */
static void test_keys_that_fail_alone_now_and_then_are_no_outage(void **state)
{
    (void)state;
    struct service with = service_of(1000, 100, judge_poison);
    struct service without = service_of(1000, 100, judge_all_good);
    with.poison_keys = 200;
    service_begin(&with);
    service_begin(&without);
    run_to(&with, (int64_t)300 * 1000);
    run_to(&without, (int64_t)300 * 1000);
    assert_int_equal(with.downs, 0);
    assert_int_equal(with.dead, 200);
    assert_true(p99_ms(&with) * 100 <= p99_ms(&without) * 105);
    service_end(&with);
    service_end(&without);
}

/* So few others come that the handler is thought down between them. */
static void test_many_that_fail_beside_few_that_succeed_are_given_up(void **state)
{
    (void)state;
    struct service service = service_of(100, 2, judge_poison);
    service.poison_keys = 30;
    service_begin(&service);
    run_to(&service, (int64_t)3600 * 1000);
    assert_int_equal(service.dead, 30);
    assert_true(service.downs > 0);
    service_end(&service);
}

/* --- what all handlers need is away --- */

static void test_a_database_that_is_away_uses_no_attempt(void **state)
{
    (void)state;
    struct service service = service_of(KEYS, 500, judge_outage);
    service.away_from_ms = 20000;
    service.away_to_ms = service.away_from_ms + (int64_t)30 * 60 * 1000;
    service_begin(&service);
    run_to(&service, service.away_from_ms + 2000);
    assert_true(service.is_down);
    int64_t done = service.done;
    int64_t runs = service.runs;
    run_to(&service, service.away_to_ms);
    assert_int_equal(service.done, done);
    assert_true(service.shortest_gap_ms >= 1000); /* at most one probe a second */
    assert_true(service.runs - runs >= 30 * 60 / 5);
    assert_int_equal(service.downs, 1);
    assert_true(in_memory(&service) <= service.settings.intake_events + 200);

    run_to(&service, service.away_to_ms + 5000);
    assert_false(service.is_down);
    done = service.done;
    run_to(&service, service.away_to_ms + 6000);
    /* all that so many workers can: it catches up */
    assert_true(service.done - done >= service.settings.workers * 1000 / HANDLER_MS * 95 / 100);
    run_to(&service, service.away_to_ms + 60000);
    assert_int_equal(service.downs, 1);
    assert_int_equal(service.ups, 1);
    assert_int_equal(service.dead, 0);
    assert_int_equal(service.notes, 0); /* no attempt was written down */
    assert_int_equal(service.aside, 0);
    service_end(&service);
}

/* --- what fails fills the memory --- */

static enum lane_verdict judge_late_good(const struct service *service, uint32_t key)
{
    return key == service->keys - 1 ? LANE_DONE : LANE_RETRY;
}

/* The key that would succeed comes in behind so many others that memory cannot hold them. */
static void test_who_would_succeed_comes_in_though_all_in_memory_fails(void **state)
{
    (void)state;
    struct service service = service_of(400, 100, judge_late_good);
    service.settings.waiting_events = 100;
    service.settings.intake_events = 20;
    service_begin(&service);
    run_to(&service, (int64_t)3600 * 1000);
    assert_true(service.done > 0);
    service_end(&service);
}

/* In an outage that takes few events out of memory, as many a probe as there are workers. */
static void test_an_outage_sets_few_events_aside(void **state)
{
    (void)state;
    struct service service = service_of(20, 500, judge_outage);
    service.away_to_ms = INT64_MAX;
    service.settings.waiting_events = 1000;
    service_begin(&service);
    run_to(&service, (int64_t)1800 * 1000);
    assert_true(service.is_down);
    assert_true(service.aside > 0);
    assert_true(service.aside <= service.runs * service.settings.workers);
    assert_true(service.aside < 10000); /* of 900,000 */
    service_end(&service);
}

/* --- rejects, words and redrives --- */

static enum lane_verdict judge_rejects(const struct service *service, uint32_t key)
{
    return key < service->poison_keys ? LANE_REJECT : LANE_RETRY;
}

static void test_who_rejects_events_is_not_down(void **state)
{
    (void)state;
    struct service service = service_of(400, 100, judge_rejects);
    service.poison_keys = 400;
    service_begin(&service);
    run_to(&service, 5000);
    assert_int_equal(service.downs, 0);
    assert_int_equal(service.dead, 400);
    assert_int_equal(service.parked_attempts, 1);
    service_end(&service);
}

static void test_a_reject_does_not_say_that_others_could_succeed(void **state)
{
    (void)state;
    struct service service = service_of(400, 100, judge_rejects);
    service.poison_keys = 200;
    service_begin(&service);
    run_to(&service, (int64_t)3600 * 1000);
    assert_true(service.is_down);
    assert_int_equal(service.ups, 0);
    assert_int_equal(service.dead, 200);
    service_end(&service);
}

static struct lane *find_lane(struct service *service, uint32_t key)
{
    struct lane *lane;
    struct lane_name name = {.key = slice_of(&key, sizeof key), .offset = -1};
    assert_true(lane_find(service->machine, 0, name, &lane));
    return lane;
}

static void test_a_skip_is_of_the_head_that_was_seen(void **state)
{
    (void)state;
    struct service service = service_of(1, 10, judge_poison);
    service.poison_keys = 1;
    service_begin(&service);
    run_to(&service, 2000); /* head 0 */
    struct lane *lane = find_lane(&service, 0);
    assert_false(lane_skip_head(service.machine, lane, 1));
    assert_false(lane_skip_head(service.machine, lane, -1));
    run_to(&service, 3000);
    assert_int_equal(service.dead, 0);
    assert_true(lane_skip_head(service.machine, lane, 0));
    run_to(&service, 4000);
    assert_int_equal(service.dead, 1);
    assert_false(lane_skip_head(service.machine, lane, 0)); /* somebody says it once more */
    run_to(&service, 5000);
    assert_int_equal(service.dead, 1);
    service_end(&service);
}

static void test_redrives_in_memory_are_counted(void **state)
{
    (void)state;
    struct service service = service_of(10, 100, judge_poison);
    service.poison_keys = 1;
    service.settings.attempts = 1;
    service_begin(&service);
    run_to(&service, 10000);
    assert_int_equal(service.dead, 1);
    assert_int_equal(lane_counts(service.machine).redriven_events, 0);
    struct lane_event *event = event_new(&service, 0);
    event->closes_lane = true;
    lane_redrive(service.machine, event);
    assert_int_equal(lane_counts(service.machine).redriven_events, 1);
    assert_int_equal(lane_counts(service.machine).redriven_bytes, 100);
    service.poison_keys = 0;
    run_to(&service, 11000);
    assert_int_equal(lane_counts(service.machine).redriven_events, 0);
    assert_int_equal(lane_counts(service.machine).redriven_bytes, 0);
    assert_int_equal(lane_counts(service.machine).open_lanes, 0);
    service_end(&service);
}

static void test_heads_that_are_set_aside_are_loaded_for_want_of_memory_only(void **state)
{
    (void)state;
    const size_t shares[] = {10000, 40};
    for (size_t i = 0; i < 2; i++) {
        struct service service = service_of(1000, 1000, judge_poison);
        service.poison_keys = 100;
        service.settings.aside_after_ms = 1000;
        service.settings.waiting_events = shares[i];
        service_begin(&service);
        run_to(&service, 30000);
        assert_true(service.aside > 100);
        assert_int_equal(service.loads > 0, shares[i] < 200);
        assert_true(lane_counts(service.machine).waiting_events <= shares[i]);
        service_end(&service);
    }
}

static void test_who_failed_is_tried_behind_who_did_not(void **state)
{
    (void)state;
    struct service service = service_of(10000, 2000, judge_poison);
    service.poison_keys = 500;
    service.settings.workers = 1;
    service.settings.backoff_first_ms = service.settings.backoff_max_ms = 1;
    service.settings.attempts = 1000000;
    service_begin(&service);
    run_to(&service, 20000);
    assert_true(service.done * 4 > service.runs * 3);
    assert_true(service.runs > service.done * 9 / 8); /* but it is tried */
    service_end(&service);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_that_never_succeed_cost_the_others_nothing),
        cmocka_unit_test(test_a_wait_holds_back_no_commit),
        cmocka_unit_test(test_keys_that_fail_alone_now_and_then_are_no_outage),
        cmocka_unit_test(test_many_that_fail_beside_few_that_succeed_are_given_up),
        cmocka_unit_test(test_a_database_that_is_away_uses_no_attempt),
        cmocka_unit_test(test_who_would_succeed_comes_in_though_all_in_memory_fails),
        cmocka_unit_test(test_an_outage_sets_few_events_aside),
        cmocka_unit_test(test_who_rejects_events_is_not_down),
        cmocka_unit_test(test_a_reject_does_not_say_that_others_could_succeed),
        cmocka_unit_test(test_a_skip_is_of_the_head_that_was_seen),
        cmocka_unit_test(test_redrives_in_memory_are_counted),
        cmocka_unit_test(test_heads_that_are_set_aside_are_loaded_for_want_of_memory_only),
        cmocka_unit_test(test_who_failed_is_tried_behind_who_did_not),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
