#include "../unit.h"
#include "topic_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Thousands of partitions in a process that may open few files. */

enum { PARTITIONS = 2000, DESCRIPTORS = 64 };

static void limit_descriptors(void)
{
    struct rlimit limit = {.rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int loaded_count(const struct topic *topic)
{
    int loaded = 0;
    for (int32_t i = 0; i < topic_partition_count(topic); i++) {
        loaded += log_is_loaded(topic_partition(topic, i)->log);
    }
    return loaded;
}

static void check_ends(const struct topic *topic, int64_t end)
{
    for (int32_t i = 0; i < topic_partition_count(topic); i++) {
        struct partition *partition = topic_partition(topic, i);
        assert_int_equal(partition_high_watermark(partition), end);
        struct file_span span;
        struct reason reason;
        enum err err = partition_load(partition, &reason);
        if (err == ERR_NONE) {
            err = log_read(partition->log, 0, end, 1000, true, &span, &reason);
        }
        if (err != ERR_NONE) {
            fail_msg("partition %d: %s", (int)i, reason.text);
        }
        file_span_release(&span);
    }
}

static struct topic *find(struct fixture *fixture)
{
    struct topic *topic = catalogue_find(fixture->catalogue, slice_str("many"));
    assert_non_null(topic);
    assert_int_equal(topic_partition_count(topic), PARTITIONS);
    return topic;
}

static void test_thousands_of_partitions_need_few_descriptors(void **state)
{
    struct fixture *fixture = *state;
    limit_descriptors();
    struct topic *topic = create_topic(fixture, "many", PARTITIONS, "retention.ms", "-1");
    for (int32_t i = 0; i < PARTITIONS; i++) {
        append_events(topic_partition(topic, i), 1, true);
    }
    check_ends(topic, 1);
    topic_unref(topic);
    fixture_close(fixture);

    fixture_open(fixture);
    assert_true(fixture->recovery.was_clean);
    topic = find(fixture);
    assert_int_equal(loaded_count(topic), 0);
    check_ends(topic, 1);
    catalogue_checkpoint(fixture->catalogue);
    append_events(topic_partition(topic, 17), 1, true);
    topic_unref(topic);
    fixture_abandon(fixture);

    fixture_open(fixture);
    assert_false(fixture->recovery.was_clean);
    topic = find(fixture);
    assert_int_equal(loaded_count(topic), 1); /* the one that went on behind the checkpoint */
    assert_int_equal(partition_high_watermark(topic_partition(topic, 17)), 2);
    catalogue_maintain(fixture->catalogue);
    assert_int_equal(loaded_count(topic), 1);
    struct reason reason;
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &reason), ERR_NONE);
    topic_unref(topic);
    char *dir = fixture_path(fixture, "topics/many-0");
    assert_false(file_exists(dir));
    free(dir);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.partitions, 0);
}

/* One partition that cannot be opened is offline; all others are served. */
static void test_one_offline_partition_leaves_the_others_served(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 2, "retention.ms", "-1");
    append_events(topic_partition(topic, 0), 3, true);
    append_events(topic_partition(topic, 1), 3, true);
    int64_t low;
    assert_int_equal(catalogue_delete_records(fixture->catalogue, topic_partition(topic, 0), 2,
                                              &low, &fixture->reason),
                     ERR_NONE);
    topic_unref(topic);
    fixture_close(fixture);
    char *dir = fixture_path(fixture, "topics/orders-0");
    char *away = fixture_path(fixture, "away");
    char *checkpoint = fixture_path(fixture, "checkpoint");
    char *copy = fixture_path(fixture, "checkpoint-copy");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(rename(dir, away), 0);
        FILE *file = fopen(dir, "wb"); /* a file where a directory belongs */
        assert_non_null(file);
        fclose(file);
        fixture_open(fixture);
        assert_int_equal(fixture->recovery.offline_partitions, 1);
        topic = catalogue_find(fixture->catalogue, slice_str("orders"));
        struct partition *offline = topic_partition(topic, 0);
        struct reason reason;
        assert_int_equal(partition_load(offline, &reason), ERR_IO);
        assert_non_null(strstr(reason.text, "is offline"));
        append_events(topic_partition(topic, 1), 1, true);
        catalogue_maintain(fixture->catalogue);
        topic_unref(topic);
        fixture_close(fixture);
        assert_int_equal(unlink(dir), 0);
        assert_int_equal(rename(away, dir), 0);
        fixture_open(fixture); /* mended */
        assert_int_equal(fixture->recovery.offline_partitions, 0);
        topic = catalogue_find(fixture->catalogue, slice_str("orders"));
        assert_int_equal(partition_high_watermark(topic_partition(topic, 0)), 3);
        assert_int_equal(partition_log_start(topic_partition(topic, 0)), 2);
        topic_unref(topic);
        fixture_close(fixture);
        unlink(checkpoint); /* the second time without one */
        unlink(copy);
    }
    free(dir);
    free(away);
    free(copy);
    free(checkpoint);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_offline_partition_leaves_the_others_served,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_thousands_of_partitions_need_few_descriptors,
                                        fixture_setup, fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
