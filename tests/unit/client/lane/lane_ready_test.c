/* Events that are done and count together with a commit (lane_ready), in the machine alone. */
#include "../../unit.h"

#include "client/lane/lane.h"

#include "base/vec.h"

struct world {
    struct lane_machine *machine;
    VEC(struct lane_effect) effects; /* since the last settle */
    int64_t now_ms;
    struct lane_event events[3];
};

static void settle(struct world *world, int64_t step_ms)
{
    struct lane_effect effect;
    world->now_ms += step_ms;
    world->effects.count = 0;
    (void)lane_settle(world->machine, world->now_ms);
    while (lane_next_effect(world->machine, &effect)) {
        vec_push(&world->effects, effect);
    }
}

static const struct lane_effect *effect_of(const struct world *world, enum lane_effect_kind kind)
{
    for (size_t i = 0; i < world->effects.count; i++) {
        if (world->effects.items[i].kind == kind) {
            return &world->effects.items[i];
        }
    }
    return NULL;
}

/* It owns partition 0, of which `committed` is committed, and its mark is on its way. */
static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct lane_settings settings;
    lane_settings_init(&settings);
    settings.commits_on_request = true;
    world->machine = lane_machine_new(&settings);
    world->now_ms = 1000;
    *state = world;
    return 0;
}

static void own(struct world *world, int64_t committed)
{
    lane_own(world->machine, 0, 1, committed, NULL);
    lane_looked(world->machine, 0, 1, 0);
    settle(world, 0);
    assert_non_null(effect_of(world, LANE_COMMIT));
    lane_committed(world->machine, 0, 1, true);
    settle(world, 0);
    assert_non_null(effect_of(world, LANE_OWN));
}

static void arrive(struct world *world, struct lane_event *event, int64_t offset, const char *key)
{
    *event = (struct lane_event){.epoch = 1, .offset = offset, .key = slice_str(key), .bytes = 10};
    lane_arrive(world->machine, event);
}

static void release(void *context, struct lane_event *event)
{
    (void)context;
    (void)event;
}

static int teardown(void **state)
{
    struct world *world = *state;
    lane_machine_free(world->machine, release, NULL);
    vec_deinit(&world->effects);
    free(world);
    return 0;
}

static struct lane *lane_of(struct world *world, const char *key)
{
    struct lane *lane;
    assert_true(lane_find(world->machine, 0, (struct lane_name){slice_str(key), -1}, &lane));
    return lane;
}

/* What stands of it in lanes.<group> is to be gone first; nothing else happens meanwhile. */
static void test_what_waits_for_a_note_comes_with_the_next_commit(void **state)
{
    struct world *world = *state;
    struct lane_event *event = &world->events[0];
    struct lane_effect note, close;
    own(world, 0);
    lane_restored(world->machine, 0, 1);
    arrive(world, event, 0, "a");
    settle(world, 0);
    assert_non_null(effect_of(world, LANE_RUN));
    lane_hold(world->machine, lane_of(world, "a"));
    settle(world, 0);
    note = *effect_of(world, LANE_WRITE_NOTE);
    lane_let_go(world->machine, lane_of(world, "a"));
    settle(world, 0);
    close = *effect_of(world, LANE_WRITE_CLOSE);

    lane_ready(world->machine, event);
    lane_request_commit(world->machine);
    settle(world, 0);
    assert_int_equal(effect_of(world, LANE_COMMIT)->offset, 0);
    assert_false(event->is_told);
    lane_committed(world->machine, 0, 1, true);
    lane_marked(world->machine, &note);
    lane_marked(world->machine, &close);
    settle(world, 0);

    assert_true(lane_has_commits(world->machine));
    lane_request_commit(world->machine);
    settle(world, 0);
    assert_int_equal(effect_of(world, LANE_COMMIT)->offset, 1);
    assert_true(event->is_told);
    lane_committed(world->machine, 0, 1, true);
    lane_result(world->machine, event, LANE_DONE, 0, world->now_ms);
    settle(world, 0);
    assert_ptr_equal(effect_of(world, LANE_RELEASE)->event, event);
}

/* One before it was done with nothing to commit, and is repeated if its owner dies now. */
static void test_what_was_set_aside_waits_for_the_one_before_it(void **state)
{
    struct world *world = *state;
    struct lane_event *first = &world->events[0], *second = &world->events[1];
    *first = (struct lane_event){.epoch = 1, .offset = 1, .key = slice_str("a"), .bytes = 10};
    *second = (struct lane_event){.epoch = 1, .offset = 2, .key = slice_str("a"), .bytes = 10};
    own(world, 3);
    lane_restore_event(world->machine, 0, slice_str("a"), 1, 10, 10, 0);
    lane_restore_event(world->machine, 0, slice_str("a"), 2, 11, 10, 0);
    lane_restored(world->machine, 0, 1);
    settle(world, 0);
    lane_loaded(world->machine, effect_of(world, LANE_LOAD)->lane, first);
    settle(world, 0);
    lane_result(world->machine, first, LANE_DONE, 0, world->now_ms);
    settle(world, 0);
    struct lane_effect told = *effect_of(world, LANE_WRITE_DONE);
    assert_int_equal(told.offset, 1);
    lane_loaded(world->machine, effect_of(world, LANE_LOAD)->lane, second);
    settle(world, 0);
    lane_ready(world->machine, second);
    lane_request_commit(world->machine);
    settle(world, 0);
    assert_false(second->is_told);
    lane_committed(world->machine, 0, 1, true);
    settle(world, 0);
    assert_int_equal(effect_of(world, LANE_WRITE_FORGET)->offset, 1);
    lane_marked(world->machine, &told);
    lane_request_commit(world->machine);
    settle(world, 0);
    assert_true(second->is_told && second->needs_record);
    lane_committed(world->machine, 0, 1, true);
    lane_result(world->machine, second, LANE_DONE, 0, world->now_ms);
    settle(world, 0);
}

static int attempts_of(struct world *world, const struct lane_event *event)
{
    struct lane_outlook outlook;
    assert_true(lane_outlook(world->machine, event, &outlook));
    return outlook.attempts;
}

/* A handler that went away when it was done with the first: its commit proves nothing. */
static void test_a_success_that_is_known_late_counts_no_attempt(void **state)
{
    enum { LONG_MS = 100000 };
    struct world *world = *state;
    struct lane_event *done = &world->events[0], *failing = &world->events[1];
    struct lane_event *later = &world->events[2];
    own(world, 0);
    lane_restored(world->machine, 0, 1);
    arrive(world, done, 0, "a");
    arrive(world, failing, 1, "b");
    settle(world, 0);
    lane_ready(world->machine, done);
    lane_result(world->machine, failing, LANE_RETRY, 0, world->now_ms);
    lane_result(world->machine, done, LANE_DONE, 0, world->now_ms);
    settle(world, LONG_MS);
    assert_ptr_equal(effect_of(world, LANE_RUN)->event, failing);
    lane_result(world->machine, failing, LANE_RETRY, 0, world->now_ms);
    assert_int_equal(attempts_of(world, failing), 0);

    arrive(world, later, 2, "c");
    settle(world, 0);
    lane_ready(world->machine, later);
    lane_result(world->machine, later, LANE_DONE, 0, world->now_ms);
    settle(world, LONG_MS);
    lane_result(world->machine, failing, LANE_RETRY, 0, world->now_ms);
    assert_int_equal(attempts_of(world, failing), 1);
}

/* Also when nothing follows in its partition. */
static void test_a_record_behind_which_the_commit_stands_is_forgotten_at_the_start(void **state)
{
    struct world *world = *state;
    own(world, 5);
    lane_restore_done(world->machine, 0, slice_str("a"), 3);
    lane_restore_done(world->machine, 0, slice_str("b"), 7);
    lane_restored(world->machine, 0, 1);
    settle(world, 0);
    assert_int_equal(effect_of(world, LANE_WRITE_FORGET)->offset, 3);
}

/* It was done before, and no commit had room to tell it. */
static void test_what_comes_before_a_recorded_one_is_not_repeated(void **state)
{
    struct world *world = *state;
    own(world, 5);
    lane_restore_done(world->machine, 0, slice_str("b"), 7);
    lane_restored(world->machine, 0, 1);
    arrive(world, &world->events[0], 5, "a");
    arrive(world, &world->events[1], 6, "b");
    arrive(world, &world->events[2], 8, "b");
    settle(world, 0);
    assert_ptr_equal(effect_of(world, LANE_RELEASE)->event, &world->events[1]);
    for (size_t i = 0; i < world->effects.count; i++) {
        assert_ptr_not_equal(
            world->effects.items[i].kind == LANE_RUN ? world->effects.items[i].event : NULL,
            &world->events[1]);
    }
}

/* Nothing of its key comes any more. */
static void test_a_note_of_a_head_that_is_done_is_closed(void **state)
{
    struct world *world = *state;
    const struct lane_note done = {.offset = 3, .attempts = 2, .first_failed_ms = 1};
    const struct lane_note to_come = {.offset = 5, .attempts = 2, .first_failed_ms = 1};
    own(world, 5);
    lane_restore_note(world->machine, 0, (struct lane_name){slice_str("a"), -1}, &done, false);
    lane_restore_note(world->machine, 0, (struct lane_name){slice_str("b"), -1}, &to_come, false);
    lane_restored(world->machine, 0, 1);
    settle(world, 0);
    assert_null(effect_of(world, LANE_WRITE_CLOSE));
    arrive(world, &world->events[0], 5, "b");
    settle(world, 0);
    assert_true(slice_equal_str(effect_of(world, LANE_WRITE_CLOSE)->name.key, "a"));
    assert_int_equal(lane_counts(world->machine).lanes, 2);
    struct lane_effect close = *effect_of(world, LANE_WRITE_CLOSE);
    lane_marked(world->machine, &close);
    assert_int_equal(lane_counts(world->machine).lanes, 1);
}

#define READY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* It comes while the next one is loaded, which somebody skips. */
static void test_a_redrive_does_not_start_in_a_lane_that_is_held(void **state)
{
    struct world *world = *state;
    struct lane_event *dead = &world->events[0], *skipped = &world->events[1];
    *dead = (struct lane_event){.epoch = 1, .offset = 1, .key = slice_str("a"), .bytes = 10};
    *skipped = (struct lane_event){.epoch = 1, .offset = 2, .key = slice_str("a"), .bytes = 10};
    own(world, 3);
    lane_restore_event(world->machine, 0, slice_str("a"), 2, 11, 10, 0);
    lane_restored(world->machine, 0, 1);
    settle(world, 0);
    struct lane *lane = effect_of(world, LANE_LOAD)->lane;
    lane_hold(world->machine, lane);
    assert_true(lane_skip_head(world->machine, lane, 2));
    lane_redrive(world->machine, dead);
    lane_loaded(world->machine, lane, skipped);
    settle(world, 0);
    assert_null(effect_of(world, LANE_RUN));
    lane_let_go(world->machine, lane);
    settle(world, 0);
    assert_ptr_equal(effect_of(world, LANE_RUN)->event, dead);
}

/* Though it holds back the commit for so long that it is to be set aside now. */
static void test_what_is_to_be_tried_now_is_not_set_aside_first(void **state)
{
    enum { FAR = 30, LONG_MS = 20000 };
    struct world *world = *state;
    struct lane_event *failing = &world->events[0], *other = &world->events[1];
    own(world, 0);
    lane_restored(world->machine, 0, 1);
    arrive(world, failing, 0, "a");
    arrive(world, other, FAR, "b");
    settle(world, 0);
    lane_result(world->machine, failing, LANE_RETRY, world->now_ms + LONG_MS, world->now_ms);
    lane_result(world->machine, other, LANE_DONE, 0, world->now_ms);
    settle(world, 0);
    lane_try_now(world->machine, lane_of(world, "a"));
    settle(world, 1000);
    assert_null(effect_of(world, LANE_WRITE_ASIDE));
    assert_ptr_equal(effect_of(world, LANE_RUN)->event, failing);
    lane_result(world->machine, failing, LANE_RETRY, world->now_ms + LONG_MS, world->now_ms);
    settle(world, 1000);
    assert_ptr_equal(effect_of(world, LANE_WRITE_ASIDE)->event, failing);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        READY_TEST(test_what_waits_for_a_note_comes_with_the_next_commit),
        READY_TEST(test_what_was_set_aside_waits_for_the_one_before_it),
        READY_TEST(test_a_success_that_is_known_late_counts_no_attempt),
        READY_TEST(test_a_record_behind_which_the_commit_stands_is_forgotten_at_the_start),
        READY_TEST(test_a_note_of_a_head_that_is_done_is_closed),
        READY_TEST(test_what_comes_before_a_recorded_one_is_not_repeated),
        READY_TEST(test_a_redrive_does_not_start_in_a_lane_that_is_held),
        READY_TEST(test_what_is_to_be_tried_now_is_not_set_aside_first),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
