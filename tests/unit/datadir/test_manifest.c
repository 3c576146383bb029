#include "../unit.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "datadir/batch_check.h"
#include "datadir/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a backup says of itself, and what is refused. */

static void add(struct manifest *manifest, const char *path, int32_t version)
{
    struct manifest_file file = {
        .path = mem_strdup(path),
        .size = 1234567890123,
        .crc = 0x0a0b0c0d,
        .version = version,
        .inode = UINT64_MAX,
        .mtime_ns = -5,
        .damaged = version == 1,
    };
    manifest_add(manifest, &file);
}

static void fill(struct manifest *manifest, struct buf *text)
{
    *manifest = (struct manifest){.cluster_id = "abc", .cut_ms = 1700000000000};
    add(manifest, "topics/b-1/00000000000000000000.log", 1);
    add(manifest, "tidings.db", 0);
    manifest_sort(manifest);
    manifest_encode(manifest, text);
}

static enum err decode(const char *text, size_t size, char why[256])
{
    struct manifest manifest;
    struct reason reason = {.text = ""};
    enum err err = manifest_decode(&manifest, slice_of(text, size), &reason);
    snprintf(why, 256, "%s", reason.text);
    if (err == ERR_NONE) {
        manifest_deinit(&manifest);
    } else {
        assert_int_equal(manifest.files.count, 0);
    }
    return err;
}

static void test_a_manifest_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct manifest manifest;
    struct manifest again;
    struct buf text = {0};
    fill(&manifest, &text);
    assert_int_equal(manifest_decode(&again, buf_slice(&text), NULL), ERR_NONE);
    assert_string_equal(again.cluster_id, "abc");
    assert_int_equal(again.cut_ms, 1700000000000);
    assert_int_equal(again.files.count, 2);
    const struct manifest_file *file = manifest_find(&again, "topics/b-1/00000000000000000000.log");
    assert_non_null(file);
    assert_int_equal(file->size, 1234567890123);
    assert_int_equal(file->crc, 0x0a0b0c0d);
    assert_true(file->inode == UINT64_MAX);
    assert_int_equal(file->mtime_ns, -5);
    assert_true(file->damaged);
    char *name = manifest_stored_name(file);
    assert_string_equal(name, "topics/b-1/00000000000000000000.log~1");
    free(name);
    assert_null(manifest_find(&again, "topics"));
    manifest_deinit(&again);
    manifest_deinit(&manifest);
    buf_deinit(&text);
}

static void test_every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct manifest manifest;
    struct buf text = {0};
    char why[256];
    fill(&manifest, &text);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] ^= 1;
        assert_int_not_equal(decode((char *)text.data, text.size, why), ERR_NONE);
        text.data[i] ^= 1;
        assert_int_equal(decode((char *)text.data, i, why), ERR_CORRUPT); /* cut there */
    }
    assert_int_equal(decode((char *)text.data, text.size, why), ERR_NONE);
    manifest_deinit(&manifest);
    buf_deinit(&text);
}

static void expect_refused(const char *path, const char *version)
{
    struct buf text = {0};
    char why[256];
    buf_printf(&text, "tidings-backup %s\ncluster abc\ncut 1\nfile 00000000 1 0 1 1 0 %s\n",
               version, path);
    buf_printf(&text, "end 1 %08x\n", crc32c(0, text.data, text.size));
    assert_int_not_equal(decode((char *)text.data, text.size, why), ERR_NONE);
    buf_deinit(&text);
}

static void test_paths_stay_inside_of_the_data_directory(void **state)
{
    (void)state;
    char why[256];
    static const char *const bad[] = {"/etc/passwd", "../x", "a/../../x", "a/..", ".",
                                      "a//b",        "a/",   "a\tb",      "~x",   "a/./b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_refused(bad[i], "1");
    }
    expect_refused("a", "2");
    struct buf text = {0};
    buf_printf(&text, "tidings-backup 1\ncluster abc\ncut 1\nfile 00000000 1 0 1 1 0 a..b/c\n");
    buf_printf(&text, "end 1 %08x\n", crc32c(0, text.data, text.size));
    assert_int_equal(decode((char *)text.data, text.size, why), ERR_NONE);
    buf_deinit(&text);
}

static void test_numbers_that_cannot_be_added_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"file 00000000 9223372036854775807 0 1 1 0 a", "file 00000000 1 0 1 1 0 b"},
        {"file 00000000 1 2147483647 1 1 0 a", "file 00000000 1 0 1 1 0 b"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf text = {0};
        char why[256];
        buf_printf(&text, "tidings-backup 1\ncluster abc\ncut 1\n%s\n%s\n", bad[i][0], bad[i][1]);
        buf_printf(&text, "end 2 %08x\n", crc32c(0, text.data, text.size));
        assert_int_equal(decode((char *)text.data, text.size, why), ERR_CORRUPT);
        buf_deinit(&text);
    }
}

/* A stream of three batches: good whole, in pieces and bit by bit noticed. */
static void test_batches_are_checked_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct buf bytes = {0};
    size_t starts[4];
    for (int i = 0; i < 3; i++) {
        struct batch_builder builder;
        batch_builder_init(&builder);
        batch_builder_add(&builder, 1, slice_str("key"), slice_str("value"), NULL, 0);
        starts[i] = bytes.size;
        assert_int_equal(batch_builder_finish(&builder, &bytes, NULL), ERR_NONE);
        batch_builder_deinit(&builder);
    }
    starts[3] = bytes.size;
    for (size_t at = 0; at <= bytes.size; at++) {
        struct batch_check check = {.position = 0};
        batch_check_feed(&check, slice_of(bytes.data, at));
        bool whole = at == starts[0] || at == starts[1] || at == starts[2] || at == starts[3];
        assert_int_equal(batch_check_finish(&check), whole);
    }
    for (size_t at = starts[1] + 16; at < starts[2]; at++) {
        struct batch_check check = {.position = 0};
        bytes.data[at] ^= 2;
        batch_check_feed(&check, buf_slice(&bytes));
        assert_false(batch_check_finish(&check));
        assert_int_equal(check.bad_position, starts[1]);
        bytes.data[at] ^= 2;
    }
    buf_deinit(&bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_manifest_is_read_as_it_was_written),
        cmocka_unit_test(test_every_changed_byte_is_refused),
        cmocka_unit_test(test_paths_stay_inside_of_the_data_directory),
        cmocka_unit_test(test_numbers_that_cannot_be_added_are_refused),
        cmocka_unit_test(test_batches_are_checked_in_pieces_of_any_size),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
