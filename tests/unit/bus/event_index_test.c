#include "../unit.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "bus/index/event_index.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/*
 * A log of the test's own, and an index of it: what the index finds is compared with what a walk
 * over the log finds. Runs are small, so that some hundred events go through several sizes of them.
 */
enum { TOPICS = 3, PARTITIONS = 2, SOURCES = TOPICS * PARTITIONS, VALUES = 40, TERMS = 3 };

struct logged {
    int value[TERMS]; /* below VALUES: of kind 1 + i; -1: it has none */
    bool is_hole;
};

struct world {
    char dir[64];
    struct file_ops ops;
    atomic_int writes_left; /* -1: no end */
    atomic_int reads;
    struct event_index *index;
    struct event_source sources[SOURCES];
    VEC(struct logged) logs[SOURCES];
    int64_t starts[SOURCES];
    struct random random;
};

static ssize_t write_or_fail(void *context, int fd, const struct iovec *iov, int count,
                             int64_t position)
{
    struct world *world = context;
    if (atomic_load(&world->writes_left) == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (atomic_load(&world->writes_left) > 0) {
        atomic_fetch_sub(&world->writes_left, 1);
    }
    return file_ops_system()->pwritev(NULL, fd, iov, count, position);
}

static ssize_t read_and_count(void *context, int fd, void *to, size_t size, int64_t position)
{
    struct world *world = context;
    atomic_fetch_add(&world->reads, 1);
    return file_ops_system()->pread(NULL, fd, to, size, position);
}

/* Nothing of these tests loses power, and thousands of syncs take a minute. */
static int sync_nothing(void *context, int fd)
{
    (void)context, (void)fd;
    return 0;
}

static int sync_no_dir(void *context, const char *path)
{
    (void)context, (void)path;
    return 0;
}

static enum err open_index(struct world *world, bool *begun_anew, struct reason *reason)
{
    struct event_index_config config = {
        .files = &world->ops, .dir = world->dir, .memory_entries = 30, .run_entries_most = 3000};
    return event_index_open(&config, &world->index, begun_anew, reason);
}

static void reopen(struct world *world)
{
    struct reason reason = {""};
    bool begun_anew;
    event_index_close(world->index);
    assert_int_equal(open_index(world, &begun_anew, &reason), ERR_NONE);
    assert_false(begun_anew);
}

static struct world *begin(uint64_t seed)
{
    struct world *world = mem_new(struct world);
    static const char *const names[TOPICS] = {"orders", "stock", "orders"};
    strcpy(world->dir, "/tmp/tidings-index-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->ops = *file_ops_system();
    world->ops.context = world;
    world->ops.pwritev = write_or_fail;
    world->ops.pread = read_and_count;
    world->ops.fdatasync = sync_nothing;
    world->ops.fsync_dir = sync_no_dir;
    world->random.state = seed;
    atomic_init(&world->writes_left, -1);
    for (int i = 0; i < SOURCES; i++) {
        world->sources[i] = (struct event_source){names[i / PARTITIONS], {0}, i % PARTITIONS};
        world->sources[i].topic_id[0] = (uint8_t)(i / PARTITIONS); /* the third: made again */
    }
    bool begun_anew;
    struct reason reason = {""};
    assert_int_equal(open_index(world, &begun_anew, &reason), ERR_NONE);
    assert_false(begun_anew);
    return world;
}

static void end(struct world *world)
{
    event_index_close(world->index);
    assert_int_equal(file_remove_tree(file_ops_system(), world->dir, NULL), ERR_NONE);
    for (int i = 0; i < SOURCES; i++) {
        vec_deinit(&world->logs[i]);
    }
    free(world);
}

static int below(struct world *world, int bound)
{
    return (int)random_below(&world->random, (uint64_t)bound);
}

static void append(struct world *world)
{
    struct logged event = {.is_hole = below(world, 10) == 0};
    for (int i = 0; i < TERMS; i++) {
        /* the first are of few events each, the last of nearly all */
        event.value[i] = below(world, 4) == 0 ? -1 : i == TERMS - 1 ? 0 : below(world, VALUES);
    }
    int source = below(world, SOURCES);
    vec_push(&world->logs[source], event);
    while (below(world, 50) != 0) { /* now and then far more than a span bridges */
        if (!event.is_hole) {
            break;
        }
        vec_push(&world->logs[source], event);
    }
}

static struct event_term term_of(int kind, int value, char text[16])
{
    snprintf(text, 16, "v%d", value);
    return (struct event_term){(enum event_term_kind)(kind + 1), slice_str(text)};
}

static enum err add(struct world *world, int source, int64_t offset, struct reason *reason)
{
    const struct logged *event = &world->logs[source].items[offset];
    struct event_term terms[TERMS];
    char text[TERMS][16];
    size_t count = 0;
    if (event->is_hole) {
        event_index_reached(world->index, &world->sources[source], offset + 1);
        return ERR_NONE;
    }
    for (int i = 0; i < TERMS; i++) {
        if (event->value[i] >= 0) {
            terms[count] = term_of(i, event->value[i], text[i]);
            count++;
        }
    }
    return event_index_add(world->index, &world->sources[source], offset, terms, count, reason);
}

/* Brings the index to the ends of the logs, a few events of one source after a few of another. */
static enum err catch_up(struct world *world, struct reason *reason)
{
    bool more = true;
    while (more) {
        more = false;
        for (int i = 0; i < SOURCES; i++) {
            int64_t next = event_index_next(world->index, &world->sources[i]);
            int64_t end = (int64_t)world->logs[i].count;
            for (int n = 0; n < 5 && next < end; n++, next++) {
                enum err err = add(world, i, next, reason);
                if (err != ERR_NONE) {
                    return err;
                }
            }
            more = more || next < end;
        }
    }
    return ERR_NONE;
}

static bool is_expected(const struct world *world, int source, int64_t offset, int kind, int value)
{
    const struct logged *event = &world->logs[source].items[offset];
    return offset >= world->starts[source] && !event->is_hole && event->value[kind] == value;
}

static int source_of(const struct world *world, const struct index_place *place)
{
    for (int i = 0; i < SOURCES; i++) {
        const struct event_source *source = &world->sources[i];
        if (strcmp(source->topic, place->topic) == 0 && source->partition == place->partition &&
            memcmp(source->topic_id, place->topic_id, 16) == 0) {
            return i;
        }
    }
    fail_msg("%s-%d is no partition", place->topic, place->partition);
    return -1;
}

static size_t count_expected(const struct world *world, int kind, int value)
{
    size_t count = 0;
    for (int i = 0; i < SOURCES; i++) {
        for (int64_t offset = 0; offset < (int64_t)world->logs[i].count; offset++) {
            count += is_expected(world, i, offset, kind, value);
        }
    }
    return count;
}

/* All that should be found is, once each, and nothing else. */
static void check_one(struct world *world, int kind, int value)
{
    char text[16];
    struct event_term term = term_of(kind, value, text);
    struct event_places places;
    struct reason reason = {""};
    assert_int_equal(event_index_find(world->index, &term, 1000000, &places, &reason), ERR_NONE);
    for (size_t i = 0; i < places.items.count; i++) {
        const struct index_place *place = &places.items.items[i];
        assert_true(is_expected(world, source_of(world, place), place->offset, kind, value));
    }
    assert_int_equal(places.items.count, count_expected(world, kind, value));
    event_places_deinit(&places);
}

static void check_all(struct world *world)
{
    for (int kind = 0; kind < TERMS; kind++) {
        for (int value = 0; value < VALUES; value++) {
            check_one(world, kind, value);
        }
    }
}

/* What is found for many values at once. */
struct many {
    struct world *world;
    size_t next, most_terms;
};

static bool check_next(void *context, size_t term, struct event_places *places)
{
    struct many *many = context;
    int kind = (int)term % TERMS;
    int value = (int)term / TERMS % VALUES;
    assert_int_equal(term, many->next++);
    for (size_t i = 0; i < places->items.count; i++) {
        const struct index_place *place = &places->items.items[i];
        int source = source_of(many->world, place);
        assert_true(is_expected(many->world, source, place->offset, kind, value));
    }
    assert_int_equal(places->items.count, count_expected(many->world, kind, value));
    return many->next < many->most_terms;
}

/* Asks for each value twice in one question, and ends it after most_terms of them. */
static void check_at_once(struct world *world, size_t most_terms)
{
    enum { COUNT = 2 * TERMS * VALUES };
    struct many many = {.world = world, .most_terms = most_terms};
    struct event_term terms[COUNT];
    char text[COUNT][16];
    struct reason reason = {""};
    for (int i = 0; i < COUNT; i++) {
        terms[i] = term_of(i % TERMS, i / TERMS % VALUES, text[i]);
    }
    assert_int_equal(
        event_index_find_all(world->index, terms, COUNT, 1000000, check_next, &many, &reason),
        ERR_NONE);
    assert_int_equal(many.next, most_terms);
}

static void grow(struct world *world, int events)
{
    struct reason reason = {""};
    for (int i = 0; i < events; i++) {
        append(world);
    }
    assert_int_equal(catch_up(world, &reason), ERR_NONE);
}

static void test_all_that_was_added_is_found_and_nothing_else(void **state)
{
    struct world *world = begin(1);
    (void)state;
    for (int i = 0; i < 30; i++) {
        grow(world, 50);
        check_all(world);
    }
    assert_true(event_index_size(world->index).runs > 3);
    end(world);
}

static void test_many_values_are_asked_for_at_once(void **state)
{
    struct world *world = begin(12);
    (void)state;
    for (int i = 0; i < 10; i++) {
        grow(world, 50);
        check_at_once(world, (size_t)2 * TERMS * VALUES);
    }
    check_at_once(world, 7);
    assert_int_equal(event_index_find_all(world->index, NULL, 0, 10, check_next, NULL, NULL),
                     ERR_NONE);
    end(world);
}

/* One page that tells which page has it, and that one; one more where it goes over two pages. */
static void test_a_value_costs_two_reads_a_run(void **state)
{
    struct world *world = begin(13);
    (void)state;
    grow(world, 1000);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    int runs = (int)event_index_size(world->index).runs;
    assert_true(runs > 3);
    for (int value = 0; value < VALUES; value++) {
        atomic_store(&world->reads, 0);
        check_one(world, 0, value);
        assert_in_range(atomic_load(&world->reads), 2, 3 * runs - 1);
    }
    end(world);
}

static void test_what_was_lost_in_a_crash_is_added_again(void **state)
{
    struct world *world = begin(2);
    (void)state;
    for (int i = 0; i < 30; i++) {
        grow(world, 20 + below(world, 100));
        if (below(world, 2) == 0) {
            assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
        }
        reopen(world); /* without a flush */
        grow(world, below(world, 30));
        check_all(world);
    }
    end(world);
}

static void test_an_index_that_is_opened_again_has_all_that_was_flushed(void **state)
{
    struct world *world = begin(3);
    (void)state;
    grow(world, 1000);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    reopen(world);
    assert_int_equal(event_index_size(world->index).memory_entries, 0);
    for (int i = 0; i < SOURCES; i++) {
        assert_int_equal(event_index_next(world->index, &world->sources[i]), world->logs[i].count);
    }
    check_all(world);
    end(world);
}

static void test_an_event_that_is_added_twice_is_found_once(void **state)
{
    struct world *world = begin(11);
    (void)state;
    grow(world, 100);
    for (int round = 0; round < 2; round++) {
        for (int64_t offset = 0; offset < (int64_t)world->logs[1].count; offset++) {
            assert_int_equal(add(world, 1, offset, NULL), ERR_NONE);
        }
        check_all(world);
        assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
        check_all(world);
    }
    end(world);
}

static void test_runs_of_one_size_become_one(void **state)
{
    struct world *world = begin(4);
    (void)state;
    grow(world, 2000);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    assert_int_equal(event_index_settle(world->index, NULL), ERR_NONE);
    struct event_index_size size = event_index_size(world->index);
    assert_true(size.entries > 3000);
    assert_true(size.runs <= 3 * 7);
    check_all(world);
    end(world);
}

static int count_files(const struct world *world);

static void test_what_is_gone_from_the_log_is_not_found_and_its_files_go(void **state)
{
    struct world *world = begin(5);
    struct reason reason = {""};
    (void)state;
    for (int round = 0; round < 10; round++) {
        grow(world, 200);
        for (int i = 0; i < SOURCES; i++) {
            int64_t start = (int64_t)world->logs[i].count - 20;
            start = i == 0 ? INT64_MAX : start; /* its topic was deleted */
            world->starts[i] = start < 0 ? 0 : start;
            event_index_gone(world->index, &world->sources[i], world->starts[i]);
        }
        check_all(world);
        assert_int_equal(event_index_flush(world->index, &reason), ERR_NONE);
        check_all(world);
    }
    assert_int_equal(event_index_settle(world->index, &reason), ERR_NONE);
    for (int i = 0; i < SOURCES; i++) {
        world->starts[i] = INT64_MAX;
        event_index_gone(world->index, &world->sources[i], INT64_MAX);
    }
    assert_int_equal(event_index_flush(world->index, &reason), ERR_NONE);
    assert_int_equal(event_index_size(world->index).runs, 0);
    assert_int_equal(count_files(world), 1); /* the manifest */
    check_all(world);
    end(world);
}

/* --- topics without ids: the first of the world --- */

/* Another topic of its name is there, whose log is empty yet. */
static void make_again(struct world *world, int source)
{
    event_index_gone(world->index, &world->sources[source], INT64_MAX);
    world->logs[source].count = 0;
    world->starts[source] = 0;
}

static void test_a_topic_without_id_that_comes_again_is_not_mixed_with_the_old_one(void **state)
{
    struct world *world = begin(14);
    (void)state;
    for (int round = 0; round < 10; round++) {
        grow(world, 200);
        check_all(world);
        make_again(world, 0);
        assert_int_equal(event_index_next(world->index, &world->sources[0]), 0);
        check_all(world);
        grow(world, 50 + below(world, 200)); /* shorter, or longer */
        check_all(world);
        if (below(world, 2) == 0) {
            assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
            reopen(world);
            check_all(world);
        }
    }
    assert_int_equal(event_index_settle(world->index, NULL), ERR_NONE);
    check_all(world);
    end(world);
}

/* Also after a crash, which takes what was added of it meanwhile. */
static void test_a_topic_without_id_that_comes_again_is_begun_anew_after_a_crash(void **state)
{
    struct world *world = begin(15);
    (void)state;
    grow(world, 300);
    make_again(world, 0);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    for (int i = 0; i < 5; i++) {
        grow(world, 1);
    }
    reopen(world);
    assert_int_equal(event_index_next(world->index, &world->sources[0]), 0);
    grow(world, 300);
    check_all(world);
    end(world);
}

static void expect_last(struct world *world, const struct event_mark *expected)
{
    struct event_mark last = event_index_last(world->index, &world->sources[0]);
    assert_true(event_mark_is_same(&last, expected));
}

static void test_the_last_event_is_kept_with_the_place(void **state)
{
    struct world *world = begin(16);
    struct event_mark none = event_mark_none();
    struct event_mark first = {7, 1700000000000, 0xfedcba98};
    struct event_mark second = {9, -1, 3};
    (void)state;
    expect_last(world, &none);
    event_index_reached(world->index, &world->sources[0], 8);
    event_index_set_last(world->index, &world->sources[0], &first);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    event_index_reached(world->index, &world->sources[0], 10);
    event_index_set_last(world->index, &world->sources[0], &second);
    expect_last(world, &second);
    reopen(world); /* a crash: of both as it was on disk */
    assert_int_equal(event_index_next(world->index, &world->sources[0]), 8);
    expect_last(world, &first);
    event_index_gone(world->index, &world->sources[0], INT64_MAX);
    expect_last(world, &none);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    reopen(world);
    expect_last(world, &none);
    end(world);
}

/* Takes out of the manifest what version 1 had not. */
static void make_version_1(const struct world *world)
{
    enum { HEAD = 40, OLD = 36, NEW = 24 };
    char *data;
    size_t size;
    struct buf old = {0};
    char *path = mem_sprintf("%s/manifest", world->dir);
    assert_int_equal(file_load(file_ops_system(), path, 1 << 20, &data, &size, NULL), ERR_NONE);
    const uint8_t *bytes = (const uint8_t *)data;
    assert_int_equal(load_be32(bytes + 4), 2);
    size_t at = HEAD + 8 * (size_t)load_be32(bytes + 32);
    buf_append(&old, bytes, at);
    store_be32(old.data + 4, 1);
    for (uint32_t i = 0; i < load_be32(bytes + 36); i++) {
        size_t name = 2 + (size_t)load_be16(bytes + at + OLD + NEW);
        buf_append(&old, bytes + at, OLD);
        buf_append(&old, bytes + at + OLD + NEW, name);
        at += OLD + NEW + name;
    }
    assert_int_equal(at + 4, size);
    buf_append_be32(&old, crc32c(0, old.data, old.size));
    assert_int_equal(file_replace(file_ops_system(), path, old.data, old.size, NULL), ERR_NONE);
    buf_deinit(&old);
    free(data);
    free(path);
}

static void test_an_index_of_the_version_before_is_taken_over(void **state)
{
    struct world *world = begin(17);
    struct event_mark none = event_mark_none();
    bool begun_anew;
    (void)state;
    grow(world, 500);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    event_index_close(world->index);
    make_version_1(world);
    assert_int_equal(open_index(world, &begun_anew, NULL), ERR_NONE);
    assert_false(begun_anew);
    expect_last(world, &none);
    check_all(world);
    grow(world, 300);
    make_again(world, 0);
    grow(world, 300);
    check_all(world);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    reopen(world);
    check_all(world);
    end(world);
}

static void test_a_hot_value_is_cut_at_what_was_asked_for(void **state)
{
    struct world *world = begin(6);
    char text[16];
    struct event_term term = term_of(TERMS - 1, 0, text);
    struct event_places places;
    (void)state;
    grow(world, 1500);
    size_t all = count_expected(world, TERMS - 1, 0);
    assert_int_equal(event_index_find(world->index, &term, 7, &places, NULL), ERR_NONE);
    assert_int_equal(places.items.count, 7);
    assert_true(places.is_cut);
    event_places_deinit(&places);
    assert_int_equal(event_index_find(world->index, &term, all, &places, NULL), ERR_NONE);
    assert_int_equal(places.items.count, all);
    assert_false(places.is_cut);
    event_places_deinit(&places);
    end(world);
}

static void test_a_full_disk_costs_no_answer(void **state)
{
    struct world *world = begin(7);
    struct reason reason = {""};
    int failed = 0;
    (void)state;
    for (int i = 0; i < 60; i++) {
        for (int j = 0; j < 20; j++) {
            append(world);
        }
        atomic_store(&world->writes_left, below(world, 6));
        if (catch_up(world, &reason) != ERR_NONE || event_index_flush(world->index, &reason) != 0) {
            failed++;
            assert_non_null(strstr(reason.text, "No space"));
        }
        atomic_store(&world->writes_left, -1);
        if (below(world, 3) == 0) {
            reopen(world);
        }
        assert_int_equal(catch_up(world, &reason), ERR_NONE);
        check_all(world);
    }
    assert_true(failed > 10);
    end(world);
}

/* --- damage --- */

struct file_list {
    VEC(char *) names;
};

static enum err list_file(void *context, const char *name)
{
    struct file_list *list = context;
    vec_push(&list->names, mem_strdup(name));
    return ERR_NONE;
}

static int count_files(const struct world *world)
{
    struct file_list list = {0};
    assert_int_equal(file_list_dir(world->dir, list_file, &list, NULL), ERR_NONE);
    int count = (int)list.names.count;
    for (size_t i = 0; i < list.names.count; i++) {
        free(list.names.items[i]);
    }
    vec_deinit(&list.names);
    return count;
}

static void flip(const char *path, int64_t position, int bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, position), 1);
    byte ^= (uint8_t)(1 << bit);
    assert_int_equal(pwrite(fd, &byte, 1, position), 1);
    close(fd);
}

/* Each look-up says that the file is damaged, or all that there is. Returns whether any said so. */
static bool is_told(struct world *world)
{
    bool told = false;
    for (int kind = 0; kind < TERMS; kind++) {
        for (int value = 0; value < VALUES; value++) {
            char text[16];
            struct event_term term = term_of(kind, value, text);
            struct event_places places;
            struct reason reason = {""};
            enum err err = event_index_find(world->index, &term, 1000000, &places, &reason);
            if (err != ERR_NONE) {
                assert_int_equal(err, ERR_CORRUPT);
                assert_non_null(strstr(reason.text, world->dir));
                told = true;
            } else {
                assert_int_equal(places.items.count, count_expected(world, kind, value));
            }
            event_places_deinit(&places);
        }
    }
    return told;
}

static void try_flip(struct world *world, const char *name, int64_t position, int bit)
{
    bool begun_anew;
    struct reason reason = {""};
    char *path = mem_sprintf("%s/%s", world->dir, name);
    event_index_close(world->index);
    flip(path, position, bit);
    assert_int_equal(open_index(world, &begun_anew, &reason), ERR_NONE);
    if (begun_anew) {
        assert_true(reason.text[0] != '\0');
        assert_int_equal(event_index_size(world->index).entries, 0);
        assert_int_equal(catch_up(world, &reason), ERR_NONE);
        check_all(world);
        assert_int_equal(event_index_flush(world->index, &reason), ERR_NONE);
    } else {
        (void)!is_told(world);
        event_index_close(world->index);
        flip(path, position, bit);
        assert_int_equal(open_index(world, &begun_anew, &reason), ERR_NONE);
        assert_false(begun_anew);
    }
    free(path);
}

static void test_a_flipped_bit_is_told_or_costs_no_answer(void **state)
{
    struct world *world = begin(8);
    (void)state;
    grow(world, 400);
    assert_int_equal(event_index_flush(world->index, NULL), ERR_NONE);
    for (int i = 0; i < 150; i++) {
        struct file_list list = {0};
        assert_int_equal(event_index_settle(world->index, NULL), ERR_NONE);
        assert_int_equal(file_list_dir(world->dir, list_file, &list, NULL), ERR_NONE);
        const char *name = list.names.items[below(world, (int)list.names.count)];
        char *path = mem_sprintf("%s/%s", world->dir, name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int64_t size;
        assert_int_equal(file_size(fd, &size, NULL), ERR_NONE);
        close(fd);
        try_flip(world, name, below(world, (int)size), below(world, 8));
        free(path);
        for (size_t j = 0; j < list.names.count; j++) {
            free(list.names.items[j]);
        }
        vec_deinit(&list.names);
    }
    end(world);
}

static void test_a_damaged_index_is_begun_anew(void **state)
{
    struct world *world = begin(9);
    struct reason reason = {""};
    (void)state;
    grow(world, 400);
    assert_int_equal(event_index_clear(world->index, &reason), ERR_NONE);
    assert_int_equal(count_files(world), 1);
    assert_int_equal(event_index_next(world->index, &world->sources[1]), 0);
    assert_int_equal(catch_up(world, &reason), ERR_NONE);
    check_all(world);
    end(world);
}

/* --- threads --- */

static atomic_bool is_over;

static void *ask(void *context)
{
    struct world *world = context;
    char text[16];
    struct event_term term = term_of(0, 1, text);
    size_t before = 0;
    while (!atomic_load(&is_over)) {
        struct event_places places;
        struct reason reason = {""};
        assert_int_equal(event_index_find(world->index, &term, 100000, &places, &reason), ERR_NONE);
        assert_true(places.items.count >= before); /* nothing is out of sight meanwhile */
        before = places.items.count;
        event_places_deinit(&places);
        (void)event_index_size(world->index);
    }
    return NULL;
}

static void test_questions_are_answered_while_events_are_added(void **state)
{
    struct world *world = begin(10);
    pthread_t threads[2];
    (void)state;
    atomic_store(&is_over, false);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, world), 0);
    }
    for (int i = 0; i < 20; i++) {
        grow(world, 100);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    check_all(world);
    end(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_was_added_is_found_and_nothing_else),
        cmocka_unit_test(test_many_values_are_asked_for_at_once),
        cmocka_unit_test(test_a_value_costs_two_reads_a_run),
        cmocka_unit_test(test_what_was_lost_in_a_crash_is_added_again),
        cmocka_unit_test(test_an_index_that_is_opened_again_has_all_that_was_flushed),
        cmocka_unit_test(test_an_event_that_is_added_twice_is_found_once),
        cmocka_unit_test(test_runs_of_one_size_become_one),
        cmocka_unit_test(test_what_is_gone_from_the_log_is_not_found_and_its_files_go),
        cmocka_unit_test(test_a_topic_without_id_that_comes_again_is_not_mixed_with_the_old_one),
        cmocka_unit_test(test_a_topic_without_id_that_comes_again_is_begun_anew_after_a_crash),
        cmocka_unit_test(test_the_last_event_is_kept_with_the_place),
        cmocka_unit_test(test_an_index_of_the_version_before_is_taken_over),
        cmocka_unit_test(test_a_hot_value_is_cut_at_what_was_asked_for),
        cmocka_unit_test(test_a_full_disk_costs_no_answer),
        cmocka_unit_test(test_a_flipped_bit_is_told_or_costs_no_answer),
        cmocka_unit_test(test_a_damaged_index_is_begun_anew),
        cmocka_unit_test(test_questions_are_answered_while_events_are_added),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
