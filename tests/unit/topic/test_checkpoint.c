#include "topic_fixture.h"

#include "base/mem.h"
#include "topic/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "/tmp/tidings-checkpoint-test";

static struct topic_id id_of(uint8_t value)
{
    struct topic_id id;
    memset(id.bytes, value, sizeof id.bytes);
    return id;
}

static int in_own_file(void **state)
{
    *state = mem_sprintf("%s-%d", path, (int)getpid());
    return 0;
}

static int remove_file(void **state)
{
    unlink(*state);
    free(*state);
    return 0;
}

static void save_some(const char *file, int count, bool clean)
{
    struct checkpoint checkpoint = {.clean = clean};
    for (int i = count - 1; i >= 0; i--) { /* not in order */
        struct topic_id id = id_of((uint8_t)(i / 3));
        struct log_state log = {i, INT64_MAX - i, 10 + i, 1000 + i, false};
        checkpoint_add(&checkpoint, &id, i % 3, &log);
    }
    struct reason reason;
    assert_int_equal(checkpoint_save(&checkpoint, file_ops_system(), file, &reason), ERR_NONE);
    checkpoint_deinit(&checkpoint);
}

static void test_save_and_load(void **state)
{
    struct checkpoint checkpoint;
    save_some(*state, 100, true);
    checkpoint_load(&checkpoint, file_ops_system(), *state);
    assert_true(checkpoint.clean);
    assert_int_equal(checkpoint.count, 100);
    for (int i = 0; i < 100; i++) {
        struct topic_id id = id_of((uint8_t)(i / 3));
        const struct log_state *found = checkpoint_find(&checkpoint, &id, i % 3);
        assert_non_null(found);
        assert_true(found->start_offset == i && found->end_offset == INT64_MAX - i);
        assert_true(found->active_base == 10 + i && found->active_size == 1000 + i);
        assert_true(found->clean);
    }
    struct topic_id unknown = id_of(200);
    assert_null(checkpoint_find(&checkpoint, &unknown, 0));
    struct topic_id known = id_of(0);
    assert_null(checkpoint_find(&checkpoint, &known, 3));
    checkpoint_deinit(&checkpoint);
}

static void test_missing_and_empty(void **state)
{
    struct checkpoint checkpoint;
    struct topic_id id = id_of(0);
    checkpoint_load(&checkpoint, file_ops_system(), *state);
    assert_int_equal(checkpoint.count, 0);
    assert_false(checkpoint.clean);
    assert_null(checkpoint_find(&checkpoint, &id, 0));
    checkpoint_deinit(&checkpoint);
    save_some(*state, 0, true);
    checkpoint_load(&checkpoint, file_ops_system(), *state);
    assert_int_equal(checkpoint.count, 0);
    assert_true(checkpoint.clean);
    checkpoint_deinit(&checkpoint);
}

static void write_file(const char *file, const void *bytes, size_t size)
{
    FILE *out = fopen(file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(out);
}

/* No flipped bit and no cut is believed. */
static void test_damage(void **state)
{
    char *good;
    size_t size;
    struct reason reason;
    struct checkpoint checkpoint;
    save_some(*state, 4, true);
    assert_int_equal(file_load(file_ops_system(), *state, 1 << 20, &good, &size, &reason),
                     ERR_NONE);
    for (size_t at = 0; at < size; at++) {
        good[at] ^= 1;
        write_file(*state, good, size);
        good[at] ^= 1;
        checkpoint_load(&checkpoint, file_ops_system(), *state);
        assert_int_equal(checkpoint.count, 0);
        assert_false(checkpoint.clean);
        checkpoint_deinit(&checkpoint);
    }
    for (size_t cut = 0; cut < size; cut++) {
        write_file(*state, good, cut);
        checkpoint_load(&checkpoint, file_ops_system(), *state);
        assert_int_equal(checkpoint.count, 0);
        assert_false(checkpoint.clean);
        checkpoint_deinit(&checkpoint);
    }
    free(good);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, in_own_file, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_save_and_load),
        TEST(test_missing_and_empty),
        TEST(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
