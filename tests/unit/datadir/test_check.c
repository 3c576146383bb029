#include "../unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "datadir/check.h"
#include "topic/catalogue_db.h"
#include "topic/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a row of the catalogue says is bounded as it is at a start. */

static int make_dir(void **state)
{
    char dir[] = "/tmp/tidings-check-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *topics = mem_sprintf("%s/topics", dir);
    assert_int_equal(mkdir(topics, 0700), 0);
    free(topics);
    *state = mem_strdup(dir);
    return 0;
}

static int remove_dir(void **state)
{
    char *command = mem_sprintf("rm -rf %s", (char *)*state);
    assert_int_equal(system(command), 0);
    free(command);
    free(*state);
    return 0;
}

static void insert(const char *dir, const char *name, int32_t partitions)
{
    struct catalogue_db *db;
    struct reason reason;
    struct topic_id id;
    struct overrides none = {0};
    memset(id.bytes, (int)strlen(name), sizeof id.bytes);
    assert_int_equal(catalogue_db_open(dir, true, &db, &reason), ERR_NONE);
    struct topic *topic = topic_new(slice_str(name), &id, false);
    assert_int_equal(catalogue_db_insert(db, topic, partitions, &none, &reason), ERR_NONE);
    topic_unref(topic);
    catalogue_db_close(db);
}

static void count_bad(void *context, const struct check_finding *finding)
{
    int *count = context;
    *count +=
        strcmp(finding->kind, "no-catalogue") == 0 && strstr(finding->text, "is damaged") != NULL;
}

static void check_refused(const char *dir, const char *name, int32_t partitions)
{
    struct check_totals totals;
    struct reason reason;
    int bad = 0;
    struct check_options options = {
        .data_dir = dir, .partition = -1, .found = count_bad, .context = &bad};
    insert(dir, name, partitions);
    assert_int_equal(check_run(&options, &totals, &reason), ERR_NONE);
    assert_int_equal(bad, 1);
    assert_int_equal(totals.findings[CHECK_DAMAGE], 1);
}

static void test_more_partitions_than_a_topic_may_have_are_damage(void **state)
{
    check_refused(*state, "orders", 2000000000);
}

static void test_no_partitions_are_damage(void **state)
{
    check_refused(*state, "orders", 0);
}

static void test_a_name_that_cannot_be_is_damage(void **state)
{
    check_refused(*state, "a/../../b", 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_dir, remove_dir)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_more_partitions_than_a_topic_may_have_are_damage),
        TEST(test_no_partitions_are_damage),
        TEST(test_a_name_that_cannot_be_is_damage),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
