#include "../unit.h"
#include "topic_fixture.h"

#include "topic/catalogue_change.h"
#include "topic/catalogue_names.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is kept of all topics, so that nobody has to look at each of them. */

static struct topic *named(const char *name)
{
    static const struct topic_id id;
    return topic_new(slice_str(name), &id, false);
}

static void assert_alike(const struct catalogue_names *names, const char *name, int count)
{
    int found = 0;
    for (const struct topic *t = catalogue_names_find(names, name); t != NULL; t = t->next_alike) {
        found++;
    }
    assert_int_equal(found, count);
}

static void test_names_are_found_by_their_shape(void **state)
{
    (void)state;
    struct catalogue_names names = {NULL};
    struct topic *topics[] = {named("a.b_c"), named("a_b.c"), named("a-b-c"), named("a.b.c.")};
    assert_alike(&names, "a.b_c", 0);
    for (size_t i = 0; i < 4; i++) {
        catalogue_names_add(&names, topics[i]);
    }
    assert_alike(&names, "a.b.c", 2);
    assert_alike(&names, "a_b_c", 2);
    assert_alike(&names, "a-b-c", 1);
    assert_alike(&names, "a_b_c_", 1);
    assert_alike(&names, "a_b_", 0);
    assert_alike(&names, "a-b_c", 0);
    catalogue_names_remove(&names, topics[0]);
    assert_ptr_equal(catalogue_names_find(&names, "a.b.c"), topics[1]);
    assert_alike(&names, "a.b.c", 1);
    catalogue_names_remove(&names, topics[1]);
    assert_alike(&names, "a.b.c", 0);
    catalogue_names_deinit(&names);
    assert_alike(&names, "a-b-c", 0);
    for (size_t i = 0; i < 4; i++) {
        topic_unref(topics[i]);
    }
}

static void test_a_name_is_free_when_its_topic_goes_and_when_it_never_came(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_change *change;
    struct topic *topic = create_topic(fixture, "orders.new", 1, NULL, NULL);
    fixture_abandon(fixture);
    topic_unref(topic);
    fixture_open(fixture); /* as known from the disk */
    assert_int_equal(try_create(fixture, "orders.new", 1), ERR_EXISTS);
    assert_int_equal(try_create(fixture, "orders_new", 1), ERR_INVALID);
    topic = catalogue_find(fixture->catalogue, slice_str("orders.new"));
    assert_int_equal(catalogue_delete_begin(fixture->catalogue, topic, &change, &fixture->reason),
                     ERR_NONE);
    topic_unref(topic);
    /* It is gone for all but who would have its very name. */
    assert_int_equal(try_create(fixture, "orders_new", 1), ERR_NONE);
    while (catalogue_change_step(change)) {
    }
    assert_int_equal(catalogue_change_end(change, NULL, &fixture->reason), ERR_NONE);
    assert_int_equal(try_create(fixture, "orders.new", 1), ERR_INVALID);

    char *path = fixture_path(fixture, "topics/never.came-1");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(try_create(fixture, "never.came", 2), ERR_EXISTS);
    assert_int_equal(try_create(fixture, "never_came", 2), ERR_NONE);
    free(path);
}

/* Whether exactly so many partitions more fit below the limit; they are only thought of. */
static void assert_room(struct fixture *fixture, int32_t room)
{
    struct topic_creation creation = {
        .name = slice_str("thought"), .partition_count = room + 1, .validate_only = true};
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, NULL, &fixture->reason),
                     ERR_LIMIT);
    creation.partition_count = room;
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, NULL, &fixture->reason),
                     ERR_NONE);
}

enum { MOST = 4 * CATALOGUE_PIECE };

static void open_limited(struct fixture *fixture)
{
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->server_defaults,
        .log_env = {.files = file_ops_system(), .clock = clock_system()},
        .open_threads = 1,
        .max_partitions = MOST,
    };
    assert_int_equal(
        catalogue_open(&config, &fixture->catalogue, &fixture->recovery, &fixture->reason),
        ERR_NONE);
}

static void finish(struct fixture *fixture, struct catalogue_change *change, int32_t room)
{
    while (catalogue_change_step(change)) {
        assert_room(fixture, room);
    }
    assert_int_equal(catalogue_change_end(change, NULL, &fixture->reason), ERR_NONE);
    assert_room(fixture, room);
}

static void test_partitions_are_counted_as_they_come_and_go(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_change *change;
    fixture_close(fixture);
    open_limited(fixture);
    assert_room(fixture, MOST);
    struct topic *topic = create_topic(fixture, "small", 3, NULL, NULL);
    assert_room(fixture, MOST - 3);
    struct topic_creation wide = {.name = slice_str("wide"), .partition_count = 100};
    assert_int_equal(catalogue_create_begin(fixture->catalogue, &wide, &change, &fixture->reason),
                     ERR_NONE);
    assert_room(fixture, MOST - 103); /* from its beginning on */
    finish(fixture, change, MOST - 103);
    for (int really = 0; really < 2; really++) {
        assert_int_equal(catalogue_grow_begin(fixture->catalogue, topic, 100, !really, &change,
                                              &fixture->reason),
                         ERR_NONE);
        assert_room(fixture, MOST - 200);
        while (catalogue_change_step(change)) {
        }
        assert_int_equal(catalogue_change_end(change, NULL, &fixture->reason), ERR_NONE);
        assert_room(fixture, really ? MOST - 200 : MOST - 103);
    }
    char *path = fixture_path(fixture, "topics/never-1");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    free(path);
    assert_int_equal(try_create(fixture, "never", 2), ERR_EXISTS);
    assert_room(fixture, MOST - 200);
    assert_int_equal(catalogue_delete_begin(fixture->catalogue, topic, &change, &fixture->reason),
                     ERR_NONE);
    topic_unref(topic);
    finish(fixture, change, MOST - 100);
    fixture_close(fixture);
    open_limited(fixture);
    assert_room(fixture, MOST - 100);
}

static void test_the_list_is_the_same_until_a_topic_comes_or_goes(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "b", 1, NULL, NULL);
    struct topic_list *first = catalogue_list(fixture->catalogue);
    struct topic_list *again = catalogue_list(fixture->catalogue);
    assert_ptr_equal(first, again);
    topic_list_unref(again);
    assert_int_equal(try_create(fixture, "a", 1), ERR_NONE);
    struct topic_list *second = catalogue_list(fixture->catalogue);
    assert_int_equal(second->count, 2);
    assert_string_equal(second->items[0]->name, "a");
    assert_string_equal(second->items[1]->name, "b");
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
    struct topic_list *third = catalogue_list(fixture->catalogue);
    assert_int_equal(third->count, 1);
    assert_string_equal(third->items[0]->name, "a");
    topic_list_unref(third);
    /* Older ones stay what they were for who has them. */
    assert_int_equal(first->count, 1);
    assert_string_equal(first->items[0]->name, "b");
    assert_int_equal(second->count, 2);
    topic_list_unref(second);
    topic_list_unref(first);
}

/* ---- lists while topics come and go ---- */

struct reading {
    struct catalogue *catalogue;
    _Atomic bool over;
    _Atomic bool bad;
    _Atomic int lists;
};

/* Sorted, and with what was there all the time. */
static bool is_whole(const struct topic_list *list)
{
    bool sorted = true;
    bool stays = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct topic *topic = list->items[i];
        stays = stays || strcmp(topic->name, "stays") == 0;
        sorted = sorted && (i == 0 || strcmp(list->items[i - 1]->name, topic->name) < 0) &&
                 topic_partition_count(topic) == 1;
    }
    return sorted && stays;
}

static void *read_lists(void *context)
{
    struct reading *reading = context;
    do {
        struct topic_list *list = catalogue_list(reading->catalogue);
        if (!is_whole(list)) {
            atomic_store(&reading->bad, true);
        }
        topic_list_unref(list);
        atomic_fetch_add(&reading->lists, 1);
    } while (!atomic_load(&reading->over));
    return NULL;
}

static void test_lists_are_whole_while_topics_come_and_go(void **state)
{
    enum { THREADS = 3, ROUNDS = 60 };
    struct fixture *fixture = *state;
    assert_int_equal(try_create(fixture, "stays", 1), ERR_NONE);
    struct reading reading = {.catalogue = fixture->catalogue};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_lists, &reading), 0);
    }
    for (int i = 0; i < ROUNDS || atomic_load(&reading.lists) < ROUNDS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        struct topic *topic = create_topic(fixture, name, 1, NULL, NULL);
        if (i % 2 == 0) {
            assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason),
                             ERR_NONE);
        }
        topic_unref(topic);
    }
    atomic_store(&reading.over, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_false(atomic_load(&reading.bad));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_found_by_their_shape),
        TEST(test_a_name_is_free_when_its_topic_goes_and_when_it_never_came),
        TEST(test_partitions_are_counted_as_they_come_and_go),
        TEST(test_the_list_is_the_same_until_a_topic_comes_or_goes),
        TEST(test_lists_are_whole_while_topics_come_and_go),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
