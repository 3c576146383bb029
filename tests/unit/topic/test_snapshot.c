#include "../unit.h"
#include "topic_fixture.h"

#include "base/logger.h"
#include "base/mem.h"
#include "topic/checkpoint.h"
#include "topic/snapshot.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Snapshots while events come and go: each is one instant, and all its files are there. */

enum { SNAPSHOTS = 60, MOST_EVENTS = 20000 /* the rest of the segments would take descriptors */ };

struct load {
    struct fixture *fixture;
    struct topic *first;
    struct topic *second;
    atomic_bool ended;
    atomic_int rounds;
};

/* One event in the first topic, then one in the second, and so on: at every instant the second has
 * as many as the first, or one less. */
static void *append_in_turn(void *argument)
{
    struct load *load = argument;
    const struct log *log = topic_partition(load->first, 0)->log;
    while (!atomic_load(&load->ended)) {
        if (log_end_offset(log) - log_start_offset(log) > MOST_EVENTS) {
            sched_yield(); /* until old ones are deleted */
            continue;
        }
        append_events(topic_partition(load->first, 0), 1, false);
        append_events(topic_partition(load->second, 0), 1, false);
        atomic_fetch_add(&load->rounds, 1);
    }
    return NULL;
}

static void *delete_old(void *argument)
{
    struct load *load = argument;
    struct partition *partition = topic_partition(load->first, 0);
    while (!atomic_load(&load->ended)) {
        int64_t low;
        struct reason reason;
        append_events(topic_partition(load->first, 1), 1, true);
        append_events(topic_partition(load->first, 1), 1, true);
        assert_int_equal(catalogue_delete_records(load->fixture->catalogue,
                                                  topic_partition(load->first, 1), -1, &low,
                                                  &reason),
                         ERR_NONE);
        assert_int_equal(
            log_set_start_offset(partition->log, log_flushed_offset(partition->log), &reason),
            ERR_NONE);
        assert_int_equal(log_flush(partition->log, &reason), ERR_NONE);
    }
    return NULL;
}

static void *come_and_go(void *argument)
{
    struct load *load = argument;
    while (!atomic_load(&load->ended)) {
        struct reason reason;
        struct topic *topic = create_topic(load->fixture, "passing", 2, NULL, NULL);
        append_events(topic_partition(topic, 1), 1, true);
        assert_int_equal(catalogue_delete(load->fixture->catalogue, topic, &reason), ERR_NONE);
        topic_unref(topic);
    }
    return NULL;
}

/* Every file of the list is there with as many bytes at least; returns how many there are. */
static int check_files(const char *dir)
{
    char *path = mem_sprintf("%s/files", dir);
    char *text;
    size_t size;
    assert_int_equal(file_load(file_ops_system(), path, 1 << 20, &text, &size, NULL), ERR_NONE);
    free(path);
    int count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        int64_t listed;
        int used;
        struct stat status;
        assert_int_equal(sscanf(line, "%" SCNd64 " %n", &listed, &used), 1);
        path = mem_sprintf("%s/%s", dir, line + used);
        assert_int_equal(stat(path, &status), 0);
        assert_true(status.st_size >= listed);
        free(path);
        count++;
    }
    free(text);
    return count;
}

static void check_one(struct load *load, const char *dir)
{
    struct catalogue_snapshot made;
    struct reason reason = {.text = ""};
    struct checkpoint checkpoint;
    assert_int_equal(file_make_dir(file_ops_system(), dir, &reason), ERR_NONE);
    if (catalogue_snapshot(load->fixture->catalogue, dir, &made, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    /* the segments, tidings.db, checkpoint */
    assert_int_equal(check_files(dir), made.segments + 2);
    char *path = mem_sprintf("%s/checkpoint", dir);
    assert_true(checkpoint_read(&checkpoint, file_ops_system(), path));
    free(path);
    assert_int_equal(checkpoint.entries.count, made.partitions);
    const struct log_state *first = checkpoint_find(&checkpoint, &load->first->id, 0);
    const struct log_state *second = checkpoint_find(&checkpoint, &load->second->id, 0);
    assert_true(second->end_offset <= first->end_offset);
    assert_true(first->end_offset <= second->end_offset + 1);
    checkpoint_deinit(&checkpoint);
    assert_int_equal(file_remove_tree(file_ops_system(), dir, &reason), ERR_NONE);
    assert_false(file_exists(dir));
}

static void test_a_snapshot_is_one_instant(void **state)
{
    struct load load = {.fixture = *state};
    void *(*const works[])(void *) = {append_in_turn, delete_old, come_and_go};
    pthread_t threads[3];
    load.first = create_topic(load.fixture, "first", 2, "segment.bytes", "8192");
    load.second = create_topic(load.fixture, "second", 1, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, works[i], &load), 0);
    }
    char *dir = fixture_path(load.fixture, "snapshot");
    for (int i = 0; i < SNAPSHOTS; i++) {
        int before = atomic_load(&load.rounds);
        check_one(&load, dir);
        while (atomic_load(&load.rounds) == before) {
            sched_yield();
        }
    }
    atomic_store(&load.ended, true);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    free(dir);
    topic_unref(load.first);
    topic_unref(load.second);
}

/* A data directory made of a snapshot opens with what was there, uncut. */
static void test_a_snapshot_opens_as_a_data_directory(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue_snapshot made;
    struct topic *topic = create_topic(fixture, "orders", 1, "segment.bytes", "1024");
    append_events(topic_partition(topic, 0), 40, false);
    topic_unref(topic);
    char *dir = fixture_path(fixture, "snapshot");
    assert_int_equal(file_make_dir(file_ops_system(), dir, NULL), ERR_NONE);
    assert_int_equal(catalogue_snapshot(fixture->catalogue, dir, &made, &fixture->reason),
                     ERR_NONE);
    fixture_close(fixture);

    struct fixture copy = {.catalogue = NULL};
    snprintf(copy.dir, sizeof copy.dir, "%s", dir);
    fixture_open(&copy);
    topic = catalogue_find(copy.catalogue, slice_str("orders"));
    assert_non_null(topic);
    assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 40);
    assert_int_equal(copy.recovery.scanned_bytes, made.bytes);
    assert_int_equal(copy.recovery.truncated_bytes, 0);
    topic_unref(topic);
    fixture_close(&copy);
    free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_snapshot_is_one_instant, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_opens_as_a_data_directory, fixture_setup,
                                        fixture_teardown),
    };
    logger_set_level(LOG_LEVEL_WARN); /* topics come and go by the hundred */
    return unit_run(tests, NULL, NULL, argc, argv);
}
