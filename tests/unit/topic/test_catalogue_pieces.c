#include "../unit.h"
#include "topic_fixture.h"

#include "topic/catalogue_change.h"

#include <dirent.h>

/* Large changes are done in pieces, and others come in between. */

enum { WIDE = 3 * CATALOGUE_PIECE + 7 };

static struct catalogue_change *begin_create(struct fixture *fixture, const char *name,
                                             int32_t partitions)
{
    struct topic_creation creation = {.name = slice_str(name), .partition_count = partitions};
    struct catalogue_change *change;
    assert_int_equal(
        catalogue_create_begin(fixture->catalogue, &creation, &change, &fixture->reason), ERR_NONE);
    return change;
}

static struct catalogue_change *begin_delete(struct fixture *fixture, struct topic *topic)
{
    struct catalogue_change *change;
    assert_int_equal(catalogue_delete_begin(fixture->catalogue, topic, &change, &fixture->reason),
                     ERR_NONE);
    return change;
}

static enum err create(struct fixture *fixture, const char *name, int32_t partitions)
{
    struct topic_creation creation = {.name = slice_str(name), .partition_count = partitions};
    return catalogue_create(fixture->catalogue, &creation, NULL, &fixture->reason);
}

static int32_t count_of(struct fixture *fixture, const char *name)
{
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str(name));
    int32_t count = topic != NULL ? topic_partition_count(topic) : 0;
    if (topic != NULL) {
        topic_unref(topic);
    }
    return count;
}

static enum err end(struct fixture *fixture, struct catalogue_change *change)
{
    return catalogue_change_end(change, NULL, &fixture->reason);
}

static int directories(struct fixture *fixture)
{
    char *path = fixture_path(fixture, "topics");
    DIR *dir = opendir(path);
    int count = -2; /* . and .. */
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    free(path);
    return count;
}

/* Steps to the end, and creates another topic before each: none waits for the change. */
static void step_among_others(struct fixture *fixture, struct catalogue_change *change, char prefix)
{
    int others = 0;
    do {
        char name[16];
        snprintf(name, sizeof name, "%c%d", prefix, others++);
        assert_int_equal(create(fixture, name, 1), ERR_NONE);
    } while (catalogue_change_step(change));
    assert_true(others > WIDE / CATALOGUE_PIECE);
}

static void test_others_create_topics_while_a_wide_one_comes_and_goes(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_change *change = begin_create(fixture, "wide", WIDE);
    step_among_others(fixture, change, 'a');
    assert_int_equal(end(fixture, change), ERR_NONE);
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("wide"));
    assert_int_equal(topic_partition_count(topic), WIDE);

    assert_int_equal(
        catalogue_grow_begin(fixture->catalogue, topic, 2 * WIDE, false, &change, &fixture->reason),
        ERR_NONE);
    step_among_others(fixture, change, 'b');
    assert_int_equal(end(fixture, change), ERR_NONE);
    assert_int_equal(topic_partition_count(topic), 2 * WIDE);

    change = begin_delete(fixture, topic);
    step_among_others(fixture, change, 'c');
    assert_int_equal(end(fixture, change), ERR_NONE);
    topic_unref(topic);
    assert_int_equal(count_of(fixture, "wide"), 0);
}

static void test_a_topic_on_its_way_is_not_seen_and_keeps_its_name(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_change *change = begin_create(fixture, "wide.one", WIDE);
    while (catalogue_change_step(change)) {
        assert_int_equal(count_of(fixture, "wide.one"), 0);
        assert_int_equal(create(fixture, "wide.one", 1), ERR_EXISTS);
        assert_non_null(strstr(fixture->reason.text, "is being created"));
        assert_int_equal(create(fixture, "wide_one", 1), ERR_INVALID);
    }
    assert_int_equal(end(fixture, change), ERR_NONE);
    assert_int_equal(count_of(fixture, "wide.one"), WIDE);

    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("wide.one"));
    change = begin_delete(fixture, topic);
    topic_unref(topic);
    assert_int_equal(create(fixture, "wide.one", 1), ERR_EXISTS);
    assert_non_null(strstr(fixture->reason.text, "is being deleted"));
    while (catalogue_change_step(change)) {
        assert_int_equal(count_of(fixture, "wide.one"), 0);
    }
    assert_int_equal(end(fixture, change), ERR_NONE);
    assert_int_equal(create(fixture, "wide.one", 1), ERR_NONE);
}

static void test_a_topic_that_grows_is_not_deleted_and_grows_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create(fixture, "wide", 1), ERR_NONE);
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("wide"));
    struct catalogue_change *change;
    struct catalogue_change *other;
    assert_int_equal(
        catalogue_grow_begin(fixture->catalogue, topic, WIDE, false, &change, &fixture->reason),
        ERR_NONE);
    assert_int_equal(catalogue_delete_begin(fixture->catalogue, topic, &other, &fixture->reason),
                     ERR_TIMEOUT);
    assert_int_equal(
        catalogue_grow_begin(fixture->catalogue, topic, WIDE, false, &other, &fixture->reason),
        ERR_TIMEOUT);
    while (catalogue_change_step(change)) {
        assert_int_equal(topic_partition_count(topic), 1);
    }
    assert_int_equal(end(fixture, change), ERR_NONE);
    assert_int_equal(topic_partition_count(topic), WIDE);
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
}

/* However far a change had come when the server went, the next start makes it whole. */
static void test_a_start_finishes_what_was_begun(void **state)
{
    struct fixture *fixture = *state;
    for (int steps = 0; steps < 12; steps += 3) {
        struct catalogue_change *change = begin_create(fixture, "wide", WIDE);
        for (int i = 0; i < steps; i++) {
            (void)catalogue_change_step(change);
        }
        bool over = !change->is_pending;
        if (over) {
            assert_int_equal(end(fixture, change), ERR_NONE);
        }
        fixture_close(fixture);
        fixture_open(fixture);
        int32_t count = count_of(fixture, "wide");
        assert_true(count == WIDE || (count == 0 && !over));
        if (count == 0) {
            assert_int_equal(create(fixture, "wide", WIDE), ERR_NONE);
        }
        struct topic *topic = catalogue_find(fixture->catalogue, slice_str("wide"));
        change = begin_delete(fixture, topic);
        topic_unref(topic);
        for (int i = 0; i < steps; i++) {
            (void)catalogue_change_step(change);
        }
        over = change->phase == NULL;
        if (over) {
            assert_int_equal(end(fixture, change), ERR_NONE);
        } else if (!change->is_pending) {
            while (catalogue_change_step(change)) { /* nothing else frees it */
            }
            assert_int_equal(end(fixture, change), ERR_NONE);
        }
        fixture_close(fixture);
        fixture_open(fixture);
        assert_int_equal(count_of(fixture, "wide"), 0);
        assert_int_equal(directories(fixture), 0);
    }
}

#define PIECES_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PIECES_TEST(test_others_create_topics_while_a_wide_one_comes_and_goes),
        PIECES_TEST(test_a_topic_on_its_way_is_not_seen_and_keeps_its_name),
        PIECES_TEST(test_a_topic_that_grows_is_not_deleted_and_grows_once),
        PIECES_TEST(test_a_start_finishes_what_was_begun),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
