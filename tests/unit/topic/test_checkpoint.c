#include "../unit.h"
#include "topic_fixture.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "topic/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static void load(const char *file, struct checkpoint *checkpoint)
{
    (void)!checkpoint_read(checkpoint, file_ops_system(), file); /* empty when it is bad */
}

static void add_some(struct checkpoint *checkpoint, int count)
{
    for (int i = count - 1; i >= 0; i--) { /* not in order */
        struct topic_id id = id_of((uint8_t)(i / 3));
        struct log_state log = {.start_offset = i,
                                .end_offset = INT64_MAX - i,
                                .active_base = 10 + i,
                                .active_size = 1000 + i,
                                .idle_known = i % 2 == 0,
                                .open_txns = i % 3 == 0,
                                .first_base = 5 + i,
                                .size_bytes = 2000 + i,
                                .oldest_ms = INT64_MAX - i};
        checkpoint_add(checkpoint, &id, i % 3, &log);
    }
}

static void save_some(const char *file, int count, bool clean)
{
    struct checkpoint checkpoint = {.clean = clean};
    struct reason reason;
    add_some(&checkpoint, count);
    assert_int_equal(checkpoint_save(&checkpoint, file_ops_system(), file, &reason), ERR_NONE);
    checkpoint_deinit(&checkpoint);
}

static void test_what_is_saved_is_loaded(void **state)
{
    struct checkpoint checkpoint;
    save_some(*state, 100, true);
    load(*state, &checkpoint);
    assert_true(checkpoint.clean);
    assert_int_equal(checkpoint.entries.count, 100);
    for (int i = 0; i < 100; i++) {
        struct topic_id id = id_of((uint8_t)(i / 3));
        const struct log_state *found = checkpoint_find(&checkpoint, &id, i % 3);
        assert_non_null(found);
        assert_true(found->start_offset == i && found->end_offset == INT64_MAX - i);
        assert_true(found->active_base == 10 + i && found->active_size == 1000 + i);
        assert_true(found->clean);
        assert_true(found->idle_known == (i % 2 == 0) && found->open_txns == (i % 3 == 0));
        assert_true(found->first_base == 5 + i && found->size_bytes == 2000 + i);
        assert_true(found->oldest_ms == INT64_MAX - i);
    }
    struct topic_id unknown = id_of(200);
    assert_null(checkpoint_find(&checkpoint, &unknown, 0));
    struct topic_id known = id_of(0);
    assert_null(checkpoint_find(&checkpoint, &known, 3));
    checkpoint_deinit(&checkpoint);
}

/* A file as the version before wrote it. */
static void test_version_1_is_read(void **state)
{
    struct topic_id id = id_of(7);
    struct buf file = {0};
    buf_append_str(&file, "TDCP");
    buf_append_be16(&file, 1);
    buf_append_u8(&file, 1);
    buf_append_u8(&file, 0);
    buf_append_be32(&file, 1);
    buf_append(&file, id.bytes, sizeof id.bytes);
    buf_append_be32(&file, 3);
    for (uint64_t i = 1; i <= 4; i++) {
        buf_append_be64(&file, i);
    }
    buf_append_be32(&file, crc32c(0, file.data, file.size));
    assert_int_equal(file_replace(file_ops_system(), *state, file.data, file.size, NULL), ERR_NONE);
    struct checkpoint checkpoint;
    load(*state, &checkpoint);
    const struct log_state *found = checkpoint_find(&checkpoint, &id, 3);
    assert_non_null(found);
    assert_true(checkpoint.clean && found->clean);
    assert_true(found->start_offset == 1 && found->end_offset == 2);
    assert_true(found->active_base == 3 && found->active_size == 4);
    assert_false(found->idle_known);
    checkpoint_deinit(&checkpoint);
    file.data[20]++;
    assert_int_equal(file_replace(file_ops_system(), *state, file.data, file.size, NULL), ERR_NONE);
    load(*state, &checkpoint);
    assert_int_equal(checkpoint.entries.count, 0);
    checkpoint_deinit(&checkpoint);
    buf_deinit(&file);
}

static void test_a_missing_checkpoint_is_not_clean_and_an_empty_one_is(void **state)
{
    struct checkpoint checkpoint;
    struct topic_id id = id_of(0);
    load(*state, &checkpoint);
    assert_int_equal(checkpoint.entries.count, 0);
    assert_false(checkpoint.clean);
    assert_null(checkpoint_find(&checkpoint, &id, 0));
    checkpoint_deinit(&checkpoint);
    save_some(*state, 0, true);
    load(*state, &checkpoint);
    assert_int_equal(checkpoint.entries.count, 0);
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
static void test_damage_is_not_believed(void **state)
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
        load(*state, &checkpoint);
        assert_int_equal(checkpoint.entries.count, 0);
        assert_false(checkpoint.clean);
        checkpoint_deinit(&checkpoint);
    }
    for (size_t cut = 0; cut < size; cut++) {
        write_file(*state, good, cut);
        load(*state, &checkpoint);
        assert_int_equal(checkpoint.entries.count, 0);
        assert_false(checkpoint.clean);
        checkpoint_deinit(&checkpoint);
    }
    free(good);
}

/* One flipped bit, or one file that is gone, takes nothing: the other has the same. */
static void test_the_copy_takes_the_place_of_a_bad_checkpoint(void **state)
{
    static const char *const names[] = {CHECKPOINT_NAME, CHECKPOINT_COPY_NAME};
    struct checkpoint checkpoint = {.clean = true};
    struct reason reason;
    assert_int_equal(mkdir(*state, 0700), 0);
    add_some(&checkpoint, 4);
    for (int i = 0; i < 2; i++) {
        for (int missing = 0; missing < 2; missing++) {
            struct checkpoint found;
            assert_int_equal(checkpoint_save_both(&checkpoint, file_ops_system(), *state, &reason),
                             ERR_NONE);
            char *file = mem_sprintf("%s/%s", (char *)*state, names[i]);
            if (missing) {
                assert_int_equal(unlink(file), 0);
            } else {
                write_file(file, "TDCP", 4);
            }
            checkpoint_load(&found, file_ops_system(), *state);
            assert_true(found.clean);
            assert_int_equal(found.entries.count, 4);
            checkpoint_deinit(&found);
            free(file);
        }
    }
    checkpoint_deinit(&checkpoint);
    for (int i = 0; i < 2; i++) {
        char *file = mem_sprintf("%s/%s", (char *)*state, names[i]);
        unlink(file);
        free(file);
    }
    checkpoint_load(&checkpoint, file_ops_system(), *state);
    assert_int_equal(checkpoint.entries.count, 0);
    assert_false(checkpoint.clean);
    rmdir(*state);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, in_own_file, remove_file)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_saved_is_loaded),
        TEST(test_version_1_is_read),
        TEST(test_a_missing_checkpoint_is_not_clean_and_an_empty_one_is),
        TEST(test_damage_is_not_believed),
        TEST(test_the_copy_takes_the_place_of_a_bad_checkpoint),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
