#include "../unit.h"

#include "base/random.h"
#include "bus/story/story_tree.h"

/* The tree of causes, of events that are made here. */

static struct story_event *add(struct story *story, const char *id, const char *cause,
                               const char *correlation, int64_t time_ms)
{
    struct story_event *event = vec_add(&story->events);
    event->event = event_blank();
    event->event.topic = "orders";
    event->event.partition = 0;
    event->event.offset = (int64_t)story->events.count;
    event->event.timestamp_ms = time_ms;
    event->attributes.id = id;
    event->attributes.source = "/shop";
    event->attributes.causation_id = cause;
    event->attributes.correlation_id = correlation;
    return event;
}

static const struct story_event *find(const struct story *story, const char *id)
{
    for (size_t i = 0; i < story->events.count; i++) {
        if (strcmp(story->events.items[i].attributes.id, id) == 0) {
            return &story->events.items[i];
        }
    }
    fail_msg("no event %s", id);
    return NULL;
}

static const char *parent_of(const struct story *story, const char *id)
{
    const struct story_event *event = find(story, id);
    return event->parent == STORY_NONE ? NULL : story->events.items[event->parent].attributes.id;
}

static void test_effects_hang_below_their_causes_by_time(void **state)
{
    (void)state;
    struct story story = {0};
    add(&story, "mail", "invoice", "order", 40);
    add(&story, "stock", "order", "order", 30);
    add(&story, "invoice", "order", "order", 20);
    add(&story, "order", NULL, NULL, 10);
    story_tree(&story);
    static const char *const wanted[] = {"order", "invoice", "mail", "stock"};
    static const size_t depths[] = {0, 1, 2, 1};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(story.events.items[i].attributes.id, wanted[i]);
        assert_int_equal(story.events.items[i].depth, depths[i]);
    }
    assert_int_equal(find(&story, "mail")->link, STORY_CAUSED);
    assert_int_equal(find(&story, "mail")->link_evidence, STORY_RECORDED);
    story_deinit(&story);
}

static void test_the_cause_is_of_the_same_correlation(void **state)
{
    (void)state;
    struct story story = {0};
    add(&story, "1", NULL, "a", 10);
    add(&story, "1", NULL, "b", 11);
    story.events.items[1].attributes.source = "/other";
    add(&story, "effect", "1", "b", 20);
    story_tree(&story);
    const struct story_event *effect = find(&story, "effect");
    assert_string_equal(story.events.items[effect->parent].attributes.correlation_id, "b");
    assert_int_equal(effect->link_evidence, STORY_RECORDED);
    story_deinit(&story);
}

static void test_a_cause_of_another_correlation_or_of_several_is_a_guess(void **state)
{
    (void)state;
    struct story story = {0};
    add(&story, "1", NULL, "a", 10);
    add(&story, "effect", "1", "b", 20);
    add(&story, "2", NULL, NULL, 30);
    add(&story, "2", NULL, NULL, 31);
    story.events.items[3].attributes.source = "/other";
    add(&story, "second", "2", NULL, 40);
    story_tree(&story);
    assert_int_equal(find(&story, "effect")->link_evidence, STORY_INFERRED);
    assert_non_null(find(&story, "effect")->link_note);
    assert_int_equal(find(&story, "second")->link_evidence, STORY_INFERRED);
    story_deinit(&story);
}

static void test_trace_and_correlation_alone_are_guesses(void **state)
{
    (void)state;
    static const char trace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
    struct story story = {0};
    add(&story, "first", NULL, NULL, 10)->trace = trace;
    add(&story, "second", NULL, NULL, 20)->trace = trace;
    add(&story, "third", NULL, "c", 30);
    add(&story, "fourth", NULL, "c", 40);
    add(&story, "lost", "gone", "c", 50);
    story_tree(&story);
    assert_string_equal(parent_of(&story, "second"), "first");
    assert_int_equal(find(&story, "second")->link, STORY_TRACED);
    assert_int_equal(find(&story, "second")->link_evidence, STORY_INFERRED);
    assert_string_equal(parent_of(&story, "fourth"), "third");
    assert_int_equal(find(&story, "fourth")->link_evidence, STORY_INFERRED);
    assert_string_equal(parent_of(&story, "lost"), "third");
    assert_true(find(&story, "lost")->has_lost_cause);
    assert_null(parent_of(&story, "third"));
    story_deinit(&story);
}

static void test_the_same_key_counts_when_nothing_else_tells(void **state)
{
    (void)state;
    struct story story = {0};
    add(&story, "1", NULL, NULL, 10)->event.key = slice_str("42");
    add(&story, "2", NULL, NULL, 20)->event.key = slice_str("42");
    add(&story, "3", NULL, "c", 30)->event.key = slice_str("42");
    story_tree(&story);
    assert_string_equal(parent_of(&story, "2"), "1");
    assert_int_equal(find(&story, "2")->link, STORY_OF_ONE_KEY);
    assert_int_equal(find(&story, "2")->link_evidence, STORY_INFERRED);
    assert_null(parent_of(&story, "3"));
    story_deinit(&story);
}

static void test_an_event_that_was_published_twice_is_one(void **state)
{
    (void)state;
    struct story story = {0};
    add(&story, "order", NULL, NULL, 10);
    add(&story, "order", NULL, NULL, 11);
    add(&story, "effect", "order", "order", 20);
    add(&story, "effect", "order", "order", 25);
    story_tree(&story);
    const struct story_event *effect = find(&story, "effect");
    assert_int_equal(effect->link_evidence, STORY_RECORDED);
    assert_int_equal(story.events.items[effect->parent].event.timestamp_ms, 10);
    assert_int_equal(story.events.items[2].copy_of, 1); /* beside its first copy */
    assert_int_equal(story.events.items[2].parent, 0);
    assert_int_equal(story.events.items[3].copy_of, 0);
    story_deinit(&story);
}

static void test_a_circle_is_cut_at_its_oldest_event(void **state)
{
    (void)state;
    struct story story = {0};
    add(&story, "a", "c", "x", 10);
    add(&story, "b", "a", "x", 20);
    add(&story, "c", "b", "x", 30);
    add(&story, "self", "self", NULL, 40);
    story_tree(&story);
    assert_int_equal(story.events.count, 4);
    assert_null(parent_of(&story, "a"));
    assert_non_null(find(&story, "a")->link_note);
    assert_string_equal(parent_of(&story, "c"), "b");
    assert_null(parent_of(&story, "self"));
    story_deinit(&story);
}

/* An order that was published again when its effect was there: only by the trace it is an effect of
 * that, which says itself that it is the order's. */
static void test_a_circle_with_a_guess_is_cut_there(void **state)
{
    (void)state;
    static const char trace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
    struct story story = {0};
    add(&story, "effect", "order", "order", 10)->trace = trace;
    add(&story, "order", NULL, NULL, 20)->trace = trace;
    story_tree(&story);
    assert_null(parent_of(&story, "order"));
    assert_non_null(find(&story, "order")->link_note);
    assert_string_equal(parent_of(&story, "effect"), "order");
    assert_int_equal(find(&story, "effect")->link_evidence, STORY_RECORDED);
    story_deinit(&story);
}

static void test_odd_times_give_a_tree_all_the_same(void **state)
{
    (void)state;
    static const int64_t odd[] = {INT64_MAX, INT64_MIN, -1, 0};
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct story story = {0};
    for (size_t i = 0; i < 4; i++) {
        add(&story, ids[i], i > 0 ? ids[i - 1] : NULL, "x", odd[i])->event.offset = odd[i];
    }
    story_tree(&story);
    assert_string_equal(parent_of(&story, "b"), "a");
    assert_string_equal(parent_of(&story, "d"), "c");
    story_deinit(&story);
}

/* --- random trees --- */

enum { EVENTS_MAX = 60, NAME_SIZE = 16 };

struct grown {
    char ids[EVENTS_MAX][NAME_SIZE];
    size_t parents[EVENTS_MAX];
    size_t roots[EVENTS_MAX];
    size_t count;
};

static void grow(struct grown *grown, struct random *random)
{
    grown->count = 1 + random_below(random, EVENTS_MAX);
    for (size_t i = 0; i < grown->count; i++) {
        bool is_root = i == 0 || random_below(random, 5) == 0;
        snprintf(grown->ids[i], NAME_SIZE, "e%zu", i);
        grown->parents[i] = is_root ? STORY_NONE : random_below(random, i);
        grown->roots[i] = is_root ? i : grown->roots[grown->parents[i]];
    }
}

/* All of them but those that were lost, in a random order. */
static void plant(struct story *story, const struct grown *grown, struct random *random,
                  unsigned lost)
{
    size_t order[EVENTS_MAX];
    for (size_t i = 0; i < grown->count; i++) {
        size_t at = random_below(random, i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    for (size_t i = 0; i < grown->count; i++) {
        size_t event = order[i];
        size_t parent = grown->parents[event];
        if (random_below(random, 100) >= lost) {
            add(story, grown->ids[event], parent == STORY_NONE ? NULL : grown->ids[parent],
                grown->ids[grown->roots[event]], 1000 + (int64_t)event);
        }
    }
}

static void check(const struct story *story, const struct grown *grown)
{
    for (size_t i = 0; i < story->events.count; i++) {
        const struct story_event *event = &story->events.items[i];
        size_t number = (size_t)atoi(event->attributes.id + 1);
        assert_true(event->parent == STORY_NONE || event->parent < i);
        if (event->link_evidence == STORY_RECORDED && event->link == STORY_CAUSED) {
            const char *parent = story->events.items[event->parent].attributes.id;
            assert_string_equal(parent, grown->ids[grown->parents[number]]);
            assert_false(event->has_lost_cause);
        } else if (event->parent != STORY_NONE) {
            assert_int_equal(event->link_evidence, STORY_INFERRED);
            assert_true(event->has_lost_cause);
        }
        if (event->parent == STORY_NONE && grown->parents[number] != STORY_NONE) {
            assert_true(event->has_lost_cause);
        }
    }
}

static void test_of_random_trees_each_link_is_true_or_labelled(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct random random = {seed};
        struct story story = {0};
        struct grown grown;
        unsigned lost = (unsigned)(seed % 3) * 25;
        grow(&grown, &random);
        plant(&story, &grown, &random, lost);
        size_t count = story.events.count;
        story_tree(&story);
        assert_int_equal(story.events.count, count);
        check(&story, &grown);
        for (size_t i = 0; lost == 0 && i < count; i++) {
            size_t number = (size_t)atoi(story.events.items[i].attributes.id + 1);
            assert_int_equal(story.events.items[i].parent == STORY_NONE,
                             grown.parents[number] == STORY_NONE);
        }
        story_deinit(&story);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_effects_hang_below_their_causes_by_time),
        cmocka_unit_test(test_the_cause_is_of_the_same_correlation),
        cmocka_unit_test(test_a_cause_of_another_correlation_or_of_several_is_a_guess),
        cmocka_unit_test(test_trace_and_correlation_alone_are_guesses),
        cmocka_unit_test(test_the_same_key_counts_when_nothing_else_tells),
        cmocka_unit_test(test_an_event_that_was_published_twice_is_one),
        cmocka_unit_test(test_a_circle_is_cut_at_its_oldest_event),
        cmocka_unit_test(test_a_circle_with_a_guess_is_cut_there),
        cmocka_unit_test(test_odd_times_give_a_tree_all_the_same),
        cmocka_unit_test(test_of_random_trees_each_link_is_true_or_labelled),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
