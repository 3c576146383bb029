#include "../unit.h"
#include "topic_fixture.h"

#include "base/mem.h"
#include "log/space.h"
#include "topic/catalogue_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Topics that go while something is still at work on them, and names at their limits. */

static struct catalogue_db *open_db(struct fixture *fixture)
{
    struct catalogue_db *db;
    assert_int_equal(catalogue_db_open(fixture->dir, true, &db, &fixture->reason), ERR_NONE);
    return db;
}

static enum err count_names(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return ERR_NONE;
}

static int names_in(struct fixture *fixture, const char *dir)
{
    int count = 0;
    char *path = fixture_path(fixture, dir);
    assert_int_equal(file_list_dir(path, count_names, &count, &fixture->reason), ERR_NONE);
    free(path);
    return count;
}

static void longest_name(char *name)
{
    memset(name, 'n', TOPIC_NAME_MAX);
    name[TOPIC_NAME_MAX] = '\0';
}

static void test_a_topic_of_the_longest_name_is_deleted(void **state)
{
    struct fixture *fixture = *state;
    char name[TOPIC_NAME_MAX + 1];
    longest_name(name);
    struct topic *topic = create_topic(fixture, name, 2, NULL, NULL);
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
    assert_int_equal(names_in(fixture, "topics"), 0);
    assert_int_equal(try_create(fixture, name, 1), ERR_NONE);
}

static void test_an_unfinished_deletion_of_the_longest_name_is_finished(void **state)
{
    struct fixture *fixture = *state;
    char name[TOPIC_NAME_MAX + 1];
    longest_name(name);
    struct topic *topic = create_topic(fixture, name, 2, NULL, NULL);
    fixture_close(fixture);
    struct catalogue_db *db = open_db(fixture);
    assert_int_equal(catalogue_db_mark_deleting(db, &topic->id, &fixture->reason), ERR_NONE);
    catalogue_db_close(db);
    topic_unref(topic);
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.topics, 0);
    assert_int_equal(names_in(fixture, "topics"), 0);
}

/* A topic that was deleted and its name given to another: changes by the old one are refused. */
static void test_changes_of_a_deleted_topic_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue *catalogue = fixture->catalogue;
    struct reason *reason = &fixture->reason;
    struct topic *old = create_topic(fixture, "orders", 1, NULL, NULL);
    append_events(topic_partition(old, 0), 3, true);
    assert_int_equal(catalogue_delete(catalogue, old, reason), ERR_NONE);
    topic_unref(create_topic(fixture, "orders", 3, NULL, NULL));

    struct overrides settings = {0};
    overrides_set(&settings, slice_str("retention.ms"), slice_str("5"));
    int64_t low;
    assert_int_equal(catalogue_add_partitions(catalogue, old, 3, false, reason), ERR_NOT_FOUND);
    assert_int_equal(catalogue_set_overrides(catalogue, old, &settings, false, reason),
                     ERR_NOT_FOUND);
    assert_int_equal(catalogue_delete_records(catalogue, topic_partition(old, 0), 2, &low, reason),
                     ERR_NOT_FOUND);
    assert_int_equal(topic_partition_count(old), 1);
    assert_int_equal(names_in(fixture, "topics"), 3);
    overrides_deinit(&settings);
    topic_unref(old);
}

/* Upkeep that was under way on a deleted log leaves the files of the next one alone. */
static void test_upkeep_of_a_deleted_log_leaves_the_next_alone(void **state)
{
    struct fixture *fixture = *state;
    struct reason *reason = &fixture->reason;
    struct topic *old = create_topic(fixture, "orders", 1, "segment.bytes", "100");
    struct log *log = topic_partition(old, 0)->log;
    append_events(topic_partition(old, 0), 5, true);
    assert_int_equal(catalogue_delete(fixture->catalogue, old, reason), ERR_NONE);

    struct topic *fresh = create_topic(fixture, "orders", 1, "segment.bytes", "100");
    append_events(topic_partition(fresh, 0), 5, true);
    int files = names_in(fixture, "topics/orders-0");
    struct log_state log_state;
    assert_int_equal(log_set_start_offset(log, 5, reason), ERR_CLOSED);
    assert_int_equal(log_checkpoint(log, &log_state, reason), ERR_CLOSED);
    assert_int_equal(log_maintain(log, reason), ERR_CLOSED);
    log_retention_start(log, 5);
    assert_int_equal(names_in(fixture, "topics/orders-0"), files);
    topic_unref(old);
    topic_unref(fresh);

    fixture_abandon(fixture);
    fixture_open(fixture);
    fresh = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_int_equal(log_start_offset(topic_partition(fresh, 0)->log), 0);
    assert_int_equal(log_end_offset(topic_partition(fresh, 0)->log), 5);
    topic_unref(fresh);
}

static void test_a_foreign_directory_stays(void **state)
{
    struct fixture *fixture = *state;
    char *dir = fixture_path(fixture, "topics/orders-2");
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(try_create(fixture, "orders", 3), ERR_EXISTS);
    assert_non_null(strstr(fixture->reason.text, "orders-2"));
    struct topic *topic = create_topic(fixture, "orders", 2, NULL, NULL);
    assert_int_equal(
        catalogue_add_partitions(fixture->catalogue, topic, 3, false, &fixture->reason),
        ERR_EXISTS);
    assert_true(file_exists(dir));
    topic_unref(topic);
    free(dir);
}

static void test_partitions_are_limited(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    struct catalogue_config config = {
        .data_dir = fixture->dir,
        .topic_defaults = &fixture->server_defaults,
        .log_env = {.files = file_ops_system(), .clock = clock_system()},
        .open_threads = 1,
        .max_partitions = 5,
    };
    assert_int_equal(
        catalogue_open(&config, &fixture->catalogue, &fixture->recovery, &fixture->reason),
        ERR_NONE);
    struct topic *topic = create_topic(fixture, "orders", 3, NULL, NULL);
    assert_int_equal(try_create(fixture, "payments", 3), ERR_LIMIT);
    assert_int_equal(
        catalogue_add_partitions(fixture->catalogue, topic, 6, false, &fixture->reason), ERR_LIMIT);
    assert_int_equal(
        catalogue_add_partitions(fixture->catalogue, topic, 4, false, &fixture->reason), ERR_NONE);
    assert_int_equal(try_create(fixture, "payments", 1), ERR_NONE);
    assert_int_equal(names_in(fixture, "topics"), 5);
    topic_unref(topic);
}

static void test_partitions_ask_for_memory_and_give_it_back(void **state)
{
    struct fixture *fixture = *state;
    struct budget_used *share = &fixture->budget.shares[BUDGET_PARTITIONS];
    struct topic *topic = create_topic(fixture, "orders", 3, NULL, NULL);
    int64_t with_one = share->bytes;
    assert_true(with_one >= 3 * (int64_t)topic_partition_cost());
    share->limit_bytes = (with_one + 3 * (int64_t)topic_partition_cost() + 2000) * 8 / 7 + 1;
    assert_int_equal(try_create(fixture, "payments", 4), ERR_LIMIT);
    assert_non_null(strstr(fixture->reason.text, "memory.max"));
    assert_int_equal(names_in(fixture, "topics"), 3);
    assert_int_equal(
        catalogue_add_partitions(fixture->catalogue, topic, 7, false, &fixture->reason), ERR_LIMIT);
    assert_int_equal(share->bytes, with_one);
    struct topic *other = create_topic(fixture, "payments", 3, NULL, NULL);
    assert_true(share->bytes > with_one && share->bytes <= share->limit_bytes);
    assert_int_equal(catalogue_delete(fixture->catalogue, other, &fixture->reason), ERR_NONE);
    topic_unref(other);
    assert_int_equal(share->bytes, with_one);
    topic_unref(topic);
    fixture_close(fixture);
    assert_int_equal(share->bytes, 0);
    share->limit_bytes = 1;
    fixture_open(fixture); /* what is there is kept */
    assert_true(budget_is_over(&fixture->budget, BUDGET_PARTITIONS));
    assert_int_equal(fixture->recovery.partitions, 3);
    assert_int_equal(try_create(fixture, "payments", 1), ERR_LIMIT);
}

static void test_a_reserved_name_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(try_create(fixture, "__transaction_state", 1), ERR_INVALID);
}

/* A crash took events that were not on disk, and the start that DeleteRecords had set with them:
 * what is written in their place stays. */
static void test_a_start_behind_the_end_is_brought_back_to_it(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    append_events(topic_partition(topic, 0), 5, true);
    fixture_close(fixture);
    struct catalogue_db *db = open_db(fixture);
    assert_int_equal(catalogue_db_set_log_start(db, &topic->id, 0, 100, &fixture->reason),
                     ERR_NONE);
    catalogue_db_close(db);
    topic_unref(topic);

    fixture_open(fixture);
    topic = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_int_equal(log_start_offset(topic_partition(topic, 0)->log), 5);
    append_events(topic_partition(topic, 0), 3, true);
    topic_unref(topic);
    fixture_abandon(fixture);

    fixture_open(fixture);
    topic = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_int_equal(log_start_offset(topic_partition(topic, 0)->log), 5);
    assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 8);
    topic_unref(topic);
}

static enum err set_one(void *context, struct overrides *overrides, struct reason *reason)
{
    const char *const *pair = context;
    if (pair == NULL) {
        return reason_fail(reason, ERR_CONFIG, "no");
    }
    overrides_set(overrides, slice_str(pair[0]), slice_str(pair[1]));
    return ERR_NONE;
}

static void test_edits_add_up_and_a_bad_one_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct catalogue *catalogue = fixture->catalogue;
    struct reason *reason = &fixture->reason;
    struct topic *topic = create_topic(fixture, "orders", 1, "retention.ms", "7");
    const char *good[] = {"segment.ms", "9"};
    const char *bad[] = {"retention.ms", "soon"};
    assert_int_equal(catalogue_edit_overrides(catalogue, topic, set_one, good, false, reason),
                     ERR_NONE);
    assert_int_equal(catalogue_edit_overrides(catalogue, topic, set_one, bad, false, reason),
                     ERR_CONFIG);
    assert_int_equal(catalogue_edit_overrides(catalogue, topic, set_one, NULL, false, reason),
                     ERR_CONFIG);
    struct overrides own;
    catalogue_overrides(catalogue, topic, &own);
    assert_string_equal(overrides_get(&own, "retention.ms"), "7");
    assert_string_equal(overrides_get(&own, "segment.ms"), "9");
    overrides_deinit(&own);
    topic_unref(topic);
}

/* Watches what is unlinked of deleted topics. */
struct watch {
    struct file_ops files;
    const struct file_ops *real;
    struct fixture *fixture;
    int unlinked;
    bool locked; /* change_lock was held at one of them */
    bool fail;
};

static int watch_unlink(void *context, const char *path)
{
    struct watch *watch = context;
    if (strstr(path, "-delete/") != NULL && watch->fixture->catalogue != NULL) {
        const struct fair_lock *lock = &watch->fixture->catalogue->change_lock;
        watch->unlinked++;
        watch->locked = watch->locked || lock->served != lock->next;
        if (watch->fail) {
            errno = EIO;
            return -1;
        }
    }
    return watch->real->unlink(watch->real->context, path);
}

static void watch_files(struct fixture *fixture, struct watch *watch)
{
    *watch =
        (struct watch){.files = *file_ops_system(), .real = file_ops_system(), .fixture = fixture};
    watch->files.context = watch; /* the system's has none */
    watch->files.unlink = watch_unlink;
    assert_null(watch->real->context);
    fixture_close(fixture);
    fixture->files = &watch->files;
    fixture_open(fixture);
}

/* Nobody waits until the files of a topic are gone: names and rows are before. */
static void test_unlinking_holds_nobody_up(void **state)
{
    struct fixture *fixture = *state;
    struct watch watch;
    watch_files(fixture, &watch);
    struct topic *topic = create_topic(fixture, "orders", 5, NULL, NULL);
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
    assert_true(watch.unlinked >= 5);
    assert_false(watch.locked);
    assert_int_equal(names_in(fixture, "topics"), 0);
    fixture_close(fixture);
}

/* The topic is gone for good, though its files could not be removed: a start does that. */
static void test_files_that_remain_go_at_start(void **state)
{
    struct fixture *fixture = *state;
    struct watch watch;
    watch_files(fixture, &watch);
    struct topic *topic = create_topic(fixture, "orders", 3, NULL, NULL);
    watch.fail = true;
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_NONE);
    topic_unref(topic);
    assert_int_equal(names_in(fixture, "topics"), 3);
    assert_int_equal(try_create(fixture, "orders", 1), ERR_NONE);
    fixture_close(fixture);
    fixture->files = NULL;
    fixture_open(fixture);
    assert_int_equal(fixture->recovery.topics, 1);
    assert_int_equal(names_in(fixture, "topics"), 1);
}

/* A disk without room for a longer name while the spare is there. */
struct full {
    struct file_ops files;
    struct fixture *fixture;
};

static bool has_spare(const struct full *full)
{
    char *path = fixture_path(full->fixture, "spare");
    bool there = file_exists(path);
    free(path);
    return there;
}

static int full_rename(void *context, const char *from, const char *to)
{
    const struct file_ops *real = file_ops_system();
    if (strstr(to, "-delete") != NULL && has_spare(context)) {
        errno = ENOSPC;
        return -1;
    }
    return real->rename(real->context, from, to);
}

static void test_a_deletion_uses_the_spare(void **state)
{
    struct fixture *fixture = *state;
    struct full full = {.files = *file_ops_system(), .fixture = fixture};
    struct reason *reason = &fixture->reason;
    fixture_close(fixture);
    char *spare = fixture_path(fixture, "spare");
    int dir = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    full.files.context = &full;
    full.files.rename = full_rename;
    fixture->space = space_new(file_ops_system(), clock_system(), dir, spare);
    fixture->files = &full.files;
    fixture_open(fixture);
    struct topic *topic = create_topic(fixture, "orders", 2, NULL, NULL);
    assert_true(has_spare(&full));
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, reason), ERR_NONE);
    assert_false(has_spare(&full));
    assert_int_equal(names_in(fixture, "topics"), 0);
    topic_unref(topic);
    assert_true(catalogue_checkpoint_due(fixture->catalogue)); /* to make it anew */
    catalogue_checkpoint(fixture->catalogue);
    assert_true(has_spare(&full));
    assert_false(catalogue_checkpoint_due(fixture->catalogue));
    fixture_close(fixture);
    space_free(fixture->space);
    close(dir);
    free(spare);
}

static void test_a_stopping_server_changes_no_topics(void **state)
{
    struct fixture *fixture = *state;
    struct topic *topic = create_topic(fixture, "orders", 1, NULL, NULL);
    catalogue_end_changes(fixture->catalogue);
    assert_int_equal(try_create(fixture, "more", 1), ERR_CLOSED);
    assert_int_equal(catalogue_delete(fixture->catalogue, topic, &fixture->reason), ERR_CLOSED);
    assert_int_equal(
        catalogue_add_partitions(fixture->catalogue, topic, 2, false, &fixture->reason),
        ERR_CLOSED);
    topic_unref(topic);
    fixture_close(fixture);
    fixture_open(fixture);
    topic = catalogue_find(fixture->catalogue, slice_str("orders"));
    assert_non_null(topic);
    assert_int_equal(topic_partition_count(topic), 1);
    topic_unref(topic);
    assert_null(catalogue_find(fixture->catalogue, slice_str("more")));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_partitions_ask_for_memory_and_give_it_back,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_topic_of_the_longest_name_is_deleted, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_unfinished_deletion_of_the_longest_name_is_finished,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_changes_of_a_deleted_topic_are_refused, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_upkeep_of_a_deleted_log_leaves_the_next_alone,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_foreign_directory_stays, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_partitions_are_limited, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_reserved_name_is_refused, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_start_behind_the_end_is_brought_back_to_it,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_edits_add_up_and_a_bad_one_changes_nothing,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unlinking_holds_nobody_up, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_files_that_remain_go_at_start, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_deletion_uses_the_spare, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_stopping_server_changes_no_topics, fixture_setup,
                                        fixture_teardown),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
