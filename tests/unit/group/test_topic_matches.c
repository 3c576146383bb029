#include "../unit.h"

#include "base/arena.h"
#include "base/mem.h"
#include "group/topic_matches.h"

#include <pthread.h>

/* What expressions match, counted by how often a name was held against one. */

enum { MOST = 6000 };

struct topics {
    char names[MOST][16];
    uint64_t since[MOST];
    bool gone[MOST];
    size_t count;
    uint64_t version;
};

static uint64_t version(void *context)
{
    return ((struct topics *)context)->version;
}

static bool find(void *context, struct slice name, struct wire_uuid *id, int32_t *partitions)
{
    const struct topics *topics = context;
    (void)id;
    (void)partitions;
    for (size_t i = 0; i < topics->count; i++) {
        if (!topics->gone[i] && slice_equal_str(name, topics->names[i])) {
            return true;
        }
    }
    return false;
}

static size_t list(void *context, uint64_t since, struct arena *arena, struct slice **names)
{
    const struct topics *topics = context;
    size_t count = 0;
    *names = arena_alloc_array(arena, topics->count + 1, sizeof **names);
    for (size_t i = 0; i < topics->count; i++) {
        if (topics->since[i] > since && !topics->gone[i]) {
            (*names)[count++] = slice_str(topics->names[i]);
        }
    }
    return count;
}

struct fixture {
    struct topics topics;
    struct budget budget;
    struct workers *workers;
    struct topic_matches *matches;
};

static int setup(void **state)
{
    struct fixture *fixture = mem_new(struct fixture);
    fixture->topics.version = 1;
    budget_init(&fixture->budget, INT64_C(1) << 30);
    struct group_topics topics = {
        .context = &fixture->topics, .version = version, .find = find, .list = list};
    assert_int_equal(workers_new("worker", 2, &fixture->workers, NULL), ERR_NONE);
    fixture->matches = topic_matches_new(&topics, fixture->workers, &fixture->budget);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    workers_free(fixture->workers);
    topic_matches_free(fixture->matches);
    assert_int_equal(fixture->budget.shares[BUDGET_GROUPS].bytes, 0);
    free(fixture);
    return 0;
}

static void add_topics(struct fixture *fixture, const char *prefix, int count)
{
    struct topics *topics = &fixture->topics;
    for (int i = 0; i < count; i++) {
        snprintf(topics->names[topics->count], sizeof topics->names[0], "%s-%d", prefix, i);
        topics->since[topics->count++] = ++topics->version;
    }
}

/* As a heartbeat that brings the expression: pieces until it is known. */
static enum err resolve(struct fixture *fixture, const char *text, int *pieces)
{
    enum err err;
    struct reason reason;
    *pieces = 1;
    while (topic_matches_step(fixture->matches, slice_str(text), fixture->topics.version, &err,
                              &reason)) {
        ++*pieces;
    }
    return err;
}

/* What is known now: how many names; -1: nothing. */
static int known(struct fixture *fixture, const char *text, bool *current)
{
    struct arena arena = {0};
    struct group_matched found;
    enum group_match match =
        topic_matches_find(fixture->matches, slice_str(text), 0, &arena, &found);
    int count = match == GROUP_MATCH_UNKNOWN ? -1 : (int)found.count;
    *current = found.current;
    arena_deinit(&arena);
    return count;
}

static void test_each_name_is_held_against_an_expression_once(void **state)
{
    struct fixture *fixture = *state;
    bool current;
    int pieces;
    add_topics(fixture, "orders", 1000);
    add_topics(fixture, "stock", 1000);
    for (int i = 0; i < 5; i++) { /* five members of as many groups */
        assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    }
    assert_int_equal(known(fixture, "orders-.*", &current), 1000);
    assert_true(current);
    assert_int_equal(topic_matches_count(fixture->matches), 2000);
    add_topics(fixture, "orders-eu", 10);
    assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    assert_int_equal(known(fixture, "orders-.*", &current), 1010);
    assert_int_equal(topic_matches_count(fixture->matches), 2010); /* the new ones only */
    for (int i = 0; i < 400; i++) {
        fixture->topics.gone[i] = true;
    }
    fixture->topics.version++;
    assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    assert_int_equal(known(fixture, "orders-.*", &current), 610);
    assert_int_equal(topic_matches_count(fixture->matches), 2010);
}

static void test_who_asks_is_told_what_is_known_and_workers_do_the_rest(void **state)
{
    struct fixture *fixture = *state;
    bool current;
    add_topics(fixture, "orders", 1000);
    assert_int_equal(known(fixture, "orders-.*", &current), -1);
    assert_false(current);
    while (!topic_matches_is_current(fixture->matches, slice_str("orders-.*"))) {
        sched_yield();
    }
    assert_int_equal(known(fixture, "orders-.*", &current), 1000);
    assert_true(current);
    assert_int_equal(topic_matches_count(fixture->matches), 1000);
}

static void test_the_version_that_is_known_is_not_told_again(void **state)
{
    struct fixture *fixture = *state;
    int pieces;
    struct arena arena = {0};
    struct group_matched found;
    add_topics(fixture, "orders", 3);
    assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    assert_int_equal(topic_matches_find(fixture->matches, slice_str("orders-.*"),
                                        fixture->topics.version, &arena, &found),
                     GROUP_MATCH_SAME);
    assert_null(found.names);
    arena_deinit(&arena);
}

static void test_work_is_in_pieces_and_bounded(void **state)
{
    struct fixture *fixture = *state;
    int pieces;
    add_topics(fixture, "aaaaaaaaaa", 5000);
    assert_int_equal(resolve(fixture, "a.*", &pieces), ERR_NONE);
    assert_in_range(pieces, 5000 / TOPIC_MATCHES_PIECE_NAMES, 5000 / TOPIC_MATCHES_PIECE_NAMES + 2);
    uint64_t before = topic_matches_count(fixture->matches);
    /* All 4,000 steps are alive at each byte. */
    assert_int_equal(resolve(fixture, "(a?){900}(.?){900}b", &pieces), ERR_INVALID_REGEX);
    assert_true(pieces > 100);
    assert_true(topic_matches_count(fixture->matches) - before < 5000);
    assert_int_equal(resolve(fixture, "(a?){900}(.?){900}b", &pieces), ERR_INVALID_REGEX);
    assert_int_equal(pieces, 1); /* known to be too costly */
    assert_int_equal(resolve(fixture, "a(", &pieces), ERR_INVALID_REGEX);
}

static void test_the_expressions_used_last_are_kept(void **state)
{
    struct fixture *fixture = *state;
    int pieces;
    char text[32];
    add_topics(fixture, "orders", 1);
    for (int i = 0; i < 3 * TOPIC_MATCHES_EXPRESSIONS; i++) {
        snprintf(text, sizeof text, "orders-%d", i);
        assert_int_equal(resolve(fixture, text, &pieces), ERR_NONE);
        assert_int_equal(resolve(fixture, "orders.*", &pieces), ERR_NONE);
    }
    assert_int_equal(topic_matches_count(fixture->matches), 3 * TOPIC_MATCHES_EXPRESSIONS + 1);
    assert_false(topic_matches_is_current(fixture->matches, slice_str("orders-0")));
    assert_true(topic_matches_is_current(fixture->matches, slice_str(text)));
}

static void fill_share(struct fixture *fixture, int64_t bytes)
{
    struct budget_used *share = &fixture->budget.shares[BUDGET_GROUPS];
    share->limit_bytes = 1 << 20;
    budget_add(&fixture->budget, BUDGET_GROUPS, (size_t)bytes);
}

static void test_those_used_longest_ago_go_when_their_memory_is_used_up(void **state)
{
    struct fixture *fixture = *state;
    const struct budget_used *share = &fixture->budget.shares[BUDGET_GROUPS];
    int pieces;
    char text[32];
    add_topics(fixture, "orders", 1000);
    fill_share(fixture, 0);
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "orders-.*|%d", i);
        assert_int_equal(resolve(fixture, text, &pieces), ERR_NONE);
        assert_true(topic_matches_is_current(fixture->matches, slice_str(text)));
        assert_in_range(share->bytes, 1000 * sizeof(struct slice),
                        share->limit_bytes / TOPIC_MATCHES_SHARE_PART + 1000);
    }
    assert_false(topic_matches_is_current(fixture->matches, slice_str("orders-.*|0")));
}

static void test_what_does_not_fit_is_not_matched_and_what_is_known_stays(void **state)
{
    struct fixture *fixture = *state;
    int pieces;
    bool current;
    add_topics(fixture, "orders", 100);
    assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    fill_share(fixture, 1 << 20); /* groups have it all */
    add_topics(fixture, "orders-eu", 100);
    assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    assert_int_equal(known(fixture, "orders-.*", &current), 100);
    assert_false(current);
    assert_int_equal(resolve(fixture, "stock-.*", &pieces), ERR_NONE);
    assert_int_equal(known(fixture, "stock-.*", &current), -1);
    budget_give(&fixture->budget, BUDGET_GROUPS, 1 << 20);
    assert_int_equal(resolve(fixture, "orders-.*", &pieces), ERR_NONE);
    assert_int_equal(known(fixture, "orders-.*", &current), 200);
    assert_true(current);
}

#define MATCH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        MATCH_TEST(test_each_name_is_held_against_an_expression_once),
        MATCH_TEST(test_who_asks_is_told_what_is_known_and_workers_do_the_rest),
        MATCH_TEST(test_the_version_that_is_known_is_not_told_again),
        MATCH_TEST(test_work_is_in_pieces_and_bounded),
        MATCH_TEST(test_the_expressions_used_last_are_kept),
        MATCH_TEST(test_those_used_longest_ago_go_when_their_memory_is_used_up),
        MATCH_TEST(test_what_does_not_fit_is_not_matched_and_what_is_known_stays),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
