#include "../unit.h"
#include "topic_fixture.h"

#include "base/mem.h"
#include "topic/catalogue_db.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct topic *find(struct fixture *fixture, const char *name)
{
    return catalogue_find(fixture->catalogue, slice_str(name));
}

static void assert_gone(struct fixture *fixture, const char *name)
{
    struct topic *topic = find(fixture, name);
    assert_null(topic);
}

static bool directory_exists(const struct fixture *fixture, const char *name)
{
    char *path = fixture_path(fixture, name);
    bool exists = file_exists(path);
    free(path);
    return exists;
}

static void test_a_created_topic_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 3, NULL, NULL);
    assert_string_equal(topic->name, "orders");
    assert_int_equal(topic_partition_count(topic), 3);
    assert_non_null(topic_partition(topic, 2));
    assert_null(topic_partition(topic, 3));
    assert_null(topic_partition(topic, -1));
    struct topic *by_name = find(fixture, "orders");
    struct topic *by_id = catalogue_find_id(fixture->catalogue, &topic->id);
    assert_ptr_equal(by_name, topic);
    assert_ptr_equal(by_id, topic);
    assert_gone(fixture, "order");
    assert_gone(fixture, "orders2");
    topic_unref(by_name);
    topic_unref(by_id);
    topic_unref(topic);
    assert_true(directory_exists(fixture, "topics/orders-2"));
}

static void test_created_topics_outlive_a_crash(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 2, "retention.ms", "1234567");
    struct topic_id id = topic->id;
    topic_unref(topic);
    fixture_abandon(fixture);
    fixture_open(fixture);
    assert_false(fixture->recovery.was_clean);
    assert_int_equal(fixture->recovery.topics, 1);
    assert_int_equal(fixture->recovery.partitions, 2);
    topic = find(fixture, "orders");
    assert_non_null(topic);
    assert_memory_equal(&topic->id, &id, sizeof id);
    assert_int_equal(topic_config(topic)->log.retention_ms, 1234567);
    topic_unref(topic);
}

static void test_events_outlive_a_clean_stop_unread(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    append_events(topic_partition(topic, 0), 10, true);
    topic_unref(topic);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_true(fixture->recovery.was_clean);
    assert_int_equal(fixture->recovery.scanned_bytes, 0);
    topic = find(fixture, "orders");
    assert_int_equal(partition_high_watermark(topic_partition(topic, 0)), 10);
    append_events(topic_partition(topic, 0), 1, true);
    topic_unref(topic);
    /* "Clean" was taken back before the first append. */
    fixture_abandon(fixture);
    fixture_open(fixture);
    assert_false(fixture->recovery.was_clean);
    topic = find(fixture, "orders");
    assert_int_equal(partition_high_watermark(topic_partition(topic, 0)), 11);
    topic_unref(topic);
}

static void test_a_bad_creation_is_refused_with_a_reason(void **state)
{
    struct fixture *fixture = *state;
    topic_unref(create_topic(fixture, "orders.new", 1, NULL, NULL));
    assert_int_equal(try_create(fixture, "orders.new", 1), ERR_EXISTS);
    assert_non_null(strstr(fixture->reason.text, "orders.new"));
    assert_int_equal(try_create(fixture, "orders_new", 1), ERR_INVALID);
    assert_non_null(strstr(fixture->reason.text, "collides"));
    assert_int_equal(try_create(fixture, "orders-new", 1), ERR_NONE);
    assert_int_equal(try_create(fixture, "none", 0), ERR_INVALID);
    assert_int_equal(try_create(fixture, "none", -1), ERR_INVALID);
    assert_int_equal(try_create(fixture, "none", TOPIC_MAX_PARTITIONS + 1), ERR_INVALID);
    assert_gone(fixture, "none");
    struct topic_creation creation = {.name = slice_str("none"), .partition_count = 1};
    overrides_set(&creation.overrides, slice_str("no.such"), slice_str("1"));
    struct topic *topic;
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, &topic, &fixture->reason),
                     ERR_CONFIG);
    assert_null(topic);
    assert_non_null(strstr(fixture->reason.text, "no.such"));
    overrides_deinit(&creation.overrides);
    assert_gone(fixture, "none");
    assert_false(directory_exists(fixture, "topics/none-0"));
}

static void test_validating_creates_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct topic_creation creation = {
        .name = slice_str("orders"), .partition_count = 2, .validate_only = true};
    struct topic *topic;
    assert_int_equal(catalogue_create(fixture->catalogue, &creation, &topic, &fixture->reason),
                     ERR_NONE);
    assert_null(topic);
    assert_gone(fixture, "orders");
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.topics, 0);
}

static void test_a_strange_directory_is_not_taken_over(void **state)
{
    struct fixture *fixture = *state;
    char *path = fixture_path(fixture, "topics/orders-0");
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(try_create(fixture, "orders", 1), ERR_EXISTS);
    assert_non_null(strstr(fixture->reason.text, "topics/orders-0"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(try_create(fixture, "orders", 1), ERR_NONE);
    free(path);
}

static void test_a_failed_creation_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    /* The third partition cannot be made: a file has its name. */
    char *path = fixture_path(fixture, "topics/orders-2");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    assert_int_not_equal(try_create(fixture, "orders", 4), ERR_NONE);
    assert_gone(fixture, "orders");
    assert_false(directory_exists(fixture, "topics/orders-0"));
    assert_false(directory_exists(fixture, "topics/orders-1"));
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_int_equal(try_create(fixture, "orders", 4), ERR_NONE);
}

static void test_a_deleted_topic_is_gone_with_its_files(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 2, NULL, NULL);
    append_events(topic_partition(topic, 0), 5, true);
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    assert_gone(fixture, "orders");
    assert_null(catalogue_find_id(fixture->catalogue, &topic->id));
    assert_false(directory_exists(fixture, "topics/orders-0"));
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NOT_FOUND);
    topic_unref(topic);
    /* The name is free, and the new topic is empty. */
    topic = create_topic(fixture, "orders", 1, NULL, NULL);
    assert_int_equal(partition_high_watermark(topic_partition(topic, 0)), 0);
    topic_unref(topic);
    fixture_abandon(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.topics, 1);
    assert_int_equal(fixture->recovery.partitions, 1);
}

static void test_a_deletion_is_finished_at_start(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 2, NULL, NULL);
    append_events(topic_partition(topic, 1), 3, true);
    topic_unref(create_topic(fixture, "kept", 1, NULL, NULL));
    fixture_abandon(fixture);
    struct catalogue_db *db;
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    assert_int_equal(catalogue_db_mark_deleting(db, &topic->id, &fixture->reason), ERR_NONE);
    catalogue_db_close(db);
    topic_unref(topic);
    fixture_open(fixture);
    assert_gone(fixture, "orders");
    assert_int_equal(fixture->recovery.topics, 1);
    assert_false(directory_exists(fixture, "topics/orders-0"));
    assert_false(directory_exists(fixture, "topics/orders-1"));
    assert_false(directory_exists(fixture, "topics/orders-1.unfinished-delete"));
    assert_true(directory_exists(fixture, "topics/kept-0"));
    assert_int_equal(try_create(fixture, "orders", 1), ERR_NONE);
}

static void test_missing_directories_are_made_at_start(void **state)
{
    struct fixture *fixture = *state;
    topic_unref(create_topic(fixture, "orders", 2, NULL, NULL));
    fixture_abandon(fixture);
    char *command = mem_sprintf("rm -rf %s/topics/orders-1", fixture->dir);
    assert_int_equal(system(command), 0);
    free(command);
    fixture_open(fixture);
    struct topic *topic = find(fixture, "orders");
    append_events(topic_partition(topic, 1), 1, true);
    topic_unref(topic);
}

static void test_added_partitions_outlive_a_crash(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 2, NULL, NULL);
    struct partition *first = topic_partition(topic, 0);
    struct catalogue *catalogue = fixture->catalogue;
    struct reason *reason = &fixture->reason;
    assert_int_equal(catalogue_add_partitions(catalogue, topic, 2, false, reason), ERR_INVALID);
    assert_int_equal(catalogue_add_partitions(catalogue, topic, 1, false, reason), ERR_INVALID);
    assert_int_equal(catalogue_add_partitions(catalogue, topic, 5, true, reason), ERR_NONE);
    assert_int_equal(topic_partition_count(topic), 2);
    assert_int_equal(catalogue_add_partitions(catalogue, topic, 5, false, reason), ERR_NONE);
    assert_int_equal(topic_partition_count(topic), 5);
    assert_ptr_equal(topic_partition(topic, 0), first);
    append_events(topic_partition(topic, 4), 1, true);
    topic_unref(topic);
    fixture_abandon(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.partitions, 5);
}

static void test_a_failed_growth_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    char *path = fixture_path(fixture, "topics/orders-2");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    assert_int_not_equal(
        catalogue_add_partitions(fixture->catalogue, topic, 4, false, &fixture->reason), ERR_NONE);
    assert_int_equal(topic_partition_count(topic), 1);
    assert_false(directory_exists(fixture, "topics/orders-1"));
    assert_int_equal(unlink(path), 0);
    free(path);
    topic_unref(topic);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.partitions, 1);
}

static void test_settings_are_changed_as_a_whole(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, "retention.ms", "1000000");
    struct overrides wanted = {0};
    overrides_set(&wanted, slice_str("max.message.bytes"), slice_str("5000"));
    assert_int_equal(
        catalogue_set_overrides(fixture->catalogue, topic, &wanted, true, &fixture->reason),
        ERR_NONE);
    assert_int_equal(topic_config(topic)->max_message_bytes, 1048588);
    assert_int_equal(
        catalogue_set_overrides(fixture->catalogue, topic, &wanted, false, &fixture->reason),
        ERR_NONE);
    assert_int_equal(topic_config(topic)->max_message_bytes, 5000);
    assert_int_equal(topic_config(topic)->log.retention_ms, 604800000);
    overrides_set(&wanted, slice_str("retention.ms"), slice_str("soon"));
    assert_int_equal(
        catalogue_set_overrides(fixture->catalogue, topic, &wanted, false, &fixture->reason),
        ERR_CONFIG);
    overrides_deinit(&wanted);
    struct overrides kept = {0};
    catalogue_overrides(fixture->catalogue, topic, &kept);
    assert_int_equal(kept.count, 1);
    assert_string_equal(overrides_get(&kept, "max.message.bytes"), "5000");
    overrides_deinit(&kept);
    topic_unref(topic);
    fixture_abandon(fixture);
    overrides_set(&fixture->server_defaults, slice_str("retention.ms"), slice_str("777"));
    fixture_open(fixture);
    topic = find(fixture, "orders");
    assert_int_equal(topic_config(topic)->max_message_bytes, 5000);
    assert_int_equal(topic_config(topic)->log.retention_ms, 777);
    topic_unref(topic);
}

static enum err set_name_and_value(void *context, struct overrides *own, struct reason *reason)
{
    const char *const *pair = context;
    if (pair[1] == NULL) {
        return reason_fail(reason, ERR_CONFIG, "%s needs a value", pair[0]);
    }
    overrides_set(own, slice_str(pair[0]), slice_str(pair[1]));
    return ERR_NONE;
}

static enum err edit_group(struct fixture *fixture, struct slice group, const char *value,
                           bool validate_only)
{
    const char *pair[] = {"consumer.session.timeout.ms", value};
    return catalogue_edit_group_overrides(fixture->catalogue, group, set_name_and_value, pair,
                                          validate_only, &fixture->reason);
}

static void assert_group(struct fixture *fixture, const char *group, const char *value)
{
    struct overrides own;
    catalogue_group_overrides(fixture->catalogue, slice_str(group), &own);
    const char *found = overrides_get(&own, "consumer.session.timeout.ms");
    assert_true((found == NULL) == (value == NULL));
    if (value != NULL) {
        assert_string_equal(found, value);
    }
    overrides_deinit(&own);
}

static void test_settings_of_groups_outlive_a_crash(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(edit_group(fixture, slice_str("shipping"), "50000", true), ERR_NONE);
    assert_group(fixture, "shipping", NULL);
    assert_int_equal(edit_group(fixture, slice_str("shipping"), "50000", false), ERR_NONE);
    assert_int_equal(edit_group(fixture, slice_str("shipping"), "55000", false), ERR_NONE);
    assert_int_equal(edit_group(fixture, slice_str("ship"), "45000", false), ERR_NONE);
    assert_int_equal(edit_group(fixture, slice_str("ship"), NULL, false), ERR_CONFIG);
    assert_int_equal(edit_group(fixture, slice_str(""), "1", false), ERR_INVALID);
    assert_int_equal(edit_group(fixture, slice_of("a\0b", 3), "1", false), ERR_INVALID);
    fixture_abandon(fixture);
    fixture_open(fixture);
    assert_group(fixture, "shipping", "55000");
    assert_group(fixture, "ship", "45000");
    assert_group(fixture, "other", NULL);
}

static void test_records_are_deleted_up_to_the_watermark(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    struct partition *partition = topic_partition(topic, 0);
    struct catalogue *catalogue = fixture->catalogue;
    int64_t low;
    append_events(partition, 10, true);
    append_events(partition, 2, false); /* not on disk: not to be deleted yet */
    assert_int_equal(catalogue_delete_records(catalogue, partition, 11, &low, &fixture->reason),
                     ERR_OUT_OF_RANGE);
    assert_int_equal(catalogue_delete_records(catalogue, partition, -2, &low, &fixture->reason),
                     ERR_OUT_OF_RANGE);
    assert_int_equal(catalogue_delete_records(catalogue, partition, 4, &low, &fixture->reason),
                     ERR_NONE);
    assert_int_equal(low, 4);
    assert_int_equal(catalogue_delete_records(catalogue, partition, 2, &low, &fixture->reason),
                     ERR_NONE);
    assert_int_equal(low, 4);
    assert_int_equal(catalogue_delete_records(catalogue, partition, -1, &low, &fixture->reason),
                     ERR_NONE);
    assert_int_equal(low, 10);
    topic_unref(topic);
    fixture_abandon(fixture);
    fixture_open(fixture);
    topic = find(fixture, "orders");
    assert_int_equal(partition_log_start(topic_partition(topic, 0)), 10);
    topic_unref(topic);
}

static void test_producer_ids_are_never_given_twice(void **state)
{
    struct fixture *fixture = *state;
    int64_t last = -1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1500; i++) {
            int64_t id;
            assert_int_equal(catalogue_next_producer_id(fixture->catalogue, &id, &fixture->reason),
                             ERR_NONE);
            assert_true(id > last);
            last = id;
        }
        fixture_abandon(fixture);
        fixture_open(fixture);
    }
}

static void test_the_list_is_sorted(void **state)
{
    struct fixture *fixture = *state;
    topic_unref(create_topic(fixture, "b", 1, NULL, NULL));
    topic_unref(create_topic(fixture, "c", 1, NULL, NULL));
    topic_unref(create_topic(fixture, "a", 1, NULL, NULL));
    struct topic_list *topics = catalogue_list(fixture->catalogue);
    assert_int_equal(topics->count, 3);
    assert_string_equal(topics->items[0]->name, "a");
    assert_string_equal(topics->items[2]->name, "c");
    topic_list_unref(topics);
}

static void test_the_cluster_id_stays(void **state)
{
    struct fixture *fixture = *state;
    char id[32];
    snprintf(id, sizeof id, "%s", catalogue_cluster_id(fixture->catalogue));
    assert_int_equal(strlen(id), 22);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_string_equal(catalogue_cluster_id(fixture->catalogue), id);
}

static void test_a_newer_format_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    struct catalogue_db *db;
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    assert_int_equal(catalogue_db_put(db, "format", "5", &fixture->reason), ERR_NONE);
    catalogue_db_close(db);
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->server_defaults,
        .log_env = {.files = file_ops_system(), .clock = clock_system()},
    };
    assert_int_equal(
        catalogue_open(&config, &fixture->catalogue, &fixture->recovery, &fixture->reason),
        ERR_UNSUPPORTED);
    assert_non_null(strstr(fixture->reason.text, "format 5"));
    fixture->catalogue = NULL;
}

static void test_upkeep_writes_a_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    append_events(topic_partition(topic, 0), 100, true);
    catalogue_maintain(fixture->catalogue);
    append_events(topic_partition(topic, 0), 1, true);
    topic_unref(topic);
    fixture_abandon(fixture);
    fixture_open(fixture);
    assert_false(fixture->recovery.was_clean);
    assert_true(fixture->recovery.scanned_bytes > 0);
    assert_true(fixture->recovery.scanned_bytes < 200); /* the last event alone */
}

static void test_names_follow_kafkas_rules(void **state)
{
    (void)state;
    struct reason reason;
    char longest[TOPIC_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(topic_check_name(slice_of(longest, TOPIC_NAME_MAX), &reason), ERR_NONE);
    assert_int_equal(topic_check_name(slice_of(longest, TOPIC_NAME_MAX + 1), &reason), ERR_INVALID);
    static const char *const good[] = {"a", "A.b_c-9", "...", "._", "__consumer_offsets"};
    static const char *const bad[] = {"",    ".",   "..",   "a b",  "a/b",
                                      "a\n", "a:b", "\xc3", "..\\", "a,b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(topic_check_name(slice_str(good[i]), &reason), ERR_NONE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(topic_check_name(slice_str(bad[i]), &reason), ERR_INVALID);
    }
    assert_int_equal(topic_check_name(slice_of("a\0b", 3), &reason), ERR_INVALID);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_created_topic_is_found),
        TEST(test_created_topics_outlive_a_crash),
        TEST(test_events_outlive_a_clean_stop_unread),
        TEST(test_a_bad_creation_is_refused_with_a_reason),
        TEST(test_validating_creates_nothing),
        TEST(test_a_strange_directory_is_not_taken_over),
        TEST(test_a_failed_creation_leaves_nothing),
        TEST(test_a_deleted_topic_is_gone_with_its_files),
        TEST(test_a_deletion_is_finished_at_start),
        TEST(test_missing_directories_are_made_at_start),
        TEST(test_added_partitions_outlive_a_crash),
        TEST(test_a_failed_growth_changes_nothing),
        TEST(test_settings_are_changed_as_a_whole),
        TEST(test_settings_of_groups_outlive_a_crash),
        TEST(test_records_are_deleted_up_to_the_watermark),
        TEST(test_producer_ids_are_never_given_twice),
        TEST(test_the_list_is_sorted),
        TEST(test_the_cluster_id_stays),
        TEST(test_a_newer_format_is_refused),
        TEST(test_upkeep_writes_a_checkpoint),
        cmocka_unit_test(test_names_follow_kafkas_rules),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
